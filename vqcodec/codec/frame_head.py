"""The head of a frame: all that lies before its samples, and needs neither nets nor pictures.

Order inside a frame's stream: whether the frame is a copy, whether it is predicted, weights and
motion (P and B), quality difference, strength of the deblocking filter, adaptive loop filters,
bars, intra tiles and direct blocks (P and B), which blocks are painted, the hyper-latent, and that
of the intra tiles. Contexts and counts of these elements adapt by nothing else, so that heads are
read alone as well: they need those of the frame's ancestors, and no sample.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..compiled import njit_borrowing
from ..errors import DamageError
from ..picture_size import ALIGN, padded_size
from . import (
    adaptive_filter,
    bars,
    deblocking,
    direct_map,
    intra_tiles,
    latent_syntax,
    painted_blocks,
)
from .codebooks import Codebooks, Tables
from .contexts import CONTEXTS, COPY, INTRA, QDELTA
from .motion_compensation import L0, L1
from .motion_field import Field
from .motion_syntax import decode_motion
from .nets.shape import CLASSES, HYPER_BUCKETS
from .range_coder import POSITION, RANGE, Decoder, decode_bit, decode_raw, new_contexts
from .weighting import Weights, decode_weights

MAX_QDELTA = 63


@dataclass
class State:
    """What frames that refer to one need of it to be read: its place, its motion grid, and the
    adaptive state after it."""

    number: int
    level: int
    field: Field
    contexts: np.ndarray
    counts: np.ndarray | None  # of the inter tables; None after an I frame: the trained ones
    bars: np.ndarray  # (7,) int32, see bars.py

    @property
    def predicted(self) -> bool:
        """Whether it was coded from references: a P or B frame."""
        return self.field.predicted


class Start(NamedTuple):
    """What the reading or writing of a frame starts from."""

    field: Field  # empty motion grid
    collocated: Field  # the grid that temporal vectors come from
    tables: Tables


def _parent(refs: Sequence[State]) -> State:
    """The reference whose adaptive state a frame starts from: that of the deeper level, else the
    first."""
    return refs[1] if len(refs) > 1 and refs[1].level > refs[0].level else refs[0]


def start_contexts(refs: Sequence[State]) -> np.ndarray:
    """The binary contexts that a frame starts from, for it to adapt."""
    return _parent(refs).contexts.copy() if refs else new_contexts(CONTEXTS)


def told_bars(level: int, refs: Sequence[State]) -> np.ndarray | None:
    """What is known of the bars of a frame before it tells of them: those of a reference, or no
    bars. None where it doesn't tell and has none: B frames of references without."""
    known = bars.first_of(ref.bars for ref in refs)
    return known if level < 2 or known.any() else None


def counts_after(field: Field, tables: Tables, refs: Sequence[State]) -> np.ndarray | None:
    """Counts of the inter tables after a frame with this motion grid and its tables."""
    if field.predicted:
        return tables.adapted()
    return _parent(refs).counts if refs else None


class HeadReader:
    """Reads heads of frames of one size with the codebooks of one model.

    Books that have no other tables than those of the hyper-latent do (Codebooks.hyper_alone); with
    none at all hyper-latents have no channels (Codebooks.none).
    """

    def __init__(self, intra: Codebooks, inter: Codebooks, width: int, height: int):
        self.books = {True: intra, False: inter}
        self.height, self.width = height, width
        self.padded_height, self.padded_width = padded_size(width, height)
        # a map without direct and painted blocks
        self.all_coded = direct_map.all_coded_map(height, width)

    def start(
        self,
        number: int,
        refs: Sequence[State],
        intra: bool,
        weights: Weights | None = None,
    ) -> Start:
        """Empty motion grid, the grid that temporal vectors come from, symbol tables.

        intra: whether the frame is coded without prediction from its references.
        """
        if intra:
            none = Field.empty(self.padded_height, self.padded_width, 0, 0)
            return Start(none, none, Tables(self.books[True]))
        distances = [ref.number - number for ref in refs] + [0]
        past = (
            len(refs) > 1 and refs[1].number < refs[0].number
        )  # of two key frames the nearer one is the first
        col = refs[-1] if refs[-1].predicted and not past else refs[0]
        return Start(
            Field.empty(self.padded_height, self.padded_width, distances[0], distances[1], weights),
            col.field,
            Tables(self.books[False], _parent(refs).counts),
        )


class FrameHead:
    """The head of a frame, read from the start of its stream.

    Attributes:
        copied: which of the references the frame is a copy of; None where it is none.
        marks: bits taken before the weights and behind each element.
    """

    def __init__(
        self,
        reader: HeadReader,
        data: memoryview,
        number: int,
        level: int,
        quality: int,
        refs: Sequence[State],
    ):
        self.number, self.level, self.quality = number, level, quality
        self.coder = Decoder.start(data, start_contexts(refs))
        self.marks = [0.0]
        self.copied = decode_copy(self.coder, len(refs))
        self.intra, weights = not refs, None
        if refs and self.copied is None:
            self.intra = bool(decode_bit(self.coder, intra_context(level)))
            weights = None if self.intra else decode_weights(self.coder, len(refs))
        self.mark()
        start = reader.start(number, refs, self.intra, weights)
        self.field, self.tables = start.field, start.tables
        self.leaves, self.vector_bits = np.empty((0, 3), np.int32), 0.0
        self.strength = 0  # of the deblocking filter
        self.filtered, self.filters = adaptive_filter.NOWHERE, adaptive_filter.no_filters()
        self.bars = bars.none()
        self.blocks = reader.all_coded.copy()  # kinds of blocks
        self.painting: painted_blocks.Painting | None = None
        self.intra_tiles: intra_tiles.IntraTiles | None = None
        # most frames have none: made when one is read or asked for
        self._z: np.ndarray | None = None
        self._hyper: np.ndarray | None = None
        if self.copied is None:
            self._read(start.collocated, told_bars(level, refs), reader.books[True])
            if not bars.fit(self.bars, reader.height, reader.width):
                raise DamageError(f"frame {number}: bars over all of it")
            return
        self.bars = refs[self.copied].bars
        self.blocks[self.blocks == direct_map.CODED_BLOCK] = direct_map.DIRECT_BLOCK
        copy_field(self.field, L1 if self.copied else L0)
        self.marks += [self.marks[-1]] * 6

    def _read(self, collocated: Field, told: np.ndarray | None, intra: Codebooks) -> None:
        """What follows on the weights of a frame that is no copy.

        told: see :func:`told_bars`; intra: codebooks of I frames.
        """
        if not self.intra:
            spent = np.zeros(1)
            leaves = np.empty((self.field.direction.size, 3), np.int32)
            count = int(decode_motion(self.coder, self.field, collocated, leaves, spent))
            self.leaves, self.vector_bits = leaves[:count], float(spent[0])
        self.mark()
        self.quality += int(_decode_qdelta(self.coder))
        if not 0 <= self.quality <= 63:
            raise DamageError(f"frame {self.number}: quality {self.quality} outside 0..63")
        self.strength = int(deblocking.code_strength(self.coder, 0))
        self.filtered = int(adaptive_filter.code_filters(self.coder, 0, self.filters))
        if told is not None:
            bars.code_bars(self.coder, self.bars, told)
        self.mark()
        tiles = 0
        if not self.intra:
            tiles = intra_tiles.code_tiles(self.coder, self.blocks, self.field.merged)
        self.mark()
        if not self.intra:
            direct_map.code_map(self.coder, self.blocks, self.field.merged)
        self.mark()
        self.painting = painted_blocks.code_painting(
            self.coder, self.blocks, painted_blocks.Painting(), not self.intra
        )
        self.mark()
        idle = direct_map.idle(self.blocks)
        if not idle.all():
            tables, first = self.tables, hyper_tables(self.quality, self.z.shape[2])
            latent_syntax.decode_hyper(
                self.coder, idle, first, tables.books.sizes, tables.books.words, tables.cdf,
                tables.seen, self.z, self.hyper,
            )  # fmt: skip
        if tiles:
            first = hyper_tables(self.quality, intra.hyper_channels)
            self.intra_tiles = intra_tiles.IntraTiles.read(
                self.coder, self.blocks, intra, self.quality, first
            )
        self.mark()

    @property
    def z(self) -> np.ndarray:
        """(H/64, W/64, Z) int16: the hyper-latent, zero in blocks without coded tiles."""
        if self._z is None:
            self._z = np.zeros((*self._places, self.tables.books.hyper_channels), np.int16)
        return self._z

    @property
    def hyper(self) -> np.ndarray:
        """(H/64, W/64, Z/4) int32: symbols of z, -1 in blocks without coded tiles."""
        if self._hyper is None:
            groups = self.tables.books.hyper_channels // 4
            self._hyper = np.full((*self._places, groups), -1, np.int32)
        return self._hyper

    @property
    def _places(self) -> tuple[int, int]:
        height, width = self.blocks.shape
        return height * 16 // ALIGN, width * 16 // ALIGN

    def mark(self) -> None:
        """Note how many bits were taken so far."""
        # what taken() says, without the cost of a call of compiled code
        position, width = self.coder.state[POSITION], self.coder.state[RANGE]
        self.marks.append(max(0.0, 8.0 * int(position) - math.log2(int(width))))

    def state(self, refs: Sequence[State]) -> State:
        """What frames that refer to this one need of it, once all of it is read that shall be."""
        counts = counts_after(self.field, self.tables, refs)
        return State(self.number, self.level, self.field, self.coder.contexts, counts, self.bars)


def intra_context(level: int) -> int:
    """Context of the flag that a frame with references is coded without them."""
    return INTRA if level == 1 else INTRA + 1


def hyper_tables(quality: int, channels: int) -> int:
    """First table of the hyper-latent at a quality."""
    return CLASSES + quality * HYPER_BUCKETS // 64 * (channels // 4)


def decode_copy(coder: Decoder, references: int) -> int | None:
    """Which of its references a P or B frame is a copy of; None where it is none."""
    if not references or not decode_bit(coder, COPY):
        return None
    return int(decode_raw(coder, 1)) if references > 1 else 0


def copy_field(field: Field, direction: int) -> None:
    """Make the motion grid of a frame that is a copy: no motion, from one list."""
    field.direction[:], field.merged[:] = direction, 1


@njit_borrowing
def _decode_qdelta(coder: Decoder) -> int:
    if not decode_bit(coder, QDELTA):
        return 0
    sign = decode_bit(coder, QDELTA + 1)
    delta = 1
    while delta < MAX_QDELTA and decode_bit(coder, QDELTA + 2 + min(delta, 5)):
        delta += 1
    return -delta if sign else delta
