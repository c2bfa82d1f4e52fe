"""Blocking and flicker: of pictures whose figures are known, and of bad frames only."""

from __future__ import annotations

import numpy as np
import pytest

from vqcodec.bench.visible_faults import VisibleFaults

H, W = 64, 96


def ramp(slope: float = 0.5) -> np.ndarray:
    return np.broadcast_to(40 + slope * np.arange(W), (H, W)) + slope * np.arange(H)[:, None]


def measured(frames: list[tuple[np.ndarray, np.ndarray]]) -> VisibleFaults:
    faults = VisibleFaults()
    for source, shown in frames:
        faults.add(source, shown)
    return faults


@pytest.mark.parametrize("depth", [8, 10])
def test_a_slope_has_no_grid(depth: int) -> None:
    source = ramp()
    shown = np.rint(source * (1 << depth - 8)) / (1 << depth - 8)
    assert measured([(source, ramp())]).blocking == pytest.approx(1)
    assert measured([(source, shown)]).blocking == pytest.approx(1, abs=0.15)


def test_steps_over_the_grid_count_against_those_inside() -> None:
    """Blocks of 8x8 that are 1 higher than the one before, on a slope of 0.5: 1.5 against 0.5."""
    stairs = ramp() + np.arange(W) // 8 + (np.arange(H) // 8)[:, None]
    assert measured([(ramp(), stairs)]).blocking == pytest.approx(3)
    moved = np.roll(stairs, (3, 3), (0, 1))[8:, 8:]  # the same steps beside the grid
    assert (measured([(ramp()[8:, 8:], moved)]).blocking or 9) < 1


def test_what_is_not_smooth_in_the_source_does_not_count() -> None:
    edges = ramp() + 30 * (np.arange(W) // 8 % 2)
    assert measured([(edges, edges)]).blocking == pytest.approx(1)
    noise = np.random.default_rng(1).uniform(0, 255, (H, W))
    assert measured([(noise, noise)]).blocking is None


def test_flat_or_tiny_pictures_have_no_blocking() -> None:
    assert measured([(np.zeros((H, W)), np.zeros((H, W)))]).blocking is None
    assert measured([(np.zeros((1, 1)), np.ones((1, 1)))] * 3).blocking is None
    assert measured([(np.zeros((1, 1)), np.ones((1, 1)))] * 3).flicker is None


def test_flicker_is_change_that_the_source_has_not() -> None:
    rng = np.random.default_rng(2)
    source = [ramp() + rng.choice([-0.5, 0.5], (H, W)) for _ in range(3)]
    steady = [(s, ramp()) for s in source]
    assert measured(steady).flicker == pytest.approx(-0.5, abs=0.02)
    pumping = [(ramp(), ramp() + 2 * (i % 2)) for i in range(3)]
    assert measured(pumping).flicker == pytest.approx(2)
    cut = [(ramp() + 40 * i, ramp()) for i in range(3)]  # nothing is still in the source
    assert measured(cut).flicker is None


def test_only_still_blocks_flicker() -> None:
    moving = np.zeros((H, W))
    moving[:, : W // 2] = 100
    frames = [(moving * i, moving * 2 * i + (i % 2)) for i in range(2)]
    assert measured(frames).flicker == pytest.approx(1)
