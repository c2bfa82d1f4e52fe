"""Where vectors leave open what a camera does, pictures tell it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from vqcodec.analysis.camera_path import CameraPath
from vqcodec.analysis.model import CAMERAS, CHANGES, TRAITS, Reading
from vqcodec.analysis.registration import Similarity
from vqcodec.reading.seen_cameras import look_at_cameras, told_cameras

FRAMES, ROWS, COLUMNS = 60, 36, 64
SCENE = np.random.default_rng(2).uniform(20, 230, (20, 50)).repeat(4, 0).repeat(4, 1)
KERNEL = np.ones(5) / 5
PAN, STILL = CAMERAS.index("pan"), CAMERAS.index("still")


def seen_at(right: int) -> np.ndarray:
    """A thumbnail of a camera that stands so many samples to the right."""
    part = SCENE[10 : 10 + ROWS + 4, right : right + COLUMNS + 4]
    soft = np.apply_along_axis(np.convolve, 1, part, KERNEL, "valid")
    return np.asarray(np.apply_along_axis(np.convolve, 0, soft, KERNEL, "valid"), np.float32)


def reading(sure: int | None = None, frames: int = FRAMES) -> Reading:
    """One shot; the net knows nothing of its camera, or is sure of it."""
    change = np.zeros((frames, len(CHANGES)), np.float32)
    change[:, 0] = 1
    cameras = np.full((frames, len(CAMERAS)), 0.25)
    if sure is not None:
        cameras[:] = np.eye(len(CAMERAS))[sure]
    nothing = np.zeros(frames, np.float32)
    return Reading(change, nothing, cameras, nothing, np.zeros((frames, TRAITS)))


class Pictures:
    """Those of a pan of a sample a frame, as they are asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, frames: Sequence[int]) -> list[np.ndarray]:
        assert list(frames) == sorted(set(frames))
        self.asked += frames
        return [seen_at(n) for n in frames]


def levels() -> np.ndarray:
    return np.array([6 - (n & -n).bit_length() if n else 0 for n in range(FRAMES)], np.uint8)


def told(net: Reading, path: CameraPath) -> str:
    return CAMERAS[told_cameras(net, path, 0, FRAMES).argmax()]


def test_a_pan_that_no_vector_tells_of_is_seen() -> None:
    net, path, pictures = reading(), CameraPath(128, 72, FRAMES), Pictures()
    look_at_cameras(net, path, levels(), np.zeros(FRAMES, bool), pictures)
    assert told(net, path) == "pan"
    assert 5 <= len(pictures.asked) <= 9  # few, and those that need few others
    assert levels()[pictures.asked].max() < levels().max()
    steps = path.moves[pictures.asked[0] + 1 : pictures.asked[-1], 0]
    assert abs(COLUMNS * steps - 1).max() < 0.1


def test_what_is_sure_is_not_looked_at() -> None:
    net, path, pictures = reading(sure=STILL), CameraPath(128, 72, FRAMES), Pictures()
    look_at_cameras(net, path, levels(), np.zeros(FRAMES, bool), pictures)
    assert told(net, path) == "still"
    assert not pictures.asked


@pytest.mark.parametrize("level", [0, 3])
def test_frames_of_one_level_are_taken_evenly(level: int) -> None:
    net, path, pictures = reading(), CameraPath(128, 72, FRAMES), Pictures()
    look_at_cameras(net, path, np.full(FRAMES, level), np.zeros(FRAMES, bool), pictures)
    assert np.diff(pictures.asked).max() <= 6
    assert len(pictures.asked) == 9


def test_lost_frames_and_pictures_that_do_not_match_leave_it_to_the_net() -> None:
    net, path = reading(), CameraPath(128, 72, FRAMES)
    lost = np.zeros(FRAMES, bool)
    lost[30] = True
    look_at_cameras(net, path, levels(), lost, Pictures())
    rng = np.random.default_rng(1)

    def others(frames: Sequence[int]) -> list[np.ndarray]:
        return [rng.uniform(0, 255, (ROWS, COLUMNS)).astype(np.float32) for _ in frames]

    look_at_cameras(net, path, levels(), np.zeros(FRAMES, bool), others)
    look_at_cameras(net, path, levels(), np.zeros(FRAMES, bool), lambda frames: None)
    assert not path.apart.any()


def test_away_from_the_pictures_vectors_still_tell_what_the_camera_does() -> None:
    """Of a long shot only the middle is looked at: it speaks for the shot, and for no other part
    that is asked for alone, as seconds are.
    """
    long = 5 * FRAMES
    net, path = reading(frames=long), CameraPath(128, 72, long)
    path.moves[:, 0] = 0.1 * 1j ** np.arange(long)  # a hand that shakes
    path.trust[:20] = 1000
    before = told_cameras(net, path, 0, 20)
    path.see(slice(1, long), [145, 150, 155], [Similarity(0.08 + 0j, 0j, 1.0)] * 2)
    assert CAMERAS[told_cameras(net, path, 0, long).argmax()] == "pan"
    assert CAMERAS[told_cameras(net, path, 145, 156).argmax()] == "pan"
    assert CAMERAS[before.argmax()] == "shaky"
    assert (told_cameras(net, path, 0, 20) == before).all()


@pytest.mark.parametrize(("width", "height"), [(128, 72), (72, 128), (96, 72)])
def test_ways_down_are_as_long_as_ways_to_the_right(width: int, height: int) -> None:
    """Thumbnails have as many rows of high pictures as of wide ones; a step is told in widths."""
    path = CameraPath(width, height, FRAMES)
    path.see(slice(1, FRAMES), [10, 12], [Similarity(2 / width + 2j / height, 0j, 1.0)])
    assert path.moves[11:13, 0] * width == pytest.approx(1 + 1j)
