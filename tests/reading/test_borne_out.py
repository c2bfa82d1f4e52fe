"""Gradual changes are surer where pictures bear them out, and taken back where they do not."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

import numpy as np
import pytest
from support.golden_files import NEWEST

from vqcodec.analysis.model import CAMERAS, CHANGES, TRAITS, Reading
from vqcodec.analysis.shots import find_shots
from vqcodec.container.reader import ContainerReader
from vqcodec.encoding.scene_changes import thumbnail
from vqcodec.reading import borne_out
from vqcodec.reading.borne_out import FileThumbs, _weigh, look_at_changes

FRAMES = 80
DISSOLVE = CHANGES.index("dissolve")


def reading(*spans: tuple[int, int]) -> Reading:
    """What a net would say that is sure of dissolves from some frames to others."""
    change = np.zeros((FRAMES, len(CHANGES)), np.float32)
    change[:, 0] = 1
    for start, stop in spans:
        change[start:stop, [0, DISSOLVE]] = 0.1, 0.9
    nothing = np.zeros(FRAMES, np.float32)
    cameras, traits = np.zeros((FRAMES, len(CAMERAS))), np.zeros((FRAMES, TRAITS))
    return Reading(change, nothing, cameras, nothing, traits)


def film(changes: Sequence[tuple[int, int]]) -> list[np.ndarray]:
    """Thumbnails of a film that dissolves there, from one scene to the next."""
    scenes = np.random.default_rng(3).uniform(10, 240, (len(changes) + 1, 9, 16))
    scenes = scenes.repeat(4, 1).repeat(4, 2).astype(np.float32)
    shares = np.zeros((len(changes) + 1, FRAMES))
    shares[0] = 1
    for number, (start, stop) in enumerate(changes):
        new = np.clip((np.arange(FRAMES) - start + 1) / (stop - start + 1), 0, 1)
        shares[number] *= 1 - new
        shares[number + 1] = new
    return [np.tensordot(share, scenes, 1).astype(np.float32) for share in shares.T]


def found(told: Reading) -> list[tuple[int, int]]:
    return [(s.start, s.settled) for s in find_shots(told)[1:]]


def test_what_is_shown_stays_and_what_is_not_is_taken_back() -> None:
    told, shown = reading((20, 34), (50, 60)), film([(20, 34)])
    asked: list[int] = []

    def thumbs(frames: Sequence[int]) -> list[np.ndarray]:
        assert list(frames) == sorted(frames)
        asked.extend(frames)
        return [shown[n] for n in frames]

    look_at_changes(told, np.zeros(FRAMES, np.uint8), np.zeros(FRAMES, bool), thumbs)
    assert found(told) == [(20, 34)]
    assert np.allclose(told.change.sum(1), 1)
    assert len(asked) == 6  # three of each


def test_where_nothing_is_new_there_is_no_cut_either() -> None:
    """What is taken from a gradual change is not given to a cut that is believed little."""
    told, shown = reading((20, 44)), film([])
    told.change[30, :3] = 0.02, 0.08, 0.9
    assert [s.transition for s in find_shots(told)[1:]] == ["dissolve"]

    def thumbs(frames: Sequence[int]) -> list[np.ndarray]:
        return [shown[n] for n in frames]

    look_at_changes(told, np.zeros(FRAMES, np.uint8), np.zeros(FRAMES, bool), thumbs)
    assert find_shots(told)[1:] == []
    assert np.allclose(told.change.sum(1), 1)


def test_frames_of_low_levels_are_looked_at() -> None:
    """They need the fewest others."""
    level = np.array([0 if n % 8 == 0 else 3 for n in range(FRAMES)], np.uint8)
    asked: list[int] = []

    def thumbs(frames: Sequence[int]) -> None:
        asked.extend(frames)

    look_at_changes(reading((20, 44)), level, np.zeros(FRAMES, bool), thumbs)
    assert asked == [16, 32, 48]


def test_nothing_is_taken_back_where_pictures_are_lost_or_refused() -> None:
    told, lost = reading((20, 34), (50, 60)), np.zeros(FRAMES, bool)
    lost[15:18] = True
    asked: list[int] = []

    def thumbs(frames: Sequence[int]) -> None:
        asked.extend(frames)

    look_at_changes(told, np.zeros(FRAMES, np.uint8), lost, thumbs)
    assert found(told) == [(20, 34), (50, 60)]
    assert len(asked) == 3


def test_a_film_without_gradual_changes_needs_no_picture() -> None:
    told = reading()
    told.change[30, :2] = 0.1, 0.9
    look_at_changes(told, np.zeros(FRAMES, np.uint8), np.zeros(FRAMES, bool), _refuse)
    assert len(found(told)) == 1


def _refuse(frames: Sequence[int]) -> None:
    raise AssertionError(frames)


def test_what_pictures_bear_out_is_believed_with_less() -> None:
    told, shown = reading((20, 34)), film([(20, 34)])
    told.change[20:34, [0, DISSOLVE]] = 0.6, 0.4
    assert found(told) == []

    def thumbs(frames: Sequence[int]) -> list[np.ndarray]:
        return [shown[n] for n in frames]

    look_at_changes(told, np.zeros(FRAMES, np.uint8), np.zeros(FRAMES, bool), thumbs)
    assert found(told) == [(20, 34)]


def test_nothing_new_is_no_change_however_sure_the_net_was() -> None:
    change = np.zeros((1, len(CHANGES)), np.float32)
    change[0, [CHANGES.index("cut"), DISSOLVE]] = 0.6, 0.4
    _weigh(change, 0.0)
    assert change[0].tolist() == [1, *[0] * (len(CHANGES) - 1)]


def test_of_pictures_that_are_looked_at_one_is_held_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However many there are, their thumbnails are all that is kept."""
    planes: list[weakref.ref[np.ndarray]] = []
    held: list[int] = []

    def noted(luma: np.ndarray) -> np.ndarray:
        planes.append(weakref.ref(luma))
        held.append(sum(plane() is not None for plane in planes))
        return thumbnail(luma)

    monkeypatch.setattr(borne_out, "thumbnail", noted)
    with (NEWEST / "motion.vqv").open("rb") as file:
        thumbs = FileThumbs(ContainerReader.open(file), NEWEST / "tiny.safetensors")
        seen = thumbs(range(5))
    assert seen is not None
    assert len(seen) == 5
    assert held == [1] * 5
