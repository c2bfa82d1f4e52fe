"""Whether pictures bear out what heads of frames look like."""

from __future__ import annotations

import numpy as np
import pytest

from vqcodec.analysis.evidence import unmade, weight
from vqcodec.encoding.scene_changes import SHARE, STRANGE_SHARE, novelty

ROWS, COLUMNS = 36, 64


def scene(seed: int) -> np.ndarray:
    """A thumbnail of a scene, another one for each seed."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(20, 230, (ROWS // 4, COLUMNS // 4)).repeat(4, 0).repeat(4, 1)
    return np.asarray(coarse + rng.uniform(-15, 15, (ROWS, COLUMNS)), np.float32)


def with_body(picture: np.ndarray, left: int) -> np.ndarray:
    """The picture with a body before a third of it."""
    out = picture.copy()
    out[6:, left : left + 20] = scene(99)[6:, :20]
    return out


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_a_dissolve_is_borne_out(share: float) -> None:
    old, new = scene(1), scene(2)
    assert weight(old, (1 - share) * old + share * new, new) > 1


@pytest.mark.parametrize("at", [16, 32, 50])
def test_a_wipe_is_borne_out(at: int) -> None:
    old, new = scene(1), scene(2)
    within = np.concatenate([new[:, :at], old[:, at:]], 1)
    assert weight(old, within, new) > 1


@pytest.mark.parametrize("black", [0, 1, 2])
def test_a_fade_is_borne_out_by_black_anywhere(black: int) -> None:
    thumbs = [scene(1), 0.4 * scene(1), scene(2)]
    thumbs[black] = np.full((ROWS, COLUMNS), 3, np.float32)
    assert weight(*thumbs) == 1


def test_a_fade_is_a_mixture_with_gray() -> None:
    assert unmade(scene(1), 0.3 * scene(1) + 10, scene(2)) < 0.02


def test_a_body_that_moves_before_a_picture_is_no_change() -> None:
    """Even where it covers a third of it and comes as far as to its other side."""
    rest = scene(1)
    assert weight(with_body(rest, 2), with_body(rest, 20), with_body(rest, 42)) < 1


def test_another_soft_scene_is_borne_out() -> None:
    """Much of what is soft is like much of anything soft: where no block is explained, less is
    enough.
    """
    x = np.linspace(0, 1, COLUMNS, dtype=np.float32)
    grain = np.random.default_rng(3).uniform(-12, 12, (2, ROWS, COLUMNS)).astype(np.float32)
    old, new = 40 + 60 * x + grain[0], 60 + 60 * x + grain[1]
    assert STRANGE_SHARE < novelty(old, new).share < SHARE
    assert weight(old, (old + new) / 2, new) > 1


@pytest.mark.parametrize("wide", [48, 52])
def test_a_body_that_leaves_most_of_a_picture_is_no_change(wide: int) -> None:
    """What it covered is new, and each block is of one picture or the other, as in a wipe: but what
    lay beside it is still there.
    """
    rest, body = scene(1), scene(99)
    covered = [np.concatenate([body[:, :at], rest[:, at:]], 1) for at in (wide, wide // 2, 0)]
    assert weight(*covered) == 0


def test_a_pan_is_no_change() -> None:
    wide = np.concatenate([scene(1), scene(2)], 1)
    assert weight(*(wide[:, at : at + COLUMNS] for at in (0, 1, 3))) == 0


def test_a_pan_that_goes_far_is_no_change() -> None:
    """By more than blocks of a thumbnail are looked for."""
    wide = np.concatenate([scene(1), scene(2)], 1)
    assert weight(*(wide[:, at : at + COLUMNS] for at in (0, 9, 18))) == 0


def test_a_fade_that_leads_back_to_its_scene_stays() -> None:
    assert weight(scene(1), 0.3 * scene(1) + 10, scene(1)) == 1


def test_new_pictures_whose_middle_is_of_neither_are_less_sure() -> None:
    """Something passes near the camera while it turns, or one picture pushes the other out."""
    assert 0 < weight(scene(1), scene(3), scene(2)) < 1


@pytest.mark.parametrize("shape", [(2, 64), (3, 3), (36, 1)])
def test_pictures_of_a_few_rows_or_columns_say_nothing(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    first, last = rng.uniform(0, 255, (2, *shape)).astype(np.float32)
    assert weight(first, (first + last) / 2, last) == 1
