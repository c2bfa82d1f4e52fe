"""Rate-distortion trade-offs of the encoder. None of this is part of the format."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, overload

from ..codec.contexts import MAX_DEPTH
from ..codec.gop_structure import LEVELS

if TYPE_CHECKING:
    from torch import Tensor

_LUMA_WEIGHT, _CHROMA_WEIGHT = 0.75, 1.5  # of squared error, as the nets are trained
# of key frames: the chroma's weight doubles in so many qualities below the first, down to the last
_CHROMA_FROM, _CHROMA_DOUBLES, _CHROMA_TO = 62, 9, 53

# of squared error in Y, U, V behind the gradient that latents are refined by, whose steps are made
# for errors like those of the training
REFINED_WEIGHTS = (0.75, 2.2, 2.2)

_LAMBDA = 1.5e-4  # at quality 0, as the nets are trained

# quality of each level against that of the key frames
LEVEL_OFFSETS: tuple[int, ...] = (5, 0, -3, -5, -9, -13, -18, -18)

# the level of the highest number is the first to go up with a fraction of a quality
_LEVEL_ORDER = (7, 5, 6, 4, 3, 2, 1, 0)


@overload
def lagrangian(quality: float) -> float: ...
@overload
def lagrangian(quality: Tensor) -> Tensor: ...
def lagrangian(quality: float | Tensor) -> float | Tensor:
    """lambda at a quality: bits a pixel that one unit of squared 8-bit error is worth.

    Doubles every six qualities.
    """
    return _LAMBDA * 2 ** (quality / 6)


def plane_weights(quality: float, level: int) -> tuple[float, float, float]:
    """Weights of squared error in Y, U, V of a frame of a level at a quality.

    The mean of the planes' PSNR, and the eye, see errors of chroma beside what error a plane has
    already. At low qualities chroma has a tenth of the squared error of luma, and at high ones a
    half: so its weight grows as the quality of the key frames falls.
    """
    key = quality - LEVEL_OFFSETS[min(level, LEVELS - 1)]
    below = _CHROMA_FROM - min(max(key, _CHROMA_TO), _CHROMA_FROM)
    chroma = _CHROMA_WEIGHT * 2 ** (below / _CHROMA_DOUBLES)
    return _LUMA_WEIGHT, chroma, chroma


def key_quality(crf: float) -> float:
    """Quality aimed at for key frames at a crf of 0..63.

    A whole number where crf is one, in straight lines between. Falls by about 1.12 a crf, faster
    below 14.
    """

    def whole(crf: int) -> int:
        return round(70 - 1.12 * crf + 1.5 * max(0, 14 - crf))

    low = math.floor(crf)
    return whole(low) + (crf - low) * (whole(low + 1) - whole(low))


def targets(crf: float, offsets: tuple[int, ...] = LEVEL_OFFSETS) -> list[int]:
    """Quality aimed at on each level at a crf of 0..63.

    May lie above 63, the best that the nets know: the detail does the rest. Key frames of a whole
    crf have :func:`key_quality`. Between two of them the levels go up one after the other, so that
    size and error change in steps much finer than those of the quality.
    """
    key = key_quality(crf)
    return [
        max(0, math.floor(key + order / LEVELS) + offset)
        for order, offset in zip(_LEVEL_ORDER, offsets, strict=True)
    ]


def qualities(crf: float, offsets: tuple[int, ...] = LEVEL_OFFSETS) -> list[int]:
    """Quality index 0..63 of each level at a crf of 0..63."""
    return [min(63, target) for target in targets(crf, offsets)]


def uniform_step(quality: float) -> float:
    """Step in 8-bit samples of the uniform quantiser that lambda asks for at high rate.

    1 / lambda = 2 ln 2 step^2 / 12.
    """
    return math.sqrt(12 / (2 * math.log(2) * lagrangian(quality)))


class Weighing(NamedTuple):
    """What the motion search weighs by, and what it leaves out."""

    sad: float  # that one bit is worth (HM: square root of the squared-error lambda)
    worth: float  # bits that a unit of squared error of a sample is worth
    floor: float  # squared error a sample that is left after coding
    # the rest is named as in RateParameters, behind motion_
    depth: int = MAX_DEPTH
    precision: int = 1
    enough: float = 6.0
    split: float = 2.0
    both: int = 2


@dataclass(frozen=True)
class RateParameters:
    """What an encoder weighs against what, and what it tries."""

    level_offsets: tuple[int, ...] = LEVEL_OFFSETS  # quality expected of each level
    filter_strength: float = 1.5  # of the temporal filter of I and key frames
    filter_reach: int = 4  # neighbours on each side that it looks at, 1 to 4
    inherited_quality: float = 6.0  # for each octave that the look-ahead finds in a frame
    least_offset: int = -20  # quality of a frame that no other inherits, less the key frames'
    lookahead_strength: float = 1.0  # of the octaves that blocks weigh more or less
    lookahead_thorough: bool = True  # whether it looks in parts of samples, and far to all sides
    weighed_levels: int = 5  # only blocks of the levels below are weighed
    motion_sad: float = 1.8  # SAD that a bit of motion is worth, times sqrt(lambda)
    motion_worth: float = 0.7  # of the residual's cost against bits of motion
    motion_floor: float = 0.5  # squared error that is left after coding, times lambda
    motion_depth: int = MAX_DEPTH  # of the quadtree: 3 for blocks down to 8x8, 2 for 16x16
    motion_precision: int = 1  # quarter samples of the last step of a vector's search: 1, 2 or 4
    motion_enough: float = 20.0  # bits of a merged block that make a search for vectors worth it
    motion_split: float = 20.0  # and of a block that make a look at its quarters worth it
    motion_both: int = 2  # quarter samples of the first step of two vectors together; 0: none
    # whether gains are looked for only where a reference is of another brightness
    fades_alone: bool = False
    # how bad a prediction is from which a frame is tried without, and coded without for certain
    intra_tried: float = 0.3
    intra_certain: float = math.inf
    intra_levels: int = 3  # frames of the levels below, whose references are far, are tried too
    intra_doubted: float = 0.55  # from this above a small share of what coding leaves
    intra_both: bool = True  # whether it is coded both ways where intra tiles promise more
    vq_lambda: float = 0.09  # squared steps that a bit of the latent is worth
    refine_steps: int = 6  # that refine a latent
    refine_rate: float = 0.3  # share of the way that each of them goes
    refine_levels: int = 3  # only frames of the levels below are refined
    loop_filter_levels: int = 5  # only frames of the levels below choose filters
    tile_bits: float = 160.0  # that the error of a tile is worth at least if nets may mend it
    tile_gain: float = 40.0  # that nets have to save in a tile
    direct_gain: float = 20.0  # bits that a map of direct blocks promises before it is tried
    paint_gain: float = 40.0  # and of painted blocks
    intra_tile_levels: int = 3  # only key and B frames of the levels below have intra tiles
    intra_tile_bits: float = 150.0  # that a tile costs at least which may be an intra tile
    intra_tile_bad: float = 0.5  # and how bad its prediction is at least
    intra_tile_hope: float = 1.15  # times that which it may cost before its latents are refined
    intra_tile_gain: float = 20.0  # bits that intra tiles have to save each
    intra_tile_share: float = 0.08  # and so much of what they cost otherwise
    intra_gain: float = 20.0  # and together, as they promise and in truth
    detail_offset: float = 3.0  # on the step index of the detail
    detail_worth: float = 0.8  # of error against bits of the detail, in B frames
    detail_key_worth: float = 1.3  # and in I and key frames, which are longest referred to
    detail_share: float = 0.1  # of cells with detail from which coarser latents are tried too
    detail_drops: tuple[int, ...] = (16, 32)  # qualities that these lie lower, while that pays
    detail_samples: bool = True  # whether blocks of samples are tried beside transformed ones
    detail_twice: bool = True  # whether that of I frames is chosen again, by what it was at first
    deblock_guessed: bool = False  # whether the filter's strength is looked for around a guess

    @property
    def one_trial(self) -> bool:
        """Whether a frame is coded in one way: nothing but that promises to gain enough."""
        others = min(self.direct_gain, self.paint_gain) < math.inf or self.detail_drops
        return not others

    def motion(self, quality: float) -> Weighing:
        """What the motion search weighs by at a quality."""
        worth = lagrangian(quality)
        return Weighing(
            self.motion_sad * worth**-0.5,
            self.motion_worth * worth,
            self.motion_floor / worth,
            self.motion_depth,
            self.motion_precision,
            self.motion_enough,
            self.motion_split,
            self.motion_both,
        )

    def detail(self, quality: float) -> tuple[int, float]:
        """Step index of the detail, and bits that a unit of squared 10-bit error is worth."""
        index = round(6 * math.log2(4 * uniform_step(quality)) + self.detail_offset)
        return min(63, max(0, index)), lagrangian(quality) / 16


_NOTHING = math.inf  # bits that nothing gains: what asks for them is left out

# What an encoder may spend its time on; the decoder's cost is the same. What each is worth:
# docs/benchmarks.md, Presets.
PRESETS = {
    "fastest": RateParameters(
        intra_tile_levels=0,
        refine_steps=0,
        loop_filter_levels=3,
        filter_strength=0.0,
        tile_bits=_NOTHING,
        direct_gain=_NOTHING,
        paint_gain=_NOTHING,
        detail_drops=(),
        motion_precision=2,
        motion_enough=40.0,
        motion_split=40.0,
        motion_both=0,
        fades_alone=True,
        lookahead_thorough=False,
        intra_tried=0.55,
        intra_certain=0.55,
        intra_levels=0,
        detail_samples=False,
        detail_twice=False,
        deblock_guessed=True,
    ),
    "faster": RateParameters(
        vq_lambda=0.07,
        refine_steps=2,
        refine_rate=0.6,
        filter_strength=0.0,
        tile_bits=5000.0,
        paint_gain=_NOTHING,
        detail_drops=(),
        motion_both=0,
        fades_alone=True,
        lookahead_thorough=False,
        intra_tried=0.5,
        intra_certain=0.7,
        intra_both=False,
        intra_tile_levels=2,
    ),
    "fast": RateParameters(
        vq_lambda=0.08,
        refine_steps=4,
        refine_rate=0.4,
        intra_both=False,
        intra_tile_levels=2,
        tile_bits=1280.0,
        detail_drops=(),
        motion_both=0,
        fades_alone=True,
        lookahead_thorough=False,
    ),
    "medium": RateParameters(),
    "slow": RateParameters(
        refine_steps=12, refine_levels=4, tile_bits=80.0, tile_gain=20.0, loop_filter_levels=8
    ),
    "slower": RateParameters(
        refine_steps=16,
        refine_rate=0.25,
        refine_levels=5,
        loop_filter_levels=8,
        tile_bits=40.0,
        tile_gain=10.0,
        motion_enough=0.0,
        motion_split=0.0,
    ),
}
DEFAULT_PRESET = "medium"
# numbers as SVT-AV1's, the slowest first
NUMBERED_PRESETS = (
    *["slower"] * 3, *["slow"] * 2, *["medium"] * 2, *["fast"] * 2, *["faster"] * 2,
    *["fastest"] * 3,
)  # fmt: skip


def preset_name(preset: str) -> str:
    """The name of a preset that is given by name, or by a number from 0, the slowest, to 13.

    Raises KeyError for another.
    """
    if preset.isdecimal() and int(preset) < len(NUMBERED_PRESETS):
        return NUMBERED_PRESETS[int(preset)]
    if preset not in PRESETS:
        raise KeyError(preset)
    return preset


def rate_parameters(preset: str | RateParameters) -> RateParameters:
    """Those of a preset, by name or number; parameters stay what they are."""
    return PRESETS[preset_name(preset)] if isinstance(preset, str) else preset
