"""Files that were cut, of kinds whose ends tell it, and raw streams whose last picture tells it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import pytest
from support.media import Sound, make

from vqcodec.media.inputs import open_source
from vqcodec.media.integrity import broken_at
from vqcodec.media.last_picture import OPEN_ENDED, ends_within_picture
from vqcodec.media.source import VideoSource

pytestmark = pytest.mark.usefixtures("fake_network")

# rows of parts that tell their own lengths
ROWS: dict[str, dict[str, Any]] = {
    "a.apng": {"codec": "apng", "fmt": "rgb24", "size": (32, 24)},
    "a.gxf": {"codec": "mpeg2video", "size": (720, 576), "frames": 8, "options": {"g": "4"}},
    "a.mxf": {"codec": "mpeg2video", "sounds": (Sound("pcm_s16le", 48000),)},
    "a.obu": {"codec": "libsvtav1", "size": (64, 64)},
    "a.rm": {"codec": "rv10", "sounds": (Sound("ac3"),)},
    "a.roq": {"codec": "roqvideo", "fmt": "yuvj444p", "size": (64, 64), "rate": 30},
    "a.swf": {"codec": "flv", "sounds": (Sound("libmp3lame"),)},
}


def fine(keyint: str) -> dict[str, str]:
    """Pictures of many bytes each: of small ones a cut takes no more than a head."""
    return {"x265-params": f"log-level=none:qp=8:info=0:keyint={keyint}"}


# pictures of no told length, whose cut end FFmpeg decodes without a word
OPEN: dict[str, dict[str, Any]] = {
    "a.hevc": {"codec": "libx265", "size": (176, 144), "options": fine("12")},
    "b.hevc": {"codec": "libx265", "size": (176, 144), "options": fine("1")},
    "a.h261": {"codec": "h261", "size": (176, 144)},
    "a.h263": {"codec": "h263", "size": (176, 144)},
}
REST = {"a.roq", "a.obu"}  # of which the last part is none of a special kind


def found(path: Path) -> tuple[int, int]:
    """(frames, those of them that are damaged, and those missing)."""
    with VideoSource(path) as source:
        return sum(1 for _ in source), source.corrupt


def kind_of(path: Path) -> str:
    with open_source(path) as opened:
        return opened.container.format.name


@pytest.mark.parametrize("name", [*ROWS, *OPEN])
def test_a_cut_end_is_noticed(tmp_path: Path, name: str) -> None:
    made = {"frames": 20} | (ROWS | OPEN)[name]
    whole = make(tmp_path / name, **made)
    assert found(whole) == (made["frames"], 0)
    data, path = whole.read_bytes(), tmp_path / f"cut{whole.suffix}"
    for part in (0.45, 0.7, 0.9, 0.97):
        path.write_bytes(data[: int(len(data) * part) + 7])
        frames, corrupt = found(path)
        assert 0 < frames <= made["frames"], part
        assert corrupt, part


@pytest.mark.parametrize("name", sorted(set(ROWS) - REST))
def test_a_file_cut_between_its_parts_lacks_the_last(tmp_path: Path, name: str) -> None:
    whole = make(tmp_path / name, **({"frames": 12} | ROWS[name]))
    kind, data = kind_of(whole), whole.read_bytes()
    with av.open(str(whole)) as opened:
        places = sorted({p.pos for p in opened.demux(video=0) if p.size and p.pos})
    for place in places[len(places) // 2 :]:
        whole.write_bytes(data[:place])
        assert broken_at(str(whole), kind), place


def test_an_ogg_without_the_last_page_of_its_stream(tmp_path: Path) -> None:
    whole = make(tmp_path / "a.ogv", codec="libvpx", sounds=(Sound("libopus", 48000),))
    data = whole.read_bytes()
    assert broken_at(str(whole), "ogg") == []
    assert data.count(b"OggS") > 4
    end = len(data)
    for _ in range(3):
        end = data.rfind(b"OggS", 0, end)
        whole.write_bytes(data[:end])
        assert broken_at(str(whole), "ogg") == [end]


def test_amv_ends_with_its_words(tmp_path: Path) -> None:
    """FFmpeg takes it for AVI, whose sizes are zero there."""
    path, head = tmp_path / "a.amv", b"RIFF\0\0\0\0AMV LIST" + bytes(3000)
    path.write_bytes(head + b"AMV_END_")
    assert broken_at(str(path), "avi") == []
    path.write_bytes(head)
    assert broken_at(str(path), "avi") == [len(head)]


def test_lengths_that_are_not_known_yet_are_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for kind, data in {
        "swf": b"FWS\x06" + (100 << 20).to_bytes(4, "little") + bytes(90),  # FFmpeg, into a pipe
        "rm": b".RMF\0\0\0\x12" + bytes(10) + b"DATA\0\0\0\0" + bytes(90),  # a live one
        "obu": b"\x12\0\x30" + bytes(90),  # the last unit without a length
    }.items():
        path.write_bytes(data)
        assert broken_at(str(path), kind) == [], kind


def test_units_of_av1_with_lengths(tmp_path: Path) -> None:
    path = tmp_path / "x"
    units = b"\x03abc" + b"\x81\x01" + bytes(129)
    path.write_bytes(units)
    assert broken_at(str(path), "av1") == []
    for cut in (1, 50, 128, 130):
        path.write_bytes(units[:-cut])
        assert broken_at(str(path), "av1") == [4], cut


def test_what_lies_behind_a_whole_picture_is_no_damage(tmp_path: Path) -> None:
    """A hash of the picture, or a filler, is not a part of it."""
    options = {"x265-params": "log-level=none:hash=1:slices=2:keyint=8"}
    path = make(tmp_path / "a.hevc", size=(128, 96), codec="libx265", options=options)
    assert found(path) == (25, 0)


def test_what_is_no_stream_is_not_judged(tmp_path: Path) -> None:
    path = tmp_path / "a.hevc"
    for data in (b"", b"no stream", bytes(5000), b"\0\0\1\x40\1" + bytes(range(256))):
        path.write_bytes(data)
        assert not ends_within_picture(str(path))
    assert "h264" not in OPEN_ENDED  # whose decoder notices
