"""Motion from coarse to fine finds what moves far, and what moves for itself."""

from __future__ import annotations

import numpy as np
import pytest

from vqcodec.encoding.coarse_motion import coarse_motion, in_quarters, starting_vectors
from vqcodec.encoding.phases import phases
from vqcodec.encoding.small_pictures import SmallPicture


def texture(h: int, w: int, seed: int = 1) -> np.ndarray:
    """Luma of patches of many sizes."""
    rng = np.random.default_rng(seed)
    out = np.zeros((h, w))
    for size in (2, 4, 8, 16, 32, 64):
        patches = rng.normal(0, 12, (-(-h // size), -(-w // size)))
        out += np.kron(patches, np.ones((size, size)))[:h, :w]
    return np.clip(out + 128, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("step", [(0, 0), (6, -14), (-22, 4), (40, 64), (2, -88)])
def test_a_pan_is_found(step: tuple[int, int]) -> None:
    down, right = step
    wide = texture(256 + 192, 448 + 192)
    ref, cur = wide[96:352, 96:544], wide[96 + down : 352 + down, 96 + right : 544 + right]
    found = starting_vectors(SmallPicture.of(cur), SmallPicture.of(ref), -8)
    assert found.shape == (16, 28, 2)
    inside = found[6:-6, 6:-6] if max(abs(down), abs(right)) > 24 else found[2:-2, 2:-2]
    right_ones = (np.abs(inside - 4 * np.array(step)) <= 4).all(-1).mean()
    assert right_ones > (0.9 if max(abs(down), abs(right)) <= 24 else 0.6)


def test_an_object_moves_for_itself_and_brightness_does_not_matter() -> None:
    back, thing = texture(192, 256), texture(64, 64, 2)
    ref, cur = back.copy(), back.copy()
    ref[64:128, 64:128], cur[80:144, 88:152] = thing, thing
    dark = (0.6 * cur + 10).astype(np.uint8)
    for picture in (cur, dark):
        found = starting_vectors(SmallPicture.of(picture), SmallPicture.of(ref), 1)
        inside = found[6:8, 6:9].reshape(-1, 2)
        assert (np.abs(inside - np.array([-64, -96])) <= 4).all(1).mean() > 0.8
        still = (np.abs(found[:, 11:]) <= 2).all(-1)
        assert still.mean() > 0.9


def test_quarter_samples_are_found() -> None:
    wide = texture(1024, 1536).astype(float)
    ref = wide.reshape(256, 4, 384, 4).mean((1, 3))
    cur = np.roll(wide, (-2, 4), (0, 1)).reshape(256, 4, 384, 4).mean((1, 3))
    pictures = [SmallPicture.of(p.round().astype(np.uint8)) for p in (cur, ref)]
    whole = coarse_motion(*pictures, 1)
    found = in_quarters(pictures[0], np.asarray(phases(pictures[1].luma, 1)), whole)
    # half a sample of the frame down is a quarter here, a whole one a half
    assert (np.abs(found[2:-2, 2:-2] - np.array([1, -2])) <= 1).all(-1).mean() > 0.8


def test_what_is_made_of_a_picture_is_its_mean() -> None:
    luma = texture(100, 150)
    small = SmallPicture.of(luma)
    assert small.luma.shape == (64, 128)
    assert (small.rows, small.columns) == (7, 10)
    even = luma.reshape(50, 2, 75, 2).sum((1, 3), dtype=np.int64)
    assert np.array_equal(small.luma[:50, :75], even)
    assert np.array_equal(SmallPicture.of(luma.astype(np.uint16) << 2).luma, small.luma)
    below = 2 * (luma[-1, 0::2].astype(int) + luma[-1, 1::2])
    assert (small.luma[50:, :75] == below).all()
    assert (small.luma[:, 75:] == small.luma[:, 75:76]).all()


def test_a_little_more_light_is_no_motion() -> None:
    """Blocks of pictures as they are take it for motion, along which gains would be fitted."""
    luma = np.clip(texture(192, 256, 4) * 0.35 + 60, 0, 255)
    still = SmallPicture.of(luma.astype(np.uint8))
    brighter = SmallPicture.of((1.08 * luma + 3).astype(np.uint8))
    assert (starting_vectors(brighter, still, 1) == 0).mean() > 0.97
