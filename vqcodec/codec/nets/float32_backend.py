"""Exact layers on any device of torch: integers carried in float32, by plain operations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from .ranges import SLOPE, TOP8, TOP16, WIDE

if TYPE_CHECKING:
    from .exact_layers import ExactLinear
    from .tiles import Rows

    Linear = ExactLinear[Tensor]


class Stepwise:
    """Layers as a product and what follows it, one after the other, each a pass over memory."""

    device: str

    if TYPE_CHECKING:

        def mm(self, values: Tensor, weights: Tensor) -> Tensor:
            """values (M, K) times weights (K, N) -> (M, N), exact int32."""

        def requant8(self, acc: Tensor, bias: Tensor, scale: Tensor, leaky: bool) -> Tensor:
            """Sums plus bias, times scale, rounded to even and clipped to 8 bits; ``leaky`` as in
            :meth:`product8`."""

        def requant16(self, acc: Tensor, bias: Tensor, scale: Tensor) -> Tensor:
            """Sums plus bias, times scale, rounded to even and clipped to 16 bits."""

        def add(
            self, acc: Tensor, bias: Tensor, scale: Tensor, trunk: Tensor, scale8: Tensor
        ) -> Tensor:
            """Add what :meth:`requant16` gives to the trunk, and give its copy of 8 bits."""

        def split(self, values: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
            """An activation of 15 bits as (hi, lo) of 8 bits each, 128 * hi + lo."""

    def product8(self, values: Tensor, layer: Linear, leaky: bool) -> Tensor:
        """The product, then one rounding to 8 bits."""
        return self.requant8(self.mm(values, layer.weights), *layer.row(0), leaky)

    def product8_each(self, values: Tensor, layer: Linear) -> list[Tensor]:
        """One product, rounded to 8 bits by each row of the layer."""
        acc = self.mm(values, layer.weights)
        return [self.requant8(acc, *layer.row(k), False) for k in range(layer.rows)]

    def product16(self, values: Tensor, layer: Linear, quality: int) -> Tensor:
        """The product, then one rounding to 16 bits."""
        return self.requant16(self.mm(values, layer.weights), *layer.row(quality))

    def product_add(
        self, values: Tensor, layer: Linear, quality: int, trunk: Tensor, scale8: Tensor
    ) -> Tensor:
        """The product, then the sum with the trunk."""
        return self.add(self.mm(values, layer.weights), *layer.row(quality), trunk, scale8)

    def wide16(self, values: Tensor, scale: Tensor, layer: Linear, quality: int) -> Tensor:
        """The activation is multiplied as 128 * hi + lo."""
        hi, lo = self.split(values, scale)
        return self.requant16(
            self.mm(hi, layer.weights) * 128 + self.mm(lo, layer.weights), *layer.row(quality)
        )

    def cat(self, parts: list[Tensor]) -> Tensor:
        """Tensors of the same positions as one, channels behind channels."""
        return torch.cat(parts, -1)

    def array(self, values: np.ndarray) -> Tensor:
        """A tensor on the device."""
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device)

    def host(self, values: Tensor) -> np.ndarray:
        """An array of numpy, copied from the device where that is not the CPU."""
        array: np.ndarray = values.cpu().numpy()
        return array


class Float32Backend(Stepwise):
    """The operations of :class:`vqcodec.codec.nets.backend.Backend` on tensors; integers below
    2^24 are exact in float32."""

    name = "float32"

    def __init__(self, device: str = "cpu"):
        self.device = device
        self._kind = torch.device(device).type

    def mm(self, values: Tensor, weights: Tensor) -> Tensor:
        """The product in float32: all sums are below 2^24, so none is rounded."""
        with torch.autocast(
            self._kind, enabled=False
        ):  # a caller's autocast would round the sums to 8 bits
            return (values.float() @ weights.float()).to(torch.int32)

    @staticmethod
    def _scaled(acc: Tensor, bias: Tensor, scale: Tensor) -> Tensor:
        return (acc + bias).to(torch.float32) * scale

    def requant8(self, acc: Tensor, bias: Tensor, scale: Tensor, leaky: bool) -> Tensor:
        """Rounding in float32, as IEEE 754 has it on every device."""
        scaled = self._scaled(acc, bias, scale)
        if leaky:
            scaled = torch.where(scaled >= 0, scaled, scaled * SLOPE)
        return torch.round(scaled.clamp(-TOP8, TOP8)).to(torch.int8)

    def requant16(self, acc: Tensor, bias: Tensor, scale: Tensor) -> Tensor:
        """As :meth:`requant8`, to 16 bits."""
        return torch.round(self._scaled(acc, bias, scale).clamp(-TOP16, TOP16)).to(torch.int16)

    def add(
        self, acc: Tensor, bias: Tensor, scale: Tensor, trunk: Tensor, scale8: Tensor
    ) -> Tensor:
        """The trunk is changed in place; its sums are clipped to 16 bits."""
        total = trunk.to(torch.int32) + self.requant16(acc, bias, scale).to(torch.int32)
        trunk.copy_(total.clamp(-TOP16, TOP16))
        return self.quant8(trunk, scale8)

    def quant8(self, values: Tensor, scale: Tensor) -> Tensor:
        """values (M, C) int16 times scale (C,) -> (M, C) int8."""
        return torch.round((values.to(torch.float32) * scale).clamp(-TOP8, TOP8)).to(torch.int8)

    def split(self, values: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """hi is rounded half up, so that lo is from -64 to 63."""
        scaled = torch.round((values.to(torch.float32) * scale).clamp(-WIDE, WIDE)).to(torch.int32)
        hi = (scaled + 64) >> 7
        return hi.to(torch.int8), (scaled - (hi << 7)).to(torch.int8)

    def depthwise(
        self, values: Tensor, rows: Rows[Tensor], taps: Tensor, bias: Tensor, scale: Tensor
    ) -> Tensor:
        """Nine products of rows, summed in int32."""
        around = torch.cat([values, torch.zeros_like(values[:1])]).to(torch.int32)
        acc = torch.zeros_like(values, dtype=torch.int32)
        for near, tap in zip(rows.near.unbind(1), taps.to(torch.int32), strict=True):
            acc += around[near] * tap
        return self.requant8(acc, bias, scale, False)
