"""One frame encoded: its motion once, then trials of what follows, the cheapest of which is
kept."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from ..codec import direct_map
from ..codec.bit_statistics import FrameStatistics, element_bits, shares
from ..codec.frame_decoder import Coded, FrameCoder
from ..codec.frame_head import FrameHead
from . import direct_choice, intra_choice, intra_tile_choice, latent_refinement, painted_choice
from .frame_copy import best_copy, code_copy
from .frame_motion import FrameMotion, find_motion, intra_motion
from .frame_task import CodedFrame, FrameTask
from .frame_trials import FrameTrials
from .interpolated import Interpolated
from .rate_distortion import RateParameters, lagrangian
from .trial import Latents, Layout, Trial, block_costs

if TYPE_CHECKING:
    from .model import EncoderModel


LEAST_BITS = 40.0  # what no coding of a frame could gain much on


class KeptFrame(NamedTuple):
    """A frame with all that the encoder knows of it."""

    task: FrameTask
    motion: FrameMotion
    trial: Trial  # the one that was kept
    coded: Coded


class Observer(Protocol):
    """Sees what the encoder does, for training and measurements.

    Frames of one level may be encoded at once, by several threads, which all call it.
    """

    def kept(self, frame: KeptFrame) -> None:
        """A frame is encoded. Copies of a reference, which have nothing else, are not told of."""


class FrameEncoder(FrameCoder):
    """Encodes frames of one size with one model.

    Args:
        rate: trade-offs of the encoder.
        stats: whether statistics of each frame are wanted.
        observer: is told of each frame.
    """

    codec: EncoderModel

    def __init__(
        self,
        codec: EncoderModel,
        width: int,
        height: int,
        rate: RateParameters | None = None,
        stats: bool = True,
        observer: Observer | None = None,
    ):
        super().__init__(codec, width, height)
        self.rate, self.stats, self.observer = rate or RateParameters(), stats, observer
        self.interpolated = Interpolated(
            self.padded_height, self.padded_width, self.rate.motion_precision
        )

    def encode(self, task: FrameTask) -> CodedFrame:
        """Code a frame."""
        copy = best_copy(task, self.rate, self.all_coded)
        if copy is not None and (any(task.twins) or copy.cost < LEAST_BITS):
            return code_copy(self, task, copy.reference)
        trials, trial = self._cheapest(task)
        motion = trials.motion
        if copy is not None and copy.cost < trial.cost:
            return code_copy(self, task, copy.reference)
        coded = self._coded(
            task.number,
            task.level,
            trial.planes,
            motion.field,
            trial.contexts,
            trial.tables,
            task.references,
            task.bars,
        )
        if self.observer is not None:
            self.observer.kept(KeptFrame(task, motion, trial, coded))
        stats = self._statistics(task, motion, trial) if self.stats else FrameStatistics()
        return CodedFrame(coded, trial.data, stats)

    def _cheapest(self, task: FrameTask) -> tuple[FrameTrials, Trial]:
        """The cheapest trial of a frame, predicted from its references or coded without them, and
        what it is one of."""
        if not task.references:
            return self._best(self._without(task))
        motion = find_motion(self, task, self.rate, self.interpolated)
        ways = self._ways(FrameTrials(self, self.rate, task, motion))
        return min(map(self._best, ways), key=lambda found: found[1].cost)

    def _without(self, task: FrameTask) -> FrameTrials:
        """The frame coded without its references."""
        return FrameTrials(self, self.rate, task, intra_motion(self, task))

    def _ways(self, predicted: FrameTrials) -> list[FrameTrials]:
        """The frame as it is predicted, or coded without its references, whichever promises to cost
        less; both where only their coding tells."""
        rate, task, motion = self.rate, predicted.task, predicted.motion
        assert motion.prediction is not None
        source, shown = task.source, motion.prediction.planes
        floor = rate.motion(task.quality).floor
        bad = intra_choice.badness(source, shown, floor)
        if bad > rate.intra_certain:
            return [self._without(task)]
        if bad <= rate.intra_tried and not (
            task.level < rate.intra_levels
            and intra_choice.badness(source, shown, intra_choice.LEFT * floor) > rate.intra_doubted
        ):
            return [predicted]
        alone = self._without(task)
        # direct blocks may leave the prediction as it is
        plain = motion.marks[-1] + predicted.error_bits(shown)
        if alone.first.cost >= min(predicted.first.cost, plain):
            return [predicted]
        # whether what intra tiles promise comes true for the frame, only its coding tells
        both = rate.intra_both and intra_tile_choice.mixed_cost(predicted, alone) < alone.first.cost
        return [predicted, alone] if both else [alone]

    @staticmethod
    def _certain(trials: FrameTrials) -> Layout:
        """The layout with the blocks about which there is no question."""
        certain = painted_choice.certain(trials)
        return trials.painted(certain) if certain else trials.plain(trials.candidates)

    def _latents(self, trials: FrameTrials, layout: Layout) -> Latents:
        """Latents at the quality of the level, refined where that pays most."""
        task, rate = trials.task, self.rate
        latents = trials.latents(layout)
        if task.level >= rate.refine_levels:
            return latents
        return latent_refinement.refine(trials, latents, task.quality, layout)

    @staticmethod
    def _with_intra_tiles(trials: FrameTrials, best: Trial) -> tuple[FrameTrials, Trial]:
        """A trial with intra tiles if it is cheaper than the best without; and its trials."""
        found = intra_tile_choice.trials_with_tiles(trials, best)
        if found is None:
            return trials, best
        own, layout = found
        trial = own.code(best.latents, own.task.quality, layout)
        return (own, trial) if trial.cost < best.cost - own.rate.intra_gain else (trials, best)

    def _best(self, trials: FrameTrials) -> tuple[FrameTrials, Trial]:
        """The cheapest trial: plain, with direct and painted blocks, with a coarser latent, with
        intra tiles; and what it is one of."""
        task, rate = trials.task, self.rate
        layout = self._certain(trials)
        latents = self._latents(trials, layout)
        if rate.one_trial:
            return trials, trials.code(latents, task.quality, layout, filtered=True)
        best = trials.coded(latents, layout)
        other = self._layout(trials, best)
        if other is not None:
            if trials.nets.shape.inter and other.painting != layout.painting:
                latents = self._latents(trials, other)
            trial = trials.code(latents, task.quality, other)
            best = trial if trial.cost < best.cost else best
        if best.layout.coded and best.refined > rate.detail_share:
            # text and graphics: the detail codes them better than the latent
            for drop in sorted({min(drop, task.quality) for drop in rate.detail_drops} - {0}):
                quality = task.quality - drop
                other = best.layout
                trial = trials.code(trials.analyse(quality, other), quality, other)
                if trial.cost >= best.cost:
                    break
                best = trial
        trials, best = self._with_intra_tiles(trials, best)
        return trials, trials.filtered(best)

    def _layout(self, trials: FrameTrials, trial: Trial) -> Layout | None:
        """Direct and painted blocks that promise to cost less than a trial without them did."""
        rate, blocks = self.rate, trial.blocks
        cost = block_costs(trial.detail, trial.quantised)
        prediction = trials.motion.prediction
        changed = False
        if prediction is not None and trial.layout.coded and rate.direct_gain < math.inf:
            plain = trials.choose_detail(prediction.planes, trials.all_direct)
            costs = direct_choice.Costs(trial.detail.cost, trial.quantised.bits, plain.cost)
            chosen = direct_choice.choose(costs, blocks, rate.tile_gain, rate.direct_gain)
            if chosen is not None:
                direct = chosen == direct_map.DIRECT_BLOCK
                cost = np.where(direct, direct_map.sums_of_four(plain.cost), cost)
                blocks, changed = chosen, True
        painted = painted_choice.choose(trials, blocks, cost, rate.paint_gain)
        if painted is None and changed:
            if (blocks == direct_map.PAINTED_BLOCK).any():
                painted = painted_choice.measure(trials, blocks)
            else:
                return trials.plain(blocks)
        return trials.painted(painted) if painted else None

    def _statistics(self, task: FrameTask, motion: FrameMotion, trial: Trial) -> FrameStatistics:
        """What ``--stats`` reports of a frame, for the trial that was kept."""
        predicted = motion.prediction is not None
        vectors = self._vector_bits(task, trial.data) if predicted else 0.0
        bits = element_bits(trial.marks, vectors, len(trial.data))
        stats = FrameStatistics(q=trial.quality, deblock=trial.smoothed.strength, bits=bits)
        stats["lambda"] = lagrangian(task.quality)
        if trial.detail.step >= 0:
            stats["refined"] = trial.refined
        stats["type"] = "IPB"[min(task.level, 2)] if predicted else "I"
        if predicted:
            stats.update(shares(motion.field, trial.blocks, motion.leaves))
        return stats

    def _vector_bits(self, task: FrameTask, data: bytes) -> float:
        """Bits of motion vectors in a stream, found by reading its head back."""
        stream = memoryview(data)
        head = FrameHead(self.heads, stream, task.number, task.level, task.base, task.references)
        return head.vector_bits
