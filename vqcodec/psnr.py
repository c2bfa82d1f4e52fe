"""PSNR from sums of squared errors, which files carry: no samples are needed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from .picture_size import chroma_size

if TYPE_CHECKING:
    import numpy as np

# given for pictures without any error, so that no infinity gets into averages and JSON
PSNR_CAP = 100.0


class Psnr(NamedTuple):
    """PSNR of pictures in dB: ``yuv`` is (6 Y + U + V) / 8."""

    yuv: float
    y: float
    u: float
    v: float


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
