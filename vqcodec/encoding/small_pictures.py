"""Pictures at a half, a quarter and an eighth of the size, made once a picture.

Look-ahead, temporal filter and motion search all look for motion in them first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numba as nb
import numpy as np

from ..compiled import njit
from ..picture import plane8

MARGIN = 16  # samples around a plane, which repeat its border
_ALIGN = 64  # sides of halves are multiples, so that blocks of 8 fit an eighth


@njit
def _halved(luma, shift, tall, wide):
    """(tall, wide) uint16: sums of 2x2 samples >> shift, rounded; the border is repeated."""
    h, w = luma.shape
    out, half = np.empty((tall, wide), np.uint16), nb.int32((1 << shift) >> 1)
    whole = min(w // 2, wide)
    for r in range(tall):
        one, two, to = luma[min(2 * r, h - 1)], luma[min(2 * r + 1, h - 1)], out[r]
        for c in range(whole):
            total = nb.int32(one[2 * c]) + nb.int32(one[2 * c + 1])
            total += nb.int32(two[2 * c]) + nb.int32(two[2 * c + 1])
            to[c] = (total + half) >> shift
        for c in range(whole, wide):
            left, right = min(2 * c, w - 1), min(2 * c + 1, w - 1)
            total = nb.int32(one[left]) + nb.int32(one[right])
            total += nb.int32(two[left]) + nb.int32(two[right])
            to[c] = (total + half) >> shift
    return out


@njit
def _with_margin(small):
    """(H, W) -> (H + 2 MARGIN, W + 2 MARGIN) uint8, the border repeated."""
    h, w = small.shape
    out = np.empty((h + 2 * MARGIN, w + 2 * MARGIN), np.uint8)
    for j in range(h + 2 * MARGIN):
        given, to = small[min(max(j - MARGIN, 0), h - 1)], out[j]
        for i in range(w):
            to[MARGIN + i] = given[i]
        to[:MARGIN] = given[0]
        to[MARGIN + w :] = given[w - 1]
    return out


@dataclass
class SmallPicture:
    """A frame of half the size, and what is made of it."""

    luma: np.ndarray  # uint16 of 10 bits, padded
    rows: int  # cells of 8x8 samples that are shown, on each side
    columns: int

    @classmethod
    def of(cls, luma: np.ndarray) -> SmallPicture:
        """From luma (H, W) of 8 or 10 bits."""
        height, width = luma.shape
        tall, wide = (-(-n // (2 * _ALIGN)) * _ALIGN for n in (height, width))
        small = _halved(luma, 0 if luma.dtype == np.uint8 else 2, tall, wide)
        return cls(small, -(-height // 16), -(-width // 16))

    @cached_property
    def luma8(self) -> np.ndarray:
        """(H/2, W/2) uint8."""
        return plane8(self.luma)

    @cached_property
    def half(self) -> np.ndarray:
        """(H/2 + 2 MARGIN, W/2 + 2 MARGIN) uint8."""
        return np.asarray(_with_margin(self.luma8))

    @cached_property
    def quarter(self) -> np.ndarray:
        """(H/4 + 2 MARGIN, W/4 + 2 MARGIN) uint8."""
        return np.asarray(_with_margin(self._quarter))

    @cached_property
    def eighth(self) -> np.ndarray:
        """(H/8 + 2 MARGIN, W/8 + 2 MARGIN) uint8."""
        tall, wide = (n // 2 for n in self._quarter.shape)
        return np.asarray(_with_margin(_halved(self._quarter, 2, tall, wide)))

    @cached_property
    def _quarter(self) -> np.ndarray:
        tall, wide = (n // 2 for n in self.luma8.shape)
        return np.asarray(_halved(self.luma8, 2, tall, wide))
