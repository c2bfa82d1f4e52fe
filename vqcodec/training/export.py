"""From trained nets to the integers of the format: int8 weights, int32 biases, float32 scales.

All as a flat dict of arrays.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ..codec.nets.shape import UNIT_TRUNK
from ..encoding.nets.layers import Act, Block, Depthwise, Linear, anchor_weights
from .model import FrameModel, PriorStep

PRED_OFFSET = 512 / 1020 - 0.5  # the integer nets see (v - 512) >> 2, the float nets v / 1020 - 1/2
Tensors = dict[str, Tensor]


def _ints(weight: Tensor, step: Tensor) -> Tensor:
    """(N, K) folded weights -> (K, N) int8."""
    return torch.round(weight / step[:, None]).clamp(-127, 127).to(torch.int8).T.contiguous()


def linear(
    tensors: Tensors, name: str, layer: Linear, unit: Tensor | float, offset: float = 0.0
) -> None:
    """A product with a quality-dependent bias and scale: (Q, N) each, Q = 64 or 1.

    ``unit``: value of one step of the output, a number or (N,); ``offset``: constant missing from
    every input.
    """
    folded, step = layer.folded()
    bias = layer.bias.detach().float() + offset * layer.weight.detach().float().sum(1)
    out = torch.as_tensor(unit).float().expand_as(step)
    if layer.quality:
        at = anchor_weights(torch.arange(64))
        biases = bias + at @ layer.qbias.detach().float()
        scale = step * torch.exp(at @ layer.qgain.detach().float()) / out
    else:
        biases, scale = bias[None], (step / out)[None]
    tensors[name + ".w"] = _ints(folded.detach(), step)
    tensors[name + ".bias"] = torch.round(biases / step).to(torch.int32).contiguous()
    tensors[name + ".scale"] = scale.to(torch.float32).contiguous()


def depthwise(tensors: Tensors, name: str, layer: Depthwise, unit: Tensor) -> None:
    """A depthwise convolution; ``unit`` (N,): value of one step of the output."""
    folded, step = layer.folded()
    tensors[name + ".w"] = _ints(folded.detach(), step)
    tensors[name + ".bias"] = torch.round(layer.bias.detach() / step).to(torch.int32)
    tensors[name + ".scale"] = (step / unit).to(torch.float32)


def _to8(act: Act, unit: float | Tensor = UNIT_TRUNK) -> Tensor:
    """Multiplier from integers of ``unit`` to the int8 steps of an activation."""
    return _multiplier(act.scale, unit)


def _multiplier(scale: Tensor, unit: float | Tensor) -> Tensor:
    return (unit / scale).to(torch.float32).contiguous()


def block(tensors: Tensors, name: str, layer: Block) -> None:
    """A residual block."""
    tensors[name + ".s_in"], tensors[name + ".s_mid"] = _to8(layer.a1), _to8(layer.a4)
    linear(tensors, name + ".w1", layer.w1, layer.a2.scale)
    depthwise(tensors, name + ".dw", layer.dw, layer.a3.scale)
    linear(tensors, name + ".w2", layer.w2, UNIT_TRUNK)
    linear(tensors, name + ".w3", layer.w3, layer.a5.scale)
    linear(tensors, name + ".w4", layer.w4, UNIT_TRUNK)


def blocks(tensors: Tensors, name: str, layer: nn.ModuleList) -> None:
    """Residual blocks in a row."""
    for i, b in enumerate(layer):
        assert isinstance(b, Block)
        block(tensors, f"{name}.{i}", b)


def _step(tensors: Tensors, name: str, layer: PriorStep) -> None:
    linear(tensors, name + ".first", layer.first, UNIT_TRUNK)
    blocks(tensors, name + ".blocks", layer.blocks)
    tensors[name + ".s_out"] = _to8(layer.a_out)
    linear(tensors, name + ".mean", layer.mean, 1 / 16)
    linear(tensors, name + ".scale", layer.scale, 1 / 4)  # a class is a quarter of an octave


def _shared(tensors: Tensors, name: str, layer: Linear, units: list[Tensor]) -> None:
    """One product whose output is requantised for several consumers, a row of bias and scale
    each."""
    rows: list[dict[str, Tensor]] = [{} for _ in units]
    for row, unit in zip(rows, units, strict=True):
        linear(row, name, layer, unit)
    tensors[name + ".w"] = rows[0][name + ".w"]
    for k in (".bias", ".scale"):
        tensors[name + k] = torch.cat([row[name + k] for row in rows])


@torch.no_grad()
def exact_arrays(model: FrameModel) -> dict[str, np.ndarray]:
    """Integer prior and synthesis of a calibrated model.

    Named as :mod:`vqcodec.codec.nets.prior` and ``synthesis`` read them.
    """
    arrays: dict[str, Tensor] = {}
    prior, synthesis, shape = model.prior, model.synthesis, model.shape
    arrays["prior.s_z"] = _to8(prior.a_z, 1 / 16)
    up = shape.hyper_up
    # contexts enter the first step as they are and the others behind the latent
    contexts = [
        step.a_in.scale[shape.latent if k else 0 :] for k, step in enumerate(prior.each_step())
    ]
    _shared(arrays, "prior.up", prior.up, [c[:up].repeat(16) for c in contexts])
    if shape.inter:
        linear(arrays, "prior.cx_first", prior.cx_first, UNIT_TRUNK, PRED_OFFSET)
        block(arrays, "prior.cx_block", prior.cx_block)
        # the activation is kept before the unshuffle: the four positions share their channel's
        # scale
        arrays["prior.s_cx"] = _to8(prior.a_cx)[: shape.context]
        _shared(arrays, "prior.cx_last", prior.cx_last, [c[up:] for c in contexts])
    for number, step in enumerate(prior.each_step()):
        if number:
            arrays[f"prior.steps.{number}.s_y"] = _multiplier(
                step.a_in.scale[: shape.latent], 1 / 16
            )
        _step(arrays, f"prior.steps.{number}", step)
    gain = torch.exp(anchor_weights(torch.arange(64)) @ synthesis.log_gain)
    arrays["synthesis.s_y"] = (gain / 16 / synthesis.a_y.scale).to(torch.float32).contiguous()
    linear(arrays, "synthesis.first", synthesis.first, UNIT_TRUNK)
    blocks(arrays, "synthesis.blocks16", synthesis.blocks16)
    arrays["synthesis.s_up"] = _to8(synthesis.a_up)
    linear(arrays, "synthesis.up", synthesis.up, UNIT_TRUNK)
    if shape.inter:
        linear(arrays, "synthesis.pred", synthesis.pred, UNIT_TRUNK, PRED_OFFSET)
    blocks(arrays, "synthesis.blocks8", synthesis.blocks8)
    arrays["synthesis.s_last"] = _to8(synthesis.a_last)
    linear(arrays, "synthesis.last", synthesis.last, 8 / 1020)
    return {name: tensor.numpy() for name, tensor in arrays.items()}


@torch.no_grad()
def calibrated(model: FrameModel) -> None:
    """Make the ranges consistent with how the integer nets share them.

    Call after observing, before quantisation-aware steps.
    """
    for act in [model.synthesis.a_pred, model.prior.a_pred] if model.shape.inter else []:
        act.peak.fill_(127 / 255)
    if model.shape.inter:
        peak = model.prior.a_cx.peak
        peak.copy_(peak.reshape(4, -1).amax(0).repeat(4))
    net = model.synthesis
    for act, layer in ((net.a_y, net.first), (net.a_up, net.up), (net.a_last, net.last)):
        # of 16 bits some can be given away to let all columns of the int8 weights use their range
        # (cross-layer equalisation, Nagel et al. 2019)
        column = layer.weight.abs().amax(0).clamp(min=1e-9)
        even = (act.peak * column).log().mean().exp() / column
        act.peak.copy_(torch.minimum(torch.maximum(even, act.peak), 8 * act.peak))
    # the latent's few huge values must not cost the many small ones their resolution
    for step in model.prior.each_step()[1:]:
        step.a_in.peak[: model.shape.latent].clamp_(max=127 / 3)
