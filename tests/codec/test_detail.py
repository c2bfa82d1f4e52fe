"""Detail: the sample-domain residual that makes text and very high quality possible."""

from __future__ import annotations

import numpy as np
import pytest

from vqcodec.codec import detail_syntax
from vqcodec.codec.contexts import CONTEXTS
from vqcodec.codec.range_coder import (
    Decoder,
    Encoder,
    bit_costs,
    new_contexts,
)
from vqcodec.encoding import detail_choice

H, W = 64, 128
WEIGHTS = np.array([0.75, 1.5, 1.5])
DIRECT = (np.arange(H // 16 * W // 16).reshape(H // 16, W // 16) % 3 == 0).astype(np.uint8)


def planes(seed: int, sharp: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)

    def make(h: int, w: int) -> np.ndarray:
        return (
            rng.integers(0, 2, (h, w)) * 900 + 60 if sharp else rng.integers(400, 600, (h, w))
        ).astype(np.uint16)

    return make(H, W), make(H // 2, W // 2), make(H // 2, W // 2)


def code(
    source: tuple, start: tuple, index: int, worth: float, modes: int = 2
) -> tuple[bytes, tuple, np.ndarray]:
    """Choose and code; returns the stream, the refined planes and the cell modes."""
    skip, levels = np.empty((H // 8, W // 8), np.int8), np.empty((H // 8, W // 8, 6, 16), np.int32)
    step = detail_syntax.STEP_TABLE[index]
    coder = Encoder.start(1 << 20, new_contexts(CONTEXTS))
    bits = bit_costs(coder.contexts, np.empty(coder.contexts.shape, np.float32))
    worths = np.full(DIRECT.shape, worth)
    picture = detail_choice.Unrefined(
        source, start, step, worths, WEIGHTS, H, W, DIRECT, bits, modes
    )
    detail_choice.choose(picture, skip, levels, np.empty(skip.shape))
    refined = tuple(p.copy() for p in start)
    detail_syntax.encode_detail(coder, index, step, DIRECT, skip, levels, refined)
    return coder.finished(), refined, skip


@pytest.mark.parametrize("index", [0, 7, 20, 40, 63])
@pytest.mark.parametrize("sharp", [False, True])
def test_the_decoder_refines_as_the_encoder_did(index: int, sharp: bool) -> None:
    source, start = planes(1, sharp), planes(2, False)
    data, refined, _ = code(source, start, index, 1.0)
    got = tuple(p.copy() for p in start)
    coder = Decoder.start(data, new_contexts(CONTEXTS))
    detail_syntax.decode_detail(
        coder,
        detail_syntax.STEP_TABLE,
        DIRECT,
        np.empty((H // 8, W // 8), np.int8),
        got,
    )
    assert coder.left <= 0
    for a, b in zip(refined, got, strict=True):
        assert np.array_equal(a, b)


def test_a_fine_step_leaves_less_error_than_its_own_size() -> None:
    source, start = planes(3, True), planes(4, False)
    _, refined, skip = code(source, start, 6, 1e3)
    assert (skip >= 0).all()
    for a, b in zip(source, refined, strict=True):
        assert np.abs(a.astype(int) - b).max() <= 4  # a step of two samples, dead zone included


def test_worthless_error_is_not_refined() -> None:
    source, start = planes(5, False), planes(6, False)
    data, refined, skip = code(source, start, 40, 1e-9)
    assert (skip == -1).all()
    assert len(data) < 40
    assert all(np.array_equal(a, b) for a, b in zip(start, refined, strict=True))


def test_sharp_edges_choose_samples_and_smooth_ones_the_transform() -> None:
    start = planes(7, False)
    flat = tuple(np.full_like(p, 500) for p in start)
    ramp = (
        np.ascontiguousarray(np.broadcast_to(np.arange(W) * 3 + 300, (H, W)), np.uint16),
        flat[1],
        flat[2],
    )
    dots = (
        np.where(np.random.default_rng(8).random((H, W)) < 0.06, 900, 500).astype(np.uint16),
        flat[1],
        flat[2],
    )
    assert (code(ramp, flat, 30, 0.05)[2] != 1).all()
    assert (code(dots, flat, 24, 0.05, modes=1)[2] != 1).all()
    modes = code(dots, flat, 24, 0.05)[2]
    assert (modes == 1).sum() > (modes == 0).sum()


def test_the_transform_is_orthonormal_within_its_rounding() -> None:
    rng = np.random.default_rng(9)
    out = np.empty(16, np.int64)
    matrix = (
        np.array([[64, 64, 64, 64], [83, 36, -36, -83], [64, -64, -64, 64], [36, -83, 83, -36]])
        / 128
    )  # H.265 equation 8-321
    assert np.abs(matrix @ matrix.T - np.eye(4)).max() < 2e-3
    for _ in range(200):
        levels = rng.integers(-200, 201, 16)
        detail_syntax.inverse(levels, 8, 0, out)
        want = matrix.T @ levels.reshape(4, 4) @ matrix
        assert np.abs(out.reshape(4, 4) - want).max() < 1.0
    assert detail_syntax.step8(0) == 8
    assert all(
        b >= a for a, b in zip(detail_syntax.STEP_TABLE, detail_syntax.STEP_TABLE[1:], strict=False)
    )


def costs(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Random contexts, and what their bits cost."""
    start = np.random.default_rng(seed).integers(4000, 61000, CONTEXTS).astype(np.uint16)
    ctx = np.stack([start, start], 1)
    return ctx, bit_costs(ctx, np.empty(ctx.shape, np.float32))


@pytest.mark.parametrize("skip", [0, 1])
@pytest.mark.parametrize("chroma", [0, 1])
def test_the_expected_bits_of_a_block_are_those_it_takes(skip: int, chroma: int) -> None:
    rng = np.random.default_rng(8)
    expected, taken = 0.0, 0
    for i in range(300):
        ctx, bits = costs(i)
        levels = np.round(rng.laplace(0, 3, 16) * (rng.random(16) < 0.5)).astype(np.int32)
        levels[0] = levels[0] or 40
        coder = Encoder.start(4096, ctx)
        for _ in range(
            8
        ):  # each time with the contexts as they were: the ends of streams must not count much
            detail_syntax._encode_block(coder._replace(contexts=ctx.copy()), levels, skip, chroma)
        taken += len(coder.finished()) * 8
        expected += 8 * detail_choice._block_bits(levels, skip, chroma, bits)
    assert abs(taken / expected - 1) < 0.03  # contexts adapt a little within a block
    assert detail_choice._block_bits(np.zeros(16, np.int32), skip, chroma, bits) == 0


@pytest.mark.parametrize("skip", [0, 1])
def test_levels_cost_no_more_than_rounded_ones(skip: int) -> None:
    rng, won = np.random.default_rng(9), 0
    for i in range(200):
        bits = costs(i)[1]
        v, unit = rng.laplace(0, 1.0, 16), float(rng.uniform(2, 12))

        def cost(
            levels: np.ndarray, v: np.ndarray = v, unit: float = unit, bits: np.ndarray = bits
        ) -> float:
            return float(((v - levels) ** 2).sum()) * unit + detail_choice._block_bits(
                levels.astype(np.int32), skip, 0, bits
            )

        levels = np.empty(16, np.int32)
        written = detail_choice._optimise(v, levels, skip, 0, unit, bits)
        assert written == pytest.approx(detail_choice._block_bits(levels, skip, 0, bits))
        rounded = np.trunc(np.abs(v) + detail_choice.ROUND) * np.sign(v)
        assert cost(levels) <= cost(rounded) + 1e-6
        won += cost(levels) < cost(rounded) - 0.5
    assert won > 50
