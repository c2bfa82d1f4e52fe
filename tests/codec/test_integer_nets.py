from __future__ import annotations

import itertools
import platform
from typing import Any

import numba as nb
import numpy as np
import pytest
import torch
from torch import Tensor

from vqcodec.codec.nets import backend_choice, product
from vqcodec.codec.nets.backend_choice import BACKENDS, choose_backend
from vqcodec.codec.nets.backends import Float32Backend, FusedBackend, Int8Backend
from vqcodec.codec.nets.exact_layers import ExactBlock, ExactLinear
from vqcodec.codec.nets.prior import Prior
from vqcodec.codec.nets.product import Packed
from vqcodec.codec.nets.ranges import EXACT
from vqcodec.codec.nets.self_test import self_test
from vqcodec.codec.nets.shuffle import shuffle, unshuffle
from vqcodec.codec.nets.synthesis import Synthesis, pack, unpack
from vqcodec.encoding.nets.layers import anchor_weights
from vqcodec.errors import UsageError, VqvError, WeightsError
from vqcodec.training.export import exact_tensors

A, B, C = Int8Backend(), Float32Backend(), FusedBackend()


def ints(rng: np.random.Generator, lo: int, hi: int, shape: tuple[int, ...], dtype: Any) -> Tensor:
    """Integers from lo to hi with many at both ends."""
    v = rng.integers(lo, hi + 1, shape)
    v = np.where(rng.random(shape) < 0.2, lo, np.where(rng.random(shape) < 0.2, hi, v))
    return torch.from_numpy(v.astype(dtype))


def scales(rng: np.random.Generator, n: int, reach: float) -> Tensor:
    """Multipliers; some make exact ties (powers of two), some clip everything."""
    v = np.exp(rng.uniform(np.log(reach / 100), np.log(reach * 10), n))
    v = np.where(rng.random(n) < 0.4, 2.0 ** np.rint(np.log2(v)), v)
    return torch.from_numpy(v.astype(np.float32))


@pytest.mark.parametrize("m", [1, 3, 16, 65])
@pytest.mark.parametrize("seed", range(4))
def test_backends_agree_in_every_operation(m: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    k, n = 8 * int(rng.integers(1, 30)), 8 * int(rng.integers(1, 20))
    x, w = ints(rng, -128, 127, (m, k), np.int8), ints(rng, -127, 127, (k, n), np.int8)
    acc = A.mm(x, w)
    assert acc.dtype == torch.int32 and np.array_equal(
        acc.numpy(), x.numpy().astype(np.int64) @ w.numpy().astype(np.int64)
    )
    assert torch.equal(acc, B.mm(x, w))
    big = ints(
        rng, -(1 << 31) + (1 << 24), (1 << 31) - (1 << 24), (m, n), np.int32
    )  # as of the wide products
    bias = ints(rng, -(1 << 23), 1 << 23, (n,), np.int32)
    for v, reach in ((acc, 127 / (40 * 40 * k**0.5)), (big, 1e-7)):
        s = scales(rng, n, reach)
        for leaky in (False, True):
            assert torch.equal(A.requant8(v, bias, s, leaky), B.requant8(v, bias, s, leaky))
        s = scales(rng, n, reach * 200)
        assert torch.equal(A.requant16(v, bias, s), B.requant16(v, bias, s))
        t = ints(rng, -32767, 32767, (m, n), np.int16)
        ta, tb, s8 = t.clone(), t.clone(), scales(rng, n, 127 / 32767)
        assert torch.equal(A.add(v, bias, s, ta, s8), B.add(v, bias, s, tb, s8)) and torch.equal(
            ta, tb
        )
    assert torch.equal(A.quant8(t, s8), B.quant8(t, s8))
    s = scales(rng, n, 1.0)
    for (ha, la), (hb, lb) in ((A.split(t, s), B.split(t, s)),):
        assert torch.equal(ha, hb) and torch.equal(la, lb)
        v = 128 * ha.int() + la.int()
        want = np.rint(np.clip(t.numpy().astype(np.float32) * s.numpy(), -16000, 16000))
        assert (
            np.array_equal(v.numpy(), want)
            and int(ha.abs().max()) <= 125
            and int(la.min()) >= -64
            and int(la.max()) <= 63
        )
    x4, dw = (
        ints(rng, -127, 127, (2, m % 7 + 1, m, n), np.int8),
        ints(rng, -127, 127, (9, n), np.int8),
    )
    s = scales(rng, n, 127 / 15000)
    assert torch.equal(A.depthwise(x4, dw, bias, s), B.depthwise(x4, dw, bias, s))


def test_ties_go_to_the_even_number_and_ranges_are_symmetric() -> None:
    acc = torch.tensor([[1, 3, 5, -1, -3, 1000, -1000, -8, -24]], dtype=torch.int32)
    zero, half = torch.zeros(9, dtype=torch.int32), torch.full((9,), 0.5)
    for b in (A, B, C):
        assert b.requant8(acc, zero, half, False)[0].tolist() == [
            0,
            2,
            2,
            0,
            -2,
            127,
            -127,
            -4,
            -12,
        ]
        assert b.requant8(acc, zero, half, True)[0].tolist() == [0, 2, 2, 0, 0, 127, -62, 0, -2]
        assert b.requant16(acc * 1000, zero, half)[0].tolist() == [
            500,
            1500,
            2500,
            -500,
            -1500,
            32767,
            -32767,
            -4000,
            -12000,
        ]


def test_depthwise_is_a_convolution_with_zeros_around() -> None:
    rng = np.random.default_rng(0)
    x, w = ints(rng, -20, 20, (1, 5, 4, 8), np.int8), ints(rng, -5, 5, (9, 8), np.int8)
    ref = torch.nn.functional.conv2d(
        x.permute(0, 3, 1, 2).float(), w.T.reshape(8, 1, 3, 3).float(), padding=1, groups=8
    ).permute(0, 2, 3, 1)
    for b in (A, B, C):
        got = b.depthwise(x, w, torch.zeros(8, dtype=torch.int32), torch.full((8,), 0.125))
        assert torch.equal(got, torch.round((ref * 0.125).clamp(-127, 127)).to(torch.int8))


def test_self_test_accepts_the_backends_and_rejects_wrong_ones() -> None:
    assert self_test(A) and self_test(B) and self_test(C)

    class Saturating(Int8Backend):
        """vpmaddubsw: pairs of products are added in 16 bits, which saturate."""

        def mm(self, x: Tensor, w: Tensor) -> Tensor:
            p = (x.int() + 128)[:, :, None] * w.int()[None]
            pairs = (p[:, 0::2] + p[:, 1::2]).clamp(-32768, 32767).sum(1)
            return (pairs - 128 * w.int().sum(0)).to(torch.int32)

    class HalfUp(Int8Backend):
        def requant8(self, acc: Tensor, bias: Tensor, scale: Tensor, leaky: bool) -> Tensor:
            return super().requant8(acc + 1, bias, scale, leaky)

    class Careless(FusedBackend):
        """Adds to a trunk without its limits, in the fused form only."""

        def product_add(
            self, x: Tensor, layer: ExactLinear, q: int, trunk: Tensor, scale8: Tensor
        ) -> Tensor:
            trunk += self.product16(x, layer, q)
            return self.quant8(trunk, scale8)

    assert not self_test(Saturating()) and not self_test(HalfUp()) and not self_test(Careless())


def test_backend_is_chosen_by_device_and_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VQCODEC_BACKEND", raising=False)
    monkeypatch.setattr("vqcodec.codec.nets.backend_choice._times", dict.fromkeys(BACKENDS, 2.0))
    for name in BACKENDS:
        monkeypatch.setitem(backend_choice._times, name, 1.0)
        assert choose_backend("cpu").name == name
        monkeypatch.setitem(backend_choice._times, name, 2.0)
    for name in BACKENDS:
        monkeypatch.setenv("VQCODEC_BACKEND", name)
        assert choose_backend("cpu").name == name
    for name in ("fused", "int8"):
        monkeypatch.setenv("VQCODEC_BACKEND", name)
        assert choose_backend("auto").name == name
        for device in ("cuda", "cuda:1", "mps"):
            with pytest.raises(UsageError, match=f"{name} runs on the CPU only"):
                choose_backend(device)
    monkeypatch.setenv("VQCODEC_BACKEND", "fast")
    with pytest.raises(UsageError, match="fused, int8 or float32"):
        choose_backend("cpu")
    monkeypatch.delenv("VQCODEC_BACKEND")
    monkeypatch.setattr(
        "vqcodec.codec.nets.backend_choice.self_test", lambda b: b.name == "float32"
    )
    assert choose_backend("cpu").name == "float32"
    monkeypatch.setattr("vqcodec.codec.nets.backend_choice.self_test", lambda b: False)
    with pytest.raises(VqvError, match="no exact arithmetic"):
        choose_backend("cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_our_error() -> None:
    with pytest.raises(UsageError, match="cuda"):
        choose_backend("cuda")


def test_layers_that_could_overflow_are_refused() -> None:
    def layer(k: int, bias: int) -> dict[str, Tensor]:
        return {
            "x.w": torch.full((k, 8), -127, dtype=torch.int8),
            "x.bias": torch.full((1, 8), bias, dtype=torch.int32),
            "x.scale": torch.ones(1, 8),
        }

    most = (EXACT - 1) // (127 * 128)
    ExactLinear.load(layer(most, 0), "x", A.device)
    room = EXACT - 1 - most * 127 * 128
    ExactLinear.load(layer(most, -room), "x", A.device)
    for k, bias in (
        (most + 1, 0),
        (most, room + 1),
        (most, -room - 1),
        (8, 1 << 24),
        (8, -(1 << 31)),
    ):
        with pytest.raises(WeightsError, match="exact limit"):
            ExactLinear.load(layer(k, bias), "x", A.device)
    # the wide products reach 16000 times the weights, within 32 bits for every layer that is
    # accepted
    assert 16000 * (EXACT // 128) + EXACT < 1 << 31


def test_depthwise_layers_that_could_overflow_are_refused(tiny_models: dict[str, Any]) -> None:
    d = exact_tensors(tiny_models["inter"])
    ExactBlock(d, "synthesis.blocks16.0", A.device)
    d["synthesis.blocks16.0.dw.bias"] = torch.full_like(d["synthesis.blocks16.0.dw.bias"], 1 << 24)
    with pytest.raises(WeightsError, match="synthesis.blocks16.0.dw"):
        ExactBlock(d, "synthesis.blocks16.0", A.device)


@pytest.mark.parametrize("m", [1, 2, 7, 8, 9, 61, 300])
@pytest.mark.parametrize("seed", range(4))
def test_layers_are_the_same_in_all_backends(m: int, seed: int, one_thread: None) -> None:
    """Whole layers of any size, at the edges of tiles too, on one thread and several, inputs laid
    out in any way."""
    rng = np.random.default_rng(seed)
    k, n = int(rng.integers(1, 200)), int(rng.integers(1, 150))
    if seed == 0:
        k, n = (k + 7) // 8 * 8, (n + 15) // 16 * 16
    x, t = ints(rng, -128, 127, (m, k), np.int8), ints(rng, -32767, 32767, (m, k), np.int16)
    layer = ExactLinear(
        ints(rng, -128, 127, (k, n), np.int8),
        ints(rng, -(1 << 20), 1 << 20, (2, n), np.int32),
        torch.stack([scales(rng, n, 127 / (40 * 40 * k**0.5)) for _ in range(2)]),
    )
    trunk, s8, given = (
        ints(rng, -32767, 32767, (m, n), np.int16),
        scales(rng, n, 127 / 32767),
        scales(rng, k, 0.5),
    )
    found = []
    backends = (A, B, C) if k % 8 == n % 8 == 0 else (B, C)  # torch._int_mm takes no other sizes
    for b, threads, layout in itertools.product(
        backends, (1, 3), (lambda v: v, lambda v: v.T.contiguous().T)
    ):
        torch.set_num_threads(threads)
        summed, v = trunk.clone(), layout(x)
        one = (
            b.product8(v, layer, True),
            b.product8(v, layer, False),
            b.product16(v, layer, 1),
            b.product_add(v, layer, 1, summed, s8),
            summed,
            b.mm(v, layer.w),
        )
        found.append((*one, *b.product8_each(v, layer), b.wide16(layout(t), given, layer, 1)))
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_products_are_made_by_the_instructions_they_were_written_for() -> None:
    """A pattern that LLVM no longer knows would be multiplied correctly, and several times
    slower."""
    w, acc = Packed.of(np.ones((64, 64), np.int8)), np.zeros((product.ROWS, 64), np.int32)
    buffer = np.zeros((product.ROWS, 64), np.int8 if product.QUADS else np.int16)
    kernels = [
        nb.njit(kernel.py_func) for kernel in (product._multiply8, product._multiply16)
    ]  # code out of a cache cannot be looked at
    kernels[0](np.ones((8, 64), np.int8), 0, 4, w.words, buffer, acc)
    kernels[1](np.ones((product.ROWS, 64), np.int16), w.pairs, acc)
    code = "".join(kernel.inspect_asm(kernel.signatures[0]) for kernel in kernels)
    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("the instructions of other processors are not known here")
    assert ("vpdpbusd" in code) == product.QUADS
    assert ("zmm" in code) == (product.LANES == 16)
    assert (
        any(name in code for name in ("vpmaddwd", "vpdpwssd", "pmaddwd")) and "vpmulld" not in code
    )


@pytest.mark.parametrize("r", [1, 2, 4])
def test_unshuffle_and_shuffle_are_inverse(r: int) -> None:
    x = torch.arange(2 * 8 * 12 * 3).reshape(2, 8, 12, 3)
    y = unshuffle(x, r)
    assert y.shape == (2, 8 // r, 12 // r, 3 * r * r) and torch.equal(shuffle(y, r), x)
    assert y[1, 1, 0, ((r - 1) * r + 0) * 3 + 2] == x[1, 2 * r - 1, 0, 2]


def test_pack_and_unpack_are_inverse() -> None:
    planes = (
        torch.arange(16 * 24).reshape(16, 24),
        torch.arange(8 * 12).reshape(8, 12) + 1000,
        torch.arange(8 * 12).reshape(8, 12) + 2000,
    )
    x = pack(planes)
    assert (
        x.shape == (1, 2, 3, 96)
        and x[0, 1, 2, 8 * 3 + 5] == planes[0][11, 21]
        and x[0, 1, 2, 64 + 4 * 2 + 3] == planes[1][6, 11]
        and x[0, 1, 2, 80] == planes[2][4, 8]
    )
    assert all(torch.equal(a, b) for a, b in zip(unpack(x), planes, strict=True))


def nets(m: Any, b: Any) -> tuple[Prior, Synthesis]:
    d = exact_tensors(m)
    return Prior(d, m.s, b), Synthesis(d, m.s, b)


def inputs(
    m: Any, seed: int, n: int = 2, wild: bool = False
) -> tuple[Tensor, Tensor, Tensor | None]:
    """z, y in sixteenths and pred8 of n frames of 64x128."""
    rng = np.random.default_rng(seed)
    z = torch.from_numpy((np.rint(rng.laplace(size=(n, 1, 2, m.s.hyper))) * 16).astype(np.int16))
    y = torch.from_numpy(
        np.clip(rng.laplace(size=(n, 4, 8, m.s.latent)) * 40, -3000, 3000).astype(np.int16)
    )
    pred8 = ints(rng, -128, 127, (n, 8, 16, 96), np.int8) if m.s.inter else None
    if wild:
        z, y = (
            ints(rng, -32767, 32767, tuple(z.shape), np.int16),
            ints(rng, -32767, 32767, tuple(y.shape), np.int16),
        )
    return z, y, pred8


@pytest.mark.parametrize("kind", ["intra", "inter"])
@pytest.mark.parametrize("wild", [False, True])
def test_whole_nets_are_the_same_in_all_backends_and_in_any_batch(
    tiny_models: dict[str, Any], kind: str, wild: bool
) -> None:
    m = tiny_models[kind]
    (pa, sa), (pb, sb), (pc, sc) = nets(m, A), nets(m, B), nets(m, C)
    z, y, pred8 = inputs(m, 1, 3, wild)

    def one(i):
        return None if pred8 is None else pred8[i : i + 1]

    for q in (0, 31, 63):
        ha, hb, hc = (p.context(z, pred8) for p in (pa, pb, pc))
        results = [
            (*(t for k in range(m.s.steps) for t in p.step(k, h[k], y, q)), s(y, pred8, q))
            for p, h, s in ((pa, ha, sa), (pb, hb, sb), (pc, hc, sc))
        ]
        for a, b, c in zip(*results, strict=True):
            assert torch.equal(a, b) and torch.equal(a, c)
        for i in range(3):
            h = pa.context(z[i : i + 1], one(i))
            yi = y[i : i + 1]
            steps = (t for k in range(m.s.steps) for t in pa.step(k, h[k], yi, q))
            single = (*steps, sa(yi, one(i), q))
            assert all(
                torch.equal(a[i : i + 1], b) for a, b in zip(results[0], single, strict=True)
            )
        assert len(results[0][-1].unique()) > 50 and len(results[0][1].unique()) > 8


def test_classes_beyond_the_last_are_the_last(tiny_models: dict[str, Any]) -> None:
    m = tiny_models["intra"]
    d = exact_tensors(m)
    d["prior.steps.0.scale.scale"] *= 1e6
    p = Prior(d, m.s, A)
    z, y, pred8 = inputs(m, 1)
    cls = p.step(0, p.context(z, pred8)[0], y, 30)[1]
    assert set(cls.unique().tolist()) <= {0, 15, 39} and (cls == 39).any() and (cls == 0).any()
    normal = nets(m, A)[0]
    cls2 = normal.step(0, normal.context(z, pred8)[0], y, 30)[1]
    assert (cls[cls2 > 15] == 39).all() and (cls[cls2 < 15] == 0).all()


@pytest.mark.parametrize("kind", ["intra", "inter"])
def test_integer_nets_follow_the_fake_quantised_ones(
    tiny_models: dict[str, Any], kind: str
) -> None:
    """The twins differ where a value falls beside the middle of two steps (biases and trunks are
    rounded in the integer nets only).

    One int8 step is 1/127 of an activation's range and moves a value through one layer by about as
    much, so over the few layers
    of a net the mean difference must stay below 2% of the outputs' spread, and no single one may
    reach a third of their range.
    """
    m = tiny_models[kind]
    prior, synthesis = nets(m, A)
    z, y, pred8 = inputs(m, 2)
    pred = None if pred8 is None else pred8.float() * 4 / 1020 + 512 / 1020 - 0.5
    if m.s.inter:
        z, y = z[:1], y[:1]
        pred8, pred = pred8[:1], pred[:1]
    m.quantise_aware("quant")
    try:
        with torch.no_grad():
            for q in (8, 40, 63):
                at = anchor_weights(torch.full((y.shape[0],), float(q)))
                h = m.prior.context(z.float() / 16, pred)
                pairs = []
                for k, context in enumerate(prior.context(z, pred8)):
                    mean, cls = prior.step(k, context, y, q)
                    mu, ls = m.prior.steps[k](torch.cat([y.float() / 16, h], -1) if k else h, at)
                    pairs += [(mean.float(), mu * 16), (cls.float(), (ls * 4 + 15).clamp(0, 39))]
                # latents as the ranges were observed for: larger ones saturate the integers' trunk,
                # which the float nets don't have
                gain = torch.exp(at[:1] @ m.synthesis.log_gain)[0]
                seen = (16 * m.synthesis.a_y.scale * m.synthesis.a_y.top / 2 / gain).to(torch.int16)
                shown = torch.minimum(torch.maximum(y, -seen), seen)
                pairs.append(
                    (
                        synthesis(shown, pred8, q).float(),
                        m.synthesis(shown.float() / 16, pred, at) * 1020,
                    )
                )
                for got, want in pairs:
                    error = (got - want).abs()
                    spread = float(want.std())
                    assert (
                        float(error.mean()) < 0.02 * spread + 0.3
                        and float(error.max()) < 0.33 * float(want.max() - want.min()) + 1
                    )
    finally:
        m.quantise_aware("float")
