"""Squared error of pictures, and measures of quality from its sums."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .picture import Picture, chroma_size, plane8

# given for pictures without any error, so that no infinity gets into averages and JSON
PSNR_CAP = 100.0


class Psnr(NamedTuple):
    """PSNR of pictures in dB: ``yuv`` is (6 Y + U + V) / 8."""

    yuv: float
    y: float
    u: float
    v: float


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


def psnr(sse: float, samples: int) -> float:
    """PSNR in dB of the mean error on the 8-bit scale; at most 100."""
    if sse <= 0 or samples <= 0:
        return PSNR_CAP
    return min(PSNR_CAP, 10 * math.log10(255 * 255 * samples / sse))


def psnr_yuv(sse: Sequence[float] | np.ndarray, width: int, height: int, frames: int) -> Psnr:
    """PSNR for the errors of Y, U and V summed over ``frames`` pictures, on the 8-bit scale."""
    cw, ch = chroma_size(width, height)
    y = psnr(sse[0], width * height * frames)
    u, v = (psnr(error, cw * ch * frames) for error in sse[1:3])
    return Psnr((6 * y + u + v) / 8, y, u, v)
