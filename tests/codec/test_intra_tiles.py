"""Intra tiles: tiles of predicted frames that the nets of I frames draw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
from reference.decode import checksum
from support.clips import moving
from support.gops import INTRA_EVERYWHERE, INTRA_SOMEWHERE, crc, md5

from vqcodec.codec import direct_map, intra_tiles
from vqcodec.codec.contexts import CONTEXTS
from vqcodec.codec.direct_map import DIRECT_BLOCK, INTRA_BLOCK, OUTSIDE_BLOCK, PAINTED_BLOCK
from vqcodec.codec.frame_decoder import FrameCoder, FrameJob
from vqcodec.codec.gop_body import parse_body
from vqcodec.codec.gop_decoder import body_stats, decode_gop
from vqcodec.codec.painted_blocks import Painting, code_painting
from vqcodec.codec.range_coder import Decoder, Encoder, new_contexts
from vqcodec.codec.tokens import Vocabulary, frame_tokens
from vqcodec.encoding import intra_choice
from vqcodec.encoding.gop_encoder import GopResult, encode_gop
from vqcodec.encoding.rate_distortion import PRESETS
from vqcodec.picture import Picture

W, H, FRAMES = 102, 70, 5


def kinds(rng: np.random.Generator, share: float) -> np.ndarray:
    """A map of blocks of all kinds, of a picture of 141x299 samples."""
    choice = [direct_map.CODED_BLOCK, DIRECT_BLOCK, PAINTED_BLOCK]
    blocks = rng.choice(choice, (12, 20), p=[0.2, 0.6, 0.2]).astype(np.uint8)
    tiles = (rng.random((6, 10)) < share).repeat(2, 0).repeat(2, 1)
    blocks[tiles] = INTRA_BLOCK
    blocks[direct_map.all_coded_map(141, 299) == OUTSIDE_BLOCK] = OUTSIDE_BLOCK
    return blocks


@pytest.mark.parametrize("share", [0.0, 0.1, 0.6, 1.0])
def test_maps_of_all_kinds_come_back(share: float) -> None:
    """Intra tiles, direct blocks and painted ones, in the order of a frame's head."""
    rng = np.random.default_rng(5)
    blocks = kinds(rng, share)
    merged = (rng.random((24, 40)) < 0.5).astype(np.uint8)
    coder = Encoder.start(9999, new_contexts(CONTEXTS))
    intra_tiles.code_tiles(coder, blocks, merged)
    direct_map.code_map(coder, blocks, merged)
    code_painting(coder, blocks, Painting(), True)
    data = coder.finished()
    got = direct_map.all_coded_map(141, 299)
    decoder = Decoder.start(data, new_contexts(CONTEXTS))
    count = intra_tiles.code_tiles(decoder, got, merged)
    assert count == (blocks[::2, ::2] == INTRA_BLOCK).sum()
    direct_map.code_map(decoder, got, merged)
    code_painting(decoder, got, Painting(), True)
    assert np.array_equal(got, blocks)
    assert decoder.left <= 0
    assert np.array_equal(coder.contexts, decoder.contexts)


def test_a_frame_without_intra_tiles_pays_next_to_nothing() -> None:
    """One bit a frame, which adapts."""
    none, merged = direct_map.all_coded_map(200, 300), np.zeros((26, 40), np.uint8)
    coder = Encoder.start(99, new_contexts(CONTEXTS))
    for _ in range(500):
        intra_tiles.code_tiles(coder, none, merged)
    assert len(coder.finished()) <= 5


def clip() -> list[Picture]:
    """Something that moves, before which another thing appears at once."""
    pictures = moving(W, H, FRAMES, seed=4)
    other = moving(W, H, FRAMES, seed=9)
    for i in range(2, FRAMES):
        pictures[i].y[:, 40:] = other[i].y[:, 40:]
    return pictures


@pytest.fixture(
    scope="module", params=[INTRA_EVERYWHERE, INTRA_SOMEWHERE], ids=["everywhere", "somewhere"]
)
def coded(request: Any, tiny_codec: Any) -> GopResult:
    return encode_gop(tiny_codec, clip(), 24, request.param)


def test_what_is_decoded_is_what_was_encoded(coded: GopResult, tiny_codec: Any) -> None:
    """By one frame at a time and by batches of a level."""
    one, batch = (list(decode_gop(tiny_codec, coded.body, FRAMES, W, H, n)) for n in (1, 8))
    assert crc(one) == coded.checksum
    assert md5(one) == md5(batch)


def test_the_reference_decoder_agrees(
    coded: GopResult, tiny_codec: Any, tiny_weights: Path
) -> None:
    model = reference.load_model(tiny_weights)
    decoded = reference.decode_gop(model, coded.body, FRAMES, W, H)
    assert checksum(decoded) == coded.checksum


def test_their_bits_and_area_are_counted(coded: GopResult, tiny_codec: Any) -> None:
    """By the encoder as by the reader of a file."""
    read = body_stats(tiny_codec, coded.body, FRAMES, W, H)
    some = [row for row in coded.stats if row.get("intra", 0) > 0]
    assert some
    for row, again in zip(coded.stats, read, strict=True):
        assert row["bits"] == pytest.approx(again["bits"], abs=0.2)
        assert row.get("intra") == again.get("intra")
        assert (row["bits"]["intra"] > 8) == (row.get("intra", 0) > 0)


def test_their_indices_are_tokens(coded: GopResult, tiny_codec: Any) -> None:
    """Behind those of the frame, of the codebooks of I frames, and in intra tiles alone."""
    coder, words = FrameCoder(tiny_codec, W, H), Vocabulary(tiny_codec)
    parsed, decoded = parse_body(coded.body, FRAMES), {}
    slots = [slot for of_mini_gop in parsed.order for slot in of_mini_gop]
    for slot, stream in zip(slots, parsed.streams, strict=True):
        references = [decoded[number] for number in slot.refs]
        quality = parsed.quality(slot.level)
        job = FrameJob(stream, slot.frame, slot.level, quality, references)
        (run,) = coder.parse([job], symbols=True)
        tokens = frame_tokens(run, 0, 0.0)
        if tokens.intra_tiles.any():
            break
        assert tokens.intra_latent.size == tokens.intra_hyper.size == 0
        decoded[slot.frame] = coder.finish(run)
    inside = tokens.intra_tiles.repeat(2, 0).repeat(2, 1) & ~tokens.outside
    assert inside.any()
    assert np.array_equal((tokens.intra_classes >= 0).any(2), inside)
    assert not (tokens.intra_tiles & tokens.tiles).any()
    assert (tokens.intra_hyper >= 0).any()
    ids, places = words.sequence(tokens)
    intra = ids < words.size - int(tiny_codec.inter.books.sizes.sum())
    counts = [(a >= 0).sum() for a in (tokens.intra_hyper, tokens.intra_latent)]
    assert intra[1:].sum() == sum(counts)
    behind = places[len(ids) - counts[1] :]
    assert inside[behind[:, 0], behind[:, 1]].all()


def test_the_fastest_preset_has_none() -> None:
    without = [name for name, rate in PRESETS.items() if not rate.intra_tile_levels]
    assert without == ["fastest"]


def test_only_what_is_predicted_badly_is_tried() -> None:
    """A tile that is predicted well, one that is flat and one that shows something else."""
    rng = np.random.default_rng(1)
    source = rng.integers(0, 1023, (64, 96)).astype(np.uint16)
    source[:, 32:64] = 500
    planes = (source, source[::2, ::2], source[::2, ::2])
    shown = source.copy()
    shown[:, 64:] = rng.integers(0, 1023, (64, 32))
    bad = intra_choice.tile_badness(planes, (shown, *planes[1:]), 4.0)
    assert bad.shape == (2, 3)
    assert (bad[:, :2] == 0).all()
    assert (bad[:, 2] > 1).all()
