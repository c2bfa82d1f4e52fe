"""Kinds of files that few tools write: raw streams, Flash, Ogg, DV, discs, Matroska before zero."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from support.media import Sound, listing, make

from vqcodec.cli import main
from vqcodec.media.inputs import open_source
from vqcodec.media.integrity import broken_at
from vqcodec.media.source import VideoSource
from vqcodec.media.source_choice import SourceChoice
from vqcodec.pipeline.encode import encode
from vqcodec.reading.info import describe

pytestmark = pytest.mark.usefixtures("fake_network")

REORDERED = {"bf": "3", "x264-params": "b-adapt=0:b-pyramid=normal"}
AC3, MP2 = (Sound("ac3", 48000),), (Sound("mp2", 48000),)
# how files are made whose end tells whether they are whole
ENDING: dict[str, dict[str, Any]] = {
    "a.flv": {"codec": "flv", "sounds": (Sound("libmp3lame"),)},
    "a.ogv": {"codec": "libvpx", "sounds": (Sound("libopus", 48000),)},
    "a.mpg": {"codec": "mpeg1video", "sounds": MP2},
    "a.vob": {"codec": "mpeg2video", "sounds": AC3},
    "a.gif": {"codec": "gif", "fmt": "rgb8", "frames": 30},
    "a.mjpeg": {"codec": "mjpeg", "fmt": "yuvj420p"},
    "a.nut": {"codec": "ffv1", "sounds": (Sound("pcm_s16le"),)},
    "a.dv": {
        "codec": "dvvideo",
        "size": (720, 576),
        "frames": 9,
        "sounds": (Sound("pcm_s16le", 48000),),
    },
}


def kind_of(path: Path) -> str:
    with open_source(path) as opened:
        return opened.container.format.name


@pytest.mark.parametrize("name", ENDING)
def test_cut_files_of_rare_kinds_are_noticed(tmp_path: Path, name: str) -> None:
    whole = make(tmp_path / name, **({"frames": 60} | ENDING[name]))
    assert encode(str(whole), str(tmp_path / "whole.vqv")).corrupt == 0
    assert broken_at(str(whole), kind_of(whole)) == []
    data, path = whole.read_bytes(), tmp_path / f"cut{whole.suffix}"
    for part in (0.35, 0.6, 0.9, 0.97):
        path.write_bytes(data[: int(len(data) * part) + 7])
        assert broken_at(str(path), kind_of(path)), part
        report = encode(str(path), str(tmp_path / f"{part}.vqv"))
        assert report.corrupt > 0, (part, report)
        assert report.frames > 0, (part, report)


def test_walks_end_whatever_the_bytes_are(tmp_path: Path) -> None:
    for name, made in ENDING.items():
        if name == "a.dv":
            continue  # of which there is nothing to walk through
        whole = make(tmp_path / name, **({"frames": 12} | made))
        kind, data = kind_of(whole), whole.read_bytes()
        for at in range(0, min(len(data), 4000), 37):
            changed = bytearray(data[: at + 300])
            changed[at % len(changed)] ^= 0xFF
            (tmp_path / "x").write_bytes(changed)
            found = broken_at(str(tmp_path / "x"), kind, 20)
            assert len(found) <= 20
            assert all(0 <= n <= len(data) for n in found)


def test_checksums_of_ogg(tmp_path: Path) -> None:
    """FFmpeg passes over a page whose checksum is wrong, and says nothing."""
    path = make(tmp_path / "a.ogv", **ENDING["a.ogv"])
    whole = path.read_bytes()
    for at in range(0, len(whole), 997):
        damaged = bytearray(whole)
        damaged[at] ^= 1
        path.write_bytes(damaged)
        assert broken_at(str(path), "ogg"), at


def test_a_cut_file_in_which_ffmpeg_seeks_before_its_begin(tmp_path: Path) -> None:
    """A cut NUT was no video at all: an error of the seek ended what FFmpeg would have borne."""
    path = make(tmp_path / "a.nut", codec="ffv1", size=(96, 64), frames=40)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    report = encode(str(path), str(tmp_path / "a.vqv"))
    assert 15 <= report.frames <= 20
    assert report.corrupt


RAW = {
    "a.m1v": ("mpeg1video", "mpeg1video", {}),
    "a.m2v": ("mpeg2video", "mpeg2video", {}),
    "b.m2v": ("mpeg2video", "mpeg2video", {"bf": "2"}),
    "a.vc2": ("vc2", "dirac", {"b": "600000000"}),
    "a.h264": ("libx264", "h264", REORDERED),
}


def raw_stream(path: Path) -> Path:
    """Twelve pictures at 25 a second, as their encoder gives them."""
    codec, muxer, options = RAW[path.name]
    made = make(path.with_suffix(".mkv"), frames=12, codec=codec, options=options)
    with av.open(str(made)) as source, av.open(str(path), "w", format=muxer) as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    return path


@pytest.mark.parametrize("name", RAW)
def test_frames_of_raw_streams_are_counted(tmp_path: Path, name: str) -> None:
    """Times that FFmpeg makes up for them were taken for true: a gap behind the first picture, or
    all pictures within 12 ticks."""
    path = raw_stream(tmp_path / name)
    with VideoSource(path) as source:
        times = [pts * source.time_base for pts, _ in source]
        assert times == [Fraction(i, 25) for i in range(12)]
        assert source.following is not None
        assert source.following * source.time_base == Fraction(12, 25)
    with VideoSource(path) as source:
        everything = [picture.y.tobytes() for _, picture in source]
    from vqcodec.span import Time

    with VideoSource(path, SourceChoice(Time(seconds=Fraction(1, 5)))) as source:
        got = [(pts * source.time_base, picture.y.tobytes()) for pts, picture in source]
    assert [time for time, _ in got] == [Fraction(i, 25) for i in range(7)]
    assert [luma for _, luma in got] == everything[5:]


def test_pictures_of_matroska_before_zero(tmp_path: Path) -> None:
    """Their packets have no times in FFmpeg; those that were numbered from zero on came among
    those that have theirs."""
    times = [40 * i - 200 for i in range(12)]
    path = make(
        tmp_path / "a.mkv",
        frames=12,
        base=Fraction(1, 1000),
        times=times,
        options=REORDERED,
        format_options={"avoid_negative_ts": "disabled"},
    )
    with VideoSource(path) as source:
        got = [pts * source.time_base for pts, _ in source]
        assert not source.warnings
    assert got == [Fraction(time, 1000) for time in times]


def two_videos(path: Path) -> Path:
    """Pictures at 25 a second, and others with B frames at 10 a second."""
    first = make(path.with_name("first.mkv"), frames=20)
    second = make(path.with_name("second.mkv"), size=(32, 48), frames=8, rate=10, options=REORDERED)
    with (
        av.open(str(first)) as one,
        av.open(str(second)) as two,
        av.open(str(path), "w") as out,
    ):
        streams = [out.add_stream_from_template(c.streams.video[0]) for c in (one, two)]
        for source, stream in zip((one, two), streams, strict=True):
            for packet in list(source.demux(video=0)):
                if packet.size:
                    packet.stream = stream
                    out.mux(packet)
    return path


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
def test_times_of_a_second_video_come_back(tmp_path: Path, suffix: str) -> None:
    """Matroska has no times of decoding. Pictures that are reordered were given those of display in
    their place, and so other times of display."""
    source = two_videos(tmp_path / "a.mkv")
    out = tmp_path / f"b{suffix}"
    assert main(["encode", "-q", str(source), str(tmp_path / "a.vqv")]) == 0
    assert main(["decode", "-q", str(tmp_path / "a.vqv"), str(out)]) == 0
    (want,), (got,) = listing(source)["tracks"], listing(out)["tracks"]
    assert got["count"] == want["count"] == 8

    def shown(track: dict[str, Any]) -> list[int]:
        return [round(1000 * time) for time, _ in track["times"]]

    assert shown(got) == shown(want)
    assert sorted(shown(want)) == [100 * i for i in range(8)]


@pytest.mark.parametrize("rate", [25, 1000])
def test_a_timecode_costs_no_track(
    tmp_path: Path, rate: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """At more than 255 pictures a second .mp4 has no timecodes: all tracks went with it."""
    source = make(
        tmp_path / "a.mkv",
        rate=rate,
        base=Fraction(1, 1000),
        sounds=(Sound(),),
        tags={"timecode": "01:02:03:04", "title": "T"},
    )
    assert main(["encode", "-q", str(source), str(tmp_path / "a.vqv")]) == 0
    assert main(["decode", str(tmp_path / "a.vqv"), str(tmp_path / "b.mp4")]) == 0
    back = listing(tmp_path / "b.mp4")
    assert [t["codec"] for t in back["tracks"] if t["kind"] == "audio"] == ["aac"]
    assert back["tags"]["title"] == "T"
    told = "the timecode is left out: .mp4 has none at 1000 frames a second"
    assert (told in capsys.readouterr().err) == (rate == 1000)


def test_dv_has_its_rate(tmp_path: Path) -> None:
    path = make(tmp_path / "a.dv", **ENDING["a.dv"])
    assert main(["encode", "-q", str(path), str(tmp_path / "a.vqv")]) == 0
    assert describe(str(tmp_path / "a.vqv")).rate == "25/1"
    assert main(["decode", "-q", str(tmp_path / "a.vqv"), str(tmp_path / "b.mp4")]) == 0
    (sound,) = (t for t in listing(tmp_path / "b.mp4")["tracks"] if t["kind"] == "audio")
    assert sound["md5"] == listing(path)["tracks"][0]["md5"]


@pytest.mark.parametrize("channels", ["mono", "stereo", "2.1", "5.1"])
def test_sound_whose_channels_have_no_names(tmp_path: Path, channels: str) -> None:
    """Uncompressed sound of .avi and .mkv says how many there are; .mp4 must say which."""
    source = make(tmp_path / "a.mkv", sounds=(Sound("pcm_s16le", 48000, channels),))
    assert main(["encode", "-q", str(source), str(tmp_path / "a.vqv")]) == 0
    assert main(["decode", "-q", str(tmp_path / "a.vqv"), str(tmp_path / "b.mp4")]) == 0
    (got,) = listing(tmp_path / "b.mp4")["tracks"]
    assert got["md5"] == listing(source)["tracks"][0]["md5"]


def test_latm_of_broadcasts(tmp_path: Path) -> None:
    """A packet of it alone is no sound that FFmpeg knows in a transport stream."""
    source = make(
        tmp_path / "a.ts",
        base=Fraction(1, 90000),
        sounds=(Sound("aac", 48000),),
        format_options={"mpegts_flags": "latm"},
    )
    (want,) = listing(source)["tracks"]
    assert want["codec"] == "aac_latm"
    assert main(["encode", "-q", str(source), str(tmp_path / "a.vqv")]) == 0
    for suffix in (".ts", ".mkv"):
        out = tmp_path / f"b{suffix}"
        assert main(["decode", "-q", str(tmp_path / "a.vqv"), str(out)]) == 0
        (got,) = listing(out)["tracks"]
        assert (got["codec"], got["count"], got["md5"]) == (
            "aac_latm",
            want["count"],
            want["md5"],
        )


def test_sound_of_blu_ray(tmp_path: Path) -> None:
    """.m2ts holds what .ts does not, and was tried as .ts."""
    source = make(tmp_path / "a.m2ts", sounds=(Sound("pcm_bluray", 48000),))
    (want,) = listing(source)["tracks"]
    assert want["codec"] == "pcm_bluray"
    assert main(["encode", "-q", str(source), str(tmp_path / "a.vqv")]) == 0
    assert main(["decode", "-q", str(tmp_path / "a.vqv"), str(tmp_path / "b.m2ts")]) == 0
    (got,) = listing(tmp_path / "b.m2ts")["tracks"]
    assert (got["codec"], got["md5"]) == ("pcm_bluray", want["md5"])
