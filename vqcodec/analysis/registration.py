"""How a camera moved from one picture to another, seen on thumbnails of both.

The shift of least difference is looked for in full at a half of the size; from there a similarity
(shift, zoom, turn) is fitted to the samples themselves, coarse to fine, by least squares in which
what goes its own way comes to count for little (Lucas and Kanade 1981; Baker and Matthews 2004).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..compiled import njit

_ROUNDS = 8  # of a fit at each size
_STILL = 0.01  # samples of the thumbnail: smaller steps end a fit
_OUT = 2.0  # spreads that a sample is off, beyond which it counts for little
_NOISE = 0.7  # of 255: spread that samples have at least
_HELD = 1e-2  # squared gradients that hold the guess where a picture says nothing
_FAR = 3  # part of a thumbnail that a camera goes on by
_LONG = 0.02  # difference of all samples that a sample of a shift's length costs
_SMALLEST = 16  # rows of a thumbnail that is halved


class Similarity(NamedTuple):
    """Where what a picture shows lies in one before it: at ``shift`` + (1 + zoom and turn) times
    its place, both from the middle.
    """

    shift: complex
    """Right real and down imaginary, in widths of the picture."""
    zoom: complex
    """Logarithm of zoom and turn."""
    agreed: float
    """Share of the picture that is seen in both and moves so, 0 to 1."""


def similarity(before: np.ndarray, after: np.ndarray) -> Similarity:
    """From thumbnails (rows, columns) float32 of two pictures of a scene."""
    width = after.shape[1]
    fit = np.zeros(5)
    if min(after.shape) >= 2 * _SMALLEST:
        halves = _halved(before), _halved(after)
        _shifted(*halves, fit)
        _fitted(*halves, 2.0, fit)
    _fitted(before, after, 1.0, fit)
    grown = max(1 + complex(fit[2], fit[3]), 0.2, key=abs)
    return Similarity(complex(fit[0], fit[1]) / width, complex(np.log(grown)), float(fit[4]))


@njit
def _halved(thumb: np.ndarray) -> np.ndarray:
    """Means of 2x2 samples."""
    h, w = thumb.shape[0] // 2, thumb.shape[1] // 2
    out = np.empty((h, w), np.float32)
    for y in range(h):
        one, two = thumb[2 * y], thumb[2 * y + 1]
        for x in range(w):
            out[y, x] = 0.25 * (one[2 * x] + one[2 * x + 1] + two[2 * x] + two[2 * x + 1])
    return out


@njit
def _shifted(before: np.ndarray, after: np.ndarray, fit: np.ndarray) -> None:
    """The shift of least difference, of half the size, into ``fit`` in samples of the whole."""
    h, w = after.shape
    least = np.inf
    for down in range(-(h // _FAR), h // _FAR + 1):
        for right in range(-(w // _FAR), w // _FAR + 1):
            off = 0.0
            for y in range(max(0, -down), min(h, h - down)):
                there, own = before[y + down], after[y]
                for x in range(max(0, -right), min(w, w - right)):
                    off += abs(own[x] - there[x + right])
            off /= (h - abs(down)) * (w - abs(right))
            off += _LONG * np.sqrt(down * down + right * right)
            if off < least:
                least = off
                fit[0], fit[1] = 2.0 * right, 2.0 * down


@njit
def _fitted(before: np.ndarray, after: np.ndarray, scale: float, fit: np.ndarray) -> None:
    """Fit shift right and down in samples of the whole thumbnail, zoom and turn; the share of the
    picture that agrees comes behind them. ``scale``: size of the whole against these pictures.
    """
    table, goal = np.empty((4, 4)), np.empty(4)
    spread, mean = 255.0, 0.0
    for _ in range(_ROUNDS):
        spread, mean = _summed(before, after, scale, fit, (spread, mean), table, goal)
        _solved(table, goal)
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
    h, w = after.shape
    spread, mean = known
    row = np.empty(4)
    table[:], goal[:] = 0.0, 0.0
    total, first, off = 1e-9, 0.0, 0.0
    for y in range(h):
        for x in range(w):
            down, right = y - 0.5 * (h - 1), x - 0.5 * (w - 1)
            u = right + fit[2] * right - fit[3] * down + fit[0] / scale + 0.5 * (w - 1)
            v = down + fit[2] * down + fit[3] * right + fit[1] / scale + 0.5 * (h - 1)
            if not (0 <= u < w - 1 and 0 <= v < h - 1):
                continue
            i, j = int(v), int(u)
            f, g = v - i, u - j
            top, low = before[i, j + 1] - before[i, j], before[i + 1, j + 1] - before[i + 1, j]
            across = (1 - f) * top + f * low
            along = (1 - g) * (before[i + 1, j] - before[i, j]) + g * (
                before[i + 1, j + 1] - before[i, j + 1]
            )
            shown = (1 - f) * (before[i, j] + g * top) + f * (before[i + 1, j] + g * low)
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
        table[k, k] += _HELD * (1 / (scale * scale) if k < 2 else w * w / 12.0)
    fit[4] = total / (h * w)
    return max(_NOISE, 1.5 * off / total), mean + first / total


@njit
def _solved(table: np.ndarray, goal: np.ndarray) -> None:
    """The solution of four equations, in the place of their right sides (Cholesky)."""
    for i in range(4):
        for j in range(i + 1):
            value = table[i, j]
            for k in range(j):
                value -= table[i, k] * table[j, k]
            table[i, j] = np.sqrt(max(value, 1e-12)) if i == j else value / table[j, j]
        value = goal[i]
        for k in range(i):
            value -= table[i, k] * goal[k]
        goal[i] = value / table[i, i]
    for i in range(3, -1, -1):
        for k in range(i + 1, 4):
            goal[i] -= table[k, i] * goal[k]
        goal[i] /= table[i, i]
