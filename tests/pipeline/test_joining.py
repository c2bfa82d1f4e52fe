"""What join writes is read again by its own reader, or it is not written."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from support.clips import header

from vqcodec.cli import main
from vqcodec.container import stored_tracks
from vqcodec.container import tracks as tracks_module
from vqcodec.container.description import MAX_DESCRIPTION, Chapter, Description
from vqcodec.container.packets import MAX_PTS, GopPayload
from vqcodec.container.tracks import DESCRIPTION, MAX_ATTACHED, Track, TrackPacket, TrackWriter
from vqcodec.container.writer import ContainerWriter
from vqcodec.reading.info import describe
from vqcodec.reading.verify import verify

MS = Fraction(1, 1000)


def part(
    path: Path,
    first: int = 0,
    *,
    duration: int = 40,
    base: Fraction = MS,
    description: Description | None = None,
    tracks: tuple[Track, ...] = (),
    packets: tuple[TrackPacket, ...] = (),
) -> Path:
    """A whole file of two frames."""
    with path.open("wb") as f:
        w = ContainerWriter(f, header(time_base=base))
        if description is not None:
            w.extra(DESCRIPTION, description.to_bytes())
        out = TrackWriter(w)
        for track in tracks:
            out.add(track)
        for packet in packets:
            out.packet(packet)
        out.flush()
        w.gop(GopPayload((first, first + 40), duration, 1, (0, 0, 0), b"body"))
        w.finish()
    return path


def joined(tmp_path: Path, *parts: Path) -> int:
    """Exit code; a file that is written must be a whole one, and an end without one must be
    told."""
    out = tmp_path / "joined.vqv"
    out.unlink(missing_ok=True)
    for path in parts:
        assert verify(str(path), fast=True).ok
    code = main(["join", "-q", *map(str, parts), str(out)])
    assert out.exists() or code in (4, 6)
    if out.exists():  # 4 where chapters that no time can hold were left out
        assert code in (0, 4)
        report = verify(str(out), fast=True)
        assert report.ok, report.damage
        assert report.frames == 2 * len(parts), report.damage
        describe(str(out))
    return code


TIMES = (-MAX_PTS, -1, 0, MAX_PTS - 40)


@pytest.mark.parametrize(
    "base", [MS, Fraction(1), Fraction((1 << 31) - 1), Fraction(1, (1 << 31) - 1)]
)
def test_times_at_the_ends_of_the_range(tmp_path: Path, base: Fraction) -> None:
    """Joined pictures, sound and chapters once lay beyond what the reader takes, or were an
    internal error."""
    codes = set()
    for first, (at, length), duration in itertools.product(
        TIMES, itertools.product((-MAX_PTS, 0, MAX_PTS), (0, MAX_PTS)), (40, MAX_PTS)
    ):
        sound = tuple(TrackPacket(0, t, t, length, True, False, (), b"x") for t in (at, -at, at))
        track = Track(0, "audio", "flac", 1 / base if 1 / base < 1 << 31 else MS)
        texts = replace(track, number=1, kind="subtitle")
        chapters = Description(
            chapters=(Chapter(1, at, MAX_PTS, base), Chapter(2, -MAX_PTS, at, MS))
        )
        made = part(
            tmp_path / "part.vqv",
            first,
            duration=duration,
            base=base,
            description=chapters,
            tracks=(track, texts),
            packets=(*sound, *(replace(p, track=1) for p in sound)),
        )
        codes |= {
            joined(tmp_path, made),
            joined(tmp_path, made, made),
            joined(tmp_path, made, made, made),
        }
    assert {0, 6} <= codes <= {0, 4, 6}


def test_gops_that_overlap_are_not_joined(tmp_path: Path) -> None:
    with (tmp_path / "a.vqv").open("wb") as f:
        w = ContainerWriter(f, header())
        for t in (0, 30, 100):
            w.gop(GopPayload((t, t + 40), 40, 1, (0, 0, 0), b"body"))
        w.finish()
    assert main(["join", "-q", str(tmp_path / "a.vqv"), str(tmp_path / "b.vqv")]) == 4
    assert not (tmp_path / "b.vqv").exists()


def test_attachments_of_all_parts_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part is within the limit that a reader has for the whole; here it is a sixteenth."""
    assert MAX_ATTACHED == 256 << 20
    for module in (tracks_module, stored_tracks):
        monkeypatch.setattr(module, "MAX_ATTACHED", MAX_ATTACHED >> 4)

    def font(n: int) -> Track:
        return Track(n, "attachment", "", Fraction(1), 0, {"filename": "f"}, "", bytes(2 << 20))

    parts = [
        part(tmp_path / f"{i}.vqv", tracks=tuple(font(4 * i + k) for k in range(4)))
        for i in range(3)
    ]
    assert joined(tmp_path, *parts[:2]) == 0
    assert joined(tmp_path, *parts) == 6


def test_chapters_take_time_by_their_number(tmp_path: Path) -> None:
    """It once was by the square of it: 8,000 took seconds, 130,000 half an hour."""
    same = tuple(Chapter(0, 0, 80, MS) for _ in range(15000))
    for chapters in (tuple(Chapter(i, 0, 80, MS) for i in range(15000)), same):
        made = part(tmp_path / "a.vqv", description=Description(chapters=chapters))
        begin = time.process_time()
        assert main(["join", "-q", str(made), str(made), str(tmp_path / "b.vqv"), "-y"]) == 0
        assert time.process_time() - begin < 3.75
        assert len(describe(str(tmp_path / "b.vqv")).chapters) == 15000


def test_chapters_of_one_part_stay_apart(tmp_path: Path) -> None:
    """A part alone keeps its chapters as they are, though some look as if a cut had parted them."""
    chapters = (Chapter(0, 0, 40, MS), Chapter(0, 40, 80, MS))
    made = part(tmp_path / "a.vqv", description=Description(chapters=chapters))
    assert joined(tmp_path, made) == 0
    assert len(describe(str(tmp_path / "joined.vqv")).chapters) == 2
    assert joined(tmp_path, made, made) == 0
    spans = [(c.start, c.end) for c in describe(str(tmp_path / "joined.vqv")).chapters]
    assert len(spans) == 3


def test_tags_over_the_limit_go_in_one_pass() -> None:
    """The longest first; it once took a pass over all of them for each."""
    tags = {f"{i:06}": "x" * 46 for i in range(60000)}
    begin = time.process_time()
    fitted, notes = Description(tags | {"long": "y" * 3000}, {"short": "z"}).fitted()
    assert time.process_time() - begin < 5
    assert len(fitted.to_bytes()) <= MAX_DESCRIPTION < len(fitted.to_bytes()) + 100
    assert "long" not in fitted.tags
    assert fitted.video_tags
    assert len(notes) < 30
