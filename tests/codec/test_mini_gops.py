"""Lengths of mini-GOPs, frames set apart, frames that are copies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.clips import moving, picture, same
from support.gops import LATENT, crc, encoded

from vqcodec.codec.gop_body import parse_body, write_body
from vqcodec.codec.gop_decoder import body_stats, decode_gop
from vqcodec.codec.gop_structure import (
    APART,
    LEVELS,
    MINI_GOP,
    MiniGopShape,
    gop_order,
)
from vqcodec.encoding.frames_apart import frames_apart
from vqcodec.encoding.scene_cuts import GopCutter
from vqcodec.errors import DamageError
from vqcodec.picture import Picture


def shapes_of(seed: int) -> list[MiniGopShape]:
    """Shapes as the format allows them."""
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(int(rng.integers(1, 5))):
        length = int(rng.integers(1, MINI_GOP + 1))
        n = int(rng.integers(length))
        apart = rng.choice(np.arange(1, length), n, replace=False) if n else []
        out.append(MiniGopShape(length, frozenset(int(i) for i in apart)))
    return out


@pytest.mark.parametrize("seed", range(60))
def test_nothing_refers_to_frames_set_apart_but_their_neighbours(seed: int) -> None:
    shapes = shapes_of(seed)
    frames, last = 1 + sum(s.length for s in shapes), 0
    apart = set()
    for s in shapes:
        apart |= {last + i for i in s.apart}
        last += s.length
    seen: dict[int, int] = {}
    for slots in gop_order(frames, shapes):
        for slot in slots:
            assert slot.frame not in seen
            assert all(r in seen for r in slot.refs)
            assert all(seen[r] < slot.level for r in slot.refs) or slot.level == 1
            assert (slot.frame in apart) == (slot.level >= APART)
            if slot.frame not in apart:
                assert not apart.intersection(slot.refs)
            elif slot.level == APART:  # the nearest frames on both sides that are not set apart
                lo, hi = slot.refs
                assert set(range(lo + 1, hi)) <= apart
                assert not {lo, hi} & apart
            seen[slot.frame] = slot.level
        assert max(seen) == len(seen) - 1
    assert sorted(seen) == list(range(frames))


@pytest.mark.parametrize("seed", range(60))
def test_shapes_come_back(seed: int) -> None:
    shapes = shapes_of(seed)
    frames = 1 + sum(s.length for s in shapes)
    body = write_body(range(LEVELS), shapes, [b"x" * i for i in range(frames)])
    parsed = parse_body(body, frames)
    assert parsed.order == gop_order(frames, shapes)
    assert [bytes(s) for s in parsed.streams] == [b"x" * i for i in range(frames)]
    assert parsed.quality(3) == 3
    assert parsed.quality(LEVELS + 2) == LEVELS - 1


def test_usual_shapes_take_one_byte() -> None:
    shapes = [MiniGopShape(32), MiniGopShape(32), MiniGopShape(5)]
    assert len(write_body([0] * LEVELS, shapes, [b""] * 70)) == LEVELS + 1 + 70


@pytest.mark.parametrize(
    "told",
    [
        b"\x01\x00\x00",  # no frames
        b"\x01\x21\x00",  # too many
        b"\x01\x04\x08",  # the key frame set apart
        b"\x02\x10\x00\x10\x00",  # more than there are
        b"\x28",
    ],
)
def test_shapes_that_cannot_be_are_refused(told: bytes) -> None:
    with pytest.raises(DamageError):
        parse_body(bytes(LEVELS) + told + bytes(30), 30)


def flashing(repeat: int = 1) -> list[Picture]:
    """19 pictures, each shown so often, with one flash of one picture and one of three."""
    pictures = moving(100, 70, 19, speed=(0.1, 0.25))
    for i in (4, 11, 12, 13):
        pictures[i] = Picture(*(255 - plane // 8 for plane in pictures[i]))
    return [p for p in pictures for _ in range(repeat)]


def test_flashes_are_set_apart(tiny_codec: Any) -> None:
    pictures = flashing()
    r = encoded(tiny_codec, pictures)
    order = [s for slots in parse_body(r.body, 19).order for s in slots]
    assert {s.frame for s in order if s.level >= APART} == {4, 11, 12, 13}
    assert crc(list(decode_gop(tiny_codec, r.body, 19, 100, 70))) == r.checksum
    # the same qualities with and without flashes
    rate = replace(LATENT, inherited_quality=0.0, least_offset=0)
    r = encoded(tiny_codec, pictures, rate=rate)
    plain = encoded(tiny_codec, moving(100, 70, 19, speed=(0.1, 0.25)), rate=rate)
    without = [s["bytes"] for s in r.stats if s["frame"] not in {4, 11, 12, 13}]
    assert sum(without) < 1.02 * sum(s["bytes"] for s in plain.stats)


@pytest.mark.parametrize("at", range(30, 36))
def test_no_key_frame_is_a_flash(at: int) -> None:
    pictures = moving(100, 70, 40)
    pictures[at] = Picture(*(255 - plane // 8 for plane in pictures[at]))
    cutter = GopCutter(128)
    groups = [g for i, p in enumerate(pictures) for g in cutter.push(i, p)] + cutter.flush()
    assert sum(g.ends for g in groups) == 1
    assert at not in [g.pictures[-1].pts for g in groups]


@pytest.mark.parametrize("repeat", [2, 3])
def test_repeated_frames_are_copies_of_two_bytes(tiny_codec: Any, repeat: int) -> None:
    pictures = flashing(repeat)
    cutter = GopCutter(128)
    groups = [g for i, p in enumerate(pictures) for g in cutter.push(i, p)] + cutter.flush()
    assert [len(g.pictures) for g in groups][:3] == [1, 32, len(pictures) - 33]
    r = encoded(tiny_codec, pictures)
    out = list(decode_gop(tiny_codec, r.body, len(pictures), 100, 70))
    assert crc(out) == r.checksum
    for i in range(1, len(pictures)):
        if i % repeat:
            assert same(out[i], out[i - 1])
    sizes = [s["bytes"] for s in body_stats(tiny_codec, r.body, len(pictures), 100, 70)]
    assert sum(n <= 2 for n in sizes) >= len(pictures) - 19


def test_still_pictures_stay(tiny_codec: Any) -> None:
    still = [picture(64, 64)] * 40
    r = encoded(tiny_codec, still)
    out = list(decode_gop(tiny_codec, r.body, 40, 64, 64))
    assert all(same(p, out[0]) for p in out)
    assert len(r.body) < r.stats[0]["bytes"] + 40 * 2 + 20


def test_which_of_equal_pictures_is_kept() -> None:
    a, b, c = (picture(64, 64, i) for i in range(3))
    assert frames_apart([a, a, a, b, b, c]) == {1, 2, 4}
    assert frames_apart([a, b, c, c, c]) == {2, 3}
    assert frames_apart([a, a, a]) == {1}
    assert frames_apart([a, b]) == frames_apart([a]) == frozenset()
