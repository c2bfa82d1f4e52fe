"""Whether a backend computes exactly, on halves and worst cases, before it may be used.

Some processors and libraries saturate in int8 products.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .backend import Array, Backend
from .exact_layers import ExactLinear
from .ranges import SLOPE, TOP8, TOP16, WIDE
from .tiles import Rows


def _clipped(values: np.ndarray, top: int) -> np.ndarray:
    return np.asarray(np.rint(np.clip(values, -top, top)))


class _Layer(NamedTuple):
    """A layer of two rows, and what it is given."""

    values: np.ndarray  # (M, K) int8
    weights: np.ndarray  # (K, N) int8
    bias: np.ndarray  # (2, N) int32
    scale: np.ndarray  # (2, N) float32
    scale8: np.ndarray  # (N,) float32

    def scaled(self, acc: np.ndarray, row: int) -> np.ndarray:
        """Its product, before it is rounded."""
        result: np.ndarray = (acc + self.bias[row]).astype(np.float32) * self.scale[row]
        return result


def self_test(backend: Backend[Array]) -> bool:
    """True when the backend computes worst-case and a few pseudo-random layers exactly, and rounds
    as it must."""
    rng = np.random.default_rng(1)
    ext = np.array([-127, 127], np.int8)
    worst = [
        (ext[rng.integers(0, 2, (33, 256))], ext[rng.integers(0, 2, (256, 64))]),
        (np.full((17, 512), 127, np.int8), np.full((512, 64), 127, np.int8)),
        (_bytes(rng, 40, 96), _bytes(rng, 96, 112)),
    ]
    return (
        all(_same(backend, rng, _random(rng, x, w)) for x, w in worst)
        and _same(backend, rng, _halves(rng))
        and _convolves(backend, rng)
    )


def _bytes(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.integers(-127, 128, shape).astype(np.int8)


def _random(rng: np.random.Generator, values: np.ndarray, weights: np.ndarray) -> _Layer:
    columns = weights.shape[1]
    bias = rng.integers(-9999, 9999, columns).astype(np.int32)
    scale = np.asarray(rng.random(columns) * 1e-4 + 1e-5, np.float32)
    rows = np.stack([bias, -bias]), np.stack([scale, scale * np.float32(3)])
    return _Layer(values, weights, *rows, np.full(columns, 1 / 256, np.float32))


def _halves(rng: np.random.Generator) -> _Layer:
    """Powers of two as scales: half of all results lie between two integers, some beyond the
    range."""
    scale = (2.0 ** rng.integers(-3, 8, (2, 64))).astype(np.float32)
    bias = rng.integers(-99, 100, (2, 64)).astype(np.int32)
    values, weights = rng.integers(-15, 16, (33, 8)), rng.integers(-15, 16, (8, 64))
    scale8 = (2.0 ** rng.integers(-9, -5, 64)).astype(np.float32)
    return _Layer(values.astype(np.int8), weights.astype(np.int8), bias, scale, scale8)


def _same(backend: Backend[Array], rng: np.random.Generator, given: _Layer) -> bool:
    """Whether each kind of layer gives what it must."""
    values, weights, _, _, scale8 = given
    (rows, inner), columns = values.shape, weights.shape[1]
    layer = ExactLinear(*(backend.array(a) for a in (weights, given.bias, given.scale)))
    trunk = rng.integers(-TOP16, TOP16 + 1, (rows, columns)).astype(np.int16)
    wide = rng.choice(np.array([-TOP16, TOP16, 999, 998], np.int16), (rows, inner))
    by = np.full(inner, 1 / 4, np.float32)
    acc = values.astype(np.int64) @ weights.astype(np.int64)
    plain, other = (given.scaled(acc, q) for q in (0, 1))
    leaky = np.where(plain >= 0, plain, plain * np.float32(SLOPE))
    total = np.clip(trunk + _clipped(other, TOP16), -TOP16, TOP16)
    eights = total.astype(np.float32) * scale8
    products = _clipped(wide * by, WIDE).astype(np.int64) @ weights
    xs, summed = backend.array(values), backend.array(trunk.copy())
    both = backend.product8_each(xs, layer)
    pairs = [
        (backend.product8(xs, layer, True), _clipped(leaky, TOP8)),
        (backend.product8(xs, layer, False), _clipped(plain, TOP8)),
        (both[0], _clipped(plain, TOP8)),
        (both[1], _clipped(other, TOP8)),
        (backend.product16(xs, layer, 1), _clipped(other, TOP16)),
        (backend.product_add(xs, layer, 1, summed, backend.array(scale8)), _clipped(eights, TOP8)),
        (summed, total),
        (backend.quant8(summed, backend.array(scale8)), _clipped(eights, TOP8)),
        (
            backend.wide16(backend.array(wide), backend.array(by), layer, 0),
            _clipped(given.scaled(products, 0), TOP16),
        ),
    ]
    return all(np.array_equal(backend.host(got), want) for got, want in pairs)


def _convolves(backend: Backend[Array], rng: np.random.Generator) -> bool:
    """The depthwise convolution, half of whose results lie between two integers."""
    image, taps = _bytes(rng, 1, 5, 6, 64), _bytes(rng, 9, 64)
    bias = rng.integers(-99, 100, 64).astype(np.int32)
    scale = (2.0 ** rng.integers(-9, -5, 64)).astype(np.float32)
    around = np.pad(image.astype(np.int64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    shifted = (around[:, k // 3 : k // 3 + 5, k % 3 : k % 3 + 6] for k in range(9))
    total = np.sum([a * tap for a, tap in zip(shifted, taps, strict=True)], axis=0)
    rows = Rows.of(np.arange(30), (1, 5, 6), backend)
    got = backend.depthwise(
        backend.array(image[0].reshape(30, 64)), rows, *map(backend.array, (taps, bias, scale))
    )
    want = _clipped((total + bias).astype(np.float32) * scale, TOP8)
    return np.array_equal(backend.host(got), want.reshape(30, 64))
