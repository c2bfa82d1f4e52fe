"""Exact networks: integer layers whose result is the same on every device and library version.

Activations are int8 matrices (M, C) of M positions, the residual trunk is int16. A 1x1 convolution
is an int8 product with an int32 accumulator, ``acc = values @ weights + bias``. It is requantised
by one IEEE 754 binary32 multiplication, ``rint(float32(acc) * scale[c])``, ties to even, and
clamped. Nothing is fused and no transcendental function is used. The accumulator of an int8 product
stays below 2^24 for the worst input, which is checked when a layer is loaded: so integers carried
in float32 are exact too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Generic

import numpy as np

from ...errors import WeightsError
from .backend import Array, Backend
from .product import Packed
from .ranges import EXACT
from .tiles import Rows


def check_exact(name: str, weights: np.ndarray, bias: np.ndarray, scale: np.ndarray) -> None:
    """WeightsError unless the layer is exact for the worst input: weights (K, N) int8, bias
    (.., N) int32, scale (.., N) float32.

    With activations of -128..127 no partial sum leaves 128 * sum(abs(weights)) + abs(bias), which
    must stay below EXACT. A wide product (activations up to 16000 = 125 * 128) then stays below
    125 * EXACT, and with its bias below 126 * EXACT < 2^31. What follows is bounded by its clamps:
    16-bit results, and trunks of 16 bits to which one is added (65534 at most before the clamp).
    """
    columns = weights.shape[-1]
    if (
        [a.dtype.str[1:] for a in (weights, bias, scale)] != ["i1", "i4", "f4"]
        or weights.ndim != 2
        or bias.shape[-1] != columns
        or scale.shape != bias.shape
    ):
        raise WeightsError(f"layer {name}: tensors of types or shapes that don't fit")
    total = np.abs(weights, dtype=np.int16).sum(0, dtype=np.int64)
    worst = int((total * 128 + np.abs(bias.astype(np.int64))).max())
    if worst >= EXACT:
        raise WeightsError(
            f"layer {name}: an accumulator can reach {worst}, above the exact limit {EXACT}"
        )


@dataclass
class ExactLinear(Generic[Array]):
    """int8 weights (K, N); bias (1 or 64, N) int32 and scale (1 or 64, N) float32, the rows chosen
    by the quality index."""

    weights: Array
    bias: Array
    scale: Array

    @classmethod
    def load(
        cls, arrays: Mapping[str, np.ndarray], name: str, backend: Backend[Array]
    ) -> ExactLinear[Array]:
        """A layer of the arrays ``name.w``, ``name.bias`` and ``name.scale``.

        Raises:
            WeightsError: some input would leave the exact range (:func:`check_exact`).
        """
        weights, bias, scale = arrays[name + ".w"], arrays[name + ".bias"], arrays[name + ".scale"]
        check_exact(name, weights, bias, scale)
        return cls(backend.array(weights), backend.array(bias), backend.array(scale))

    @property
    def rows(self) -> int:
        """Rows of bias and scale: 1, or one for each quality index."""
        return max(self.bias.shape[0], self.scale.shape[0])

    def row(self, quality: int) -> tuple[Array, Array]:
        """Bias and scale (N,) at a quality index."""
        row = quality if self.bias.shape[0] > 1 else 0
        return self.bias[row], self.scale[quality if self.scale.shape[0] > 1 else 0]

    @cached_property
    def packed(self) -> Packed:
        """The weights as the fused products read them."""
        return Packed(np.asarray(self.weights))

    @cached_property
    def lessened(self) -> np.ndarray:
        """The bias of those products."""
        bias: np.ndarray = np.asarray(self.bias) - self.packed.less
        return bias

    def lessened_row(self, quality: int) -> tuple[np.ndarray, np.ndarray]:
        """The row of ``lessened`` and of the scale."""
        return self.lessened[quality if len(self.lessened) > 1 else 0], np.asarray(
            self.row(quality)[1]
        )


class ExactBlock(Generic[Array]):
    """Integer form of :class:`vqcodec.encoding.nets.layers.Block`."""

    def __init__(self, arrays: Mapping[str, np.ndarray], name: str, backend: Backend[Array]):
        self.w1, self.w2, self.w3, self.w4 = (
            ExactLinear.load(arrays, f"{name}.w{i}", backend) for i in range(1, 5)
        )
        dw, dw_bias, dw_scale = (arrays[f"{name}.dw.{k}"] for k in ("w", "bias", "scale"))
        check_exact(f"{name}.dw", dw, dw_bias, dw_scale)
        self.dw, self.dw_bias, self.dw_scale = (backend.array(a) for a in (dw, dw_bias, dw_scale))
        self.s_in, self.s_mid = (backend.array(arrays[f"{name}.{k}"]) for k in ("s_in", "s_mid"))

    def __call__(
        self,
        backend: Backend[Array],
        trunk: Array,
        x8: Array,
        rows: Rows[Array],
        s_next: Array,
    ) -> Array:
        """trunk (M, C) int16 is updated in place; x8 is its int8 copy under ``s_in``; returns the
        copy under ``s_next``."""
        hidden = backend.product8(x8, self.w1, True)
        hidden = backend.depthwise(hidden, rows, self.dw, self.dw_bias, self.dw_scale)
        x8 = backend.product_add(hidden, self.w2, 0, trunk, self.s_mid)
        hidden = backend.product8(x8, self.w3, True)
        return backend.product_add(hidden, self.w4, 0, trunk, s_next)


def run_blocks(
    backend: Backend[Array],
    blocks: list[ExactBlock[Array]],
    trunk: Array,
    x8: Array,
    rows: Rows[Array],
    s_end: Array,
) -> Array:
    """Blocks one after the other; returns the int8 copy of the trunk under ``s_end``."""
    for block, following in zip(blocks, [*blocks[1:], None], strict=True):
        x8 = block(backend, trunk, x8, rows, following.s_in if following else s_end)
    return x8
