"""From two trained models to a weights file: calibration of ranges, integers, codebooks."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import load_file

from ..codec import weights
from ..codec.nets.arithmetic import float_choice, floats
from ..codec.nets.backend_choice import choose_backend
from ..codec.nets.prior import Prior
from ..codec.nets.shape import NetShape
from ..encoding.nets.analysis import Analysis
from ..encoding.nets.layers import Act
from ..encoding.rate_distortion import lagrangian
from ..errors import UsageError
from .codebooks import collect, fit
from .data import Crops
from .export import calibrated, exact_tensors
from .loop import distortion
from .model import FrameModel

LINEAR_PATH = (
    "first",
    "down",
    "last",
)  # carries the picture to the latent: eight bits would cost quality


@torch.no_grad()
def calibrate(m: FrameModel, data: Crops, batches: int = 24) -> None:
    """Observe the range of every activation over random crops and qualities; leaves the model in float mode."""
    m.eval()
    m.quantise_aware("observe")
    for i in range(batches):
        x, pred, q = data.batch(4)
        # every quality, the extremes too
        q = torch.linspace(0, 63, 4) if i % 4 == 0 else q
        with floats(float_choice()):
            m(x, pred, q)
    m.quantise_aware("float")
    calibrated(m)
    balance(m, data)


EQUAL_Q = (8.0, 24.0, 40.0, 56.0)


@torch.no_grad()
def balance(m: FrameModel, data: Crops, batches: int = 2) -> None:
    """Find for each 8-bit activation, all others being quantised too, the range that costs least between clipping and coarse steps.

    Ranges of the largest values seen cost up to a tenth of the rate where a few outliers leave the many small values no steps.
    """
    fixed = [data.batch(2 * len(EQUAL_Q)) for _ in range(batches)]
    q = torch.tensor(EQUAL_Q).repeat(2)

    def cost() -> float:
        total = torch.zeros(len(EQUAL_Q))
        for x, pred, _ in fixed:
            with floats(float_choice()):
                out, bits, zbits = m(x, pred, q)
            each = lagrangian(q) * distortion(out, x) + (bits + zbits) / (
                x.shape[1] * x.shape[2] * 64
            )
            total += each.reshape(2, -1).sum(0)
        return float(total.log2().mean())

    m.eval()
    m.quantise_aware("quant")
    best = cost()
    for act in (
        a
        for a in [*m.prior.modules(), *m.synthesis.modules()]
        if isinstance(a, Act) and a.bits == 8 and a.share
    ):
        for factor in (0.7, 1.4):
            while True:
                act.stretch += math.log(factor)
                if (now := cost()) >= best - 1e-4:
                    act.stretch -= math.log(factor)
                    break
                best = now
    m.quantise_aware("float")


def kind_tensors(
    m: FrameModel, data: Crops, lam: float, batches: int, log: Any = print
) -> dict[str, np.ndarray]:
    """Everything the weights file holds about one frame type."""
    d = exact_tensors(m)
    prior = Prior(d, m.s, choose_backend("cpu"))
    samples, z = collect(m, prior, data, batches)
    books = fit(samples, z, lam, log=log)
    out = {k: v.numpy() for k, v in d.items()}
    out |= {f"books.{k}": v for k, v in books.packed().items()}
    return out | analysis_tensors(m.analysis)


def analysis_tensors(net: Analysis) -> dict[str, np.ndarray]:
    """The encoder's own nets as float16, the matrices off the linear path (:data:`LINEAR_PATH`) as int8 with a scale for each row."""
    out = {}
    for k, v in net.state_dict().items():
        if k.endswith((".peak", ".stretch")):  # of integers that the analysis never becomes
            continue
        if v.dim() == 2 and k.endswith(".weight") and k.split(".")[0] not in LINEAR_PATH:
            scale = v.abs().amax(1).clamp(min=1e-9) / 127
            out[f"analysis.{k}"] = torch.round(v / scale[:, None]).to(torch.int8).numpy()
            out[f"analysis.{k}_scale"] = scale.float().numpy()
        else:
            out[f"analysis.{k}"] = v.to(torch.float16).numpy()
    return out


def release(
    models: dict[str, FrameModel],
    data: dict[str, Crops],
    path: Path,
    lam: float = 0.12,
    batches: int = 150,
    log: Any = print,
    keep: Path | None = None,
) -> bytes:
    """Write the weights file of calibrated (better: quantisation-aware trained) models.

    keep: a weights file that gives the nets of kinds without a model, as they are. Returns the id.
    """
    tensors: dict[str, np.ndarray] = {}
    shapes = {k: m.s for k, m in models.items()}
    for kind in weights.KINDS:
        if kind not in models:
            if keep is None:
                raise UsageError(f"no {kind} nets")
            tensors |= {k: v for k, v in load_file(keep).items() if k.startswith(kind + ".")}
            with safe_open(keep, "np") as f:
                shapes[kind] = NetShape.from_dict(json.loads(f.metadata()[kind]))
            continue
        log(f"codebooks of the {kind} nets")
        tensors |= {
            f"{kind}.{k}": v
            for k, v in kind_tensors(models[kind], data[kind], lam, batches, log).items()
        }
    return weights.save(path, tensors, shapes)
