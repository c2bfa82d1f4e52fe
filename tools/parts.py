"""Files in parts that are small enough for where they go: ``NAME.0``, ``NAME.1`` and on.

``cat NAME.?`` gives the file back, and so does :func:`read`.
"""

from __future__ import annotations

from itertools import count, takewhile
from pathlib import Path

MOST = 15 << 20  # bytes of a part


def write(path: Path, data: bytes, most: int = MOST) -> list[Path]:
    """Write a file, in parts if it has more than ``most`` bytes; what was there before goes."""
    for old in [path, *_parts(path)]:
        old.unlink(missing_ok=True)
    if len(data) <= most:
        path.write_bytes(data)
        return [path]
    paths = []
    for number, begin in enumerate(range(0, len(data), most)):
        part = path.with_name(f"{path.name}.{number}")
        part.write_bytes(data[begin : begin + most])
        paths.append(part)
    return paths


def read(path: Path) -> bytes:
    """A file, or its parts joined. Raises FileNotFoundError where there is neither."""
    parts = _parts(path)
    if path.exists() or not parts:
        return path.read_bytes()
    return b"".join(part.read_bytes() for part in parts)


def _parts(path: Path) -> list[Path]:
    names = (path.with_name(f"{path.name}.{number}") for number in count())
    return list(takewhile(Path.exists, names))
