"""The analysis nets on the CPU, their products in exact integers: the same latents on every
processor, and no torch.

The net is that of :class:`vqcodec.encoding.nets.analysis.Analysis`; its matrices have int8 or 12
bits (:mod:`vqcodec.encoding.nets.row_products`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ...codec.nets.product import shared
from ...codec.nets.shape import NetShape
from ...codec.nets.tiles import Tiles
from ...compiled import njit
from .around_places import POSITIONS, around_places
from .depthwise import depthwise
from .layout import ANCHORS, SCALE
from .row_products import RowWeights

_TOP = 2047  # of weights that the file has in floats
Arrays = Mapping[str, np.ndarray]


class _Linear:
    """A product; of one that depends on the quality, with a gain and a bias for each."""

    def __init__(self, arrays: Arrays, name: str) -> None:
        weights = arrays[f"{name}.weight"]
        scale = arrays.get(f"{name}.weight{SCALE}")
        if scale is None:
            scale = np.maximum(np.abs(weights.astype(np.float32)).max(1), np.float32(1e-9)) / _TOP
            weights = np.rint(weights / scale[:, None]).astype(np.int16)
        self.weights = RowWeights(np.ascontiguousarray(weights.T))
        self.scale = scale.astype(np.float32)
        self.bias = arrays[f"{name}.bias"].astype(np.float32)
        self._by_quality = tuple(
            arrays[f"{name}.{part}"].astype(np.float64)
            for part in ("qgain", "qbias")
            if f"{name}.{part}" in arrays
        )

    def __call__(self, rows: np.ndarray, leaky: bool = False) -> np.ndarray:
        """rows (M, K) float32 -> (M, N)."""
        return self.weights.times(rows, self.scale, self.bias, leaky)

    def add(self, rows: np.ndarray, to: np.ndarray) -> None:
        """The product is added to an array."""
        self.weights.added(rows, self.scale, self.bias, to)

    def at(self, rows: np.ndarray, quality: float) -> np.ndarray:
        """The product at a quality."""
        gains, biases = self._by_quality
        place = quality / 63 * (ANCHORS - 1)
        weights = np.maximum(0.0, 1 - np.abs(place - np.arange(ANCHORS)))
        gain, bias = np.zeros(gains.shape[1]), np.zeros(gains.shape[1])
        for weight, some, others in zip(weights, gains, biases, strict=True):  # in this order
            gain += weight * some
            bias += weight * others
        gain = np.array([math.exp(g) for g in gain])
        scale = (self.scale * gain).astype(np.float32)
        return self.weights.times(rows, scale, ((self.bias + bias) * gain).astype(np.float32))


class _Block:
    """A residual block."""

    def __init__(self, arrays: Arrays, name: str) -> None:
        self.w1, self.w2, self.w3, self.w4 = (_Linear(arrays, f"{name}.w{i}") for i in range(1, 5))
        taps = arrays[f"{name}.dw.weight"].astype(np.float32)
        scale = arrays.get(f"{name}.dw.weight{SCALE}")
        self.taps = np.ascontiguousarray((taps if scale is None else taps * scale[:, None]).T)
        self.bias = arrays[f"{name}.dw.bias"].astype(np.float32)

    def __call__(self, trunk: np.ndarray, near: np.ndarray) -> None:
        """trunk (M, C) is changed in place."""
        hidden = self.w1(trunk, True)
        mixed = np.empty_like(hidden)
        shared(depthwise, hidden, near, self.taps, self.bias, mixed)
        self.w2.add(mixed, trunk)
        self.w4.add(self.w3(trunk, True), trunk)


class IntegerAnalysis:
    """A net of the ``analysis.`` tensors of one frame type, by their names behind that."""

    def __init__(self, arrays: Arrays, shape: NetShape) -> None:
        self.inter = shape.inter
        self.first, self.down, self.last, self.hyper = (
            _Linear(arrays, name) for name in ("first", "down", "last", "hyper")
        )
        self.blocks8 = [_Block(arrays, f"blocks8.{i}") for i in range(shape.enc_blocks)]
        self.blocks16 = [_Block(arrays, f"blocks16.{i}") for i in range(shape.enc16_blocks)]
        self.hyper_block = _Block(arrays, "hyper_block")

    def rows(
        self, picture: np.ndarray, pred: np.ndarray | None, quality: float, tiles: Tiles[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """As :meth:`vqcodec.encoding.nets.analysis.Analysis.rows`, on float32 arrays."""
        if self.inter:
            assert pred is not None
            picture = np.concatenate([(picture - pred) * np.float32(8), pred], -1)
        trunk = self.first.at(picture, quality)
        for block in self.blocks8:
            block(trunk, tiles.at8.near)
        trunk = self.down(trunk.reshape(len(tiles.at16.at), -1))
        for block in self.blocks16:
            block(trunk, tiles.at16.near)
        latent = self.last.at(trunk, quality)
        places = len(tiles.hyper)
        whole = np.zeros((places * POSITIONS, latent.shape[1]), np.float32)
        whole[tiles.of_hyper] = _compressed(latent)
        self.hyper_block(whole, around_places(tiles, tiles.of_hyper))
        return latent, self.hyper(whole.reshape(places, -1))


@njit
def _compressed(y: np.ndarray) -> np.ndarray:
    """asinh(2 y) of (M, N) float32, by operations that every processor rounds alike."""
    out = np.empty(y.shape, np.float32)
    for m in range(y.shape[0]):
        for c in range(y.shape[1]):
            v = abs(2 * float(y[m, c]))
            mantissa, exponent = math.frexp(v + math.sqrt(v * v + 1))
            s = (mantissa - 0.70710678118654752) / (mantissa + 0.70710678118654752)
            t = s * s
            series = 1 + t * (1 / 3 + t * (1 / 5 + t * (1 / 7 + t * (1 / 9 + t / 11))))
            value = 2 * s * series + (exponent - 0.5) * 0.69314718055994531
            out[m, c] = value if y[m, c] >= 0 else -value
    return out
