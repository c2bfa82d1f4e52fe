"""The exact nets in floats of torch, so that gradients pass: for encoders on other devices than the
CPU."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...codec.nets.exact_layers import ExactLinear
from ...codec.nets.float32_backend import Stepwise
from ...codec.nets.ranges import SLOPE, TOP8, TOP16, WIDE
from ...codec.nets.synthesis import Synthesis
from ...codec.nets.tiles import Rows

# rows of a product that are multiplied at once, whatever the threads: libraries sum in another
# order for another number of rows
_ROWS = 1024
Held = Tensor | np.ndarray  # by a layer
Multiply = Callable[[Tensor, Tensor], Tensor]


class _Product(torch.autograd.Function):
    """values @ weights with a gradient by the values, both multiplied by a function."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, weights: Tensor, multiply: Multiply) -> Tensor:
        ctx.weights, ctx.multiply = weights, multiply
        return multiply(values, weights)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return ctx.multiply(gradient, ctx.weights.T), None, None


class SmoothBackend(Stepwise):
    """The operations of :class:`vqcodec.codec.nets.backend.Backend` on floats.

    Scales are the same and limits nearly so; nothing is rounded to integers.
    """

    name = "smooth"

    def __init__(self, device: str, dtype: torch.dtype, pool: Executor | None = None):
        self.device, self.dtype, self._pool = device, dtype, pool  # dtype: of the products
        self._weights: dict[int, Tensor] = {}

    def _tensors(self, *arrays: Held) -> Iterator[Tensor]:
        """What the layers hold, which the CPU's exact backend keeps as numpy arrays."""
        return (torch.as_tensor(array, device=self.device) for array in arrays)

    def mm(self, values: Tensor, held: Held) -> Tensor:
        """The product in the backend's type; its gradient by the values too."""
        if id(held) not in self._weights:  # the layers live as long as the nets
            self._weights[id(held)] = torch.as_tensor(held, dtype=self.dtype, device=self.device)
        weights = self._weights[id(held)]
        product: Tensor = _Product.apply(values, weights, self._multiply)  # type: ignore[no-untyped-call]
        return product

    def _multiply(self, values: Tensor, weights: Tensor) -> Tensor:
        if self.device != "cpu":
            return (values.to(self.dtype) @ weights).float()
        values, out = (
            values.to(self.dtype),
            torch.empty((values.shape[0], weights.shape[1]), dtype=torch.float32),
        )

        def rows(first: int) -> None:
            some, result = values[first : first + _ROWS], out[first : first + _ROWS]
            with torch.no_grad():  # a thread of the pool has a mode of its own
                if self.dtype == out.dtype:
                    torch.matmul(some, weights, out=result)
                else:
                    result.copy_(some @ weights)

        for _ in (self._pool.map if self._pool else map)(rows, range(0, len(values), _ROWS)):
            pass
        return out

    def requant8(self, acc: Tensor, bias: Held, scale: Held, leaky: bool) -> Tensor:
        """Clipped as the integers are, but not rounded."""
        v = self._scaled(acc, bias, scale)
        return (F.leaky_relu(v, SLOPE) if leaky else v).clamp(-TOP8, TOP8)

    def requant16(self, acc: Tensor, bias: Held, scale: Held) -> Tensor:
        """Clipped as the integers are, but not rounded."""
        return self._scaled(acc, bias, scale).clamp(-TOP16, TOP16)

    def _scaled(self, acc: Tensor, bias: Held, scale: Held) -> Tensor:
        less, by = self._tensors(bias, scale)
        return (acc + less) * by

    def add(self, acc: Tensor, bias: Held, scale: Held, trunk: Tensor, scale8: Held) -> Tensor:
        """The trunk is changed in place, and not clipped."""
        trunk += self._scaled(acc, bias, scale)
        return self.quant8(trunk, scale8)

    def quant8(self, values: Tensor, scale: Held) -> Tensor:
        """Clipped as the integers are, but not rounded."""
        (by,) = self._tensors(scale)
        return (values.float() * by).clamp(-TOP8, TOP8)

    def wide16(self, values: Tensor, scale: Held, layer: ExactLinear[Any], quality: int) -> Tensor:
        """The activation is multiplied as one float."""
        (by,) = self._tensors(scale)
        return self.requant16(
            self.mm((values * by).clamp(-WIDE, WIDE), layer.weights), *layer.row(quality)
        )

    def depthwise(
        self, values: Tensor, rows: Rows[Tensor], weights: Held, bias: Held, scale: Held
    ) -> Tensor:
        """A convolution of torch's over whole pictures, clipped but not rounded."""
        channels, (frames, height, width) = values.shape[-1], rows.shape
        taps, less, by, at = self._tensors(weights, bias, scale, rows.at)
        kernel = taps.float().T.reshape(channels, 1, 3, 3)
        empty = values.new_zeros(frames * height * width, channels)
        pictures = empty.index_copy(0, at, values).reshape(frames, height, width, channels)
        out = F.conv2d(
            pictures.permute(0, 3, 1, 2), kernel, less.float(), padding=1, groups=channels
        )
        seen = out.permute(0, 2, 3, 1).reshape(-1, channels)[at]
        return (seen * by).clamp(-TOP8, TOP8)


def smooth_synthesis(
    net: Synthesis[Any], dtype: torch.dtype, pool: Executor | None = None
) -> Synthesis[Tensor]:
    """A synthesis over the same layers, through which gradients pass to the latent.

    Products are in floats of ``dtype``. The threads of a ``pool`` share them and change nothing of
    them, as long as torch itself has one thread. Its ``layers`` are to be called.
    """
    twin = copy.copy(net)
    twin.backend = SmoothBackend(net.backend.device, dtype, pool)
    return twin
