"""Source of a frame that many others refer to: filtered, and what error in its blocks is worth."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..codec.frame_decoder import Planes, pad
from ..picture import Picture
from . import painted_choice, temporal_filter
from .rate_distortion import RateParameters
from .small_pictures import SmallPicture


class Seen(NamedTuple):
    """A picture, also at half the size."""

    picture: Picture
    small: SmallPicture


def key_source(around: list[Seen], at: int, quality: int, rate: RateParameters) -> Planes:
    """The picture ``at`` that place of those ``around`` it, for coding at a quality."""
    height, width = around[at].picture.y.shape
    source = pad(around[at].picture, width, height)
    reach = min(rate.filter_reach, temporal_filter.REACH)
    first, last = at - reach, at + reach
    near = range(max(0, first), min(len(around), last + 1))
    others = [i for i in near if i != at] if rate.filter_strength > 0 else []
    neighbours = [(i - at, pad(around[i].picture, width, height)) for i in others]
    small = [around[i].small for i in (at, *others)]
    planes = temporal_filter.filtered(source, neighbours, quality, rate.filter_strength, small)
    if planes is not source:
        _keep_drawn(source, planes)
    return planes


def _keep_drawn(source: Planes, filtered: Planes) -> None:
    """Leave letters and drawings as they are: they have no noise, and are coded exactly."""
    drawn = painted_choice.drawn(source[0])
    for plane, out in zip(source, filtered, strict=True):
        size = plane.shape[0] // drawn.shape[0]
        np.copyto(out, plane, where=drawn.repeat(size, 0).repeat(size, 1))
