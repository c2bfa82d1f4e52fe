"""Source of a frame that many others refer to: filtered, and what error in its blocks is worth."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..codec.frame_decoder import Planes, pad
from ..picture import Picture
from . import lookahead, painted_choice, temporal_filter
from .rate_distortion import RateParameters


class KeySource(NamedTuple):
    """What an I or key frame is coded from."""

    planes: Planes  # padded, of 10 bits
    worths: np.ndarray | None  # (H/16, W/16) float32; None: 1 everywhere


def key_source(around: list[Picture], at: int, quality: int, rate: RateParameters) -> KeySource:
    """The picture ``at`` that place of those ``around`` it, for coding at a quality."""
    height, width = around[at].y.shape
    source = pad(around[at], width, height)
    first, last = at - temporal_filter.REACH, at + temporal_filter.REACH
    near = range(max(0, first), min(len(around), last + 1))
    neighbours = [(i - at, pad(around[i], width, height)) for i in near if i != at]
    planes, errors = temporal_filter.filtered(source, neighbours, quality, rate.filter_strength)
    if errors is None:
        return KeySource(planes, None)
    _keep_drawn(source, planes)
    strength = rate.lookahead_strength
    return KeySource(planes, lookahead.worths(errors, quality, strength, height, width))


def _keep_drawn(source: Planes, filtered: Planes) -> None:
    """Leave letters and drawings as they are: they have no noise, and are coded exactly."""
    drawn = painted_choice.drawn(source[0])
    for plane, out in zip(source, filtered, strict=True):
        size = plane.shape[0] // drawn.shape[0]
        np.copyto(out, plane, where=drawn.repeat(size, 0).repeat(size, 1))
