"""Measures of quality from sums of squared error."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .picture import chroma_size

PSNR_CAP = (
    100.0  # given for pictures without any error, so that no infinity gets into averages and JSON
)


def psnr(sse: float, samples: int) -> float:
    """PSNR in dB of the mean error on the 8-bit scale; at most 100."""
    if sse <= 0 or samples <= 0:
        return PSNR_CAP
    return min(PSNR_CAP, 10 * math.log10(255 * 255 * samples / sse))


def psnr_yuv(
    sse: Sequence[float], width: int, height: int, frames: int
) -> tuple[float, float, float, float]:
    """(weighted, Y, U, V) in dB for the summed errors of ``frames`` pictures; weighted is (6 Y + U + V) / 8."""
    cw, ch = chroma_size(width, height)
    y = psnr(sse[0], width * height * frames)
    u, v = (psnr(s, cw * ch * frames) for s in sse[1:3])
    return (6 * y + u + v) / 8, y, u, v
