"""A frame that shows one of its references again: what that costs, and its stream."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..codec.bit_statistics import MARKS, FrameStatistics, element_bits, shares
from ..codec.contexts import COPY
from ..codec.direct_map import DIRECT_BLOCK, OUTSIDE_BLOCK
from ..codec.frame_decoder import FrameCoder
from ..codec.frame_head import copy_field, start_contexts
from ..codec.motion_compensation import L0, L1
from ..codec.range_coder import Encoder, encode_bit, encode_raw, given
from .error_worth import error_bits
from .frame_task import CodedFrame, FrameTask
from .rate_distortion import RateParameters, lagrangian

BITS = 8  # of a copy's stream


class Copy(NamedTuple):
    """A reference that may be shown again."""

    reference: int  # its place among those of the task
    cost: float  # bits, with those that its error is worth


def best_copy(task: FrameTask, rate: RateParameters, all_coded: np.ndarray) -> Copy | None:
    """The reference that costs least to show again: of those whose source is the same, if there are
    any. None in I frames.
    """
    some = [i for i, twin in enumerate(task.twins) if twin] or range(len(task.references))
    copies = (
        Copy(i, BITS + error_bits(task, task.references[i].planes, rate, all_coded)) for i in some
    )
    return min(copies, key=lambda c: c.cost, default=None)


def code_copy(frames: FrameCoder, task: FrameTask, reference: int) -> CodedFrame:
    """Code a frame as a copy."""
    references = task.references
    start = frames.heads.start(task.number, references, False)
    coder = Encoder.start(64, start_contexts(references))
    encode_bit(coder, COPY, 1)
    if len(references) > 1:
        encode_raw(coder, reference, 1)
    behind = max(0.0, float(given(coder)))
    data = coder.finished()
    copy_field(start.field, L1 if reference else L0)
    planes = references[reference].planes
    coded = frames._coded(
        task.number, task.level, planes, start.field, coder.contexts, start.tables, references,
        references[reference].bars,
    )  # fmt: skip
    stats = FrameStatistics(
        q=task.base,
        deblock=0,
        bits=element_bits([0.0] + [behind] * (MARKS - 1), 0.0, len(data)),
    )
    stats["lambda"] = lagrangian(task.quality)
    inside = frames.all_coded != OUTSIDE_BLOCK
    everywhere = np.where(inside, np.uint8(DIRECT_BLOCK), frames.all_coded)
    stats.update(shares(start.field, everywhere, 0))
    return CodedFrame(coded, data, stats)
