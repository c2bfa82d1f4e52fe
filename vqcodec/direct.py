"""Direct blocks: 16x16 blocks of a P or B frame that show their prediction as it is, past the nets.

What moves without changing (scrolled text, static graphics) is predicted exactly, and the synthesis could only blur it. A direct block has no latent
(zero where other blocks look at it); detail may still refine it. The map of a frame is a flag for each block in raster order, in adaptive binary contexts.
"""

from __future__ import annotations

import numpy as np

from .compiled import njit
from .entropy import decode_bit, encode_bit
from .motion.code import DIRECT

FRAME, BLOCK = 0, 1  # contexts, from DIRECT on
_FLAG_BITS = np.array([[0.1, 4.0], [1.0, 1.0], [4.0, 0.1]])  # about what a flag 0, 1 costs behind 0, 1, 2 direct neighbours


@njit
def _context(direct, merged, r, c):
    left = direct[r, c - 1] if c > 0 else 0
    above = direct[r - 1, c] if r > 0 else 0
    return DIRECT + BLOCK + left + above + 3 * merged[2 * r, 2 * c]


@njit
def encode_map(st, out, ctx, direct, merged):
    """direct (H/16, W/16) uint8, merged (H/8, W/8) uint8 of the motion grid; a map of zeros costs one flag."""
    some = 0
    for r in range(direct.shape[0]):
        for c in range(direct.shape[1]):
            some |= direct[r, c]
    encode_bit(st, out, ctx, DIRECT + FRAME, some)
    if not some:
        return
    for r in range(direct.shape[0]):
        for c in range(direct.shape[1]):
            encode_bit(st, out, ctx, _context(direct, merged, r, c), direct[r, c])


@njit
def decode_map(st, data, ctx, direct, merged):
    """The inverse of :func:`encode_map`, into ``direct``."""
    direct[:] = 0
    if not decode_bit(st, data, ctx, DIRECT + FRAME):
        return
    for r in range(direct.shape[0]):
        for c in range(direct.shape[1]):
            direct[r, c] = decode_bit(st, data, ctx, _context(direct, merged, r, c))


def blocks(cells: np.ndarray) -> np.ndarray:
    """Sums over the 2x2 cells of 8x8 luma of each block: (H/8, W/8) -> (H/16, W/16)."""
    h, w = cells.shape
    return cells.reshape(h // 2, 2, w // 2, 2).sum((1, 3))


def idle(blocks: np.ndarray) -> np.ndarray:
    """(H/64, W/64) bool: 64x64 blocks that are direct throughout, and have no hyper-latent, of a map (H/16, W/16)."""
    h, w = blocks.shape
    return np.asarray(blocks.reshape(h // 4, 4, w // 4, 4).all((1, 3)))


@njit
def _decide(gain, bits, out):
    # twice over the map: a flag counts what it costs behind its neighbours and what it costs those that follow
    h, w = gain.shape
    for _ in range(2):
        for r in range(h):
            for c in range(w):
                cost = np.zeros(2)
                for k in range(2):
                    left = out[r, c - 1] if c > 0 else 0
                    above = out[r - 1, c] if r > 0 else 0
                    cost[k] += bits[left + above, k]
                    if c + 1 < w:
                        cost[k] += bits[k + (out[r - 1, c + 1] if r > 0 else 0), out[r, c + 1]]
                    if r + 1 < h:
                        cost[k] += bits[k + (out[r + 1, c - 1] if c > 0 else 0), out[r + 1, c]]
                out[r, c] = 1 if gain[r, c] > cost[1] - cost[0] else 0


def choose(net_cost: np.ndarray, latent_bits: np.ndarray, pred_cost: np.ndarray, least: float) -> np.ndarray | None:
    """The map that promises to cost least, or None where none is worth a try.

    net_cost, pred_cost: (H/8, W/8) bits that error and detail of each cell are worth behind the synthesis and on the plain prediction;
    latent_bits: (H/16, W/16); least: bits that the map has to gain.
    """
    gain = blocks(net_cost) + latent_bits - blocks(pred_cost)
    out = (gain > 0).astype(np.uint8)
    _decide(gain, _FLAG_BITS, out)
    return out if (gain * out).sum() > least else None


__all__ = ["blocks", "choose", "decode_map", "encode_map", "idle"]
