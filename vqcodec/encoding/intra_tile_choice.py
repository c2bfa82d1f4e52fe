"""Which tiles of a frame are drawn by the nets of I frames: those that its references show nothing
of, or not well enough.

Tiles that cost much as they are and whose prediction is bad are coded by those nets too, and no
others, so a frame that is predicted well takes no time here.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..codec import intra_tiles
from ..codec.direct_map import (
    CODED_BLOCK,
    DIRECT_BLOCK,
    INTRA_BLOCK,
    OUTSIDE_BLOCK,
    PAINTED_BLOCK,
    sums_of_four,
)
from ..codec.frame_decoder import Planes, copy_planes
from ..codec.frame_head import hyper_tables
from . import intra_choice, latent_refinement, painted_choice
from .frame_motion import Prediction, intra_motion
from .frame_trials import FrameTrials
from .trial import IntraPart, Latents, Layout, QuantisedLatents, Trial, block_costs

_FLAG_BITS = 2.0  # about what the flag of an intra tile costs, beside those of the others


class _Drawn(NamedTuple):
    """Tiles as the nets of I frames draw them."""

    layout: Layout
    latents: Latents
    quantised: QuantisedLatents
    planes: Planes  # with neutral samples elsewhere


def trials_with_tiles(trials: FrameTrials, best: Trial) -> tuple[FrameTrials, Layout] | None:
    """The trials of a frame with the intra tiles that promise to gain on a trial without any, and
    the layout to try; None where none do."""
    rate, task = trials.rate, trials.task
    if not _may_have(trials) or best.quality != task.quality:
        return None
    cost = sums_of_four(block_costs(best.detail, best.quantised))
    candidates = _candidates(trials, best, cost)
    if not candidates.any():
        return None
    alone = FrameTrials(trials.frames, rate, task, intra_motion(trials.frames, task))
    latents = alone.analyse(task.quality, _layout(alone, candidates))
    hopeful = candidates & (_first_cost(alone, latents, candidates) < rate.intra_tile_hope * cost)
    if not hopeful.any():
        return None
    drawn = _refined(alone, latents, hopeful)
    saved = np.where(hopeful, cost - _cost(trials, drawn), 0.0)
    least = rate.intra_tile_gain + rate.intra_tile_share * cost + _FLAG_BITS
    chosen = _chosen(saved - least, _hyper_bits(alone, drawn))
    if float((saved * chosen).sum()) < rate.intra_gain:
        return None
    if (chosen != hopeful).any():
        drawn = _of_latents(alone, drawn.latents, _layout(alone, chosen))
    return _with(trials, best, alone, drawn)


def mixed_cost(predicted: FrameTrials, alone: FrameTrials) -> float:
    """About what a frame would cost with intra tiles, by its first trials with and without
    prediction; infinite where it may have none."""
    if not _may_have(predicted):
        return math.inf
    costs = (
        sums_of_four(block_costs(trial.detail, trial.quantised))
        for trial in (predicted.first, alone.first)
    )
    saved = np.subtract(*costs) - predicted.rate.intra_tile_gain - _FLAG_BITS
    return float(predicted.first.cost - np.maximum(saved, 0.0).sum())


def _may_have(trials: FrameTrials) -> bool:
    """Whether a frame is one of those that intra tiles are tried in."""
    level, predicted = trials.task.level, trials.motion.prediction is not None
    return predicted and 1 <= level < trials.rate.intra_tile_levels


def _candidates(trials: FrameTrials, best: Trial, cost: np.ndarray) -> np.ndarray:
    """(H/32, W/32) bool: dear tiles that are badly predicted."""
    assert trials.motion.prediction is not None
    rate, inside = trials.rate, trials.all_coded != OUTSIDE_BLOCK
    painted = sums_of_four(best.blocks == PAINTED_BLOCK) > 0
    dear = (cost > rate.intra_tile_bits) & ~painted & inside[::2, ::2]
    if not dear.any():
        return np.asarray(dear)
    floor = rate.motion(trials.task.quality).floor
    bad = intra_choice.tile_badness(trials.task.source, trials.motion.prediction.planes, floor)
    return np.asarray(dear & (bad > rate.intra_tile_bad))


def _layout(trials: FrameTrials, tiles: np.ndarray) -> Layout:
    """Tiles (H/32, W/32) bool that are coded, and nothing else."""
    inside = trials.all_coded != OUTSIDE_BLOCK
    intra = inside & tiles.repeat(2, 0).repeat(2, 1)
    blocks = np.where(inside, np.uint8(DIRECT_BLOCK), np.uint8(OUTSIDE_BLOCK))
    return trials.plain(np.where(intra, np.uint8(CODED_BLOCK), blocks))


def _first_cost(alone: FrameTrials, latents: Latents, tiles: np.ndarray) -> np.ndarray:
    """(H/32, W/32): bits of tiles by the nets of I frames, and what their error is worth, before
    latents are refined and without detail."""
    drawn = _of_latents(alone, latents, _layout(alone, tiles))
    rate = alone.rate
    worth = rate.detail_key_worth if alone.task.level < 2 else rate.detail_worth
    return sums_of_four(worth * alone.block_error_bits(drawn.planes) + drawn.quantised.bits)


def _refined(alone: FrameTrials, latents: Latents, tiles: np.ndarray) -> _Drawn:
    """Tiles by the nets of I frames, of refined latents."""
    layout = _layout(alone, tiles)
    latents = latent_refinement.refine(alone, latents, alone.task.quality, layout)
    return _of_latents(alone, latents, layout)


def _of_latents(alone: FrameTrials, latents: Latents, layout: Layout) -> _Drawn:
    quality = alone.task.quality
    quantised = alone.quantise(latents, quality, layout)
    return _Drawn(layout, latents, quantised, alone._reconstruct(quantised, quality, layout))


def _cost(trials: FrameTrials, drawn: _Drawn) -> np.ndarray:
    """(H/32, W/32): bits of the tiles that are drawn, and what their error is worth."""
    coded = drawn.layout.blocks == CODED_BLOCK
    # no detail is looked for elsewhere
    blocks = np.where(coded, np.uint8(INTRA_BLOCK), np.uint8(PAINTED_BLOCK))
    detail = trials.choose_detail(drawn.planes, blocks)
    return sums_of_four(block_costs(detail, drawn.quantised))


def _hyper_bits(alone: FrameTrials, drawn: _Drawn) -> np.ndarray:
    """(H/64, W/64): bits of the hyper-latent of the tiles that are drawn."""
    symbols, costs = drawn.quantised.z_symbols, alone.motion.tables.costs()
    groups = symbols.shape[2]
    first = hyper_tables(alone.task.quality, 4 * groups)
    bits = costs[first + np.arange(groups), symbols].sum(2)
    return np.where(drawn.quantised.idle, 0.0, bits)


def _chosen(gain: np.ndarray, hyper: np.ndarray) -> np.ndarray:
    """(H/32, W/32) bool: tiles that gain, in 64x64 blocks where these gain their hyper-latent."""
    paying = gain > 0
    enough = sums_of_four(np.maximum(gain, 0.0)) > hyper
    return np.asarray(paying & enough.repeat(2, 0).repeat(2, 1))


def _with(
    trials: FrameTrials, best: Trial, alone: FrameTrials, drawn: _Drawn
) -> tuple[FrameTrials, Layout]:
    """Trials of the same motion with these tiles, and the layout of a trial with them."""
    motion = trials.motion
    assert motion.prediction is not None
    coded = drawn.layout.blocks == CODED_BLOCK
    planes = copy_planes(motion.prediction.planes)
    intra_tiles.put(planes, drawn.planes, drawn.layout.blocks)
    all_coded = np.where(coded, np.uint8(INTRA_BLOCK), trials.all_coded)
    part = IntraPart(all_coded, drawn.quantised, alone.motion.tables)
    own = FrameTrials(
        trials.frames, trials.rate, trials.task,
        replace(motion, prediction=Prediction(planes), intra=part),
    )  # fmt: skip
    blocks = np.where(coded, np.uint8(INTRA_BLOCK), best.blocks)
    if (blocks == PAINTED_BLOCK).any():
        return own, own.painted(painted_choice.measure(own, blocks))
    return own, own.plain(blocks)
