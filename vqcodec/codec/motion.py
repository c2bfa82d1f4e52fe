"""Motion of a frame as it is coded, in samples and frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from .tokens import ShallowTokens

_QUARTER = np.float32(0.25)  # samples in a step of a vector


@dataclass(frozen=True, kw_only=True)
class Motion:
    """Motion of a frame by cells of 8x8 luma samples.

    H and W are the picture's height and width, rounded up to a multiple of 64.
    """

    frame: int  # number in the file
    pts_seconds: float
    kind: Literal["I", "P", "B"]
    references: tuple[int, ...]  # numbers of the frames that it is predicted from
    flow: np.ndarray
    """(H/8, W/8, 2) float32: luma samples down and right that a cell moves from one frame to the
    next; the mean of both directions where both are used, 0 in I frames."""
    direction: np.ndarray
    """(H/8, W/8) uint8: 0 in I frames, 1 predicted from the first reference, 2 from the second, 3
    from both."""
    size: np.ndarray
    """(H/8, W/8) uint8: luma samples on a side of the block around a cell: 64, 32, 16 or 8; 0 in I
    frames."""


def motion_of(tokens: ShallowTokens) -> Motion:
    """The motion that tokens of a frame hold."""
    shape = tokens.direction.shape
    total, used = np.zeros((*shape, 2), np.float32), np.zeros(shape, np.float32)
    for number, reference in enumerate(tokens.references):
        own = tokens.direction >> number & 1
        # a vector points at the reference: what lies there comes from it, or goes to it
        step = _QUARTER / np.float32(reference - tokens.frame)
        total += own[..., None] * tokens.vectors[:, :, number] * step
        used += own
    predicted = tokens.direction > 0
    return Motion(
        frame=tokens.frame,
        pts_seconds=tokens.pts_seconds,
        kind=tokens.kind,
        references=tokens.references,
        flow=total / np.maximum(used, 1)[..., None],
        direction=tokens.direction,
        size=np.where(predicted, 64 >> tokens.depth, 0).astype(np.uint8),
    )
