"""The net behind shots."""

from __future__ import annotations

import numpy as np
import pytest

from vqcodec.analysis import model
from vqcodec.analysis.features import NAMES
from vqcodec.analysis.model import ShotModel


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
