"""Damage at the figures that docs/reliability.md names: full counts are marked slow, smaller ones
run always."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.clips import header, moving, same, undamaged, write
from support.clock import PATIENCE, children_time, quickest
from support.grammar import File, mutate_fields
from support.paths import ROOT
from support.synthetic import frames, synthetic

from vqcodec.cli import main
from vqcodec.codec.gop_body import checksum_update
from vqcodec.codec.gop_decoder import decode_gop
from vqcodec.container import packets, writer
from vqcodec.container.reader import ContainerReader
from vqcodec.container.stored_tracks import StoredTracks
from vqcodec.errors import DamageError, VqvError
from vqcodec.options import DecodeOptions, EncodeOptions
from vqcodec.pipeline.decode import decode
from vqcodec.pipeline.encode import encode

W, H, GOP = 50, 38, 5
FULL = pytest.mark.slow


def counts(few: int, full: int) -> Any:
    return pytest.mark.parametrize("count", [few, pytest.param(full, marks=FULL)])


@pytest.fixture(scope="module")
def coded(tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five GOPs that the tiny network coded."""
    folder = tmp_path_factory.mktemp("damage")
    write(folder / "in.mkv", header(W, H), moving(W, H, 5 * GOP - 1, seed=4), vcodec="ffv1")
    encode(
        str(folder / "in.mkv"),
        str(folder / "a.vqv"),
        EncodeOptions(gop=GOP, crf=30, threads=1, device="cpu"),
        weights=str(tiny_weights),
    )
    return folder / "a.vqv"


def reader(data: bytes) -> ContainerReader:
    return ContainerReader.open(io.BytesIO(data))


@counts(500, 10_000)
def test_single_bit_flips_of_a_coded_file(coded: Path, count: int) -> None:
    """Parsing and checksums: each is noticed before anything is decoded, costs one GOP at most, and
    takes no time."""
    data = coded.read_bytes()
    good, r = undamaged(data), reader(data)
    ends = [e.offset for e in r.gops[1:]] + [r.index_offset]
    rng = np.random.default_rng(count)
    begin = time.process_time()
    for bit in rng.integers(0, len(data) * 8, count).tolist():
        bad = bytearray(data)
        bad[bit // 8] ^= 1 << bit % 8
        try:
            got, q = undamaged(bytes(bad)), reader(bytes(bad))
        except VqvError:
            assert 8 <= bit // 8 < 10  # the version
            continue
        hit = [
            e.first_frame for e, end in zip(r.gops, ends, strict=True) if e.offset <= bit // 8 < end
        ]
        tracks = StoredTracks(q)
        list(tracks.packets())
        assert q.damaged or not q.complete or set(good) - set(got) or tracks.damage, bit
        assert {k: g for k, g in good.items() if k not in hit} == {
            k: g for k, g in got.items() if k not in hit
        }, bit
        assert q.frames == r.frames, bit
        assert all(good[k] == g for k, g in got.items()), bit
    assert time.process_time() - begin < 10 + count * 0.01


@counts(8, 300)
def test_flips_with_full_decode(
    coded: Path, tiny_weights: Path, tmp_path: Path, count: int, one_thread: None
) -> None:
    """The frames of all other GOPs are identical, every frame is there at its time, and the report
    tells of the flip."""
    options = DecodeOptions(vcodec="ffv1", threads=1, device="cpu")
    decode(str(coded), str(tmp_path / "good.mkv"), options, weights=str(tiny_weights))
    want, data = frames(tmp_path / "good.mkv"), coded.read_bytes()
    entries = reader(data).gops
    ends = [e.offset for e in entries[1:]] + [reader(data).index_offset]
    rng = np.random.default_rng(count)
    for bit in rng.integers(8 * 47, len(data) * 8, count).tolist():
        bad = bytearray(data)
        bad[bit // 8] ^= 1 << bit % 8
        (tmp_path / "bad.vqv").write_bytes(bad)
        report = decode(
            str(tmp_path / "bad.vqv"),
            str(tmp_path / "out.mkv"),
            options,
            weights=str(tiny_weights),
            overwrite=True,
        )
        hit = [
            i
            for e, end in zip(entries, ends, strict=True)
            if e.offset <= bit // 8 < end
            for i in range(e.first_frame, e.first_frame + e.count)
        ]
        got = frames(tmp_path / "out.mkv")
        assert not report.ok, bit
        assert report.concealed == len(hit), bit
        assert [t for t, _ in got] == [t for t, _ in want], bit
        assert all(
            same(a, b)
            for i, ((_, a), (_, b)) in enumerate(zip(got, want, strict=True))
            if i not in hit
        ), bit


@counts(60, 2_000)
def test_flips_behind_the_checksums(coded: Path, tiny_codec: Any, count: int) -> None:
    """A range coder notices no damage: that of a body is found by what is left over or by the
    checksum of the pixels."""
    r = reader(coded.read_bytes())
    gops = [r.read_gop(i) for i in range(len(r.gops))]
    rng = np.random.default_rng(count)
    refused = wrong = 0
    for _ in range(count):
        gop = gops[rng.integers(len(gops))]
        body = bytearray(gop.body)
        body[rng.integers(len(body))] ^= 1 << int(rng.integers(8))
        crc, pictures, want = 0, [], list(decode_gop(tiny_codec, gop.body, len(gop.pts), W, H))
        try:
            for p in decode_gop(tiny_codec, bytes(body), len(gop.pts), W, H):
                crc = checksum_update(crc, p)
                pictures.append(p)
        except DamageError:
            refused += 1
            continue
        wrong += crc != gop.checksum
        assert crc != gop.checksum or all(same(a, b) for a, b in zip(pictures, want, strict=True))
    assert refused + wrong > count // 2


@pytest.mark.parametrize(("gops", "size"), [(12, 60), pytest.param(24, 520, marks=FULL)])
def test_cut_at_every_byte(gops: int, size: int) -> None:
    """Every GOP before the cut is recovered, and the frames of the one that is cut are named."""
    data, offsets = synthetic(gops, size)
    assert len(data) <= 20_000
    good = undamaged(data)
    firsts = list(good)
    heads = [packets.PacketHeader.parse(data[o:], reader(data).stream_id, o) for o in offsets]
    for n in range(len(data)):
        whole = [f for f, end in zip(firsts, offsets[1:], strict=True) if end <= n]
        try:
            r = reader(data[:n])
        except VqvError:
            assert n < offsets[0]
            continue
        assert undamaged(data[:n]) == {f: good[f] for f in whole}
        assert not r.complete
        assert any(str(n) in text for text in r.damaged)
        for o, h in zip(offsets[:-1], heads, strict=False):
            if o + h.size <= n < o + h.total:
                named = (
                    f"packet at byte {o} (frames {h.first_frame} to "
                    f"{h.first_frame + h.frames - 1}): cut after {n - o} of {h.total} bytes"
                )
                assert named in r.damaged


@counts(100, 1_000)
def test_packets_inserted_deleted_repeated_exchanged_spliced(count: int) -> None:
    """Untouched GOPs are recovered, those of another file are not taken for theirs, and every
    change is noticed."""
    data, o = synthetic(8, 60)
    alien, p = synthetic(8, 60, content=8)  # the same GOPs in another stream
    good = undamaged(data)
    parts = [data[a:b] for a, b in pairwise(o)]
    others = [alien[a:b] for a, b in pairwise(p)]
    rng = np.random.default_rng(count)
    for _ in range(count):
        now = list(parts)
        for _ in range(int(rng.integers(1, 4))):
            kind, i, j = (
                int(rng.integers(6)),
                int(rng.integers(len(now))),
                int(rng.integers(len(now))),
            )
            if kind == 0:
                now.insert(
                    i, rng.bytes(int(rng.integers(1, 40))) + packets.SYNC * int(rng.integers(2))
                )
            elif kind == 1 and len(now) > 2:
                del now[i]
            elif kind == 2:
                now.insert(i, now[j])
            elif kind == 3:
                now[i], now[j] = now[j], now[i]
            elif kind == 4:
                now[i] = others[int(rng.integers(8))]
            else:
                now.insert(i, others[int(rng.integers(8))])
        tail = data[o[-1] :] if rng.integers(3) else b""
        bad = data[: o[0]] + b"".join(now) + tail
        left = {f: good[f] for f, part in zip(good, parts, strict=True) if part in now}
        r = reader(bad)
        assert undamaged(bad) == left
        assert bad == data or r.damaged


@counts(1_000, 20_000)
def test_fields_with_right_checksums(count: int) -> None:
    """Every field at the ends of its range, beyond them and by chance: only our errors."""
    f = io.BytesIO()
    w = writer.ContainerWriter(
        f,
        packets.StreamHeader(
            64,
            48,
            Fraction(1001, 30000),
            Fraction(25),
            Fraction(16, 15),
            90,
            1,
            1,
            1,
            1,
            0,
            10,
            20,
            7,
        ),
    )
    for t in (0, 200, 900):
        w.gop(packets.GopPayload((t, t + 40, t + 80, t + 125), 40, 1, (300, 20, 7), b"body"))
    w.finish()
    tree = File.parse(f.getvalue())
    assert tree.build() == f.getvalue()
    rng = np.random.default_rng(count)
    done = 0
    outcomes = set()

    def check(data: bytes) -> None:
        nonlocal done
        done += 1
        try:
            r = reader(data)
            outcomes.add((r.complete, bool(r.damaged), len(undamaged(data))))
        except VqvError as exc:
            outcomes.add(type(exc).__name__)

    for i, x in enumerate(tree.fields()):
        old = x.value
        x.value = b"" if old is None and x.kind == "raw" else old
        for value in x.values(rng):
            x.value = value
            check(tree.build())
        x.value = old
        assert i < 200
    while done < count:
        check(mutate_fields(tree, rng, int(rng.integers(1, 4))).build())
    assert {"DamageError", "InputError", "LimitError", (True, False, 3)} <= outcomes


PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360000000000200010000ffff0000000049454e44ae426082"
)


def test_files_of_other_kinds_are_refused_at_once(tmp_path: Path) -> None:
    root = ROOT
    clear = {
        "empty": b"",
        "one": b"V",
        "one_of_magic": packets.MAGIC[:1],
        "magic": packets.MAGIC,
        "png": PNG,
        "text": b"hello, this is a text\n" * 50,
    }
    clear |= {
        "mp4": (root / "tests/data/flower.mp4").read_bytes(),
        "sent_as_text": packets.MAGIC.replace(b"\r\n", b"\n") + bytes(60),
    }
    want = {"one_of_magic": 4, "magic": 4, "sent_as_text": 4}
    for name, data in clear.items():
        path = tmp_path / f"{name}.vqv"
        path.write_bytes(data)
        for command in (
            ["info"],
            ["verify"],
            ["repair", "-o", str(tmp_path / "out.vqv")],
            ["decode", "-o", str(tmp_path / "out.y4m")],
        ):
            assert main([*command, str(path)]) == want.get(name, 3), (name, command)
        command = [sys.executable, "-m", "vqcodec", "verify", str(path)]

        def attempt(command: list[str] = command, code: int = want.get(name, 3)) -> float:
            begin = children_time()  # processor time: the machine may be busy
            result = subprocess.run(
                command,
                capture_output=True,
                text=True,
                env=os.environ | {"PYTHONPATH": str(root)},
                timeout=PATIENCE,
            )
            assert result.returncode == code
            assert result.stderr.startswith("vqcodec: error: ")
            assert result.stderr.count("\n") == 1
            return children_time() - begin

        quickest(attempt, 0.5)
    assert not (tmp_path / "out.vqv").exists()
    assert not (tmp_path / "out.y4m").exists()
