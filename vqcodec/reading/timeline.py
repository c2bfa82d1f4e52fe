"""When the frames of a file are shown: times of its GOPs, and of those that are lost."""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from ..container.reader import ContainerReader
from ..errors import DamageError, DamageLog, Place
from .gop_times import frame_step, timed_gops


class GopTimes(NamedTuple):
    """Ticks at which the frames of a GOP begin, and at which the last one ends."""

    pts: tuple[int, ...]
    end: int


class Timeline:
    """Times by GOP, in ticks.

    Where ``damage`` is given, all GOPs are read at once: what is wrong with them is noted there,
    ``lost`` has the numbers of those that cannot be read, and they get times between those around
    them, as in ``decode``. Otherwise each is read when it is asked for.
    """

    def __init__(self, reader: ContainerReader, damage: DamageLog | None = None) -> None:
        self._reader = reader
        self._step = frame_step(reader)
        self.lost: set[int] = set()
        self._known: dict[int, GopTimes] = {}
        if damage is not None:
            self._read_all(damage)

    def __getitem__(self, number: int) -> GopTimes:
        """Times of the GOP with that number; DamageError where it cannot be read."""
        known = self._known.get(number)
        if known is None:
            gop = self._reader.read_gop(number)
            known = self._known[number] = self._times(number, gop.pts, gop.duration)
        return known

    def _times(self, number: int, pts: tuple[int, ...], duration: int) -> GopTimes:
        entries = self._reader.gops
        behind = entries[number + 1].first_pts if number + 1 < len(entries) else None
        if duration:
            return GopTimes(pts, pts[-1] + duration)
        if behind is not None and behind > pts[-1]:
            return GopTimes(pts, behind)
        return GopTimes(pts, pts[-1] + self._step)

    def _read_all(self, damage: DamageLog) -> None:
        for gop in timed_gops(self._reader, damage):
            if gop.lost:
                self.lost.add(gop.number)
                self._known[gop.number] = GopTimes(gop.pts, gop.pts[-1] + self._step)
            else:
                self._known[gop.number] = self._times(gop.number, gop.pts, gop.duration)

    def lose(self, gop: int, exc: DamageError, damage: DamageLog | None) -> None:
        """Note in ``damage`` that a GOP cannot be read; raises where that is not to be passed
        over."""
        if damage is None:
            raise exc
        entry = self._reader.gops[gop]
        place = Place(part=f"GOP {gop}", byte=entry.offset, frames=entry.frames)
        exc.place = exc.place.within(place)
        damage.note(exc)
        self.lost.add(gop)

    @property
    def starts(self) -> list[int]:
        """When the GOPs begin."""
        return [
            self[i].pts[0] if i in self._known or e.first_pts is None else e.first_pts
            for i, e in enumerate(self._reader.gops)
        ]

    def gop_of(self, frame: int) -> int:
        """The GOP that a frame lies in."""
        return bisect_right(self._reader.gops, frame, key=lambda e: e.first_frame) - 1

    @property
    def begin(self) -> int:
        """When the first frame begins; 0 where there is none."""
        if not self._reader.gops:
            return 0
        first = self._reader.gops[0].first_pts
        return self[0].pts[0] if first is None else first

    @property
    def end(self) -> int:
        """When the last frame ends, by the nominal rate where its GOP cannot be read."""
        if not self._reader.gops:
            return 0
        last = self._reader.gops[-1]
        try:
            return self[len(self._reader.gops) - 1].end
        except DamageError:
            return (last.first_pts or 0) + last.count * self._step
