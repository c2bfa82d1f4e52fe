"""Where the camera goes, by vectors that are made to be right, rounded, or wrong."""

from __future__ import annotations

import numpy as np
import pytest

from vqcodec.analysis.camera_kind import camera_scores
from vqcodec.analysis.camera_path import CameraPath
from vqcodec.analysis.features import FrameFacts
from vqcodec.analysis.model import CAMERAS
from vqcodec.codec.direct_map import all_coded_map
from vqcodec.codec.gop_structure import gop_order
from vqcodec.codec.motion_compensation import BI, L0
from vqcodec.codec.motion_field import Field

WIDTH, HEIGHT = 128, 72
PADDED = (128, 128)
FRAMES = 24
CELLS = np.mgrid[0 : PADDED[0] // 8, 0 : PADDED[1] // 8]
PLACES = 8 * CELLS[1] + 4 - WIDTH / 2 + 1j * (8 * CELLS[0] + 4 - HEIGHT / 2)
TIME = np.arange(FRAMES)


def film(way: np.ndarray, grown: np.ndarray, wrong: float = 0.0) -> list[FrameFacts | None]:
    """A GOP coded from its usual references, all vectors as the camera's way (frames,) complex
    samples and the logarithm of its zoom have them, to the quarter sample; but for some that are
    wrong together.
    """
    frames: list[FrameFacts | None] = [None] * len(way)
    inside = (abs(PLACES.real) < 0.3 * WIDTH * wrong**0.5) & (PLACES.imag < HEIGHT / 2)
    for slot in (slot for slots in gop_order(len(way)) for slot in slots):
        refs, n = slot.refs, slot.frame
        field = Field.empty(*PADDED, *[*(r - n for r in refs), 0, 0][:2])
        field.direction[:] = (0, L0, BI)[len(refs)]
        for k, r in enumerate(refs):
            there = (np.exp(grown[n]) * PLACES + way[n] - way[r]) / np.exp(grown[r]) - PLACES
            if wrong:
                there[inside] = 11 - 7j
            field.mv[:, :, k, 0] = np.rint(4 * there.imag)
            field.mv[:, :, k, 1] = np.rint(4 * there.real)
        blocks = all_coded_map(HEIGHT, WIDTH)
        frames[n] = FrameFacts(
            slot.level, 30, not refs, False, 4000, 900.0, 200.0, field, blocks, 9
        )
    return frames


def path(frames: list[FrameFacts | None]) -> CameraPath:
    found = CameraPath(WIDTH, HEIGHT, len(frames))
    found.add(frames)
    return found


def kind(frames: list[FrameFacts | None], net: tuple[float, ...] = (0.25,) * 4) -> str:
    found = path(frames)
    return CAMERAS[
        camera_scores(found.moves[1:], found.trust[1:], found.apart[1:], np.array(net)).argmax()
    ]


def shaking(size: float) -> np.ndarray:
    """A hand that holds still in the mean, (frames,) complex samples."""
    rng = np.random.default_rng(4)
    way = rng.normal(0, size, (2, FRAMES))
    return np.asarray(way[0] + 1j * way[1])


@pytest.mark.parametrize("wrong", [0.0, 0.5])
def test_steps_are_those_of_the_camera(wrong: float) -> None:
    """A tenth of a sample a frame is found, also where a part of the picture goes its own way."""
    way = 0.6 * TIME - 0.1j * TIME + shaking(0.5)
    grown = 0.004 * TIME
    found = path(film(way, grown, wrong))
    between = np.exp((grown[1:] + grown[:-1]) / 2)
    steps = np.diff(way) / between / WIDTH
    assert abs(found.moves[1:, 0] - steps).max() * WIDTH < 0.2
    assert abs(found.moves[1:, 1] - 0.004).max() < 0.003
    assert abs(found.moves[1:, 1].mean() - 0.004) < 0.0003
    assert found.trust[0] == 0
    assert (found.trust[1:] > 1).all()


def test_slow_zooms_are_no_still_shots() -> None:
    """0.3 % a frame moves no block by half a sample from frame to frame; over 16 it does by 3."""
    for rate in (0.003, -0.003):
        assert kind(film(0j * TIME, rate * TIME)) == "zoom"


@pytest.mark.parametrize("angle", [0, 0.5, 1])
def test_slow_pans_are_told_in_every_direction(angle: float) -> None:
    way = 0.003 * WIDTH * TIME * np.exp(1j * np.pi * angle)
    assert kind(film(way, 0.0 * TIME)) == "pan"
    assert kind(film(20 * way, 0.0 * TIME)) == "pan"


def test_a_hand_shakes_and_goes_nowhere() -> None:
    assert kind(film(shaking(0.004 * WIDTH), 0.0 * TIME)) == "shaky"
    assert kind(film(shaking(0.02 * WIDTH), 0.0 * TIME)) == "shaky"


def test_what_moves_alone_leaves_the_camera_still() -> None:
    assert kind(film(0j * TIME, 0.0 * TIME)) == "still"
    assert kind(film(0j * TIME, 0.0 * TIME, wrong=0.5)) == "still"


def test_without_vectors_the_net_is_asked() -> None:
    """Of lost frames, of I frames, of files without any; and where there are vectors, and it is
    sure of something else, they are right.
    """
    still, sure = film(0j * TIME, 0.0 * TIME), (0.02, 0.9, 0.04, 0.04)
    assert kind([None] * FRAMES, sure) == "pan"
    assert kind([still[0]] * FRAMES, sure) == "pan"
    assert kind(still[:2], sure) == "pan"
    assert kind(film(0.01 * WIDTH * TIME + 0j, 0.0 * TIME), sure[::-1]) == "pan"
    empty = CameraPath(WIDTH, HEIGHT, 0)
    empty.add([])
    assert empty.moves.shape == (0, 2)


def test_a_pan_goes_on_over_the_begin_of_a_gop() -> None:
    frames = film(2.0 * TIME + 0j, 0.0 * TIME)
    found = CameraPath(WIDTH, HEIGHT, 2 * FRAMES)
    found.add(frames)
    found.add(frames)
    assert found.trust[FRAMES] == 0
    part, net = slice(10, 40), np.full(4, 0.25)
    told = camera_scores(found.moves[part], found.trust[part], found.apart[part], net)
    assert CAMERAS[told.argmax()] == "pan"
