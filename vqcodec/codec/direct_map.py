"""Direct blocks: 16x16 blocks of a P or B frame that show their prediction as it is, past the nets.

What moves without changing (scrolled text, static graphics) is predicted exactly, and the synthesis could only blur it. A direct block has no latent
(zero where other blocks look at it); detail may still refine it. The map of a frame is a flag for each block in raster order, in adaptive binary contexts.
"""

from __future__ import annotations

import numpy as np

from ..compiled import njit
from .contexts import DIRECT, NEIGHBOURS
from .range_coder import decode_bit, encode_bit

FRAME, BLOCK = 0, 1  # contexts, from DIRECT on


@njit
def _context(direct, merged, r, c):
    left = direct[r, c - 1] if c > 0 else 0
    above = direct[r - 1, c] if r > 0 else 0
    return DIRECT + BLOCK + left + above + NEIGHBOURS * merged[2 * r, 2 * c]


@njit
def encode_map(coder, direct, merged):
    """direct (H/16, W/16) uint8, merged (H/8, W/8) uint8 of the motion grid; a map of zeros costs one flag."""
    some = 0
    for r in range(direct.shape[0]):
        for c in range(direct.shape[1]):
            some |= direct[r, c]
    encode_bit(coder, DIRECT + FRAME, some)
    if not some:
        return
    for r in range(direct.shape[0]):
        for c in range(direct.shape[1]):
            encode_bit(coder, _context(direct, merged, r, c), direct[r, c])


@njit
def decode_map(coder, direct, merged):
    """The inverse of :func:`encode_map`, into ``direct``."""
    direct[:] = 0
    if not decode_bit(coder, DIRECT + FRAME):
        return
    for r in range(direct.shape[0]):
        for c in range(direct.shape[1]):
            direct[r, c] = decode_bit(coder, _context(direct, merged, r, c))


def blocks(cells: np.ndarray) -> np.ndarray:
    """Sums over the 2x2 cells of 8x8 luma of each block: (H/8, W/8) -> (H/16, W/16)."""
    h, w = cells.shape
    return cells.reshape(h // 2, 2, w // 2, 2).sum((1, 3))


def idle(blocks: np.ndarray) -> np.ndarray:
    """(H/64, W/64) bool: 64x64 blocks that are direct throughout, and have no hyper-latent, of a map (H/16, W/16)."""
    h, w = blocks.shape
    return np.asarray(blocks.reshape(h // 4, 4, w // 4, 4).all((1, 3)))
