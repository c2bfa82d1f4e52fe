"""Training on a GPU: the element-wise parts of the nets compiled, so that each passes memory once.

Eager torch runs a depthwise convolution in bfloat16, a fake quantisation or the bits of a normal
distribution as many small kernels that wait for memory. :func:`use_fused` puts compiled forms in
their place for the rest of the process; what they compute is the same but for rounding.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..encoding.nets import layers as layers_module
from . import model


def _taps(x: Tensor, w: Tensor, bias: Tensor) -> Tensor:
    h, width = x.shape[1:3]
    p = F.pad(x, (0, 0, 1, 1, 1, 1)).float()
    out = bias.float().expand(x.shape[0], h, width, x.shape[3])
    for t in range(9):
        out = out + p[:, t // 3 : t // 3 + h, t % 3 : t % 3 + width] * w[:, t].float()
    return out.to(x.dtype)


def _tap_gradient(x: Tensor, g: Tensor) -> Tensor:
    h, width = x.shape[1:3]
    p, g = F.pad(x, (0, 0, 1, 1, 1, 1)), g.float()
    sums = [(p[:, t // 3 : t // 3 + h, t % 3 : t % 3 + width] * g).sum((0, 1, 2)) for t in range(9)]
    return torch.stack(sums, 1)


def _round_forward(x: Tensor, scale: Tensor, top: int) -> tuple[Tensor, Tensor, Tensor]:
    v = x.float() / scale
    r = v.round().clamp(-top, top)
    inside = v.abs() <= top
    slope = torch.where(inside, r - v, r).to(torch.bfloat16)
    return (r * scale).to(x.dtype), inside, slope


def _round_backward(g: Tensor, inside: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
    return g * inside, (g * slope).float().sum((0, 1, 2))


def use_fused() -> None:
    """Compile the parts and put them in place."""
    taps = torch.compile(_taps, dynamic=True)
    tap_gradient = torch.compile(_tap_gradient, dynamic=True)
    forward = torch.compile(_round_forward, dynamic=True)
    backward = torch.compile(_round_backward, dynamic=True)

    class Depthwise(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor, w: Tensor, bias: Tensor) -> Tensor:
            ctx.save_for_backward(x, w)
            return taps(x, w, bias)

        @staticmethod
        def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            x, w = ctx.saved_tensors
            g = g.contiguous()
            back = taps(g, w.flip(1), torch.zeros_like(w[:, 0]))
            return back, tap_gradient(x, g).to(w.dtype), g.float().sum((0, 1, 2))

    class FakeQuantise(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor, scale: Tensor, top: int) -> Tensor:
            out, inside, slope = forward(x, scale, top)
            ctx.save_for_backward(inside, slope)
            return out

        @staticmethod
        def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor, None]:
            inside, slope = ctx.saved_tensors
            return *backward(g.contiguous(), inside, slope), None

    def convolve(self: layers_module.Depthwise, x: Tensor) -> Tensor:
        return Depthwise.apply(x.contiguous(), self.taps(), self.bias)

    layers_module._FakeQuantise = FakeQuantise  # type: ignore[misc, assignment]
    layers_module.Depthwise.forward = convolve  # type: ignore[method-assign]
    model.gauss_bits = torch.compile(model.gauss_bits, dynamic=True)  # type: ignore[assignment]
