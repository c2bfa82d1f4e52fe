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
    k = torch.ones(96)
    # 4: a chroma plane has a quarter of the samples but its MSE counts per plane
    k[64:] = math.sqrt(CHROMA_WEIGHT / 6 * 4)
    return packed * k


def lagrangian_step() -> float:
    """Optimal uniform step at STEP_Q for an orthonormal transform, in units of the full range."""
    return uniform_step(STEP_Q) / 255


def transform_start(model: FrameModel, data: Batches) -> None:
    """Give a new model the linear path above.

    A net narrower than the 96 signals at 1/8 can't carry it and keeps its random start.
    """
    s = model.s
    if min(s.enc8, s.dec8) < 96:
        return
    with torch.no_grad():
        for b in model.modules():
            if isinstance(b, Block):
                b.w2.weight.zero_()
                b.w4.weight.zero_()
        pc = principal_components(data, s.latent)
        # neighbouring channels share a rate class: keep the order by energy, and give each part of
        # the channels that is coded at its own turn groups of all energies
        groups = torch.arange(s.latent // GROUP)
        order = torch.cat([groups[k :: s.steps] for k in range(s.steps)])
        pc = pc.reshape(-1, GROUP, 384)[order].reshape(s.latent, 384)
        k = weighted(torch.ones(96))
        step = lagrangian_step()
        a = model.analysis
        a.first.weight.mul_(0.1)
        a.first.weight[:96, :96] = torch.diag(k) * (TRUNK / 8 if s.inter else TRUNK)
        # unshuffle orders channels (dy, dx, c): the 96 signals sit at the start of each of four
        # runs of enc8
        cols = torch.cat([torch.arange(96) + i * s.enc8 for i in range(4)])
        a.down.weight.mul_(0.02)
        n = min(s.enc16, s.latent)
        a.down.weight[:n, cols] = pc[:n] / (TRUNK * step)
        a.last.weight.zero_()
        a.last.weight[:n, :n] = torch.eye(n)
        d = model.synthesis
        d.first.weight.zero_()
        d.first.weight[:n, :n] = torch.eye(n)
        cols = torch.cat([torch.arange(96) + i * s.dec8 for i in range(4)])
        d.up.weight.mul_(0.02)
        d.up.weight[cols, :n] = pc[:n].T * (TRUNK * step)
        d.last.weight.zero_()
        d.last.weight[:, :96] = torch.diag(1 / k) * (8 / TRUNK)
        if s.inter:
            d.pred.weight.mul_(0.1)
            d.pred.weight[:96] = 0
            model.analysis.first.weight[:96, 96:] = 0
