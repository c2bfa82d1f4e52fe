"""Direct blocks: what moves without changing passes by the nets."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from vqcodec.codec import direct_map
from vqcodec.codec.contexts import CONTEXTS
from vqcodec.codec.gop_decoder import decode_gop
from vqcodec.codec.painted_blocks import Painting, code_painting
from vqcodec.codec.range_coder import Decoder, Encoder, new_contexts
from vqcodec.encoding import direct_choice
from vqcodec.encoding.gop_encoder import encode_gop
from vqcodec.picture import Picture


@pytest.mark.parametrize("share", [0.0, 0.03, 0.5, 1.0])
def test_maps_come_back(share: float) -> None:
    rng = np.random.default_rng(1)
    maps = [(rng.random((12, 20)) < share).astype(np.uint8) for _ in range(3)]
    merged = (rng.random((24, 40)) < 0.5).astype(np.uint8)
    coder = Encoder.start(9999, new_contexts(CONTEXTS))
    for m in maps:
        direct_map.code_map(coder, m, merged)
    data = coder.finished()
    decoder = Decoder.start(data, new_contexts(CONTEXTS))
    for m in maps:
        got = np.zeros((12, 20), np.uint8)
        direct_map.code_map(decoder, got, merged)
        assert np.array_equal(got, m)
    assert decoder.left <= 0
    assert np.array_equal(coder.contexts, decoder.contexts)
    if share in (0, 1):  # a flag for each of 180 tiles, or one for each map
        assert len(data) <= (12, 2)[int(share)]


def test_maps_of_tiles_come_back_with_what_is_painted_and_outside() -> None:
    """A painted block of a tile without coded ones is direct before the painting is read."""
    rng = np.random.default_rng(7)
    kinds = [direct_map.CODED_BLOCK, direct_map.DIRECT_BLOCK, direct_map.PAINTED_BLOCK]
    blocks = rng.choice(kinds, (12, 20), p=[0.2, 0.6, 0.2]).astype(np.uint8)
    blocks[-3:], blocks[:, -1] = direct_map.OUTSIDE_BLOCK, direct_map.OUTSIDE_BLOCK
    merged = (rng.random((24, 40)) < 0.5).astype(np.uint8)
    coder = Encoder.start(9999, new_contexts(CONTEXTS))
    direct_map.code_map(coder, blocks, merged)
    code_painting(coder, blocks, Painting(), True)
    got = direct_map.all_coded_map(144 - 3, 304 - 5)
    assert got.shape == blocks.shape
    decoder = Decoder.start(coder.finished(), new_contexts(CONTEXTS))
    direct_map.code_map(decoder, got, merged)
    tiles = direct_map.coded_tiles(blocks)
    assert 0 < tiles.sum() < tiles.size
    past = tiles.repeat(2, 0).repeat(2, 1) == 0
    painted = blocks == direct_map.PAINTED_BLOCK
    assert (got[past & painted] == direct_map.DIRECT_BLOCK).all()
    assert (past & painted).any()
    code_painting(decoder, got, Painting(), True)
    assert np.array_equal(got, blocks)
    assert decoder.left <= 0


def test_a_64_block_is_idle_when_all_of_it_is_direct() -> None:
    m = np.zeros((8, 12), np.uint8)
    m[0:4, 4:8] = 1
    m[4:8, 8:12] = 1
    m[7, 11] = 0
    assert direct_map.idle(m).tolist() == [[False, True, False], [False, False, False]]


def test_choice_follows_the_cost_and_joins_neighbours() -> None:
    net, plain = np.full((16, 16), 10.0), np.full((16, 16), 10.0)
    latent = np.zeros((8, 8), np.float32)
    kinds = np.zeros((8, 8), np.uint8)
    assert direct_choice.choose(direct_choice.Costs(net, latent, plain), kinds, 0, 40) is None
    net[:, 8:] = 40.0  # the right half is worse behind the nets, by 120 bits a block
    latent[2, 6] = -119.9  # but one block of it only just
    chosen = direct_choice.choose(direct_choice.Costs(net, latent, plain), kinds, 0, 40)
    assert chosen is not None
    assert chosen[:, 4:].all()
    assert not chosen[:, :3].any()


def decibels(row: dict[str, Any]) -> float:
    """The worst PSNR of the planes of a frame; infinite where all are exact."""
    return min(math.inf if value is None else value for value in row["psnr"])


def test_scrolled_noise_is_shown_as_predicted(tiny_codec: Any) -> None:
    """Whole-sample motion of a texture that no net could draw: the frames behind the first are
    direct and cost next to nothing."""
    rng = np.random.default_rng(3)
    big = np.kron(rng.integers(0, 2, (80, 48)), np.ones((2, 3))).astype(np.uint8) * 180 + 30
    gray = np.full((32, 64), 128, np.uint8)
    clip = [
        Picture(np.ascontiguousarray(big[4 * t : 4 * t + 64, :128]), gray, gray) for t in range(6)
    ]
    r = encode_gop(tiny_codec, clip, 10)
    first, b = r.stats[0], [s for s in r.stats if s["type"] == "B"]
    assert len(b) == 4
    assert all(s["direct"] > 0.8 for s in b)
    assert sum(s["bytes"] for s in b) < 0.1 * first["bytes"]
    assert all(decibels(s) > min(decibels(first), 30) - 1 for s in b)
    for p, q in zip(
        decode_gop(tiny_codec, r.body, 6, 128, 64),
        decode_gop(tiny_codec, r.body, 6, 128, 64, 3),
        strict=True,
    ):
        assert all(np.array_equal(x, y) for x, y in zip(p, q, strict=True))
