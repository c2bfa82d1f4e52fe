"""Section Bars: the edges of a frame that have one colour."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .container import demand
from .entropy import RangeDecoder

BARS = 1077
LENGTH_BITS, COLOUR_BITS = 4, 10
BLACK = (64, 512, 512)


class Bars(NamedTuple):
    """Sizes in samples of chroma: above, below, left, right; and a colour."""

    sizes: tuple[int, ...]
    colour: tuple[int, ...]


NONE = Bars((0, 0, 0, 0), (0, 0, 0))


def size(s: RangeDecoder) -> int:
    length = s.raw(LENGTH_BITS)
    return length if length < 2 else 1 << (length - 1) | s.raw(length - 1)


def frame_bars(s: RangeDecoder, level: int, references: list[Bars], shown: tuple[int, int]) -> Bars:
    """Bars of a frame by those of its references; shown: height and width."""
    some = [bars for bars in references if bars != NONE]
    if (level > 1 and not some) or not s.bit(BARS):
        return NONE
    if some and not s.bit(BARS + 1):
        return some[0]
    sizes = tuple(size(s) for _ in range(4))
    colour = BLACK if s.raw(1) else tuple(s.raw(COLOUR_BITS) for _ in BLACK)
    rows, columns = (-(-v // 2) for v in shown)
    demand(sizes[0] + sizes[1] < rows and sizes[2] + sizes[3] < columns, "bars over all of it")
    return Bars(sizes, colour) if any(sizes) else NONE


def draw(planes: list[np.ndarray], bars: Bars, shown: tuple[int, int]) -> None:
    """Into the samples that are shown."""
    above, below, left, right = bars.sizes
    rows, columns = (-(-v // 2) for v in shown)
    y, x = np.mgrid[: planes[1].shape[0], : planes[1].shape[1]]
    inside = (y >= above) & (y < rows - below) & (x >= left) & (x < columns - right)
    for plane, value, unit in zip(planes, bars.colour, (2, 1, 1), strict=True):
        plane[~np.kron(inside, np.ones((unit, unit), bool))] = value
