"""Kinds of 16x16 blocks: coded by the nets, direct, painted or intra; and the map of the direct
ones.

What moves without changing (scrolled text, static graphics, most of a frame between two coded ones)
is predicted well, and the synthesis could only blur it or would cost more than it mends. Such
blocks are direct: they show their prediction as it is, past the nets. The map of a frame says first
which tiles of 32x32 are coded: nets run in these alone. Where not, all blocks are direct; in a
coded tile a flag for each block says whether it is. A direct block has no latent (zero where other
blocks look at it); detail may still refine it.

Letters that are sharp are painted (painted_blocks.py) or refined by detail (detail_syntax.py); both
are there in a frame in which no net runs. The encoder chooses by cost.

Blocks of intra tiles (intra_tiles.py) show what the nets of I frames draw there; they are known
before the map, and have no flags in it.
"""

from __future__ import annotations

import numpy as np

from ..compiled import njit, njit_borrowing
from .contexts import DIRECT, NEIGHBOURS, TILES
from .two_way import Coder, code_bit

# what a map of blocks (H/16, W/16) uint8 holds: coded by the nets, shown as predicted, painted (see
# vqcodec/codec/painted_blocks.py), nothing that is shown, of an intra tile (intra_tiles.py). No
# other kind than the first has a latent, but for that of the intra tiles, which is one of its own.
CODED_BLOCK, DIRECT_BLOCK, PAINTED_BLOCK, OUTSIDE_BLOCK, INTRA_BLOCK = 0, 1, 2, 3, 4
FRAME, PART = 0, 1  # contexts, from DIRECT, TILES and INTRA_TILES on
_MARKED, _INTRA = 1, 2  # tiles with flags for their blocks, and those without


@njit_borrowing
def by_nets(kind: int) -> bool:
    """Whether a block of a kind is drawn by nets, those of its frame or of I frames."""
    return kind in (CODED_BLOCK, INTRA_BLOCK)


@njit
def coded_tiles(blocks: np.ndarray) -> np.ndarray:
    """(H/32, W/32) uint8: 1 where a tile has a block that the nets code, of a map (H/16, W/16)."""
    tiles = np.zeros((blocks.shape[0] // 2, blocks.shape[1] // 2), np.uint8)
    for r in range(blocks.shape[0]):
        for c in range(blocks.shape[1]):
            if blocks[r, c] == CODED_BLOCK:
                tiles[r // 2, c // 2] = 1
    return tiles


@njit
def tile_context(tiles: np.ndarray, merged: np.ndarray, r: int, c: int) -> int:
    """Number of the context of a tile (r, c), PART and behind: by how many of the left and the
    upper one are not 0 in ``tiles``, and how much of its motion is merged (H/8, W/8)."""
    left = 1 if c > 0 and tiles[r, c - 1] else 0
    above = 1 if r > 0 and tiles[r - 1, c] else 0
    cells = 0
    for y in range(4):
        for x in range(4):
            cells += merged[4 * r + y, 4 * c + x]
    moved = 0 if cells == 16 else 1 if cells else 2
    return PART + left + above + NEIGHBOURS * moved


@njit
def _code_tiles(coder: Coder, blocks: np.ndarray, merged: np.ndarray) -> np.ndarray:
    """Which tiles are coded, (H/32, W/32) uint8: _MARKED those with flags for their blocks, and
    _INTRA those of I frames' nets; one flag where none is marked."""
    tiles = coded_tiles(blocks)
    some = 0
    for r in range(tiles.shape[0]):
        for c in range(tiles.shape[1]):
            some |= tiles[r, c]
    some = code_bit(coder, TILES + FRAME, some)
    for r in range(tiles.shape[0]):
        for c in range(tiles.shape[1]):
            coded = 0
            if blocks[2 * r, 2 * c] == INTRA_BLOCK:
                coded = _INTRA
            elif some and blocks[2 * r, 2 * c] != OUTSIDE_BLOCK:
                context = TILES + tile_context(tiles, merged, r, c)
                coded = _MARKED * code_bit(coder, context, tiles[r, c])
            tiles[r, c] = coded
    return tiles


@njit
def _past_nets(blocks: np.ndarray, tiles: np.ndarray, r: int, c: int) -> bool:
    return tiles[r // 2, c // 2] == 0 or blocks[r, c] == DIRECT_BLOCK


@njit
def code_map(coder: Coder, blocks: np.ndarray, merged: np.ndarray) -> None:
    """Which of the blocks are direct: by tiles, then by the blocks of coded tiles.

    blocks (H/16, W/16) uint8: their kinds; a decoder gives coded and intra blocks and those outside
    of the picture, and gets the direct ones added. merged (H/8, W/8) uint8: of the motion grid.
    """
    tiles = _code_tiles(coder, blocks, merged)
    rows, columns = blocks.shape
    some, any_coded = 0, 0
    for r in range(rows):
        for c in range(columns):
            coded = 1 if tiles[r // 2, c // 2] == _MARKED else 0
            any_coded |= coded
            some |= coded and blocks[r, c] == DIRECT_BLOCK
    some = code_bit(coder, DIRECT + FRAME, some) if any_coded else 0
    for r in range(rows):
        for c in range(columns):
            if blocks[r, c] == OUTSIDE_BLOCK or blocks[r, c] == INTRA_BLOCK:
                continue
            if not tiles[r // 2, c // 2]:
                if blocks[r, c] == CODED_BLOCK:
                    blocks[r, c] = DIRECT_BLOCK
            elif some:
                left = c > 0 and _past_nets(blocks, tiles, r, c - 1)
                above = r > 0 and _past_nets(blocks, tiles, r - 1, c)
                context = DIRECT + PART + left + above + NEIGHBOURS * merged[2 * r, 2 * c]
                if code_bit(coder, context, 1 if blocks[r, c] == DIRECT_BLOCK else 0):
                    blocks[r, c] = DIRECT_BLOCK


@njit
def may_be_painted(blocks: np.ndarray) -> np.ndarray:
    """(H/16, W/16) bool: blocks inside the picture, but for the direct ones of coded tiles and
    those of intra tiles."""
    tiles = coded_tiles(blocks)
    out = np.zeros(blocks.shape, np.bool_)
    for r in range(blocks.shape[0]):
        for c in range(blocks.shape[1]):
            if blocks[r, c] != OUTSIDE_BLOCK and blocks[r, c] != INTRA_BLOCK:
                out[r, c] = blocks[r, c] != DIRECT_BLOCK or not tiles[r // 2, c // 2]
    return out


def all_coded_map(height: int, width: int) -> np.ndarray:
    """(H/16, W/16) uint8: the map of a picture of this size whose blocks are all coded by the nets.

    But for those wholly outside of what is shown, which padding to multiples of 64 makes.
    """
    rows, columns = -(-height // 64) * 4, -(-width // 64) * 4
    out = np.full((rows, columns), CODED_BLOCK, np.uint8)
    out[-(-height // 16) :] = OUTSIDE_BLOCK
    out[:, -(-width // 16) :] = OUTSIDE_BLOCK
    return out


def sums_of_four(cells: np.ndarray) -> np.ndarray:
    """Sums over squares of 2x2: cells to blocks, (H/8, W/8) to (H/16, W/16), or blocks to tiles."""
    h, w = cells.shape
    return cells.reshape(h // 2, 2, w // 2, 2).sum((1, 3))


def in_blocks(plane: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Samples (H, W) of a plane by the blocks of a map of this shape, as an array of four axes:
    rows of blocks, height of a block, columns of blocks, width of a block."""
    rows, columns = shape
    return plane.reshape(rows, plane.shape[0] // rows, columns, plane.shape[1] // columns)


def idle(blocks: np.ndarray) -> np.ndarray:
    """(H/64, W/64) bool: 64x64 blocks without a coded tile, which have no hyper-latent, of a map
    (H/16, W/16)."""
    h, w = blocks.shape
    return np.asarray(blocks.reshape(h // 4, 4, w // 4, 4).all((1, 3)))
