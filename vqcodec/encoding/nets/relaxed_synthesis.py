"""The exact nets in floats, so that gradients pass: for encoders that search for better latents."""

from __future__ import annotations

import copy
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ...codec.nets.backends import Stepwise
from ...codec.nets.exact_layers import ExactLinear
from ...codec.nets.ranges import SLOPE, TOP8, TOP16
from ...codec.nets.synthesis import Synthesis

# rows of a product that are multiplied at once, whatever the threads: libraries sum in another
# order for another number of rows
_ROWS = 1024
Multiply = Callable[[Tensor, Tensor], Tensor]


class _Product(torch.autograd.Function):
    """x @ w with a gradient by x, both multiplied by a function."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, multiply: Multiply) -> Tensor:
        ctx.w, ctx.multiply = w, multiply
        return multiply(x, w)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None, None]:
        return ctx.multiply(g, ctx.w.T), None, None


class SmoothBackend(Stepwise):
    """The operations of :mod:`vqcodec.codec.nets.backends` on floats.

    Scales are the same and limits nearly so; nothing is rounded to integers.
    """

    name = "smooth"

    def __init__(self, device: torch.device, dtype: torch.dtype, pool: Executor | None = None):
        self.device, self.dtype, self._pool = device, dtype, pool  # dtype: of the products
        self._weights: dict[int, Tensor] = {}

    def mm(self, x: Tensor, w: Tensor) -> Tensor:
        if id(w) not in self._weights:  # the layers live as long as the nets
            self._weights[id(w)] = w.to(self.dtype)
        weights = self._weights[id(w)]
        product: Tensor = _Product.apply(x, weights, self._multiply)  # type: ignore[no-untyped-call]
        return product

    def _multiply(self, x: Tensor, w: Tensor) -> Tensor:
        if self.device.type != "cpu":
            return (x.to(self.dtype) @ w).float()
        x, out = x.to(self.dtype), torch.empty((x.shape[0], w.shape[1]), dtype=torch.float32)

        def rows(first: int) -> None:
            some, result = x[first : first + _ROWS], out[first : first + _ROWS]
            with torch.no_grad():  # a thread of the pool has a mode of its own
                if self.dtype == out.dtype:
                    torch.matmul(some, w, out=result)
                else:
                    result.copy_(some @ w)

        for _ in (self._pool.map if self._pool else map)(rows, range(0, len(x), _ROWS)):
            pass
        return out

    def requant8(self, acc: Tensor, bias: Tensor, scale: Tensor, leaky: bool) -> Tensor:
        v = (acc + bias) * scale
        return (F.leaky_relu(v, SLOPE) if leaky else v).clamp(-TOP8, TOP8)

    def requant16(self, acc: Tensor, bias: Tensor, scale: Tensor) -> Tensor:
        return ((acc + bias) * scale).clamp(-TOP16, TOP16)

    def add(
        self, acc: Tensor, bias: Tensor, scale: Tensor, trunk: Tensor, scale8: Tensor
    ) -> Tensor:
        trunk += (acc + bias) * scale
        return (trunk * scale8).clamp(-TOP8, TOP8)

    def quant8(self, t: Tensor, scale: Tensor) -> Tensor:
        return (t.float() * scale).clamp(-TOP8, TOP8)

    def wide16(self, t: Tensor, scale: Tensor, layer: ExactLinear, q: int) -> Tensor:
        return self.requant16(self.mm((t * scale).clamp(-16000, 16000), layer.w), *layer.row(q))

    def depthwise(self, x: Tensor, w: Tensor, bias: Tensor, scale: Tensor) -> Tensor:
        c = x.shape[-1]
        k = w.float().T.reshape(c, 1, 3, 3)
        y = F.conv2d(x.permute(0, 3, 1, 2), k, bias.float(), padding=1, groups=c)
        return (y.permute(0, 2, 3, 1) * scale).clamp(-TOP8, TOP8)


def smooth_synthesis(net: Synthesis, dtype: torch.dtype, pool: Executor | None = None) -> Synthesis:
    """A synthesis over the same layers, through which gradients pass to the latent.

    Products are in floats of ``dtype``. The threads of a ``pool`` share them and change nothing of
    them, as long as torch itself has one thread.
    """
    twin = copy.copy(net)
    twin.backend = SmoothBackend(net.backend.device, dtype, pool)  # type: ignore[assignment]
    return twin
