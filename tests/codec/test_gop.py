from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import torch
from support.clips import moving, picture, same
from support.gops import LATENT, body, crc, encoded, md5, parts  # noqa: F401

from vqcodec.codec import bit_statistics, frame_head
from vqcodec.codec.codebooks import is_escape
from vqcodec.codec.contexts import CONTEXTS
from vqcodec.codec.gop_decoder import body_stats, decode_gop
from vqcodec.codec.gop_structure import LEVELS, MINI_GOP, gop_order, mini_gop
from vqcodec.codec.range_coder import Decoder, Encoder, new_contexts
from vqcodec.encoding import frame_writing
from vqcodec.encoding.frame_encoder import FrameEncoder
from vqcodec.encoding.gop_encoder import GopEncoder, GopResult
from vqcodec.encoding.model import load_model
from vqcodec.encoding.rate_distortion import qualities
from vqcodec.errors import DamageError
from vqcodec.picture import Picture
from vqcodec.pipeline.gop_coders import Model


@pytest.fixture(scope="module")
def coded(request: pytest.FixtureRequest) -> tuple[GopResult, list[Picture]]:
    """18 frames of 100x70 and what the decoder makes of them."""
    codec = request.getfixturevalue("tiny_codec")
    r = encoded(codec, moving(100, 70, 18))
    return r, list(decode_gop(codec, r.body, 18, 100, 70))


@pytest.mark.parametrize("frames", range(1, 129))
def test_every_frame_is_coded_once_after_its_references(frames: int) -> None:
    seen: dict[int, int] = {}
    for i, slots in enumerate(gop_order(frames)):
        assert 1 <= len(slots) <= MINI_GOP
        keys = sorted(f for f in seen if seen[f] < 2)
        if i:
            assert slots == mini_gop(
                min(s.frame for s in slots) - 1, len(slots), keys[-2] if len(keys) > 1 else None
            )
        for s in slots:
            assert s.frame not in seen
            assert all(r in seen for r in s.refs)
            # frames of one level don't need each other, and the deeper reference is the one of the
            # level before
            assert all(seen[r] < s.level for r in s.refs) or s.level == 1
            if s.level < 2:
                assert (
                    list(s.refs) == keys[:-3:-1] * s.level
                )  # the last two key frames, the nearer one first
            else:
                assert len(s.refs) == 2
                assert s.refs[0] < s.frame < s.refs[1]
                assert max(seen[r] for r in s.refs) == s.level - 1
            seen[s.frame] = s.level
        assert max(seen) == len(seen) - 1  # a mini-GOP leaves no gap
    assert sorted(seen) == list(range(frames))
    assert max(seen.values()) < LEVELS
    assert [f for f in seen if seen[f] == 0] == [0]


def test_qualities_stay_in_range_and_fall_with_the_level() -> None:
    for crf in range(64):
        q = qualities(crf)
        assert len(q) == LEVELS
        assert all(0 <= v <= 63 for v in q)
        assert q == sorted(q, reverse=True)
        assert crf == 0 or all(a <= b for a, b in zip(q, qualities(crf - 1), strict=True))


@pytest.mark.parametrize(
    ("width", "height", "frames"),
    [(1, 1, 3), (2, 3, 9), (17, 9, 2), (33, 17, 17), (64, 64, 34), (100, 70, 1), (65, 64, 3)],
)
def test_the_decoder_shows_what_the_encoder_saw(
    tiny_codec: Any, width: int, height: int, frames: int
) -> None:
    source = moving(width, height, frames, seed=width)
    r = encoded(tiny_codec, source)
    out = list(decode_gop(tiny_codec, r.body, frames, width, height))
    assert r.frames == len(out) == frames
    assert crc(out) == r.checksum
    for p, s in zip(out, source, strict=True):
        assert all(
            a.shape == b.shape and a.dtype == np.uint16 and a.max() <= 1023
            for a, b in zip(p, s, strict=True)
        )
    for plane in range(3):
        error = sum(
            float(((p.to8()[plane].astype(int) - s[plane]) ** 2).sum())
            for p, s in zip(out, source, strict=True)
        )
        assert r.sse[plane] == pytest.approx(error)
    assert [row["frame"] for row in r.stats] == list(range(frames))


@pytest.mark.parametrize("crf", [0, 63])
def test_noise_at_the_ends_of_the_scale(tiny_codec: Any, crf: int) -> None:
    source = [picture(70, 33, i, ten_bit=True) for i in range(3)]
    r = encoded(tiny_codec, source, crf)
    out = list(decode_gop(tiny_codec, r.body, 3, 70, 33))
    assert crc(out) == r.checksum
    assert r.sse[0] == pytest.approx(
        sum(float(((p.y.astype(float) - s.y) ** 2).sum()) for p, s in zip(out, source, strict=True))
        / 16
    )


def test_a_gop_is_added_in_mini_gops(tiny_codec: Any) -> None:
    clip = moving(8, 8, 17)
    e = GopEncoder(tiny_codec, 8, 8, 40)
    for wrong in ([], clip[:2]):
        with pytest.raises(ValueError):
            e.add(wrong)
    e.add(clip[:1])
    for wrong in ([picture(8, 8, i) for i in range(40)], clip[1:2] * 33):
        with pytest.raises(ValueError):
            e.add(wrong)
    e.add(clip[1:3])
    e.add(clip[3:4])
    e.add(clip[4:])
    assert list(decode_gop(tiny_codec, e.finish().body, 17, 8, 8))


def test_the_same_pixels_for_any_batch_threads_and_backend(
    tiny_weights: Any, coded: Any, monkeypatch: pytest.MonkeyPatch, one_thread: None
) -> None:
    r, pictures = coded
    want = md5(pictures)
    for backend in ("fused", "float32"):
        monkeypatch.setenv("VQCODEC_BACKEND", backend)
        for threads in (1, 2):
            codec = load_model(tiny_weights, "cpu", threads)
            assert codec.backend.name == backend
            assert torch.get_num_threads() == threads
            for batch in (1, 2, 7):
                assert md5(list(decode_gop(codec, r.body, 18, 100, 70, batch))) == want


def test_frames_side_by_side_give_the_same_bytes(tiny_codec: Any, one_thread: None) -> None:
    clip = moving(100, 70, 18, seed=4)
    bodies = []
    for threads in (1, 2, 4):
        torch.set_num_threads(threads)
        bodies.append(encoded(tiny_codec, clip).body)
        assert torch.get_num_threads() == threads
    assert bodies[0] == bodies[1] == bodies[2]


def test_the_same_bytes_for_any_threads_and_backend(
    tiny_weights: Any, monkeypatch: pytest.MonkeyPatch, one_thread: None
) -> None:
    clip = moving(100, 70, 4)
    bodies = set()
    for backend, threads in (("fused", 1), ("fused", 2), ("float32", 1), ("float32", 2)):
        monkeypatch.setenv("VQCODEC_BACKEND", backend)
        bodies.add(encoded(load_model(tiny_weights, "cpu", threads), clip).body)
    assert len(bodies) == 1


def test_the_coder_is_put_to_the_test(tiny_codec: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clips reach every dimension of the quantiser, escapes, both lists, vectors and merges."""
    dims, escapes, original = set(), 0, frame_writing.latent_syntax.encode_step

    def spy(coder: Any, cls: np.ndarray, *more: Any) -> None:
        nonlocal escapes
        _, _, _, dimensions, _, symbols, _, _ = more
        dims.update(np.unique(dimensions[cls]).tolist())
        escapes += int(is_escape(symbols).sum())
        original(coder, cls, *more)

    monkeypatch.setattr(frame_writing.latent_syntax, "encode_step", spy)
    r = encoded(tiny_codec, moving(100, 70, 12))
    assert dims == {0, 1, 2, 4}
    assert escapes > 20
    rows = [s for s in r.stats if s.get("leaves")]  # but for copies and frames without prediction
    assert len(rows) > 6
    assert all(0 < s["merged"] < 1 for s in rows)
    assert any(0 < s["bi"] < 1 for s in rows)
    assert sum(s["bits"]["hyper"] for s in rows) > 20
    assert {0.0, 1.0} <= {s["direct"] for s in rows}


def test_statistics_are_made_only_where_they_are_wanted(
    tiny_codec: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    original = FrameEncoder._vector_bits
    monkeypatch.setattr(
        FrameEncoder,
        "_vector_bits",
        lambda self, task, data: read.append(task.number) or original(self, task, data),
    )
    pictures, made = moving(64, 48, 3), []
    for stats in (True, False):
        encoder = Model(None, "cpu", 1, 64, 48, stats=stats).encoder(tiny_codec, 30)
        encoder.add(pictures[:1])
        encoder.add(pictures[1:])
        made.append(encoder.finish())
    assert made[0].body == made[1].body
    assert [row["frame"] for row in made[0].stats] == [0, 1, 2]
    assert made[1].stats == []
    searched = [row["frame"] for row in made[0].stats if row.get("leaves")]  # no copies
    assert sorted(read) == searched
    assert searched


def test_bits_by_element_add_up_to_the_bytes(tiny_codec: Any, coded: Any) -> None:
    r, _ = coded
    rows = body_stats(tiny_codec, r.body, 18, 100, 70)
    for stats in (r.stats, rows):
        assert [s["frame"] for s in stats] == list(range(18))
        types = "".join(s["type"] for s in stats)
        # any frame may be coded without prediction
        assert all(a in ("I", b) for a, b in zip(types, "I" + "B" * 16 + "P", strict=True))
        assert types.count("B") > 10
        assert "P" in types
        for s in stats:
            assert sum(s["bits"].values()) == pytest.approx(8 * s["bytes"], abs=0.5)
    for a, b in zip(r.stats, rows, strict=True):
        assert a["bytes"] == b["bytes"]
        assert a["q"] == b["q"]
        assert all(abs(a["bits"][k] - b["bits"][k]) < 1 for k in bit_statistics.ELEMENTS)
        assert all(
            a.get(k) == b.get(k) for k in ("skip", "merged", "bi", "direct", "painted", "leaves")
        )
    assert all(
        s["skip"] <= min(s["merged"], s["direct"]) and s["lambda"] > 0 and len(s["psnr"]) == 3
        for s in r.stats
        if s["type"] != "I"
    )
    assert sum(s["bits"]["vectors"] for s in rows) > 100
    assert sum(s["bits"]["modes"] for s in rows) > 100
    assert rows[0]["bits"]["vectors"] == rows[0]["bits"]["modes"] == 0
    overhead = len(r.body) - sum(s["bytes"] for s in rows)
    assert overhead == LEVELS + 1 + sum(1 + (s["bytes"] > 127) for s in rows)


def test_first_frames_need_nothing_of_those_behind(tiny_codec: Any, coded: Any) -> None:
    r, pictures = coded
    it = decode_gop(tiny_codec, r.body, 18, 100, 70)
    assert same(next(it), pictures[0])
    it.close()


@pytest.mark.parametrize("d", [0, 1, -1, 5, -6, 62, -62, 63, -63])
def test_quality_differences_come_back(d: int) -> None:
    coder = Encoder.start(999, new_contexts(CONTEXTS))
    frame_writing.encode_quality_difference(coder, d)
    frame_writing.encode_quality_difference(coder, -d)
    decoder = Decoder.start(coder.finished(), new_contexts(CONTEXTS))
    assert [frame_head._decode_qdelta(decoder) for _ in range(2)] == [d, -d]
    assert np.array_equal(coder.contexts, decoder.contexts)


def outcome(codec: Any, data: bytes, frames: int, width: int, height: int) -> str:
    try:
        out = list(decode_gop(codec, data, frames, width, height))
    except DamageError:
        return "refused"
    assert len(out) == frames
    assert all(p.y.shape == (height, width) and max(int(a.max()) for a in p) <= 1023 for p in out)
    return md5(out)


def test_bodies_that_cannot_be_are_refused(tiny_codec: Any) -> None:
    good = encoded(tiny_codec, moving(9, 7, 3)).body
    q, streams = parts(good, 3)
    assert body(q, streams) == good
    assert outcome(tiny_codec, good, 3, 9, 7) != "refused"
    assert (
        outcome(tiny_codec, b"", 3, 9, 7)
        == outcome(tiny_codec, good[:-1], 3, 9, 7)
        == outcome(tiny_codec, good + b"\0", 3, 9, 7)
        == "refused"
    )
    assert outcome(tiny_codec, good, 2, 9, 7) == outcome(tiny_codec, good, 4, 9, 7) == "refused"
    assert outcome(tiny_codec, bytes([64]) + good[1:], 3, 9, 7) == "refused"
    assert (
        outcome(tiny_codec, good[:LEVELS] + b"\xff" * 9 + b"\x01" + good[LEVELS + 1 :], 3, 9, 7)
        == "refused"
    )
    assert (
        outcome(tiny_codec, body(q, [streams[0] + b"\1" * 9, *streams[1:]]), 3, 9, 7) == "refused"
    )
    # a stream may be empty: it reads as zeros
    outcome(tiny_codec, body(q, [b"", b"", b""]), 3, 9, 7)


def test_random_damage_never_crashes_the_decoder(tiny_codec: Any) -> None:
    good = encoded(tiny_codec, moving(40, 28, 4), 35).body
    want = outcome(tiny_codec, good, 4, 40, 28)
    rng = np.random.default_rng(0)
    results = []
    for i in range(200):
        data = bytearray(good)
        for _ in range(1 if i < 120 else int(rng.integers(2, 30))):
            data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        results.append(outcome(tiny_codec, bytes(data), 4, 40, 28))
    q, streams = parts(good, 4)
    for seed in range(20):
        noise = [
            np.random.default_rng(seed).integers(0, 256, 400).astype(np.uint8).tobytes(),
            *streams[1:],
        ]
        results.append(outcome(tiny_codec, body(q, noise), 4, 40, 28))
    assert "refused" in results
    assert len(set(results)) > 30
    assert results.count(want) < 20


def test_what_is_shown_of_a_damaged_gop_does_not_depend_on_threads(
    tiny_codec: Any, one_thread: None
) -> None:
    good = encoded(tiny_codec, moving(40, 28, 20), 35).body
    rng, seen = np.random.default_rng(1), set()
    for _ in range(25):
        data = bytearray(good)
        data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        found = []
        for threads in (1, 3):
            torch.set_num_threads(threads)
            shown: list[Picture] = []
            with suppress(DamageError):
                shown += decode_gop(tiny_codec, bytes(data), 20, 40, 28)
            found.append((len(shown), md5(shown)))
        assert found[0] == found[1]
        seen.add(found[0][0])
    assert len(seen) > 2


def test_psnr_of_the_statistics_is_that_of_the_pixels(tiny_codec: Any) -> None:
    source = moving(40, 24, 2)
    r = encoded(tiny_codec, source)
    out = list(decode_gop(tiny_codec, r.body, 2, 40, 24))
    mse = float(((out[1].to8().y.astype(int) - source[1].y) ** 2).mean())
    assert r.stats[1]["psnr"][0] == pytest.approx(10 * math.log10(65025 / mse))


def test_encoding_inside_inference_mode(tiny_codec: Any) -> None:
    """The refinement needs gradients, whatever mode the caller is in."""
    clip = moving(48, 32, 3)
    want = encoded(tiny_codec, clip).body
    with torch.inference_mode():
        assert encoded(tiny_codec, clip).body == want
