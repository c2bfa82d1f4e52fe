"""A stretch of a video: where it begins, how long it is, and which frames lie in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from numbers import Integral, Real

from .errors import UsageError


@dataclass(frozen=True)
class Time:
    """A point or a length of time: seconds (exact) or frames, one of the two."""

    seconds: Fraction | None = None
    """Seconds, exact; None where it is a number of frames."""
    frames: int | None = None
    """Frames; None where it is a number of seconds."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            kind = Integral if name == "frames" else Real
            if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
                raise UsageError(f"{value!r} is none, allowed are numbers", option=name)
        if (
            (self.seconds is None) == (self.frames is None)
            or (self.seconds or 0) < 0
            or (self.frames or 0) < 0
        ):
            raise UsageError("a time is a number of seconds or of frames, not negative")

    def in_frames(self, rate: Fraction) -> int:
        """So many frames as this is at a rate of frames a second, rounded."""
        return self.frames if self.frames is not None else round((self.seconds or 0) * rate)


@dataclass(frozen=True)
class Span:
    """The frames of a video from ``start`` on for ``duration``; where one is None, all of them.

    Times of frames are in seconds from the begin of the video, unless it is said that they are on
    the clock of the file. The reader of a source and the decoder both choose by this.
    """

    start: Time | None = None
    duration: Time | None = None

    def has_begun(self, number: int, seconds: Fraction) -> bool:
        """Whether the frame of this number, at this time, is the first of the span or behind it."""
        if self.start is None:
            return True
        if self.start.seconds is not None:
            return seconds >= self.start.seconds
        return number >= (self.start.frames or 0)

    def end(self, first: Fraction) -> Fraction | None:
        """The time from which on frames are behind the span, the first of which is at ``first``.

        None where no length in seconds is given.
        """
        if self.duration is None or self.duration.seconds is None:
            return None
        given = self.start.seconds if self.start is not None else None
        return (first if given is None else given) + self.duration.seconds

    def is_full(self, frames: int) -> bool:
        """Whether so many frames are all that were asked for."""
        length = self.duration
        return length is not None and length.frames is not None and frames >= length.frames

    def choose(
        self, number: int, seconds: Sequence[Fraction], given: int, first: Fraction | None
    ) -> range:
        """Which of some frames, one behind the other, lie in the span.

        Args:
            number: Of the first of them.
            seconds: Their times, in ascending order.
            given: Frames of the span before them.
            first: Time of the first of those, None if there are none.

        Returns:
            Positions in ``seconds``.
        """
        begin = stop = next(
            (i for i, time in enumerate(seconds) if self.has_begun(number + i, time)), len(seconds)
        )
        if begin < len(seconds):
            end = self.end(seconds[begin] if first is None else first)
            while (
                stop < len(seconds)
                and not (end is not None and seconds[stop] >= end)
                and not self.is_full(given + stop - begin)
            ):
                stop += 1
        return range(begin, stop)

    def stop(self, first: Fraction, origin: Fraction, step: Fraction) -> Fraction | None:
        """Where the span ends, on the clock of the file; None where that is the end of the file.

        Args:
            first: Time of its first frame, on the clock of the file.
            origin: Where the video begins on that clock.
            step: Nominal seconds from frame to frame.
        """
        if self.duration is None:
            return None
        end = self.end(first - origin)
        return first + (self.duration.frames or 0) * step if end is None else end + origin

    def count(self, total: int, rate: Fraction) -> int:
        """How many of ``total`` frames at this rate lie in it, about; at least 1."""
        if self.start:
            total -= self.start.in_frames(rate)
        if self.duration:
            total = min(total, self.duration.in_frames(rate))
        return max(1, total)
