"""What a frame encoder is given and what it returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ..codec import bars
from ..codec.bit_statistics import FrameStatistics
from ..codec.frame_decoder import Coded, Planes
from .rate_distortion import plane_weights


@dataclass(frozen=True)
class FrameTask:
    """A frame to encode."""

    source: Planes  # padded, of 10 bits
    number: int  # in its GOP, in order of display
    level: int  # 0 I, 1 key, 2.. B frames
    quality: int  # 0..63, which the nets work at
    references: list[Coded]  # none, one or two
    target: int | None = None  # quality aimed at, where it is not `quality`: the detail reaches it
    worths: np.ndarray | None = None  # (H/16, W/16) float32 of error in each block; None: 1
    twins: tuple[bool, ...] = ()  # of the references: whether their source is the same picture
    usual: int | None = None  # quality of its level, where it is not `quality`
    # (H/16, W/16, 2) int32 [y, x] in quarter samples to each reference, where they are known:
    # motion is searched for around them
    vectors: tuple[np.ndarray, ...] = ()
    fades: bool = True  # whether a reference may be of another brightness
    bars: np.ndarray = field(default_factory=bars.none)  # (7,) int32 that the source has

    @property
    def base(self) -> int:
        """The quality of its level: the frame's stream says how its own differs."""
        return self.quality if self.usual is None else self.usual

    @property
    def aim(self) -> int:
        """The quality by which error is weighed against bits; may lie above 63."""
        return self.quality if self.target is None else self.target

    @property
    def plane_weights(self) -> tuple[float, float, float]:
        """Of squared error in Y, U, V."""
        return plane_weights(self.aim, self.level)


class CodedFrame(NamedTuple):
    """A frame after its encoding."""

    frame: Coded  # as a decoder will have it
    data: bytes  # its stream
    stats: FrameStatistics  # empty where none are wanted
