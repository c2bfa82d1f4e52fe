"""What the error of a frame is worth: the bits that all trials of it are compared by."""

from __future__ import annotations

import numpy as np

from ..codec.direct_map import OUTSIDE_BLOCK
from ..codec.frame_decoder import Planes
from .block_facts import weighed_squares
from .frame_task import FrameTask
from .rate_distortion import RateParameters


def error_bits(
    task: FrameTask, planes: Planes, rate: RateParameters, all_coded: np.ndarray
) -> float:
    """Bits that the squared error of some planes is worth, but for blocks outside of the
    picture."""
    return float(block_error_bits(task, task.source, planes, rate, all_coded).sum())


def block_error_bits(
    task: FrameTask, source: Planes, planes: Planes, rate: RateParameters, all_coded: np.ndarray
) -> np.ndarray:
    """(H/16, W/16): the same of each block, against a source that may be other than the task's."""
    error = weighed_squares(source, planes, task.plane_weights, all_coded.shape)
    worths = (all_coded != OUTSIDE_BLOCK) * (1 if task.worths is None else task.worths)
    bits: np.ndarray = rate.detail(task.aim)[1] * error * worths
    return bits
