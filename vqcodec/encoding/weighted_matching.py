"""Blocks matched with references under gains and offsets.

Set 0, without weights, has functions of its own in block_matching: most frames need no others.
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from ..codec.motion_compensation import BI, L0
from ..codec.weighting import BLEND_BITS, FULL, GAIN, GAIN_BITS, HALF, OFFSET, ONE
from ..compiled import njit
from .block_matching import moved


class Lines(NamedTuple):
    """Luma's weights for samples of 8 bits, with set 0 in front.

    A weighted sample is (value * gain + offset) >> GAIN_BITS.
    """

    pairs: np.ndarray  # (N + 1, 2, 2) int32 [set][list][GAIN, OFFSET]
    blends: np.ndarray  # (N + 1,) int32


@njit
def weight_lines(sets, blends):
    """The lines of a frame's sets: see codec.weighting.Weights."""
    count = blends.size
    out = Lines(np.empty((count + 1, 2, 2), np.int32), np.empty(count + 1, np.int32))
    out.pairs[0, :, GAIN] = ONE
    out.pairs[0, :, OFFSET] = ONE >> 1
    out.blends[0] = HALF
    for k in range(count):
        for l in range(2):
            out.pairs[k + 1, l, GAIN] = sets[k, l, 0, GAIN]
            out.pairs[k + 1, l, OFFSET] = (sets[k, l, 0, OFFSET] << (GAIN_BITS - 2)) + (ONE >> 1)
        out.blends[k + 1] = blends[k]
    return out


@njit
def _weigh(value, gain, offset):
    return min(max((nb.int32(value) * gain + offset) >> GAIN_BITS, 0), 255)


@njit
def _blended(first, second, gains, offsets, share):
    """A sample of both references; gains, offsets: of both; share: of the second, in 16ths."""
    u = (nb.int32(first) * gains[0] + offsets[0]) >> GAIN_BITS
    v = (nb.int32(second) * gains[1] + offsets[1]) >> GAIN_BITS
    return min(max((u * (FULL - share) + v * share + HALF) >> BLEND_BITS, 0), 255)


@njit
def _both(pairs, blend):
    """Gains, offsets and share for :func:`_blended`, of pairs (2, 2) and a blend."""
    gains, offsets = (pairs[0, GAIN], pairs[1, GAIN]), (pairs[0, OFFSET], pairs[1, OFFSET])
    return gains, offsets, nb.int32(blend)


@njit
def sad_weighted(ph, cur, y, x, my, mx, n, best, pair):
    """:func:`.sad` of a reference under a gain and an offset, pair (2,)."""
    gain, offset = pair[GAIN], pair[OFFSET]
    p, r, c = moved(ph, y, x, my, mx)
    s = nb.int32(0)
    for j in range(n):
        for k in range(0, n, 8):
            for i in range(8):
                v = _weigh(p[r + j, c + k + i], gain, offset)
                s += abs(v - nb.int32(cur[y + j, x + k + i]))
        if s >= best:
            return s
    return s


@njit
def sad_blended(p0, p1, cur, y, x, mv, n, pairs, blend):
    """:func:`.sad_bi` under gains and offsets, pairs (2, 2), and a blend."""
    a, r, c = moved(p0, y, x, mv[0, 0], mv[0, 1])
    b, q, d = moved(p1, y, x, mv[1, 0], mv[1, 1])
    gains, offsets, share = _both(pairs, blend)
    s = nb.int32(0)
    for j in range(n):
        for k in range(0, n, 8):
            for i in range(8):
                v = _blended(a[r + j, c + k + i], b[q + j, d + k + i], gains, offsets, share)
                s += abs(v - nb.int32(cur[y + j, x + k + i]))
    return s


@njit
def weighted_error(p0, p1, cur, y, x, mv, direction, pairs, blend):
    """Sum of squared errors of the 8x8 block at (y, x) under gains, offsets and a blend."""
    a, r, c = moved(p0, y, x, mv[0, 0], mv[0, 1])
    b, q, d = moved(p1, y, x, mv[1, 0], mv[1, 1])
    gains, offsets, share = _both(pairs, blend)
    s = nb.int32(0)
    if direction == BI:
        for j in range(8):
            for i in range(8):
                v = _blended(a[r + j, c + i], b[q + j, d + i], gains, offsets, share)
                e = v - nb.int32(cur[y + j, x + i])
                s += e * e
        return s
    l = 0 if direction == L0 else 1
    if l == 1:
        a, r, c = b, q, d
    for j in range(8):
        for i in range(8):
            e = _weigh(a[r + j, c + i], gains[l], offsets[l]) - nb.int32(cur[y + j, x + i])
            s += e * e
    return s
