"""Tokens: what the arrays hold is what the decoder makes pictures of, no synthesis runs that isn't
needed, and a classifier can tell clips by them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.clips import header, moving, picture, write
from support.gops import LATENT

import vqcodec
from vqcodec.codec import latent_syntax
from vqcodec.codec.frame_decoder import FrameCoder
from vqcodec.codec.frame_head import hyper_tables
from vqcodec.codec.gop_structure import gop_order
from vqcodec.codec.nets.synthesis import Synthesis
from vqcodec.codec.range_coder import Decoder
from vqcodec.codec.tokens import frame_tokens
from vqcodec.container.packets import GopPayload
from vqcodec.picture import Picture
from vqcodec.reading.gop_cache import FrameCache, GopAccess

pytestmark = pytest.mark.usefixtures("one_thread")
W, H, FRAMES = 80, 48, 22
THROUGH_NETS = replace(LATENT, refine_steps=0)
Y, X = 64 // 16, 128 // 16  # blocks of the padded picture


def scene() -> list[Picture]:
    """Something that moves, a part that stands still (and becomes direct), and noise that needs
    escapes."""
    out = []
    for i, p in enumerate(moving(W, H, FRAMES, seed=6)):
        y = p.y.copy()
        y[:, :16] = 90
        y[8:24, 40:64] = picture(24, 16, i).y
        out.append(Picture(y, p.u, p.v))
    return out


@pytest.fixture(scope="module")
def coded(tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("coded")
    write(folder / "in.mkv", header(W, H), scene(), vcodec="ffv1")
    vqcodec.encode(
        folder / "in.mkv",
        folder / "a.vqv",
        gop=19,
        crf=10,
        threads=1,
        device="cpu",
        preset=THROUGH_NETS,
        weights=str(tiny_weights),
    )
    return folder / "a.vqv"


@pytest.fixture
def video(coded: Path, tiny_weights: Path) -> Any:
    with vqcodec.open(coded, weights=tiny_weights) as v:
        yield v


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the batches that go through a synthesis net."""
    seen: list[int] = []
    real = Synthesis.__call__

    def call(self: Synthesis, y: Any, *rest: Any) -> Any:
        seen.append(len(y))
        return real(self, y, *rest)

    monkeypatch.setattr(Synthesis, "__call__", call)
    return seen


def test_shapes_and_types(video: Any, tiny_codec: Any) -> None:
    tokens = video.tokens()
    assert [t.frame for t in tokens] == list(range(FRAMES))
    assert [t.pts_seconds for t in tokens] == pytest.approx([i / 25 for i in range(FRAMES)])
    kinds = ["I", *"B" * 17, "P", "I", "B", "P"]
    # any frame may be coded without prediction
    assert all(t.kind in ("I", kind) for t, kind in zip(tokens, kinds, strict=True))
    assert {t.kind for t in tokens} == {"I", "P", "B"}
    assert tokens[9].level == 2
    places = {9: (0, 18), 18: (0,), 20: (19, 21), 21: (19,)}
    predicted = {i: tokens[i].references for i in places if tokens[i].kind != "I"}
    assert len(predicted) > 1
    assert predicted.items() <= places.items()
    for t in tokens:
        s = (tiny_codec.intra if t.kind == "I" else tiny_codec.inter).shape
        assert t.latent.shape == (Y, X, s.latent // 4, 4)
        assert t.latent.dtype == np.int16
        assert t.classes.shape == t.latent.shape[:3]
        assert t.hyper.shape == (1, 2, s.hyper // 4)
        assert t.direction.shape == t.depth.shape == t.merged.shape == (8, 16)
        assert t.vectors.shape == (8, 16, 2, 2)
        assert t.direct.shape == (4, 8)
        assert 0 <= t.quality <= 63
        assert t.escapes.shape[1] == 4
        assert (t.direction == 0).all() if t.kind == "I" else (t.direction > 0).all()
        passed = t.direct | t.painted | t.outside
        assert np.array_equal(t.tiles, (~passed).reshape(2, 2, 4, 2).any((1, 3)))
        assert (t.classes[passed] == -1).all()
        assert (t.classes[~passed] >= 0).all()
        assert (t.latent[passed] == -1).all()
    assert any(t.direct.any() for t in tokens)
    assert any(len(t.escapes) for t in tokens)
    assert {t.direction.max() for t in tokens} >= {0, 1, 3}


def test_indices_are_those_of_the_latents(
    video: Any, tiny_codec: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The vectors that the indices name, with the values of escapes, are the latents less their
    means that the synthesis was given."""
    residuals: dict[int, np.ndarray] = {}
    real = latent_syntax.decode_step
    runs: list[tuple[Any, np.ndarray, np.ndarray]] = []

    def decode_step(
        coder: Decoder, mean: np.ndarray, cls: Any, direct: Any, step: int, *rest: Any
    ) -> None:
        real(coder, mean, cls, direct, step, *rest)
        runs.append((rest[7], mean.copy(), rest[6]))  # symbols, mean, latent

    monkeypatch.setattr(latent_syntax, "decode_step", decode_step)
    real_tokens = frame_tokens

    def keep(run: Any, first: int, seconds: float) -> Any:
        t = real_tokens(run, first, seconds)
        steps = [(mean, y) for symbols, mean, y in runs if symbols is run.symbols]
        groups = t.classes.shape[2]
        if not steps:  # nothing is coded
            residuals[t.frame] = np.zeros((Y, X, 4 * groups), int)
            return t
        active = np.zeros((len(steps), Y, X, groups), bool)
        for k, i, j, g in np.ndindex(active.shape):
            active[k, i, j, g] = latent_syntax.active(run.blocks, i, j, g, groups, k, len(steps))
        mean = np.select(list(np.repeat(active, 4, 3)), [mean for mean, _ in steps], 0)
        residuals[t.frame] = np.where(np.repeat(active.any(0), 4, 2), steps[-1][1] - mean, 0)
        return t

    monkeypatch.setattr("vqcodec.reading.random_access.frame_tokens", keep)
    some = 0
    for t in [*video.tokens(0, 1), *video.tokens(15, 18)]:
        books = (tiny_codec.intra if t.kind == "I" else tiny_codec.inter).books
        got = np.zeros((*t.latent.shape[:3], 4), int)
        for i, j, g, s in np.argwhere(t.latent >= 0):
            c = t.classes[i, j, g]
            assert books.dims[c] > 0
            assert s % books.dims[c] == 0
            got[i, j, g, s : s + books.dims[c]] = books.words[
                c, t.latent[i, j, g, s], : books.dims[c]
            ]
        got = got.reshape(*t.latent.shape[:2], -1)
        for i, j, channel, value in t.escapes:
            c = t.classes[i, j, channel // 4]
            lead = channel % 4 // books.dims[c] * books.dims[c]
            assert t.latent[i, j, channel // 4, lead] == books.sizes[c] - 1
            assert got[i, j, channel] == 0
            got[i, j, channel] = 16 * value
        assert np.array_equal(got, residuals[t.frame])
        some += int(np.count_nonzero(got))
    assert some > 100


def test_no_more_syntheses_than_needed(coded: Path, tiny_weights: Path, shown: list[int]) -> None:
    def count(start: int, stop: int | None, level: int | None = None) -> int:
        shown.clear()
        with vqcodec.open(coded, weights=tiny_weights) as v:
            v.tokens(start, stop, max_level=level)
        return sum(shown)

    with vqcodec.open(coded, weights=tiny_weights) as v:
        coded_frames = {t.frame for t in v.tokens(shallow=True) if t.tiles.any()}

    def needed(*frames: int) -> int:
        return len(coded_frames.intersection(frames))

    assert count(0, 1) == count(19, 20) == count(0, None, 0) == 0  # I frames need none
    referred = {n for slots in gop_order(19) for slot in slots for n in slot.refs}
    assert count(0, None) == needed(*referred, 19, 21) >= 9
    assert count(0, 19) == needed(*referred) >= 8
    assert count(0, 19, 1) == needed(0) == 1  # which the key frame refers to
    assert count(7, 8) == needed(0, 18, 9, 4, 6) >= 4


def test_tokens_and_pictures_share_the_cache(
    coded: Path, tiny_weights: Path, shown: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        vqcodec.open(coded, output="yuv", weights=tiny_weights) as a,
        vqcodec.open(coded, output="yuv", weights=tiny_weights) as b,
    ):
        want = [t.latent for t in a.tokens()]
        pictures = a[:]
        first = len(shown)
        assert np.array_equal(pictures.y, b[:].y)
        assert len(shown) > first
        shown.clear()
        assert all(np.array_equal(t.latent, w) for t, w in zip(b.tokens(), want, strict=True))
        assert not shown


def test_max_level(video: Any) -> None:
    assert [t.frame for t in video.tokens(max_level=0)] == [0, 19]
    assert [t.frame for t in video.tokens(max_level=1)] == [0, 18, 19, 21]
    assert [t.frame for t in video.tokens(3, 20, max_level=2)] == [9, 18, 19]
    assert video.tokens(5, 5) == []
    part, whole = video.tokens(-4), video.tokens()[-4:]
    assert all(
        np.array_equal(a.latent, b.latent) and np.array_equal(a.vectors, b.vectors)
        for a, b in zip(part, whole, strict=True)
    )


def test_sequences(video: Any, tiny_codec: Any) -> None:
    words = video.vocabulary
    assert (
        words.size
        == 3 + tiny_codec.intra.books.sizes.sum() + tiny_codec.inter.books.sizes.sum()
        == len(words.codewords)
    )
    used: set[int] = set()
    for t in video.tokens():
        ids, places = words.sequence(t)
        assert ids.dtype == np.int32
        assert ids.min() >= 0
        assert ids.max() < words.size
        assert len(places) == len(ids)
        assert ids[0] == "IPB".index(t.kind)
        assert len(ids) == 1 + (t.hyper >= 0).sum() + (t.latent >= 0).sum()
        books = (tiny_codec.intra if t.kind == "I" else tiny_codec.inter).books
        for k, (i, j, g, s) in list(zip(ids, places, strict=True))[1:]:
            table = (
                hyper_tables(t.quality, 4 * t.hyper.shape[2]) + g if s < 0 else t.classes[i, j, g]
            )
            at = t.hyper[i, j, g] if s < 0 else t.latent[i, j, g, s]
            assert np.array_equal(words.codewords[k] * 16, books.words[table, at])
        used |= set(ids.tolist())
    assert len(used) > 100


def test_arrays_belong_to_the_caller(video: Any) -> None:
    a = video.tokens(0, 17)
    for t in a:
        for name in (
            "latent",
            "classes",
            "hyper",
            "direction",
            "vectors",
            "depth",
            "merged",
            "direct",
            "tiles",
            "weighting",
            "weights",
            "blends",
            "painted",
            "outside",
        ):
            getattr(t, name).fill(1)
    assert not np.array_equal(video.tokens(16, 17)[0].vectors, a[16].vectors)
    assert all(p.shape == (3, H, W) for p in video)  # and the checksum of the pixels is right


def test_tokens_are_shown_in_a_few_lines(video: Any) -> None:
    """Printed in a notebook they were hundreds of lines of zeros."""
    for shallow in (False, True):
        shown = repr(video.tokens(1, 2, shallow=shallow)[0])
        assert len(shown) < 1200
        assert "frame=1" in shown
        assert "direct=<bool (" in shown


def test_a_gop_alone(tiny_codec: Any) -> None:
    """GopAccess knows its mini-GOPs, and tells damage."""
    from vqcodec.encoding.gop_encoder import encode_gop
    from vqcodec.errors import DamageError

    r = encode_gop(tiny_codec, scene()[:4], 30)
    access = GopAccess(
        tiny_codec,
        0,
        GopPayload(tuple(range(4)), 1, r.checksum, (0, 0, 0), r.body),
        W,
        H,
        8,
        FrameCache(1 << 20),
    )
    assert [access.mini_gop(f) for f in range(4)] == [
        range(1),
        range(1, 4),
        range(1, 4),
        range(1, 4),
    ]
    assert [f for f, _ in access.pictures([3, 0, 3])] == [0, 3]
    assert not access.wrong
    assert len(list(access.pictures(range(4)))) == 4
    assert not access.wrong
    assert not FrameCoder(tiny_codec, W, H).parse([])
    with pytest.raises(DamageError):
        GopAccess(
            tiny_codec, 0, GopPayload((0,), 1, 0, (0, 0, 0), b"\xff" * 20), W, H, 8, FrameCache(0)
        )
