"""Which frames of a source are wanted, and times of display that increase, whatever the file
says."""

from __future__ import annotations

from fractions import Fraction

from ..span import Span, Time
from .source_check import SourceCheck

_PAUSE = 1.5  # distances of frames, beyond which some are missing


class Stretch:
    """How far a source is in the span that is wanted of it.

    From :meth:`begin` on: ``shift`` (ticks that are taken off the times) and ``stop`` (the end, in
    seconds on the clock of the file, None where that is the end of the file).
    """

    def __init__(self, start: Time | None, duration: Time | None) -> None:
        self._span = Span(start, duration)
        self._end: Fraction | None = None  # seconds from the begin of the stream
        self.shift = 0
        self.stop: Fraction | None = None

    def is_full(self, frames: int) -> bool:
        """Whether so many frames are all that were asked for."""
        return self._span.is_full(frames)

    def has_begun(self, number: int, seconds: Fraction) -> bool:
        """Whether a frame of this number, at so many seconds of the stream, is behind the start."""
        return self._span.has_begun(number, seconds)

    def begin(self, pts: int, origin: int, step: int, base: Fraction) -> None:
        """The first frame and the begin of the stream, in ticks of ``base``, as is ``step``."""
        self.shift = pts if self._span.start else 0
        self._end = self._span.end((pts - origin) * base)
        self.stop = self._span.stop(pts * base, origin * base, step * base)

    def has_ended(self, seconds: Fraction) -> bool:
        """Whether a frame at so many seconds of the stream is behind the end."""
        return self._end is not None and seconds >= self._end

    def frames(self, total: int | None, rate: Fraction) -> int | None:
        """How many of ``total`` frames lie in it, about; None where that is not known."""
        if total is None or not rate:
            return None if total is None else max(1, total)
        return self._span.count(total, rate)


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
