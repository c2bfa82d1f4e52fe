"""Latents refined along the gradient of the error behind the quantiser.

Content-adaptive encoding by gradient (Campos et al. 2019), with the hard quantiser inside the loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..codec import codebooks
from ..codec.direct_map import CODED_BLOCK
from ..codec.frame_decoder import NEUTRAL
from ..codec.nets.tiles import Tiles
from ..compiled import njit_borrowing
from ..picture import MAX_SAMPLE
from .frame_trials import FrameTrials
from .nets.arithmetic import INTEGERS
from .nets.synthesis_gradient import SynthesisGradient
from .rate_distortion import REFINED_WEIGHTS
from .trial import Latents, Layout

# larger frames are not refined: their gradients take a kilobyte of memory a pixel
MAX_PIXELS = 1 << 20
# of a quantised latent (H/16, W/16, M) int16: the error of what it shows, and the gradient of that
# by the latent in sixteenths of a step, (H/16, W/16, M) float32
Behind = Callable[[np.ndarray], tuple[float, Callable[[], np.ndarray]]]


class Shown(NamedTuple):
    """What a frame's error is measured by, at the positions of its coded tiles."""

    tiles: Tiles[np.ndarray]
    source: np.ndarray  # (M, 96) int16, packed
    weights: np.ndarray  # (M, 96) float32, of the squared errors
    damping: np.ndarray  # (96,) float32: by what the gradient is multiplied
    base: np.ndarray  # (M, 96) int16: what the residual is added to
    packed8: np.ndarray | None  # (M, 96) int8: the prediction as the nets see it

    @classmethod
    def of(cls, trials: FrameTrials, layout: Layout) -> Shown:
        """What stands behind the latent of a frame."""
        seen = trials.seen(layout)
        tiles = trials.tiles(layout)
        source = tiles.at8.gather(trials.packed)
        base, packed8 = np.full_like(source, NEUTRAL), None
        if seen is not None:
            base, packed8 = (tiles.at8.gather(a) for a in (seen.packed, seen.packed8))
        worths = trials.worths * (layout.blocks == CODED_BLOCK)
        by_block = tiles.at8.gather(worths.repeat(2, 0).repeat(2, 1)[..., None])
        planes = _of_samples(trials.task.plane_weights)
        weights = (planes * by_block).astype(np.float32)
        return cls(tiles, source, weights, _of_samples(REFINED_WEIGHTS) / planes, base, packed8)


def refine(trials: FrameTrials, latents: Latents, quality: int, layout: Layout) -> Latents:
    """Latents to aim at that cost less than the analysis' own.

    With a curvature h of the error in every direction, which ``vq_lambda`` implies, its least value
    lies at yq - gradient / h for the quantised latent yq. Each of ``refine_steps`` steps goes
    ``refine_rate`` of the way there; the cheapest latent met is returned. Latents stay as they are
    without any step, and of frames of more than MAX_PIXELS.
    """
    rate, frames = trials.rate, trials.frames
    if (
        not (layout.coded and rate.refine_steps)
        or frames.padded_height * frames.padded_width > MAX_PIXELS
    ):
        return latents
    worth = rate.detail(trials.task.aim)[1]
    curvature = 2 / rate.vq_lambda * trials.worths[:, :, None]
    codec = frames.codec
    if codec.arithmetic == INTEGERS:
        behind = _by_integers(codec.gradients[trials.nets.kind], Shown.of(trials, layout), quality)
    else:
        from .float_gradient import by_floats  # of torch

        net = trials.nets.synthesis
        behind = by_floats(net, codec.arithmetic, Shown.of(trials, layout), quality)
    latent, best_y, best = latents.y, latents.y, np.inf
    for step in range(rate.refine_steps + 1):
        quantised = trials.quantise(latents._replace(y=latent), quality, layout)
        error, gradient = behind(quantised.y)
        cost = worth * error + float(quantised.bits.sum(dtype=np.float64))
        if cost < best:
            best, best_y = cost, latent
        if step == rate.refine_steps:
            break
        slope = gradient() * np.float32(worth * codebooks.UNIT)  # bits a step
        least = quantised.y / np.float32(codebooks.UNIT) - slope / curvature
        latent = latent + np.float32(rate.refine_rate) * (least - latent)
    return latents._replace(y=best_y)


def _by_integers(net: SynthesisGradient, shown: Shown, quality: int) -> Behind:
    tiles = shown.tiles

    def behind(latent: np.ndarray) -> tuple[float, Callable[[], np.ndarray]]:
        residual, kept = net.forward(tiles.at16.gather(latent), shown.packed8, quality, tiles)
        by_residual = np.empty(residual.shape, np.float32)
        error = _squared_error(
            residual, shown.base, shown.source, shown.weights, shown.damping, by_residual
        )
        return error, lambda: tiles.at16.scatter(net.backward(by_residual, kept, quality, tiles))[0]

    return behind


@njit_borrowing
def _squared_error(
    residual: np.ndarray,
    base: np.ndarray,
    source: np.ndarray,
    weights: np.ndarray,
    damping: np.ndarray,
    g: np.ndarray,
) -> float:
    """The weighed error of base + residual; g (M, 96) float32 receives its gradient, damped."""
    total = 0.0
    for m in range(residual.shape[0]):
        for c in range(residual.shape[1]):
            shown = int(residual[m, c]) + int(base[m, c])
            inside = 0 <= shown <= MAX_SAMPLE
            difference = np.float32(min(max(shown, 0), MAX_SAMPLE) - int(source[m, c]))
            slope = weights[m, c] * difference
            total += slope * difference
            g[m, c] = np.float32(2) * damping[c] * slope if inside else np.float32(0)
    return total


def _of_samples(weights: tuple[float, float, float]) -> np.ndarray:
    """(96,) float32: weights of planes for packed samples."""
    return np.repeat(np.array(weights, np.float32), (64, 16, 16))
