"""What nets cost: products of the exact nets, counted from their sizes."""

from __future__ import annotations

from vqcodec.codec.nets.shape import NetShape

POSITIONS16, POSITIONS8 = 4, 16  # of a tile


def _block(channels: int, expansion: int) -> int:
    return (2 + 2 * expansion) * channels**2 + 9 * channels


def tile_products(s: NetShape) -> float:
    """Products that decoding a tile of 32x32 takes, where all tiles of its 64x64 are coded."""
    width = s.hyper_up + (s.context_out if s.inter else 0)
    steps = sum(
        (width + (s.latent if k else 0)) * s.prior
        + s.prior_blocks * _block(s.prior, 1)
        + s.prior * (s.latent + s.latent // 4)
        for k in range(s.steps)
    )
    at16 = steps + s.latent * s.dec16 + s.dec16_blocks * _block(s.dec16, 2)
    at16 += s.dec16 * 4 * s.dec8 + s.hyper * s.hyper_up
    at8 = s.dec_blocks * _block(s.dec8, 2) + s.dec8 * 96
    if s.inter:
        at16 += 4 * s.context * s.context_out
        at8 += 96 * s.context + _block(s.context, 1) + 96 * s.dec8
    return POSITIONS16 * at16 + POSITIONS8 * at8
