"""Motion of a frame: searched, coded, and what it predicts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ..codec.codebooks import Tables
from ..codec.contexts import COPY
from ..codec.frame_decoder import FrameCoder, Planes
from ..codec.frame_head import intra_context, start_contexts
from ..codec.motion_field import Field
from ..codec.packed_samples import pack, pack8
from ..codec.range_coder import Encoder, bit_costs, encode_bit, given
from ..codec.weighting import Weights, encode_weights
from ..picture import plane8
from . import weight_estimation
from .coarse_motion import starting_vectors
from .frame_task import FrameTask
from .interpolated import Interpolated
from .motion_search import Grids, References, search
from .rate_distortion import RateParameters
from .small_pictures import SmallPicture

if TYPE_CHECKING:
    from ..codec.weights import FrameNets
    from .trial import IntraPart


@dataclass(frozen=True)
class Prediction:
    """What the references show of a frame. It is packed for the nets where they ask for it."""

    planes: Planes

    @cached_property
    def packed(self) -> np.ndarray:
        """(1, H/8, W/8, 96) int16."""
        return pack(self.planes)[None]

    @cached_property
    def packed8(self) -> np.ndarray:
        """(1, H/8, W/8, 96) int8, as the nets take it."""
        return pack8(self.planes)[None]


@dataclass
class FrameMotion:
    """A frame after its motion. What follows is coded in branches of its coder."""

    coder: Encoder
    marks: list[float]  # bits given out before the frame's weights and behind them
    costs: np.ndarray  # (contexts, 2) float32: bits of a 0 and a 1 as the contexts stand
    tables: Tables
    nets: FrameNets
    field: Field
    leaves: int  # of the quadtree
    prediction: Prediction | None  # None in I frames; with what intra tiles show
    intra: IntraPart | None = None  # its intra tiles

    @property
    def packed(self) -> np.ndarray | None:
        """The packed prediction of 10 bits, if there is one."""
        return self.prediction.packed if self.prediction else None

    @property
    def packed8(self) -> np.ndarray | None:
        """The packed prediction of 8 bits, if there is one."""
        return self.prediction.packed8 if self.prediction else None


def context_costs(contexts: np.ndarray) -> np.ndarray:
    """(N, 2) float32: bits that a 0 and a 1 take in each context."""
    return np.asarray(bit_costs(contexts, np.empty(contexts.shape, np.float32)))


def intra_motion(frames: FrameCoder, task: FrameTask) -> FrameMotion:
    """The start of a frame that is coded without references, whether it has some or not."""
    coder = _started(frames, task)
    if task.references:
        encode_bit(coder, intra_context(task.level), 1)
    start = frames.heads.start(task.number, task.references, True)
    costs = context_costs(coder.contexts)
    marks, nets = [0.0, bits_given(coder)], frames.codec.nets(True, task.level)
    return FrameMotion(coder, marks, costs, start.tables, nets, start.field, 0, None)


def find_motion(
    frames: FrameCoder, task: FrameTask, rate: RateParameters, interpolated: Interpolated
) -> FrameMotion:
    """Search and code the motion of a frame that has references."""
    references = task.references
    luma8 = plane8(task.source[0])
    leaves = np.empty((luma8.size // 64, 3), np.int32)
    first = interpolated.of(references[0])
    second = interpolated.of(references[-1]) if len(references) > 1 else first
    vectors = _starting_vectors(task)
    weighing = rate.motion(task.quality)
    weights = Weights.none()
    if task.fades or not rate.fades_alone:
        shown = [reference.planes for reference in references]
        weights, vectors = weight_estimation.estimate(task.source, shown, vectors, weighing)
    coder = _started(frames, task)
    encode_bit(coder, intra_context(task.level), 0)
    encode_weights(coder, weights, len(references))
    marks = [0.0, bits_given(coder)]
    start = frames.heads.start(task.number, references, False, weights)
    count = search(
        coder,
        Grids(start.field, start.collocated),
        luma8,
        References(first, second),
        vectors,
        weighing,
        leaves,
    )
    planes = frames._compensate(start.field, leaves[:count], references)
    prediction = Prediction(planes)
    costs = context_costs(coder.contexts)
    nets = frames.codec.nets(False, task.level)
    return FrameMotion(coder, marks, costs, start.tables, nets, start.field, int(count), prediction)


def _started(frames: FrameCoder, task: FrameTask) -> Encoder:
    """A coder that has said that the frame is no copy."""
    room = frames.padded_height * frames.padded_width * 8 + 4096
    coder = Encoder.start(room, start_contexts(task.references))
    if task.references:
        encode_bit(coder, COPY, 0)
    return coder


def bits_given(coder: Encoder) -> float:
    """Bits that a coder has given out so far."""
    return max(0.0, float(given(coder)))


def _starting_vectors(task: FrameTask) -> np.ndarray:
    """(2, H/16, W/16, 2) int32 [y, x] in quarter samples: the motion between small pictures."""
    height, width = task.source[0].shape
    out = np.zeros((2, height // 16, width // 16, 2), np.int32)
    found = task.vectors or _found(task)
    for k, vectors in enumerate(found):
        out[k] = vectors
    return out


def _found(task: FrameTask) -> list[np.ndarray]:
    """The vectors of a task that has none."""
    small = SmallPicture.of(task.source[0])
    out = []
    for reference in task.references:
        other = SmallPicture.of(reference.planes[0])
        out.append(starting_vectors(small, other, reference.number - task.number))
    return out
