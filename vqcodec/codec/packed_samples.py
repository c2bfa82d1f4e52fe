"""Pictures as the nets have them: the samples of each 8x8 block, channels of one position.

The 96 channels are the 64 luma, 16 Cb and 16 Cr samples of a block, row-major.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..compiled import njit_borrowing
from ..picture import MAX_SAMPLE
from .direct_map import CODED_BLOCK

if TYPE_CHECKING:
    from .frame_decoder import Planes

CHANNELS = 96
_PARTS = ((0, 8), (64, 4), (80, 4))  # first channel of a plane, and the side of its blocks


def pack(planes: Planes) -> np.ndarray:
    """Planes (H, W), (H/2, W/2) twice, uint16 of 10 bits -> (H/8, W/8, 96) int16."""
    height, width = planes[0].shape
    out = np.empty((height // 8, width // 8, CHANNELS), np.int16)
    _pack(planes, out)
    return out


def pack8(planes: Planes) -> np.ndarray:
    """The same as the nets take a prediction: (H/8, W/8, 96) int8, (sample - 512) / 4 rounded
    down."""
    height, width = planes[0].shape
    out = np.empty((height // 8, width // 8, CHANNELS), np.int8)
    _pack(planes, out)
    return out


@njit_borrowing
def _pack(planes: Planes, out: np.ndarray) -> None:
    """out of 16 bits: samples as they are; of 8 bits: those of the nets."""
    small = out.itemsize == 1
    for p in range(3):
        first, side = _PARTS[p]
        plane = planes[p]
        for i in range(plane.shape[0]):
            for j in range(0, plane.shape[1], side):
                o = out[i // side, j // side, first + i % side * side :]
                for k in range(side):
                    v = np.int32(plane[i, j + k])
                    o[k] = (v - 512) >> 2 if small else v


def reconstruct(residual: np.ndarray, blocks: np.ndarray, base: Planes) -> Planes:
    """Planes of the prediction and what the nets add to it, in the range of 10 bits.

    residual (H/8, W/8, 96) int16; blocks (H/16, W/16) kinds of blocks: past the nets nothing is
    added.
    """
    out = np.empty_like(base[0]), np.empty_like(base[1]), np.empty_like(base[2])
    _reconstruct(residual, blocks, base, out)
    return out


@njit_borrowing
def _reconstruct(residual: np.ndarray, blocks: np.ndarray, base: Planes, out: Planes) -> None:
    for p in range(3):
        first, side = _PARTS[p]
        plane, to = base[p], out[p]
        for i in range(plane.shape[0]):
            for j in range(0, plane.shape[1], side):
                r = residual[i // side, j // side, first + i % side * side :]
                coded = np.int32(blocks[i // side // 2, j // side // 2] == CODED_BLOCK)
                for k in range(side):
                    v = np.int32(plane[i, j + k]) + np.int32(r[k]) * coded
                    to[i, j + k] = min(max(v, 0), MAX_SAMPLE)
