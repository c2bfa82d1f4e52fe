"""What lies in and around pictures is kept, or told: times, captions, fields, transparency."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from support.field_files import UNEVEN, fields, last_shown, two_parts, with_captions
from support.media import Sound, listing, make, picture

from vqcodec.cli import main
from vqcodec.media import clock
from vqcodec.media.captions import _escaped
from vqcodec.media.clock import BestEffort, Jump, TrackClock
from vqcodec.media.side_data import Losses, shown_otherwise, side_data
from vqcodec.media.source import VideoSource
from vqcodec.media.source_choice import SourceChoice
from vqcodec.reading.info import describe

pytestmark = pytest.mark.usefixtures("fake_network")


def coded(source: Path, *options: str, code: int = 0) -> Path:
    out = source.with_suffix(".vqv")
    assert main(["encode", "-y", "-q", str(source), str(out), *options]) == code
    return out


def decoded(source: Path, suffix: str, *options: str) -> Path:
    out = source.with_name(f"out{suffix}")
    assert main(["decode", "-y", "-q", str(source), str(out), *options]) == 0
    return out


@pytest.mark.parametrize(("codec", "begin"), [("libx264", 0), ("mpeg2video", 0), ("libx264", 1000)])
def test_a_clock_that_jumps_is_straightened_for_all_tracks(
    tmp_path: Path, codec: str, begin: int, capsys: pytest.CaptureFixture[str]
) -> None:
    source = two_parts(tmp_path / "a.ts", codec, begin)
    file = coded(source)
    err = capsys.readouterr().err
    assert "the clock of the file jumps once" in err
    assert "damaged" not in err
    assert describe(str(file)).seconds == 0.96
    for suffix in (".mkv", ".mp4", ".ts"):
        got = listing(decoded(file, suffix))
        apart = np.diff([float(t) for t in got["times"]])
        assert len(got["times"]) == 24
        assert np.allclose(apart, 0.04, atol=0.0011)
        (sound,) = got["tracks"]
        assert sound["count"] == listing(source)["tracks"][0]["count"]
        times = [float(t) for t, _ in sound["times"]]
        assert times == sorted(times)
        assert float(got["times"][0]) - 0.1 < times[0]
        assert times[-1] < float(got["times"][-1]) + 0.1


def test_tracks_follow_the_jumps_of_the_pictures() -> None:
    """By the place in the file, and by their own times where they cross the seam a little
    earlier."""

    class Packet:
        time_base = Fraction(1, 10)

        def __init__(self, pos: int | None, dts: int) -> None:
            self.pos, self.dts, self.pts, self.duration = pos, dts, dts, 1

    jumps = [Jump(1000, Fraction(5)), Jump(2000, Fraction(7))]
    for place, dts, want in (
        [(10, 0, 0), (900, 20, 20), (950, 1, 51), (1100, 2, 52), (2100, 3, 73)],  # type: ignore
        [(10, 0, 0), (1100, 1, 51), (900, 20, 20 + 50)],
    )[0]:
        packet = Packet(place, dts)
        if place == 10:
            track = TrackClock(jumps)
        track.straighten(packet)
        assert packet.dts == packet.pts == want
    assert clock.at_seam(1100, jumps)
    assert not clock.at_seam(10 << 20, jumps)


def test_times_of_decoding_are_taken_where_those_of_display_fall() -> None:
    """Of FFmpeg's avi demuxer and h264 decoder: two B frames."""
    seen = list(
        zip([2, 3, 5, 4, 6, 9, 8, 10, 7, 13], [3, 4, 5, 6, 7, 8, 9, 10, 11, 12], strict=True)
    )
    times = BestEffort()
    for pts, dts in seen:
        times.guess(pts, dts)
    times.rewind()
    assert [times.guess(*t) for t in seen] == list(range(3, 13))
    assert times.guess(11, None) == 13  # the last frames have no time of decoding
    right = BestEffort()
    assert [right.guess(pts, None) for pts in (0, 40, 80)] == [0, 40, 80]
    assert [BestEffort().guess(p, 5) for p in (7, None)] == [7, 5]


def test_b_frames_of_avi_are_evenly_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make(tmp_path / "a.avi", frames=40, options={"bf": "3", "g": "12"})
    got = listing(decoded(coded(source), ".mkv", "--vcodec", "ffv1"))
    assert "moved" not in capsys.readouterr().err
    assert len(got["times"]) == 40
    assert set(np.diff(got["times"])) == {Fraction(1, 25)}


def gif(path: Path, delays: list[int], transparent: bool = False) -> Path:
    """Pictures shown for so many hundredths of a second."""
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("gif", rate=100)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bgr8"
        if transparent:
            stream.pix_fmt = "pal8"
        stream.codec_context.time_base = stream.time_base = Fraction(1, 100)
        at = 0
        for i, delay in enumerate(delays):
            frame = picture(64, 48, i * 20, "bgr8")
            if transparent:
                frame = see_through()
            frame.pts, frame.time_base, frame.duration = at, Fraction(1, 100), delay
            for p in stream.encode(frame):
                p.duration = delay
                out.mux(p)
            at += delay
        out.mux(stream.encode(None))
    return path


def see_through() -> av.VideoFrame:
    frame = av.VideoFrame(64, 48, "pal8")
    frame.planes[0].update(bytes(range(64)) * 48)
    palette = np.full(256, 0xFF00FF00, np.uint32)
    palette[:32] = 0
    frame.planes[1].update(palette.tobytes())
    return frame


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
@pytest.mark.parametrize("codec", ["libx264", "ffv1"])
@pytest.mark.parametrize("last", [40, 3000])
@pytest.mark.parametrize("times", [UNEVEN, [40 * i for i in range(52)]])
def test_how_long_the_last_frame_is_shown(
    tmp_path: Path, suffix: str, codec: str, last: int, times: list[int]
) -> None:
    """Other pictures follow each other evenly or not, and x264 would reorder them."""
    if suffix != ".mkv" and codec == "ffv1":
        pytest.skip("holds no ffv1")
    whole = last_shown(tmp_path / "b.mkv", times, last)
    file = coded(whole)
    end = Fraction(2040 + last, 1000)
    assert describe(str(file)).seconds == float(end)
    with av.open(str(decoded(file, suffix, "--vcodec", codec))) as c:
        assert abs(Fraction(c.duration, 1_000_000) - end) <= Fraction(2, 1000)


def captions_of(path: Path) -> list[bytes]:
    with av.open(str(path)) as c:
        found = [side_data(f).get("A53_CC") for f in c.decode(video=0)]
        return [bytes(data) if data else b"" for data in found]


def test_captions_in_the_pictures_come_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, texts = with_captions(tmp_path / "a.mp4")
    assert captions_of(source) == texts  # by FFmpeg's parser
    file = coded(source, "-g", "8")
    assert [t.codec for t in describe(str(file)).tracks] == ["eia_608"]
    for suffix in (".mp4", ".mkv", ".ts", ".mov"):
        assert captions_of(decoded(file, suffix)) == texts
    assert captions_of(decoded(file, ".mkv", "--vcodec", "libx265")) == texts
    assert captions_of(decoded(file, ".mp4", "-ss", "0.4", "-t", "0.4")) == texts[10:20]
    assert captions_of(decoded(coded(source, "-ss", "0.4"), ".mp4")) == texts[10:]
    assert not any(captions_of(decoded(file, ".mp4", "-sn")))
    capsys.readouterr()
    for options in (["--vcodec", "ffv1"], ["-r", "50"]):
        out = str(tmp_path / "b.mkv")
        assert main(["decode", "-y", str(file), out, *options]) == 0
        assert "captions in the pictures are left out" in capsys.readouterr().err
    assert not describe(str(coded(source, "-sn"))).tracks


def test_no_start_code_within_a_unit() -> None:
    assert _escaped(b"\0\0\0\0\0\1\0\0\4") == b"\0\0\3\0\0\3\0\1\0\0\4"


@pytest.mark.parametrize("order", ["tff", "bff"])
def test_field_order_comes_back(
    tmp_path: Path, order: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = fields(tmp_path / "a.y4m", order[0])
    name = {"tff": "top field first", "bff": "bottom field first"}[order]
    file = coded(source)
    assert describe(str(file)).field_order == name
    assert main(["info", str(file)]) == 0
    assert f"interlaced, {name}" in capsys.readouterr().out
    for suffix, codec in (
        (".mkv", "libx264"),
        (".mp4", "libx264"),
        (".ts", "mpeg2video"),
        (".mkv", "ffv1"),
        (".y4m", None),
    ):
        out = decoded(file, suffix, *(["--vcodec", codec] if codec else []))
        again = describe(str(coded(out)))
        assert again.field_order == name, (suffix, codec)
        if suffix == ".mp4":  # it says nothing itself: FFmpeg goes by the order of the fields
            with av.open(str(out)) as film:
                told = getattr(film.streams.video[0].codec_context, "field_order", None)
            assert told in ({"tff": 2, "bff": 3}[order], None)  # PyAV 17 does not know
    capsys.readouterr()
    assert main(["decode", "-y", str(file), str(tmp_path / "b.webm")]) == 0
    assert f"does not say that the pictures are interlaced ({name})" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("codec", "fmt", "suffix", "there"),
    [
        ("ffv1", "yuva444p10le", ".mkv", True),
        ("png", "rgba", ".mov", True),
        ("qtrle", "argb", ".mov", True),
        ("ffv1", "yuv444p", ".mkv", False),
        ("png", "rgb24", ".mov", False),
    ],
)
def test_transparency_is_told(
    tmp_path: Path,
    codec: str,
    fmt: str,
    suffix: str,
    there: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = make(tmp_path / f"a{suffix}", frames=3, codec=codec, fmt=fmt)
    assert main(["encode", str(source), str(tmp_path / "a.vqv")]) == 0
    assert ("the transparency of" in capsys.readouterr().err) == there


@pytest.mark.parametrize("transparent", [False, True])
def test_transparency_of_gif_is_that_of_its_pictures(
    tmp_path: Path, transparent: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    source = gif(tmp_path / "a.gif", [5, 5, 300], transparent)
    assert main(["encode", str(source), str(tmp_path / "a.vqv")]) == 0
    assert ("the transparency of" in capsys.readouterr().err) == transparent
    assert describe(str(tmp_path / "a.vqv")).seconds == 3.1


def test_side_data_is_kept_harmless_or_told() -> None:
    seen = Losses()
    seen.see(["SEI_UNREGISTERED", "A53_CC", "DISPLAYMATRIX"])
    assert not seen.left_out
    assert not seen.lost
    for _ in range(2):
        seen.see(["DOVI_METADATA", "DYNAMIC_HDR_PLUS", "SPHERICAL", "31", "99"])
    assert [n.split(" ")[0] for n in seen.lost] == ["360"]
    assert len(seen.left_out) == 3
    assert "(99)" in seen.left_out[-1]


def test_a_view_of_a_spatial_film_is_whole() -> None:
    """A phone's spatial film was a warning and code 4: its flat projection was taken for 360
    degrees."""
    flat, round_about = (4).to_bytes(36, sys.byteorder), bytes(36)
    assert shown_otherwise({"29": b"", "STEREO3D": b"", "SPHERICAL": flat}) == ["29"]
    assert shown_otherwise({"STEREO3D": b"", "SPHERICAL": round_about}) == ["STEREO3D", "SPHERICAL"]


def test_kinds_of_side_data_without_a_name_are_no_error() -> None:
    from av.sidedata.sidedata import Type

    assert Type(31).name == "31"
    assert Type(31).value == 31
    assert Type["A53_CC"] in Type


def changing(path: Path, sizes: tuple[tuple[int, int], ...], each: int) -> Path:
    """An MPEG-TS whose pictures change their size."""
    parts = []
    for i, size in enumerate(sizes):
        times = [n + each * i for n in range(each)]
        part = make(
            path.with_name(f"p{i}.ts"),
            size=size,
            frames=each,
            base=Fraction(1, 25),
            times=times,
            codec="mpeg2video",
        )
        parts.append(part.read_bytes())
    path.write_bytes(b"".join(parts))
    return path


@pytest.mark.parametrize("begin", [[], ["-ss", "0.1"], ["-ss", "3f"]])
def test_the_remedy_for_a_change_of_size_works(
    tmp_path: Path, begin: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    source = changing(tmp_path / "a.ts", ((64, 48), (32, 48)), 10)
    out = str(tmp_path / "a.vqv")
    assert main(["encode", "-y", "-q", str(source), out, *begin]) == 3
    err = capsys.readouterr().err
    n = int(err.split(" frames")[0].split()[-1])
    assert n in ((6, 7) if begin else (9, 10))  # decoders may drop the last picture before
    assert f"after {n} frames" in err
    assert f"-t {n}f" in err
    assert main(["encode", "-y", "-q", str(source), out, *begin, "-t", f"{n}f"]) in (0, 4)
    assert describe(out).frames == n
    assert describe(out).width == 64
    rest = err.split("what follows with ")[1].split()
    assert main(["encode", "-y", "-q", str(source), out, *rest]) in (0, 4)
    assert describe(out).frames == 10
    assert describe(out).width == 32


def test_sound_with_a_cover_is_no_video(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = make(tmp_path / "a.mp4", cover=True, sounds=(Sound(),), frames=5)
    alone = tmp_path / "b.m4a"
    with av.open(str(source)) as c, av.open(str(alone), "w", format="mp4") as out:
        kept = [s for s in c.streams if s.type == "audio" or int(s.disposition) & 1 << 10]
        streams = {s.index: out.add_stream_from_template(s) for s in kept}
        for s in kept:
            streams[s.index].disposition = s.disposition
        for p in c.demux(kept):
            if p.size:
                p.stream = streams[p.stream_index]
                out.mux(p)
    assert main(["encode", str(alone), str(tmp_path / "b.vqv")]) == 3
    assert "no video: sound with a cover picture" in capsys.readouterr().err


def test_chapters_of_no_length_are_kept(tmp_path: Path) -> None:
    source = tmp_path / "a.mkv"
    make(source, frames=25)
    marked = tmp_path / "b.mkv"
    with av.open(str(source)) as c, av.open(str(marked), "w") as out:
        stream = out.add_stream_from_template(c.streams.video[0])
        marks = ((0, 0), (200, 200), (400, 900))
        out.set_chapters(
            [
                {
                    "id": i + 1,
                    "start": a,
                    "end": b,
                    "time_base": Fraction(1, 1000),
                    "metadata": {"title": str(i)},
                }
                for i, (a, b) in enumerate(marks)
            ]
        )
        for p in c.demux():
            if p.size:
                p.stream = stream
                out.mux(p)
    want = listing(marked)["chapters"]
    assert len(want) == 3
    file = coded(marked)
    assert listing(decoded(file, ".mkv"))["chapters"] == want
    assert len(listing(decoded(file, ".mkv", "-ss", "0.1"))["chapters"]) == 2


def test_the_source_is_described_by_its_first_chosen_frame(tmp_path: Path) -> None:
    from vqcodec.options import Time

    source = changing(tmp_path / "a.ts", ((64, 48), (32, 48)), 10)
    with VideoSource(source, SourceChoice(start=Time(frames=12))) as opened:
        assert (opened.width, opened.height) == (32, 48)
        assert len(list(opened)) in (7, 8)
