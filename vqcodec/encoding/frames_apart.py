"""Which frames of a mini-GOP nothing is to refer to: flashes, and those that repeat another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..picture import Picture
from .scene_changes import flash_frames, thumbnail


def same_picture(picture: Picture, other: Picture) -> bool:
    """Whether all samples are equal."""
    if picture is other:
        return True
    return all(np.array_equal(p, q) for p, q in zip(picture, other, strict=True))


def frames_apart(pictures: Sequence[Picture]) -> frozenset[int]:
    """Numbers of the pictures to set apart, of those of a mini-GOP behind the key picture before
    it, number 0.

    Of pictures that are the same one is kept: the first, or the last of the mini-GOP, its key
    picture. Flashes are looked for among the rest.
    """
    end = len(pictures) - 1
    apart = {i for i in range(1, end) if same_picture(pictures[i], pictures[i - 1])}
    if end and same_picture(pictures[end], pictures[end - 1]):
        first = end - 1
        while first in apart:
            first -= 1
        apart |= set(range(max(1, first), end))
    kept = [i for i in range(end + 1) if i not in apart]
    flashes = flash_frames([thumbnail(pictures[i].y) for i in kept])
    return frozenset(apart | {kept[i] for i in flashes})
