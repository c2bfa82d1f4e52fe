"""References interpolated once for all blocks that are matched with them."""

from __future__ import annotations

import numba as nb
import numpy as np

from ..codec.motion_compensation import LUMA
from ..codec.weighting import GAIN, GAIN_BITS, OFFSET, ONE
from ..compiled import njit
from .block_matching import PAD


@njit
def _taps(fraction):
    """The eight taps of a quarter-sample phase; of 16 bits, whose products are cheap."""
    taps = LUMA[fraction]
    return (
        np.int16(taps[0]), np.int16(taps[1]), np.int16(taps[2]), np.int16(taps[3]),
        np.int16(taps[4]), np.int16(taps[5]), np.int16(taps[6]), np.int16(taps[7]),
    )  # fmt: skip


@njit
def _padded(plane, row, out):
    """A row of a plane with its border repeated, (W + 2 PAD + 7,) int16."""
    width = plane.shape[1]
    left = PAD + 3
    out[:left] = plane[row, 0]
    for i in range(width):
        out[left + i] = plane[row, i]
    out[left + width :] = plane[row, width - 1]


@njit
def _across(source, taps, out):
    """A row at a horizontal phase, as 14-bit intermediates."""
    b0, b1, b2, b3, b4, b5, b6, b7 = taps
    for i in range(out.size):
        out[i] = (
            nb.int32(b0) * nb.int32(source[i])
            + nb.int32(b1) * nb.int32(source[i + 1])
            + nb.int32(b2) * nb.int32(source[i + 2])
            + nb.int32(b3) * nb.int32(source[i + 3])
            + nb.int32(b4) * nb.int32(source[i + 4])
            + nb.int32(b5) * nb.int32(source[i + 5])
            + nb.int32(b6) * nb.int32(source[i + 6])
            + nb.int32(b7) * nb.int32(source[i + 7])
        ) >> 2


@njit
def _down(rows, taps, out):
    """A row of 8 bits at a vertical phase, of eight rows (8, W) of intermediates."""
    a0, a1, a2, a3, a4, a5, a6, a7 = taps
    m0, m1, m2, m3, m4, m5, m6, m7 = rows
    for i in range(out.size):
        value = (
            nb.int32(a0) * nb.int32(m0[i])
            + nb.int32(a1) * nb.int32(m1[i])
            + nb.int32(a2) * nb.int32(m2[i])
            + nb.int32(a3) * nb.int32(m3[i])
            + nb.int32(a4) * nb.int32(m4[i])
            + nb.int32(a5) * nb.int32(m5[i])
            + nb.int32(a6) * nb.int32(m6[i])
            + nb.int32(a7) * nb.int32(m7[i])
            + nb.int32(2048)
        ) >> 12
        out[i] = min(max(value, nb.int32(0)), nb.int32(255))


@njit
def phases(plane):
    """(H, W) uint16 of 10 bits -> (4, 4, H + 2 PAD, W + 2 PAD) uint8: [vertical][horizontal]
    quarter-sample phases, border repeated."""
    h, w = plane.shape
    tall, wide = h + 2 * PAD, w + 2 * PAD
    out = np.empty((4, 4, tall, wide), np.uint8)
    source = np.empty(wide + 7, np.int16)
    mid = np.empty((4, tall + 7, wide), np.int16)
    for j in range(tall + 7):
        row = j - PAD - 3
        if 0 < row < h or j == 0:
            _padded(plane, max(row, 0), source)
            for fx in range(4):
                if fx == 0:
                    for i in range(wide):
                        mid[fx, j, i] = source[i + 3] << 4
                else:
                    _across(source, _taps(fx), mid[fx, j])
        else:
            for fx in range(4):
                mid[fx, j] = mid[fx, j - 1]
    for fx in range(4):
        for fy in range(4):
            taps = _taps(fy)
            for j in range(tall):
                to, m = out[fy, fx, j], mid[fx]
                if fy == 0:
                    near = m[j + 3]
                    for i in range(wide):
                        value = (nb.int32(near[i]) + nb.int32(32)) >> 6
                        to[i] = min(max(value, nb.int32(0)), nb.int32(255))
                else:
                    rows = (
                        m[j], m[j + 1], m[j + 2], m[j + 3], m[j + 4], m[j + 5], m[j + 6], m[j + 7],
                    )  # fmt: skip
                    _down(rows, taps, to)
    return out


@njit
def _weighted(ph, pairs, out):
    """Phases under gains and offsets of luma, (N, 2); the first of out (N + 1, ...) without."""
    plain, given = out[0].ravel(), ph.ravel()
    plain[:] = given
    for k in range(pairs.shape[0]):
        gain = nb.int32(pairs[k, GAIN])
        offset = nb.int32((pairs[k, OFFSET] << (GAIN_BITS - 2)) + (ONE >> 1))
        to = out[k + 1].ravel()
        for i in range(given.size):
            value = (nb.int32(given[i]) * gain + offset) >> nb.int32(GAIN_BITS)
            to[i] = min(max(value, nb.int32(0)), nb.int32(255))


def under_weights(ph: np.ndarray, sets: np.ndarray, which: int) -> np.ndarray:
    """(N + 1, 4, 4, ...) uint8: phases of list ``which`` without weights and under each set, see
    codec.weighting.Weights."""
    if not len(sets):
        return ph[None]
    out = np.empty((len(sets) + 1, *ph.shape), np.uint8)
    _weighted(ph, np.ascontiguousarray(sets[:, which, 0]), out)
    return out
