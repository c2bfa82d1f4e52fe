"""Detail: the sample-domain residual that makes text and very high quality possible."""

from __future__ import annotations

import numpy as np
import pytest

from vqcodec import detail
from vqcodec.entropy import consumed, decoder_state, encoder_state, finish, new_contexts
from vqcodec.motion.code import CONTEXTS

H, W = 64, 128
WEIGHTS = np.array([0.75, 1.5, 1.5])
DIRECT = (np.arange(H // 16 * W // 16).reshape(H // 16, W // 16) % 3 == 0).astype(np.uint8)


def planes(seed: int, sharp: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    make = lambda h, w: (rng.integers(0, 2, (h, w)) * 900 + 60 if sharp else rng.integers(400, 600, (h, w))).astype(np.uint16)
    return make(H, W), make(H // 2, W // 2), make(H // 2, W // 2)


def code(source: tuple, start: tuple, index: int, worth: float) -> tuple[np.ndarray, tuple, np.ndarray]:
    """Choose and code; returns the stream, the refined planes and the cell modes."""
    skip, levels = np.empty((H // 8, W // 8), np.int8), np.empty((H // 8, W // 8, 6, 16), np.int32)
    step = detail.STEP_TABLE[index]
    detail.choose(source, start, step, worth, WEIGHTS, H, W, skip, levels, np.empty(skip.shape))
    st, out, ctx = encoder_state(), np.empty(1 << 20, np.uint8), new_contexts(CONTEXTS)
    refined = tuple(p.copy() for p in start)
    detail.encode_detail(st, out, ctx, index, step, DIRECT, skip, levels, refined)
    return out[: int(finish(st, out))].copy(), refined, skip


@pytest.mark.parametrize("index", [0, 7, 20, 40, 63])
@pytest.mark.parametrize("sharp", [False, True])
def test_the_decoder_refines_as_the_encoder_did(index: int, sharp: bool) -> None:
    source, start = planes(1, sharp), planes(2, False)
    data, refined, _ = code(source, start, index, 1.0)
    got = tuple(p.copy() for p in start)
    st = decoder_state(data)
    detail.decode_detail(st, data, new_contexts(CONTEXTS), detail.STEP_TABLE, DIRECT, np.empty((H // 8, W // 8), np.int8), got)
    assert consumed(st)
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
    assert (skip == -1).all() and data.size < 40
    assert all(np.array_equal(a, b) for a, b in zip(start, refined, strict=True))


def test_sharp_edges_choose_samples_and_smooth_ones_the_transform() -> None:
    start = planes(7, False)
    flat = tuple(np.full_like(p, 500) for p in start)
    ramp = (np.ascontiguousarray(np.broadcast_to(np.arange(W) * 3 + 300, (H, W)), np.uint16), flat[1], flat[2])
    dots = (np.where(np.random.default_rng(8).random((H, W)) < 0.06, 900, 500).astype(np.uint16), flat[1], flat[2])
    assert (code(ramp, flat, 30, 0.05)[2] != 1).all()
    modes = code(dots, flat, 24, 0.05)[2]
    assert (modes == 1).sum() > (modes == 0).sum()


def test_the_transform_is_orthonormal_within_its_rounding() -> None:
    rng = np.random.default_rng(9)
    out = np.empty(16, np.int64)
    matrix = np.array([[64, 64, 64, 64], [83, 36, -36, -83], [64, -64, -64, 64], [36, -83, 83, -36]]) / 128  # H.265 equation 8-321
    assert np.abs(matrix @ matrix.T - np.eye(4)).max() < 2e-3
    for _ in range(200):
        levels = rng.integers(-200, 201, 16)
        detail.inverse(levels, 8, 0, out)
        want = matrix.T @ levels.reshape(4, 4) @ matrix
        assert np.abs(out.reshape(4, 4) - want).max() < 1.0
    assert detail.step8(0) == 8 and all(b >= a for a, b in zip(detail.STEP_TABLE, detail.STEP_TABLE[1:], strict=False))
