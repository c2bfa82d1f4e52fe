"""When the frames of GOPs are shown, and when those of lost ones are: the only place that says so.

Decoding, reading at random and repair ask here, so that a repaired file shows what the damaged one
did.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from ..container.packets import MAX_PTS, IndexEntry
from ..container.reader import ContainerReader
from ..errors import DamageError, DamageLog, LimitError


def frame_step(reader: ContainerReader) -> int:
    """Ticks from frame to frame at the nominal rate, at least 1."""
    h = reader.header
    return max(1, round(1 / ((h.rate or Fraction(25)) * h.time_base)))


def lost_times(
    count: int,
    start: int | None,
    after: int | None,
    before: int | None,
    step: int,
    total: int | None = None,
) -> list[int]:
    """Times for ``count`` lost frames, the first of ``total``: evenly between the frames around
    them, else by the nominal ``step``.

    ``start`` is the time of the first where it is known, ``after`` that of the frame before the
    gap, ``before`` that of the frame behind all ``total``; None where unknown.
    """
    total = total or count
    if (
        start is None
        or (after is not None and start <= after)
        or (before is not None and before - start < total)
    ):
        if after is None:
            start = 0 if before is None else before - total * step
        elif before is not None and before - after > total:
            start = after + (before - after) // (total + 1)
        else:
            start = after + step
    if before is not None and before - start >= total:
        return [start + (before - start) * i // total for i in range(count)]
    # only made by hand: keep within what every muxer can hold
    if after is not None and not _fits(start, step * total):
        start = after + step  # as if it were not known, which a repaired file says too
    if not _fits(start, step * total):
        step, start = 1, max(-MAX_PTS, min(start, MAX_PTS - total)) if after is None else after + 1
    return [start + step * i for i in range(count)]


def _fits(start: int, length: int) -> bool:
    return max(abs(start), abs(start + length)) <= MAX_PTS


class LostTimes:
    """Times of the lost ones of ``entries``, each between what is known around it."""

    def __init__(self, entries: Sequence[IndexEntry], step: int) -> None:
        self._entries, self._step = entries, step
        self._timed = 0  # the first entry behind the last one asked for whose time is known
        # the frame behind the last one asked for, and when it is shown if it is lost too
        self._next: tuple[int, int | None] = (0, None)

    def _time_behind(self, number: int) -> tuple[int, int | None]:
        """Number and time of the first frame behind that GOP that has a known time."""
        entries = self._entries
        self._timed = max(self._timed, number + 1)
        while self._timed < len(entries) and entries[self._timed].first_pts is None:
            self._timed += 1
        if self._timed < len(entries):
            return entries[self._timed].first_frame, entries[self._timed].first_pts
        return entries[number].first_frame + entries[number].count, None

    def of(self, number: int, after: int | None) -> list[int]:
        """Times in ticks of the frames of that entry; GOPs are asked for in ascending order.

        They increase, and begin behind ``after``, the time of the frame before (None: there is
        none). The first time of each lost GOP of a row is what the one before it leaves: a reader
        that is told it, as by the index of a repaired file, finds the same times.
        """
        entry = self._entries[number]
        frame, following = self._next
        start = entry.first_pts
        if start is None and frame == entry.first_frame:
            start = following
        end, before = self._time_behind(number)
        count, total = entry.count, end - entry.first_frame
        times = lost_times(min(count + 1, total), start, after, before, self._step, total)
        following = None
        if total > count:
            following = times[-1]
            times = lost_times(count, times[0], after, following, self._step)
        self._next = entry.first_frame + count, following
        return times


@dataclass(frozen=True)
class TimedGop:
    """A GOP as it was found: ``pts`` of its frames in ticks, and the ``duration`` of the last one,
    0 where it is not known."""

    number: int
    entry: IndexEntry
    pts: tuple[int, ...]
    duration: int = 0
    lost: bool = False  # then the times are those that are shown in its place


def timed_gops(reader: ContainerReader, damage: DamageLog) -> Iterator[TimedGop]:
    """All GOPs of a file, read in order; what is wrong with one is noted in ``damage``.

    LimitError where more frames are lost than ``limits.concealed``.
    """
    lost = LostTimes(reader.gops, frame_step(reader))
    limit = reader.limits.concealed
    frames = 0
    last: int | None = None
    for number, entry in enumerate(reader.gops):
        try:
            gop = reader.read_gop(number, last)
            timed = TimedGop(number, entry, gop.pts, gop.duration)
        except DamageError as exc:
            damage.note(exc)
            frames += entry.count
            if frames > limit:  # before a list of as many times is made
                raise LimitError(
                    f"{frames} frames are lost, over the limit of {limit}", option="concealed"
                ) from exc
            timed = TimedGop(number, entry, tuple(lost.of(number, last)), lost=True)
        last = timed.pts[-1]
        yield timed
