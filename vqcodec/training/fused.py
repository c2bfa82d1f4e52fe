"""Training on a GPU: the element-wise parts of the nets compiled, so that each passes memory once.

Eager torch runs a depthwise convolution in bfloat16, a fake quantisation or the bits of a normal
distribution as many small kernels that wait for memory. :func:`fused_layers` puts compiled forms
in their place; what they compute is the same but for rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx

from ..encoding.nets import layers
from . import model
from .autograd import applied, saved


def _taps(values: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
    """Depthwise 3x3: values (N, H, W, C), weights (C, 9), bias (C,)."""
    height, width = values.shape[1:3]
    padded = F.pad(values, (0, 0, 1, 1, 1, 1)).float()
    out = bias.float().expand(values.shape[0], height, width, values.shape[3])
    for t in range(9):
        out = (
            out + padded[:, t // 3 : t // 3 + height, t % 3 : t % 3 + width] * weights[:, t].float()
        )
    return out.to(values.dtype)


def _tap_gradient(values: Tensor, gradient: Tensor) -> Tensor:
    """(C, 9) gradient of the weights."""
    height, width = values.shape[1:3]
    padded, gradient = F.pad(values, (0, 0, 1, 1, 1, 1)), gradient.float()
    sums = [
        (padded[:, t // 3 : t // 3 + height, t % 3 : t % 3 + width] * gradient).sum((0, 1, 2))
        for t in range(9)
    ]
    return torch.stack(sums, 1)


def _round_forward(values: Tensor, scale: Tensor, top: int) -> tuple[Tensor, Tensor, Tensor]:
    """Rounded values, what lies inside the range, and the slope of the output by the scale."""
    steps = values.float() / scale
    rounded = steps.round().clamp(-top, top)
    inside = steps.abs() <= top
    slope = torch.where(inside, rounded - steps, rounded).to(torch.bfloat16)
    return (rounded * scale).to(values.dtype), inside, slope


def _round_backward(gradient: Tensor, inside: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
    return gradient * inside, (gradient * slope).float().sum((0, 1, 2))


def eager() -> AbstractContextManager[None]:
    """A context in which nothing is compiled: for pictures of many sizes, each seen once."""
    stance: AbstractContextManager[None] = torch.compiler.set_stance("force_eager")
    return stance


@contextmanager
def fused_layers() -> Iterator[None]:
    """A context in which nets train by compiled parts, for the process as a whole.

    What cannot be compiled is computed as without it.
    """
    import torch._dynamo

    taps = torch.compile(_taps, dynamic=True)
    tap_gradient = torch.compile(_tap_gradient, dynamic=True)
    round_forward = torch.compile(_round_forward, dynamic=True)
    round_backward = torch.compile(_round_backward, dynamic=True)

    class Depthwise(torch.autograd.Function):
        @staticmethod
        def forward(ctx: FunctionCtx, values: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
            ctx.save_for_backward(values, weights)
            return taps(values, weights, bias)

        @staticmethod
        def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            values, weights = saved(ctx)
            gradient = gradient.contiguous()
            back = taps(gradient, weights.flip(1), torch.zeros_like(weights[:, 0]))
            of_weights = tap_gradient(values, gradient).to(weights.dtype)
            return back, of_weights, gradient.float().sum((0, 1, 2))

    class FakeQuantise(torch.autograd.Function):
        @staticmethod
        def forward(ctx: FunctionCtx, values: Tensor, scale: Tensor, top: int) -> Tensor:
            out, inside, slope = round_forward(values, scale, top)
            ctx.save_for_backward(inside, slope)
            return out

        @staticmethod
        def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
            inside, slope = saved(ctx)
            return *round_backward(gradient.contiguous(), inside, slope), None

    def convolve(layer: layers.Depthwise, values: Tensor) -> Tensor:
        return applied(Depthwise, values.contiguous(), layer.taps(), layer.bias)

    parts = (
        (layers, "_FakeQuantise", FakeQuantise),
        (layers.Depthwise, "forward", convolve),
        (model, "gauss_bits", torch.compile(model.gauss_bits, dynamic=True)),
    )
    with torch._dynamo.config.patch(suppress_errors=True), ExitStack() as restored:
        for owner, name, part in parts:
            restored.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, part)
        yield
