"""What a trial of a frame consists of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..codec import direct_map
from ..codec.codebooks import Tables
from ..codec.frame_decoder import Planes
from ..codec.painted_blocks import Painting
from .filter_choice import Filters
from .frame_motion import Prediction


class Latents(NamedTuple):
    """What the analysis makes of a frame, float32 in quantisation steps."""

    y: np.ndarray  # (H/16, W/16, M)
    z: np.ndarray  # (H/64, W/64, Z): the hyper-latent


@dataclass
class QuantisedLatents:
    """Latents as codewords, in sixteenths of a step, with the symbols that stand for them."""

    z: np.ndarray  # (H/64, W/64, Z) int16
    z_symbols: np.ndarray  # (H/64, W/64, Z/4) int32
    idle: np.ndarray  # (H/64, W/64): places without a coded latent
    first_table: int  # of the hyper-latent
    y: np.ndarray  # (H/16, W/16, M) int16
    symbols: np.ndarray  # (H/16, W/16, M) int32
    classes: list[np.ndarray]  # (H/16, W/16, M/4) uint8 of each step
    bits: np.ndarray  # (H/16, W/16) float32 of y

    @classmethod
    def empty(cls, latents: Latents, idle: np.ndarray, first_table: int) -> QuantisedLatents:
        """Nothing quantised yet."""
        latent, hyper = latents.y.shape, latents.z.shape
        return cls(
            np.empty(hyper, np.int16),
            np.zeros((*hyper[:2], hyper[2] // 4), np.int32),
            idle,
            first_table,
            np.zeros(latent, np.int16),
            np.zeros(latent, np.int32),
            [],
            np.zeros(latent[:2], np.float32),
        )


class IntraPart(NamedTuple):
    """The intra tiles of a frame, as they are coded."""

    all_coded: np.ndarray  # (H/16, W/16) uint8: a map without direct and painted blocks
    quantised: QuantisedLatents
    tables: Tables  # those of I frames


@dataclass
class Detail:
    """Decision of the detail layer on top of some planes."""

    step: int  # index, -1 none
    modes: np.ndarray  # (H/8, W/8) int8: -1 plain, 0 DCT, 1 samples
    levels: np.ndarray  # (H/8, W/8, 6, 16) int32
    cost: np.ndarray  # (H/8, W/8) bits that error and detail are worth


def block_costs(detail: Detail, quantised: QuantisedLatents) -> np.ndarray:
    """(H/16, W/16): bits of latent and detail, and what the error is worth."""
    return np.asarray(direct_map.sums_of_four(detail.cost) + quantised.bits)


class Smoothed(NamedTuple):
    """A picture behind the filters of the loop."""

    strength: int  # of the deblocking filter
    planes: Planes  # behind it
    filters: Filters
    shown: Planes  # behind these; what the detail refines


class Layout(NamedTuple):
    """What of a frame is left to the nets."""

    blocks: np.ndarray  # (H/16, W/16) uint8: kinds of blocks, see vqcodec/codec/direct_map.py
    painting: Painting | None  # None: no block is painted
    prediction: Prediction | None  # with the painted blocks in it; None: neutral everywhere

    @property
    def coded(self) -> bool:
        """Whether the nets run anywhere."""
        return bool((self.blocks == direct_map.CODED_BLOCK).any())

    def same(self, other: Layout) -> bool:
        """Whether two layouts of a frame without painted blocks are one."""
        plain = self.painting is None and other.painting is None
        return plain and np.array_equal(self.blocks, other.blocks)


@dataclass
class Trial:
    """A frame coded in one way."""

    quality: int  # of the latent
    layout: Layout
    latents: Latents
    quantised: QuantisedLatents
    smoothed: Smoothed
    detail: Detail
    data: bytes
    planes: Planes
    contexts: np.ndarray
    tables: Tables
    marks: list[float]  # bits given out before each syntax element and at the end
    cost: float  # bits, with those that its error is worth

    @property
    def blocks(self) -> np.ndarray:
        """(H/16, W/16) uint8: kinds of blocks."""
        return self.layout.blocks

    @property
    def refined(self) -> float:
        """Share of the cells that have detail."""
        return round(float((self.detail.modes >= 0).mean()), 4) if self.detail.step >= 0 else 0.0
