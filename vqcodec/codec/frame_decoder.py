"""One frame decoded: range coder, prediction, nets and detail put together; what
:mod:`vqcodec.encoding.frame_encoder` shares with it.

Order inside a frame's stream: its head (frame_head.py), the latent of intra tiles, the samples of
painted blocks, the latent in two or four steps, detail.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from ..compiled import njit_borrowing
from ..errors import DamageError
from ..picture import Picture
from ..picture_size import padded_size
from ..system.threads import side_by_side, thread_count
from . import (
    adaptive_filter,
    bars,
    deblocking,
    detail_syntax,
    direct_map,
    intra_tiles,
    latent_syntax,
    painted_blocks,
)
from .bit_statistics import FrameStatistics, element_bits, shares
from .codebooks import Tables
from .frame_head import FrameHead, HeadReader, State, counts_after
from .intra_tiles import IntraLatent
from .motion_compensation import compensate
from .motion_field import Field
from .nets.tiles import Tiles
from .packed_samples import pack8, reconstruct

if TYPE_CHECKING:
    from .weights import Codec

NEUTRAL = 510  # base of an I frame's samples
Planes = tuple[np.ndarray, np.ndarray, np.ndarray]


def copy_planes(planes: Planes) -> Planes:
    """The same samples, to be changed."""
    return planes[0].copy(), planes[1].copy(), planes[2].copy()


def pad(picture: Picture, width: int, height: int) -> Planes:
    """Planes of 10 bits, extended to multiples of 64 by repeating the last row and column."""
    rows, columns = padded_size(width, height)
    shift = 2 if picture.y.dtype == np.uint8 else 0
    y = np.empty((rows, columns), np.uint16)
    u, v = (np.empty((rows // 2, columns // 2), np.uint16) for _ in range(2))
    for plane, out in zip(picture, (y, u, v), strict=True):
        _pad(plane, shift, out)
    return y, u, v


@njit_borrowing
def _pad(plane: np.ndarray, shift: int, out: np.ndarray) -> None:
    height, width = plane.shape
    for r in range(out.shape[0]):
        row, to = plane[min(r, height - 1)], out[r]
        for c in range(width):
            to[c] = np.uint16(row[c]) << np.uint16(shift)
        to[width:] = to[width - 1]


@dataclass
class Coded(State):
    """A decoded frame as a reference, with its padded planes of 10 bits."""

    planes: Planes
    # of the encoder's search, and who makes them
    phases: np.ndarray | None = None
    making: AbstractContextManager[bool] = field(default_factory=Lock, repr=False, compare=False)


class FrameJob(NamedTuple):
    """A frame to decode."""

    data: memoryview  # its stream
    number: int  # in the GOP
    level: int
    quality: int  # of its level
    references: list[Coded]


class FrameCoder:
    """Decodes frames of one size with one model;
    :class:`vqcodec.encoding.frame_encoder.FrameEncoder` builds on it."""

    def __init__(self, codec: Codec, width: int, height: int):
        self.codec, self.backend = codec, codec.backend
        self.width, self.height = width, height
        self.heads = HeadReader(codec.intra.books, codec.inter.books, width, height)
        self.padded_height, self.padded_width, self.all_coded = (
            self.heads.padded_height,
            self.heads.padded_width,
            self.heads.all_coded,
        )

    # -- both directions

    def _compensate(self, field: Field, leaves: np.ndarray, refs: list[Coded]) -> Planes:
        out = (
            np.empty((self.padded_height, self.padded_width), np.uint16),
            np.empty((self.padded_height // 2, self.padded_width // 2), np.uint16),
            np.empty((self.padded_height // 2, self.padded_width // 2), np.uint16),
        )
        compensate(leaves, field, refs[0].planes, refs[-1].planes, out)
        return out

    def _reconstruct(self, residual: np.ndarray, base: Planes | None, blocks: np.ndarray) -> Planes:
        """residual (H/8, W/8, 96) int16, prediction, kinds of blocks (H/16, W/16)."""
        return reconstruct(residual, blocks, base or self.neutral())

    def borders(self, blocks: np.ndarray, field: Field) -> np.ndarray:
        """(2, H/8, W/8) bool: the borders that the deblocking filter may smooth."""
        return deblocking.borders(blocks, field, self.height, self.width)

    def _tiles(self, blocks: list[np.ndarray]) -> Tiles[Any]:
        """Where the nets run in frames, by the kinds of their blocks."""
        return Tiles.of(np.stack([direct_map.coded_tiles(b) for b in blocks]) > 0, self.backend)

    def neutral(self) -> Planes:
        """The prediction of a frame without references."""
        half = (self.padded_height // 2, self.padded_width // 2)
        y, u, v = (
            np.full(size, NEUTRAL, np.uint16)
            for size in ((self.padded_height, self.padded_width), half, half)
        )
        return y, u, v

    def _finish(self, planes: Planes, drawn: np.ndarray) -> None:
        """Draw the bars (7,) of a frame; what lies outside of the shown picture repeats its last
        row and column."""
        bars.draw(planes, drawn, self.height, self.width)
        for plane in planes:
            height, width = self.height, self.width
            if plane is not planes[0]:
                height, width = (height + 1) // 2, (width + 1) // 2
            plane[:, width:] = plane[:, width - 1 : width]
            plane[height:] = plane[height - 1 : height]

    def _coded(
        self,
        number: int,
        level: int,
        planes: Planes,
        field: Field,
        contexts: np.ndarray,
        tables: Tables,
        refs: list[Coded],
        drawn: np.ndarray,
    ) -> Coded:
        """drawn: its bars."""
        counts = counts_after(field, tables, refs)
        return Coded(number, level, field, contexts, counts, drawn, planes)

    # -- decoder

    def decode(
        self, jobs: list[FrameJob], stats: list[FrameStatistics] | None = None
    ) -> list[Coded]:
        """Decode frames that don't depend on each other: side by side where there are threads for
        it, and else through the nets as a batch."""
        if self.backend.device == "cpu" and thread_count() > 1:
            runs = [run for (run,) in side_by_side(self._alone, jobs)]
        else:
            runs = self.parse(jobs)
        return [self.finish(run, stats) for run in runs]

    def _alone(self, job: FrameJob) -> list[Decoding]:
        return self.parse([job])

    def parse(
        self, jobs: list[FrameJob], symbols: bool = False, pixels: bool = True
    ) -> list[Decoding]:
        """The same up to what :meth:`finish` does; with ``symbols`` those of the latents are kept.
        Without ``pixels`` neither synthesis nor detail run."""
        runs = [Decoding(self, *job) for job in jobs]
        if symbols:
            for run in runs:
                run.expect_symbols()
        for alike in _by_quality([r.drawn for r in runs if r.drawn is not None]):
            self._draw_intra(alike)
        for run in runs:
            run.paint(self)
        for same in _by_quality([r for r in runs if r.copied is None and r.coded]):
            seen = np.stack([pack8(r.pred) for r in same]) if same[0].nets.shape.inter else None
            latent, tiles = self._decode_latents(same, seen)
            for run in same:
                run.mark()
            if pixels:
                self._synthesise(same, latent, seen, tiles)
        for run in runs:
            if run.copied is None and not run.coded:
                run.mark()  # behind no latent
                if pixels:
                    self._refine(run, run.pred)
        return runs

    def finish(self, run: Decoding, stats: list[FrameStatistics] | None = None) -> Coded:
        """The frame as a reference; DamageError where its stream holds more than was read."""
        left = run.coder.left
        if left > 0:
            raise DamageError(f"frame {run.number}: {left} bytes of its stream are left over")
        if stats is not None:
            row = FrameStatistics(
                frame=run.number,
                type="I" if run.intra else "IPB"[min(run.level, 2)],
                level=run.level,
                q=run.quality,
                deblock=run.strength,
                bytes=run.coder.data.size,
                bits=element_bits(run.marks, run.vector_bits, run.coder.data.size),
            )
            if not run.intra:
                row.update(shares(run.field, run.blocks, len(run.leaves)))
            stats.append(row)
        return self._coded(
            run.number, run.level, run.planes, run.field, run.coder.contexts, run.tables, run.refs,
            run.bars,
        )  # fmt: skip

    def _draw_intra(self, runs: list[IntraLatent]) -> None:
        """Decode the intra tiles of frames of one quality, into their predictions."""
        y, tiles = self._decode_latents(runs, None)
        residual = runs[0].nets.synthesis(y, None, runs[0].quality, tiles)
        for own, run in zip(residual, runs, strict=True):
            intra_tiles.draw(run.planes, own, run.blocks, self.neutral())

    def _decode_latents(
        self, runs: Sequence[_Latent], pred8: np.ndarray | None
    ) -> tuple[np.ndarray, Tiles[Any]]:
        """Latents (N, H/16, W/16, M) of frames of one type and quality, and where the nets run.

        pred8 (N, H/8, W/8, 96) int8: their predictions as the nets see them.
        """
        nets, quality = runs[0].nets, runs[0].quality
        books, shape = runs[0].tables.books, nets.shape
        hy, wy = self.padded_height // 16, self.padded_width // 16
        hyper = np.stack([r.z for r in runs])
        latent = np.zeros((len(runs), hy, wy, shape.latent), np.int16)
        tiles = self._tiles([r.blocks for r in runs])
        contexts = nets.prior.context(hyper, pred8, tiles)
        for number, context in enumerate(contexts):
            mean, cls = nets.prior.step(number, context, latent, quality, tiles)
            for frame, run in enumerate(runs):
                tables = run.tables
                latent_syntax.decode_step(
                    run.coder, mean[frame], cls[frame], run.blocks, number, shape.steps,
                    books.dims, books.sizes, books.words, tables.cdf, tables.seen, latent[frame],
                    run.symbols, run.classes,
                )  # fmt: skip
        return latent, tiles

    def _synthesise(
        self,
        runs: list[Decoding],
        latent: np.ndarray,
        pred8: np.ndarray | None,
        tiles: Tiles[Any],
    ) -> None:
        residual = runs[0].nets.synthesis(latent, pred8, runs[0].quality, tiles)
        for frame, run in enumerate(runs):
            self._refine(run, self._reconstruct(residual[frame], run.pred or None, run.blocks))

    def _refine(self, run: Decoding, planes: Planes) -> None:
        """The picture of a frame from what the nets, or its prediction alone, make of it."""
        if run.strength:
            deblocking.deblock(planes, self.borders(run.blocks, run.field), run.strength)
        adaptive_filter.filter_planes(planes, run.blocks, run.filtered, run.filters)
        cells = np.empty((self.padded_height // 8, self.padded_width // 8), np.int8)
        detail_syntax.decode_detail(run.coder, detail_syntax.STEP_TABLE, run.blocks, cells, planes)
        self._finish(planes, run.bars)
        run.planes = planes
        run.mark()


class Decoding(FrameHead):
    """A frame on its way through the decoder: its head is decoded at once, latents later in a
    batch."""

    def __init__(
        self,
        coder: FrameCoder,
        data: memoryview,
        number: int,
        level: int,
        quality: int,
        refs: list[Coded],
    ):
        super().__init__(coder.heads, data, number, level, quality, refs)
        self.refs, self.nets = refs, coder.codec.nets(self.intra, level)
        self.pred: Planes = ()  # type: ignore[assignment]
        self.planes: Planes = ()  # type: ignore[assignment]
        # symbols of the latents as latent_syntax gives them, where they are asked for
        self.symbols = np.empty((0, 0, 0), np.int32)
        self.classes = np.empty((0, 0, 0), np.int8)
        self.drawn: IntraLatent | None = None
        if self.copied is not None:
            self.planes = refs[self.copied].planes
            self.marks += [self.marks[-1]] * 4
            return
        if not self.intra:
            self.pred = coder._compensate(self.field, self.leaves, refs)
        if self.intra_tiles is not None:
            self.drawn = IntraLatent.of(self.intra_tiles, coder.codec.nets(True, level), self.pred)

    def paint(self, coder: FrameCoder) -> None:
        """Decode the painted blocks, behind the intra tiles."""
        if self.copied is not None:
            return
        self.mark()
        if self.painting is not None:
            self.pred = self.pred or coder.neutral()
            painted_blocks.code_painted(
                self.coder, self.blocks, self.painting, self.pred, self.pred
            )
        self.mark()

    @property
    def coded(self) -> bool:
        """Whether nets run in any of its tiles."""
        return bool((self.blocks == direct_map.CODED_BLOCK).any())

    def expect_symbols(self) -> None:
        """Room for the symbols of the latents, -1 where nothing is coded."""
        self.symbols, self.classes = latent_syntax.no_symbols(self.blocks, self.nets.shape.latent)
        if self.drawn is not None:
            self.drawn.expect_symbols()


_Latent = Decoding | IntraLatent  # what the nets decode of a frame
_Alike = TypeVar("_Alike", Decoding, IntraLatent)


def _by_quality(runs: list[_Alike]) -> list[list[_Alike]]:
    out: dict[tuple[str, int], list[_Alike]] = {}
    for r in runs:
        out.setdefault((r.nets.kind, r.quality), []).append(r)
    return list(out.values())
