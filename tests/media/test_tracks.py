"""Sound, subtitles, attachments, data, tags and chapters: stored, found again, and written out
untouched."""

from __future__ import annotations

import io
import os
import random
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from support.clips import header
from support.media import CHAPTERS, FILES, Sound, listing, make, make_named
from support.paths import ROOT

from vqcodec.cli import main
from vqcodec.cli.info_text import as_text
from vqcodec.container import description, writer
from vqcodec.container import packets as packets_module
from vqcodec.container import tracks as tracks_module
from vqcodec.container.description import Chapter, Description, Mastering, clip_chapters
from vqcodec.container.reader import ContainerReader
from vqcodec.container.stored_tracks import StoredTracks
from vqcodec.container.tracks import Track, TrackPacket, TrackWriter, get_packets, put_packet
from vqcodec.errors import DamageError, UsageError, VqvError
from vqcodec.fields import Writer
from vqcodec.media.track_muxer import TrackMuxer
from vqcodec.options import DecodeOptions, EncodeOptions, TrackChoice
from vqcodec.pipeline.decode import decode
from vqcodec.pipeline.encode import encode
from vqcodec.reading.info import describe
from vqcodec.reading.verify import verify

pytestmark = pytest.mark.usefixtures("fake_network")

FULL = Description(
    {"title": "\u6f22 \U0001f3ac", "": "empty key"},
    {"language": "deu"},
    0x10001,
    (
        Chapter(-3, -5, 100, Fraction(1, 90000), {"title": "One"}),
        Chapter(1 << 40, 100, 200, Fraction(1001, 30000)),
    ),
    "yuv444p",
    (65536, 0, 0, 0, -65536, 0, 0, 0, 1 << 30),
    Mastering(((1, 2),) * 10, True, False),
    (1000, 400),
)
PACKETS = [
    TrackPacket(0, -1024, -1024, 1024, True, False, ((2, bytes(10)),), b"abc"),
    TrackPacket(0, 0, 0, 1024, True, False, (), b""),
    TrackPacket(3, None, 17, 0, False, True, (), b"x" * 300),
    TrackPacket(3, None, None, 5, False, False, ((6, b"a"), (7, b"")), b"y"),
    TrackPacket(0, 1024, 900, 1000, True, False, (), b"z"),
    TrackPacket(3, -(1 << 61), 1 << 61, 0, True, False, (), b""),
]


def chunk(packets: list[TrackPacket]) -> bytes:
    w = Writer()
    clocks: dict[int, Any] = {}
    for p in packets:
        put_packet(w, clocks, p)
    return w.getvalue()


def stored(path: Path) -> StoredTracks:
    return StoredTracks(ContainerReader.open(io.BytesIO(path.read_bytes())))


def around(
    source: Path, out: Path, *decode_options: str, encode_options: tuple[str, ...] = ()
) -> Path:
    """Encode and decode by the command line."""
    coded = out.with_suffix(".vqv")
    assert main(["encode", "-y", "-q", *encode_options, str(source), str(coded)]) == 0
    assert main(["decode", "-y", "-q", *decode_options, str(coded), str(out)]) == 0
    return out


def close(times: list[tuple[Fraction, Fraction]], want: list[tuple[Fraction, Fraction]]) -> bool:
    """Begins and lengths to the millisecond."""
    return len(times) == len(want) and all(
        abs(a - b) <= Fraction(1, 1000)
        for t, w in zip(times, want, strict=True)
        for a, b in zip(t, w, strict=True)
    )


def test_description_bytes() -> None:
    assert Description.from_bytes(FULL.to_bytes()) == FULL
    assert not Description()
    assert FULL
    assert Description.from_bytes(Description().to_bytes()) == Description()
    for n in range(len(FULL.to_bytes())):
        with pytest.raises(DamageError):
            Description.from_bytes(FULL.to_bytes()[:n])
    with pytest.raises(DamageError, match="too many"):
        Description.from_bytes(FULL.to_bytes() + b"\0")


def test_tracks_and_packets_bytes() -> None:
    track = Track(
        7, "subtitle", "ass", Fraction(1, 1000), 1, {"language": "deu"}, "matroska", b"sample"
    )
    assert Track.from_bytes(track.to_bytes()) == track
    assert "subtitle, ass, deu" in str(track)
    assert list(get_packets(chunk(PACKETS))) == PACKETS
    # sound at its usual pace costs seven bytes a packet
    regular = [
        TrackPacket(0, 1024 * i, 1024 * i, 1024, True, False, (), bytes(200)) for i in range(100)
    ]
    assert len(chunk(regular)) <= 100 * 207 + 8


def test_worked_example_of_the_documentation() -> None:
    text = (ROOT / "docs" / "format.md").read_text()
    block = text.split("```hex chunk\n")[1].split("```")[0]
    data = bytes.fromhex("".join(line.split("   ")[0] for line in block.splitlines()))
    want = [
        TrackPacket(0, -1024, -1024, 1024, True, False, ((2, b"\1\2"),), b"abc"),
        TrackPacket(0, 0, 0, 1024, True, False, (), b"de"),
        TrackPacket(1, None, 500, 250, True, False, (), b"Hi"),
    ]
    assert list(get_packets(data)) == want
    assert chunk(want) == data


def test_random_changes_of_stored_tracks_give_only_our_errors() -> None:
    rng = random.Random(5)
    track = Track(
        7, "audio", "aac", Fraction(1, 48000), 1, {"language": "deu"}, "matroska", bytes(range(50))
    )
    cases = [
        (FULL.to_bytes(), Description.from_bytes),
        (track.to_bytes(), Track.from_bytes),
        (chunk(PACKETS), lambda d: list(get_packets(d))),
    ]
    wrong = 0
    for _ in range(3000):
        data, parse = rng.choice(cases)
        changed = bytearray(data)
        for _ in range(rng.randint(1, 4)):
            changed[rng.randrange(len(changed))] = rng.choice(
                (0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256))
            )
        try:
            parse(bytes(changed))  # type: ignore[operator]
        except VqvError:
            wrong += 1
    assert wrong > 500


@pytest.mark.parametrize("count", [1 << 20, 1 << 62])
def test_claimed_counts_are_refused_before_memory_is_taken(count: int) -> None:
    w = Writer().varint(count)
    with pytest.raises(DamageError, match="above"):
        Description.from_bytes(w.getvalue() + bytes(100))
    with pytest.raises(DamageError, match="limit"):
        Description.from_bytes(bytes(description.MAX_DESCRIPTION + 1))
    with pytest.raises(DamageError, match="limit"):
        Track.from_bytes(
            Track(
                0, "audio", "x", Fraction(1), sample=bytes(description.MAX_DESCRIPTION)
            ).to_bytes()
        )


def test_metadata_over_the_limit_is_left_out_with_a_note() -> None:
    big = Description(
        {"a": "x" * 700_000, "b": "y" * 600_000, "title": "kept"}, chapters=FULL.chapters
    )
    fitted, notes = big.fitted()
    assert set(fitted.tags) == {"b", "title"}
    assert fitted.chapters == FULL.chapters
    assert len(notes) == 1
    assert "tag a" in notes[0]
    many = Description(chapters=(Chapter(0, 0, 1, Fraction(1), {"title": "x" * 2000}),) * 1000)
    fitted, notes = many.fitted()
    assert fitted.chapters == ()
    assert "1000 chapters" in notes[0]


def test_clip_chapters() -> None:
    chapters = tuple(Chapter(i, 1000 * i, 1000 * (i + 1), Fraction(1, 1000)) for i in range(5))
    assert [
        (c.id, c.start, c.end) for c in clip_chapters(chapters, Fraction(3, 2), Fraction(7, 2))
    ] == [(1, 0, 500), (2, 500, 1500), (3, 1500, 2000)]
    assert clip_chapters(chapters, Fraction(0), None) == chapters


@pytest.mark.parametrize(
    "name",
    [
        "all.mkv",
        "all.mp4",
        "two_audio.mp4",
        "broadcast.ts",
        "surround.mkv",
        "own_tags.mov",
        "cover.mp4",
        "web.webm",
        "late.mkv",
        "edit_list.mp4",
    ],
)
def test_tracks_come_back_identical(tmp_path: Path, name: str) -> None:
    source = make_named(tmp_path, name)
    got, want = listing(around(source, tmp_path / f"out{source.suffix}")), listing(source)
    assert len(want["tracks"]) > 0
    for key in ("tracks", "tags", "video_tags", "chapters", "times", "disposition"):
        assert got[key] == want[key], key


@pytest.mark.parametrize(
    "name",
    [
        "hdr10.mkv",
        "phone.mp4",
        "mirrored.mp4",
        "full_range.mp4",
        "vfr.mkv",
        "vfr.mp4",
        "hidden.mp4",
        "anamorphic.mkv",
        "ten_bit.mp4",
        "one_frame.mp4",
    ],
)
def test_properties_come_back_identical(tmp_path: Path, name: str) -> None:
    source = make_named(tmp_path, name)
    got, want = listing(around(source, tmp_path / f"out{source.suffix}")), listing(source)
    for key in ("times", "size", "sar", "colour", "matrix", "hdr", "bits", "tracks"):
        assert got[key] == want[key], key
    if name == "hdr10.mkv":
        assert all(want["hdr"])
    if name in ("phone.mp4", "mirrored.mp4"):
        assert want["matrix"]


@pytest.mark.parametrize("codec", ["libx265", "libsvtav1"])
def test_hdr_data_reaches_other_codecs(tmp_path: Path, codec: str) -> None:
    source = make_named(tmp_path, "hdr10.mkv")
    policy = _policy()
    got = listing(around(source, tmp_path / "out.mp4", "--vcodec", codec))
    assert _policy() == policy  # SVT-AV1 takes a real-time one, where it may
    values, want = (
        [Fraction(*n) for n in zip(*[iter(_ints(h))] * 2, strict=True)]
        for h in (got["hdr"][0], listing(source)["hdr"][0])
    )
    assert all(
        abs(a - b) <= max(b / 1000, Fraction(1, 10000)) for a, b in zip(values, want, strict=True)
    )
    assert got["hdr"][1] == listing(source)["hdr"][1]


def _policy() -> int:
    """By which rule this thread is served; -1 where the system does not say."""
    return os.sched_getscheduler(0) if hasattr(os, "sched_getscheduler") else -1


def _ints(text: str) -> list[int]:
    data = bytes.fromhex(text)[:80]
    return [int.from_bytes(data[i : i + 4], "little") for i in range(0, 80, 4)]


def test_hdr_data_that_is_lost_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    around(make_named(tmp_path, "hdr10.mkv"), tmp_path / "a.mkv")
    capsys.readouterr()
    assert (
        main(["decode", str(tmp_path / "a.vqv"), str(tmp_path / "b.mkv"), "--vcodec", "ffv1"]) == 0
    )
    assert "ffv1 cannot write the HDR data" in capsys.readouterr().err


def test_what_an_output_cannot_hold_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coded = around(make_named(tmp_path, "all.mkv"), tmp_path / "a.mkv").with_suffix(".vqv")
    for suffix, kinds, said in (
        (".mp4", ["audio", "audio"], 4),
        (".webm", ["audio"], 5),
        (".y4m", [], 1),
        (".ts", ["audio", "audio"], 5),
        (".m4v", ["audio"], 5),
    ):
        capsys.readouterr()
        assert main(["decode", str(coded), str(tmp_path / f"b{suffix}")]) == 0
        err = capsys.readouterr().err
        assert [
            t["kind"] for t in listing(tmp_path / f"b{suffix}")["tracks"] if t["kind"] != "data"
        ] == kinds, err
        assert err.count("left out") == said, err


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        (["-an"], "ssttt"),
        (["-sn"], "aattt"),
        (["-an", "-sn", "-map", "-t"], ""),
        (["-map", "a:1"], "a"),
        (["-map", "0:a", "-map", "s"], "aass"),
        (["-map", "0", "-map", "-0:a:0"], "assttt"),
        (["-map", "-a"], "ssttt"),
        (["-map", "1"], "a"),
        (["-dn"], "aassttt"),
    ],
)
@pytest.mark.parametrize("when", ["encode", "decode"])
def test_choice_of_tracks(tmp_path: Path, options: list[str], kept: str, when: str) -> None:
    source = make(
        tmp_path / "in.mkv",
        **FILES["all.mkv"]
        | {
            "attachments": (
                ("a", "text/plain", b"1"),
                ("b", "text/plain", b"2"),
                ("c", "text/plain", b"3"),
            ),
            "frames": 5,
        },
    )
    out = around(
        source,
        tmp_path / "out.mkv",
        *(options if when == "decode" else ()),
        encode_options=tuple(options if when == "encode" else ()),
    )
    letters = {"audio": "a", "subtitle": "s", "attachment": "t"}
    assert "".join(letters[t["kind"]] for t in listing(out)["tracks"]) == kept
    if options == ["-map", "a:1"]:
        assert listing(out)["tracks"] == [listing(source)["tracks"][1]]


def test_maps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("x", "a:", "0:0:0", "a:-1", "", "-", "1:a", "--a"):
        with pytest.raises(UsageError, match="allowed"):
            TrackChoice(maps=(text,))
    source = make_named(tmp_path, "two_audio.mkv")
    coded = str(tmp_path / "a.vqv")
    for maps in (["a:7"], ["0", "0:s"], ["9"], ["d:0", "a"]):
        given = [word for text in maps for word in ("-map", text)]
        assert main(["encode", str(source), coded, *given]) == 2
        err = capsys.readouterr().err
        assert err.count("there is no such track") == 1, err
        assert not Path(coded).exists(), err
    assert main(["encode", str(source), coded, "-map", "v", "-map", "s?", "-map", "-d:3"]) == 0
    assert capsys.readouterr().err.count("-map -d:3: there is no such track") == 1
    assert not stored(tmp_path / "a.vqv").tracks
    for suffix in (".mkv", ".y4m"):
        out = tmp_path / f"b{suffix}"
        assert main(["decode", coded, str(out), "-map", "a:0"]) == 2
        assert not out.exists()
        assert "a.vqv: -map a:0: there is no such track" in capsys.readouterr().err
        assert main(["decode", coded, str(out), "-map", "v", "-map", "a?"]) == 0


@pytest.mark.parametrize("name", ["all.mkv", "all.mp4"])
@pytest.mark.parametrize("when", ["encode", "decode"])
@pytest.mark.parametrize("begin", ["0.4", "10f"])
def test_tracks_of_a_stretch(tmp_path: Path, name: str, when: str, begin: str) -> None:
    source = make(tmp_path / name, **FILES[name] | {"frames": 50})
    span = ("-ss", begin, "-t", "0.6" if begin == "0.4" else "15f")
    out = around(
        source,
        tmp_path / f"out{source.suffix}",
        *(span if when == "decode" else ()),
        encode_options=("-g", "7", *(span if when == "encode" else ())),
    )
    want, got = listing(source), listing(out)
    assert [round(t * 25) for t in got["times"]] == list(range(15))
    start, stop = want["times"][10], want["times"][25]
    assert got["chapters"] == [(0, Fraction(3, 5), CHAPTERS[1][2])]
    assert len(got["tracks"]) == len(want["tracks"])
    for a, b in zip(got["tracks"], want["tracks"], strict=True):
        assert (a["kind"], a["tags"]) == (b["kind"], b["tags"])
        if b["kind"] == "audio":
            times = [t - start for t, _ in b["times"] if start <= t < stop]
            assert len(times) > 20
            assert a["count"] == len(times)
            assert max(abs(x - y) for (x, _), y in zip(a["times"], times, strict=True)) <= Fraction(
                1, 1000
            )
        elif b["kind"] == "attachment":
            assert a["md5"] == b["md5"]
    texts = [
        (t, d)
        for t in got["tracks"]
        if t["kind"] == "subtitle"
        for t, d in t["times"]
        if d > Fraction(1, 10)
    ]
    # the second text, 0.4 to 0.65 s, begins with the stretch, and the third follows after 0.3 s
    assert close(texts[:2], [(Fraction(0), Fraction(1, 4)), (Fraction(3, 10), Fraction(1, 4))])


def test_a_subtitle_that_is_still_shown_begins_with_the_stretch(tmp_path: Path) -> None:
    source = make(tmp_path / "in.mkv", frames=50, subtitles=(("subrip", {}),))
    for options in ({"encode_options": ("-ss", "0.52")}, {}):
        args = () if options else ("-ss", "0.52")
        times = listing(around(source, tmp_path / "out.mkv", *args, **options))["tracks"][0][
            "times"
        ]  # type: ignore[arg-type]
        assert close(times, [(Fraction(0), Fraction(13, 100)), (Fraction(18, 100), Fraction(1, 4))])


def test_tracks_stand_beside_their_pictures(tmp_path: Path) -> None:
    """Packets are stored with the GOP of their time, so that readers and writers need memory for
    one GOP."""
    source = make(tmp_path / "in.mkv", frames=60, sounds=(Sound(),))
    encode(str(source), str(tmp_path / "a.vqv"), EncodeOptions(gop=10))
    reader = ContainerReader.open(io.BytesIO((tmp_path / "a.vqv").read_bytes()))
    assert reader.complete
    assert not reader.damaged
    assert len(reader.gops) == 6
    base = StoredTracks(reader).tracks[0].time_base
    for i, extra in enumerate(reader.extras):
        if extra.type == tracks_module.PACKETS and extra.first_frame:
            for p in get_packets(reader.read_extra(i)):
                assert p.pts is not None
                assert extra.first_frame <= p.pts * base * 25 + Fraction(1, 20)
                assert p.pts * base * 25 < extra.first_frame + 10 or extra.first_frame >= 50
    assert sum(e.type == tracks_module.PACKETS for e in reader.extras) in (
        6,
        7,
    )  # with what lies behind the last picture


def test_long_chunks_are_divided() -> None:
    f = io.BytesIO()
    w = writer.ContainerWriter(f, header(8, 8))
    out = TrackWriter(w)
    out.add(Track(0, "audio", "pcm_s16le", Fraction(1, 1000)))
    packets = [TrackPacket(0, i, i, 1, True, False, (), bytes([i]) * 200_000) for i in range(20)]
    for p in packets:
        out.packet(p)
    out.flush()
    w.gop(packets_module.GopPayload((0, 40), 40, 1, (1, 2, 3), b"body"))
    w.finish()
    reader = ContainerReader.open(f)
    assert sum(e.type == tracks_module.PACKETS for e in reader.extras) == 4
    assert reader.complete
    assert not reader.damaged
    assert list(StoredTracks(reader).packets()) == packets


def _pictures(path: Path) -> list[bytes]:
    with av.open(str(path)) as c:
        return [f.to_ndarray().tobytes() for f in c.decode(video=0)]


@pytest.mark.parametrize(
    "kind", [tracks_module.DESCRIPTION, tracks_module.TRACK, tracks_module.PACKETS]
)
@pytest.mark.parametrize("index", [True, False])
def test_damage_of_tracks_costs_no_picture(tmp_path: Path, kind: int, index: bool) -> None:
    source = make_named(tmp_path, "two_audio.mkv")
    around(source, tmp_path / "a.mkv", "--vcodec", "ffv1", encode_options=("-g", "5"))
    coded = tmp_path / "a.vqv"
    data = bytearray(coded.read_bytes())
    extras = ContainerReader.open(io.BytesIO(bytes(data))).extras
    data[next(e.offset for e in extras if e.type == kind) + 40] ^= 4
    coded.write_bytes(bytes(data) if index else bytes(data[:-10]))
    report = decode(str(coded), str(tmp_path / "b.mkv"), DecodeOptions(vcodec="ffv1"))
    assert not report.ok
    assert report.concealed == 0
    assert report.damage
    assert _pictures(tmp_path / "b.mkv") == _pictures(tmp_path / "a.mkv")
    want, got = listing(tmp_path / "a.mkv"), listing(tmp_path / "b.mkv")
    if kind == tracks_module.TRACK:
        assert got["tracks"] == want["tracks"][1:]
    elif kind == tracks_module.DESCRIPTION:
        assert got["tracks"] == want["tracks"]
    else:
        assert sum(t["count"] for t in got["tracks"]) < sum(t["count"] for t in want["tracks"])
        assert len(got["tracks"]) == 2
    assert not verify(str(coded), fast=True).ok
    assert main(["verify", "--fast", str(coded)]) == 4
    assert main(["decode", "-q", "--strict", str(coded), str(tmp_path / "c.mkv")]) == 4
    assert not (tmp_path / "c.mkv").exists()


def test_a_reader_without_tracks_shows_the_video(tmp_path: Path) -> None:
    """The pictures need nothing of it: a file whose packets of tracks are cut out decodes to the
    same pictures."""
    around(make_named(tmp_path, "all.mkv"), tmp_path / "a.mkv", "--vcodec", "ffv1")
    reader = ContainerReader.open(io.BytesIO((tmp_path / "a.vqv").read_bytes()))
    f = io.BytesIO()
    w = writer.ContainerWriter(f, reader.header)
    for i in range(len(reader.gops)):
        w.gop(reader.read_gop(i))
    w.finish()
    (tmp_path / "b.vqv").write_bytes(f.getvalue())
    assert decode(str(tmp_path / "b.vqv"), str(tmp_path / "b.mkv"), DecodeOptions(vcodec="ffv1")).ok
    assert _pictures(tmp_path / "a.mkv") == _pictures(tmp_path / "b.mkv")
    assert not listing(tmp_path / "b.mkv")["tracks"]


def test_hostile_samples_of_tracks_cost_their_track_only(tmp_path: Path) -> None:
    """Codec parameters are read by FFmpeg: whatever they say, the output opens."""
    around(make_named(tmp_path, "all.mkv"), tmp_path / "a.mkv")
    good = [t for t in stored(tmp_path / "a.vqv").tracks.values() if t.kind != "attachment"]
    rng = random.Random(2)
    left = 0
    for n in range(60):
        track = good[n % len(good)]
        sample = bytearray(track.sample)
        for _ in range(rng.randint(1, 12)):
            sample[rng.randrange(len(sample))] = rng.randrange(256)
        name = rng.choice((track.format, track.format, "nut", "mp4", "concat", "hls"))
        with av.open(io.BytesIO(), "w", format="matroska") as out:
            video = out.add_stream("ffv1", rate=25)
            video.width = video.height = 16
            video.pix_fmt = "yuv420p"
            muxer = TrackMuxer(
                out,
                ".mkv",
                [Track(0, track.kind, track.codec, track.time_base, 0, {}, name, bytes(sample))],
                TrackChoice(),
            )
            out.start_encoding()
            muxer.write(
                TrackPacket(0, 0, 0, 10, True, False, ((2, b"\xff" * 10),), b"data"), Fraction(0)
            )
            left += bool(muxer.warnings)
            muxer.close()
    assert 10 < left < 60


def test_hostile_times_of_packets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Packets whose times run backwards or are missing are written all the same, or it is told."""
    around(make(tmp_path / "in.mkv", frames=3, sounds=(Sound("pcm_s16le"),)), tmp_path / "a.mkv")
    old = ContainerReader.open(io.BytesIO((tmp_path / "a.vqv").read_bytes()))
    for times in (
        [(5, 5), (3, 3), (None, None), (None, 2), (9, 1)],
        [(-(1 << 40), 0), (1 << 40, 1 << 40), (0, 0)],
    ):
        f = io.BytesIO()
        w = writer.ContainerWriter(f, old.header)
        out = TrackWriter(w)
        out.add(StoredTracks(old).tracks[0])
        for dts, pts in times:
            out.packet(TrackPacket(0, dts, pts, 1, True, False, (), b"1234"))
            out.packet(TrackPacket(5, dts, pts, 1, True, False, (), b"of no track"))
        out.flush()
        w.gop(old.read_gop(0))
        w.finish()
        (tmp_path / "b.vqv").write_bytes(f.getvalue())
        for name in ("b.mkv", "b.mp4", "b.mov", "b.ts"):
            code = main(["decode", "-y", "-q", str(tmp_path / "b.vqv"), str(tmp_path / name)])
            told = code == 4 and "refuses its packets" in capsys.readouterr().err
            assert code == 0 or told or (code in (4, 5) and not (tmp_path / name).exists()), name


def test_info_lists_tracks(tmp_path: Path) -> None:
    around(make_named(tmp_path, "all.mkv"), tmp_path / "a.mkv")
    d = describe(str(tmp_path / "a.vqv"))
    assert d.ok
    assert d.tags["title"] == "A \u6f22 film"
    assert [c.tags["title"] for c in d.chapters] == [t for _, _, t in CHAPTERS]
    assert [t.kind for t in d.tracks] == [
        "audio",
        "audio",
        "subtitle",
        "subtitle",
        "attachment",
        "attachment",
    ]
    assert d.tracks[0].number == 1
    assert d.tracks[0].tags["language"] == "deu"
    assert "track 1 (audio, aac, deu, Deutsch)" in as_text(d)
    assert "A \u6f22 film" in as_text(d)


@pytest.mark.parametrize(
    ("encoder", "suffix", "name"), [("libmp3lame", ".mp4", "mp3"), ("mp2", ".mkv", "mp2")]
)
def test_a_codec_has_the_name_that_ffprobe_gives_it(
    tmp_path: Path, encoder: str, suffix: str, name: str
) -> None:
    """Decoders have others: mp3float."""
    source = make(tmp_path / f"in{suffix}", frames=5, sounds=(Sound(encoder, 48000),))
    around(source, tmp_path / f"out{suffix}")
    assert [track.codec for track in describe(str(tmp_path / "out.vqv")).tracks] == [name]
    assert listing(tmp_path / f"out{suffix}")["tracks"] == listing(source)["tracks"]


def test_letters_that_a_terminal_lacks_are_no_fault(tmp_path: Path) -> None:
    around(make_named(tmp_path, "all.mkv"), tmp_path / "a.mkv")
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "PYTHONIOENCODING": "latin-1",
    }
    run = subprocess.run(
        [sys.executable, "-m", "vqcodec", "info", str(tmp_path / "a.vqv")],
        capture_output=True,
        env=environment,
    )
    assert run.returncode == 0
    assert b"title: A ? film" in run.stdout
    assert "Zw\u00f6i ?".encode("latin-1") in run.stdout


@pytest.mark.parametrize(
    ("name", "fmt"),
    [
        ("chroma422.mkv", "yuv422p"),
        ("chroma444.mkv", "yuv444p10le"),
        ("gray.mkv", "gray"),
        ("rgb.mkv", "bgr0"),
    ],
)
def test_the_pixel_format_of_the_source_comes_back_if_asked(
    tmp_path: Path, name: str, fmt: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make_named(tmp_path, name)
    capsys.readouterr()
    assert main(["encode", str(source), str(tmp_path / "a.vqv")]) == 0
    assert f"note: {source}: pictures of {fmt} are converted" in capsys.readouterr().err
    assert (
        main(
            [
                "decode",
                "-q",
                str(tmp_path / "a.vqv"),
                str(tmp_path / "b.mkv"),
                "--vcodec",
                "ffv1",
                "-pix_fmt",
                "source",
            ]
        )
        == 0
    )
    with av.open(str(tmp_path / "b.mkv")) as b, av.open(str(source)) as a:
        assert (
            b.streams.video[0].codec_context.format.name
            == fmt
            == a.streams.video[0].codec_context.format.name
        )
        for f, g in zip(a.decode(video=0), b.decode(video=0), strict=True):
            x, y = (h.reformat(format="rgb24").to_ndarray().astype(int) for h in (f, g))
            assert abs(x - y).mean() < 12  # chroma was halved on the way


def test_pixel_formats_that_a_codec_refuses(tmp_path: Path) -> None:
    around(make_named(tmp_path, "one_frame.mp4"), tmp_path / "a.mp4")
    assert (
        main(
            ["decode", "-q", str(tmp_path / "a.vqv"), str(tmp_path / "b.y4m"), "-pix_fmt", "rgb24"]
        )
        == 2
    )
    assert (
        main(
            [
                "decode",
                "-q",
                str(tmp_path / "a.vqv"),
                str(tmp_path / "b.mp4"),
                "-pix_fmt",
                "nonsense",
            ]
        )
        == 2
    )
    assert not list(tmp_path.glob("b.*"))
    for fmt in ("yuv444p", "yuv422p", "gray"):
        assert (
            main(
                ["decode", "-qy", str(tmp_path / "a.vqv"), str(tmp_path / "b.y4m"), "-pix_fmt", fmt]
            )
            == 0
        )
        with av.open(str(tmp_path / "b.y4m")) as c:
            assert c.streams.video[0].codec_context.format.name == fmt
            assert len(list(c.decode(video=0))) == 1


def test_the_index_of_the_stream_is_read_before_the_file_is_closed(tmp_path: Path) -> None:
    """The reading thread closes short files before the tracks are looked at; the number of a closed
    stream was once read then."""
    for _ in range(3):
        encode(str(make_named(tmp_path, "one_frame.mp4")), str(tmp_path / "a.vqv"), overwrite=True)
        assert stored(tmp_path / "a.vqv").tracks == {}


def test_the_same_bytes_every_time(tmp_path: Path) -> None:
    source = make_named(tmp_path, "all.mkv")
    for name in ("a", "b"):
        encode(str(source), str(tmp_path / f"{name}.vqv"), EncodeOptions(gop=6))
    assert (tmp_path / "a.vqv").read_bytes() == (tmp_path / "b.vqv").read_bytes()


def test_a_cover_is_not_the_video(tmp_path: Path) -> None:
    source = make_named(tmp_path, "cover.mp4")
    with av.open(str(source)) as c:
        assert [int(s.disposition) >> 10 & 1 for s in c.streams.video] == [0, 1]
    report = encode(str(source), str(tmp_path / "a.vqv"))
    assert (report.width, report.height, report.frames, report.tracks) == (64, 48, 25, 2)


def test_hdr_values_of_nonsense_are_not_written(tmp_path: Path) -> None:
    from vqcodec.media.encoder_options import hdr_options

    assert (
        hdr_options("libx264", Description(mastering=Mastering(((1, 0),) * 10, True, True))) == {}
    )
    assert hdr_options("libx264", Description(light=(7, 3))) == {"x264-params": "cll=7,3"}


def test_a_disposition_that_ffmpeg_cannot_hold_is_refused() -> None:
    """Found by the fuzzer: it passed the reader, and making the output ended in an
    OverflowError."""
    largest = tracks_module.Track(
        0,
        "audio",
        "flac",
        Fraction(1, 48000),
        description.MAX_DISPOSITION,
        {},
        "matroska",
        b"sample",
    )
    assert tracks_module.Track.from_bytes(largest.to_bytes()).disposition == (1 << 31) - 1
    with pytest.raises(DamageError):
        tracks_module.Track.from_bytes(replace(largest, disposition=1 << 31).to_bytes())
    with pytest.raises(DamageError):
        description.Description.from_bytes(description.Description(disposition=1 << 31).to_bytes())
