"""Ways to compute exact layers; all of them give the same integers.

``fused``: products of our own with what follows them in their store, on the CPU
(:mod:`vqcodec.codec.nets.product`). ``int8``: torch._int_mm and compiled kernels, on the CPU.
``float32``: integers carried in float32 by plain torch operations, on any device.
:mod:`vqcodec.codec.nets.backend_choice` takes the fastest that passes its test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from . import elementwise
from . import product as kernels
from .product import Packed
from .ranges import SLOPE, TOP8, TOP16, WIDE

if TYPE_CHECKING:
    from .exact_layers import ExactLinear


class Stepwise:
    """Layers as a product and what follows it, one after the other, each a pass over memory."""

    if TYPE_CHECKING:

        def mm(self, x: Tensor, w: Tensor) -> Tensor: ...
        def requant8(self, acc: Tensor, bias: Tensor, scale: Tensor, leaky: bool) -> Tensor: ...
        def requant16(self, acc: Tensor, bias: Tensor, scale: Tensor) -> Tensor: ...
        def add(
            self, acc: Tensor, bias: Tensor, scale: Tensor, trunk: Tensor, scale8: Tensor
        ) -> Tensor: ...
        def split(self, t: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]: ...

    def product8(self, x: Tensor, layer: ExactLinear, leaky: bool) -> Tensor:
        """x (M, K) int8 -> (M, N) int8."""
        return self.requant8(self.mm(x, layer.w), *layer.row(0), leaky)

    def product8_each(self, x: Tensor, layer: ExactLinear) -> list[Tensor]:
        """One product, requantised by each row of the layer."""
        acc = self.mm(x, layer.w)
        return [self.requant8(acc, *layer.row(k), False) for k in range(layer.rows)]

    def product16(self, x: Tensor, layer: ExactLinear, q: int) -> Tensor:
        """x (M, K) int8 -> (M, N) int16."""
        return self.requant16(self.mm(x, layer.w), *layer.row(q))

    def product_add(
        self, x: Tensor, layer: ExactLinear, q: int, trunk: Tensor, scale8: Tensor
    ) -> Tensor:
        """Add the requantised product of x (M, K) int8 to trunk (M, N) int16, and give the int8
        copy under ``scale8``."""
        return self.add(self.mm(x, layer.w), *layer.row(q), trunk, scale8)

    def wide16(self, t: Tensor, scale: Tensor, layer: ExactLinear, q: int) -> Tensor:
        """Product with an activation of 15 bits, t (M, K) int16 times scale, as 128 * hi + lo ->
        (M, N) int16."""
        hi, lo = self.split(t, scale)
        return self.requant16(self.mm(hi, layer.w) * 128 + self.mm(lo, layer.w), *layer.row(q))


class Int8Backend(Stepwise):
    """CPU: torch._int_mm with compiled element-wise kernels."""

    name = "int8"
    device = torch.device("cpu")

    def mm(self, x: Tensor, w: Tensor) -> Tensor:
        return torch._int_mm(x, w)

    def requant8(self, acc: Tensor, bias: Tensor, scale: Tensor, leaky: bool) -> Tensor:
        out = torch.empty(acc.shape, dtype=torch.int8)
        elementwise.requant8(acc.numpy(), bias.numpy(), scale.numpy(), leaky, out.numpy())
        return out

    def requant16(self, acc: Tensor, bias: Tensor, scale: Tensor) -> Tensor:
        out = torch.empty(acc.shape, dtype=torch.int16)
        elementwise.requant16(acc.numpy(), bias.numpy(), scale.numpy(), out.numpy())
        return out

    def add(
        self, acc: Tensor, bias: Tensor, scale: Tensor, trunk: Tensor, scale8: Tensor
    ) -> Tensor:
        out = torch.empty(acc.shape, dtype=torch.int8)
        elementwise.add(
            acc.numpy(), bias.numpy(), scale.numpy(), trunk.numpy(), scale8.numpy(), out.numpy()
        )
        return out

    def quant8(self, t: Tensor, scale: Tensor) -> Tensor:
        out = torch.empty(t.shape, dtype=torch.int8)
        elementwise.quant8(t.numpy(), scale.numpy(), out.numpy())
        return out

    def split(self, t: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        hi, lo = torch.empty(t.shape, dtype=torch.int8), torch.empty(t.shape, dtype=torch.int8)
        elementwise.split(t.numpy(), scale.numpy(), hi.numpy(), lo.numpy())
        return hi, lo

    def depthwise(self, x: Tensor, w: Tensor, bias: Tensor, scale: Tensor) -> Tensor:
        out = torch.empty(x.shape, dtype=torch.int8)
        elementwise.depthwise(x.numpy(), w.numpy(), bias.numpy(), scale.numpy(), out.numpy())
        return out


class FusedBackend(Int8Backend):
    """CPU: products of our own; what follows them is done while their sums are in the cache."""

    name = "fused"

    def mm(self, x: Tensor, w: Tensor) -> Tensor:
        packed, out = Packed.of(w.numpy()), torch.empty((x.shape[0], w.shape[1]), dtype=torch.int32)
        kernels.shared(
            kernels.product, x.contiguous().numpy(), packed.words, packed.less, out.numpy()
        )
        return out

    def product8(self, x: Tensor, layer: ExactLinear, leaky: bool) -> Tensor:
        out = torch.empty((1, x.shape[0], layer.w.shape[1]), dtype=torch.int8)
        kernels.shared(
            kernels.product8,
            x.contiguous().numpy(),
            layer.packed.words,
            layer.lessened[:1],
            layer.scale.numpy()[:1],
            leaky,
            out.numpy(),
        )
        return out[0]

    def product8_each(self, x: Tensor, layer: ExactLinear) -> list[Tensor]:
        out = torch.empty((layer.rows, x.shape[0], layer.w.shape[1]), dtype=torch.int8)
        bias, scale = (
            np.broadcast_to(layer.lessened, (layer.rows, out.shape[2])),
            np.broadcast_to(layer.scale.numpy(), (layer.rows, out.shape[2])),
        )
        kernels.shared(
            kernels.product8,
            x.contiguous().numpy(),
            layer.packed.words,
            np.ascontiguousarray(bias),
            np.ascontiguousarray(scale),
            False,
            out.numpy(),
        )
        return list(out)

    def product16(self, x: Tensor, layer: ExactLinear, q: int) -> Tensor:
        out = torch.empty((x.shape[0], layer.w.shape[1]), dtype=torch.int16)
        bias, scale = layer.arrays(q)
        kernels.shared(
            kernels.product16, x.contiguous().numpy(), layer.packed.words, bias, scale, out.numpy()
        )
        return out

    def product_add(
        self, x: Tensor, layer: ExactLinear, q: int, trunk: Tensor, scale8: Tensor
    ) -> Tensor:
        out = torch.empty(trunk.shape, dtype=torch.int8)
        bias, scale = layer.arrays(q)
        kernels.shared(
            kernels.product_add,
            x.contiguous().numpy(),
            layer.packed.words,
            bias,
            scale,
            trunk.numpy(),
            scale8.numpy(),
            out.numpy(),
        )
        return out

    def wide16(self, t: Tensor, scale: Tensor, layer: ExactLinear, q: int) -> Tensor:
        out = torch.empty((t.shape[0], layer.w.shape[1]), dtype=torch.int16)
        bias, by = (a.numpy() for a in layer.row(q))
        kernels.shared(
            kernels.wide16,
            t.contiguous().numpy(),
            scale.numpy(),
            layer.packed.pairs,
            bias,
            by,
            out.numpy(),
        )
        return out


class Float32Backend(Stepwise):
    """Any device: integers carried in float32 (exact below 2^24) and plain torch operations."""

    name = "float32"

    def __init__(self, device: str | torch.device = "cpu"):
        self.device = torch.device(device)

    def mm(self, x: Tensor, w: Tensor) -> Tensor:
        with torch.autocast(
            self.device.type, enabled=False
        ):  # a caller's autocast would round the sums to 8 bits
            return (x.float() @ w.float()).to(torch.int32)

    @staticmethod
    def _scaled(acc: Tensor, bias: Tensor, scale: Tensor) -> Tensor:
        return (acc + bias).to(torch.float32) * scale

    def requant8(self, acc: Tensor, bias: Tensor, scale: Tensor, leaky: bool) -> Tensor:
        v = self._scaled(acc, bias, scale)
        if leaky:
            v = torch.where(v >= 0, v, v * SLOPE)
        return torch.round(v.clamp(-TOP8, TOP8)).to(torch.int8)

    def requant16(self, acc: Tensor, bias: Tensor, scale: Tensor) -> Tensor:
        return torch.round(self._scaled(acc, bias, scale).clamp(-TOP16, TOP16)).to(torch.int16)

    def add(
        self, acc: Tensor, bias: Tensor, scale: Tensor, trunk: Tensor, scale8: Tensor
    ) -> Tensor:
        s = trunk.to(torch.int32) + self.requant16(acc, bias, scale).to(torch.int32)
        trunk.copy_(s.clamp(-TOP16, TOP16))
        return self.quant8(trunk, scale8)

    def quant8(self, t: Tensor, scale: Tensor) -> Tensor:
        return torch.round((t.to(torch.float32) * scale).clamp(-TOP8, TOP8)).to(torch.int8)

    def split(self, t: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        v = torch.round((t.to(torch.float32) * scale).clamp(-WIDE, WIDE)).to(torch.int32)
        hi = (v + 64) >> 7
        return hi.to(torch.int8), (v - (hi << 7)).to(torch.int8)

    def depthwise(self, x: Tensor, w: Tensor, bias: Tensor, scale: Tensor) -> Tensor:
        n, h, ww, c = x.shape
        p = torch.nn.functional.pad(x.to(torch.int32), (0, 0, 1, 1, 1, 1))
        acc = torch.zeros((n, h, ww, c), dtype=torch.int32, device=x.device)
        k = w.to(torch.int32)
        for t in range(9):
            acc += p[:, t // 3 : t // 3 + h, t % 3 : t % 3 + ww] * k[t]
        return self.requant8(acc, bias, scale, False)


Backend = FusedBackend | Int8Backend | Float32Backend
