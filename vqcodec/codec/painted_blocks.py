"""Painted blocks: 16x16 blocks of any frame whose samples are coded as they are, past the nets.

Black bars, paper, letters and flat shapes come out exactly so, at a fraction of the bits that the
nets would take to come near them. The samples of a painted block take the place of its prediction
before anything of the latent is coded; it has neither a latent nor detail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..compiled import njit
from .contexts import PAINTED_FOLLOW, PAINTED_FRAME, PAINTED_MAP
from .direct_map import PAINTED_BLOCK, may_be_painted
from .painted_samples import code_samples
from .two_way import Coder, code_bit, code_raw

if TYPE_CHECKING:
    from .frame_decoder import Planes

SHIFT_BITS = 3


class Painting(NamedTuple):
    """How the painted blocks of a frame are coded."""

    follow: int = 0  # 1: samples are guessed by their prediction too
    shift: int = 2  # 0..7: differences are of multiples of 2^shift, 4 for samples of 8 bits


@njit
def _code_head(
    coder: Coder, blocks: np.ndarray, follow: int, shift: int, predicted: int
) -> tuple[int, int, int]:
    """The frame's flags and the map, into ``blocks``; returns whether any is painted, the rest."""
    some = 0
    for r in range(blocks.shape[0]):
        for c in range(blocks.shape[1]):
            some |= blocks[r, c] == PAINTED_BLOCK
    some = code_bit(coder, PAINTED_FRAME, some)
    if not some:
        return some, follow, shift
    follow = code_bit(coder, PAINTED_FOLLOW, follow) if predicted else 0
    shift = code_raw(coder, shift, SHIFT_BITS)
    candidates = may_be_painted(blocks)
    for r in range(blocks.shape[0]):
        for c in range(blocks.shape[1]):
            if not candidates[r, c]:
                continue
            left = c > 0 and blocks[r, c - 1] == PAINTED_BLOCK
            above = r > 0 and blocks[r - 1, c] == PAINTED_BLOCK
            painted = 1 if blocks[r, c] == PAINTED_BLOCK else 0
            if code_bit(coder, PAINTED_MAP + left + above, painted):
                blocks[r, c] = PAINTED_BLOCK
    return some, follow, shift


def code_painting(
    coder: Coder, blocks: np.ndarray, painting: Painting, predicted: bool
) -> Painting | None:
    """Which blocks are painted and how; None where none is.

    blocks (H/16, W/16) uint8: kinds of all blocks; a decoder gives the direct ones and gets the
    painted ones added. predicted: whether the frame has a prediction.
    """
    some, follow, shift = _code_head(coder, blocks, *painting, predicted)
    return Painting(int(follow), int(shift)) if some else None


def code_painted(
    coder: Coder,
    blocks: np.ndarray,
    painting: Painting,
    planes: Planes,
    targets: Planes,
    worths: np.ndarray | None = None,
) -> np.ndarray:
    """The samples of the painted blocks, which take the place of the prediction in ``planes``.

    targets: samples to code, which a decoder doesn't look at; worths (H/16, W/16): bits that a unit
    of squared error of a 10-bit sample is worth to a meter, which may then change samples. Returns
    the bits that a meter has counted for each block, (H/16, W/16).
    """
    bits = np.zeros(blocks.shape)
    worths = np.full(blocks.shape, np.inf) if worths is None else worths
    code_samples(coder, blocks, *painting, planes, targets, worths, bits)
    return bits
