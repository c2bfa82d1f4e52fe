from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.clips import grainy, moving

from vqcodec.codec.frame_decoder import Planes, pad
from vqcodec.codec.gop_body import checksum_update
from vqcodec.codec.gop_decoder import decode_gop
from vqcodec.encoding import temporal_filter
from vqcodec.encoding.frame_task import CodedFrame, FrameTask
from vqcodec.encoding.gop_encoder import GopEncoder
from vqcodec.encoding.key_frame_source import Seen, key_source
from vqcodec.encoding.rate_distortion import RateParameters
from vqcodec.encoding.small_pictures import SmallPicture
from vqcodec.encoding.temporal_filter import REACH, filtered

QUALITY, STRENGTH = 40, RateParameters().filter_strength


def texture(rng: np.random.Generator, h: int, w: int) -> np.ndarray:
    """A smooth picture of 10 bits with structure in every 8x8 cell."""
    coarse = np.kron(rng.uniform(200, 800, (h // 4, w // 4)), np.ones((4, 4)))
    for axis in (0, 1):
        for _ in range(2):
            coarse = (np.roll(coarse, 1, axis) + 2 * coarse + np.roll(coarse, -1, axis)) / 4
    return coarse


def noisy(luma: np.ndarray, rng: np.random.Generator) -> Planes:
    """Planes of a clean luma with noise of 4 (8-bit scale) in all of them; clean chroma is flat."""
    h, w = luma.shape
    planes = (luma, np.full((h // 2, w // 2), 512.0), np.full((h // 2, w // 2), 512.0))
    y, u, v = (
        np.clip(np.rint(p + rng.normal(0, 16, p.shape)), 0, 1023).astype(np.uint16) for p in planes
    )
    return y, u, v


def error(a: np.ndarray, b: np.ndarray) -> float:
    """Mean squared difference away from the border."""
    return float(np.square(a.astype(float) - b)[16:-16, 16:-16].mean())


@pytest.mark.parametrize("step", [(0, 0), (3, -2)])
def test_noise_is_averaged_away_along_the_motion(step: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    large = texture(rng, 256, 256)
    shown = {
        d: large[64 + step[0] * d : 192 + step[0] * d, 64 + step[1] * d : 192 + step[1] * d]
        for d in range(-REACH, REACH + 1)
    }
    source = noisy(shown[0], rng)
    out = filtered(source, [(d, noisy(shown[d], rng)) for d in shown if d], QUALITY, STRENGTH)
    assert error(out[0], shown[0]) < 0.6 * error(source[0], shown[0])
    for k in (1, 2):
        assert error(out[k], np.full(out[k].shape, 512.0)) < 0.6 * error(
            source[k], np.full(out[k].shape, 512.0)
        )


def test_what_the_neighbours_do_not_show_stays() -> None:
    rng = np.random.default_rng(2)
    clean = texture(rng, 128, 128)
    source = noisy(clean, rng)
    others = [(d, noisy(texture(rng, 128, 128), rng)) for d in (-2, -1, 1, 2)]
    out = filtered(source, others, QUALITY, STRENGTH)
    assert error(out[0], clean) < 1.02 * error(source[0], clean)


def test_nothing_to_filter_with_or_nothing_to_hide() -> None:
    rng = np.random.default_rng(3)
    source, other = noisy(texture(rng, 64, 64), rng), noisy(texture(rng, 64, 64), rng)
    for out in (
        filtered(source, [], QUALITY, STRENGTH),
        filtered(source, [(1, other)], QUALITY, 0.0),
        filtered(source, [(1, source)], 120, STRENGTH),
    ):
        assert all(np.array_equal(a, b) for a, b in zip(out, source, strict=True))


def test_only_i_and_key_frames_are_filtered_and_errors_are_those_against_the_source(
    tiny_codec: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = grainy(moving(64, 64, 20), 4)
    seen: dict[int, Planes] = {}
    aims: dict[int, int] = {}
    encoder = GopEncoder(tiny_codec, 64, 64, 34)
    encode = encoder.coder.encode

    def watching(task: FrameTask) -> CodedFrame:
        seen[task.number], aims[task.number] = task.source, task.aim
        return encode(task)

    monkeypatch.setattr(encoder.coder, "encode", watching)
    for pictures in (clip[:1], clip[1:17], clip[17:]):
        encoder.add(pictures)
    result = encoder.finish()
    plain = [pad(p, 64, 64) for p in clip]
    assert [f for f in range(20) if not np.array_equal(seen[f][0], plain[f][0])] == [0, 16, 19]
    want = filtered(
        plain[16],
        [(d, plain[16 + d]) for d in (-4, -3, -2, -1, 1, 2, 3)],
        aims[16],
        STRENGTH,
    )
    assert all(np.array_equal(a, b) for a, b in zip(seen[16], want, strict=True))
    unfiltered = GopEncoder(tiny_codec, 64, 64, 34, RateParameters(filter_strength=0.0))
    for pictures in (clip[:1], clip[1:17], clip[17:]):
        unfiltered.add(pictures)
    assert unfiltered.finish().body != result.body


@pytest.mark.parametrize(("given", "coded"), [((1,), 1), ((1, 16), 1), ((1, 16, 16, 16, 16), 17)])
def test_a_gop_that_is_cut_leaves_out_what_waits(
    tiny_codec: Any, given: tuple[int, ...], coded: int
) -> None:
    clip = moving(64, 64, sum(given))
    encoder = GopEncoder(tiny_codec, 64, 64, 34)
    at = 0
    for n in given:
        encoder.add(clip[at : at + n])
        at += n
    result = encoder.finish(cut=True)
    out = list(decode_gop(tiny_codec, result.body, coded, 64, 64))
    assert result.frames == len(out) == coded == len(result.stats)
    crc = 0
    for p in out:
        crc = checksum_update(crc, p)
    assert crc == result.checksum


@pytest.mark.parametrize(("reach", "strength", "looked"), [(4, 1.5, 8), (1, 1.5, 2), (4, 0.0, 0)])
def test_only_neighbours_within_reach_are_looked_at(
    monkeypatch: pytest.MonkeyPatch, reach: int, strength: float, looked: int
) -> None:
    seen: list[int] = []

    def watching(source: Planes, neighbours: list[tuple[int, Planes]], *rest: Any) -> Planes:
        seen.extend(distance for distance, _ in neighbours)
        return source

    monkeypatch.setattr(temporal_filter, "filtered", watching)
    around = [Seen(p, SmallPicture.of(p.y)) for p in moving(64, 64, 11)]
    rate = RateParameters(filter_reach=reach, filter_strength=strength)
    key_source(around, 5, 30, rate)
    assert len(seen) == looked
    assert all(1 <= abs(distance) <= reach for distance in seen)
