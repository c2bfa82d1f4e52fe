"""How a camera moved from one picture to another is found on thumbnails of both."""

from __future__ import annotations

import numpy as np
import pytest

from vqcodec.analysis.registration import similarity

ROWS, COLUMNS = 36, 64
RNG = np.random.default_rng(8)
WAVES = RNG.uniform(-0.5, 0.5, (30, 2))
PHASES, LEVELS = RNG.uniform(0, 6.3, 30), RNG.uniform(2, 12, 30)
PLACES = np.mgrid[0:ROWS, 0:COLUMNS] - np.array([ROWS - 1, COLUMNS - 1]).reshape(2, 1, 1) / 2


def shown(shift: complex = 0, zoom: complex = 0) -> np.ndarray:
    """A scene by its waves, where each place shows what was at shift + exp(zoom) times it."""
    at = shift + np.exp(zoom) * (PLACES[1] + 1j * PLACES[0])
    waves = WAVES[:, 0, None, None] * at.real + WAVES[:, 1, None, None] * at.imag
    waves = np.sin(waves + PHASES[:, None, None])
    return np.asarray(128 + np.tensordot(LEVELS, waves, 1), np.float32)


def samples(shift: complex) -> complex:
    """A shift in samples of the thumbnail."""
    return complex(COLUMNS * shift.real, ROWS * shift.imag)


@pytest.mark.parametrize(
    ("shift", "zoom"),
    [(0, 0), (0.4 - 0.2j, 0), (9 + 3j, 0), (-14, 0), (1.5j, 0.05), (0, -0.08 + 0.02j)],
)
def test_a_similarity_is_found_to_a_tenth_of_a_sample(shift: complex, zoom: complex) -> None:
    found = similarity(shown(), shown(shift, zoom))
    assert abs(samples(found.shift) - shift) < 0.1
    assert abs(found.zoom - zoom) * COLUMNS / 2 < 0.1
    assert found.agreed > 0.5


def test_what_goes_its_own_way_and_light_change_nothing() -> None:
    after = shown(2 + 1j) + 20
    after[8:22, 20:44] = RNG.uniform(0, 255, (14, 24))
    found = similarity(shown(), np.asarray(after, np.float32))
    assert abs(samples(found.shift) - (2 + 1j)) < 0.2


def test_pictures_of_two_scenes_do_not_agree() -> None:
    other = RNG.uniform(0, 255, (ROWS, COLUMNS)).astype(np.float32)
    assert similarity(shown(), other).agreed < 0.5


@pytest.mark.parametrize("size", [(1, 1), (2, 40), (36, 3), (5, 8)])
def test_tiny_and_flat_pictures_are_taken_as_still(size: tuple[int, int]) -> None:
    flat = np.full(size, 90, np.float32)
    found = similarity(flat, flat + 3)
    assert found.shift == 0
    assert found.zoom == 0
