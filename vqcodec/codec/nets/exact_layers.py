"""Exact networks: integer layers whose result is the same on every device and library version.

Activations are int8 matrices (M, C) of M positions, the residual trunk is int16. A 1x1 convolution
is an int8 product with an int32 accumulator, ``acc = x @ w + bias``. It is requantised by one IEEE
754 binary32 multiplication, ``rint(float32(acc) * scale[c])``, ties to even, and clamped. Nothing
is fused and no transcendental function is used. The accumulator of an int8 product stays below
2^24 for the worst input, which is checked when a layer is loaded: so integers carried in float32
are exact too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ...errors import WeightsError
from .product import Packed
from .ranges import EXACT

if TYPE_CHECKING:
    from .backends import Backend


def check_exact(name: str, w: Tensor, bias: Tensor, scale: Tensor) -> None:
    """WeightsError unless the layer is exact for the worst input: w (K, N) int8, bias (.., N)
    int32, scale (.., N) float32.

    With activations of -128..127 no partial sum leaves 128 * sum(abs(w)) + abs(bias), which must
    stay below EXACT. A wide product
    (activations up to 16000 = 125 * 128) then stays below 125 * EXACT, and with its bias below 126
    * EXACT < 2^31. What follows
    is bounded by its clamps: 16-bit results, and trunks of 16 bits to which one is added (65534 at
    most before the clamp).
    """
    n = w.shape[-1]
    if (
        (w.dtype, bias.dtype, scale.dtype) != (torch.int8, torch.int32, torch.float32)
        or w.ndim != 2
        or bias.shape[-1] != n
        or scale.shape != bias.shape
    ):
        raise WeightsError(f"layer {name}: tensors of types or shapes that don't fit")
    worst = int((w.to(torch.int64).abs().sum(0) * 128 + bias.to(torch.int64).abs()).max())
    if worst >= EXACT:
        raise WeightsError(
            f"layer {name}: an accumulator can reach {worst}, above the exact limit {EXACT}"
        )


@dataclass
class ExactLinear:
    """int8 weights (K, N); bias (1 or 64, N) int32 and scale (1 or 64, N) float32, the rows chosen
    by the quality index."""

    w: Tensor
    bias: Tensor
    scale: Tensor

    @classmethod
    def load(cls, d: dict[str, Tensor], name: str, device: torch.device) -> ExactLinear:
        w, bias, scale = d[name + ".w"], d[name + ".bias"], d[name + ".scale"]
        check_exact(name, w, bias, scale)
        return cls(w.to(device), bias.to(device), scale.to(device))

    @property
    def rows(self) -> int:
        return max(self.bias.shape[0], self.scale.shape[0])

    def row(self, q: int) -> tuple[Tensor, Tensor]:
        k = q if self.bias.shape[0] > 1 else 0
        return self.bias[k], self.scale[q if self.scale.shape[0] > 1 else 0]

    @cached_property
    def packed(self) -> Packed:
        """The weights as the fused products read them."""
        return Packed.of(self.w.numpy())

    @cached_property
    def lessened(self) -> np.ndarray:
        """The bias of those products."""
        bias: np.ndarray = np.subtract(self.bias.numpy(), self.packed.less)
        return bias

    def arrays(self, q: int) -> tuple[np.ndarray, np.ndarray]:
        """The row of ``lessened`` and of the scale."""
        return self.lessened[q if len(self.lessened) > 1 else 0], self.row(q)[1].numpy()


class ExactBlock:
    """Integer form of :class:`vqcodec.encoding.nets.layers.Block`."""

    def __init__(self, d: dict[str, Tensor], name: str, device: torch.device):
        self.w1, self.w2, self.w3, self.w4 = (
            ExactLinear.load(d, f"{name}.w{i}", device) for i in range(1, 5)
        )
        dw, dw_bias, dw_scale = (d[f"{name}.dw.{k}"] for k in ("w", "bias", "scale"))
        check_exact(f"{name}.dw", dw, dw_bias, dw_scale)
        self.dw, self.dw_bias, self.dw_scale = (
            dw.to(device),
            dw_bias.to(device),
            dw_scale.to(device),
        )
        self.s_in, self.s_mid = d[name + ".s_in"].to(device), d[name + ".s_mid"].to(device)

    def __call__(
        self, b: Backend, trunk: Tensor, x8: Tensor, shape: tuple[int, int, int], s_next: Tensor
    ) -> Tensor:
        """trunk (M, C) int16 is updated in place; x8 is its int8 copy under ``s_in``; returns the
        copy under ``s_next``."""
        u = b.product8(x8, self.w1, True)
        u = b.depthwise(u.reshape(*shape, -1), self.dw, self.dw_bias, self.dw_scale).reshape(
            u.shape
        )
        x8 = b.product_add(u, self.w2, 0, trunk, self.s_mid)
        u = b.product8(x8, self.w3, True)
        return b.product_add(u, self.w4, 0, trunk, s_next)


def run_blocks(
    b: Backend,
    blocks: list[ExactBlock],
    trunk: Tensor,
    x8: Tensor,
    shape: tuple[int, int, int],
    s_end: Tensor,
) -> Tensor:
    """Blocks one after the other; returns the int8 copy of the trunk under ``s_end``."""
    for block, following in zip(blocks, [*blocks[1:], None], strict=True):
        x8 = block(b, trunk, x8, shape, following.s_in if following else s_end)
    return x8
