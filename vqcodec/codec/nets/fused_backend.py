"""Exact layers on the CPU: compiled products with what follows them in their store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import elementwise
from . import product as kernels
from .depthwise import depthwise

if TYPE_CHECKING:
    from .exact_layers import ExactLinear
    from .tiles import Rows

    Linear = ExactLinear[np.ndarray]


class FusedBackend:
    """The operations of :class:`vqcodec.codec.nets.backend.Backend` on numpy arrays."""

    name = "fused"
    device = "cpu"

    def array(self, values: np.ndarray) -> np.ndarray:
        """The array itself, copied where it is not contiguous or read-only: kernels are compiled
        for no other."""
        return np.require(values, requirements=("C", "W"))

    def host(self, values: np.ndarray) -> np.ndarray:
        """The array itself."""
        return values

    def cat(self, parts: list[np.ndarray]) -> np.ndarray:
        """Arrays of the same positions as one, channels behind channels."""
        return np.concatenate(parts, -1)

    def product8(self, values: np.ndarray, layer: Linear, leaky: bool) -> np.ndarray:
        """Product and rounding to 8 bits in one kernel."""
        out = np.empty((1, len(values), layer.weights.shape[1]), np.int8)
        bias, scale = layer.lessened[:1], layer.scale[:1]
        words = layer.packed.words
        kernels.shared(kernels.product8, self.array(values), words, bias, scale, leaky, out)
        only: np.ndarray = out[0]
        return only

    def product8_each(self, values: np.ndarray, layer: Linear) -> list[np.ndarray]:
        """One product, and each rounding to 8 bits, in one kernel."""
        out = np.empty((layer.rows, len(values), layer.weights.shape[1]), np.int8)
        bias, scale = (
            self.array(np.broadcast_to(a, (layer.rows, out.shape[2])))
            for a in (layer.lessened, layer.scale)
        )
        words = layer.packed.words
        kernels.shared(kernels.product8, self.array(values), words, bias, scale, False, out)
        return list(out)

    def product16(self, values: np.ndarray, layer: Linear, quality: int) -> np.ndarray:
        """Product and rounding to 16 bits in one kernel."""
        out = np.empty((len(values), layer.weights.shape[1]), np.int16)
        kernels.shared(
            kernels.product16,
            self.array(values),
            layer.packed.words,
            *layer.lessened_row(quality),
            out,
        )
        return out

    def product_add(
        self, values: np.ndarray, layer: Linear, quality: int, trunk: np.ndarray, scale8: np.ndarray
    ) -> np.ndarray:
        """Product, sum and both roundings in one kernel; the trunk is changed in place."""
        out = np.empty(trunk.shape, np.int8)
        row = layer.lessened_row(quality)
        kernels.shared(
            kernels.product_add, self.array(values), layer.packed.words, *row, trunk, scale8, out
        )
        return out

    def wide16(
        self, values: np.ndarray, scale: np.ndarray, layer: Linear, quality: int
    ) -> np.ndarray:
        """Product with 15 bits in one kernel, by pairs of int16."""
        out = np.empty((len(values), layer.weights.shape[1]), np.int16)
        kernels.shared(
            kernels.wide16, self.array(values), scale, layer.packed.pairs, *layer.row(quality), out
        )
        return out

    def quant8(self, values: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """values (M, C) int16 times scale (C,) -> (M, C) int8."""
        out = np.empty(values.shape, np.int8)
        elementwise.quant8(self.array(values), scale, out)
        return out

    def depthwise(
        self,
        values: np.ndarray,
        rows: Rows[np.ndarray],
        taps: np.ndarray,
        bias: np.ndarray,
        scale: np.ndarray,
    ) -> np.ndarray:
        """Convolution and rounding in one kernel."""
        out = np.empty(values.shape, np.int8)
        kernels.shared(depthwise, self.array(values), rows.near, taps, bias, scale, out)
        return out
