"""Bits by syntax element, and shares of a frame's area."""

from __future__ import annotations

from typing import TypedDict

import numpy as np

from .direct_map import DIRECT_BLOCK, INTRA_BLOCK, OUTSIDE_BLOCK, PAINTED_BLOCK, coded_tiles
from .motion_compensation import BI
from .motion_field import Field

ELEMENTS = (
    "weights",
    "modes",
    "vectors",
    "quality",
    "intra",
    "direct",
    "painted",
    "hyper",
    "latent",
    "detail",
)  # of syntax, as statistics count their bits
MARKS = 12  # positions before the first element and behind each: element_bits

# what is known of one frame: a row of ``encode --stats`` and ``info --bits``, which leave the
# program as JSON
FrameStatistics = TypedDict(
    "FrameStatistics",
    {
        "frame": int,
        "type": str,  # I, P or B
        "level": int,
        "q": int,  # quality index of the latent
        "deblock": int,  # strength of the deblocking filter, 0 none
        "bytes": int,
        "psnr": "list[float | None]",  # dB of Y, U, V; None without any error
        "bits": dict[str, float],  # by syntax element
        "lambda": float,  # bits a pixel that a unit of squared error is worth
        "refined": float,  # share of cells with detail, where there is any
        "skip": float,  # shares of the area, of frames with references
        "merged": float,
        "bi": float,
        "direct": float,
        "weighted": float,
        "painted": float,
        "intra": float,  # in intra tiles
        "coded": float,  # in coded tiles
        "leaves": int,  # of the quadtree of motion
    },
    total=False,
)


def element_bits(marks: list[float], vector_bits: float, size: int) -> dict[str, float]:
    """Bits of the elements of a stream of ``size`` bytes: ``marks`` are the positions between
    weights, motion, quality, intra tiles, direct blocks, map of painted blocks, hyper-latents,
    latent of intra tiles, painted samples, latent, detail; ``end`` is what is left."""
    weights, motion, quality, tiles, direct, painted, hyper, drawn, samples, *behind = np.diff(
        marks
    )
    modes, intra = motion - vector_bits, tiles + drawn
    parts = [weights, modes, vector_bits, quality, intra, direct, painted + samples, hyper, *behind]
    bits = {name: round(float(n), 1) for name, n in zip(ELEMENTS, parts, strict=True)}
    return bits | {"end": round(8 * size - sum(bits.values()), 1)}


def head_bits(marks: list[float], vector_bits: float) -> dict[str, float]:
    """Bits of the elements of a frame's head by name, of which ``intra`` and ``painted`` are the
    maps alone."""
    weights, motion, *behind = np.diff(marks[:8])
    parts = [weights, motion - vector_bits, vector_bits, *behind]
    return {name: round(float(n), 1) for name, n in zip(ELEMENTS[:8], parts, strict=True)}


def shares(field: Field, blocks: np.ndarray, leaves: int) -> FrameStatistics:
    """Shares of the area of a frame that is shown, and the leaves of its quadtree.

    ``merged`` motion, ``bi`` prediction, ``direct`` blocks, ``painted`` ones, those of ``intra``
    tiles, ``skip`` (merged and direct), ``coded`` tiles, which the nets of predicted frames run in;
    blocks (H/16, W/16) uint8: their kinds.
    """
    kinds = blocks.repeat(2, 0).repeat(2, 1)
    shown, direct = kinds != OUTSIDE_BLOCK, kinds == DIRECT_BLOCK

    def share(area: np.ndarray) -> float:
        return round(float(area[shown].mean()), 4)

    return FrameStatistics(
        skip=share((field.merged > 0) & direct),
        merged=share(field.merged > 0),
        bi=share(field.direction == BI),
        direct=share(direct),
        painted=share(kinds == PAINTED_BLOCK),
        intra=share(kinds == INTRA_BLOCK),
        coded=share(coded_tiles(blocks).repeat(4, 0).repeat(4, 1) > 0),
        weighted=share(field.chosen > 0),
        leaves=leaves,
    )
