"""Rate-distortion trade-offs of the encoder. None of this is part of the format."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


def lagrangian(q: Any) -> Any:
    """lambda: bits per pixel that one unit of squared 8-bit error is worth at quality q (a number or a tensor); doubles every six steps."""
    return 1.5e-4 * 2 ** (q / 6)


def key_quality(crf: float) -> float:
    """Quality aimed at for key frames at a crf of 0..63: a whole number where crf is one, in straight lines between. Falls by about 1.12 a crf, faster below 14."""

    def whole(n: int) -> int:
        return round(70 - 1.12 * n + 1.5 * max(0, 14 - n))

    low = math.floor(crf)
    return whole(low) + (crf - low) * (whole(low + 1) - whole(low))


def uniform_step(q: float) -> float:
    """Step of the uniform quantiser that lambda asks for at high rate (1/lambda = 2 ln 2 step^2 / 12), in 8-bit samples."""
    return math.sqrt(12 / (2 * math.log(2) * lagrangian(q)))


@dataclass(frozen=True)
class RateParameters:
    """filter_strength: of the temporal filter of I and key frames; lookahead_strength: of the weights of their blocks
    (lookahead.py), which need the filter; motion_sad: SAD that a bit of motion is worth, relative to sqrt(1/lambda); motion_worth: of the residual's cost
    against motion bits; motion_floor: squared error left after coding, relative to 1/lambda; vq_lambda: squared steps a bit of the latent is worth;
    refine_steps, refine_rate: steps that refine the latent of frames below level refine_levels, and how far each goes; direct_gain: bits that a frame's map of
    direct blocks has to promise before it is tried; detail_offset: on the step index of the detail; detail_worth, detail_key_worth: of error against the bits
    of the detail, in B frames and in those that are longest referred to; detail_share: share of refined cells from which a frame is also tried with its latent
    coded detail_drops qualities lower, while that pays."""

    filter_strength: float = 1.5
    lookahead_strength: float = 1.0
    motion_sad: float = 1.8
    motion_worth: float = 0.7
    motion_floor: float = 0.5
    vq_lambda: float = 0.09
    refine_steps: int = 6
    refine_rate: float = 0.3
    refine_levels: int = 2
    direct_gain: float = 40.0
    detail_offset: float = 3.0
    detail_worth: float = 0.8
    detail_key_worth: float = 1.3
    detail_share: float = 0.1
    detail_drops: tuple[int, ...] = (16, 32)

    def motion(self, q: float) -> tuple[float, float, float]:
        """For the search: SAD that one bit is worth (HM: square root of the squared-error lambda), bits that a unit of squared
        error of a sample is worth, squared error a sample that is left after coding."""
        k = lagrangian(q)
        return self.motion_sad * k**-0.5, self.motion_worth * k, self.motion_floor / k

    def detail(self, q: float) -> tuple[int, float]:
        """Step index of the detail and bits that a unit of squared error of a 10-bit sample is worth."""
        index = round(6 * math.log2(4 * uniform_step(q)) + self.detail_offset)
        return min(63, max(0, index)), lagrangian(q) / 16


# what an encoder may spend its time on; the decoder's cost is the same
PRESETS = {
    "fast": RateParameters(refine_steps=0, detail_drops=(32,)),
    "medium": RateParameters(),
    "slow": RateParameters(refine_steps=12, refine_levels=4),
}

PLANE_WEIGHTS = (
    0.75,
    1.5,
    1.5,
)  # of squared error in Y, U, V: (6 Y + 3 U + 3 V) / 8 of the planes' mean errors, as trained
