"""Exact layers on the CPU: compiled products with what follows them in their store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import elementwise
from . import product as kernels

if TYPE_CHECKING:
    from .exact_layers import ExactLinear

    Linear = ExactLinear[np.ndarray]


class FusedBackend:
    """The operations of :class:`vqcodec.codec.nets.backend.Backend` on numpy arrays."""

    name = "fused"
    device = "cpu"

    def array(self, a: np.ndarray) -> np.ndarray:
        # as the kernels were compiled for: arrays of a file may be read-only, another type to numba
        return np.require(a, requirements=("C", "W"))

    def host(self, a: np.ndarray) -> np.ndarray:
        return a

    def cat(self, parts: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(parts, -1)

    def product8(self, x: np.ndarray, layer: Linear, leaky: bool) -> np.ndarray:
        out = np.empty((1, len(x), layer.w.shape[1]), np.int8)
        bias, scale = layer.lessened[:1], layer.scale[:1]
        words = layer.packed.words
        kernels.shared(kernels.product8, self.array(x), words, bias, scale, leaky, out)
        only: np.ndarray = out[0]
        return only

    def product8_each(self, x: np.ndarray, layer: Linear) -> list[np.ndarray]:
        out = np.empty((layer.rows, len(x), layer.w.shape[1]), np.int8)
        bias, scale = (
            np.ascontiguousarray(np.broadcast_to(a, (layer.rows, out.shape[2])))
            for a in (layer.lessened, layer.scale)
        )
        words = layer.packed.words
        kernels.shared(kernels.product8, self.array(x), words, bias, scale, False, out)
        return list(out)

    def product16(self, x: np.ndarray, layer: Linear, q: int) -> np.ndarray:
        out = np.empty((len(x), layer.w.shape[1]), np.int16)
        kernels.shared(
            kernels.product16, self.array(x), layer.packed.words, *layer.lessened_row(q), out
        )
        return out

    def product_add(
        self, x: np.ndarray, layer: Linear, q: int, trunk: np.ndarray, scale8: np.ndarray
    ) -> np.ndarray:
        out = np.empty(trunk.shape, np.int8)
        row = layer.lessened_row(q)
        kernels.shared(
            kernels.product_add, self.array(x), layer.packed.words, *row, trunk, scale8, out
        )
        return out

    def wide16(self, t: np.ndarray, scale: np.ndarray, layer: Linear, q: int) -> np.ndarray:
        out = np.empty((len(t), layer.w.shape[1]), np.int16)
        kernels.shared(kernels.wide16, self.array(t), scale, layer.packed.pairs, *layer.row(q), out)
        return out

    def quant8(self, t: np.ndarray, scale: np.ndarray) -> np.ndarray:
        out = np.empty(t.shape, np.int8)
        elementwise.quant8(self.array(t), scale, out)
        return out

    def depthwise(
        self, x: np.ndarray, w: np.ndarray, bias: np.ndarray, scale: np.ndarray
    ) -> np.ndarray:
        out = np.empty(x.shape, np.int8)
        elementwise.depthwise(self.array(x), w, bias, scale, out)
        return out
