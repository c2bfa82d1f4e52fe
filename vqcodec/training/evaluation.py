"""The score of a model on pictures that no training sees."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..encoding.nets.arithmetic import float_choice, floats
from .crops import Batch
from .model import FrameModel
from .objective import PEAK2, cost_of

QUALITIES = (8, 24, 40, 56)


class HeldOut(NamedTuple):
    """A packed picture (1, H/8, W/8, 96) that is measured, and its prediction."""

    picture: Tensor
    prediction: Tensor | None


def score(model: FrameModel, items: Sequence[HeldOut], qualities: Sequence[int] = QUALITIES) -> str:
    """``{"score": S}`` and a few words on each quality.

    S is the mean over the qualities of log2 of the mean cost lambda * D + R: 0.1 less is 7 % less.
    """
    cells, total = [], 0.0
    device = next(model.parameters()).device
    for quality in qualities:
        costs = []
        for item in items:
            picture, prediction = (None if t is None else t.to(device) for t in item)
            assert picture is not None
            batch = Batch(picture, prediction, torch.tensor([float(quality)], device=device))
            with floats(float_choice(device=device), device):
                costs.append(cost_of(model, batch))
        mean, rate, error = (
            sum(float(value) for value in values) / len(costs)
            for values in zip(*((c.total, c.rate, c.distortion) for c in costs), strict=True)
        )
        total += math.log2(mean)
        psnr = 10 * math.log10(PEAK2 / error)
        cells.append(f"q{quality} {mean:.4f} ({rate:.4f} bpp, {psnr:.2f} dB)")
    return json.dumps({"score": round(total / len(qualities), 4)}) + " " + "; ".join(cells)
