"""References interpolated once for all blocks that are matched with them."""

from __future__ import annotations

import numba as nb
import numpy as np

from ..codec.motion_compensation import LUMA
from ..codec.weighting import GAIN, GAIN_BITS, OFFSET, ONE
from ..compiled import njit
from .block_matching import PAD

_TAPS = LUMA.astype(np.float32)  # products and sums are below 2 ** 24, and exact in floats
_WHOLE, _HALF = np.float32(1 / (1 << 14)), np.float32(0.5)  # of 10 bits times two filters
_WHOLE_ACROSS = np.float32(1 / (1 << 8))  # and times one


@njit
def _taps(fraction):
    """The eight taps of a quarter-sample phase."""
    taps = _TAPS[fraction]
    return taps[0], taps[1], taps[2], taps[3], taps[4], taps[5], taps[6], taps[7]


@njit
def _padded(given, out):
    """A row with its border repeated, (W + 2 PAD + 7,) float32."""
    left, right = PAD + 3, PAD + 3 + given.size
    for i in range(left):
        out[i] = given[0]
    inner, rest = out[left:right], out[right:]
    for i in range(given.size):
        inner[i] = given[i]
    for i in range(rest.size):
        rest[i] = given[given.size - 1]


@njit
def _across(source, taps, out):
    """A row at a horizontal phase."""
    b0, b1, b2, b3, b4, b5, b6, b7 = taps
    for i in range(out.size):
        out[i] = (
            b0 * source[i]
            + b1 * source[i + 1]
            + b2 * source[i + 2]
            + b3 * source[i + 3]
            + b4 * source[i + 4]
            + b5 * source[i + 5]
            + b6 * source[i + 6]
            + b7 * source[i + 7]
        )


@njit
def _sample(value):
    return np.uint8(np.int32(min(max(value + _HALF, np.float32(0)), np.float32(255))))


@njit
def _down(rows, taps, out):
    """A row of 8 bits at a vertical phase, of eight rows at a horizontal one."""
    a0, a1, a2, a3, a4, a5, a6, a7 = taps
    m0, m1, m2, m3, m4, m5, m6, m7 = rows
    for i in range(out.size):
        value = (
            a0 * m0[i]
            + a1 * m1[i]
            + a2 * m2[i]
            + a3 * m3[i]
            + a4 * m4[i]
            + a5 * m5[i]
            + a6 * m6[i]
            + a7 * m7[i]
        )
        out[i] = _sample(value * _WHOLE)


@njit
def _row(mid, row):
    return mid[min(max(row, 0), mid.shape[0] - 1)]


@njit
def _phase(mid, fraction, out):
    """out (H + 2 PAD, W + 2 PAD) uint8: a vertical phase of rows (H, W + 2 PAD) at a horizontal
    one."""
    height = mid.shape[0]
    taps, tall = _taps(fraction), height + 2 * PAD
    for j in range(-4, height + 4):  # beyond, all rows are the same
        to = out[j + PAD]
        if fraction == 0:
            near = _row(mid, j)
            for i in range(to.size):
                to[i] = _sample(near[i] * _WHOLE_ACROSS)
        else:
            rows = (
                _row(mid, j - 3), _row(mid, j - 2), _row(mid, j - 1), _row(mid, j),
                _row(mid, j + 1), _row(mid, j + 2), _row(mid, j + 3), _row(mid, j + 4),
            )  # fmt: skip
            _down(rows, taps, to)
    for j in range(PAD - 4):
        out[j] = out[PAD - 4]
        out[tall - 1 - j] = out[tall - PAD + 3]


@njit
def phases(plane, precision):
    """(H, W) uint16 of 10 bits -> (4, 4, H + 2 PAD, W + 2 PAD) uint8: [vertical][horizontal]
    quarter-sample phases, border repeated.

    precision: 1, or 2 or 4 to fill in only every second or fourth phase along each side.
    """
    h, w = plane.shape
    tall, wide = h + 2 * PAD, w + 2 * PAD
    out = np.empty((4, 4, tall, wide), np.uint8)
    source, mid = np.empty((h, wide + 7), np.float32), np.empty((h, wide), np.float32)
    for j in range(h):
        _padded(plane[j], source[j])
    for across in range(0, 4, precision):
        taps = _taps(across)
        for j in range(h):
            _across(source[j], taps, mid[j])
        for down in range(0, 4, precision):
            _phase(mid, down, out[down, across])
    return out


@njit
def _weighted(ph, pairs, precision, out):
    """Phases under gains and offsets of luma, (N, 2); out (N, ...)."""
    for k in range(pairs.shape[0]):
        gain = nb.int32(pairs[k, GAIN])
        offset = nb.int32((pairs[k, OFFSET] << (GAIN_BITS - 2)) + (ONE >> 1))
        for down in range(0, 4, precision):
            for across in range(0, 4, precision):
                given, to = ph[down, across].ravel(), out[k, down, across].ravel()
                for i in range(given.size):
                    value = (nb.int32(given[i]) * gain + offset) >> nb.int32(GAIN_BITS)
                    to[i] = min(max(value, nb.int32(0)), nb.int32(255))


def under_weights(ph: np.ndarray, sets: np.ndarray, which: int, precision: int) -> np.ndarray:
    """(N, 4, 4, ...) uint8: :func:`phases` of list ``which`` under each set of weights, see
    codec.weighting.Weights; the phases themselves, (1, 4, 4, ...), where there is none."""
    if not len(sets):
        return ph[None]
    out = np.empty((len(sets), *ph.shape), np.uint8)
    _weighted(ph, np.ascontiguousarray(sets[:, which, 0]), precision, out)
    return out
