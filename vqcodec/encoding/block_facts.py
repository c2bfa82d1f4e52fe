"""What the samples of each block of a plane are like, by compiled loops: numpy reduces small blocks
slowly, and numba's own reductions load SciPy."""

from __future__ import annotations

import numpy as np

from ..codec.frame_decoder import Planes
from ..compiled import njit, njit_borrowing
from ..picture import Picture


def extremes(plane: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The least and the largest sample of each block, two int32 maps of this shape; plane (H, W)
    int16."""
    least, largest = np.empty(shape, np.int32), np.empty(shape, np.int32)
    _extremes(plane, least, largest)
    return least, largest


@njit
def _extremes(plane: np.ndarray, least: np.ndarray, largest: np.ndarray) -> None:
    side = plane.shape[0] // least.shape[0]
    low, high = np.empty(plane.shape[1], np.int16), np.empty(plane.shape[1], np.int16)
    for r in range(least.shape[0]):
        low[:], high[:] = plane[r * side], plane[r * side]
        for y in range(r * side + 1, (r + 1) * side):
            row = plane[y]
            for x in range(row.shape[0]):
                low[x] = row[x] if row[x] < low[x] else low[x]
                high[x] = row[x] if row[x] > high[x] else high[x]
        for c in range(least.shape[1]):
            less, more = low[c * side], high[c * side]
            for x in range(c * side + 1, (c + 1) * side):
                less, more = min(less, low[x]), max(more, high[x])
            least[r, c], largest[r, c] = less, more


def unequal(first: np.ndarray, second: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Whether any sample of a block differs, a bool map of this shape; planes (H, W) int16."""
    out = np.empty(shape, np.bool_)
    _unequal(first, second, out)
    return out


@njit
def _unequal(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    side = a.shape[0] // out.shape[0]
    bits = np.empty(a.shape[1], np.int16)
    for r in range(out.shape[0]):
        bits[:] = 0
        for y in range(r * side, (r + 1) * side):
            p, q = a[y], b[y]
            for x in range(p.shape[0]):
                bits[x] |= p[x] ^ q[x]
        for c in range(out.shape[1]):
            any_bits = 0
            for x in range(c * side, (c + 1) * side):
                any_bits |= bits[x]
            out[r, c] = any_bits != 0


def weighed_squares(
    source: Planes, planes: Planes, weights: tuple[float, ...], shape: tuple[int, ...]
) -> np.ndarray:
    """Squared differences of all planes, each times its weight, summed up in each block: a float64
    map of this shape, of at most 16 luma samples a block."""
    out = np.zeros(shape)
    _weighed_squares(source, planes, weights, out)
    return out


@njit
def _weighed_squares(
    source: Planes, planes: Planes, weights: tuple[float, ...], out: np.ndarray
) -> None:
    sums = np.empty(out.shape, np.int32)
    for k in range(3):
        _squares(source[k], planes[k], sums)
        for r in range(out.shape[0]):
            for c in range(out.shape[1]):
                out[r, c] += weights[k] * sums[r, c]


def total_squares(shown: Picture, source: Picture) -> np.ndarray:
    """(3,) float64: sums of squared differences of the planes on the scale of 8 bits.

    shown: of 10 bits, rounded to 8 where the source has 8.
    """
    eight = source.y.dtype == np.uint8
    sums = [_total_squares(a, b, eight) for a, b in zip(shown, source, strict=True)]
    return np.array(sums) / (1 if eight else 16)


@njit_borrowing
def _total_squares(shown: np.ndarray, source: np.ndarray, eight: bool) -> float:
    total = 0.0
    for y in range(shown.shape[0]):
        a, b = shown[y], source[y]
        row = np.uint64(0)
        for x in range(shown.shape[1]):
            value = np.int32(a[x])
            if eight:
                value = min((value + np.int32(2)) >> np.int32(2), np.int32(255))
            d = np.int32(value - np.int32(b[x]))
            row += np.uint64(np.uint32(d * d))
        total += np.float64(row)
    return total


@njit
def squares(a: np.ndarray, b: np.ndarray, side: int) -> np.ndarray:
    """Sums of squared differences in blocks of ``side`` samples across, at most 16, an int32 map;
    planes (H, W) of 10 bits."""
    out = np.empty((a.shape[0] // side, a.shape[1] // side), np.int32)
    _squares(a, b, out)
    return out


@njit
def _squares(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    _sum_squares(a, b, np.empty(a.shape[1], np.int32), out)


@njit_borrowing
def _sum_squares(a: np.ndarray, b: np.ndarray, powers: np.ndarray, out: np.ndarray) -> None:
    """powers (W,) int32: room for the squares of a row of blocks."""
    side = a.shape[0] // out.shape[0]
    for r in range(out.shape[0]):
        powers[:] = 0
        for y in range(r * side, (r + 1) * side):
            p, q = a[y], b[y]
            for x in range(p.shape[0]):
                d = np.int32(np.int32(p[x]) - np.int32(q[x]))
                powers[x] = np.int32(powers[x] + np.int32(d * d))
        for c in range(out.shape[1]):
            total = 0
            for x in range(c * side, (c + 1) * side):
                total += powers[x]
            out[r, c] = total
