from __future__ import annotations

import numpy as np
import pytest

from vqcodec.analysis.model import CHANGES, TRAITS, Reading
from vqcodec.analysis.shots import find_shots


def reading(frames: int, **where: list[tuple[int, int, float]]) -> Reading:
    """What a net would say: by kind of change the first frame, the one behind, the probability."""
    change = np.zeros((frames, len(CHANGES)), np.float32)
    for kind, spans in where.items():
        for start, stop, probability in spans:
            change[start:stop, CHANGES.index(kind)] = probability
    change[:, 0] = 1 - change[:, 1:].sum(1)
    nothing = np.zeros(frames, np.float32)
    return Reading(change, nothing, np.zeros((frames, 4)), nothing, np.zeros((frames, TRAITS)))


def test_a_shot_begins_at_the_frame_of_its_cut() -> None:
    shots = find_shots(reading(60, cut=[(20, 21, 0.9), (41, 42, 0.8)]))
    assert [(s.start, s.end, s.transition) for s in shots] == [
        (0, 20, "start"),
        (20, 41, "cut"),
        (41, 60, "cut"),
    ]
    assert shots[1].confidence == pytest.approx(0.9)


def test_a_cut_told_on_two_frames_is_one_cut() -> None:
    shots = find_shots(reading(60, cut=[(20, 21, 0.4), (21, 22, 0.3)]))
    assert [s.start for s in shots] == [0, 20]


def test_a_dissolve_begins_a_shot_at_its_first_frame_and_settles_behind_its_last() -> None:
    shots = find_shots(reading(80, dissolve=[(30, 45, 0.9)], cut=[(37, 38, 0.1)]))
    assert [(s.start, s.end, s.transition, s.settled) for s in shots] == [
        (0, 30, "start", 0),
        (30, 80, "dissolve", 45),
    ]


def test_kind_is_what_most_of_the_frames_say() -> None:
    shots = find_shots(reading(80, wipe=[(30, 34, 0.8)], fade=[(34, 45, 0.9)]))
    assert [s.transition for s in shots] == ["start", "fade"]


@pytest.mark.parametrize("first", [0, 1, 2])
def test_fades_at_both_ends_begin_no_shot(first: int) -> None:
    assert len(find_shots(reading(80, fade=[(first, 10, 0.9), (70, 80, 0.9)]))) == 1


def test_fast_motion_up_to_a_cut_is_no_wipe() -> None:
    shots = find_shots(reading(80, wipe=[(33, 40, 0.6)], cut=[(40, 41, 0.9)]))
    assert [(s.start, s.transition) for s in shots] == [(0, "start"), (40, "cut")]


def test_a_cut_told_at_the_end_of_a_dissolve_is_part_of_it() -> None:
    shots = find_shots(reading(80, dissolve=[(33, 40, 0.85)], cut=[(40, 41, 0.9)]))
    assert [(s.start, s.transition) for s in shots] == [(0, "start"), (33, "dissolve")]


def test_threshold_leaves_out_what_is_less_certain() -> None:
    seen = reading(60, cut=[(20, 21, 0.6), (40, 41, 0.9)])
    assert [s.start for s in find_shots(seen, 0.7)] == [0, 40]


@pytest.mark.parametrize("threshold", [0.0, 0.02, 0.1])
def test_a_low_threshold_loses_no_shot(threshold: float) -> None:
    """What the net says of frames of no change is not taken for one long dissolve."""
    seen = reading(60, cut=[(20, 21, 0.6), (40, 41, 0.9)], dissolve=[(0, 60, 0.06)])
    assert {20, 40} <= {s.start for s in find_shots(seen, threshold)}


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_very_short_videos_are_one_shot(frames: int) -> None:
    shots = find_shots(reading(frames))
    assert [(s.start, s.end) for s in shots] == [(0, frames)]


def test_no_frames_no_shots() -> None:
    assert find_shots(reading(0)) == []
