"""What of exact layers is no product, as compiled kernels.

Scales are binary32 and one to a channel; results are rounded to nearest, ties to even.
"""

from __future__ import annotations

import numpy as np

from ...compiled import njit, njit_borrowing
from .ranges import TOP8

_F = np.float32
_TOP8 = _F(TOP8)


@njit_borrowing
def quant8(t: np.ndarray, scale: np.ndarray, out: np.ndarray) -> None:
    """Write t (M, C) int16 times scale (C,) float32, rounded to even and clipped to 8 bits, to out
    (M, C) int8."""
    for m in range(t.shape[0]):
        a, o = t[m], out[m]
        for c in range(a.shape[0]):
            o[c] = np.int8(np.rint(min(max(np.float32(a[c]) * scale[c], -_TOP8), _TOP8)))


@njit
def depthwise(
    x: np.ndarray,
    begin: int,
    end: int,
    near: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray,
    scale: np.ndarray,
    out: np.ndarray,
) -> None:
    """Convolve each channel of the rows x (M, C) int8 with its taps w (9, C) int8, and write what
    is requantised to out, of x's shape, from row ``begin`` to ``end``. near (M, 9): rows around
    each, M for zeros."""
    rows, channels = x.shape
    acc = np.empty(channels, np.int32)
    for m in range(begin, end):
        for c in range(channels):
            acc[c] = bias[c]
        for tap in range(9):
            if near[m, tap] == rows:
                continue
            r, k = x[near[m, tap]], w[tap]
            for c in range(channels):
                acc[c] += np.int32(np.int16(r[c]) * np.int16(k[c]))
        o = out[m]
        for c in range(channels):
            v = np.float32(acc[c]) * scale[c]
            o[c] = np.int8(np.rint(min(max(v, -_TOP8), _TOP8)))
