"""Heads read alone hold what the whole decoder finds in them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.golden_files import NEWEST as GOLDEN
from support.golden_files import every_file, weights
from support.heads import differing
from support.paths import PYTHONPATH

import vqcodec
from vqcodec.codec.codebooks import Codebooks
from vqcodec.codec.frame_head import HeadReader
from vqcodec.codec.gop_body import parse_body, write_body
from vqcodec.codec.gop_heads import read_heads
from vqcodec.codec.gop_structure import MiniGopShape
from vqcodec.codec.tokens import ShallowTokens, frame_tokens, shallow_tokens
from vqcodec.codec.weights import Codec, load_codec
from vqcodec.container.packets import GopPayload
from vqcodec.container.reader import ContainerReader
from vqcodec.errors import DamageError
from vqcodec.reading.gop_cache import FrameCache, GopAccess

MODEL = GOLDEN / "tiny.safetensors"


def same(a: ShallowTokens, b: ShallowTokens, but: tuple[str, ...] = ()) -> None:
    """All that both have is equal."""
    assert not differing(a, b, but)


@every_file
def test_heads_alone_are_those_of_the_whole(folder: Path, name: str, entry: dict[str, Any]) -> None:
    with vqcodec.open(folder / f"{name}.vqv", weights=weights(folder), device="cpu") as video:
        shallow = video.tokens(shallow=True)
        full = video.tokens()
        assert len(shallow) == len(full) == entry["frames"]
        for a, b in zip(shallow, full, strict=True):
            assert type(a) is ShallowTokens
            same(a, b)
        some = [entry["frames"] // 2, entry["frames"] - 1]
        for n in some:  # alone too, without the others
            same(video.tokens(n, n + 1, shallow=True)[0], full[n])
        assert [t.frame for t in video.tokens(max_level=1, shallow=True)] == [
            t.frame for t in full if t.level <= 1
        ]


def test_a_frame_with_painted_blocks_has_its_hyper_latent_before_their_samples() -> None:
    """So that it is found without a picture."""
    with vqcodec.open(GOLDEN / "page-beside-picture.vqv", weights=MODEL, device="cpu") as video:
        both = [
            t
            for t in video.tokens(shallow=True)
            if t.painted.any() and t.references and t.bits["hyper"] > 1
        ]
        assert both
        for t in both:
            same(t, video.tokens(t.frame, t.frame + 1)[0])


@pytest.fixture(scope="module")
def codec() -> Codec:
    return load_codec(MODEL, "cpu", 1)


def bodies() -> list[tuple[str, GopPayload, int, int]]:
    out = []
    for path in sorted(GOLDEN.glob("*.vqv")):
        with path.open("rb") as file:
            reader = ContainerReader.open(file)
            h = reader.header
            for i in range(len(reader.gops)):
                out.append((path.stem, reader.read_gop(i), h.width, h.height))
    return out


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_heads_of_changed_streams(codec: Codec, seed: int) -> None:
    """Any bytes: what the whole decoder makes of a frame is what its head alone says. Heads are
    refused for no other reason than the decoder has too."""
    rng = np.random.default_rng(seed)
    compared = refused = 0
    for name, gop, width, height in bodies():
        if name == "flashes-and-repeats" or (name == "small-10-bit" and seed == 1):
            continue  # one has frames set apart, the other is long
        frames = len(gop.pts)
        body = parse_body(gop.body, frames)
        streams = [bytearray(s) for s in body.streams]
        for k in rng.choice(frames, min(3, frames), replace=False):
            if streams[k]:
                streams[k][rng.integers(len(streams[k]))] ^= 1 << rng.integers(8)
        shapes = [MiniGopShape(len(slots)) for slots in body.order[1:]]
        changed = write_body(body.qualities, shapes, [bytes(s) for s in streams])
        payload = replace(gop, body=memoryview(changed))
        access = GopAccess(codec, 0, payload, width, height, 1, FrameCache(1 << 24))
        books = (codec.intra.books.hyper_alone(), codec.inter.books.hyper_alone())
        reader = HeadReader(*books, width, height)
        for number in range(frames):
            try:
                (_, run), *_ = access.parsed([number])
                whole = frame_tokens(run, 0, 0.0)
            except DamageError:
                refused += 1
                continue
            (head, refs), *_ = read_heads(reader, parse_body(changed, frames), {number})
            same(shallow_tokens(head, refs, 0, 0.0), whole)
            compared += 1
    assert compared > 30
    assert refused > 0


def test_without_a_model_all_but_the_hyper_latent_is_there(codec: Codec) -> None:
    for _, gop, width, height in bodies()[:3]:
        body = parse_body(gop.body, len(gop.pts))
        none = HeadReader(Codebooks.none(), Codebooks.none(), width, height)
        books = (codec.intra.books.hyper_alone(), codec.inter.books.hyper_alone())
        known = HeadReader(*books, width, height)
        for (a, refs), (b, _) in zip(read_heads(none, body), read_heads(known, body), strict=True):
            bare, full = shallow_tokens(a, refs, 0, 0.0), shallow_tokens(b, refs, 0, 0.0)
            same(bare, full, ("hyper", "intra_hyper", "bits"))
            assert bare.hyper.size == bare.intra_hyper.size == 0
            assert bare.bits["hyper"] == 0
            assert {**full.bits, "hyper": 0} == bare.bits


def test_motion_is_that_of_the_picture() -> None:
    """The clip moves by 1.25 samples down and 2.5 to the left in a frame."""
    with vqcodec.open(GOLDEN / "motion.vqv", weights=MODEL, device="cpu") as video:
        motion = video.motion()
        assert [m.frame for m in motion] == list(range(len(video)))
        assert not motion[0].flow.any()
        assert not motion[0].size.any()
        for number in (2, 4, 8, 12, 17):  # those whose references are far: the others' weigh less
            moved = np.median(motion[number].flow[1:7, 1:11], (0, 1))
            assert np.abs(moved - [1.25, -2.5]).max() < 0.1, (number, moved)
        assert set(np.unique(motion[5].size)) <= {8, 16, 32, 64}
        one = video.motion(5, 6)[0]
        assert np.array_equal(one.flow, motion[5].flow)
        assert one.references == motion[5].references


def test_heads_need_no_torch() -> None:
    code = (
        "import sys, vqcodec\n"
        f"v = vqcodec.open({str(GOLDEN / 'motion.vqv')!r}, output='numpy',"
        f" weights={str(MODEL)!r})\n"
        "assert len(v.tokens(shallow=True)) == len(v.motion()) == len(v)\n"
        "assert 'torch' not in sys.modules\n"
    )
    env = os.environ | {"PYTHONPATH": PYTHONPATH}
    subprocess.run([sys.executable, "-c", code], check=True, env=env)
