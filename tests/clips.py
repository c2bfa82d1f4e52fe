"""Small pictures and files for the tests."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from vqcodec.container import StreamHeader
from vqcodec.picture import Picture
from vqcodec.sink import VideoSink


def picture(width: int, height: int, seed: int = 0, ten_bit: bool = False) -> Picture:
    """Noise; full range of values."""
    rng = np.random.default_rng(seed)
    dtype, top = (np.uint16, 1024) if ten_bit else (np.uint8, 256)
    sizes = ((height, width), ((height + 1) // 2, (width + 1) // 2), ((height + 1) // 2, (width + 1) // 2))
    return Picture(*(rng.integers(0, top, s).astype(dtype) for s in sizes))


def header(width: int = 16, height: int = 16, **changes: Any) -> StreamHeader:
    return StreamHeader(**({"width": width, "height": height, "time_base": Fraction(1, 1000), "rate": Fraction(25)} | changes))


def write(path: Path, head: StreamHeader, pictures: list[Picture], times: list[int] | None = None, **options: Any) -> Path:
    step = max(1, round(1 / ((head.rate or 25) * head.time_base)))
    sink = VideoSink(path, head, ten_bit=pictures[0].ten_bit, **options)
    for i, p in enumerate(pictures):
        sink.write(times[i] if times else i * step, p)
    sink.close()
    return path


def same(a: Picture, b: Picture) -> bool:
    return all(x.dtype == y.dtype and np.array_equal(x, y) for x, y in zip(a, b, strict=True))
