"""What the exact nets need of arrays: the few operations that a backend owns.

Nets are written once. ``fused`` computes on numpy arrays with compiled kernels, on the CPU
(:mod:`vqcodec.codec.nets.fused_backend`), and needs no torch. ``float32`` computes on tensors, on
any device that torch has (:mod:`vqcodec.codec.nets.float32_backend`). Both give the same integers;
:mod:`vqcodec.codec.nets.backend_choice` takes one that has passed its test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

import numpy as np

if TYPE_CHECKING:
    from .exact_layers import ExactLinear
    from .tiles import Rows


class ArrayLike(Protocol):
    """What numpy's arrays and torch's tensors have in common, as far as nets use it."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of each dimension."""

    def reshape(self, first: int, /, *others: int) -> Self:
        """The same values in another shape, with -1 for what is left."""

    def swapaxes(self, first: int, second: int, /) -> Self:
        """The same values with two dimensions exchanged."""

    def __getitem__(self, key: Any, /) -> Self: ...


Array = TypeVar("Array", bound=ArrayLike)  # what a backend computes on


class Backend(Protocol[Array]):
    """Layers of exact nets; M are positions, K channels before a layer and N behind it."""

    name: str
    device: str  # where the arrays are, as torch names it

    def array(self, values: np.ndarray) -> Array:
        """An array of the CPU as the backend holds it; it may share its memory."""

    def host(self, values: Array) -> np.ndarray:
        """The inverse of :meth:`array`."""

    def cat(self, parts: list[Array]) -> Array:
        """Arrays of the same positions as one, channels behind channels."""

    def product8(self, values: Array, layer: ExactLinear[Array], leaky: bool) -> Array:
        """values (M, K) int8 -> (M, N) int8."""

    def product8_each(self, values: Array, layer: ExactLinear[Array]) -> list[Array]:
        """One product, requantised by each row of the layer."""

    def product16(self, values: Array, layer: ExactLinear[Array], quality: int) -> Array:
        """values (M, K) int8 -> (M, N) int16."""

    def product_add(
        self, values: Array, layer: ExactLinear[Array], quality: int, trunk: Array, scale8: Array
    ) -> Array:
        """Add the requantised product of values (M, K) int8 to trunk (M, N) int16, and give the
        int8 copy under ``scale8``."""

    def wide16(self, values: Array, scale: Array, layer: ExactLinear[Array], quality: int) -> Array:
        """Product with an activation of 15 bits, values (M, K) int16 times scale -> (M, N)
        int16."""

    def quant8(self, values: Array, scale: Array) -> Array:
        """values (M, C) int16 times scale (C,) -> (M, C) int8."""

    def depthwise(
        self, values: Array, rows: Rows[Array], taps: Array, bias: Array, scale: Array
    ) -> Array:
        """Convolution of each channel by itself, with zeros where there are no rows: values (M, C)
        int8, taps (9, C) int8 -> (M, C) int8."""
