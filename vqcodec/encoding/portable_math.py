"""Logarithms and powers of arrays that are the same on every processor.

numpy computes them with the widest instructions that it finds, and their last bits differ between
these. What is coded must not: so they are computed in 64 bits, and logarithms are rounded to
multiples of 2^-20, powers to 20 bits behind the point of their mantissa. That is far above what
differs and far below what matters.

Kernels have the logarithms of the C library, in 64 bits too. Where many are compared they are
rounded to 32 bits (``range_coder.bit_costs``).
"""

from __future__ import annotations

import numpy as np

_PARTS = 1 << 20  # of 1


def log(values: np.ndarray) -> np.ndarray:
    """Natural logarithms of values above 0, any shape: float64."""
    return _rounded(np.log(values, dtype=np.float64))


def log2(values: np.ndarray) -> np.ndarray:
    """Logarithms to the base 2 of values above 0, any shape: float64, in octaves."""
    return _rounded(np.log2(values, dtype=np.float64))


def exp2(octaves: np.ndarray) -> np.ndarray:
    """2 to the power of each, any shape: float64."""
    whole = np.floor(octaves)
    mantissa = _rounded(np.exp2(octaves - whole, dtype=np.float64))
    return np.asarray(np.ldexp(mantissa, whole.astype(np.int32)))


def _rounded(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.round(values * _PARTS) / _PARTS)
