"""Starting weights: the nets begin as a Karhunen-Loeve transform codec instead of noise.

The residual blocks start at zero, so analysis and synthesis are linear; set to the principal
components of 16x16 blocks they code high rates at once, which random weights had not learned after
eight minutes (docs/design/training.md). The blocks then learn what a linear transform lacks.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..codec.nets.shape import GROUP
from ..codec.nets.shuffle import unshuffle
from ..encoding.nets.layers import Block
from ..encoding.rate_distortion import uniform_step
from .crops import Batches
from .model import FrameModel
from .objective import CHROMA_WEIGHT

TRUNK = 8.0  # trunk value of a full-range sample difference
STEP_Q = 40  # quality whose optimal step is one unit of the latent, see FrameModel


@torch.no_grad()
def principal_components(data: Batches, count: int, batches: int = 40) -> Tensor:
    """(count, 384) orthonormal rows, most energetic first, of packed 16x16 blocks.

    Or of what their prediction leaves of them.
    """
    covariance = torch.zeros(384, 384, dtype=torch.float64)
    for _ in range(batches):
        picture, prediction, _ = data.batch(8)
        left = weighted(picture if prediction is None else picture - prediction)
        v = unshuffle(left, 2).reshape(-1, 384).double()
        covariance += v.T @ v / v.shape[0]
    _, vectors = torch.linalg.eigh(covariance)
    rows: Tensor = vectors.flip(1).T[:count].float().contiguous()
    return rows


def weighted(packed: Tensor) -> Tensor:
    """Chroma scaled so that plain squared error is the training distortion."""
    weights = torch.ones(96)
    # 4: a chroma plane has a quarter of the samples but its MSE counts per plane
    weights[64:] = math.sqrt(CHROMA_WEIGHT / 6 * 4)
    return packed * weights


def lagrangian_step() -> float:
    """Optimal uniform step at STEP_Q for an orthonormal transform, in units of the full range."""
    return uniform_step(STEP_Q) / 255


def transform_start(model: FrameModel, data: Batches) -> None:
    """Give a new model the linear path above.

    A net narrower than the 96 signals at 1/8 can't carry it and keeps its random start.
    """
    shape = model.shape
    if min(shape.enc8, shape.dec8) < 96:
        return
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, Block):
                module.w2.weight.zero_()
                module.w4.weight.zero_()
        pc = principal_components(data, shape.latent)
        # neighbouring channels share a rate class: keep the order by energy, and give each part of
        # the channels that is coded at its own turn groups of all energies
        groups = torch.arange(shape.latent // GROUP)
        order = torch.cat([groups[k :: shape.steps] for k in range(shape.steps)])
        pc = pc.reshape(-1, GROUP, 384)[order].reshape(shape.latent, 384)
        weights = weighted(torch.ones(96))
        step = lagrangian_step()
        analysis = model.analysis
        analysis.first.weight.mul_(0.1)
        analysis.first.weight[:96, :96] = torch.diag(weights) * (
            TRUNK / 8 if shape.inter else TRUNK
        )
        # unshuffle orders channels (dy, dx, c): the 96 signals sit at the start of each of four
        # runs of enc8
        cols = torch.cat([torch.arange(96) + i * shape.enc8 for i in range(4)])
        analysis.down.weight.mul_(0.02)
        carried = min(shape.enc16, shape.latent)
        analysis.down.weight[:carried, cols] = pc[:carried] / (TRUNK * step)
        analysis.last.weight.zero_()
        analysis.last.weight[:carried, :carried] = torch.eye(carried)
        synthesis = model.synthesis
        synthesis.first.weight.zero_()
        synthesis.first.weight[:carried, :carried] = torch.eye(carried)
        cols = torch.cat([torch.arange(96) + i * shape.dec8 for i in range(4)])
        synthesis.up.weight.mul_(0.02)
        synthesis.up.weight[cols, :carried] = pc[:carried].T * (TRUNK * step)
        synthesis.last.weight.zero_()
        synthesis.last.weight[:, :96] = torch.diag(1 / weights) * (8 / TRUNK)
        if shape.inter:
            synthesis.pred.weight.mul_(0.1)
            synthesis.pred.weight[:96] = 0
            model.analysis.first.weight[:96, 96:] = 0
