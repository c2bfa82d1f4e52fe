"""Which frames of a source are wanted, and times of display that increase, whatever the file says."""

from __future__ import annotations

from fractions import Fraction

from ..options import Time
from .source_check import SourceCheck

_PAUSE = 1.5  # distances of frames, beyond which some are missing


class Stretch:
    """The frames from ``start`` on for ``duration``, each None or a time or a number of frames.

    From :meth:`begin` on: ``shift`` (ticks that are taken off the times) and ``stop`` (the end, in
    seconds on the clock of the file, None where that is the end of the file).
    """

    def __init__(self, start: Time | None, duration: Time | None) -> None:
        self._start, self._duration = start, duration
        self._limit: Fraction | None = None  # seconds from the begin of the stream
        self.shift = 0
        self.stop: Fraction | None = None

    def is_full(self, frames: int) -> bool:
        """Whether so many frames are all that were asked for."""
        length = self._duration
        return length is not None and length.frames is not None and frames >= length.frames

    def has_begun(self, number: int, seconds: Fraction) -> bool:
        """Whether a frame of this number, at so many seconds of the stream, is behind the start."""
        if self._start is None:
            return True
        if self._start.seconds is not None:
            return seconds >= self._start.seconds
        return number >= (self._start.frames or 0)

    def begin(
        self, pts: int, seconds: Fraction, origin: Fraction, base: Fraction, step: int
    ) -> None:
        """The first frame: ``pts`` and ``step`` in ticks of ``base``, the others in seconds."""
        self.shift = pts if self._start else 0
        length = self._duration
        if length is None:
            return
        if length.seconds is None:
            self.stop = (pts + (length.frames or 0) * step) * base
            return
        given = self._start.seconds if self._start is not None else None
        self._limit = (seconds if given is None else given) + length.seconds
        self.stop = self._limit + origin

    def has_ended(self, seconds: Fraction) -> bool:
        """Whether a frame at so many seconds of the stream is behind the end."""
        return self._limit is not None and seconds >= self._limit

    def frames(self, total: int | None, rate: Fraction) -> int | None:
        """How many of ``total`` frames lie in it, about; None where that is not known."""
        if total is None or not rate:
            return None if total is None else max(1, total)
        if self._start:
            total -= _in_frames(self._start, rate)
        if self._duration:
            total = min(total, _in_frames(self._duration, rate))
        return max(1, total)


def _in_frames(time: Time, rate: Fraction) -> int:
    return time.frames if time.frames is not None else round((time.seconds or 0) * rate)


class FrameTimes:
    """Gives frames times that increase, and counts in a check where the file's do not."""

    def __init__(self, step: int, check: SourceCheck) -> None:
        self._step, self._check = step, check
        self._last: int | None = None

    def next(self, pts: int | None) -> int:
        """The time of the next frame, in ticks, by what the file says of it."""
        last = self._last
        if pts is None:
            pts = 0 if last is None else last + self._step
            self._check.numbered += 1
        elif last is not None and pts <= last:
            pts = last + 1
            self._check.repaired += 1
        if last is not None and pts - last > _PAUSE * self._step:
            self._check.missing += round((pts - last) / self._step) - 1
        self._last = pts
        return pts
