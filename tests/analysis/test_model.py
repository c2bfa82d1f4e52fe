"""The net behind shots."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from safetensors.numpy import load_file

from vqcodec.analysis import model
from vqcodec.analysis.features import NAMES
from vqcodec.analysis.model import ShotModel
from vqcodec.codec.weights import released
from vqcodec.errors import WeightsError


@pytest.mark.parametrize("block", [1, 7, 100])
def test_a_file_in_blocks_reads_as_the_whole(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour is taken in blocks of frames; where they end changes nothing."""
    rows = np.random.default_rng(0).normal(0, 1, (100, len(NAMES))).astype(np.float32)
    whole = ShotModel.load()(rows)
    monkeypatch.setattr(model, "BLOCK", block)
    for part, all_at_once in zip(ShotModel.load()(rows), whole, strict=True):
        assert np.array_equal(part, all_at_once)


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_very_short_files_are_read(frames: int) -> None:
    reading = ShotModel.load()(np.zeros((frames, len(NAMES)), np.float32))
    assert [len(part) for part in reading] == [frames] * 5


def test_an_hour_takes_little_memory() -> None:
    """What lies between the rows and the answer is kept of one direction and of a block alone."""
    frames = 20_000
    rows = np.random.default_rng(1).normal(0, 1, (frames, len(NAMES))).astype(np.float32)
    net = ShotModel.load()
    net(rows[:10])
    tracemalloc.start()
    try:
        net(rows)
        used = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert used / frames < 900


def test_weights_for_other_numbers_of_a_frame_are_refused() -> None:
    weights = load_file(released(model.NAME))
    weights["in.weight"] = weights["in.weight"][:-1]
    with pytest.raises(WeightsError, match=f"takes {len(NAMES) - 1} numbers"):
        ShotModel(weights)
