"""Motion compensation: exact integer interpolation of quarter-sample blocks.

The filters and the intermediate precision are those of HEVC (ITU-T H.265, 8.5.3.3.3): 8 taps for
luma at a quarter, 4 taps for chroma at an eighth of a sample; 10-bit samples become 14-bit
intermediates, one final rounding. Samples outside a reference are its nearest border samples.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from ..compiled import njit, njit_borrowing
from ..picture import MAX_SAMPLE
from .weighting import FULL, GAIN_BITS, ONE

LUMA = np.array(
    [
        [0, 0, 0, 64, 0, 0, 0, 0],
        [-1, 4, -10, 58, 17, -5, 1, 0],
        [-1, 4, -11, 40, 40, -11, 4, -1],
        [0, 1, -5, 17, 58, -10, 4, -1],
    ],
    np.int32,
)
CHROMA = np.array(
    [
        [0, 64, 0, 0],
        [-2, 58, 10, -2],
        [-4, 54, 16, -2],
        [-6, 46, 28, -4],
        [-4, 36, 36, -4],
        [-4, 28, 46, -6],
        [-2, 16, 54, -4],
        [-2, 10, 58, -2],
    ],
    np.int32,
)
L0, L1, BI = 1, 2, 3  # prediction directions


@njit_borrowing
def _fetch(plane, y0, x0, h, w, out):
    """Copy plane[y0:y0+h, x0:x0+w] into out as int32, repeating the border."""
    ph, pw = plane.shape
    if y0 >= 0 and x0 >= 0 and y0 + h <= ph and x0 + w <= pw:
        for j in range(h):
            for i in range(w):
                out[j, i] = plane[y0 + j, x0 + i]
    else:
        for j in range(h):
            y = min(max(y0 + j, 0), ph - 1)
            for i in range(w):
                out[j, i] = plane[y, min(max(x0 + i, 0), pw - 1)]


@njit_borrowing
def luma_block(plane, y, x, my, mx, n, src, mid, out):
    """14-bit intermediate of the n x n luma block at (y, x) moved by (my, mx) quarter samples, into
    out[:n, :n].

    src and mid are int32 scratch of at least (n + 7, n + 7).
    """
    fy, fx = my & 3, mx & 3
    y0, x0 = y + (my >> 2), x + (mx >> 2)
    if fy == 0 and fx == 0:
        _fetch(plane, y0, x0, n, n, src)
        for j in range(n):
            for i in range(n):
                out[j, i] = src[j, i] << 4
        return
    _fetch(plane, y0 - 3, x0 - 3, n + 7, n + 7, src)
    if fx == 0:
        a = LUMA[fy]
        a0, a1, a2, a3, a4, a5, a6, a7 = a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]
        for j in range(n):
            for i in range(n):
                k = i + 3
                out[j, i] = (
                    a0 * src[j, k]
                    + a1 * src[j + 1, k]
                    + a2 * src[j + 2, k]
                    + a3 * src[j + 3, k]
                    + a4 * src[j + 4, k]
                    + a5 * src[j + 5, k]
                    + a6 * src[j + 6, k]
                    + a7 * src[j + 7, k]
                ) >> 2
        return
    b = LUMA[fx]
    b0, b1, b2, b3, b4, b5, b6, b7 = b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]
    if fy == 0:
        for j in range(n):
            k = j + 3
            for i in range(n):
                out[j, i] = (
                    b0 * src[k, i]
                    + b1 * src[k, i + 1]
                    + b2 * src[k, i + 2]
                    + b3 * src[k, i + 3]
                    + b4 * src[k, i + 4]
                    + b5 * src[k, i + 5]
                    + b6 * src[k, i + 6]
                    + b7 * src[k, i + 7]
                ) >> 2
        return
    for j in range(n + 7):
        for i in range(n):
            mid[j, i] = (
                b0 * src[j, i]
                + b1 * src[j, i + 1]
                + b2 * src[j, i + 2]
                + b3 * src[j, i + 3]
                + b4 * src[j, i + 4]
                + b5 * src[j, i + 5]
                + b6 * src[j, i + 6]
                + b7 * src[j, i + 7]
            ) >> 2
    a = LUMA[fy]
    a0, a1, a2, a3, a4, a5, a6, a7 = a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]
    for j in range(n):
        for i in range(n):
            out[j, i] = (
                a0 * mid[j, i]
                + a1 * mid[j + 1, i]
                + a2 * mid[j + 2, i]
                + a3 * mid[j + 3, i]
                + a4 * mid[j + 4, i]
                + a5 * mid[j + 5, i]
                + a6 * mid[j + 6, i]
                + a7 * mid[j + 7, i]
            ) >> 6


@njit_borrowing
def chroma_block(plane, y, x, my, mx, n, src, mid, out):
    """Like :func:`luma_block` for an n x n chroma block; (my, mx) in eighths of a chroma sample."""
    fy, fx = my & 7, mx & 7
    _fetch(plane, y + (my >> 3) - 1, x + (mx >> 3) - 1, n + 3, n + 3, src)
    a0, a1, a2, a3 = CHROMA[fy, 0], CHROMA[fy, 1], CHROMA[fy, 2], CHROMA[fy, 3]
    b0, b1, b2, b3 = CHROMA[fx, 0], CHROMA[fx, 1], CHROMA[fx, 2], CHROMA[fx, 3]
    if fx == 0 and fy == 0:
        for j in range(n):
            for i in range(n):
                out[j, i] = src[j + 1, i + 1] << 4
    elif fx == 0:
        for j in range(n):
            for i in range(n):
                out[j, i] = (
                    a0 * src[j, i + 1]
                    + a1 * src[j + 1, i + 1]
                    + a2 * src[j + 2, i + 1]
                    + a3 * src[j + 3, i + 1]
                ) >> 2
    elif fy == 0:
        for j in range(n):
            for i in range(n):
                out[j, i] = (
                    b0 * src[j + 1, i]
                    + b1 * src[j + 1, i + 1]
                    + b2 * src[j + 1, i + 2]
                    + b3 * src[j + 1, i + 3]
                ) >> 2
    else:
        for j in range(n + 3):
            for i in range(n):
                mid[j, i] = (
                    b0 * src[j, i] + b1 * src[j, i + 1] + b2 * src[j, i + 2] + b3 * src[j, i + 3]
                ) >> 2
        for j in range(n):
            for i in range(n):
                out[j, i] = (
                    a0 * mid[j, i] + a1 * mid[j + 1, i] + a2 * mid[j + 2, i] + a3 * mid[j + 3, i]
                ) >> 6


@njit_borrowing
def _store(out, y, x, n, direction, a, b):
    if direction == BI:
        for j in range(n):
            for i in range(n):
                out[y + j, x + i] = min(max((a[j, i] + b[j, i] + 16) >> 5, 0), MAX_SAMPLE)
    else:
        c = a if direction == L0 else b
        for j in range(n):
            for i in range(n):
                out[y + j, x + i] = min(max((c[j, i] + 8) >> 4, 0), MAX_SAMPLE)


@njit_borrowing
def weigh(block, n, gain, offset):
    """Gain and offset of a 14-bit intermediate, in place; the offset is in samples of 10 bits."""
    for j in range(n):
        for i in range(n):
            block[j, i] = ((block[j, i] * gain + (ONE >> 1)) >> GAIN_BITS) + (offset << 4)


@njit_borrowing
def _store_blend(out, y, x, n, a, b, blend):
    for j in range(n):
        for i in range(n):
            v = (a[j, i] * (FULL - blend) + b[j, i] * blend + 128) >> 8
            out[y + j, x + i] = min(max(v, 0), MAX_SAMPLE)


@njit_borrowing
def _store_weighted(out, y, x, n, direction, a, b, pairs, blend):
    """pairs (2, 2): gain and offset of each list for this plane."""
    if direction & L0:
        weigh(a, n, pairs[0, 0], pairs[0, 1])
    if direction & L1:
        weigh(b, n, pairs[1, 0], pairs[1, 1])
    if direction == BI:
        _store_blend(out, y, x, n, a, b, blend)
    else:
        _store(out, y, x, n, direction, a, b)


@njit
def compensate(leaves, f, ref0, ref1, out):
    """Predict a whole picture.

    leaves (n, 3) int32: row, column, size in units of 8 luma samples; f: motion_field.Field; ref0,
    ref1 and out: tuples of the Y, U, V planes, uint16 of 10 bits.
    """
    src, mid = np.empty((72, 72), np.int32), np.empty((72, 72), np.int32)
    a, b = np.empty((64, 64), np.int32), np.empty((64, 64), np.int32)
    _compensate(leaves, f, ref0, ref1, src, mid, a, b, out)


@njit_borrowing
def _compensate(leaves, f, ref0, ref1, src, mid, a, b, out):
    """:func:`compensate` with room to work."""
    direction, mv = f.direction, f.mv
    for leaf in range(leaves.shape[0]):
        r, c, s = leaves[leaf, 0], leaves[leaf, 1], leaves[leaf, 2]
        d = direction[r, c]
        y0, x0, y1, x1 = (
            nb.int64(mv[r, c, 0, 0]),
            nb.int64(mv[r, c, 0, 1]),
            nb.int64(mv[r, c, 1, 0]),
            nb.int64(mv[r, c, 1, 1]),
        )
        n = s * 8
        if d & L0:
            luma_block(ref0[0], r * 8, c * 8, y0, x0, n, src, mid, a)
        if d & L1:
            luma_block(ref1[0], r * 8, c * 8, y1, x1, n, src, mid, b)
        k = nb.int64(f.chosen[r, c]) - 1
        if k < 0:
            _store(out[0], r * 8, c * 8, n, d, a, b)
        else:
            pairs, blend = f.sets[k, :, 0], f.blends[k]
            _store_weighted(out[0], r * 8, c * 8, n, d, a, b, pairs, blend)
        for p in range(1, 3):
            if d & L0:
                chroma_block(ref0[p], r * 4, c * 4, y0, x0, n // 2, src, mid, a)
            if d & L1:
                chroma_block(ref1[p], r * 4, c * 4, y1, x1, n // 2, src, mid, b)
            if k < 0:
                _store(out[p], r * 4, c * 4, n // 2, d, a, b)
            else:
                pairs, blend = f.sets[k, :, p], f.blends[k]
                _store_weighted(out[p], r * 4, c * 4, n // 2, d, a, b, pairs, blend)
