"""Kinds of 16x16 blocks, and the map of those that show their prediction as it is, past the nets.

What moves without changing (scrolled text, static graphics) is predicted exactly, and the synthesis
could only blur it. A direct block has no latent (zero where other blocks look at it); detail may
still refine it. The map of a frame is a flag for each block in raster order, in adaptive contexts.
"""

from __future__ import annotations

import numpy as np

from ..compiled import njit
from .contexts import DIRECT, NEIGHBOURS
from .two_way import Coder, code_bit

# what a map of blocks (H/16, W/16) uint8 holds: coded by the nets, shown as predicted, painted (see
# vqcodec/codec/painted_blocks.py). No other kind than the first has a latent.
CODED_BLOCK, DIRECT_BLOCK, PAINTED_BLOCK, OUTSIDE_BLOCK = 0, 1, 2, 3
FRAME, BLOCK = 0, 1  # contexts, from DIRECT on


@njit
def _context(blocks: np.ndarray, merged: np.ndarray, r: int, c: int) -> int:
    left = c > 0 and blocks[r, c - 1] == DIRECT_BLOCK
    above = r > 0 and blocks[r - 1, c] == DIRECT_BLOCK
    return DIRECT + BLOCK + left + above + NEIGHBOURS * merged[2 * r, 2 * c]


@njit
def code_map(coder: Coder, blocks: np.ndarray, merged: np.ndarray) -> None:
    """Which of the blocks are direct; one flag where none is.

    blocks (H/16, W/16) uint8: their kinds; a decoder gives coded blocks and those outside of the
    picture, and gets the direct ones added. merged (H/8, W/8) uint8: of the motion grid.
    """
    some = 0
    for r in range(blocks.shape[0]):
        for c in range(blocks.shape[1]):
            some |= blocks[r, c] == DIRECT_BLOCK
    if not code_bit(coder, DIRECT + FRAME, some):
        return
    for r in range(blocks.shape[0]):
        for c in range(blocks.shape[1]):
            if blocks[r, c] == OUTSIDE_BLOCK:
                continue
            direct = 1 if blocks[r, c] == DIRECT_BLOCK else 0
            if code_bit(coder, _context(blocks, merged, r, c), direct):
                blocks[r, c] = DIRECT_BLOCK


def outside(height: int, width: int) -> np.ndarray:
    """(H/16, W/16) uint8: a map of a picture of this size with nothing in it but its outside.

    Blocks wholly outside of what is shown, which padding to multiples of 64 makes, aren't coded.
    """
    rows, columns = -(-height // 64) * 4, -(-width // 64) * 4
    out = np.full((rows, columns), CODED_BLOCK, np.uint8)
    out[-(-height // 16) :] = OUTSIDE_BLOCK
    out[:, -(-width // 16) :] = OUTSIDE_BLOCK
    return out


def blocks(cells: np.ndarray) -> np.ndarray:
    """Sums over the 2x2 cells of 8x8 luma of each block: (H/8, W/8) -> (H/16, W/16)."""
    h, w = cells.shape
    return cells.reshape(h // 2, 2, w // 2, 2).sum((1, 3))


def in_blocks(plane: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Samples (H, W) of a plane by the blocks of a map of this shape, as an array of four axes:
    rows of blocks, height of a block, columns of blocks, width of a block."""
    rows, columns = shape
    return plane.reshape(rows, plane.shape[0] // rows, columns, plane.shape[1] // columns)


def idle(blocks: np.ndarray) -> np.ndarray:
    """(H/64, W/64) bool: 64x64 blocks that are direct throughout, and have no hyper-latent, of a
    map (H/16, W/16)."""
    h, w = blocks.shape
    return np.asarray(blocks.reshape(h // 4, 4, w // 4, 4).all((1, 3)))
