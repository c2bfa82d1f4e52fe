"""Whether a backend computes exactly, on halves and worst cases, before it may be used.

Some processors and libraries saturate in int8 products.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from .backends import Backend
from .exact_layers import ExactLinear
from .ranges import SLOPE, TOP8, TOP16, WIDE


def _sender(b: Backend) -> Callable[[np.ndarray], Tensor]:
    """A function that puts arrays on the backend's device."""

    def to(array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(b.device)

    return to


def _clipped(values: np.ndarray, top: int) -> np.ndarray:
    return np.asarray(np.rint(np.clip(values, -top, top)))


def self_test(b: Backend) -> bool:
    """True when the backend computes the worst-case and a few pseudo-random products exactly, and
    rounds as it must."""
    rng = np.random.default_rng(1)
    to = _sender(b)
    ext = np.array([-127, 127], np.int8)
    cases = [
        (ext[rng.integers(0, 2, (33, 256))], ext[rng.integers(0, 2, (256, 64))]),
        (np.full((17, 512), 127, np.int8), np.full((512, 64), 127, np.int8)),
    ]
    cases.append(
        (
            rng.integers(-127, 128, (40, 96)).astype(np.int8),
            rng.integers(-127, 128, (96, 112)).astype(np.int8),
        )
    )
    for x, w in cases:
        want = x.astype(np.int64) @ w.astype(np.int64)
        got = b.mm(torch.from_numpy(x).to(b.device), torch.from_numpy(w).to(b.device)).cpu().numpy()
        if not np.array_equal(want, got):
            return False
        n = w.shape[1]
        bias, scale = (
            rng.integers(-9999, 9999, n).astype(np.int32),
            (rng.random(n) * 1e-4 + 1e-5).astype(np.float32),
        )
        v = (want.astype(np.int32) + bias).astype(np.float32) * scale
        v = np.where(v >= 0, v, v * np.float32(SLOPE))
        ref = np.rint(np.clip(v, -TOP8, TOP8)).astype(np.int8)
        if not np.array_equal(
            ref, b.requant8(to(want.astype(np.int32)), to(bias), to(scale), True).cpu().numpy()
        ):
            return False
        if not _layers(b, rng, x, w, bias, scale):
            return False
    return _rounds(b, rng)


def _layers(
    b: Backend,
    rng: np.random.Generator,
    x: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray,
    scale: np.ndarray,
) -> bool:
    """Whole layers: a product with what follows it."""
    to = _sender(b)
    layer = ExactLinear(to(w), to(np.stack([bias, -bias])), to(np.stack([scale, scale * 3])))
    k, n = w.shape
    trunk, s8, given = (
        rng.integers(-32767, 32768, (len(x), n)).astype(np.int16),
        np.full(n, 1 / 256, np.float32),
        np.full(k, 1 / 4, np.float32),
    )
    wide = rng.choice(np.array([-32767, 32767, 999], np.int16), (len(x), k))
    acc = x.astype(np.int64) @ w

    def scaled(q: int, acc: np.ndarray) -> np.ndarray:
        shifted = (acc + (-bias if q else bias)).astype(np.float32)
        result: np.ndarray = np.multiply(shifted, scale * np.float32(3 if q else 1))
        return result

    v0 = scaled(0, acc)
    total = np.clip(trunk + _clipped(scaled(1, acc), TOP16), -TOP16, TOP16)
    summed = to(trunk.copy())
    both = b.product8_each(to(x), layer)
    pairs = [
        (
            b.product8(to(x), layer, True),
            _clipped(np.where(v0 >= 0, v0, v0 * np.float32(SLOPE)), TOP8),
        ),
        *((both[q], _clipped(scaled(q, acc), TOP8)) for q in (0, 1)),
        (b.product16(to(x), layer, 1), _clipped(scaled(1, acc), TOP16)),
        (
            b.product_add(to(x), layer, 1, summed, to(s8)),
            _clipped(total.astype(np.float32) * s8, TOP8),
        ),
        (summed, total),
        (
            b.wide16(to(wide), to(given), layer, 0),
            _clipped(scaled(0, _clipped(wide * given, WIDE).astype(np.int64) @ w), TOP16),
        ),
    ]
    return all(np.array_equal(got.cpu().numpy(), want) for got, want in pairs)


def _rounds(b: Backend, rng: np.random.Generator) -> bool:
    """The element-wise operations on values half of which lie between two integers, and on some
    beyond the range."""
    to = _sender(b)
    acc, bias = (
        rng.integers(-1000, 1001, (33, 64)).astype(np.int32),
        rng.integers(-99, 100, 64).astype(np.int32),
    )
    trunk = rng.integers(-32767, 32768, (33, 64)).astype(np.int16)
    s, s8 = (
        (2.0 ** rng.integers(-3, 8, 64)).astype(np.float32),
        (2.0 ** rng.integers(-9, -5, 64)).astype(np.float32),
    )
    v = (acc + bias).astype(np.float32) * s
    total = np.clip(trunk + _clipped(v, TOP16), -TOP16, TOP16)
    given = to(trunk.copy())
    hi, lo = b.split(to(trunk), to(s8 * 64))
    image, taps = (
        rng.integers(-127, 128, (1, 5, 6, 64)).astype(np.int8),
        rng.integers(-127, 128, (9, 64)).astype(np.int8),
    )
    around = np.pad(image.astype(np.int64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    conv = sum(around[:, k // 3 : k // 3 + 5, k % 3 : k % 3 + 6] * taps[k] for k in range(9)) + bias
    pairs = [
        (b.requant8(to(acc), to(bias), to(s), False), _clipped(v, TOP8)),
        (b.requant16(to(acc), to(bias), to(s)), _clipped(v, TOP16)),
        (
            b.add(to(acc), to(bias), to(s), given, to(s8)),
            _clipped(total.astype(np.float32) * s8, TOP8),
        ),
        (given, total),
        (b.quant8(to(trunk), to(s8)), _clipped(trunk * s8, TOP8)),
        (128 * hi.to(torch.int32) + lo.to(torch.int32), _clipped(trunk * (s8 * 64), WIDE)),
        (
            b.depthwise(to(image), to(taps), to(bias), to(s8)),
            _clipped(conv.astype(np.float32) * s8, TOP8),
        ),
    ]
    return all(np.array_equal(got.cpu().numpy(), want) for got, want in pairs)
