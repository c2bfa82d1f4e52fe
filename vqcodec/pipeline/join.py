"""Parts of a video that were encoded one by one become one file, the same as if it had been encoded at once.

GOPs need nothing outside themselves, so their coded pictures stay as they are; frames are numbered anew, and a part begins when the last frame of
the part before it ends. Packets of other tracks and chapters move along. The joined file has the header and the tags of the first part.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction

from ..container.description import Chapter, Description
from ..container.packets import MAX_PAYLOAD, StreamHeader
from ..container.reader import ContainerReader
from ..container.tracks import (
    COLLECTED,
    DESCRIPTION,
    MAX_DECOMPRESSED,
    PACKETS,
    TRACK,
    StoredTracks,
    Track,
    TrackWriter,
    get_packets,
)
from ..container.writer import ContainerWriter
from ..errors import DamageError, UsageError, located
from ..reading.opening import open_reader
from ..reading.sequence import frame_step
from ..system.files import atomic_output, check_output


@dataclass
class JoinReport:
    """What was written."""

    parts: int = 0
    frames: int = 0
    gops: int = 0
    bytes: int = 0
    lost: list[str] = field(default_factory=list)  # what the new file cannot keep


def _differences(a: StreamHeader, b: StreamHeader) -> list[str]:
    """Names of the fields that must be equal in all parts and are not; the content id tells parts apart."""
    return [
        f.name
        for f in fields(StreamHeader)
        if f.name != "content_id" and getattr(a, f.name) != getattr(b, f.name)
    ]


class _Chapters:
    """Chapters of the parts; one that was cut by parts is one again."""

    def __init__(self) -> None:
        self._chapters: list[Chapter] = []
        self._ends: dict[tuple[object, ...], list[int]] = {}  # positions by what goes on, and when

    def add(self, chapters: tuple[Chapter, ...], shift: Fraction) -> None:
        """Append the chapters of a part that begins ``shift`` seconds later."""
        new = []
        for c in chapters:
            ticks = round(shift / c.time_base)
            moved = replace(c, start=c.start + ticks, end=c.end + ticks)
            at = next(
                (i for by in (0, -1, 1) if (i := self._taken(moved, moved.start + by)) is not None),
                None,
            )
            if at is None:
                at = len(self._chapters)
                self._chapters.append(moved)
            else:
                self._chapters[at] = replace(self._chapters[at], end=moved.end)
            new.append(at)
        for at in new:  # only now: chapters of one part stay apart
            c = self._chapters[at]
            self._ends.setdefault(self._key(c, c.end), []).append(at)

    @staticmethod
    def _key(c: Chapter, time: int) -> tuple[object, ...]:
        return c.id, c.time_base, frozenset(c.tags.items()), time

    def _taken(self, c: Chapter, time: int) -> int | None:
        """Position of a chapter like this one that ends then; it is given once."""
        found = self._ends.get(self._key(c, time))
        return found.pop() if found else None

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
        """Copy what is stored with frames up to ``until``, ``shift`` seconds later, from the extra ``at`` of a part on; the number of the first one left."""
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
                for p in get_packets(payload, extra.offset):
                    if p.track in tracks:
                        self._out.packet(p.shifted(-round(shift / tracks[p.track].time_base)))
            elif extra.type != DESCRIPTION:
                self._out.flush()
                self._writer.extra(extra.type, bytes(payload), small=extra.compressed)
            at += 1
        return at

    def flush(self, now: Fraction | None = None) -> None:
        """Write what belongs before a GOP that begins at ``now`` seconds; None: all that is left."""
        self._out.flush(now)


_DAMAGED = "a damaged part is not joined"


@contextmanager
def _undamaged(path: str) -> Iterator[None]:
    """Damage in a part ends the joining."""
    with located(file=path):
        try:
            yield
        except DamageError as exc:
            exc.advice = _DAMAGED
            raise


def join(
    parts: Sequence[str | os.PathLike[str]], dst: str | os.PathLike[str], *, overwrite: bool = False
) -> JoinReport:
    """Write the GOPs of .vqv files one behind the other to ``dst``, which appears under its name only when complete.

    Where the parts are ranges of one source, each beginning at a key frame of an encode of the whole, the pictures have the bytes of that encode.
    UsageError unless all parts have the same stream header (size, times, colours, crf, model) and the same kinds of tracks; DamageError for a
    damaged part. Raises InputError, LimitError and OutputError too.
    """
    names, dst = [os.fspath(part) for part in parts], os.fspath(dst)
    if not names:
        raise UsageError("there is nothing to join")
    check_output(dst, names, overwrite)
    report = JoinReport(parts=len(names))
    first: StreamHeader | None = None
    description, chapters = Description(), _Chapters()
    known: dict[int, Track] = {}
    shifts: list[int] = []  # ticks by which each part is later in the joined file
    end: int | None = None  # when the part before ends
    for path in names:  # all of them are looked at before anything is written
        with ExitStack() as stack:
            reader = open_reader(stack, path)
            stored = StoredTracks(reader)
            damage = [*reader.damaged, *stored.damage]
            if damage or not reader.complete or not reader.gops:
                raise DamageError(
                    damage[0] if damage else "no frames",
                    file=path,
                    advice=_DAMAGED,
                )
            first = first or reader.header
            if different := _differences(first, reader.header):
                raise UsageError(
                    f"cannot be joined to {names[0]}: another "
                    f"{', '.join(name.replace('_', ' ') for name in different)}",
                    file=path,
                    advice="encode all parts with the same options and weights",
                )
            for number, track in stored.tracks.items():
                other = known.setdefault(number, track)
                if (track.kind, track.codec, track.time_base) != (
                    other.kind,
                    other.codec,
                    other.time_base,
                ):
                    raise UsageError(
                        f"cannot be joined to {names[0]}: {track} was {other}", file=path
                    )
            with _undamaged(path):
                begin, last = reader.read_gop(0).pts[0], reader.read_gop(len(reader.gops) - 1)
            shifts.append(0 if end is None else end - begin)
            end = last.pts[-1] + shifts[-1] + (last.duration or frame_step(reader))
            if len(shifts) == 1:
                description = stored.description
            chapters.add(stored.description.chapters, shifts[-1] * first.time_base)
    assert first is not None
    with atomic_output(dst, overwrite) as file:
        writer = ContainerWriter(file, first)
        description, report.lost = replace(description, chapters=tuple(chapters)).fitted()
        if description:
            writer.extra(DESCRIPTION, description.to_bytes(), small=True)
        tracks = _Tracks(writer)
        for path, shift in zip(names, shifts, strict=True):
            with ExitStack() as stack:
                reader = open_reader(stack, path)
                at, later = 0, shift * first.time_base
                tracks.begin()
                before: int | None = None
                with _undamaged(path):
                    for i, entry in enumerate(reader.gops):
                        at = tracks.copy(reader, known, at, entry.first_frame, later)
                        gop = reader.read_gop(i, before)
                        before = gop.pts[-1]
                        tracks.flush(later + gop.pts[0] * first.time_base)
                        writer.gop(replace(gop, pts=tuple(t + shift for t in gop.pts)))
                        report.gops += 1
                    tracks.copy(reader, known, at, reader.frames, later)
                    tracks.flush()
        report.frames, report.bytes = writer.frames, writer.finish()
    return report
