"""Exact networks: integer layers whose result is defined bit for bit on every device, thread count and library version.

Activations are int8 (M, C) matrices of M positions, the residual trunk is int16. A 1x1 convolution is an int8 product with an
int32 accumulator, ``acc = x @ w + bias``; it is requantised by one IEEE-754 binary32 multiplication, ``rint(float32(acc) * scale[c])``
(ties to even), and clamped. Nothing is fused, no transcendental function is used, and every |acc| of an int8 product is below
2^24 for the worst input (checked when a layer is made), so that the float32-carried backend gives the same integers.

Backends: ``fused`` (products of our own with what follows them in their store, CPU: :mod:`vqcodec.codec.nets.product`), ``int8`` (torch._int_mm and
compiled kernels, CPU) and ``float32`` (integers carried in float32 by plain torch operations; any device). All are checked against known vectors
before use: some CPUs and libraries saturate in int8 products. Of those that are right the fastest one is taken: where there are no instructions
for it, torch._int_mm is a plain loop.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ...compiled import njit
from ...errors import UsageError, VqvError, WeightsError
from . import product as kernels
from .arithmetic import best_times
from .product import Packed
from .ranges import EXACT, SLOPE, TOP8, TOP16, WIDE

_F = np.float32
_TOP8, _TOP16, _WIDE_TOP, _SLOPE = (_F(v) for v in (TOP8, TOP16, WIDE, SLOPE))


# --- compiled kernels; x: (M, C) ---------------------------------------------------------------------------------------------


@njit
def _k_requant8(acc, bias, scale, leaky, out):
    for m in range(acc.shape[0]):
        a, o = acc[m], out[m]
        if leaky:
            for c in range(a.shape[0]):
                v = np.float32(a[c] + bias[c]) * scale[c]
                v = v if v >= _F(0) else v * _SLOPE
                o[c] = np.int8(np.rint(min(max(v, -_TOP8), _TOP8)))
        else:
            for c in range(a.shape[0]):
                v = np.float32(a[c] + bias[c]) * scale[c]
                o[c] = np.int8(np.rint(min(max(v, -_TOP8), _TOP8)))


@njit
def _k_requant16(acc, bias, scale, out):
    for m in range(acc.shape[0]):
        a, o = acc[m], out[m]
        for c in range(a.shape[0]):
            v = np.float32(a[c] + bias[c]) * scale[c]
            o[c] = np.int16(np.rint(min(max(v, -_TOP16), _TOP16)))


@njit
def _k_add(acc, bias, scale, trunk, scale8, out8):
    # trunk += requantised acc, and at once the int8 copy that the next layer reads
    for m in range(acc.shape[0]):
        a, t, o = acc[m], trunk[m], out8[m]
        for c in range(a.shape[0]):
            v = np.float32(a[c] + bias[c]) * scale[c]
            v = np.rint(min(max(v, -_TOP16), _TOP16))
            s = np.float32(t[c]) + v
            s = min(max(s, -_TOP16), _TOP16)
            t[c] = np.int16(s)
            o[c] = np.int8(np.rint(min(max(s * scale8[c], -_TOP8), _TOP8)))


@njit
def _k_quant8(t, scale, out):
    for m in range(t.shape[0]):
        a, o = t[m], out[m]
        for c in range(a.shape[0]):
            o[c] = np.int8(np.rint(min(max(np.float32(a[c]) * scale[c], -_TOP8), _TOP8)))


@njit
def _k_split(t, scale, hi, lo):
    for m in range(t.shape[0]):
        a, h, l = t[m], hi[m], lo[m]
        for c in range(a.shape[0]):
            v = np.int32(np.rint(min(max(np.float32(a[c]) * scale[c], -_WIDE_TOP), _WIDE_TOP)))
            k = (v + 64) >> 7
            h[c] = np.int8(k)
            l[c] = np.int8(v - (k << 7))


@njit
def _k_depthwise(x, w, bias, scale, out):
    # x, out (N, H, W, C) int8, w (9, C) int8
    n, hh, ww, cc = x.shape
    acc = np.empty(cc, np.int32)
    for b in range(n):
        for y in range(hh):
            for xx in range(ww):
                for c in range(cc):
                    acc[c] = bias[c]
                for dy in range(-1, 2):
                    if y + dy < 0 or y + dy >= hh:
                        continue
                    for dx in range(-1, 2):
                        if xx + dx < 0 or xx + dx >= ww:
                            continue
                        r = x[b, y + dy, xx + dx]
                        k = w[dy * 3 + dx + 4]
                        for c in range(cc):
                            acc[c] += np.int32(np.int16(r[c]) * np.int16(k[c]))
                o = out[b, y, xx]
                for c in range(cc):
                    v = np.float32(acc[c]) * scale[c]
                    o[c] = np.int8(np.rint(min(max(v, -_TOP8), _TOP8)))


# --- backends ----------------------------------------------------------------------------------------------------------------


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
        """Add the requantised product of x (M, K) int8 to trunk (M, N) int16, and give the int8 copy under ``scale8``."""
        return self.add(self.mm(x, layer.w), *layer.row(q), trunk, scale8)

    def wide16(self, t: Tensor, scale: Tensor, layer: ExactLinear, q: int) -> Tensor:
        """Product with an activation of 15 bits, t (M, K) int16 times scale, as 128 * hi + lo -> (M, N) int16."""
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
        _k_requant8(acc.numpy(), bias.numpy(), scale.numpy(), leaky, out.numpy())
        return out

    def requant16(self, acc: Tensor, bias: Tensor, scale: Tensor) -> Tensor:
        out = torch.empty(acc.shape, dtype=torch.int16)
        _k_requant16(acc.numpy(), bias.numpy(), scale.numpy(), out.numpy())
        return out

    def add(
        self, acc: Tensor, bias: Tensor, scale: Tensor, trunk: Tensor, scale8: Tensor
    ) -> Tensor:
        out = torch.empty(acc.shape, dtype=torch.int8)
        _k_add(acc.numpy(), bias.numpy(), scale.numpy(), trunk.numpy(), scale8.numpy(), out.numpy())
        return out

    def quant8(self, t: Tensor, scale: Tensor) -> Tensor:
        out = torch.empty(t.shape, dtype=torch.int8)
        _k_quant8(t.numpy(), scale.numpy(), out.numpy())
        return out

    def split(self, t: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        hi, lo = torch.empty(t.shape, dtype=torch.int8), torch.empty(t.shape, dtype=torch.int8)
        _k_split(t.numpy(), scale.numpy(), hi.numpy(), lo.numpy())
        return hi, lo

    def depthwise(self, x: Tensor, w: Tensor, bias: Tensor, scale: Tensor) -> Tensor:
        out = torch.empty(x.shape, dtype=torch.int8)
        _k_depthwise(x.numpy(), w.numpy(), bias.numpy(), scale.numpy(), out.numpy())
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


def self_test(b: Backend) -> bool:
    """True when the backend computes the worst-case and a few pseudo-random products exactly, and rounds as it must."""
    rng = np.random.default_rng(1)
    t = lambda a: torch.from_numpy(a).to(b.device)
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
            ref, b.requant8(t(want.astype(np.int32)), t(bias), t(scale), True).cpu().numpy()
        ):
            return False
        if not _layers(b, rng, t, x, w, bias, scale):
            return False
    return _rounds(b, rng, t)


def _layers(
    b: Backend,
    rng: np.random.Generator,
    t: Callable[[np.ndarray], Tensor],
    x: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray,
    scale: np.ndarray,
) -> bool:
    """Whole layers: a product with what follows it."""
    layer = ExactLinear(t(w), t(np.stack([bias, -bias])), t(np.stack([scale, scale * 3])))
    k, n = w.shape
    trunk, s8, given = (
        rng.integers(-32767, 32768, (len(x), n)).astype(np.int16),
        np.full(n, 1 / 256, np.float32),
        np.full(k, 1 / 4, np.float32),
    )
    wide = rng.choice(np.array([-32767, 32767, 999], np.int16), (len(x), k))
    acc = x.astype(np.int64) @ w
    scaled = lambda q, a: (
        (a + (-bias if q else bias)).astype(np.float32) * (scale * np.float32(3) if q else scale)
    )
    clip = lambda v, top: np.rint(np.clip(v, -top, top))
    v0 = scaled(0, acc)
    total = np.clip(trunk + clip(scaled(1, acc), TOP16), -TOP16, TOP16)
    summed = t(trunk.copy())
    both = b.product8_each(t(x), layer)
    pairs = [
        (b.product8(t(x), layer, True), clip(np.where(v0 >= 0, v0, v0 * np.float32(SLOPE)), TOP8)),
        *((both[q], clip(scaled(q, acc), TOP8)) for q in (0, 1)),
        (b.product16(t(x), layer, 1), clip(scaled(1, acc), TOP16)),
        (b.product_add(t(x), layer, 1, summed, t(s8)), clip(total.astype(np.float32) * s8, TOP8)),
        (summed, total),
        (
            b.wide16(t(wide), t(given), layer, 0),
            clip(scaled(0, clip(wide * given, WIDE).astype(np.int64) @ w), TOP16),
        ),
    ]
    return all(np.array_equal(got.cpu().numpy(), want) for got, want in pairs)


def _rounds(b: Backend, rng: np.random.Generator, t: Callable[[np.ndarray], Tensor]) -> bool:
    """The element-wise operations on values half of which lie between two integers, and on some beyond the range."""
    acc, bias = (
        rng.integers(-1000, 1001, (33, 64)).astype(np.int32),
        rng.integers(-99, 100, 64).astype(np.int32),
    )
    trunk = rng.integers(-32767, 32768, (33, 64)).astype(np.int16)
    s, s8 = (
        (2.0 ** rng.integers(-3, 8, 64)).astype(np.float32),
        (2.0 ** rng.integers(-9, -5, 64)).astype(np.float32),
    )
    clip = lambda v, n: np.rint(np.clip(v, -n, n))
    v = (acc + bias).astype(np.float32) * s
    total = np.clip(trunk + clip(v, TOP16), -TOP16, TOP16)
    given = t(trunk.copy())
    hi, lo = b.split(t(trunk), t(s8 * 64))
    image, taps = (
        rng.integers(-127, 128, (1, 5, 6, 64)).astype(np.int8),
        rng.integers(-127, 128, (9, 64)).astype(np.int8),
    )
    around = np.pad(image.astype(np.int64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    conv = sum(around[:, k // 3 : k // 3 + 5, k % 3 : k % 3 + 6] * taps[k] for k in range(9)) + bias
    pairs = [
        (b.requant8(t(acc), t(bias), t(s), False), clip(v, TOP8)),
        (b.requant16(t(acc), t(bias), t(s)), clip(v, TOP16)),
        (b.add(t(acc), t(bias), t(s), given, t(s8)), clip(total.astype(np.float32) * s8, TOP8)),
        (given, total),
        (b.quant8(t(trunk), t(s8)), clip(trunk * s8, TOP8)),
        (128 * hi.to(torch.int32) + lo.to(torch.int32), clip(trunk * (s8 * 64), WIDE)),
        (b.depthwise(t(image), t(taps), t(bias), t(s8)), clip(conv.astype(np.float32) * s8, TOP8)),
    ]
    return all(np.array_equal(got.cpu().numpy(), want) for got, want in pairs)


_times: dict[str, float] = {}  # of the CPU's backends, once they are known


def _by_speed(backends: list[Backend]) -> list[Backend]:
    """The fastest first, at layers of each kind, of the size that a small picture's nets have."""
    m, n = 480, 112
    x, trunk, ones = (
        torch.ones((m, n), dtype=torch.int8),
        torch.zeros((m, n), dtype=torch.int16),
        torch.ones(n),
    )
    layer = ExactLinear(
        torch.ones((n, n), dtype=torch.int8),
        torch.zeros((1, n), dtype=torch.int32),
        torch.full((1, n), 0.5),
    )

    def layers(b: Backend) -> None:
        b.product_add(b.product8(x, layer, True), layer, 0, trunk, ones)
        b.wide16(trunk, ones, layer, 0)

    if any(b.name not in _times for b in backends):
        with torch.inference_mode():
            _times.update(best_times({b.name: partial(layers, b) for b in backends}))
    return sorted(backends, key=lambda b: _times[b.name])


BACKENDS = (FusedBackend.name, Int8Backend.name, Float32Backend.name)


def _forced() -> str:
    forced = os.environ.get("VQCODEC_BACKEND", "")
    if forced not in ("", *BACKENDS):
        raise UsageError(
            f"VQCODEC_BACKEND={forced!r}: use {', '.join(BACKENDS[:-1])} or {BACKENDS[-1]}"
        )
    return forced


def chosen_device(device: str = "auto") -> str:
    """The device that ``auto`` stands for."""
    return (
        device
        if device != "auto"
        else "cuda"
        if torch.cuda.is_available() and _forced() in ("", Float32Backend.name)
        else "cpu"
    )


def choose_backend(device: str = "auto") -> Backend:
    """The backend for ``auto``, ``cpu``, ``cuda[:n]`` or ``mps``; VQCODEC_BACKEND=fused|int8|float32 forces one. It has passed its self-test."""
    forced, device = _forced(), chosen_device(device)
    if forced and forced != Float32Backend.name and device != "cpu":
        raise UsageError(f"VQCODEC_BACKEND={forced} runs on the CPU only, not on device {device}")
    options: list[Backend] = (
        [Float32Backend(device)]
        if device != "cpu"
        else [FusedBackend(), Int8Backend(), Float32Backend()]
    )
    options = [b for b in options if forced in ("", b.name)]
    if len(options) > 1:
        options = _by_speed(options)
    for b in options:
        try:
            if self_test(b):
                return b
        except (
            RuntimeError,
            AssertionError,
            NotImplementedError,
        ) as exc:  # what torch raises for a device that isn't there
            raise UsageError(
                f"{device} can't be used: {str(exc).splitlines()[0]}", option="device"
            ) from exc
    raise VqvError(
        f"no exact arithmetic on device {device}: "
        f"{' and '.join(b.name for b in options)} failed the self-test",
        advice="use another `device`, and report it",
    )


# --- layers ------------------------------------------------------------------------------------------------------------------


def check_exact(name: str, w: Tensor, bias: Tensor, scale: Tensor) -> None:
    """WeightsError unless the layer is exact for the worst input: w (K, N) int8, bias (.., N) int32, scale (.., N) float32.

    With activations of -128..127 no partial sum leaves 128 * sum(abs(w)) + abs(bias), which must stay below EXACT. A wide product
    (activations up to 16000 = 125 * 128) then stays below 125 * EXACT, and with its bias below 126 * EXACT < 2^31. What follows
    is bounded by its clamps: 16-bit results, and trunks of 16 bits to which one is added (65534 at most before the clamp).
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
    """int8 weights (K, N); bias (1 or 64, N) int32 and scale (1 or 64, N) float32, the rows chosen by the quality index."""

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
        return self.bias.numpy() - self.packed.less

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
        """trunk (M, C) int16 is updated in place; x8 is its int8 copy under ``s_in``; returns the copy under ``s_next``."""
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
