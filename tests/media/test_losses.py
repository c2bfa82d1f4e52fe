"""Nothing of a source is lost in silence: it is kept, or it is told and shows in the exit code."""

from __future__ import annotations

import io
import math
import os
from fractions import Fraction
from pathlib import Path

import av
import pytest
from support.field_files import coarse, torn
from support.media import RARE, Sound, listing, make

from vqcodec.cli import main
from vqcodec.media import amr, track_source
from vqcodec.reading.info import describe

pytestmark = pytest.mark.usefixtures("fake_network")


@pytest.mark.parametrize("name", RARE)
def test_rare_tracks_are_kept(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made, outputs = RARE[name]
    source, coded = make(tmp_path / name, **made), tmp_path / "a.vqv"
    assert main(["encode", str(source), str(coded), "--strict"]) == 0
    assert "cannot be kept" not in (err := capsys.readouterr().err), err
    want = listing(source)["tracks"]
    assert [(t.kind, t.codec) for t in describe(str(coded)).tracks] == [
        (t["kind"], t["codec"] or "") for t in want
    ]
    for suffix in (".mkv", ".mp4", ".mov", ".ts", ".webm"):
        out = tmp_path / f"b{suffix}"
        assert main(["decode", str(coded), str(out)]) == 0  # never at the cost of the pictures
        got, err = listing(out)["tracks"], capsys.readouterr().err
        assert len(listing(out)["times"]) == 25
        if suffix in outputs:
            assert [(t["kind"], t["codec"], t["count"], t["md5"]) for t in got] == [
                (t["kind"], t["codec"], t["count"], t["md5"]) for t in want
            ], err
        elif not got:
            assert "cannot hold it" in err


@pytest.mark.parametrize("name", ["wma2.wmv", "ima.avi"])
def test_sound_of_windows_is_heard_in_matroska(tmp_path: Path, name: str) -> None:
    """The parameters that only WAVEFORMATEX has are there too: the sound decodes to the same."""

    def heard(path: Path) -> list[bytes]:
        with av.open(str(path)) as c:
            return [f.to_ndarray().tobytes() for f in c.decode(audio=0)]

    source = make(tmp_path / name, **RARE[name][0])
    assert main(["encode", "-q", str(source), str(tmp_path / "a.vqv")]) == 0
    assert main(["decode", "-q", str(tmp_path / "a.vqv"), str(tmp_path / "b.mkv")]) == 0
    assert heard(tmp_path / "b.mkv") == heard(source)
    assert b"A_MS/ACM" in (tmp_path / "b.mkv").read_bytes()


def test_sound_that_begins_in_the_middle_of_a_frame(tmp_path: Path) -> None:
    source = torn(tmp_path / "torn.ts")
    want = listing(source)["tracks"]
    assert want[0]["count"] > 20
    for options in ([], ["-t", "0.5"], ["-ss", "0.2"]):
        coded, out = tmp_path / "a.vqv", tmp_path / "b.ts"
        assert main(["encode", "-y", "-q", str(source), str(coded), *options]) in (0, 4)
        assert main(["decode", "-y", "-q", str(coded), str(out)]) == 0
        (got,) = listing(out)["tracks"]
        assert got["codec"] == "ac3"
        assert got["count"] > 10
        if not options:
            assert (got["count"], got["md5"]) == (want[0]["count"], want[0]["md5"])


def test_a_track_that_cannot_be_kept_shows_in_the_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also with -q, in `info`, in the log and the code of a batch; --strict writes nothing."""
    source, coded = make(tmp_path / "a.mkv", sounds=(Sound(),)), tmp_path / "a.vqv"
    monkeypatch.setattr(track_source, "MAX_DESCRIPTION", 10)
    said = "stream 1 (audio, aac) cannot be kept"
    assert main(["encode", "-q", str(source), str(coded)]) == 4
    assert f"warning: {source}: {said}" in capsys.readouterr().err
    assert main(["info", str(coded)]) == 0
    assert f"left out of the source: {said}" in capsys.readouterr().out
    assert describe(str(coded)).left_out == [said]
    assert main(["verify", "-q", str(coded)]) == 0
    assert main(["encode", str(source), str(tmp_path / "b.vqv"), "--strict"]) == 4
    assert said in capsys.readouterr().err
    assert not (tmp_path / "b.vqv").exists()
    assert main(["encode", "-q", "-an", str(source), str(tmp_path / "c.vqv"), "--strict"]) == 0
    from vqcodec.batch.order import Order, perform
    from vqcodec.options import EncodeOptions

    order = Order(str(source), str(tmp_path / "d.vqv"), EncodeOptions())
    outcome = perform(order, lambda event: None)
    assert (outcome.code, outcome.message, outcome.warnings) == (4, said, [said])


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov", ".ts"])
def test_times_that_repeat_or_fall_end_no_track(tmp_path: Path, suffix: str) -> None:
    """Of 20 packets at 1/90000 s, which .mp4 and .mov keep in coarser units."""
    from vqcodec.container.reader import ContainerReader
    from vqcodec.container.stored_tracks import StoredTracks
    from vqcodec.container.tracks import TrackPacket, TrackWriter
    from vqcodec.container.writer import ContainerWriter

    source = make(
        tmp_path / "a.ts", frames=12, base=Fraction(1, 90000), sounds=(Sound("ac3", 48000),)
    )
    assert main(["encode", "-q", str(source), str(tmp_path / "a.vqv")]) == 0
    old = ContainerReader.open(io.BytesIO((tmp_path / "a.vqv").read_bytes()))
    kept = StoredTracks(old)
    packets = list(kept.packets())
    file = io.BytesIO()
    writer = ContainerWriter(file, old.header)
    out = TrackWriter(writer)
    out.add(kept.tracks[0])
    for i, p in enumerate(packets):
        moved = packets[i - i % 3].pts  # each three at one time
        out.packet(TrackPacket(0, moved, moved, p.duration, p.key, False, (), p.data))
    out.packet(
        TrackPacket(0, packets[2].pts, packets[2].pts, 2880, True, False, (), packets[0].data)
    )
    out.flush()
    for i in range(len(old.gops)):
        writer.gop(old.read_gop(i))
    writer.finish()
    (tmp_path / "b.vqv").write_bytes(file.getvalue())
    target = tmp_path / f"b{suffix}"
    assert main(["decode", str(tmp_path / "b.vqv"), str(target)]) == 0
    assert listing(target)["tracks"][0]["count"] == len(packets) + 1


@pytest.mark.parametrize("when", ["encode", "decode"])
@pytest.mark.parametrize("span", [(0, 0.5), (0, 2), (1, 0.5)])
def test_a_cut_ends_each_track_by_itself(
    tmp_path: Path, span: tuple[float, float], when: str
) -> None:
    source = coarse(tmp_path / "coarse.mp4")
    options = ["-ss", str(span[0])] * bool(span[0]) + ["-t", str(span[1])]
    coded, out = str(tmp_path / "a.vqv"), tmp_path / "b.mkv"
    assert main(["encode", "-q", str(source), coded, *options * (when == "encode")]) == 0
    assert main(["decode", "-q", coded, str(out), *options * (when == "decode")]) == 0
    got = listing(out)
    end = span[0] + math.ceil(span[1] * 25) / 25
    assert len(got["times"]) == math.ceil(span[1] * 25)
    assert len(got["tracks"]) == 2
    for track, want in zip(got["tracks"], listing(source)["tracks"], strict=True):
        inside = [t for t, _ in want["times"] if span[0] <= t < end]
        assert abs(track["count"] - len(inside)) <= 1
        assert inside


@pytest.mark.parametrize("suffix", [".y4m", ".mkv", ".mp4"])
def test_the_last_line_of_decode_says_what_is_lost(
    tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source, coded = make(tmp_path / "a.mkv", frames=3), str(tmp_path / "a.vqv")
    assert main(["encode", "-q", str(source), coded]) == 0
    out = tmp_path / f"b{suffix}"
    assert main(["decode", coded, str(out)]) == 0
    last = capsys.readouterr().err.splitlines()[-1]
    assert f"{Path(out).stat().st_size} bytes" in last
    lossy = "libx264 crf 12 (lossy: --vcodec ffv1 keeps the pixels)"
    assert ("raw pictures" if suffix == ".y4m" else lossy) in last
    if suffix == ".mkv":
        assert main(["decode", "-y", coded, str(out), "--vcodec", "ffv1"]) == 0
        assert "ffv1 (lossless)" in capsys.readouterr().err


def test_refusals_say_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By FFmpeg's own words where it has some."""
    whole = make(tmp_path / "a.mp4", frames=3).read_bytes()
    head = b"YUV4MPEG2 W64 H48 F25:1 %s A1:1 %s\n"
    frame = b"FRAME\n" + bytes(64 * 48 * 3 // 2)
    assert main(["encode", "-q", str(tmp_path / "a.mp4"), str(tmp_path / "a.vqv")]) == 0
    coded = (tmp_path / "a.vqv").read_bytes()
    for name, data, said in (
        ("nomoov.mp4", whole[: whole.index(b"moov") - 4], "moov atom not found"),
        ("raw.yuv", bytes(4608), "-f rawvideo -pix_fmt yuv420p -s WIDTHxHEIGHT"),
        ("unknown.y4m", head % (b"Ip", b"C999") + frame, "unknown pixel format"),
        ("mixed.y4m", head % (b"Im", b"C420jpeg") + frame, "mixed interlaced"),
        ("head.y4m", head % (b"Ip", b"C420jpeg"), "there is no frame in it"),
        ("b.vqv", coded, "coded already"),
        ("no.jpg", b"a text", "does not begin as pictures do"),
        ("a.tga", bytes(12) + b"\2\0\2\0\x18 " + bytes(12), "ffmpeg -i "),
    ):
        (tmp_path / name).write_bytes(data)
        assert main(["encode", str(tmp_path / name), str(tmp_path / "o.vqv")]) == 3
        err = capsys.readouterr().err
        assert said in err, err
        assert err.count("\n") == 1
        assert str(tmp_path / name) in err
    assert main(["encode", str(tmp_path / "f_%03d.png"), str(tmp_path / "o.vqv")]) == 3
    assert "pictures in a row come through a pipe" in capsys.readouterr().err
    assert main(["encode", "-q", f"file:{tmp_path / 'a.mp4'}", str(tmp_path / "o.vqv")]) == 0


def test_a_timecode_that_the_muxer_writes_is_not_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make(tmp_path / "a.mov", frames=5, video_tags={"timecode": "01:00:00:00"})
    with av.open(str(source)) as c:
        assert [s.type for s in c.streams] == ["video", "data"]
    assert main(["encode", "-q", str(source), str(tmp_path / "a.vqv")]) == 0
    for suffix in (".mov", ".mp4"):
        capsys.readouterr()
        out = tmp_path / f"b{suffix}"
        assert main(["decode", str(tmp_path / "a.vqv"), str(out)]) == 0
        assert "left out" not in capsys.readouterr().err
        with av.open(str(out)) as c:
            tags = [s.metadata.get("timecode") for s in c.streams if s.type == "data"]
            assert tags == ["01:00:00:00"]


@pytest.mark.parametrize("frames", [1, 4])
def test_speech_of_several_frames_a_packet(tmp_path: Path, frames: int) -> None:
    """As phones write .3gp: FFmpeg's muxer of .mov takes single frames only."""
    source = tmp_path / "a.nut"
    speech = b"".join(
        bytes([kind << 3 | 4]) + os.urandom(size - 1)
        for kind, size in [(7, 32), (0, 13), (2, 16), (4, 20)] * 10
    )
    packets = [b"".join(amr.frames("amrnb", speech)[i : i + frames]) for i in range(0, 40, frames)]
    with av.open(str(source), "w") as out:
        pictures = out.add_stream("ffv1", 25)
        pictures.width = pictures.height = 16
        pictures.pix_fmt = "yuv420p"
        sound = out.add_stream("libopencore_amrnb", 8000, layout="mono")
        for _ in range(20):
            out.mux(pictures.encode(av.VideoFrame(16, 16, "yuv420p")))
        out.mux(pictures.encode(None))
        for i, data in enumerate(packets):
            packet = av.Packet(data)
            packet.stream, packet.time_base = sound, Fraction(1, 50)
            packet.pts = packet.dts = i * frames
            packet.duration = frames
            out.mux(packet)
    coded = tmp_path / "a.vqv"
    assert main(["encode", "-q", "--strict", str(source), str(coded)]) == 0
    assert main(["decode", "-q", "--strict", str(coded), str(tmp_path / "b.mov")]) == 0
    want, got = (
        [(p.pts * p.time_base, bytes(p)) for p in _sound_of(path)]
        for path in (source, tmp_path / "b.mov")
    )
    assert len(want) == 40 // frames
    assert len(got) == 40
    assert b"".join(data for _, data in got) == speech
    assert [t for t, _ in want] == [t for t, _ in got[::frames]]


def _sound_of(path: Path) -> list[av.Packet]:
    with av.open(str(path)) as c:
        return [p for p in c.demux(audio=0) if p.size]
