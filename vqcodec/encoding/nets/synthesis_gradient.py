"""The gradient of an error behind the exact synthesis by the latent before it.

Forward the integers of the decoder run, and what they round to 8 bits is kept. Backward each
rounding passes the gradient on as it is, but where it clipped (straight-through: Bengio et al.
2013). Products are those of :mod:`vqcodec.encoding.nets.row_products`, so a gradient is the same on
every processor.
"""

from __future__ import annotations

import copy
from functools import cached_property

import numpy as np

from ...codec.nets.exact_layers import ExactBlock, ExactLinear
from ...codec.nets.fused_backend import FusedBackend
from ...codec.nets.product import shared
from ...codec.nets.synthesis import Synthesis
from ...codec.nets.tiles import Rows, Tiles
from .depthwise import back_depthwise
from .row_products import RowWeights

Layer = ExactLinear[np.ndarray]


class _Keeping(FusedBackend):
    """Keeps all activations of 8 bits, in their order."""

    def __init__(self) -> None:
        self.seen: list[np.ndarray] = []

    def _kept(self, values: np.ndarray) -> np.ndarray:
        self.seen.append(values)
        return values

    def product8(self, values: np.ndarray, layer: Layer, leaky: bool) -> np.ndarray:
        return self._kept(super().product8(values, layer, leaky))

    def product_add(
        self, values: np.ndarray, layer: Layer, quality: int, trunk: np.ndarray, scale8: np.ndarray
    ) -> np.ndarray:
        return self._kept(super().product_add(values, layer, quality, trunk, scale8))

    def quant8(self, values: np.ndarray, scale: np.ndarray) -> np.ndarray:
        return self._kept(super().quant8(values, scale))

    def depthwise(
        self,
        values: np.ndarray,
        rows: Rows[np.ndarray],
        taps: np.ndarray,
        bias: np.ndarray,
        scale: np.ndarray,
    ) -> np.ndarray:
        return self._kept(super().depthwise(values, rows, taps, bias, scale))


class _Layer:
    """A product, backward."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        # a row of the gradient is multiplied with the scales of what is behind the product: these
        # are part of the row that is rounded
        self.weights = RowWeights(np.ascontiguousarray(layer.weights.T))
        self.ones = np.ones(layer.weights.shape[0], np.float32)

    def scaled(self, gradient: np.ndarray, quality: int = 0) -> np.ndarray:
        """The gradient by the sums, from that by what they are scaled to."""
        return gradient * self.layer.row(quality)[1]


class _Block:
    """A residual block, backward."""

    def __init__(self, block: ExactBlock[np.ndarray]) -> None:
        self.w1, self.w2, self.w3, self.w4 = map(_Layer, (block.w1, block.w2, block.w3, block.w4))
        taps = block.dw.astype(np.float32) * block.dw_scale
        self.turned = np.ascontiguousarray(taps[::-1])
        self.s_in, self.s_mid = block.s_in, block.s_mid

    def back(
        self, gradient: np.ndarray, x_in: np.ndarray, seen: list[np.ndarray], near: np.ndarray
    ) -> None:
        """Make of the gradient by the trunk behind the block that by the trunk before it, in place.

        x_in: the copy of 8 bits that the block reads; seen: what it keeps, but for its last.
        """
        first, spread, middle, wide = seen
        by_wide = self.w4.weights.back(self.w4.scaled(gradient), self.w4.ones, wide, True)
        self.w3.weights.back_added(self.w3.scaled(by_wide), self.s_mid, middle, gradient)
        by_spread = self.w2.weights.back(self.w2.scaled(gradient), self.w2.ones, spread, False)
        by_first = np.empty_like(by_spread)
        shared(back_depthwise, by_spread, near, self.turned, first, by_first)
        self.w1.weights.back_added(self.w1.scaled(by_first), self.s_in, x_in, gradient)


class SynthesisGradient:
    """A synthesis that is run forward, then backward."""

    def __init__(self, net: Synthesis[np.ndarray]) -> None:
        self.net = net

    @cached_property
    def _blocks8(self) -> list[_Block]:
        return [_Block(block) for block in self.net.blocks8]

    @cached_property
    def _blocks16(self) -> list[_Block]:
        return [_Block(block) for block in self.net.blocks16]

    @cached_property
    def _wide(self) -> list[_Layer]:
        return [_Layer(layer) for layer in (self.net.first, self.net.up, self.net.last)]

    def forward(
        self, latent: np.ndarray, pred8: np.ndarray | None, quality: int, tiles: Tiles[np.ndarray]
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """The residual (M, 96) int16 of rows of the tiles, and what :meth:`backward` wants."""
        keeping, twin = _Keeping(), copy.copy(self.net)
        twin.backend = keeping
        return twin.layers(latent, pred8, quality, tiles), keeping.seen

    def backward(
        self, gradient: np.ndarray, seen: list[np.ndarray], quality: int, tiles: Tiles[np.ndarray]
    ) -> np.ndarray:
        """The gradient by the latent, (M, channels) float32, of that by the residual, (M, 96)
        float32."""
        net, count = self.net, 1 + 5 * len(self.net.blocks16)
        first, up, last = self._wide
        gradient = _back_wide(last, gradient, 0, net.s_last)
        _back_blocks(self._blocks8, gradient, seen[count:], tiles.at8)
        gradient = _back_wide(up, gradient.reshape(len(tiles.at16.at), -1), 0, net.s_up)
        _back_blocks(self._blocks16, gradient, seen[:count], tiles.at16)
        return _back_wide(first, gradient, quality, net.s_y[quality])


def _back_blocks(
    blocks: list[_Block], gradient: np.ndarray, seen: list[np.ndarray], rows: Rows[np.ndarray]
) -> None:
    """Blocks backward, in place; the first of ``seen`` is what the first of them reads."""
    for k in reversed(range(len(blocks))):
        blocks[k].back(gradient, seen[5 * k], seen[5 * k + 1 : 5 * k + 5], rows.near)


def _back_wide(layer: _Layer, gradient: np.ndarray, quality: int, scale: np.ndarray) -> np.ndarray:
    """Through a product of 15 bits."""
    none = np.zeros(scale.shape, np.float32)
    return layer.weights.times(layer.scaled(gradient, quality), np.ascontiguousarray(scale), none)
