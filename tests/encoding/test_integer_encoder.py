"""The encoder's own nets in integers: what they compute, and that it hangs on no processor."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from support.clips import moving

from vqcodec.codec.frame_decoder import pad
from vqcodec.codec.nets.tiles import Tiles
from vqcodec.codec.weights import default_path
from vqcodec.encoding import latent_refinement
from vqcodec.encoding.float_gradient import by_floats
from vqcodec.encoding.frame_encoder import FrameEncoder
from vqcodec.encoding.frame_motion import intra_motion
from vqcodec.encoding.frame_task import FrameTask
from vqcodec.encoding.frame_trials import FrameTrials
from vqcodec.encoding.latent_refinement import Shown
from vqcodec.encoding.model import load_model
from vqcodec.encoding.nets.depthwise import back_depthwise, depthwise
from vqcodec.encoding.nets.integer_analysis import _compressed
from vqcodec.encoding.nets.row_products import RowWeights

F = np.float32


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(F)


def words(seed: int, k: int, n: int, top: int = 127) -> np.ndarray:
    kind = np.int8 if top < 128 else np.int16
    return np.random.default_rng(seed).integers(-top, top + 1, (k, n)).astype(kind)


@pytest.mark.parametrize(
    ("m", "k", "n", "top"), [(1, 1, 1, 127), (37, 96, 50, 127), (9, 260, 33, 2047)]
)
def test_rows_are_rounded_and_multiplied_exactly(m: int, k: int, n: int, top: int) -> None:
    """Every operation is one that IEEE 754 defines, in an order that is written down."""
    x, w = normal(0, m, k), words(1, k, n, top)
    x[0] = 0
    scale, bias = abs(normal(2, n)) + F(0.5), normal(3, n)
    weights = RowWeights(w)
    most = np.abs(x).max(1, keepdims=True)
    by = np.divide(weights.top, most, out=np.zeros_like(most), where=most > 0)
    rounded = np.rint(np.clip(x * by, -weights.top, weights.top)).astype(np.int64)
    total = rounded @ w.astype(np.int64)
    assert np.abs(total).max() < 2**31
    want = total.astype(F) * (most / weights.top) * scale + bias
    assert np.array_equal(weights.times(x, scale, bias), want)
    assert np.array_equal(
        weights.times(x, scale, bias, leaky=True), np.where(want >= 0, want, want * F(0.125))
    )
    to = normal(4, m, n)
    added = to + want
    weights.added(x, scale, bias, to)
    assert np.array_equal(to, added)


def test_no_weights_overflow_an_accumulator() -> None:
    """The worst input of the worst weights: rows get fewer bits."""
    weights = RowWeights(np.full((6144, 16), 127, np.int8))
    assert weights.top < 32767
    out = weights.times(np.ones((1, 6144), F), np.ones(16, F), np.zeros(16, F))
    assert np.allclose(out, 6144 * 127)


@pytest.mark.parametrize("n", [5, 37])  # channels: fewer than a vector has, and more
def test_gradients_go_back_as_sums_say(n: int) -> None:
    tiles = Tiles.of(np.array([[[1, 0], [1, 1]]], bool), _Plain())
    near, rows = tiles.at8.near, len(tiles.at8.at)
    taps, g = normal(0, 9, n), normal(1, rows, n)
    seen, turned = np.ones((rows, n), np.int8), np.ascontiguousarray(taps[::-1])
    back = np.empty_like(g)
    back_depthwise(g, 0, rows, near, turned, seen, back)
    x = normal(2, rows, n)
    forward = np.empty_like(x)
    depthwise(x, 0, rows, near, taps, np.zeros(n, F), forward)
    # <g, A x> = <A^T g, x>
    assert math.isclose(float((g * forward).sum()), float((back * x).sum()), rel_tol=1e-4)
    seen[:] = 127
    back_depthwise(g, 0, rows, near, turned, seen, back)
    assert not back.any()


class _Plain:
    """A backend as far as tiles need one."""

    name, device = "plain", "cpu"

    def array(self, a: np.ndarray) -> np.ndarray:
        return a


def test_the_gradient_is_that_of_the_floats() -> None:
    """Both behind the real nets; the floats don't round, so they agree nearly, not exactly."""
    codec = load_model(default_path(), "cpu", 1)
    coder, source = FrameEncoder(codec, 320, 192), pad(moving(320, 192, 1)[0], 320, 192)
    trials = FrameTrials(
        coder, coder.rate, task := FrameTask(source, 0, 0, 30, []), intra_motion(coder, task)
    )
    layout = trials.plain(trials.all_coded)
    y = trials.quantise(trials.analyse(30), 30, layout).y
    shown = Shown.of(trials, layout)
    error, gradient = latent_refinement._by_integers(codec.gradients["intra"], shown, 30)(y)
    close, floats = by_floats(codec.intra.synthesis, "float32", shown, 30)(y)
    assert math.isclose(error, close, rel_tol=0.02)
    assert np.corrcoef(gradient().ravel(), floats().ravel())[0, 1] > 0.95


def test_the_analysis_is_that_of_the_floats(tiny_weights: Path) -> None:
    for path in (tiny_weights, default_path()):
        codecs = [load_model(path, "cpu", 1, name) for name in ("integers", "float32")]
        found = []
        for codec in codecs:
            coder, source = FrameEncoder(codec, 128, 64), pad(moving(128, 64, 1)[0], 128, 64)
            task = FrameTask(source, 0, 0, 30, [])
            found.append(
                FrameTrials(coder, coder.rate, task, intra_motion(coder, task)).analyse(30)
            )
        for ours, floats in zip(*found, strict=True):
            assert np.abs(ours - floats).max() < 0.02 * np.abs(floats).max()


def test_what_is_not_arithmetic_is_computed_by_arithmetic() -> None:
    y = np.concatenate([normal(0, 4, 50) * 100, normal(1, 4, 50), np.zeros((4, 1), F)], 1)
    assert np.allclose(_compressed(y), np.arcsinh(2.0 * y), rtol=1e-6, atol=1e-7)
