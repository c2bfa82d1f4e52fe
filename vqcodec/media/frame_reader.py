"""Frames of a stream of pictures as they come out of its decoder, with their times of display."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from itertools import chain, islice

import av
import av.error
from av.video.stream import VideoStream

from ..options import Limits, Time
from .clock import JUMPING, BestEffort, PictureClock
from .encryption import EncryptedPackets
from .inputs import Source
from .source_check import SourceCheck
from .video_stream import Place, bounded, pictures_of

_NO_TIMES = 0x80  # FFmpeg's AVFMT_NOTIMESTAMPS: what its demuxer says of times is made up
_SEEN_AHEAD = 8  # frames among which it shows whether times of display are those of decoding


class FrameReader:
    """Decodes the frames of a source; what is damaged goes into ``check``.

    With a ``forced`` rate frames are numbered, whatever times they have. Attributes: ``container``
    and ``stream`` (FFmpeg's), ``index`` (of the stream), ``rate`` and ``time_base`` (of the times
    given), ``own_rate`` (the source's, or None), ``step`` (ticks from frame to frame),
    ``untimed`` (whether it is of a kind without times, whose frames are counted), ``packets`` (of
    pictures, that were read), ``encrypted`` (those of them that were, and are left out).
    """

    def __init__(
        self, place: Place, limits: Limits, check: SourceCheck, forced: Fraction | None
    ) -> None:
        self._place, self._limits, self._check = place, limits, check
        self._forced = forced
        self._opened: Source | None = None
        self.packets = 0  # of the pictures that were read
        self._open()

    def _open(self) -> None:
        """Open the file, and find the stream and its clock."""
        with ExitStack() as stack:
            self._opened = opened = stack.enter_context(self._place.open())
            self.container = opened.container
            self.stream = pictures_of(self.container, self._place, self._limits)
            stack.pop_all()
        self._check.kind = self.container.format.name
        self.encrypted = EncryptedPackets()
        self.index = self.stream.index  # the stream must not be asked once the file is closed
        self.own_rate = _rate_of(self.stream)
        self.untimed = bool(self.container.format.flags & _NO_TIMES) and self._forced is None
        base = self.stream.time_base
        if base is None or bounded(base) != base:
            base = 1 / (self.own_rate or Fraction(25))
        self.rate, self.time_base = self.own_rate, Fraction(base)
        if self._forced is not None:
            self.rate, self.time_base = self._forced, 1 / self._forced
        self.step = max(1, round(1 / ((self.rate or 25) * self.time_base)))

    def _decode(self) -> Iterator[av.VideoFrame]:
        """Frames as they come; damage is counted, not raised."""
        packets, clock = self.container.demux(self.stream), None
        if self._check.kind in JUMPING and self._forced is None:
            clock = PictureClock(self.step * self.time_base)
            self._check.jumps = clock.jumps
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.error.FFmpegError, OSError, ValueError):
                self._check.unreadable()
                return
            self.packets += packet.size > 0
            self._check.lasted += packet.duration or 0
            self._check.place = packet.pos or self._check.place
            if packet.is_corrupt:
                self._check.bad_packets.append(self._check.place)
            if clock is not None and packet.size:
                clock.straighten(packet)
            if self.encrypted.holds(packet):
                self._check.corrupt += 1
                continue
            try:
                yield from packet.decode()
            except (av.error.FFmpegError, ValueError):
                if packet.size:
                    self._check.corrupt += 1

    def _seek_and_decode(self, start: Time | None) -> Iterator[av.VideoFrame]:
        """Decode, from the key frame before the start where seeking can be relied on."""
        seconds, origin = start.seconds if start else None, self.stream.start_time
        base, streamed = self.stream.time_base, self._place.pipe is not None
        counted = streamed or self.untimed or self._forced is not None
        if not seconds or origin is None or not base or counted:
            yield from self._decode()
            return
        target = origin + int(seconds / base)
        try:
            self.container.seek(target, stream=self.stream)
            frames = self._decode()
            first = next(frames, None)
            if first is not None and first.pts is not None and first.pts <= target:
                yield first
                yield from frames
                return
        except (av.error.FFmpegError, OSError):
            pass
        self.close()
        self._check.restart()
        self._open()
        yield from self._decode()

    def timed(self, start: Time | None) -> Iterator[tuple[int | None, av.VideoFrame]]:
        """Frames with their times of display, as far as they have one."""
        frames = self._seek_and_decode(start)
        first = next(frames, None)
        if first is None:
            return
        if self.untimed:
            yield from self._counted(chain([first], frames))
            return
        ahead, reordered = [first], self.stream.codec_context.has_b_frames
        times = BestEffort(reordered and self._check.kind == "avi")
        if reordered or first.pts is None:
            ahead += islice(frames, _SEEN_AHEAD)
            for frame in ahead:
                times.guess(frame.pts, frame.dts)
            times.rewind()
        known = [times.guess(frame.pts, frame.dts) for frame in ahead]
        yield from zip(self._filled_in(known, ahead), ahead, strict=True)
        for frame in frames:
            yield times.guess(frame.pts, frame.dts), frame

    def _counted(
        self, frames: Iterator[av.VideoFrame]
    ) -> Iterator[tuple[int | None, av.VideoFrame]]:
        """Frames of a kind of file that has no times: each begins when the one before it ends."""
        pts = 0
        for frame in frames:
            if frame.pts is None:
                self._check.numbered += 1
            yield pts, frame
            pts += self.length(frame) or self.step

    def _filled_in(
        self, times: Sequence[int | None], frames: Sequence[av.VideoFrame]
    ) -> list[int | None]:
        """Times of the first frames, where those before the first known one lack theirs: Matroska
        has none below zero."""
        filled = list(times)
        first = next((i for i, time in enumerate(times) if time is not None), 0)
        for i in reversed(range(first)):
            after = filled[i + 1]
            assert after is not None
            filled[i] = after - (self.length(frames[i]) or self.step)
        return filled

    @property
    def origin(self) -> int | None:
        """Where the clock of the source begins, in ticks, as far as it says so."""
        return 0 if self.untimed or self._forced is not None else self.stream.start_time

    def length(self, frame: av.VideoFrame) -> int:
        """How long a frame is shown, 0 where that isn't known."""
        if self._forced is not None or not frame.duration:
            return 0
        # with reordered pictures it is the distance to the next one in the file
        reordered = self.stream.codec_context.has_b_frames
        return 0 if reordered and 2 * frame.duration < self.step else frame.duration

    def close(self) -> None:
        """Release the file; repeated calls do nothing."""
        if self._opened is not None:
            self._opened.close()


def _rate_of(stream: VideoStream) -> Fraction | None:
    """Frames a second as a file says, or as its first frames do."""
    average, guessed = bounded(stream.average_rate), bounded(stream.guessed_rate)
    # of a short .dv the average is one frame a tick
    if average and guessed and guessed < average and average * (stream.time_base or 0) == 1:
        return guessed
    return average or guessed
