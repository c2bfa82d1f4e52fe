"""Typed doors to torch's own gradient functions."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx


def applied(function: type[torch.autograd.Function], *inputs: Tensor | float) -> Tensor:
    """What a function with gradients of its own makes of its inputs."""
    out: Tensor = function.apply(*inputs)
    return out


def saved(ctx: FunctionCtx) -> tuple[Tensor, ...]:
    """The tensors that the forward pass kept."""
    tensors: tuple[Tensor, ...] = ctx.saved_tensors  # type: ignore[attr-defined]
    return tensors
