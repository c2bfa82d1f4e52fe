from __future__ import annotations

import io
import random
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.clips import header, picture, same, undamaged, write
from support.coded_clips import flip, frames
from support.fakes import MODEL_ID, install
from support.synthetic import synthetic
from support.tails import tail, with_tail

from vqcodec.cli import main
from vqcodec.container import description as description_module
from vqcodec.container import packets as packets_module
from vqcodec.container import tracks as tracks_module
from vqcodec.container import writer
from vqcodec.container.reader import ContainerReader
from vqcodec.container.stored_tracks import StoredTracks
from vqcodec.errors import DamageError, DamageLog, VqvError
from vqcodec.fields import crc32
from vqcodec.options import DecodeOptions, Time
from vqcodec.pipeline.decode import decode
from vqcodec.pipeline.encode import encode
from vqcodec.pipeline.repair import repair
from vqcodec.reading.chosen_frames import frames as decoded_frames
from vqcodec.reading.decode_report import DecodeReport
from vqcodec.reading.timeline import Timeline
from vqcodec.reading.verify import verify

FFV1 = DecodeOptions(vcodec="ffv1")


def repaired(data: bytes, folder: Path) -> tuple[int, bytes]:
    """Exit code and result; the result is undamaged and is not changed by being repaired again."""
    (folder / "bad.vqv").write_bytes(data)
    code = main(["repair", "-q", "-y", str(folder / "bad.vqv"), str(folder / "good.vqv")])
    good = (folder / "good.vqv").read_bytes()
    r = ContainerReader.open(io.BytesIO(good))
    assert r.complete
    assert not r.damaged
    assert main(["repair", "-q", "-y", str(folder / "good.vqv"), str(folder / "again.vqv")]) == (
        4 if any(e.offset < 0 for e in r.gops) else 0
    )
    assert (folder / "again.vqv").read_bytes() == good
    return code, good


def test_an_undamaged_file_stays_as_it_is(tmp_path: Path) -> None:
    for n in (0, 1, 7):
        data, _ = synthetic(n, 50)
        assert repaired(data, tmp_path) == (0, data)


def test_header_and_index_are_made_anew(tmp_path: Path) -> None:
    data, o = synthetic(6, 50)
    assert repaired(bytes(40) + data[40:], tmp_path) == (0, data)  # the header is lost
    assert repaired(data[: o[-1]] + bytes(30), tmp_path) == (
        4,
        data,
    )  # the index is: whether more frames followed is not known
    assert repaired(data[: o[-1]], tmp_path) == (4, data)
    assert repaired(data[: o[2]] + b"junk" + data[o[2] :], tmp_path) == (0, data)
    assert repaired(data[: o[2]] + data[o[1] : o[2]] + data[o[2] :], tmp_path) == (
        0,
        data,
    )  # a GOP twice
    assert repaired(
        data[: o[1]] + data[o[2] : o[3]] + data[o[1] : o[2]] + data[o[3] :], tmp_path
    ) == (0, data)  # two exchanged
    code, cut = repaired(data[: o[4] - 1], tmp_path)
    assert code == 4
    assert undamaged(cut) == {f: g for f, g in list(undamaged(data).items())[:3]}


@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize("lost", [(0,), (2,), (5,), (1, 2), (0, 1, 2), (1, 3, 4)])
def test_lost_gops_keep_their_place(tmp_path: Path, lost: tuple[int, ...], index: bool) -> None:
    data, o = synthetic(6, 50)
    want = ContainerReader.open(io.BytesIO(data))
    bad = bytearray(data)
    for i in lost:
        bad[o[i + 1] - 6] ^= 1
    code, good = repaired(bytes(bad if index else bad[: o[-1]]), tmp_path)
    r = ContainerReader.open(io.BytesIO(good))
    assert code == 4
    assert r.frames == want.frames
    assert [(e.first_frame, e.count) for e in r.gops] == [
        (e.first_frame, e.count) for e in want.gops
    ]
    assert [e.offset < 0 for e in r.gops] == [i in lost for i in range(6)]
    for i, e in enumerate(want.gops):
        if i not in lost:
            assert r.read_gop(i) == want.read_gop(i)
        if i not in lost or index:
            assert r.gops[i].first_pts == e.first_pts


def test_packets_of_other_types_are_kept(tmp_path: Path) -> None:
    data, o = synthetic(3, 50)
    sid = ContainerReader.open(io.BytesIO(data)).stream_id
    other = packets_module.packet(0x90, sid, 5, 0, b"of a later version")
    code, good = repaired(data[: o[1]] + other + data[o[1] :], tmp_path)
    assert code == 0
    assert good[: o[1]] + other == good[: o[1] + len(other)]
    assert undamaged(good) == undamaged(data)


def test_what_cannot_be_repaired(tmp_path: Path) -> None:
    data, o = synthetic(3, 50)
    for name, bad, code in (
        ("none", bytes(60) + data[60 : o[-1]], 3),
        ("head", data[:30], 4),
        ("cut", data[: o[1] - 1], 4),
        ("version", data[:8] + b"\7" + data[9:], 3),
    ):
        (tmp_path / f"{name}.vqv").write_bytes(bad)
        assert (
            main(["repair", "-q", str(tmp_path / f"{name}.vqv"), str(tmp_path / "out.vqv")]) == code
        )
        assert not (tmp_path / "out.vqv").exists()
    (tmp_path / "a.vqv").write_bytes(data)
    (tmp_path / "old.vqv").write_bytes(b"old")
    assert main(["repair", str(tmp_path / "a.vqv"), str(tmp_path / "old.vqv")]) == 5
    assert (tmp_path / "old.vqv").read_bytes() == b"old"
    assert main(["repair", "-y", str(tmp_path / "a.vqv"), str(tmp_path / "a.vqv")]) == 2
    assert (tmp_path / "a.vqv").read_bytes() == data
    with pytest.raises(DamageError, match="no GOP could be saved"):
        repair(str(tmp_path / "cut.vqv"), str(tmp_path / "out.vqv"))


@pytest.mark.usefixtures("fake_network")
def test_a_repaired_file_decodes_as_the_damaged_one(tmp_path: Path, scene_coded: Path) -> None:
    """The frames that are left, the ones that stand in for the lost, their times; and the loss is
    still told of."""
    for bad in (1, 2):
        flip(scene_coded, bad)
    report = repair(str(scene_coded), str(tmp_path / "good.vqv"))
    assert (report.frames, report.gops, report.lost, report.complete, report.ok) == (
        55,
        2,
        30,
        True,
        False,
    )
    assert report.bytes == (tmp_path / "good.vqv").stat().st_size
    a = decode(str(scene_coded), str(tmp_path / "a.mkv"), FFV1)
    b = decode(str(tmp_path / "good.vqv"), str(tmp_path / "b.mkv"), FFV1)
    assert not b.ok
    assert (a.frames, a.concealed) == (b.frames, b.concealed) == (55, 30)
    assert "lost" in b.damage[0]
    one, two = frames(tmp_path / "a.mkv"), frames(tmp_path / "b.mkv")
    assert [t for t, _ in one] == [t for t, _ in two] == [Fraction(i, 25) for i in range(55)]
    assert all(same(p, q) for (_, p), (_, q) in zip(one, two, strict=True))
    assert verify(str(tmp_path / "good.vqv")).damaged_gops == 2
    assert main(["info", str(tmp_path / "good.vqv")]) == 4


def test_tracks_are_carried_along(tmp_path: Path) -> None:
    """Description, tracks and their packets, in the order of the GOPs with which they are stored;
    what is there twice once."""
    f = io.BytesIO()
    w = writer.ContainerWriter(
        f, packets_module.StreamHeader(64, 48, Fraction(1, 1000), Fraction(25))
    )
    description = description_module.Description(
        {"title": "T"},
        chapters=(description_module.Chapter(1, 0, 5, Fraction(1, 25), {"title": "One"}),),
    )
    w.extra(tracks_module.DESCRIPTION, description.to_bytes())
    t = tracks_module.TrackWriter(w)
    t.add(tracks_module.Track(0, "audio", "aac", Fraction(1, 1000), sample=b"sample"))
    t.add(
        tracks_module.Track(
            1, "attachment", "", Fraction(1), tags={"filename": "a.ttf"}, sample=b"font"
        )
    )
    begins, packets = [], []
    for i in range(4):
        packets.append(
            tracks_module.TrackPacket(0, 400 * i, 400 * i, 400, True, False, (), b"packet %d" % i)
        )
        begins.append(w.position)
        t.packet(packets[-1])
        t.flush()
        w.gop(
            packets_module.GopPayload(
                tuple(range(400 * i, 400 * (i + 1), 40)), 40, i, (1, 2, 3), b"body %d" % i
            )
        )
    begins.append(w.position)
    w.finish()
    data = f.getvalue()

    def held(
        data: bytes,
    ) -> tuple[
        description_module.Description, list[tracks_module.Track], list[tracks_module.TrackPacket]
    ]:
        s = StoredTracks(ContainerReader.open(io.BytesIO(data)))
        assert not s.damage
        return s.description, list(s.tracks.values()), list(s.packets())

    want = held(data)
    assert want[2] == packets
    assert len(want[1]) == 2
    parts = [data[a:b] for a, b in zip([0, *begins], [*begins, len(data)], strict=True)]
    assert repaired(data, tmp_path) == (0, data)
    twice = b"".join(parts[i] for i in (0, 1, 2, 2, 3, 1, 4, 5))
    assert held(twice) == want
    assert any("more than once" in text for text in ContainerReader.open(io.BytesIO(twice)).damaged)
    for bad in (bytes(40) + data[40:], b"".join(parts[i] for i in (0, 2, 1, 3, 4, 5)), twice):
        assert repaired(bad, tmp_path) == (0, data)
    assert held(repaired(b"".join(parts[:-1]), tmp_path)[1]) == want  # without an index
    assert held(repaired(b"".join([*parts[:2], *parts[3:]]), tmp_path)[1])[2] == [
        packets[0],
        *packets[2:],
    ]  # a GOP is lost with its packets
    code, good = repaired(
        data.replace(b"packet 1", b"packet 7"), tmp_path
    )  # a packet of a track is damaged, which costs no picture, and is no longer told by the file
    assert code == 4
    assert held(good)[2] == [packets[0], *packets[2:]]
    assert undamaged(good) == undamaged(data)


def test_lost_packets_of_tracks_show(
    tmp_path: Path, scene_coded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`repair` ended with 0 where only sound was lost, and its output was a whole file without."""
    data = bytearray(scene_coded.read_bytes())
    reader = opened(bytes(data))
    (extra,) = reader.extras
    at = extra.offset + reader.packet_size(extra.offset) - 1
    for name, gone in (("payload", [at]), ("payload and index", [at, len(data) - 20])):
        bad = bytearray(data)
        for place in gone:
            bad[place] ^= 1
        (tmp_path / "bad.vqv").write_bytes(bad)
        out = str(tmp_path / f"{name}.vqv")
        report = repair(str(tmp_path / "bad.vqv"), out)
        assert (report.lost, report.lost_packets, report.ok) == (0, 1, False), name
        assert main(["repair", "-y", str(tmp_path / "bad.vqv"), out]) == 4
        assert "0 frames and 1 packet of other tracks and tags lost" in capsys.readouterr().err


Shown = list[tuple[int, int, int]]


def shown(data: bytes, start: int = 0) -> tuple[Shown, DecodeReport]:
    """Time, duration and checksum of each frame that a decode shows from a number on."""
    report, codec = DecodeReport(), SimpleNamespace(model_id=MODEL_ID)
    options = DecodeOptions(start=Time(frames=start) if start else None)
    frames = [
        (pts + report.shift, duration, crc32(*(p.tobytes() for p in picture)))
        for pts, duration, picture in decoded_frames(opened(data), codec, options, report)
    ]
    return frames, report


def opened(data: bytes) -> ContainerReader:
    return ContainerReader.open(io.BytesIO(data))


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Whole files with even and uneven times; the first with the index, and the whole end, of
    another encode of its source; two encodes one behind the other."""
    folder = tmp_path_factory.mktemp("bases")
    pictures = [picture(8, 8, i) for i in range(60)]
    even = write(folder / "even.y4m", header(8, 8), pictures)
    uneven = write(
        folder / "uneven.mkv",
        header(8, 8),
        pictures,
        [40 * i + i * i % 37 for i in range(60)],
        vcodec="ffv1",
    )
    made = []
    with pytest.MonkeyPatch.context() as patch:
        install(patch)
        for source, options in (
            (even, {"gop": 7}),
            (uneven, {"gop": 7}),
            (even, {"gop": 5}),
            (even, {"gop": 7, "duration": Time(frames=30)}),
        ):
            encode(str(source), str(folder / "a.vqv"), overwrite=True, **options)
            made.append((folder / "a.vqv").read_bytes())
    a, b, other, short = made
    packets = a.removesuffix(tail(a))
    return [
        a,
        b,
        with_tail(packets, other),
        with_tail(packets, short),
        with_tail(short.removesuffix(tail(short)), a),
        packets + tail(other),
        a + other,
    ]


def damaged(data: bytes, alien: bytes, rng: random.Random) -> bytes:
    """Up to three things happen: bits flip, stretches are zeroed or left out, the ends are lost,
    packets come twice or from another encode."""
    bad = bytearray(data)
    entries = [
        (e.offset, opened(data).packet_size(e.offset)) for e in opened(data).gops if e.offset >= 0
    ]
    strange = [(e.offset, opened(alien).packet_size(e.offset)) for e in opened(alien).gops]
    for _ in range(rng.randint(1, 3)):
        offset, size = rng.choice(entries)
        kind, at, n = rng.randrange(7), rng.randrange(47, len(bad)), rng.randrange(1, 600)
        if kind == 0:  # in a packet's head, or anywhere in it
            bit = 8 * min(
                offset + rng.choice((rng.randrange(12), rng.randrange(size))), len(bad) - 1
            ) + rng.randrange(8)
            bad[bit // 8] ^= 1 << bit % 8
        elif kind == 1:
            bad[at : at + n] = bytes(n)
        elif kind == 2:
            del bad[at : at + n // 2]
        elif kind == 3:
            del bad[-rng.randrange(1, 200) :]
        elif kind == 4:
            bad[-rng.randrange(1, 60) :] = bytes(rng.randrange(80))
        elif kind == 5:
            bad[:50] = bytes(50)
        else:
            of, (a, length) = rng.choice(
                ((data, rng.choice(entries)), (alien, rng.choice(strange)))
            )
            bad[offset:offset] = of[a : a + length]
    return bytes(bad)


@pytest.mark.usefixtures("fake_network")
@pytest.mark.parametrize("count", [70, pytest.param(2000, marks=pytest.mark.slow)])
def test_whatever_happens_a_repaired_file_shows_what_the_damaged_one_does(
    tmp_path: Path, bases: list[bytes], count: int
) -> None:
    """The same pictures at the same times, from the start or from any frame; and the library's
    reader gives them the same times."""
    rng = random.Random(count)
    compared = lost = 0
    for i in range(count):
        bad = damaged(bases[i % len(bases)], bases[0], rng) if i >= len(bases) else bases[i]
        (tmp_path / "bad.vqv").write_bytes(bad)
        try:
            want, before = shown(bad)
        except VqvError as exc:
            with pytest.raises(type(exc)):
                repair(str(tmp_path / "bad.vqv"), str(tmp_path / "good.vqv"), overwrite=True)
            continue
        if before.concealed == before.frames:
            with pytest.raises(DamageError, match="no GOP could be saved"):
                repair(str(tmp_path / "bad.vqv"), str(tmp_path / "good.vqv"), overwrite=True)
            continue
        report = repair(str(tmp_path / "bad.vqv"), str(tmp_path / "good.vqv"), overwrite=True)
        good = (tmp_path / "good.vqv").read_bytes()
        got, after = shown(good)
        assert got == want, i
        assert opened(good).complete, i
        assert not opened(good).damaged, i
        assert report.lost == before.concealed == after.concealed, i
        assert before.ok or before.damage, i
        timeline = Timeline(opened(bad), DamageLog())
        assert [t for g in range(len(opened(bad).gops)) for t in timeline[g].pts] == [
            t for t, *_ in want
        ], i
        start = rng.randrange(len(want))
        assert shown(bad, start)[0] == want[start:], (i, start)
        compared, lost = compared + 1, lost + bool(report.lost)
    assert compared > count // 2
    assert lost > count // 4


def test_repair_through_pipes(tmp_path: Path) -> None:
    data, o = synthetic(3, 50)
    run = subprocess.run(
        [sys.executable, "-m", "vqcodec", "repair", "-q", "-", "-"],
        input=data[: o[-1]],
        capture_output=True,
    )
    assert run.returncode == 4
    assert run.stdout == data
