from __future__ import annotations

import itertools
import platform
from typing import Any

import numba as nb
import numpy as np
import pytest
import torch
from support.plain_backend import PlainBackend

from vqcodec.codec.direct_map import CODED_BLOCK, DIRECT_BLOCK, PAINTED_BLOCK
from vqcodec.codec.frame_decoder import NEUTRAL
from vqcodec.codec.nets import product
from vqcodec.codec.nets.backend_choice import choose_backend
from vqcodec.codec.nets.device_choice import BACKENDS
from vqcodec.codec.nets.exact_layers import ExactBlock, ExactLinear
from vqcodec.codec.nets.float32_backend import Float32Backend
from vqcodec.codec.nets.fused_backend import FusedBackend
from vqcodec.codec.nets.prior import Prior
from vqcodec.codec.nets.product import Packed
from vqcodec.codec.nets.ranges import EXACT
from vqcodec.codec.nets.self_test import self_test
from vqcodec.codec.nets.shuffle import shuffle, unshuffle
from vqcodec.codec.nets.synthesis import Synthesis
from vqcodec.codec.nets.tiles import Rows
from vqcodec.codec.packed_samples import pack, pack8, reconstruct
from vqcodec.encoding.nets.layers import anchor_weights
from vqcodec.errors import UsageError, VqvError, WeightsError
from vqcodec.training.export import exact_arrays

A, B, C = PlainBackend(), Float32Backend(), FusedBackend()


def done(b: Any, operation: str, *given: Any) -> Any:
    """What an operation of a backend makes of arrays, as arrays; layers are triples of arrays."""

    def there(a: Any) -> Any:
        if isinstance(a, tuple):
            return ExactLinear(*map(b.array, a))
        return b.array(a) if isinstance(a, np.ndarray) else a

    out = getattr(b, operation)(*map(there, given))
    return [b.host(a) for a in out] if isinstance(out, list | tuple) else b.host(out)


def same(*results: Any) -> bool:
    return all(a.dtype == results[0].dtype and np.array_equal(a, results[0]) for a in results[1:])


def ints(
    rng: np.random.Generator, lo: int, hi: int, shape: tuple[int, ...], dtype: Any
) -> np.ndarray:
    """Integers from lo to hi with many at both ends."""
    v = rng.integers(lo, hi + 1, shape)
    v = np.where(rng.random(shape) < 0.2, lo, np.where(rng.random(shape) < 0.2, hi, v))
    return v.astype(dtype)


def scales(rng: np.random.Generator, n: int, reach: float) -> np.ndarray:
    """Multipliers; some make exact ties (powers of two), some clip everything."""
    v = np.exp(rng.uniform(np.log(reach / 100), np.log(reach * 10), n))
    v = np.where(rng.random(n) < 0.4, 2.0 ** np.rint(np.log2(v)), v)
    return v.astype(np.float32)


@pytest.mark.parametrize("m", [1, 3, 16, 65])
@pytest.mark.parametrize("seed", range(4))
def test_backends_agree_in_every_operation(m: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    k, n = 8 * int(rng.integers(1, 30)), 8 * int(rng.integers(1, 20))
    x, w = ints(rng, -128, 127, (m, k), np.int8), ints(rng, -127, 127, (k, n), np.int8)
    bias = ints(rng, -(1 << 23), 1 << 23, (2, n), np.int32)
    t16, wide = (ints(rng, -32767, 32767, (m, size), np.int16) for size in (n, k))
    s8, given = scales(rng, n, 127 / 32767), scales(rng, k, 1.0)
    for reach in (127 / (40 * 40 * k**0.5), 1e-7):
        narrow, tall = (
            (w, bias, np.stack([scales(rng, n, reach * by) for _ in range(2)])) for by in (1, 200)
        )
        for leaky in (False, True):
            assert same(*(done(b, "product8", x, narrow, leaky) for b in (A, B, C)))
        for row in zip(*(done(b, "product8_each", x, narrow) for b in (A, B, C)), strict=True):
            assert same(*row)
        assert same(*(done(b, "product16", x, tall, 1) for b in (A, B, C)))
        assert same(*(done(b, "wide16", wide, given, tall, 1) for b in (A, B, C)))
        trunks = [t16.copy() for _ in (A, B, C)]
        found = [
            done(b, "product_add", x, tall, 1, trunk, s8)
            for b, trunk in zip((A, B, C), trunks, strict=True)
        ]
        assert same(*found)
        assert same(*trunks)
        assert not same(t16, trunks[0])
    assert same(*(done(b, "quant8", t16, s8) for b in (A, B, C)))
    shape = (2, m % 7 + 1, m)
    at = np.flatnonzero(rng.random(shape) < rng.choice([0.5, 1.0]))
    x4, dw = (ints(rng, -127, 127, (size, n), np.int8) for size in (len(at), 9))
    s = scales(rng, n, 127 / 15000)
    around = [(b, Rows.of(at, shape, b)) for b in (A, B, C)]
    assert same(*(done(b, "depthwise", x4, rows, dw, bias[0], s) for b, rows in around))


@pytest.mark.parametrize("seed", range(4))
def test_the_steps_of_tensors_are_exact(seed: int) -> None:
    """Accumulators as wide products have them, up to the ends of 32 bits."""
    rng = np.random.default_rng(seed)
    m, k, n = 33, 8 * int(rng.integers(1, 30)), 8 * int(rng.integers(1, 20))
    x, w = ints(rng, -128, 127, (m, k), np.int8), ints(rng, -127, 127, (k, n), np.int8)
    assert same(*(done(b, "mm", x, w) for b in (A, B)))
    big = ints(rng, -(1 << 31) + (1 << 24), (1 << 31) - (1 << 24), (m, n), np.int32)
    bias = ints(rng, -(1 << 23), 1 << 23, (n,), np.int32)
    for leaky in (False, True):
        s = scales(rng, n, 1e-7)
        assert same(*(done(b, "requant8", big, bias, s, leaky) for b in (A, B)))
    s = scales(rng, n, 2e-5)
    assert same(*(done(b, "requant16", big, bias, s) for b in (A, B)))
    t = ints(rng, -32767, 32767, (m, n), np.int16)
    s = scales(rng, n, 1.0)
    (ha, la), (hb, lb) = (done(b, "split", t, s) for b in (A, B))
    assert same(ha, hb)
    assert same(la, lb)
    want = np.rint(np.clip(t.astype(np.float32) * s, -16000, 16000))
    assert np.array_equal(128 * hb.astype(np.int32) + lb, want)
    assert int(np.abs(hb).max()) <= 125
    assert int(lb.min()) >= -64
    assert int(lb.max()) <= 63


def test_ties_go_to_the_even_number_and_ranges_are_symmetric() -> None:
    values = [1, 3, 5, -1, -3, 1000, -1000, -8, -24]
    x = np.array([[1]], np.int8)
    acc, zero = np.array([values], np.int32), np.zeros((1, 9), np.int32)
    half = np.full((1, 9), 0.5, np.float32)
    plain = [0, 2, 2, 0, -2, 127, -127, -4, -12]
    leaky = [0, 2, 2, 0, 0, 127, -62, 0, -2]
    tall = [500, 1500, 2500, -500, -1500, 32767, -32767, -4000, -12000]
    for b in (A, B, C):  # a bias is an accumulator that no weight is needed for
        layer, large = ((np.zeros((1, 9), np.int8), acc * by, half) for by in (1, 1000))
        assert done(b, "product8", x, layer, False)[0].tolist() == plain
        assert done(b, "product8", x, layer, True)[0].tolist() == leaky
        assert done(b, "product16", x, large, 0)[0].tolist() == tall
    for b in (A, B):
        assert done(b, "requant8", acc, zero[0], half[0], False)[0].tolist() == plain


def test_depthwise_is_a_convolution_with_zeros_around() -> None:
    rng = np.random.default_rng(0)
    x, w = ints(rng, -20, 20, (1, 5, 4, 8), np.int8), ints(rng, -5, 5, (9, 8), np.int8)
    ref = torch.nn.functional.conv2d(
        torch.from_numpy(x).permute(0, 3, 1, 2).float(),
        torch.from_numpy(w.T.reshape(8, 1, 3, 3)).float(),
        padding=1,
        groups=8,
    ).permute(0, 2, 3, 1)
    for b in (A, B, C):
        rows = Rows.of(np.arange(20), (1, 5, 4), b)
        by = np.zeros(8, np.int32), np.full(8, 0.125, np.float32)
        got = rows.scatter(done(b, "depthwise", rows.gather(x), rows, w, *by))
        assert np.array_equal(got, torch.round((ref * 0.125).clamp(-127, 127)).to(torch.int8))


def test_self_test_accepts_the_backends_and_rejects_wrong_ones() -> None:
    assert self_test(A)
    assert self_test(B)
    assert self_test(C)

    class Saturating(PlainBackend):
        """vpmaddubsw: pairs of products are added in 16 bits, which saturate."""

        def mm(self, x: np.ndarray, w: np.ndarray) -> np.ndarray:
            p = (x.astype(np.int32) + 128)[:, :, None] * w.astype(np.int32)[None]
            pairs = (p[:, 0::2] + p[:, 1::2]).clip(-32768, 32767).sum(1)
            return (pairs - 128 * w.astype(np.int32).sum(0)).astype(np.int32)

    class HalfUp(PlainBackend):
        def requant8(self, acc: Any, bias: Any, scale: Any, leaky: bool) -> Any:
            return super().requant8(acc + 1, bias, scale, leaky)

    class HalvesUp(FusedBackend):
        """Rounds halves up, in the fused form only."""

        def quant8(self, t: np.ndarray, scale: np.ndarray) -> np.ndarray:
            v = np.floor(t.astype(np.float32) * scale + np.float32(0.5))
            return v.clip(-127, 127).astype(np.int8)

    class Careless(FusedBackend):
        """Adds to a trunk without its limits, in the fused form only."""

        def product_add(self, x: Any, layer: Any, q: int, trunk: Any, scale8: Any) -> Any:
            trunk += self.product16(x, layer, q)
            return self.quant8(trunk, scale8)

    assert not self_test(HalvesUp())
    assert not self_test(Saturating())
    assert not self_test(HalfUp())
    assert not self_test(Careless())


def test_backend_is_chosen_by_device_and_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VQCODEC_BACKEND", raising=False)
    assert choose_backend("cpu").name == "fused"
    for name in BACKENDS:
        monkeypatch.setenv("VQCODEC_BACKEND", name)
        assert choose_backend("cpu").name == name
    for name in ("fused",):
        monkeypatch.setenv("VQCODEC_BACKEND", name)
        assert choose_backend("auto").name == name
        for device in ("cuda", "cuda:1", "mps"):
            with pytest.raises(UsageError, match=f"{name} runs on the CPU only"):
                choose_backend(device)
    for wrong in ("fast", "int8"):
        monkeypatch.setenv("VQCODEC_BACKEND", wrong)
        with pytest.raises(UsageError, match="use fused or float32"):
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
    def layer(k: int, bias: int) -> dict[str, np.ndarray]:
        return {
            "x.w": np.full((k, 8), -127, np.int8),
            "x.bias": np.full((1, 8), bias, np.int32),
            "x.scale": np.ones((1, 8), np.float32),
        }

    most = (EXACT - 1) // (127 * 128)
    ExactLinear.load(layer(most, 0), "x", A)
    room = EXACT - 1 - most * 127 * 128
    ExactLinear.load(layer(most, -room), "x", A)
    for k, bias in (
        (most + 1, 0),
        (most, room + 1),
        (most, -room - 1),
        (8, 1 << 24),
        (8, -(1 << 31)),
    ):
        with pytest.raises(WeightsError, match="exact limit"):
            ExactLinear.load(layer(k, bias), "x", A)
    # the wide products reach 16000 times the weights, within 32 bits for every layer that is
    # accepted
    assert 16000 * (EXACT // 128) + EXACT < 1 << 31


def test_depthwise_layers_that_could_overflow_are_refused(tiny_models: dict[str, Any]) -> None:
    d = exact_arrays(tiny_models["inter"])
    ExactBlock(d, "synthesis.blocks16.0", A)
    d["synthesis.blocks16.0.dw.bias"] = np.full_like(d["synthesis.blocks16.0.dw.bias"], 1 << 24)
    with pytest.raises(WeightsError, match="synthesis.blocks16.0.dw"):
        ExactBlock(d, "synthesis.blocks16.0", A)


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
    layer = (
        ints(rng, -128, 127, (k, n), np.int8),
        ints(rng, -(1 << 20), 1 << 20, (2, n), np.int32),
        np.stack([scales(rng, n, 127 / (40 * 40 * k**0.5)) for _ in range(2)]),
    )
    trunk, s8, given = (
        ints(rng, -32767, 32767, (m, n), np.int16),
        scales(rng, n, 127 / 32767),
        scales(rng, k, 0.5),
    )
    found = []
    for b, threads, layout in itertools.product(
        (A, B, C), (1, 3), (lambda v: v, lambda v: v.T.copy().T)
    ):
        torch.set_num_threads(threads)
        summed, v = trunk.copy(), layout(x)
        one = (
            done(b, "product8", v, layer, True),
            done(b, "product8", v, layer, False),
            done(b, "product16", v, layer, 1),
            done(b, "product_add", v, layer, 1, summed, s8),
            summed,
        )
        each = done(b, "product8_each", v, layer)
        found.append((*one, *each, done(b, "wide16", layout(t), given, layer, 1)))
    for other in found[1:]:
        assert all(same(a, b) for a, b in zip(found[0], other, strict=True))


def test_products_are_made_by_the_instructions_they_were_written_for() -> None:
    """A pattern that LLVM no longer knows would be multiplied correctly, and several times
    slower."""
    w, acc = Packed(np.ones((64, 64), np.int8)), np.zeros((product.ROWS, 64), np.int32)
    buffer = np.zeros((product.ROWS, 64), np.int8 if product.QUADS else np.int16)
    kernels = [
        nb.njit(kernel.py_func) for kernel in (product._multiply8, product.multiply16)
    ]  # code out of a cache cannot be looked at
    kernels[0](np.ones((8, 64), np.int8), 0, 4, w.words, buffer, acc)
    kernels[1](np.ones((product.ROWS, 64), np.int16), w.pairs, acc)
    code = "".join(kernel.inspect_asm(kernel.signatures[0]) for kernel in kernels)
    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("the instructions of other processors are not known here")
    assert ("vpdpbusd" in code) == product.QUADS
    assert ("zmm" in code) == (product.LANES == 16)
    assert ("vpdpwssd" if product.QUADS else "pmaddwd") in code
    assert "vpmulld" not in code


@pytest.mark.parametrize("r", [1, 2, 4])
def test_unshuffle_and_shuffle_are_inverse(r: int) -> None:
    array = np.arange(2 * 8 * 12 * 3).reshape(2, 8, 12, 3)
    for x in (array, torch.from_numpy(array)):
        y = unshuffle(x, r)
        assert y.shape == (2, 8 // r, 12 // r, 3 * r * r)
        assert (shuffle(y, r) == x).all()
        assert y[1, 1, 0, ((r - 1) * r + 0) * 3 + 2] == x[1, 2 * r - 1, 0, 2]


def test_samples_are_packed_by_blocks_and_come_back() -> None:
    rng = np.random.default_rng(0)
    y, u, v = planes = tuple(
        rng.integers(0, 1024, size).astype(np.uint16) for size in ((16, 48), (8, 24), (8, 24))
    )
    x, x8 = pack(planes), pack8(planes)
    assert x.shape == (2, 6, 96)
    assert x.dtype == np.int16
    assert x[1, 2, 8 * 3 + 5] == y[11, 21]
    assert x[1, 2, 80] == v[4, 8]
    assert x[1, 2, 64 + 4 * 2 + 3] == u[6, 11]
    assert x8.dtype == np.int8
    assert np.array_equal(x8, (x - 512) >> 2)
    grey = tuple(np.full_like(plane, NEUTRAL) for plane in planes)
    none = np.full((1, 3), CODED_BLOCK, np.uint8)
    assert all(map(np.array_equal, reconstruct(x - NEUTRAL, none, grey), planes))
    blocks = np.array([[CODED_BLOCK, DIRECT_BLOCK, PAINTED_BLOCK]], np.uint8)
    large = ints(rng, -32767, 32767, x.shape, np.int16)
    for shown, plane in zip(reconstruct(large, blocks, planes), planes, strict=True):
        third = plane.shape[1] // 3
        assert np.array_equal(shown[:, third:], plane[:, third:])
        assert shown.max() <= 1023
        assert not np.array_equal(shown[:, :third], plane[:, :third])


def nets(m: Any, b: Any) -> tuple[Prior, Synthesis]:
    d = exact_arrays(m)
    return Prior(d, m.shape, b), Synthesis(d, m.shape, b)


def inputs(
    m: Any, seed: int, n: int = 2, wild: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """z, y in sixteenths and pred8 of n frames of 64x128."""
    rng = np.random.default_rng(seed)
    z = (np.rint(rng.laplace(size=(n, 1, 2, m.shape.hyper))) * 16).astype(np.int16)
    y = np.clip(rng.laplace(size=(n, 4, 8, m.shape.latent)) * 40, -3000, 3000).astype(np.int16)
    pred8 = ints(rng, -128, 127, (n, 8, 16, 96), np.int8) if m.shape.inter else None
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

    def one(i: int) -> np.ndarray | None:
        return None if pred8 is None else pred8[i : i + 1]

    for q in (0, 31, 63):
        ha, hb, hc = (p.context(z, pred8) for p in (pa, pb, pc))
        results = [
            (*(t for k in range(m.shape.steps) for t in p.step(k, h[k], y, q)), s(y, pred8, q))
            for p, h, s in ((pa, ha, sa), (pb, hb, sb), (pc, hc, sc))
        ]
        for a, b, c in zip(*results, strict=True):
            assert same(a, b, c)
        for i in range(3):
            h = pa.context(z[i : i + 1], one(i))
            yi = y[i : i + 1]
            steps = (t for k in range(m.shape.steps) for t in pa.step(k, h[k], yi, q))
            single = (*steps, sa(yi, one(i), q))
            assert all(same(a[i : i + 1], b) for a, b in zip(results[0], single, strict=True))
        assert len(np.unique(results[0][-1])) > 50
        assert len(np.unique(results[0][1])) > 8


def test_classes_beyond_the_last_are_the_last(tiny_models: dict[str, Any]) -> None:
    m = tiny_models["intra"]
    d = exact_arrays(m)
    d["prior.steps.0.scale.scale"] = d["prior.steps.0.scale.scale"] * np.float32(1e6)
    p = Prior(d, m.shape, A)
    z, y, pred8 = inputs(m, 1)
    cls = p.step(0, p.context(z, pred8)[0], y, 30)[1]
    assert set(np.unique(cls).tolist()) <= {0, 15, 39}
    assert (cls == 39).any()
    assert (cls == 0).any()
    normal = nets(m, A)[0]
    cls2 = normal.step(0, normal.context(z, pred8)[0], y, 30)[1]
    assert (cls[cls2 > 15] == 39).all()
    assert (cls[cls2 < 15] == 0).all()


@pytest.mark.parametrize("kind", ["intra", "inter"])
def test_integer_nets_follow_the_fake_quantised_ones(
    tiny_models: dict[str, Any], kind: str
) -> None:
    """The twins differ where a value falls beside the middle of two steps (biases and trunks are
    rounded in the integer nets only).

    One int8 step is 1/127 of an activation's range and moves a value through one layer by about as
    much, so over the few layers of a net the mean difference must stay below 2% of the outputs'
    spread, and no single one may reach a third of their range.
    """
    m = tiny_models[kind]
    prior, synthesis = nets(m, A)
    z, y, pred8 = inputs(m, 2)
    pred = None if pred8 is None else torch.from_numpy(pred8).float() * 4 / 1020 + 512 / 1020 - 0.5
    if m.shape.inter:
        z, y = z[:1], y[:1]
        pred8, pred = pred8[:1], pred[:1]
    m.quantise_aware("quant")
    try:
        with torch.no_grad():
            for q in (8, 40, 63):
                at = anchor_weights(torch.full((y.shape[0],), float(q)))
                latent = torch.from_numpy(y).float() / 16
                h = m.prior.context(torch.from_numpy(z).float() / 16, pred)
                pairs = []
                for k, context in enumerate(prior.context(z, pred8)):
                    mean, cls = prior.step(k, context, y, q)
                    mu, ls = m.prior.steps[k](torch.cat([latent, h], -1) if k else h, at)
                    pairs += [(mean, mu * 16), (cls, (ls * 4 + 15).clamp(0, 39))]
                # latents as the ranges were observed for: larger ones saturate the integers' trunk,
                # which the float nets don't have
                gain = torch.exp(at[:1] @ m.synthesis.log_gain)[0]
                seen = (16 * m.synthesis.a_y.scale * m.synthesis.a_y.top / 2 / gain).to(torch.int16)
                shown = np.clip(y, -seen.numpy(), seen.numpy())
                pairs.append(
                    (
                        synthesis(shown, pred8, q),
                        m.synthesis(torch.from_numpy(shown).float() / 16, pred, at) * 1020,
                    )
                )
                for got, want in pairs:
                    error = (torch.from_numpy(got).float() - want).abs()
                    spread = float(want.std())
                    assert float(error.mean()) < 0.02 * spread + 0.3
                    assert float(error.max()) < 0.33 * float(want.max() - want.min()) + 1
    finally:
        m.quantise_aware("float")
