"""Squared error of pictures."""

from __future__ import annotations

import numpy as np

from .picture import Picture, plane8


def squared_error(shown: Picture, source: Picture) -> np.ndarray:
    """Sums of squared differences of two pictures of one size.

    Args:
        shown: Of 10 bits, or of as many as ``source``; rounded to 8 where that has 8.
        source: Of 8 or 10 bits.

    Returns:
        (3,) float64: those of Y, U and V on the scale of 8 bits.
    """
    return np.array([_plane_error(a, b) for a, b in zip(shown, source, strict=True)])


def _plane_error(shown: np.ndarray, source: np.ndarray) -> float:
    if source.dtype == np.uint8 and shown.dtype != np.uint8:
        shown = plane8(shown)
    # a square fits 32 bits, the sum of a large picture does not
    total = np.square(shown.astype(np.int32) - source).sum(dtype=np.int64)
    return float(total) / (1 if source.dtype == np.uint8 else 16)
