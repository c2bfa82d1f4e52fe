"""Weighted prediction: gains and offsets of references, coded, applied, found and used."""

from __future__ import annotations

import numpy as np
import pytest
from support.interpolation import naive, noise

from vqcodec.codec.contexts import CONTEXTS
from vqcodec.codec.motion_compensation import BI, L0, L1, compensate
from vqcodec.codec.motion_field import Field
from vqcodec.codec.range_coder import Decoder, Encoder, new_contexts
from vqcodec.codec.weighting import (
    FULL,
    HALF,
    MAX_GAIN,
    MAX_OFFSET,
    MAX_SETS,
    ONE,
    Weights,
    decode_weights,
    encode_weights,
    fade_offset,
)


def chance(rng: np.random.Generator, count: int) -> Weights:
    """Sets over the whole range that can be coded."""
    weights = Weights.none(count)
    weights.sets[..., 0] = rng.integers(0, MAX_GAIN + 1, weights.sets.shape[:-1])
    weights.sets[..., 1] = rng.integers(-MAX_OFFSET, MAX_OFFSET + 1, weights.sets.shape[:-1])
    weights.blends[:] = rng.integers(0, FULL + 1, count)
    return weights


@pytest.mark.parametrize("lists", [1, 2])
@pytest.mark.parametrize("count", range(MAX_SETS + 1))
def test_weights_come_back(count: int, lists: int) -> None:
    rng = np.random.default_rng(count)
    for _ in range(20):
        weights = chance(rng, count)
        if lists == 1:
            weights.sets[:, 1], weights.blends[:] = Weights.none(1).sets[0, 1], HALF
        encoder = Encoder.start(4096, new_contexts(CONTEXTS))
        encode_weights(encoder, weights, lists)
        decoder = Decoder.start(encoder.finished(), new_contexts(CONTEXTS))
        back = decode_weights(decoder, lists)
        assert np.array_equal(back.sets, weights.sets)
        assert np.array_equal(back.blends, weights.blends)
        assert np.array_equal(encoder.contexts, decoder.contexts)


def test_any_bytes_give_weights_in_range() -> None:
    rng = np.random.default_rng(1)
    most = 0
    for _ in range(200):
        decoder = Decoder.start(rng.bytes(60), new_contexts(CONTEXTS))
        weights = decode_weights(decoder, 2)
        most = max(most, weights.blends.size)
        if weights.blends.size:
            assert weights.sets[..., 0].min() >= 0
            assert weights.sets[..., 0].max() <= MAX_GAIN
            assert np.abs(weights.sets[..., 1]).max() <= MAX_OFFSET
            assert weights.blends.min() >= 0
            assert weights.blends.max() <= FULL
    assert most == MAX_SETS


def test_a_fade_to_black_needs_no_offsets() -> None:
    """Luma 16 and chroma 128 of 8 bits stay as they are under every gain."""
    for gain in range(0, MAX_GAIN + 1, 7):
        for plane, still in ((0, 64), (1, 512), (2, 512)):
            shown = ((still * gain + ONE // 2) >> 7) + fade_offset(gain, plane)
            assert abs(shown - still) <= 1


def test_prediction_is_weighed_as_the_page_says() -> None:
    """Against the formula of docs/format.md on intermediates taken from the standard's."""
    h = w = 64
    a, b = (
        tuple(noise(*s, seed) for s in ((h, w), (h // 2, w // 2), (h // 2, w // 2)))
        for seed in (1, 2)
    )
    rng = np.random.default_rng(3)
    leaves = np.array([(r, c, 1) for r in range(8) for c in range(8)], np.int32)
    seen = set()
    for _ in range(6):
        f = Field.empty(h, w, -1, 1, chance(rng, MAX_SETS))
        f.mv[:] = rng.integers(-40, 40, f.mv.shape)
        f.direction[:] = rng.integers(1, 4, f.direction.shape)
        f.chosen[:] = rng.integers(0, MAX_SETS + 1, f.chosen.shape)
        out = tuple(np.full(p.shape, 7777, np.uint16) for p in a)
        compensate(leaves, f, a, b, out)
        for r, c in ((0, 0), (3, 5), (7, 7), (6, 1)):
            direction, chosen = int(f.direction[r, c]), int(f.chosen[r, c])
            seen.add((direction, chosen > 0))
            for p, (n, bits) in enumerate(((8, 2), (4, 3), (4, 3))):
                t = [
                    naive(ref[p], r * n, c * n, *(int(v) for v in f.mv[r, c, l]), n, bits)
                    for l, ref in enumerate((a, b))
                ]
                blend = 8
                if chosen:
                    pairs = f.sets[chosen - 1, :, p]
                    t = [((v * g + 64) >> 7) + o * 16 for v, (g, o) in zip(t, pairs, strict=True)]
                    blend = int(f.blends[chosen - 1])
                blend = {L0: 0, L1: 16, BI: blend}[direction]
                want = np.clip((t[0] * (16 - blend) + t[1] * blend + 128) >> 8, 0, 1023)
                assert np.array_equal(out[p][r * n : r * n + n, c * n : c * n + n], want)
    assert seen == {(d, k) for d in (1, 2, 3) for k in (False, True)}
