"""What a journal is called: ``.OUT.SOURCE-OPTIONS-MODEL-ARITHMETIC.part``.

The name holds checksums of what the bytes of an encode depend on, and the arithmetic of the
encoder's nets, so that an encode goes on from nothing but its own work.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
from collections.abc import Sequence
from pathlib import Path

from ..system.files import check_input, output_folder, output_target

_SAMPLES, _SAMPLE = 64, 1 << 16
_PARTS = ("source", "options", "model", "arithmetic")
_TAG = re.compile(r"\.([0-9a-f]{8})-([0-9a-f]{8})-([0-9a-f]{8})-([0-9a-z]{1,16})\.part")
_LONGEST_NAME = 200  # bytes of the output's name, so that the journal's name fits into 255


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()[:8]


def source_digest(path: str) -> str:
    """Of size, time of change, and 64 samples of 64 KiB of a file; of chance for a pipe, which
    nothing can go on with."""
    with check_input(path).open("rb") as file:
        info = os.fstat(file.fileno())
        if not stat.S_ISREG(info.st_mode):
            return secrets.token_hex(4)
        parts = [f"{info.st_size} {info.st_mtime_ns}".encode()]
        for i in range(_SAMPLES):
            file.seek(max(0, info.st_size - _SAMPLE) * i // (_SAMPLES - 1))
            parts.append(file.read(_SAMPLE))
    return _digest(*parts)


def tag(source: str, options: Sequence[object], model: Sequence[str], arithmetic: str) -> str:
    """What the bytes of an encode depend on: the source file, its options, the model with its
    encoder, and the floats that multiplies in."""
    return "-".join(
        (
            source_digest(source),
            _digest(*(repr(o).encode() for o in options)),
            _digest(*(m.encode() for m in model)),
            arithmetic,
        )
    )


def _prefix(target: Path) -> str:
    """What names of journals of an output begin with."""
    name = target.name
    return "." + (name if len(os.fsencode(name)) <= _LONGEST_NAME else _digest(os.fsencode(name)))


def journals(output: str | os.PathLike[str]) -> dict[str, Path]:
    """Journals that lie beside an output, by tag."""
    target = output_target(output)
    prefix = _prefix(target)
    found = {}
    for path in output_folder(output).iterdir():
        name = path.name
        if name.startswith(prefix) and (match := _TAG.fullmatch(name[len(prefix) :])):
            found["-".join(match.groups())] = path
    return found


def journal_path(output: str | os.PathLike[str], tag: str) -> Path:
    """Where the journal of an encode to ``output`` lies, by its :func:`tag`."""
    return output_folder(output) / f"{_prefix(output_target(output))}.{tag}.part"


def differences(one: str, other: str) -> list[str]:
    """What is not the same of two encodes, by their tags: "source", "options", "model",
    "arithmetic"."""
    pairs = zip(_PARTS, one.split("-"), other.split("-"), strict=True)
    return [name for name, a, b in pairs if a != b]


def arithmetic(tag: str) -> str:
    """The arithmetic of an encode, by its tag."""
    return tag.rpartition("-")[2]
