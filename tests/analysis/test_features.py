from __future__ import annotations

import numpy as np
import pytest

from vqcodec.analysis.features import NAMES, FeatureRows, FrameFacts, ended_full, mirrored
from vqcodec.codec.direct_map import DIRECT_BLOCK, all_coded_map
from vqcodec.codec.motion_compensation import BI, L0, L1
from vqcodec.codec.motion_field import Field

WIDTH, HEIGHT = 192, 128
BACK, AHEAD = -3, 5  # frames to the references


def facts(field: Field, blocks: np.ndarray | None = None) -> FrameFacts:
    """A frame of level 3 with this motion."""
    kinds = all_coded_map(HEIGHT, WIDTH) if blocks is None else blocks
    return FrameFacts(3, 30, False, False, 4000, 900.0, 200.0, field, kinds, 40)


def moving(right: np.ndarray, down: np.ndarray) -> Field:
    """Cells that move so many samples in a frame's time, predicted from both sides."""
    field = Field.empty(HEIGHT, WIDTH, BACK, AHEAD)
    field.direction[:] = BI
    for which, distance in enumerate((BACK, AHEAD)):
        field.mv[:, :, which, 0] = np.rint(4 * distance * down)
        field.mv[:, :, which, 1] = np.rint(4 * distance * right)
    return field


def row(frame: FrameFacts) -> dict[str, float]:
    """The numbers of the second frame of a GOP by their names."""
    rows = FeatureRows(WIDTH, HEIGHT, 8, 16)
    rows.add([frame, frame])
    return dict(zip(NAMES, rows.rows()[1].tolist(), strict=True))


CELLS = np.mgrid[0 : HEIGHT // 8, 0 : WIDTH // 8]


def test_pan_is_told_in_shares_of_the_width() -> None:
    still = np.zeros(CELLS.shape[1:])
    told = row(facts(moving(still + 2.0, still - 1.0)))
    assert told["right"] == pytest.approx(100 * 2.0 / WIDTH, rel=0.02)
    assert told["down"] == pytest.approx(-100 * 1.0 / WIDTH, rel=0.02)
    assert abs(told["zoom"]) < 0.02
    assert told["unlike"] < 0.02
    assert told["disagreement"] < 0.01


def test_zoom_is_told_and_is_no_pan() -> None:
    rate = 0.02
    down = rate * (8 * CELLS[0] + 4 - HEIGHT / 2)
    right = rate * (8 * CELLS[1] + 4 - WIDTH / 2)
    told = row(facts(moving(right, down)))
    assert told["zoom"] == pytest.approx(100 * rate, rel=0.05)
    assert abs(told["right"]) < 0.05
    assert abs(told["turn"]) < 0.05


def test_few_blocks_that_move_alone_leave_the_camera_still() -> None:
    right = np.zeros(CELLS.shape[1:])
    right[4:9, 3:9] = 6
    told = row(facts(moving(right, 0 * right)))
    assert abs(told["right"]) < 0.1
    assert told["unlike"] > 0.05


def test_rows_of_a_mirrored_field_are_the_mirrored_rows() -> None:
    rng = np.random.default_rng(3)
    shape = CELLS.shape[1:]
    field = moving(rng.normal(1, 2, shape), rng.normal(0, 1, shape))
    field.direction[:] = rng.choice([L0, L1, BI], shape)
    field.depth[:] = rng.integers(0, 4, shape)
    blocks = all_coded_map(HEIGHT, WIDTH)
    blocks[rng.random(blocks.shape) < 0.3] = DIRECT_BLOCK
    other = Field(
        field.direction[:, ::-1].copy(),
        field.mv[:, ::-1] * np.array([1, -1], np.int16),
        field.depth[:, ::-1].copy(),
        field.merged[:, ::-1].copy(),
        field.chosen[:, ::-1].copy(),
        field.dist,
        field.sets,
        field.blends,
    )
    plain, seen = FeatureRows(WIDTH, HEIGHT, 8, 16), FeatureRows(WIDTH, HEIGHT, 8, 16)
    plain.add([facts(field, blocks)])
    seen.add([facts(other, blocks[:, ::-1].copy())])
    assert np.allclose(mirrored(plain.rows()), seen.rows(), atol=1e-4)
    assert not np.allclose(plain.rows(), seen.rows(), atol=1e-2)


def test_lost_frames_have_a_row_of_their_own() -> None:
    field = moving(*np.zeros((2, *CELLS.shape[1:])))
    rows = FeatureRows(WIDTH, HEIGHT, 8, 16)
    rows.add([facts(field), None, facts(field)])
    told = rows.rows()
    lost = NAMES.index("lost")
    assert told[:, lost].tolist() == [0, 1, 0]
    assert np.isfinite(told).all()
    assert told.dtype == np.float32
    assert np.count_nonzero(told[1, NAMES.index("quality") :]) == 0


def test_no_gop_no_row() -> None:
    assert FeatureRows(WIDTH, HEIGHT, 8, 0).rows().shape == (0, len(NAMES))


def test_the_end_of_a_full_gop_is_no_cut() -> None:
    field = moving(*np.zeros((2, *CELLS.shape[1:])))
    rows = FeatureRows(WIDTH, HEIGHT, 4, 16)
    for length in (4, 4, 3, 4):
        rows.add([facts(field)] * length)
    # the first frame of the video, those behind the first, the second, and not behind the third
    assert np.flatnonzero(ended_full(rows.rows())).tolist() == [0, 4, 8]
    alone = FeatureRows(WIDTH, HEIGHT, 4, 16)
    for length in (3, 4, 2):
        alone.add([facts(field)] * length)
    assert not ended_full(alone.rows())[7]


def test_a_gop_is_cut_short_by_one_frame_as_surely_as_by_many() -> None:
    """A cut ended it either way."""
    frame = facts(Field.empty(HEIGHT, WIDTH, BACK, AHEAD))
    rows = FeatureRows(WIDTH, HEIGHT, 128, 400)
    for count in (128, 127, 64, 10):
        rows.add([frame] * count)
    told = rows.rows()[[128, 255, 319], NAMES.index("GOP before cut short")].tolist()
    assert told[0] == 0
    assert told[1] >= 0.1
    assert told[2] == pytest.approx(0.5)
