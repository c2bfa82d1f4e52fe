"""What of exact layers is no product, as compiled kernels.

Scales are binary32 and one to a channel; results are rounded to nearest, ties to even.
"""

from __future__ import annotations

import numpy as np

from ...compiled import njit_borrowing
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
