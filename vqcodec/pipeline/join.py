"""Parts of a video that were encoded one by one become one file, the same as if it had been
encoded at once.

GOPs need nothing outside themselves, so their coded pictures stay as they are. Frames are numbered
anew, and a part begins when the last frame of the part before it ends. Packets of other tracks and
chapters move along. The joined file has the header and the tags of the first part.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction

from .. import values
from ..container.description import Chapter, Description
from ..container.packets import MAX_PAYLOAD, StreamHeader
from ..container.reader import ContainerReader
from ..container.stored_tracks import StoredTracks
from ..container.tracks import (
    COLLECTED,
    DESCRIPTION,
    MAX_DECOMPRESSED,
    PACKETS,
    TRACK,
    Track,
    TrackWriter,
    get_packets,
)
from ..container.writer import ContainerWriter
from ..errors import DamageError, UsageError, located
from ..reading.checks import open_reader
from ..reading.gop_times import frame_step
from ..system.files import atomic_output, check_input, check_output


@dataclass
class JoinReport:
    """What was written."""

    parts: int = 0
    frames: int = 0
    gops: int = 0
    bytes: int = 0
    lost: list[str] = field(default_factory=list)  # what the new file cannot keep


def _differences(first: StreamHeader, other: StreamHeader) -> list[str]:
    """Names of the fields that must be equal in all parts and are not; the content id tells parts
    apart."""
    names = [f.name for f in fields(StreamHeader) if f.name != "content_id"]
    return [name for name in names if getattr(first, name) != getattr(other, name)]


class _Chapters:
    """Chapters of the parts; one that was cut by parts is one again."""

    def __init__(self) -> None:
        self._chapters: list[Chapter] = []
        self._ends: dict[tuple[object, ...], list[int]] = {}  # positions by what goes on, and when

    def add(self, chapters: tuple[Chapter, ...], shift: Fraction) -> None:
        """Append the chapters of a part that begins ``shift`` seconds later."""
        new = []
        for chapter in chapters:
            ticks = round(shift / chapter.time_base)
            moved = replace(chapter, start=chapter.start + ticks, end=chapter.end + ticks)
            at = self._continued(moved)
            if at is None:
                at = len(self._chapters)
                self._chapters.append(moved)
            else:
                self._chapters[at] = replace(self._chapters[at], end=moved.end)
            new.append(at)
        for at in new:  # only now: chapters of one part stay apart
            chapter = self._chapters[at]
            self._ends.setdefault(self._key(chapter, chapter.end), []).append(at)

    @staticmethod
    def _key(chapter: Chapter, time: int) -> tuple[object, ...]:
        return chapter.id, chapter.time_base, frozenset(chapter.tags.items()), time

    def _continued(self, chapter: Chapter) -> int | None:
        """Position of a chapter like this one that ends where it begins, or a tick from there; it
        is given once."""
        for apart in (0, -1, 1):
            if found := self._ends.get(self._key(chapter, chapter.start + apart)):
                return found.pop()
        return None

    def __iter__(self) -> Iterator[Chapter]:
        return iter(self._chapters)


class _Tracks:
    """Tracks of the parts on their way to the joined file."""

    def __init__(self, writer: ContainerWriter) -> None:
        self._writer, self._out, self._written = writer, TrackWriter(writer), set[int]()
        self._room = MAX_DECOMPRESSED

    def begin(self) -> None:
        """Say that another part follows."""
        self._room = MAX_DECOMPRESSED

    def copy(
        self,
        reader: ContainerReader,
        tracks: dict[int, Track],
        at: int,
        until: int,
        shift: Fraction,
    ) -> int:
        """Copy what is stored with frames up to ``until``, ``shift`` seconds later, from the extra
        ``at`` of a part on; the number of the first one left."""
        while at < len(reader.extras) and reader.extras[at].first_frame <= until:
            extra = reader.extras[at]
            records = extra.type in (PACKETS, COLLECTED)
            payload = reader.read_extra(at, self._room if records else MAX_PAYLOAD)
            if extra.type == TRACK:
                track = Track.from_bytes(payload, extra.offset)
                if track.number not in self._written:
                    self._out.add(track)
                self._written.add(track.number)
            elif records:
                self._room -= len(payload) if extra.compressed else 0
                for packet in get_packets(payload, extra.offset):
                    if packet.track in tracks:
                        self._out.packet(
                            packet.shifted(-round(shift / tracks[packet.track].time_base))
                        )
            elif extra.type != DESCRIPTION:
                self._out.flush()
                self._writer.extra(extra.type, bytes(payload), small=extra.compressed)
            at += 1
        return at

    def flush(self, now: Fraction | None = None) -> None:
        """Write what belongs before a GOP that begins at ``now`` seconds; None: all that is
        left."""
        self._out.flush(now)


@dataclass(frozen=True)
class _Part:
    """A file that is joined, and by how many ticks it is later in the whole."""

    path: str
    shift: int

    @contextmanager
    def open(self) -> Iterator[ContainerReader]:
        """Read it; its damage is named as what prevents joining."""
        with located(file=self.path), ExitStack() as stack:
            reader = open_reader(stack, self.path)
            try:
                yield reader
            except DamageError as exc:
                exc.advice = "a damaged part is not joined"
                raise


@dataclass
class _Plan:
    """What the joined file will be, from a look at all parts. Made by :meth:`of`."""

    header: StreamHeader
    description: Description  # of the first part
    tracks: dict[int, Track]  # by number
    chapters: _Chapters = field(default_factory=_Chapters)
    parts: list[_Part] = field(default_factory=list)
    end: int | None = None  # tick at which the last part ends

    @classmethod
    def of(cls, names: Sequence[str]) -> _Plan:
        """Raises UsageError for parts that do not fit together, DamageError for damaged ones."""
        plan: _Plan | None = None
        for name in names:
            with _Part(name, 0).open() as reader:
                stored = StoredTracks(reader)
                if plan is None:
                    plan = cls(reader.header, stored.description, {})
                plan._add(name, reader, stored)
        assert plan is not None
        return plan

    def _add(self, name: str, reader: ContainerReader, stored: StoredTracks) -> None:
        """Append a part."""
        damage = [*reader.damaged, *stored.damage]
        if damage or not reader.complete or not reader.gops:
            raise DamageError(damage[0] if damage else "no frames")
        refused = f"cannot be joined to {self.parts[0].path if self.parts else name}"
        if different := _differences(self.header, reader.header):
            what = ", ".join(name.replace("_", " ") for name in different)
            raise UsageError(
                f"{refused}: another {what}",
                file=name,
                advice="encode all parts with the same options and weights",
            )
        for number, track in stored.tracks.items():
            other = self.tracks.setdefault(number, track)
            if _kind(track) != _kind(other):
                raise UsageError(f"{refused}: {track} was {other}", file=name)
        begin, last = reader.read_gop(0).pts[0], reader.read_gop(len(reader.gops) - 1)
        shift = 0 if self.end is None else self.end - begin
        self.end = last.pts[-1] + shift + (last.duration or frame_step(reader))
        self.chapters.add(stored.description.chapters, shift * self.header.time_base)
        self.parts.append(_Part(name, shift))


def _kind(track: Track) -> tuple[object, ...]:
    """What must be the same of a track in all parts."""
    return track.kind, track.codec, track.time_base


def _copy(part: _Part, plan: _Plan, writer: ContainerWriter, tracks: _Tracks) -> None:
    """Write the GOPs of a part, and its tracks between them."""
    base = plan.header.time_base
    later = part.shift * base  # seconds
    tracks.begin()
    with part.open() as reader:
        extra = 0  # number of the one that is copied next
        before: int | None = None  # time of the frame before a GOP
        for i, entry in enumerate(reader.gops):
            extra = tracks.copy(reader, plan.tracks, extra, entry.first_frame, later)
            gop = reader.read_gop(i, before)
            before = gop.pts[-1]
            tracks.flush(later + gop.pts[0] * base)
            writer.gop(replace(gop, pts=tuple(pts + part.shift for pts in gop.pts)))
        tracks.copy(reader, plan.tracks, extra, reader.frames, later)
        tracks.flush()


@values.taking(parts=values.each(values.path), dst=values.path, overwrite=values.flag)
def join(
    parts: Sequence[str | os.PathLike[str]], dst: str | os.PathLike[str], *, overwrite: bool = False
) -> JoinReport:
    """Write the GOPs of .vqv files one behind the other to ``dst``, which appears when complete.

    Where the parts are ranges of one source, each beginning at a key frame of an encode of the
    whole, the pictures have the bytes of that encode.

    Args:
        parts: Paths of the .vqv files, in their order.
        dst: Path of the joined file.
        overwrite: Whether a file that is there is replaced.

    Returns:
        What was written, and what of the tags and chapters had no room.

    Raises:
        UsageError: There is no part, or the parts differ in the stream header (size, times,
            colours, crf, model) or in the kinds of their tracks.
        InputError: A part is no .vqv file, or it cannot be read.
        DamageError: A part is damaged.
        LimitError: Something is larger than a .vqv file may have.
        OutputError: The output is there already, cannot be written, or the disk is full.
    """
    names = [os.fspath(part) for part in parts]
    if not names:
        raise UsageError("there is nothing to join")
    for name in names:
        check_input(name)
    check_output(dst, names, overwrite)
    plan = _Plan.of(names)  # all are looked at before anything is written
    report = JoinReport(parts=len(names))
    with atomic_output(dst, overwrite) as file:
        writer = ContainerWriter(file, plan.header)
        chapters = tuple(plan.chapters)
        description, report.lost = replace(plan.description, chapters=chapters).fitted()
        if description:
            writer.extra(DESCRIPTION, description.to_bytes(), small=True)
        tracks = _Tracks(writer)
        for part in plan.parts:
            _copy(part, plan, writer, tracks)
        report.gops, report.frames = len(writer.entries), writer.frames
        report.bytes = writer.finish()
    return report
