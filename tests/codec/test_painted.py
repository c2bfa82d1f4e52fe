"""Painted blocks: samples that are coded as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from reference.entropy import START, RangeDecoder
from reference.motion import of_coded_tiles
from reference.painted import paint, painted_blocks

from vqcodec.codec.contexts import CONTEXTS
from vqcodec.codec.direct_map import (
    CODED_BLOCK,
    DIRECT_BLOCK,
    OUTSIDE_BLOCK,
    PAINTED_BLOCK,
    all_coded_map,
    coded_tiles,
)
from vqcodec.codec.gop_decoder import decode_gop
from vqcodec.codec.painted_blocks import Painting, code_painted, code_painting
from vqcodec.codec.range_coder import Decoder, Encoder, given, new_contexts
from vqcodec.codec.two_way import Meter
from vqcodec.encoding.gop_encoder import encode_gop
from vqcodec.picture import Picture

Planes = tuple[np.ndarray, np.ndarray, np.ndarray]
H, W = 64, 128


def letters(rng: np.random.Generator, noise: int = 0) -> Planes:
    """Paper with a few glyphs that come again, 10 bits; ``noise``: of a prediction of it."""
    glyphs = rng.integers(0, 256, (3, 9, 7)) * (rng.random((3, 9, 7)) < 0.4) * 4
    y = np.full((H, W), 940)
    for row in range(3, H - 12, 14):
        for column in range(2, W - 9, 8):
            y[row : row + 9, column : column + 7] = 940 - glyphs[rng.integers(3)] // 2
    y = np.clip(y // 4 * 4 + rng.integers(-noise, noise + 1, y.shape), 0, 1023)
    half = y.reshape(H // 2, 2, W // 2, 2).mean((1, 3)).astype(int)
    u, v = 512 + (940 - half) // 8 * 4, 512 - (940 - half) // 16 * 4
    return tuple(p.astype(np.uint16) for p in (y, u, v))  # type: ignore[return-value]


def kinds(rng: np.random.Generator) -> np.ndarray:
    out = rng.choice(
        [CODED_BLOCK, DIRECT_BLOCK, PAINTED_BLOCK], (H // 16, W // 16), p=[0.2, 0.2, 0.6]
    )
    out[:, -1] = OUTSIDE_BLOCK
    return out.astype(np.uint8)


def copied(planes: Planes) -> Planes:
    return planes[0].copy(), planes[1].copy(), planes[2].copy()


@pytest.mark.parametrize("follow", [0, 1])
@pytest.mark.parametrize("shift", [0, 2])
def test_samples_come_back(follow: int, shift: int) -> None:
    rng = np.random.default_rng(follow)
    source = letters(rng)
    prediction = letters(np.random.default_rng(follow), 2)
    blocks, painting = kinds(rng), Painting(follow, shift)
    coder, meter = (
        Encoder.start(1 << 16, new_contexts(CONTEXTS)),
        Meter(np.zeros(1), new_contexts(CONTEXTS)),
    )
    for c in (coder, meter):
        assert code_painting(c, blocks.copy(), painting, True) == painting
        planes = copied(prediction)
        bits = code_painted(c, blocks, painting, planes, source)
    assert abs(given(coder) - meter.spent[0]) < 0.005 * meter.spent[0]
    data = coder.finished()
    assert bits[blocks == PAINTED_BLOCK].min() > 0
    assert not bits[blocks != PAINTED_BLOCK].any()
    decoder = Decoder.start(data, new_contexts(CONTEXTS))
    # as the map of tiles leaves them: where nothing is coded all is direct
    coded = coded_tiles(blocks).repeat(2, 0).repeat(2, 1)
    got = np.where(blocks == PAINTED_BLOCK, np.where(coded, CODED_BLOCK, DIRECT_BLOCK), blocks)
    got = got.astype(np.uint8)
    assert code_painting(decoder, got, Painting(), True) == painting
    assert np.array_equal(got, blocks)
    shown = copied(prediction)
    code_painted(decoder, got, painting, shown, shown)
    assert decoder.left <= 0
    assert np.array_equal(decoder.contexts, coder.contexts)
    for plane, was, painted, target in zip(shown, prediction, planes, source, strict=True):
        size = plane.shape[0] // blocks.shape[0]
        where = np.kron(blocks == PAINTED_BLOCK, np.ones((size, size), bool))
        assert np.array_equal(plane, np.where(where, target, was))
        assert np.array_equal(plane, painted)


@pytest.mark.parametrize("seed", range(4))
def test_samples_that_stand_for_others_are_read_as_they_were_chosen(seed: int) -> None:
    """What a meter takes for a sample must be what a decoder shows, though dictionaries learn less
    when it is written: blocks that have one colour by then are coded at once.
    """
    rng = np.random.default_rng(seed)
    source = letters(rng)
    for plane in source:  # even areas with a little noise, of which some become one colour
        plane[:] = np.clip(plane + 4 * (rng.random(plane.shape) < 0.1), 0, 1020)
    for plane in source[1:]:
        plane[:, : W // 4] = 508 + 4 * rng.integers(0, 2, plane[:, : W // 4].shape)
    # what lies around is no multiple of 4
    prediction = tuple(np.full_like(plane, 510) for plane in source)
    blocks, painting = kinds(rng), Painting(0, 2)
    chosen, written, shown = copied(prediction), copied(prediction), copied(prediction)
    meter = Meter(np.zeros(1), new_contexts(CONTEXTS))
    code_painted(meter, blocks, painting, chosen, source, np.full(blocks.shape, 0.05))
    assert any((a != b).any() for a, b in zip(chosen, source, strict=True))
    coder = Encoder.start(1 << 16, new_contexts(CONTEXTS))
    code_painted(coder, blocks, painting, written, chosen)
    decoder = Decoder.start(coder.finished(), new_contexts(CONTEXTS))
    code_painted(decoder, blocks, painting, shown, shown)
    for a, b in zip(shown, chosen, strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("seed", range(4))
def test_any_bytes_paint_what_the_reference_decoder_paints(seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = (
        (rng.integers(0, 256, 3000) * (rng.random(3000) < 0.3 + 0.2 * seed))
        .astype(np.uint8)
        .tobytes()
    )
    data = b"\xff" + data  # painted blocks there are
    prediction, blocks = letters(rng, 1), kinds(rng)
    blocks[blocks == PAINTED_BLOCK] = CODED_BLOCK
    predicted = seed != 3
    stream = RangeDecoder(data, [(START, START)] * CONTEXTS)
    direct = blocks == DIRECT_BLOCK
    passed = direct & of_coded_tiles(blocks != CODED_BLOCK) | (blocks == OUTSIDE_BLOCK)
    rule = painted_blocks(stream, passed, predicted)
    assert rule is not None
    assert rule[0].any()
    want = paint(stream, rule, direct & ~rule[0], list(prediction))
    decoder = Decoder.start(data, new_contexts(CONTEXTS))
    painting = code_painting(decoder, blocks, Painting(), predicted)
    assert painting == Painting(*rule[1:])
    got = copied(prediction)
    code_painted(decoder, blocks, painting, got, got)
    for a, b in zip(got, want, strict=True):
        assert np.array_equal(a, b)
    assert np.array_equal(decoder.contexts, np.array(stream.contexts))


def test_a_frame_without_painted_blocks_spends_a_flag() -> None:
    coder = Encoder.start(99, new_contexts(CONTEXTS))
    assert code_painting(coder, all_coded_map(40, 40), Painting(), False) is None
    assert len(coder.finished()) <= 1


def test_black_is_black_at_next_to_no_bytes(tiny_codec: Any) -> None:
    """At every quality, bars of any width too."""
    black = Picture(np.full((72, 100), 16, np.uint8), *[np.full((36, 50), 128, np.uint8)] * 2)
    for crf in (10, 50):
        body = encode_gop(tiny_codec, [black] * 18, crf)
        assert len(body.body) < 110
        for got in decode_gop(tiny_codec, body.body, 18, 100, 72):
            assert all((a == 4 * b.astype(int)).all() for a, b in zip(got, black, strict=True))


def test_letters_come_out_as_they_went_in(tiny_codec: Any) -> None:
    y, u, v = (plane >> 2 for plane in letters(np.random.default_rng(5)))
    page = Picture(*(p.astype(np.uint8) for p in (y, u, v)))
    result = encode_gop(tiny_codec, [page] * 3, 20)
    for got in decode_gop(tiny_codec, result.body, 3, W, H):
        assert all((a == 4 * b.astype(int)).all() for a, b in zip(got, page, strict=True))
