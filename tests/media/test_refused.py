"""What a muxer or an encoder refuses costs itself, with a note, and never the pictures."""

from __future__ import annotations

import io
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from support.media import Sound, make

from vqcodec.cli import main
from vqcodec.container import tracks as tracks_module
from vqcodec.container.description import Chapter, Description, Mastering
from vqcodec.container.packets import MAX_FRACTION, MAX_PTS
from vqcodec.container.reader import ContainerReader
from vqcodec.container.stored_tracks import StoredTracks
from vqcodec.container.tracks import Track, TrackPacket, TrackWriter
from vqcodec.container.writer import ContainerWriter

pytestmark = pytest.mark.usefixtures("fake_network")

MS = Fraction(1, 1000)
FRAMES = 4
HUGE = Mastering(((MAX_FRACTION, 1),) * 10, True, True)
FAR = (Chapter(1, -MAX_PTS, MAX_PTS, MS), Chapter(2, 0, MAX_PTS, Fraction(MAX_FRACTION)))
REFUSED = {
    "chapters far": (
        Description(chapters=(*FAR, Chapter(3, 0, 80, MS))),
        "2 chapters are left out",
    ),
    "chapters inverted": (Description(chapters=(Chapter(1, 9, 5, MS),)), ""),
    "chapters": (
        Description(chapters=tuple(Chapter(i, i, i + 1, MS) for i in range(12000))),
        "chapters are left out: there are more than",
    ),
    "mastering": (Description(mastering=HUGE), "HDR data"),
    "light": (Description(light=((1 << 32) - 1, 0)), "HDR data"),
    "tags": (Description({f"{i:05}": "x" for i in range(12000)}), "tags are left out"),
    "tag": (Description({"title": "x" * 500_000}), ".ts: the tags are left out"),
    "cover": (Description(disposition=1 << 10), ""),
}


def changed(
    source: Path,
    path: Path,
    description: Description | None = None,
    first: int | None = None,
    extras: tuple[Track, ...] = (),
    packets: tuple[TrackPacket, ...] = (),
    **header: Any,
) -> Path:
    """A coded file with another description, and times that begin at ``first``."""
    old = ContainerReader.open(io.BytesIO(source.read_bytes()))
    with path.open("wb") as f:
        w = ContainerWriter(f, old.header.__class__(**(vars(old.header) | header)))
        if description is not None:
            w.extra(tracks_module.DESCRIPTION, description.to_bytes(), small=True)
        out = TrackWriter(w)
        for track in extras:
            out.add(track)
        for packet in packets:
            out.packet(packet)
        out.flush()
        for i in range(len(old.gops)):
            gop = old.read_gop(i)
            later = 0 if first is None else first - gop.pts[0]
            w.gop(type(gop)(**(vars(gop) | {"pts": tuple(t + later for t in gop.pts)})))
        w.finish()
    return path


@pytest.fixture
def coded(tmp_path: Path) -> Path:
    source = make(tmp_path / "in.mkv", frames=FRAMES, sounds=(Sound("aac"),))
    assert main(["encode", "-q", str(source), str(tmp_path / "in.vqv")]) == 0
    return tmp_path / "in.vqv"


SUFFIXES = (".mkv", ".mp4", ".mov", ".ts", ".webm")


def written(path: Path, *options: str, suffixes: tuple[str, ...] = SUFFIXES) -> int:
    """Decode to all kinds; the frames must be there, whatever else is not."""
    worst = 0
    for suffix in suffixes:
        out = path.with_name("out" + suffix)
        code = main(["decode", "-y", str(path), str(out), *options])
        assert code in (0, 4), suffix
        with av.open(str(out)) as c:
            assert sum(1 for _ in c.decode(video=0)) == FRAMES - bool(options), suffix
        worst = max(worst, code)
    return worst


@pytest.mark.parametrize("name", REFUSED)
def test_metadata_that_is_refused_is_left_out(
    tmp_path: Path, coded: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """It once was the end of the decode, with exit codes 2, 5 and 6."""
    description, said = REFUSED[name]
    path = changed(coded, tmp_path / "a.vqv", description)
    begin = time.process_time()
    assert written(path) == 0
    assert time.process_time() - begin < 15
    # a later start changes times before any muxer sees them
    assert written(path, "-ss", "1f", suffixes=(".mkv", ".mp4")) == 0
    told = capsys.readouterr().err
    for part in said.split(": "):
        assert part in told


def test_more_attachments_than_ffmpeg_has_room_for(
    tmp_path: Path, coded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    attached = tuple(
        Track(i, "attachment", "", Fraction(1), 0, {"filename": f"{i}"}, "", b"x")
        for i in range(1000)
    )
    assert written(changed(coded, tmp_path / "a.vqv", extras=attached)) == 0
    assert ".mkv cannot hold it" in capsys.readouterr().err


@pytest.mark.parametrize("base", [MS, Fraction(1), Fraction(1, MAX_FRACTION)])
@pytest.mark.parametrize("first", [-MAX_PTS, -5000, 0, MAX_PTS - 1000])
def test_times_far_from_zero(tmp_path: Path, coded: Path, base: Fraction, first: int) -> None:
    """All times move where no file could hold them; a track that cannot follow ends."""
    stored = StoredTracks(ContainerReader.open(io.BytesIO(coded.read_bytes())))
    sound = Track(**(vars(stored.tracks[0]) | {"time_base": Fraction(1, MAX_FRACTION)}))
    data = next(iter(stored.packets())).data
    packets = tuple(TrackPacket(0, t, t, 1, True, False, (), data) for t in (0, MAX_PTS, -MAX_PTS))
    path = changed(
        coded, tmp_path / "a.vqv", first=first, extras=(sound,), packets=packets, time_base=base
    )
    written(path)
    written(path, "-ss", "1f")


def test_times_that_no_file_holds_are_a_sentence(
    tmp_path: Path, coded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = changed(coded, tmp_path / "a.vqv", time_base=Fraction(MAX_FRACTION))
    for suffix in (".mkv", ".mp4", ".ts"):
        out = tmp_path / f"out{suffix}"
        assert main(["decode", "-q", str(path), str(out)]) == 5
        assert "is beyond what video files hold" in capsys.readouterr().err
        assert not out.exists()


@pytest.mark.parametrize("rate", [Fraction(MAX_FRACTION), Fraction(1, MAX_FRACTION)])
def test_rates_that_are_none(tmp_path: Path, coded: Path, rate: Fraction) -> None:
    assert written(changed(coded, tmp_path / "a.vqv", rate=rate)) == 0


def test_ten_bits_in_a_codec_of_eight(
    tmp_path: Path, coded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the defaults of .webm this once was an error of avcodec_open2."""
    path = changed(coded, tmp_path / "a.vqv", bit_depth=10)
    capsys.readouterr()
    assert main(["decode", str(path), str(tmp_path / "a.mp4"), "--vcodec", "mpeg4"]) == 0
    assert "mpeg4 takes no pictures of 10 bits: they are converted to 8" in capsys.readouterr().err
    assert written(path) == 0
    # what was asked for is not changed in silence
    wanted = ["--vcodec", "mpeg4", "-pix_fmt", "yuv420p10le"]
    assert main(["decode", "-q", str(path), str(tmp_path / "b.mp4"), *wanted]) == 2
    assert "mpeg4 takes no yuv420p10le, allowed are yuv420p" in capsys.readouterr().err
