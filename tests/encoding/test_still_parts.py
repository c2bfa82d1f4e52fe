"""What does not change in the source does not change in the decode."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from support.clips import picture
from support.gops import crc, encoded

from vqcodec.codec.frame_decoder import pad
from vqcodec.codec.gop_decoder import decode_gop
from vqcodec.encoding.rate_distortion import RateParameters
from vqcodec.encoding.still_parts import same_blocks, still_blocks
from vqcodec.picture import Picture


def test_still_blocks_are_those_without_any_change() -> None:
    a = pad(picture(64, 64), 64, 64)
    b = tuple(plane.copy() for plane in a)
    assert still_blocks(a, a).all()
    b[0][17, 40] ^= 1
    b[2][0, 31] ^= 1
    still = still_blocks(a, (b[0], b[1], b[2]))
    assert np.argwhere(~still).tolist() == [[0, 3], [1, 2]]


def test_blocks_of_pictures_are_compared_as_their_padded_planes_are() -> None:
    a = picture(150, 83)
    for plane, y, x in ((0, 82, 149), (0, 17, 40), (1, 0, 74), (2, 41, 3), (2, 41, 74)):
        b = tuple(p.copy() for p in a)
        b[plane][y, x] ^= 1
        other = Picture(*b)
        padded = still_blocks(pad(a, 150, 83), pad(other, 150, 83))
        assert np.array_equal(same_blocks(a, other, padded.shape), padded)
        assert not padded.all()


def slides(frames: int) -> list[Picture]:
    """Noise that stands still, and a cursor that moves over its lower half."""
    page = picture(128, 128)
    out = []
    for i in range(frames):
        luma = page.y.copy()
        luma[80:92, 8 + 3 * i : 16 + 3 * i] = 0
        out.append(Picture(luma, page.u, page.v))
    return out


def test_still_parts_stay_as_they_are(tiny_codec: Any) -> None:
    source = slides(35)
    r = encoded(tiny_codec, source, rate=RateParameters())
    shown = list(decode_gop(tiny_codec, r.body, 35, 128, 128))
    assert crc(shown) == r.checksum
    for before, after in pairwise(shown):
        assert np.array_equal(before.y[:64], after.y[:64])
        assert np.array_equal(before.u[:32], after.u[:32])
    # and what moves still comes through
    assert all(shown[i].y[84:88, 10 + 3 * i : 14 + 3 * i].mean() < 200 for i in range(35))
