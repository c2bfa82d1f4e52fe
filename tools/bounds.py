#!/usr/bin/env python3
"""What tools that the codec does not have could gain at most, measured on frames as it codes them.

    tools/bounds.py quality-map ../shared/corpus/train/davis-tennis.mkv --frames 33 --crf 24,36
    tools/bounds.py third-reference ../shared/corpus/train/davis-tennis.mkv --frames 65
    tools/bounds.py intra-tiles ../shared/corpus/train/davis-tennis.mkv --frames 65

quality-map: each frame of the first levels is coded again at qualities around its own, and each
64x64 block takes the cheapest: bits of latent and detail, and what the weighed error is worth.

third-reference: the motion of each B frame is searched for again with a frame farther away in the
place of one of its references, and each 64x64 block takes the cheapest pair: bits of the motion,
and those that the residual is expected to take.

intra-tiles: key frames and the first B frames are coded again without references, by the nets of I
frames, and each 32x32 tile takes what is cheaper; costs as for the map of qualities.

Side information is paid for. What blocks know of their neighbours is that of one choice for all of
them: these are bounds and no encodes. docs/design/results.md quotes them.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from vqcodec.codec.frame_decoder import Coded
from vqcodec.encoding import frame_motion, latent_refinement
from vqcodec.encoding.frame_encoder import FrameEncoder, KeptFrame
from vqcodec.encoding.frame_task import FrameTask
from vqcodec.encoding.frame_trials import FrameTrials
from vqcodec.encoding.gop_encoder import encode_gop
from vqcodec.encoding.model import load_model
from vqcodec.encoding.motion_search import Grids, References, search
from vqcodec.encoding.rate_distortion import RateParameters
from vqcodec.encoding.trial import Layout, block_costs
from vqcodec.picture import plane8
from vqcodec.training.pictures import read_clip

BLOCK, TILE = 4, 2  # in 16x16 blocks
QUALITIES = (-8, -4, 0, 4, 8)  # against a frame's own
QUALITY_BITS = 1.0  # of a block's quality
INTRA_BITS = 0.5  # of a tile's nets
PAIR_BITS = 1.5  # of a block's references
RATE = RateParameters(intra_tile_levels=0)  # frames as they are without intra tiles


def sums(values: np.ndarray, side: int) -> np.ndarray:
    """Sums of values (H/16, W/16) over squares of so many blocks."""
    rows, columns = (np.arange(0, size, side) for size in values.shape)
    return np.asarray(np.add.reduceat(np.add.reduceat(values, rows, 0), columns, 1))


class Bound:
    """Sees kept frames, and sums up by level: frames, bits, and the costs by more and more choice:
    as it is, one choice for the frame, one for each block or tile."""

    def __init__(self, frames: FrameEncoder):
        self.frames = frames
        self.sums: dict[int, np.ndarray] = defaultdict(lambda: np.zeros(5))

    def kept(self, frame: KeptFrame) -> None:
        """See :class:`.frame_encoder.Observer`."""
        raise NotImplementedError

    def count(self, frame: KeptFrame, costs: list[np.ndarray], side: float) -> None:
        """Take in a frame by the costs (H/64, W/64) of its choices, of which the first is its
        own."""
        totals = [float(cost.sum()) for cost in costs]
        free = float(np.min(costs, axis=0).sum()) + side * costs[0].size
        bits = 8 * len(frame.trial.data)
        self.sums[frame.task.level] += (1, bits, totals[0], min(totals), min(free, *totals))

    def cost(self, trials: FrameTrials, quality: int, layout: Layout) -> np.ndarray:
        """(H/16, W/16): bits of latent and detail, and what the error is worth."""
        latents = trials.analyse(quality, layout)
        latents = latent_refinement.refine(trials, latents, quality, layout)
        quantised = trials.quantise(latents, quality, layout)
        planes = trials._reconstruct(quantised, quality, layout)
        detail = trials.choose_detail(planes, layout.blocks)
        return block_costs(detail, quantised)

    @property
    def rate(self) -> RateParameters:
        """The encoder's, but error weighs in the detail as elsewhere."""
        return replace(self.frames.rate, detail_key_worth=1.0, detail_worth=1.0)


class QualityMap(Bound):
    """Codes I, key and the first B frames at other qualities."""

    def kept(self, frame: KeptFrame) -> None:
        """Code a frame again."""
        task, trial = frame.task, frame.trial
        if task.level >= self.rate.refine_levels or not trial.layout.coded:
            return
        trials = FrameTrials(self.frames, self.rate, task, frame.motion)
        offsets = sorted(QUALITIES, key=abs)
        qualities = [min(max(trial.quality + offset, 0), 63) for offset in offsets]
        costs = [sums(self.cost(trials, quality, trial.layout), BLOCK) for quality in qualities]
        self.count(frame, costs, QUALITY_BITS)


class IntraTiles(Bound):
    """Codes key and the first B frames by the nets of I frames too."""

    def kept(self, frame: KeptFrame) -> None:
        """Code a frame again."""
        task, trial = frame.task, frame.trial
        if not 1 <= task.level < self.rate.refine_levels or frame.motion.prediction is None:
            return
        own = FrameTrials(self.frames, self.rate, task, frame.motion)
        alone = FrameTrials(
            self.frames, self.rate, task, frame_motion.intra_motion(self.frames, task)
        )
        costs = [
            sums(self.cost(own, trial.quality, trial.layout), TILE),
            sums(self.cost(alone, trial.quality, alone.simple), TILE),
        ]
        self.count(frame, costs, INTRA_BITS)


class ThirdReference(Bound):
    """Searches for the motion of B frames in other pairs of references."""

    def __init__(self, frames: FrameEncoder):
        super().__init__(frames)
        self.known: dict[int, Coded] = {}

    def kept(self, frame: KeptFrame) -> None:
        """Search again, with the next frames beyond each reference."""
        task = frame.task
        if task.level >= 2 and len(task.references) == 2:
            before, behind = task.references
            farther = [n for n in self.known if n < before.number]
            ahead = [n for n in self.known if n > behind.number]
            pairs = [[before, behind]]
            pairs += [[before, self.known[max(farther)]]] if farther else []
            pairs += [[self.known[min(ahead)], behind]] if ahead else []
            self.count(frame, [self._costs(task, pair) for pair in pairs], PAIR_BITS)
        self.known[task.number] = frame.coded

    def _costs(self, task: FrameTask, references: list[Coded]) -> np.ndarray:
        """(H/64, W/64): bits of motion and of the expected residual."""
        task = replace(task, references=references, vectors=())
        weighing = self.frames.rate.motion(task.quality)
        luma = plane8(task.source[0])
        start = self.frames.heads.start(task.number, references, False)
        costs = np.empty(tuple(-(-size // 64) for size in luma.shape))
        search(
            frame_motion._started(self.frames, task), Grids(start.field, start.collocated), luma,
            References(*map(self.frames.interpolated.of, references)),
            frame_motion._starting_vectors(task), weighing,
            np.empty((luma.size // 64, 3), np.int32), costs,
        )  # fmt: skip
        return costs


WHAT = {"quality-map": QualityMap, "third-reference": ThirdReference, "intra-tiles": IntraTiles}


def main() -> None:
    """Print the bound for each clip, quality and level."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("what", choices=WHAT)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--frames", type=int, default=33)
    parser.add_argument("--crf", default="24,36")
    options = parser.parse_args()
    codec = load_model()
    print("| clip, crf | level | frames | bytes | cost, of the bits | by frame | by block |")
    print("| -- | -- | -- | -- | -- | -- | -- |")
    for clip in options.clips:
        pictures = read_clip(clip, limit=options.frames)
        height, width = pictures[0].y.shape
        for crf in map(float, options.crf.split(",")):
            bound = WHAT[options.what](FrameEncoder(codec, width, height, RATE))
            encode_gop(codec, pictures, crf, RATE, observer=bound)
            for level, (count, bits, own, one, free) in sorted(bound.sums.items()):
                print(
                    f"| {clip.stem} {crf:g} | {level} | {count:.0f} | {bits / 8:.0f} "
                    f"| {own / bits:.2f} | {100 * (one - own) / bits:+.1f} % "
                    f"| {100 * (free - own) / bits:+.1f} % |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
