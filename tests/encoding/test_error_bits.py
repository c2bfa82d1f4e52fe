"""Bits that the error of a picture is worth: every sample inside of it counts once."""

from __future__ import annotations

import numpy as np
import pytest

from vqcodec.codec import direct_map
from vqcodec.encoding.block_facts import total_squares
from vqcodec.encoding.error_worth import error_bits
from vqcodec.encoding.frame_task import FrameTask
from vqcodec.encoding.rate_distortion import LEVEL_OFFSETS, RateParameters, plane_weights
from vqcodec.metrics import squared_error
from vqcodec.picture import Picture

H, W = 64, 128


@pytest.mark.parametrize("weighed", [False, True])
def test_error_is_weighed_by_block_and_plane(weighed: bool) -> None:
    rng, rate = np.random.default_rng(1), RateParameters()
    sizes = (H, W), (H // 2, W // 2), (H // 2, W // 2)
    source, shown = ([rng.integers(0, 1024, s).astype(np.uint16) for s in sizes] for _ in range(2))
    all_coded = direct_map.all_coded_map(60, 100)  # seven of eight columns of blocks are shown
    worths = rng.random(all_coded.shape).astype(np.float32) if weighed else None
    task = FrameTask(tuple(source), 0, 0, 30, [], worths=worths)  # type: ignore[arg-type]
    want = 0.0
    for weight, a, b, side in zip(task.plane_weights, source, shown, (16, 8, 8), strict=True):
        each = np.kron(
            np.ones(all_coded.shape) if worths is None else worths, np.ones((side, side))
        )
        each[:, 7 * side :] = 0
        want += weight * float((each * (a.astype(float) - b) ** 2).sum())
    got = error_bits(task, tuple(shown), rate, all_coded)  # type: ignore[arg-type]
    assert got == pytest.approx(want * rate.detail(30)[1])


@pytest.mark.parametrize("top", [256, 1024])
def test_the_encoder_counts_errors_as_whoever_measures_does(top: int) -> None:
    rng = np.random.default_rng(2)
    sizes = (37, 50), (19, 25), (19, 25)
    kind = np.uint8 if top == 256 else np.uint16
    source = Picture(*(rng.integers(0, top, size).astype(kind) for size in sizes))
    shown = Picture(*(rng.integers(0, 1024, size).astype(np.uint16) for size in sizes))
    assert np.array_equal(total_squares(shown, source), squared_error(shown, source))


def test_chroma_weighs_more_the_lower_the_quality() -> None:
    """At low crfs its error is a tenth of luma's, and its weight would not keep its colours."""
    weights = [plane_weights(quality, 1) for quality in range(-20, 80)]
    assert all(y == 0.75 and u == v for y, u, v in weights)
    chroma = [u for _, u, _ in weights]
    assert chroma == sorted(chroma, reverse=True)
    assert chroma[-1] == 1.5
    assert chroma[0] == pytest.approx(3, rel=0.01)
    # frames between the key frames weigh as those do, though they aim at less
    assert plane_weights(50 + LEVEL_OFFSETS[6], 6) == plane_weights(50, 1)
