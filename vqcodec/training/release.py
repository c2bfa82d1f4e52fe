"""From two trained models to a weights file: calibration of ranges, integers, codebooks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import torch

from ..codec import weights
from ..codec.nets.backend_choice import choose_backend
from ..codec.nets.prior import Prior
from ..encoding.nets.analysis import Analysis
from ..encoding.nets.arithmetic import float_choice, floats
from ..encoding.nets.layers import Act
from ..errors import UsageError
from .codebooks import collect, fit
from .crops import Batch, Batches, Crops
from .export import calibrated, exact_arrays
from .model import FrameModel
from .objective import cost_of

# carries the picture to the latent: eight bits would cost quality
LINEAR_PATH = ("first", "down", "last")
EQUAL_Q = (8.0, 24.0, 40.0, 56.0)
WORTH = 1e-4  # of log2 of the cost: changes of a range that win less are not made
LAMBDA = 0.12  # of the codebooks: squared steps that a bit is worth
Log = Callable[[str], object]


@torch.no_grad()
def calibrate(model: FrameModel, data: Batches, batches: int = 24) -> None:
    """Observe the range of every activation over random crops and qualities.

    Data and model are on one device. Leaves the model in float mode.
    """
    model.eval()
    model.quantise_aware("observe")
    for i in range(batches):
        batch = data.batch(4)
        if i % 4 == 0:  # every quality, the extremes too
            batch = batch._replace(quality=torch.linspace(0, 63, 4, device=batch.picture.device))
        with _fast_floats(batch):
            model(*batch)
    model.quantise_aware("float")
    calibrated(model)
    balance(model, data)


@torch.no_grad()
def balance(model: FrameModel, data: Batches, batches: int = 2) -> None:
    """Find for each 8-bit activation the range that costs least between clipping and coarse steps.

    All others are quantised too. Ranges of the largest values seen cost up to a tenth of the rate
    where a few outliers leave the many small values no steps.
    """
    fixed = [_of_equal_qualities(data.batch(2 * len(EQUAL_Q))) for _ in range(batches)]

    def cost() -> float:
        total = torch.zeros(len(EQUAL_Q))
        for batch in fixed:
            with _fast_floats(batch):
                total += cost_of(model, batch).total.cpu().reshape(2, -1).sum(0)
        return float(total.log2().mean())

    model.eval()
    model.quantise_aware("quant")
    best = cost()
    for act in balanced(model):
        for factor in (0.7, 1.4):
            while True:
                act.stretch += math.log(factor)
                if (now := cost()) >= best - WORTH:
                    act.stretch -= math.log(factor)
                    break
                best = now
    model.quantise_aware("float")


def _of_equal_qualities(batch: Batch) -> Batch:
    return batch._replace(quality=torch.tensor(EQUAL_Q * 2, device=batch.picture.device))


def _fast_floats(batch: Batch) -> AbstractContextManager[None]:
    device = batch.picture.device
    return floats(float_choice(device=device), device)


def balanced(model: FrameModel) -> Iterator[Act]:
    """The activations of a decoder whose ranges :func:`balance` chooses."""
    for module in [*model.prior.modules(), *model.synthesis.modules()]:
        if isinstance(module, Act) and module.bits == 8 and module.share:
            yield module


def kind_tensors(
    model: FrameModel, data: Crops, lam: float, batches: int, log: Log = print
) -> dict[str, np.ndarray]:
    """Everything the weights file holds about one frame type."""
    out = net_tensors(model)
    prior = Prior(out, model.shape, choose_backend("cpu"))
    books = fit(collect(model, prior, data, batches), lam, log)
    return out | {f"books.{k}": v for k, v in books.packed().items()}


def net_tensors(model: FrameModel) -> dict[str, np.ndarray]:
    """What the weights file holds of the nets alone."""
    return exact_arrays(model) | analysis_tensors(model.analysis)


def analysis_tensors(net: Analysis) -> dict[str, np.ndarray]:
    """The encoder's own nets as float16.

    Matrices off the linear path (:data:`LINEAR_PATH`) are int8 with a scale for each row.
    """
    out = {}
    for key, values in net.state_dict().items():
        if key.endswith((".peak", ".stretch")):  # of integers that the analysis never becomes
            continue
        if values.dim() == 2 and key.endswith(".weight") and key.split(".")[0] not in LINEAR_PATH:
            scale = values.abs().amax(1).clamp(min=1e-9) / 127
            out[f"analysis.{key}"] = torch.round(values / scale[:, None]).to(torch.int8).numpy()
            out[f"analysis.{key}_scale"] = scale.float().numpy()
        else:
            out[f"analysis.{key}"] = values.to(torch.float16).numpy()
    return out


def release(
    models: Mapping[str, FrameModel],
    data: Mapping[str, Crops],
    path: Path,
    batches: int = 150,
    log: Log = print,
    keep: Path | None = None,
) -> bytes:
    """Write the weights file of calibrated (better: quantisation-aware trained) models.

    Args:
        models: by kind: ``intra``, ``inter``, and ``key`` where there are nets of key frames.
        data: what their codebooks are fitted to.
        path: the weights file.
        batches: of crops for the codebooks.
        log: is called with what is done.
        keep: a weights file that gives the nets of kinds without a model, as they are.

    Returns:
        The model id.
    """
    tensors: dict[str, np.ndarray] = {}
    shapes = {kind: m.shape for kind, m in models.items()}
    kept = None if keep is None else weights.read_weights(keep, analysis=True)
    for kind in (*weights.KINDS, weights.KEY):
        if kind not in models:
            if kept is not None and kind in kept.kinds:
                tensors |= {f"{kind}.{name}": value for name, value in kept.kind(kind).items()}
                shapes[kind] = weights.frame_shape(kept, kind)
            elif kind != weights.KEY:
                raise UsageError(f"no {kind} nets")
            continue
        if kind == weights.KEY:  # they code by the codebooks of the inter nets
            made = net_tensors(models[kind])
        else:
            log(f"codebooks of the {kind} nets")
            made = kind_tensors(models[kind], data[kind], LAMBDA, batches, log)
        tensors |= {f"{kind}.{name}": value for name, value in made.items()}
    return weights.save(path, tensors, shapes)
