"""What a picture shows, in 40 numbers."""

from __future__ import annotations

import numpy as np
import pytest

from vqcodec.analysis.look import LOOK, look
from vqcodec.analysis.shot import EMBEDDING, joined
from vqcodec.picture import Picture, gray


def drawn(seed: int, width: int, height: int) -> Picture:
    """The same smooth picture at any size."""
    rng = np.random.default_rng(seed)
    y, x = (np.arange(n)[:, None] + 0.5 for n in (height, width))
    planes = []
    for k in range(3):
        waves = rng.normal(0, 1, (4, 4))
        rows = np.cos(np.pi * y / height * np.arange(4))
        columns = np.cos(np.pi * x / width * np.arange(4))
        plane = 512 + 90 * rows @ waves @ columns.T
        planes.append(plane[:: 1 + (k > 0), :: 1 + (k > 0)].clip(0, 1023).astype(np.uint16))
    return Picture(*planes)


@pytest.mark.parametrize("size", [(96, 54), (322, 181), (64, 64), (20, 9)])
def test_size_and_depth_change_little(size: tuple[int, int]) -> None:
    whole, other = look(drawn(1, 128, 72)), look(drawn(1, *size))
    assert whole.shape == (LOOK,) == (40,)
    assert whole @ other > 0.96
    assert look(drawn(1, *size).to8()) @ other > 0.999


def test_other_pictures_are_far() -> None:
    looks = np.stack([look(drawn(seed, 128, 72)) for seed in range(20)])
    alike = looks @ looks.T - 2 * np.eye(20)
    assert np.linalg.norm(looks, axis=1) == pytest.approx(np.ones(20))
    assert alike.max() < 0.7


@pytest.mark.parametrize("size", [(2, 2), (1, 1), (1, 50), (7, 1)])
def test_pictures_of_few_samples_have_numbers(size: tuple[int, int]) -> None:
    assert np.isfinite(look(drawn(3, *size))).all()


def test_an_even_gray_shows_nothing() -> None:
    assert not look(gray(64, 48)).any()


def test_both_parts_have_their_share_whatever_their_length() -> None:
    rng = np.random.default_rng(5)
    shown, moving = rng.normal(0, 1, (2, 6, LOOK)), rng.normal(0, 1, (2, 6, 64))
    one = joined(shown[0], moving[0])
    assert one.shape == (6, EMBEDDING)
    assert np.linalg.norm(one, axis=1) == pytest.approx(np.ones(6))
    assert np.allclose(one, joined(7 * shown[0], moving[0] / 9), atol=1e-6)
    unknown = joined(0 * shown[0], moving[0])
    assert not unknown[:, :LOOK].any()
    assert np.linalg.norm(unknown, axis=1) == pytest.approx(np.ones(6))
    assert not joined(np.zeros(LOOK), np.zeros(64)).any()
