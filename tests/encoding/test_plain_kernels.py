"""The stand-ins of compiled functions say what these say."""

from __future__ import annotations

import numpy as np
import pytest
from support import plain_kernels

from vqcodec.encoding import scene_changes


@pytest.mark.parametrize("shape", [(36, 64), (24, 32), (1, 1), (7, 13), (36, 61)])
def test_plain_kernels_are_the_compiled_ones(shape: tuple[int, int]) -> None:
    assert (plain_kernels.BLOCK, plain_kernels.REACH) == (
        scene_changes._BLOCK,
        scene_changes._REACH,
    )
    before, after = np.random.default_rng(1).uniform(0, 255, (2, *shape)).astype(np.float32)
    moved = scene_changes._moved_residual(before, after)
    assert np.allclose(plain_kernels.moved_residual(before, after), moved, rtol=1e-5)
    assert np.allclose(plain_kernels.texture(after), scene_changes._texture(after), rtol=1e-5)
    luma = after.repeat(3, 0).repeat(2, 1).astype(np.uint8)
    rows, columns = (
        np.arange(0, size, step) for size, step in zip(luma.shape, (2, 3), strict=True)
    )
    sums = scene_changes._box_sums(luma, rows, columns)
    assert np.array_equal(plain_kernels.box_sums(luma, rows, columns), sums)
