"""Bits by syntax element, and shares of a frame's area."""

from __future__ import annotations

import numpy as np

from .direct_map import DIRECT_BLOCK, OUTSIDE_BLOCK, PAINTED_BLOCK, coded_tiles
from .motion_compensation import BI
from .motion_field import Field

ELEMENTS = (
    "weights",
    "modes",
    "vectors",
    "quality",
    "direct",
    "painted",
    "hyper",
    "latent",
    "detail",
)  # of syntax, as statistics count their bits
MARKS = 10  # positions before the first element and behind each: element_bits


def element_bits(marks: list[float], vector_bits: float, size: int) -> dict[str, float]:
    """Bits of the elements of a stream of ``size`` bytes: ``marks`` are the positions between
    weights, motion, quality, direct blocks, map of painted blocks, hyper-latent, painted samples,
    latent, detail; ``end`` is what is left."""
    weights, motion, quality, direct, painted, hyper, samples, *behind = np.diff(marks)
    modes = motion - vector_bits
    parts = [weights, modes, vector_bits, quality, direct, painted + samples, hyper, *behind]
    bits = {name: round(float(n), 1) for name, n in zip(ELEMENTS, parts, strict=True)}
    return bits | {"end": round(8 * size - sum(bits.values()), 1)}


def head_bits(marks: list[float], vector_bits: float) -> dict[str, float]:
    """Bits of the elements of a frame's head by name, of which ``painted`` is the map alone."""
    weights, motion, *behind = np.diff(marks[:7])
    parts = [weights, motion - vector_bits, vector_bits, *behind]
    return {name: round(float(n), 1) for name, n in zip(ELEMENTS[:7], parts, strict=True)}


def shares(field: Field, blocks: np.ndarray, leaves: int) -> dict[str, float]:
    """Shares of the area of a frame that is shown, and the leaves of its quadtree.

    ``merged`` motion, ``bi`` prediction, ``direct`` blocks, ``painted`` ones, ``skip`` (merged and
    direct), ``coded`` tiles, which the nets run in; blocks (H/16, W/16) uint8: their kinds.
    """
    kinds = blocks.repeat(2, 0).repeat(2, 1)
    shown, direct = kinds != OUTSIDE_BLOCK, kinds == DIRECT_BLOCK
    areas = {
        "skip": (field.merged > 0) & direct,
        "merged": field.merged > 0,
        "bi": field.direction == BI,
        "direct": direct,
        "painted": kinds == PAINTED_BLOCK,
        "coded": coded_tiles(blocks).repeat(4, 0).repeat(4, 1) > 0,
        "weighted": field.chosen > 0,
    }
    share = {name: round(float(area[shown].mean()), 4) for name, area in areas.items()}
    return share | {"leaves": leaves}
