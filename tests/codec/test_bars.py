"""Bars: edges of a picture that have one colour come out as they went in, at next to no bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from reference.bars import NONE, Bars, frame_bars
from reference.container import Bad
from reference.entropy import START, RangeDecoder
from support.clips import letterboxed, moving, picture

from vqcodec.codec import bars
from vqcodec.codec.contexts import CONTEXTS
from vqcodec.codec.frame_decoder import pad
from vqcodec.codec.gop_decoder import decode_gop
from vqcodec.codec.range_coder import Decoder, Encoder, new_contexts
from vqcodec.encoding import bar_choice
from vqcodec.encoding.gop_encoder import encode_gop
from vqcodec.picture import Picture

SOME = np.array([17, 0, 1, 300, 80, 500, 513], np.int32)


@pytest.mark.parametrize("told", [SOME, np.array([*SOME[:4], *bars.BLACK], np.int32), bars.none()])
@pytest.mark.parametrize("known", [SOME, bars.none()])
def test_bars_come_back(told: np.ndarray, known: np.ndarray) -> None:
    """Those of a reference, others, and none; the reference decoder reads the same."""
    coder = Encoder.start(99, new_contexts(CONTEXTS))
    bars.code_bars(coder, told.copy(), known)
    data, got = coder.finished(), bars.none()
    decoder = Decoder.start(data, new_contexts(CONTEXTS))
    bars.code_bars(decoder, got, known)
    assert np.array_equal(got, told)
    assert decoder.left <= 0
    there = [Bars(tuple(known[:4].tolist()), tuple(known[4:].tolist()))] if known.any() else []
    stream = RangeDecoder(data, [(START, START)] * CONTEXTS)
    want = frame_bars(stream, 1, there, (1000, 1000))
    assert [*want.sizes, *want.colour] == told.tolist()


def test_a_frame_of_references_without_bars_does_not_tell_of_any() -> None:
    stream = RangeDecoder(b"", [(START, START)] * CONTEXTS)
    assert frame_bars(stream, 2, [NONE, NONE], (16, 16)) == NONE
    assert stream.contexts == [(START, START)] * CONTEXTS


@pytest.mark.parametrize("size", [(70, 51), (33, 48)])
@pytest.mark.parametrize("sides", [(5, 4, 0, 0), (0, 0, 3, 2), (1, 2, 1, 7), (0, 3, 0, 0)])
def test_bars_are_found_and_drawn(size: tuple[int, int], sides: tuple[int, ...]) -> None:
    """In pictures of odd sizes too; what is inside them stays."""
    film = picture(*size, seed=3)
    barred = letterboxed([film], *sides)[0]
    planes = pad(barred, *size)
    found = bar_choice.found(planes, size[1], size[0])
    assert found.tolist() == [*sides, *bars.BLACK]
    drawn = pad(film, *size)
    bars.draw(drawn, found, size[1], size[0])
    for plane, want in zip(drawn, barred, strict=True):
        assert np.array_equal(plane[: want.shape[0], : want.shape[1]], want.astype(int) * 4)


@pytest.mark.parametrize("leak", [2, -8, 9, 17])
def test_a_bar_holds_the_last_row_that_the_films_colour_has_leaked_into(leak: int) -> None:
    """Where chroma is off by little; more is kept of a reference than is found."""
    film = letterboxed([picture(70, 51, seed=3)], 5, 4, 0, 3)[0]
    film.u[4, 7] = 128 + leak
    film.v[20, -3] = 128 - leak
    planes, drawn = pad(film, 70, 51), np.array([5, 4, 0, 3, *bars.BLACK], np.int32)
    near = abs(leak) <= 8
    want = drawn if near else np.array([4, 4, 0, 2, *bars.BLACK], np.int32)
    assert bar_choice.found(planes, 51, 70).tolist() == want.tolist()
    assert bar_choice._holds(planes, drawn, 51, 70) == (abs(leak) <= 16)
    planes[0][9, 7] += 4
    assert bar_choice.found(planes, 51, 70)[0] == 4
    assert not bar_choice._holds(planes, drawn, 51, 70)


def test_pictures_without_an_even_edge_or_of_one_colour_have_no_bars() -> None:
    for film in (picture(40, 40), letterboxed([picture(40, 40)], 19, 1)[0]):
        assert not bar_choice.found(pad(film, 40, 40), 40, 40).any()


@pytest.mark.parametrize("crf", [12, 50])
def test_bars_of_any_width_are_exact_and_cost_next_to_nothing(tiny_codec: Any, crf: int) -> None:
    """In all frames, with a lower bar that a title is written into for a while."""
    film = letterboxed(moving(98, 83, 40, seed=7), 5, 9, 0, 3)
    for shown in film[20:24]:
        shown.y[-9:-4, 30:50] = 230
    result = encode_gop(tiny_codec, film, crf)
    for i, got in enumerate(decode_gop(tiny_codec, result.body, 40, 98, 83)):
        if 20 <= i < 24:
            continue
        for plane, unit, black in zip(got, (2, 1, 1), bars.BLACK, strict=True):
            assert (plane[: 5 * unit] == black).all(), i
            assert (plane[unit * (42 - 9) :] == black).all()
            assert (plane[:, unit * (49 - 3) :] == black).all()


def test_a_reader_refuses_bars_over_all_of_the_picture() -> None:
    whole = np.array([3, 5, 0, 0, *bars.BLACK], np.int32)
    assert not bars.fit(whole, 16, 16)
    assert not bars.fit(whole, 15, 16)
    assert bars.fit(whole, 17, 1)
    coder = Encoder.start(99, new_contexts(CONTEXTS))
    bars.code_bars(coder, whole, bars.none())
    with pytest.raises(Bad):
        frame_bars(RangeDecoder(coder.finished(), [(START, START)] * CONTEXTS), 0, [], (16, 16))


def test_a_fade_from_black_gets_its_bars_with_the_next_key_frame(tiny_codec: Any) -> None:
    """The first picture is black, so that none are found in it."""
    black = Picture(np.full((48, 64), 16, np.uint8), *[np.full((24, 32), 128, np.uint8)] * 2)
    film = [black, *letterboxed(moving(64, 48, 33), 3, 3)]
    result = encode_gop(tiny_codec, film, 40)
    for got in list(decode_gop(tiny_codec, result.body, 34, 64, 48))[32:]:
        assert (got[0][:6] == 64).all()
        assert (got[0][-6:] == 64).all()
