"""What follows an exact product, as compiled kernels over matrices (M, C) of M positions.

Scales are binary32 and one to a channel; results are rounded to nearest, ties to even.
"""

from __future__ import annotations

import numpy as np

from ...compiled import njit
from .ranges import SLOPE, TOP8, TOP16, WIDE

_F = np.float32
_TOP8, _TOP16, _WIDE_TOP, _SLOPE = (_F(v) for v in (TOP8, TOP16, WIDE, SLOPE))


@njit
def requant8(
    acc: np.ndarray, bias: np.ndarray, scale: np.ndarray, leaky: bool, out: np.ndarray
) -> None:
    for m in range(acc.shape[0]):
        a, o = acc[m], out[m]
        if leaky:
            for c in range(a.shape[0]):
                v = np.float32(a[c] + bias[c]) * scale[c]
                v = v if v >= _F(0) else v * _SLOPE
                o[c] = np.int8(np.rint(min(max(v, -_TOP8), _TOP8)))
        else:
            for c in range(a.shape[0]):
                v = np.float32(a[c] + bias[c]) * scale[c]
                o[c] = np.int8(np.rint(min(max(v, -_TOP8), _TOP8)))


@njit
def requant16(acc: np.ndarray, bias: np.ndarray, scale: np.ndarray, out: np.ndarray) -> None:
    for m in range(acc.shape[0]):
        a, o = acc[m], out[m]
        for c in range(a.shape[0]):
            v = np.float32(a[c] + bias[c]) * scale[c]
            o[c] = np.int16(np.rint(min(max(v, -_TOP16), _TOP16)))


@njit
def add(
    acc: np.ndarray,
    bias: np.ndarray,
    scale: np.ndarray,
    trunk: np.ndarray,
    scale8: np.ndarray,
    out8: np.ndarray,
) -> None:
    # trunk += requantised acc, and at once the int8 copy that the next layer reads
    for m in range(acc.shape[0]):
        a, t, o = acc[m], trunk[m], out8[m]
        for c in range(a.shape[0]):
            v = np.float32(a[c] + bias[c]) * scale[c]
            v = np.rint(min(max(v, -_TOP16), _TOP16))
            s = np.float32(t[c]) + v
            s = min(max(s, -_TOP16), _TOP16)
            t[c] = np.int16(s)
            o[c] = np.int8(np.rint(min(max(s * scale8[c], -_TOP8), _TOP8)))


@njit
def quant8(t: np.ndarray, scale: np.ndarray, out: np.ndarray) -> None:
    for m in range(t.shape[0]):
        a, o = t[m], out[m]
        for c in range(a.shape[0]):
            o[c] = np.int8(np.rint(min(max(np.float32(a[c]) * scale[c], -_TOP8), _TOP8)))


@njit
def split(t: np.ndarray, scale: np.ndarray, hi: np.ndarray, lo: np.ndarray) -> None:
    for m in range(t.shape[0]):
        a, h, l = t[m], hi[m], lo[m]
        for c in range(a.shape[0]):
            v = np.int32(np.rint(min(max(np.float32(a[c]) * scale[c], -_WIDE_TOP), _WIDE_TOP)))
            k = (v + 64) >> 7
            h[c] = np.int8(k)
            l[c] = np.int8(v - (k << 7))


@njit
def depthwise(
    x: np.ndarray, w: np.ndarray, bias: np.ndarray, scale: np.ndarray, out: np.ndarray
) -> None:
    # x, out (N, H, W, C) int8, w (9, C) int8
    n, hh, ww, cc = x.shape
    acc = np.empty(cc, np.int32)
    for b in range(n):
        for y in range(hh):
            for xx in range(ww):
                for c in range(cc):
                    acc[c] = bias[c]
                for dy in range(-1, 2):
                    if y + dy < 0 or y + dy >= hh:
                        continue
                    for dx in range(-1, 2):
                        if xx + dx < 0 or xx + dx >= ww:
                            continue
                        r = x[b, y + dy, xx + dx]
                        k = w[dy * 3 + dx + 4]
                        for c in range(cc):
                            acc[c] += np.int32(np.int16(r[c]) * np.int16(k[c]))
                o = out[b, y, xx]
                for c in range(cc):
                    v = np.float32(acc[c]) * scale[c]
                    o[c] = np.int8(np.rint(min(max(v, -_TOP8), _TOP8)))
