"""Video files in: anything FFmpeg reads, as 4:2:0 planes with integer times."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from itertools import chain

import av

from ..errors import InputError, located
from ..options import Limits
from ..picture import Picture
from ..system.files import check_input
from ..system.stdio import CountedPipe
from .clock import Jump
from .encryption import scrambled
from .frame_reader import FrameReader
from .frames import to_picture
from .last_picture import OPEN_ENDED, ends_within_picture
from .side_data import CAPTIONS, Losses, shown_otherwise, side_data
from .source_check import Reached, SourceCheck, declared_length
from .source_choice import SourceChoice
from .source_facts import PictureFacts, facts_of, is_transparent, retagged
from .stretch import FrameTimes, Stretch
from .video_stream import Place
from .y4m import ends_within_frame

_AS_IT_IS = SourceChoice()


class VideoSource:
    """The first video stream of a file, as an iterator of (pts, Picture) in the order of display.

    8-bit 4:2:0 passes untouched; other formats are converted to 4:2:0 of 8 bits, or of 10 bits when
    they have more.

    Args:
        path: of the file.
        choice: which frames are given, and how they are understood.
        limits: of what is read.
        pipe: is read as y4m, in one go, in the place of the file.
        name: what messages call the source; its path if None.

    Attributes:
        width, height: as stored.
        time_base, rate, sar: Fractions; rate and sar may be None.
        rotation: degrees clockwise for display, not applied.
        primaries, transfer, matrix, range, chroma_location: FFmpeg's numbers.
        bit_depth: of the source. ten_bit: whether the pictures given have 10 bits.
        total: estimated frames, or None.
        index: of the stream in the file.
        description: tags, chapters, HDR data.
        notes: sentences on what is converted.

    While and after iterating:
        decoded, corrupt: frames given; frames damaged or missing.
        warnings: sentences. lost: sentences on what cannot be kept.
        shift: ticks that were taken off the times.
        captions: times and bytes of those that lie in the pictures.
        jumps: of the clock of the file.
        stop: the end asked for, in seconds on the clock of the file, or None.

    After iterating:
        following: time of the frame behind the last one given, None at the end of the file.

    Raises InputError for what is no readable video or changes its size midway, LimitError for
    pictures too large, UsageError for tags that cannot be replaced.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        choice: SourceChoice = _AS_IT_IS,
        limits: Limits | None = None,
        *,
        pipe: CountedPipe | None = None,
        name: str | None = None,
    ) -> None:
        self.path = str(path) if pipe else str(check_input(path))
        self.name = name or self.path
        self._place = Place(self.path, self.name, pipe, choice.playlists)
        self._choice = choice
        self._limits = limits or Limits()
        self._check = SourceCheck(self.path)
        self._stretch = Stretch(choice.start, choice.duration)
        self.decoded = 0
        self.lost: list[str] = []
        self.notes: list[str] = []
        self.following: int | None = None
        self.captions: list[tuple[int, bytes]] = []
        self._losses, self._transparent = Losses(), False
        self._end: Fraction | None = None  # of the last frame read, on the clock of the file
        self._any: av.VideoFrame | None = None  # the first frame read
        self._described = False
        self._place.check()
        with ExitStack() as stack:
            self._reader = FrameReader(self._place, self._limits, self._check, choice.rate)
            stack.callback(self.close)
            self.index = self._reader.index
            self.rate, self.time_base = self._reader.rate, self._reader.time_base
            self._chosen = self._choose()
            self._first = next(self._chosen, None)
            if self._any is None:
                raise InputError(self._why_none(), file=self.name)
            stack.pop_all()

    @property
    def corrupt(self) -> int:
        """Frames damaged or missing."""
        return self._check.corrupt

    @property
    def warnings(self) -> list[str]:
        """Sentences on what is damaged, and on what is left out."""
        return self._check.warnings

    @property
    def jumps(self) -> list[Jump]:
        """Jumps of the clock of the file."""
        return self._check.jumps

    @property
    def shift(self) -> int:
        """Ticks that were taken off the times."""
        return self._stretch.shift

    @property
    def stop(self) -> Fraction | None:
        """The end asked for, in seconds on the clock of the file."""
        return self._stretch.stop

    def _why_none(self) -> str:
        unseen = self._check.kind == "mpegts" and not self._reader.packets
        if self._reader.encrypted or (unseen and scrambled(self._place.first_bytes())):
            return "no picture can be decoded: they are encrypted, and there is no key"
        if self._reader.packets:
            return "no picture can be decoded: it is damaged, or of a codec that this FFmpeg lacks"
        return "no picture: there is no frame in it; what should have written it may have failed"

    def _describe(self, frame: av.VideoFrame) -> None:
        """Take over what the first chosen frame says of all; those before may be of another
        size."""
        self._described = True
        with located(file=self.name):
            self._limits.check_picture(frame.width, frame.height)
        start = self._place.first_bytes()
        facts = facts_of(frame, self._reader.container, self._reader.stream, start)
        self._facts = facts = retagged(facts, self._choice.colour, self.name)
        self._take_over(facts)
        if self._choice.rate is not None and facts.description.chapters:
            self.warnings.append(
                "the chapters are left out: their times are not those of the pictures at another "
                "rate"
            )
            self.description = replace(facts.description, chapters=())
        self.notes += facts.notes
        if facts.alpha:
            self._see_through()
        if facts.interlaced:
            self.warnings.append(
                "the source is interlaced; fields are coded as they lie in the frames"
            )
        self.total = self._estimate()

    def _take_over(self, facts: PictureFacts) -> None:
        self.width, self.height, self.sar = facts.width, facts.height, facts.sar
        self.rotation, self.chroma_location = facts.rotation, facts.chroma_location
        self.primaries, self.transfer = facts.primaries, facts.transfer
        self.matrix, self.range = facts.matrix, facts.range
        self.bit_depth, self.ten_bit = facts.bit_depth, facts.ten_bit
        self.description = facts.description

    def _see_through(self) -> None:
        self._transparent = True
        self.warnings.append("the transparency of the pictures is left out")

    def _look(self, frame: av.VideoFrame, pts: int) -> None:
        """Note what lies in a frame besides the picture."""
        if self._facts.alpha is None and not self._transparent and is_transparent(frame):
            self._see_through()
        found = side_data(frame)
        self._losses.see(shown_otherwise(found))
        if CAPTIONS in found:
            self.captions.append((pts, bytes(found[CAPTIONS])))

    def _estimate(self) -> int | None:
        """Frames that will come, about."""
        length = declared_length(self._reader.container, self._reader.stream)
        total: int | None = self._reader.stream.frames or None
        if (
            length
            and self._reader.own_rate
            and (total is None or self._choice.start or self._choice.duration)
        ):
            total = max(1, round(length * self._reader.own_rate))
        return self._stretch.frames(total, self.rate or Fraction(0))

    def _picture(self, frame: av.VideoFrame) -> Picture:
        facts = self._facts
        if (frame.width, frame.height, frame.format.name) != (
            facts.width,
            facts.height,
            facts.format_name,
        ):
            raise self._changed(frame)
        return to_picture(frame, facts.ten_bit, facts.rgb, facts.range)

    def _changed(self, frame: av.VideoFrame) -> InputError:
        """The error for a frame that is unlike those before it."""
        size, new = f"{self.width}x{self.height}", f"{frame.width}x{frame.height}"
        what = f"the size changes from {size} to {new}"
        if size == new:
            name = frame.format.name
            what = f"the pixel format changes from {self._facts.format_name} to {name}"
        before = self.decoded - 1
        rest = f"{self._number}f"
        if self._choice.start is not None and self._choice.start.seconds is not None:
            # a point in time of many digits would miss its frame by rounding
            rest = f"{math.floor(self._seconds * 1_000_000) / 1_000_000:.6f}".rstrip("0")
        return InputError(
            f"{what} after {before} frames",
            file=self.name,
            advice=f"encode the parts apart, the first with `duration={before}f`, what follows "
            f"with `start={rest}`",
        )

    def _choose(self) -> Iterator[tuple[int, av.VideoFrame]]:
        """The chosen frames, on the clock that begins with the first one."""
        stretch, times = self._stretch, FrameTimes(self._reader.step, self._check)
        given: tuple[int, int] | None = None  # time and length of the last one
        behind: int | None = None
        origin: int | None = None
        stopped, self._number = False, 0
        for best, frame in self._reader.timed(self._choice.start):
            if self._any is None:
                self._any = frame
                origin = self._reader.origin
            pts = best if self._choice.rate is None else self._number
            if stretch.is_full(self.decoded):
                stopped, behind = True, pts
                break
            pts = times.next(pts)
            origin = pts if origin is None else origin
            lasts = self._reader.length(frame)
            self._end = (pts + (lasts or self._reader.step)) * self.time_base
            seconds = self._seconds = (pts - origin) * self.time_base
            if stretch.has_begun(self._number, seconds):
                if given is None:
                    stretch.begin(pts, origin, self._reader.step, self.time_base)
                    self._describe(frame)
                if stretch.has_ended(seconds):
                    stopped, behind = True, pts
                    break
                if frame.is_corrupt:
                    self._check.bad_frames.append(self._check.place)
                self.decoded += 1
                given = pts, lasts
                yield pts - stretch.shift, frame
            self._number += 1
        if given is not None:
            self._follow(given, behind, stopped)
        if self._any is not None:
            if not self._described:
                self._describe(self._any)
            self._finish(stopped, origin or 0)

    def _follow(self, last: tuple[int, int], behind: int | None, stopped: bool) -> None:
        """Find out what follows on the last frame, which is given as its time and length."""
        end = sum(last) if behind is None else behind
        if not stopped and (declared := self._declared_end(*last)):
            end = declared
            self._end = end * self.time_base
        if end > last[0]:
            self.following = end - self.shift

    def _declared_end(self, last: int, length: int) -> int | None:
        """Where the last frame ends by what Matroska says, which has no durations of frames.

        None where its time and ``length`` say the same, or where the file is not as it was written.
        """
        declared = declared_length(self._reader.container, self._reader.stream)
        whole = self._reader.container.duration
        matroska = "matroska" in self._check.kind
        if not matroska or not declared or not whole or self._choice.rate is not None:
            return None
        end = round(declared / self.time_base)
        streamed = self._place.pipe is not None
        if end <= last or abs(end - last - length) <= 2 or self.corrupt or streamed:
            return None
        # a tag that was copied from a longer file says more than the file does
        stale = declared > Fraction(whole, 1_000_000) + Fraction(1, 10)
        return None if stale or self._check.broken else end

    def __iter__(self) -> Iterator[tuple[int, Picture]]:
        if self._first is None:
            return
        first, self._first = self._first, None
        for pts, frame in chain([first], self._chosen):
            picture = self._picture(frame)
            self._look(frame, pts)
            yield pts, picture

    def _finish(self, stopped: bool, origin: int) -> None:
        """Compare what came with what the file declares."""
        self.warnings.extend(self._losses.left_out)
        self.lost += self._losses.lost + self._reader.encrypted.sentences()
        reached = Reached(
            stopped=stopped,
            whole=self._place.pipe is None and self._choice.start is None,
            decoded=self.decoded,
            end=self._end if self._choice.rate is None else None,
            origin=origin * self.time_base,
            step=self._reader.step * self.time_base,
        )
        self._check.finish(reached, self._reader.container, self._reader.stream, self._cut)
        self.close()

    def _cut(self) -> bool:
        """Whether a y4m file, or a stream whose frames have no length, ends within a frame."""
        if self._check.kind in OPEN_ENDED:
            return ends_within_picture(self.path)
        if self._check.kind != "yuv4mpegpipe":
            return False
        start, size = self._place.first_bytes(), self._place.size()
        return ends_within_frame(start, size, self._facts.format_name, self.width, self.height)

    def close(self) -> None:
        """Release the file; repeated calls do nothing."""
        self._reader.close()

    def __enter__(self) -> VideoSource:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
