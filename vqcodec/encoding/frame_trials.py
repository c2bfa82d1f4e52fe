"""Trials of one frame: what follows its motion, coded in one way or another."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ..codec import codebooks, detail_syntax, direct_map, painted_blocks
from ..codec.adaptive_filter import NOWHERE
from ..codec.direct_map import coded_tiles
from ..codec.frame_decoder import Planes, copy_planes
from ..codec.frame_head import hyper_tables
from ..codec.intra_tiles import alone
from ..codec.nets.fused_backend import FusedBackend
from ..codec.nets.tiles import Tiles
from ..codec.packed_samples import pack
from ..codec.range_coder import Encoder
from ..picture_size import ALIGN
from . import (
    bar_choice,
    deblocking_choice,
    detail_choice,
    direct_choice,
    filter_choice,
    latent_search,
)
from .error_worth import block_error_bits
from .frame_motion import FrameMotion, Prediction, bits_given, context_costs
from .frame_task import FrameTask
from .frame_writing import encode_detail, encode_head, encode_latents
from .nets.arithmetic import INTEGERS
from .painted_choice import Painted, eight_bit_blocks
from .rate_distortion import RateParameters
from .trial import Detail, Latents, Layout, QuantisedLatents, Smoothed, Trial

if TYPE_CHECKING:
    from .frame_encoder import FrameEncoder

DETAIL_BITS = 24  # expected gain below which a frame goes without detail


class FrameTrials:
    """What all trials of a frame have in common, and how one is made."""

    def __init__(
        self, frames: FrameEncoder, rate: RateParameters, task: FrameTask, motion: FrameMotion
    ):
        self.frames, self.rate, self.task, self.motion = frames, rate, task, motion
        self.nets = motion.nets
        shape = (frames.padded_height // 16, frames.padded_width // 16)
        # a map without direct and painted blocks
        self.all_coded = motion.intra.all_coded if motion.intra else frames.all_coded
        self.worths = np.ones(shape, np.float32) if task.worths is None else task.worths

    @cached_property
    def candidates(self) -> np.ndarray:
        """(H/16, W/16) uint8: blocks through the nets where these may gain, the others direct."""
        prediction = self.motion.prediction
        if prediction is None:
            return self.all_coded
        if self.rate.tile_bits == math.inf:
            return self.all_direct
        error = self.block_error_bits(prediction.planes)
        return direct_choice.candidates(error, self.all_coded, self.rate.tile_bits)

    @cached_property
    def all_direct(self) -> np.ndarray:
        """(H/16, W/16) uint8: the kinds of blocks of a frame in which no nets run."""
        inside = self.all_coded == direct_map.CODED_BLOCK
        return np.where(inside, np.uint8(direct_map.DIRECT_BLOCK), self.all_coded)

    @cached_property
    def eight_bit(self) -> np.ndarray:
        """(H/16, W/16) bool: blocks whose source has samples of 8 bits."""
        return eight_bit_blocks(self.task.source, self.all_coded.shape)

    @cached_property
    def packed(self) -> np.ndarray:
        """(H/8, W/8, 96) uint16: the packed source, without its bars."""
        task, prediction, frames = self.task, self.motion.prediction, self.frames
        if prediction is not None:
            return pack(self.wanted(prediction.planes))
        return pack(bar_choice.opened(task.source, task.bars, frames.height, frames.width))

    def wanted(self, planes: Planes) -> Planes:
        """The source that these planes are to reach: bars will be drawn over what they show."""
        task, frames = self.task, self.frames
        return bar_choice.covered(task.source, planes, task.bars, frames.height, frames.width)

    @staticmethod
    def tiles(layout: Layout) -> Tiles[np.ndarray]:
        """The coded tiles of a layout, on the CPU."""
        return Tiles.of(coded_tiles(layout.blocks)[None] > 0, FusedBackend())

    def seen(self, layout: Layout) -> Prediction | None:
        """The prediction as the nets see it: those of I frames see none."""
        return layout.prediction if self.nets.shape.inter else None

    def base_planes(self) -> Planes:
        """The prediction; of an I frame neutral."""
        if self.motion.prediction is not None:
            return self.motion.prediction.planes
        return self.frames.neutral()

    def plain(self, blocks: np.ndarray) -> Layout:
        """A frame without painted blocks."""
        return Layout(blocks, None, self.motion.prediction)

    def painted(self, painted: Painted) -> Layout:
        """A frame with painted blocks: they are part of its prediction."""
        if not (painted.blocks == direct_map.PAINTED_BLOCK).any():
            return self.plain(painted.blocks)
        prediction = Prediction(painted.planes)
        return Layout(painted.blocks, painted.painting, prediction)

    @cached_property
    def simple(self) -> Layout:
        """The candidates alone, without painted blocks."""
        return self.plain(self.candidates)

    @cached_property
    def first(self) -> Trial:
        """The trial of :attr:`simple`, as the analysis has it."""
        return self.code(self._analysed, self.task.quality, self.simple)

    @cached_property
    def _analysed(self) -> Latents:
        return self.analyse(self.task.quality, self.simple)

    def latents(self, layout: Layout) -> Latents:
        """Latents of a layout by the analysis net, at the quality of the frame."""
        if layout.same(self.simple):
            return self._analysed
        return self.analyse(self.task.quality, layout)

    def coded(self, latents: Latents, layout: Layout) -> Trial:
        """A trial at the quality of the frame: :meth:`code`, unless it is known."""
        if layout.same(self.simple) and latents is self._analysed:
            return self.first
        return self.code(latents, self.task.quality, layout)

    def analyse(self, quality: int, layout: Layout | None = None) -> Latents:
        """Latents by the analysis net at a quality; zero where nothing is coded."""
        frames, sizes = self.frames, self.nets.shape
        layout = layout or self.plain(self.candidates)
        latent = np.zeros(
            (frames.padded_height // 16, frames.padded_width // 16, sizes.latent), np.float32
        )
        hyper = np.zeros(
            (frames.padded_height // ALIGN, frames.padded_width // ALIGN, sizes.hyper), np.float32
        )
        if not layout.coded:
            return Latents(latent, hyper)
        seen, codec = self.seen(layout), frames.codec
        tiles = self.tiles(layout)
        picture = _centred(tiles.at8.gather(self.packed))
        prediction = _centred(tiles.at8.gather(seen.packed)) if seen else None
        if codec.arithmetic == INTEGERS:
            net = codec.integer_analyses[self.nets.kind]
            rows, places = net.rows(picture, prediction, quality, tiles)
        else:
            floats = codec.float_analyses[self.nets.kind]
            rows, places = floats.of_arrays(picture, prediction, quality, tiles, codec.arithmetic)
        hyper.reshape(-1, sizes.hyper)[tiles.hyper] = places
        return Latents(tiles.at16.scatter(rows)[0], hyper)

    def quantise(self, latents: Latents, quality: int, layout: Layout) -> QuantisedLatents:
        """Entropy-constrained search of codewords, the hyper-latent's and then of all steps."""
        tables, books, blocks = self.motion.tables, self.motion.tables.books, layout.blocks
        first_table = hyper_tables(quality, latents.z.shape[2])
        out = QuantisedLatents.empty(latents, direct_map.idle(blocks), first_table)
        if not layout.coded:
            out.z[:] = 0
            groups = (*out.y.shape[:2], out.y.shape[2] // 4)
            out.classes += [np.zeros(groups, np.uint8)] * self.nets.shape.steps
            return out
        seen = self.seen(layout)
        worth, prior = self.rate.vq_lambda, self.nets.prior
        worths = np.float32(worth) / self.worths
        costs = tables.costs()
        latent_search.search_hyper(
            latents.z, out.idle, first_table, books.sizes, books.words, costs, worth,
            out.z_symbols, out.z,
        )  # fmt: skip
        target = latents.y * np.float32(codebooks.UNIT)
        tiles = self.frames._tiles([blocks])
        contexts = prior.context(out.z[None], seen.packed8 if seen else None, tiles)
        for k, context in enumerate(contexts):
            mean, classes = (a[0] for a in prior.step(k, context, out.y[None], quality, tiles))
            latent_search.search_step(
                target, mean, classes, blocks, k, len(contexts), books.dims, books.sizes,
                books.words, costs, worths, out.symbols, out.y, out.bits,
            )  # fmt: skip
            out.classes.append(classes)
        return out

    def choose_detail(self, planes: Planes, blocks: np.ndarray) -> Detail:
        """The detail that pays on top of some planes."""
        motion = self.motion
        detail = self._detail_at(planes, blocks, motion.costs)
        if motion.prediction is not None or detail.step < 0 or not self.rate.detail_twice:
            return detail
        # the contexts of an I frame have seen nothing yet: choose again by what the first
        # choice makes of them
        contexts = motion.coder.contexts.copy()
        scratch = Encoder.start(motion.coder.out.size, contexts)
        encode_detail(scratch, detail, blocks, copy_planes(planes))
        # the slow estimates: the fast ones know the last cells only
        contexts[:, 0] = contexts[:, 1]
        return self._detail_at(planes, blocks, context_costs(contexts))

    def _detail_at(self, planes: Planes, blocks: np.ndarray, costs: np.ndarray) -> Detail:
        frames, rate = self.frames, self.rate
        step, worth = rate.detail(self.task.aim)
        worth *= rate.detail_key_worth if self.task.level < 2 else rate.detail_worth
        cells = (frames.padded_height // 8, frames.padded_width // 8)
        detail = Detail(
            step,
            np.empty(cells, np.int8),
            np.empty((*cells, 6, 16), np.int32),
            np.empty(cells),
        )
        picture = detail_choice.Unrefined(
            self.wanted(planes), planes, detail_syntax.STEP_TABLE[step],
            worth * self.worths.astype(np.float64), np.array(self.task.plane_weights),
            frames.height, frames.width, blocks, costs, 2 if rate.detail_samples else 1,
        )  # fmt: skip
        gain = detail_choice.choose(picture, detail.modes, detail.levels, detail.cost)
        if gain <= DETAIL_BITS:
            detail.step = -1
        return detail

    def code(self, latents: Latents, quality: int, layout: Layout, filtered: bool = False) -> Trial:
        """Code what follows the motion: latents at a quality, without adaptive loop filters, or
        with those that promise to pay."""
        frames, motion = self.frames, self.motion
        quantised = self.quantise(latents, quality, layout)
        drawn = self._reconstruct(quantised, quality, layout)
        borders = frames.borders(layout.blocks, motion.field)
        guess = deblocking_choice.expected(layout.coded) if self.rate.deblock_guessed else None
        strength, planes = deblocking_choice.choose(drawn, borders, self.error_bits, guess)
        smoothed = Smoothed(strength, planes, filter_choice.NONE, planes)
        if filtered:
            smoothed = self._filters(smoothed, layout.blocks)
        return self._written(latents, quality, layout, quantised, smoothed)

    def filtered(self, trial: Trial) -> Trial:
        """A trial with the adaptive loop filters that pay, or the trial itself."""
        smoothed = self._filters(trial.smoothed, trial.blocks)
        if smoothed is trial.smoothed:
            return trial
        other = self._written(trial.latents, trial.quality, trial.layout, trial.quantised, smoothed)
        return other if other.cost < trial.cost else trial

    def _filters(self, smoothed: Smoothed, blocks: np.ndarray) -> Smoothed:
        """A picture with the adaptive loop filters that promise to pay; itself where none does."""
        if self.task.level >= self.rate.loop_filter_levels:
            return smoothed
        planes = copy_planes(smoothed.planes)
        worths = self.rate.detail(self.task.aim)[1] * self.worths.astype(np.float64)
        picture = filter_choice.Unfiltered(
            planes, self.wanted(planes), blocks, worths, self.task.plane_weights
        )
        filters = filter_choice.filter_best(picture, self.motion.coder)
        if filters.where == NOWHERE:
            return smoothed
        return smoothed._replace(filters=filters, shown=planes)

    def _written(
        self,
        latents: Latents,
        quality: int,
        layout: Layout,
        quantised: QuantisedLatents,
        smoothed: Smoothed,
    ) -> Trial:
        """The stream of a trial, with the detail that pays."""
        frames, motion, blocks = self.frames, self.motion, layout.blocks
        planes = copy_planes(smoothed.shown)
        detail = self.choose_detail(planes, blocks)
        coder, tables = motion.coder.branch(), motion.tables.fresh()
        marks = encode_head(coder, self.task, motion, quality, layout, quantised, smoothed, tables)
        if motion.intra is not None:
            encode_latents(coder, motion.intra.quantised, alone(blocks), motion.intra.tables)
        marks.append(bits_given(coder))
        self._paint(coder, layout)
        marks.append(bits_given(coder))
        encode_latents(coder, quantised, blocks, tables)
        marks.append(bits_given(coder))
        encode_detail(coder, detail, blocks, planes)
        frames._finish(planes, self.task.bars)
        marks.append(bits_given(coder))
        data = coder.finished()
        cost = 8 * len(data) + self.error_bits(planes)
        return Trial(
            quality, layout, latents, quantised, smoothed, detail, data, planes, coder.contexts,
            tables, marks, cost,
        )  # fmt: skip

    def _reconstruct(self, quantised: QuantisedLatents, quality: int, layout: Layout) -> Planes:
        """The picture before its detail."""
        frames, seen, base = self.frames, self.seen(layout), layout.prediction
        if not layout.coded:
            y, u, v = base.planes if base else frames.neutral()
            return y.copy(), u.copy(), v.copy()
        tiles, packed8 = frames._tiles([layout.blocks]), seen.packed8 if seen else None
        residual = self.nets.synthesis(quantised.y[None], packed8, quality, tiles)[0]
        return frames._reconstruct(residual, base.planes if base else None, layout.blocks)

    def _paint(self, coder: Encoder, layout: Layout) -> None:
        """Code the samples of the painted blocks."""
        if layout.painting is not None and layout.prediction is not None:
            y, u, v = (plane.copy() for plane in self.base_planes())
            painted_blocks.code_painted(
                coder, layout.blocks, layout.painting, (y, u, v), layout.prediction.planes
            )

    def error_bits(self, planes: Planes) -> float:
        """Bits that the squared error of some planes is worth."""
        return float(self.block_error_bits(planes).sum())

    def block_error_bits(self, planes: Planes) -> np.ndarray:
        """(H/16, W/16): the same of each block."""
        wanted = self.wanted(planes)
        return block_error_bits(self.task, wanted, planes, self.rate, self.all_coded)


def _centred(packed: np.ndarray) -> np.ndarray:
    """Samples as the analysis takes them: from -0.5 to 0.5."""
    return packed.astype(np.float32) / np.float32(1020) - np.float32(0.5)
