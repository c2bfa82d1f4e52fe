"""The line that most pairs of samples lie near: gain and offset of a picture in another light.

Least squares that leave outliers out (iteratively reweighted: Holland and Welsch 1977), by loops
whose sums have one order on every processor.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..codec.weighting import MAX_GAIN, MAX_OFFSET, ONE, fade_offset
from ..compiled import njit_borrowing

ROUNDS = 6  # of the reweighted least squares, at most
SAME_GAIN, SAME_OFFSET = 1e-3, 0.1  # a round that changes less is the last
LEAST_SCALE = 2.0  # of errors in samples of 10 bits: smaller ones are not told from each other
FLAT = 16.0  # variance in samples of 10 bits below which a reference has no contrast to fit
PRIOR = 64.0  # variance of a reference at which its own gain counts as much as one known before
NO_OFFSET = 0.75  # samples of 10 bits that an offset may be off that of a fade, and is taken for it
_NO_PRIOR = -1.0


class Line(NamedTuple):
    """A picture as gain * reference + offset, in samples of 10 bits."""

    gain: float
    offset: float


def fit(shown: np.ndarray, wanted: np.ndarray, prior: float = _NO_PRIOR) -> Line:
    """The line that most pairs of samples shown and wanted, float32, lie near.

    Its gain is drawn to ``prior``, the more the less contrast there is.
    """
    gain, offset = _fit(shown.ravel(), wanted.ravel(), prior, np.empty((3, shown.size)))
    return Line(gain, offset)


@njit_borrowing
def _median(values: np.ndarray, room: np.ndarray) -> float:
    """The median of values (N,), found without sorting all (Hoare 1961); room (N,).

    Pivots are taken from all over, so that no picture makes it slow. What is below one is packed
    without a branch, for what is below is as good as random, and a wrong guess costs a processor
    more than the work.
    """
    n, state = values.size, 1
    for i in range(n):
        room[i] = values[i]
    middle, first, last = n // 2, 0, n
    while last - first > 1:
        count, pivots = last - first, (0.0, 0.0, 0.0)
        for _ in range(3):
            state = (state * 1103515245 + 12345) & 0x7FFFFFFF
            pivots = (pivots[1], pivots[2], room[first + state % count])
        low, high = min(pivots[0], pivots[1]), max(pivots[0], pivots[1])
        pivot = max(low, min(high, pivots[2]))
        below = first
        for i in range(first, last):
            value = room[i]
            room[i] = room[below]
            room[below] = value
            below += value < pivot
        if middle < below:
            last = below
            continue
        equal = below
        for i in range(below, last):
            value = room[i]
            room[i] = room[equal]
            room[equal] = value
            equal += value <= pivot
        if middle < equal:
            break
        first = equal
    if n % 2:
        return float(room[middle])
    under = room[0]
    for i in range(middle):
        under = max(under, room[i])
    return float((under + room[middle]) / 2)


@njit_borrowing
def _fit(
    shown: np.ndarray, wanted: np.ndarray, prior: float, rooms: np.ndarray
) -> tuple[float, float]:
    """Gain and offset; rooms (3, N) float64."""
    errors, weight, room = rooms[0], rooms[1], rooms[2]
    gain, offset = 1.0, 0.0
    weight[:] = 1.0
    for number in range(ROUNDS):
        total, mean, target = 0.0, 0.0, 0.0
        for i in range(shown.size):
            total += weight[i]
            mean += weight[i] * np.float64(shown[i])
            target += weight[i] * np.float64(wanted[i])
        mean, target = mean / total, target / total
        spread, common = 0.0, 0.0
        for i in range(shown.size):
            off = np.float64(shown[i]) - mean
            spread += weight[i] * off * off
            common += weight[i] * off * (np.float64(wanted[i]) - target)
        spread, common = spread / total, common / total
        if prior >= 0:
            spread, common = spread + PRIOR, common + PRIOR * prior
        before = Line(gain, offset)
        gain = min(max(common / spread, 0.0), MAX_GAIN / ONE) if spread > FLAT else 1.0
        offset = target - gain * mean
        still = abs(gain - before.gain) < SAME_GAIN and abs(offset - before.offset) < SAME_OFFSET
        if number and still:  # the first has none before it
            break
        for i in range(shown.size):
            errors[i] = abs(gain * np.float64(shown[i]) + offset - np.float64(wanted[i]))
        scale = max(LEAST_SCALE, 2 * _median(errors, room))
        for i in range(shown.size):
            share = errors[i] / scale
            near = 1 + share * share
            weight[i] = 1 / (near * near)
    return gain, offset


def pair(line: Line, shown: np.ndarray, wanted: np.ndarray, plane: int) -> tuple[int, int]:
    """A line as a gain and an offset to code; the offset makes up for the rounding of the gain."""
    gain = min(max(round(line.gain * ONE), 0), MAX_GAIN)
    offset = _offset(shown.ravel(), wanted.ravel(), gain / ONE, np.empty((3, shown.size)))
    expected = int(fade_offset(gain, plane))
    if abs(offset - expected) < NO_OFFSET:
        return gain, expected
    return gain, min(max(round(offset), -MAX_OFFSET), MAX_OFFSET)


@njit_borrowing
def _offset(shown: np.ndarray, wanted: np.ndarray, gain: float, rooms: np.ndarray) -> float:
    """Mean of the differences under a gain that lie near their median; rooms (3, N) float64."""
    errors, near, room = rooms[0], rooms[1], rooms[2]
    for i in range(shown.size):
        errors[i] = np.float64(wanted[i]) - gain * np.float64(shown[i])
    middle = _median(errors, room)
    for i in range(shown.size):
        near[i] = abs(errors[i] - middle)
    limit = max(LEAST_SCALE, _median(near, room))
    total, count = 0.0, 0
    for i in range(shown.size):
        if near[i] <= limit:
            total += errors[i]
            count += 1
    return total / count
