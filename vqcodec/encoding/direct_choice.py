"""Which tiles and blocks go past the nets."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..codec.direct_map import CODED_BLOCK, DIRECT_BLOCK, OUTSIDE_BLOCK, coded_tiles, sums_of_four
from ..compiled import njit_borrowing

_FLAG_BITS = np.array(
    [[0.1, 4.0], [1.0, 1.0], [4.0, 0.1]]
)  # about what a flag 0, 1 costs behind 0, 1, 2 direct neighbours
_TILE_FLAG_BITS = np.array([[0.4, 2.0], [1.5, 0.6], [4.0, 0.1]])  # the same of tiles not coded


class Costs(NamedTuple):
    """What the parts of a frame are worth in bits, through the nets and past them."""

    nets: np.ndarray  # (H/8, W/8): error and detail of each cell behind the synthesis
    latent: np.ndarray  # (H/16, W/16): bits of the latent
    plain: np.ndarray  # (H/8, W/8): error and detail on the prediction


@njit_borrowing
def _decide(gain, bits, out):
    # twice over the map: a flag counts what it costs behind its neighbours and what it costs those
    # that follow
    h, w = gain.shape
    for _ in range(2):
        for r in range(h):
            for c in range(w):
                zero, one = _costs(bits, out, r, c, 0), _costs(bits, out, r, c, 1)
                out[r, c] = 1 if gain[r, c] > one - zero else 0


@njit_borrowing
def _costs(bits, out, r, c, k):
    """What flag k costs at (r, c), and makes those cost that follow it."""
    h, w = out.shape
    left = out[r, c - 1] if c > 0 else 0
    above = out[r - 1, c] if r > 0 else 0
    cost = bits[left + above, k]
    if c + 1 < w:
        cost += bits[k + (out[r - 1, c + 1] if r > 0 else 0), out[r, c + 1]]
    if r + 1 < h:
        cost += bits[k + (out[r + 1, c - 1] if c > 0 else 0), out[r + 1, c]]
    return cost


def candidates(error: np.ndarray, kinds: np.ndarray, least: float) -> np.ndarray:
    """(H/16, W/16) uint8: kinds of blocks with those of tiles made direct that have little to gain.

    error: bits that the squared error of the prediction is worth in each block of ``kinds``; a tile
    of less than ``least`` bits is not coded.
    """
    coded = np.where(kinds == CODED_BLOCK, error, 0.0)
    idle = (sums_of_four(coded) < least).repeat(2, 0).repeat(2, 1)
    return np.where(idle & (kinds == CODED_BLOCK), np.uint8(DIRECT_BLOCK), kinds)


def choose(costs: Costs, kinds: np.ndarray, tile_gain: float, least: float) -> np.ndarray | None:
    """The kinds of blocks that promise to cost least, or None where none are worth a try.

    Tiles first, then the blocks of those that stay coded. kinds (H/16, W/16): of the trial that the
    costs were found by; tile_gain: bits that the nets have to save in a tile; least: bits that the
    change has to gain.
    """
    coded = kinds == CODED_BLOCK
    gain = np.where(coded, sums_of_four(costs.nets) + costs.latent - sums_of_four(costs.plain), 0.0)
    saved = sums_of_four(np.maximum(-gain, 0.0))  # what the nets save in each tile
    tiles = 1 - coded_tiles(kinds)
    _decide(np.where(tiles, np.inf, tile_gain - saved), _TILE_FLAG_BITS, tiles)
    past = tiles.repeat(2, 0).repeat(2, 1) > 0
    direct = (past & coded) | (kinds == DIRECT_BLOCK)
    flags = direct.astype(np.uint8)
    _decide(np.where(direct, np.inf, np.where(coded, gain, -np.inf)), _FLAG_BITS, flags)
    direct = (flags > 0) & (kinds != OUTSIDE_BLOCK)
    spared = tile_gain * (sums_of_four(past & coded) > 0).sum()
    if (gain * direct).sum() + spared <= least:
        return None
    return np.where(direct, np.uint8(DIRECT_BLOCK), kinds)
