"""Bars: edges of a picture that have one colour, as letterboxed films have them.

They are hardly ever as wide as a number of blocks, and nets that draw the last rows of the film
leave their marks on the first rows of a bar. So a frame may say how wide its bars are: their
samples are set after everything else, and what blocks there hold is never seen. Frames that refer
to one with bars say in one bit that they have the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from ..compiled import njit
from ..picture_size import chroma_size
from .contexts import BARS
from .two_way import Coder, code_bit, code_raw

if TYPE_CHECKING:
    from .frame_decoder import Planes

# bars are an array (7,) int32: sizes of the upper, lower, left and right one, in units of two luma
# samples, then the colour of each plane
SIDES, PLANES = 4, 3
LENGTH_BITS = 4  # of the bit length of a size
COLOUR_BITS = 10
BLACK = (64, 512, 512)


def none() -> np.ndarray:
    """(7,) int32: no bars."""
    return np.zeros(SIDES + PLANES, np.int32)


def first_of(known: Iterable[np.ndarray]) -> np.ndarray:
    """The bars of the first of some references that has any; none where none has."""
    return next((bars for bars in known if bars.any()), none())


@njit
def _code_size(coder: Coder, size: int) -> int:
    """A size: its bit length, then the bits below its top one."""
    length = 0
    while size >> length:
        length += 1
    length = code_raw(coder, length, LENGTH_BITS)
    if length < 2:
        return length
    top = 1 << (length - 1)
    return top + code_raw(coder, size & (top - 1), length - 1)


@njit
def code_bars(coder: Coder, bars: np.ndarray, known: np.ndarray) -> None:
    """Code the bars (7,) of a frame; a decoder fills them in. known: those of a reference, all 0
    where none has any."""
    some = told = 0
    same = 1
    for k in range(SIDES):
        some |= bars[k]
        told |= known[k]
    for k in range(SIDES + PLANES):
        same &= 1 if bars[k] == known[k] else 0
    if not code_bit(coder, BARS, 1 if some else 0):
        bars[:] = 0
        return
    if told and not code_bit(coder, BARS + 1, 1 - same):
        bars[:] = known
        return
    some, black = 0, 1
    for k in range(SIDES):
        bars[k] = _code_size(coder, bars[k])
        some |= bars[k]
    for k in range(PLANES):
        black &= 1 if bars[SIDES + k] == BLACK[k] else 0
    black = code_raw(coder, black, 1)
    for k in range(PLANES):
        colour = BLACK[k] if black else code_raw(coder, bars[SIDES + k], COLOUR_BITS)
        bars[SIDES + k] = colour if some else 0


def fit(bars: np.ndarray, height: int, width: int) -> bool:
    """Whether bars leave something of a picture of this size."""
    top, bottom, left, right = bars[:SIDES].tolist()
    columns, rows = chroma_size(width, height)
    return bool(top + bottom < rows and left + right < columns)


def parts(bars: np.ndarray, height: int, width: int, plane: int) -> list[tuple[slice, slice]]:
    """Rows and columns of each bar in the shown part of a plane, which may overlap.

    plane: 0 for luma of this size, 1 and 2 for chroma.
    """
    unit = 1 if plane else 2
    columns, rows = chroma_size(width, height)
    top, bottom, left, right = bars[:SIDES].tolist()
    shown = slice(0, rows if plane else height), slice(0, columns if plane else width)
    found = [
        (top, (slice(0, unit * top), shown[1])),
        (bottom, (slice(unit * (rows - bottom), shown[0].stop), shown[1])),
        (left, (shown[0], slice(0, unit * left))),
        (right, (shown[0], slice(unit * (columns - right), shown[1].stop))),
    ]
    return [part for size, part in found if size]


def draw(planes: Planes, bars: np.ndarray, height: int, width: int) -> None:
    """Set the samples of the bars in the planes of a picture of this size."""
    for k, plane in enumerate(planes):
        for part in parts(bars, height, width, k):
            plane[part] = bars[SIDES + k]
