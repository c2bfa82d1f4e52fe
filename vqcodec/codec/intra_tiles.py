"""Intra tiles: 32x32 tiles of P and B frames that the nets of I frames draw, from nothing.

Where something comes into sight, or moves too fast for the motion, the nets of predicted frames
have to mend a prediction that shows something else. Intra tiles are coded as tiles of an I frame
are: with its nets, codebooks and trained symbol tables, which adapt for nobody. Beside them the
nets see nothing, as beside the picture. What they draw takes the place of the prediction, before
painted blocks are.

Their map stands before that of the direct blocks, their hyper-latent behind that of the frame, at
the end of its head, and their latent is the first of what follows on the head.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..compiled import njit, njit_borrowing
from ..picture_size import ALIGN
from . import direct_map, latent_syntax
from .codebooks import Codebooks, Tables
from .contexts import INTRA_TILES
from .direct_map import CODED_BLOCK, DIRECT_BLOCK, FRAME, INTRA_BLOCK, OUTSIDE_BLOCK, tile_context
from .packed_samples import reconstruct
from .range_coder import Decoder
from .two_way import Coder, code_bit

if TYPE_CHECKING:
    from .frame_decoder import Planes
    from .weights import FrameNets


@njit
def code_tiles(coder: Coder, blocks: np.ndarray, merged: np.ndarray) -> int:
    """Which tiles are intra; returns how many there are.

    blocks (H/16, W/16) uint8: their kinds; a decoder gives coded blocks and those outside of the
    picture, and gets those of intra tiles added. merged (H/8, W/8) uint8: of the motion grid.
    """
    rows, columns = blocks.shape[0] // 2, blocks.shape[1] // 2
    tiles = np.zeros((rows, columns), np.uint8)
    some = 0
    for r in range(rows):
        for c in range(columns):
            tiles[r, c] = 1 if blocks[2 * r, 2 * c] == INTRA_BLOCK else 0
            some |= tiles[r, c]
    count = 0
    some = code_bit(coder, INTRA_TILES + FRAME, some)
    for r in range(rows if some else 0):
        for c in range(columns):
            if blocks[2 * r, 2 * c] == OUTSIDE_BLOCK:
                continue
            context = INTRA_TILES + tile_context(tiles, merged, r, c)
            tiles[r, c] = code_bit(coder, context, tiles[r, c])
            if tiles[r, c]:
                _mark(blocks, r, c)
                count += 1
    return count


@njit_borrowing
def _mark(blocks: np.ndarray, r: int, c: int) -> None:
    """Make the blocks of a tile intra that are not outside."""
    for y in range(2 * r, 2 * r + 2):
        for x in range(2 * c, 2 * c + 2):
            if blocks[y, x] != OUTSIDE_BLOCK:
                blocks[y, x] = INTRA_BLOCK


def alone(blocks: np.ndarray) -> np.ndarray:
    """(H/16, W/16) uint8: the map of the frame that the nets of I frames see: blocks of intra tiles
    are coded, others direct or outside."""
    inside = np.where(blocks == OUTSIDE_BLOCK, blocks, np.uint8(DIRECT_BLOCK))
    return np.where(blocks == INTRA_BLOCK, np.uint8(CODED_BLOCK), inside)


@dataclass
class IntraTiles:
    """What the head of a frame says of its intra tiles."""

    coder: Decoder  # of the frame
    quality: int
    blocks: np.ndarray  # see alone()
    tables: Tables  # the trained ones
    z: np.ndarray  # (H/64, W/64, Z) int16: the hyper-latent
    hyper: np.ndarray  # (H/64, W/64, Z/4) int32: symbols of z

    @classmethod
    def read(
        cls, coder: Decoder, blocks: np.ndarray, books: Codebooks, quality: int, first_table: int
    ) -> IntraTiles:
        """Read the hyper-latent of the intra tiles of a map (H/16, W/16).

        books: of I frames; first_table: of the hyper-latent at the frame's quality.
        """
        channels = books.hyper_channels
        places = blocks.shape[0] * 16 // ALIGN, blocks.shape[1] * 16 // ALIGN
        hyper = np.zeros((*places, channels), np.int16)
        out = cls(
            coder, quality, alone(blocks), Tables(books), hyper,
            np.full((*places, channels // 4), -1, np.int32),
        )  # fmt: skip
        latent_syntax.decode_hyper(
            coder, direct_map.idle(out.blocks), first_table, books.sizes, books.words,
            out.tables.cdf, out.tables.seen, out.z, out.hyper,
        )  # fmt: skip
        return out


@dataclass
class IntraLatent(IntraTiles):
    """Intra tiles on their way through the decoder."""

    nets: FrameNets  # of I frames
    planes: Planes  # the prediction, which they are drawn into
    # symbols of the latent as latent_syntax gives them, where they are asked for
    symbols: np.ndarray = field(default_factory=lambda: np.empty((0, 0, 0), np.int32))
    classes: np.ndarray = field(default_factory=lambda: np.empty((0, 0, 0), np.int8))

    @classmethod
    def of(cls, head: IntraTiles, nets: FrameNets, planes: Planes) -> IntraLatent:
        """What the head of a frame says, with what draws it."""
        return cls(**vars(head), nets=nets, planes=planes)

    def expect_symbols(self) -> None:
        """Room for the symbols of the latent, -1 where nothing is coded."""
        self.symbols, self.classes = latent_syntax.no_symbols(self.blocks, self.nets.shape.latent)


def draw(planes: Planes, residual: np.ndarray, blocks: np.ndarray, neutral: Planes) -> None:
    """Put what the nets draw in intra tiles into a prediction.

    residual (H/8, W/8, 96) int16; blocks: see :func:`alone`; neutral: base of an I frame's samples.
    """
    put(planes, reconstruct(residual, blocks, neutral), blocks)


def put(planes: Planes, drawn: Planes, blocks: np.ndarray) -> None:
    """Put what is drawn in intra tiles into a prediction; blocks: see :func:`alone`."""
    for plane, new in zip(planes, drawn, strict=True):
        _put(plane, new, blocks)


@njit
def _put(plane: np.ndarray, new: np.ndarray, blocks: np.ndarray) -> None:
    """Samples of the coded blocks of a map, from one plane into another."""
    size = plane.shape[0] // blocks.shape[0]
    for r in range(plane.shape[0]):
        for c in range(plane.shape[1]):
            if blocks[r // size, c // size] == CODED_BLOCK:
                plane[r, c] = new[r, c]
