"""The chosen frames of a file, decoded one after the other, and the stretch of time they take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from typing import TYPE_CHECKING

from ..container.reader import ContainerReader
from ..options import DecodeOptions
from ..picture import Picture
from ..span import Span, Time
from .decode_report import DecodeReport
from .gop_times import frame_step
from .sequence import ConcealingDecoder

if TYPE_CHECKING:
    from ..codec.weights import Codec

# seconds before the first chosen frame where packets of its time may be stored, and subtitles
# begin that are still shown
_EARLIER = 10


def _first_gop(reader: ContainerReader, start: Time | None) -> int:
    """Index of the first GOP that may hold a chosen frame."""
    if start is None or not reader.gops:
        return 0
    origin = reader.gops[0].first_pts or 0
    chosen = 0
    for number, entry in enumerate(reader.gops):
        if start.frames is not None:
            if entry.first_frame <= start.frames:
                chosen = number
        elif entry.first_pts is not None and (
            entry.first_pts - origin
        ) * reader.header.time_base <= (start.seconds or 0):
            chosen = number
    return chosen


class _Progress:
    """How far the decoding is in a span; ``origin`` is the time of the file's first frame, in ticks
    of ``base``, or None where only that frame tells it.
    """

    def __init__(self, span: Span, base: Fraction, origin: int | None) -> None:
        self._span, self._base, self._origin = span, base, origin
        self._first: Fraction | None = None  # time of the first frame given, in seconds
        self.given = 0
        self.number = 0  # of the frame that comes

    def _seconds(self, pts: int) -> Fraction:
        if self._origin is None:
            self._origin = pts
        return (pts - self._origin) * self._base

    def choose(self, times: list[int]) -> range:
        """Which frames are wanted of those at these times, the first of which comes next."""
        seconds = [self._seconds(pts) for pts in times]
        return self._span.choose(self.number, seconds, self.given, self._first)

    def has_ended(self) -> bool:
        """Whether all frames asked for were given."""
        return self._span.is_full(self.given)

    def take(self, pts: int) -> bool | None:
        """Whether the frame that comes is chosen; None where the span ends before it."""
        seconds, number = self._seconds(pts), self.number
        self.number += 1
        if not self._span.has_begun(number, seconds):
            return False
        if self._first is None:
            self._first = seconds
        end = self._span.end(self._first)
        if (end is not None and seconds >= end) or self.has_ended():
            return None
        self.given += 1
        return True


def frames(
    reader: ContainerReader, codec: Codec, options: DecodeOptions, report: DecodeReport
) -> Iterator[tuple[int, int, Picture]]:
    """Decode the chosen frames of a file, and no others than those they depend on.

    Args:
        reader: Of the file.
        codec: The model that it was made with.
        options: ``start`` and ``duration`` choose; with ``start`` times begin at zero.
        report: Is kept up to date.

    Yields:
        Time and duration in ticks (a duration of 0 where it is not known), and the 10-bit picture.
    """
    decoder = ConcealingDecoder(reader, codec, options, report)
    length = options.duration
    origin = reader.gops[0].first_pts if reader.gops else None
    progress = _Progress(Span(options.start, length), reader.header.time_base, origin)
    for i in range(_first_gop(reader, options.start), len(reader.gops)):
        progress.number = reader.gops[i].first_frame
        with closing(decoder.pictures(i, progress.choose)) as pictures:  # type: ignore[type-var]
            for pts, duration, picture in pictures:
                chosen = progress.take(pts)
                if chosen is None:
                    return
                if not chosen:
                    continue
                assert picture is not None  # chosen frames are wanted ones
                if progress.given == 1 and options.start is not None:
                    report.shift = pts
                shown = pts - report.shift
                report.frames += 1
                report.end = None if length is None else shown + (duration or decoder.step)
                yield shown, duration, picture
                if progress.has_ended():
                    return


def chosen_stretch(
    reader: ContainerReader, options: DecodeOptions, report: DecodeReport
) -> tuple[Fraction, Fraction | None, int]:
    """The time that the chosen frames take, once the first of them is decoded.

    Returns:
        Begin and end in seconds on the clock of the file (None: its end), and the frame with which
        the first packets needed are stored.
    """
    base, start = reader.header.time_base, options.start
    origin = (reader.gops[0].first_pts or 0) * base if reader.gops else Fraction(0)
    begin = report.shift * base
    first = origin if start is None else begin
    stop = Span(start, options.duration).stop(first, origin, frame_step(reader) * base)
    early = [
        entry.first_frame
        for entry in reader.gops
        if entry.first_pts is not None and entry.first_pts * base <= begin - _EARLIER
    ]
    return begin, stop, early[-1] if start is not None and early else 0
