"""Bars of a frame: found in its source, and left out of what nets and detail have to reach.

What blocks hold in a bar is never seen. So while a frame is coded its source there is what costs
least: in an I frame the film goes on over its edge, else it is what the prediction shows.

Whoever made chroma of half the size let some of the film's colour into the bar's last row or
column of it, though its luma is the bar's. That row or column belongs to the bar still, and is
drawn in its colour: what it loses cannot be seen, and its luma is exact.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..codec import bars
from ..codec.frame_decoder import Coded, Planes, copy_planes
from ..codec.frame_head import told_bars
from ..picture_size import chroma_size

LEAK = 8 << 2  # samples of 10 bits that chroma of a bar's last row may be off where bars are found
LEAK_KEPT = 16 << 2  # and where a reference has them


def choose(
    source: Planes, references: Sequence[Coded], level: int, height: int, width: int
) -> np.ndarray:
    """The bars (7,) of a frame: those of its references if it has them, in I and key frames others
    if it has none of these. source: padded planes of a picture of this size."""
    known = told_bars(level, references)
    if known is None:
        return bars.none()
    if known.any() and _holds(source, known, height, width):
        return known
    return found(source, height, width) if level < 2 else bars.none()


def _holds(source: Planes, drawn: np.ndarray, height: int, width: int) -> bool:
    """Whether a picture is of the colour of these bars wherever they lie, but for what leaks."""
    clear = drawn.copy()
    clear[: bars.SIDES] -= drawn[: bars.SIDES] > 0
    return all(
        (_off(plane[part], int(drawn[bars.SIDES + k]), 1) <= most).all()
        for k, plane in enumerate(source)
        for some, most in ((drawn, LEAK_KEPT if k else 0), (clear, 0))
        for part in bars.parts(some, height, width, k)
    )


def found(source: Planes, height: int, width: int) -> np.ndarray:
    """The bars (7,) of a picture; none where it is all of one colour."""
    columns, rows = chroma_size(width, height)
    shown = [source[0][:height, :width], *(plane[:rows, :columns] for plane in source[1:])]
    for corner in (0, -1):
        colour = [int(plane[corner, corner]) for plane in shown]
        top, bottom = _edges(shown, colour, 0)
        if top + bottom >= rows:
            return bars.none()
        inside = [
            plane[unit * top : unit * (rows - bottom)]
            for plane, unit in zip(shown, (2, 1, 1), strict=True)
        ]
        left, right = _edges(inside, colour, 1)
        if left + right >= columns:
            return bars.none()
        if top or bottom or left or right:
            return np.array([top, bottom, left, right, *colour], np.int32)
    return bars.none()


def _edges(planes: list[np.ndarray], colour: list[int], axis: int) -> tuple[int, int]:
    """How many rows (axis 0) or columns of chroma from each side on are of one colour, the last of
    them but for what leaks."""
    chroma = planes[1].shape[axis]
    even, nearly = np.ones(chroma, bool), np.ones(chroma, bool)
    for number, (plane, value) in enumerate(zip(planes, colour, strict=True)):
        off = _off(plane, value, 1 - axis)
        if not number:
            off = np.pad(off, (0, 2 * chroma - off.size)).reshape(chroma, 2).max(1)
        even &= off == 0
        nearly &= off <= (LEAK if number else 0)
    if even.all():
        return chroma, 0
    first, last = int(np.argmin(even)), int(np.argmin(even[::-1]))
    if first and nearly[first]:
        first += 1
    if last and nearly[-1 - last]:
        last += 1
    return first, last


def _off(plane: np.ndarray, value: int, axis: int) -> np.ndarray:
    """How far the samples of each line along an axis are off a value at most."""
    least, largest = plane.min(axis).astype(np.int32), plane.max(axis).astype(np.int32)
    return np.asarray(np.maximum(largest - value, value - least))


def covered(source: Planes, shown: Planes, drawn: np.ndarray, height: int, width: int) -> Planes:
    """The source as it is to be reached by what some planes show: in the bars it is theirs."""
    if not drawn.any():
        return source
    out = copy_planes(source)
    for k, (plane, other) in enumerate(zip(out, shown, strict=True)):
        for part in bars.parts(drawn, height, width, k):
            plane[part] = other[part]
    return out


def opened(source: Planes, drawn: np.ndarray, height: int, width: int) -> Planes:
    """The source without its bars: the film's last rows and columns are repeated in them."""
    if not drawn.any():
        return source
    out = copy_planes(source)
    top, bottom, left, right = drawn[: bars.SIDES].tolist()
    columns, rows = chroma_size(width, height)
    for plane, unit in zip(out, (2, 1, 1), strict=True):
        first, last = unit * top, min(unit * (rows - bottom), height if unit == 2 else rows)
        plane[:first], plane[last:] = plane[first], plane[last - 1]
        first, last = unit * left, min(unit * (columns - right), width if unit == 2 else columns)
        plane[:, :first] = plane[:, first : first + 1]
        plane[:, last:] = plane[:, last - 1 : last]
    return out
