"""How a camera moved from one picture to another, seen on thumbnails of both.

The shift of least difference is looked for in full at a half of the size; from there a similarity
(shift, zoom, turn) is fitted to the samples themselves, coarse to fine, by least squares in which
what goes its own way comes to count for little (Lucas and Kanade 1981; Baker and Matthews 2004).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..compiled import njit
from .cholesky import factored, solved

_ROUNDS = 8  # of a fit at each size
_STILL = 0.01  # samples of the thumbnail: smaller steps end a fit
_OUT = 2.0  # spreads that a sample is off, beyond which it counts for little
_NOISE = 0.7  # of 255: spread that samples have at least
_HELD = 1e-2  # squared gradients that hold the guess where a picture says nothing
_FAR = 3  # shifts are looked for up to a third of the thumbnail
_LONG = 0.02  # of 255: what a shift costs for each sample of its length, beside the difference
_SMALLEST = 16  # rows of a thumbnail that is halved


class Similarity(NamedTuple):
    """Where what a picture shows was in one before it: at ``shift`` + exp(``zoom``) times its
    place, both from the middle.
    """

    shift: complex
    """Right real, in widths of the picture, and down imaginary, in its heights."""
    zoom: complex
    """Logarithm of zoom and turn."""
    agreed: float
    """Share of the picture that is seen in both and moves so, 0 to 1."""


def similarity(before: np.ndarray, after: np.ndarray) -> Similarity:
    """From thumbnails (rows, columns) float32 of two pictures of a scene."""
    rows, columns = after.shape
    fit = np.zeros(5)
    if min(after.shape) >= 2 * _SMALLEST:
        halves = _halved(before), _halved(after)
        _shifted(*halves, fit)
        _fitted(*halves, 2.0, fit)
    _fitted(before, after, 1.0, fit)
    grown = max(1 + complex(fit[2], fit[3]), 0.2, key=abs)
    shift = complex(fit[0] / columns, fit[1] / rows)
    return Similarity(shift, complex(np.log(grown)), float(fit[4]))


@njit
def _halved(thumb: np.ndarray) -> np.ndarray:
    """Means of 2x2 samples."""
    rows, columns = thumb.shape[0] // 2, thumb.shape[1] // 2
    out = np.empty((rows, columns), np.float32)
    for y in range(rows):
        one, two = thumb[2 * y], thumb[2 * y + 1]
        for x in range(columns):
            out[y, x] = 0.25 * (one[2 * x] + one[2 * x + 1] + two[2 * x] + two[2 * x + 1])
    return out


@njit
def _shifted(before: np.ndarray, after: np.ndarray, fit: np.ndarray) -> None:
    """The shift of least difference, of half the size, into ``fit`` in samples of the whole."""
    rows, columns = after.shape
    least = np.inf
    for down in range(-(rows // _FAR), rows // _FAR + 1):
        for right in range(-(columns // _FAR), columns // _FAR + 1):
            off = 0.0
            for y in range(max(0, -down), min(rows, rows - down)):
                there, own = before[y + down], after[y]
                for x in range(max(0, -right), min(columns, columns - right)):
                    off += abs(own[x] - there[x + right])
            off /= (rows - abs(down)) * (columns - abs(right))
            off += _LONG * np.sqrt(down * down + right * right)
            if off < least:
                least = off
                fit[0], fit[1] = 2.0 * right, 2.0 * down


@njit
def _fitted(before: np.ndarray, after: np.ndarray, scale: float, fit: np.ndarray) -> None:
    """Fit shift right and down in samples of the whole thumbnail, zoom and turn; the share of the
    picture that agrees comes behind them. ``scale``: size of the whole against these pictures.
    """
    table, goal, first = np.empty((4, 4)), np.empty(4), np.zeros(4, np.int64)
    spread, mean = 255.0, 0.0
    for _ in range(_ROUNDS):
        spread, mean = _summed(before, after, scale, fit, (spread, mean), table, goal)
        factored(table, first)
        solved(table, first, goal)
        for k in range(4):
            fit[k] += goal[k]
        wide = scale * after.shape[1]
        step = max(abs(goal[0]), abs(goal[1]), wide * abs(goal[2]), wide * abs(goal[3]))
        if step < _STILL:
            break


@njit
def _summed(
    before: np.ndarray,
    after: np.ndarray,
    scale: float,
    fit: np.ndarray,
    known: tuple[float, float],
    table: np.ndarray,
    goal: np.ndarray,
) -> tuple[float, float]:
    """The equations of least squares for a step from ``fit``; mean and spread of what samples are
    off come back, each by its weight. known: both from the round before.
    """
    rows, columns = after.shape
    middle_down, middle_right = 0.5 * (rows - 1), 0.5 * (columns - 1)
    spread, mean = known
    row = np.empty(4)
    table[:], goal[:] = 0.0, 0.0
    total, first, off = 1e-9, 0.0, 0.0
    for y in range(rows):
        for x in range(columns):
            down, right = y - middle_down, x - middle_right
            from_left = right + fit[2] * right - fit[3] * down + fit[0] / scale + middle_right
            from_top = down + fit[2] * down + fit[3] * right + fit[1] / scale + middle_down
            if not (0 <= from_left < columns - 1 and 0 <= from_top < rows - 1):
                continue
            above, left = int(from_top), int(from_left)
            down_by, right_by = from_top - above, from_left - left
            top_left, top_right = before[above, left], before[above, left + 1]
            low_left, low_right = before[above + 1, left], before[above + 1, left + 1]
            top, low = top_right - top_left, low_right - low_left
            across = (1 - down_by) * top + down_by * low
            along = (1 - right_by) * (low_left - top_left) + right_by * (low_right - top_right)
            shown = (1 - down_by) * (top_left + right_by * top)
            shown += down_by * (low_left + right_by * low)
            error = after[y, x] - shown - mean
            part = error / (_OUT * spread)
            weight = 1 / (1 + part * part)
            weight *= weight
            row[0], row[1] = across / scale, along / scale
            row[2], row[3] = across * right + along * down, along * right - across * down
            for k in range(4):
                goal[k] += weight * row[k] * error
                for m in range(k + 1):
                    table[k, m] += weight * row[k] * row[m]
            total += weight
            first += weight * error
            off += weight * abs(error)
    for k in range(4):
        table[k, k] += _HELD * (1 / (scale * scale) if k < 2 else columns * columns / 12.0)
    fit[4] = total / (rows * columns)
    return max(_NOISE, 1.5 * off / total), mean + first / total
