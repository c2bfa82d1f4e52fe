"""Video files in: anything FFmpeg reads, as 4:2:0 planes with integer times. Writing is in :mod:`vqcodec.media.sink`."""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from itertools import chain, islice
from typing import Any

import av
import av.error
import numpy as np
from av.stream import Disposition

from ..colour import Colour
from ..container.description import Description, Mastering
from ..container.packets import MAGIC, MAX_FRACTION
from ..errors import InputError, LimitError, UsageError, located
from ..options import Limits, Time
from ..picture import Picture
from ..system.files import check_input
from ..system.stdio import CountedPipe
from . import chroma_siting
from .clock import JUMPING, BestEffort, Jump, PictureClock, at_seam
from .field_order import field_order
from .inputs import open_source, open_stream, playlist_refused, reason
from .integrity import broken_at
from .side_data import CAPTIONS, LIGHT, MASTERING, MATRIX, Losses, shown_otherwise, side_data
from .sink import VideoSink
from .track_source import describe

__all__ = ["Picture", "VideoSink", "VideoSource"]

# demuxers that take any text for a video of a terminal
_NOT_VIDEO = {"ansi", "bintext", "xbin", "idf"}
_DIRECT = {
    "yuv420p": np.uint8,
    "yuvj420p": np.uint8,
    "yuva420p": np.uint8,
    "yuv420p10le": np.uint16,
    "yuva420p10le": np.uint16,
}
_SEEN_AHEAD = 8  # frames among which it shows whether times of display are those of decoding
_BT709, _BT601 = 1, 5  # swscale's numbers of the matrices
_FULL = 2


def _plane(plane: Any, dtype: type) -> np.ndarray:
    """A copy of the visible part of a plane."""
    rows: np.ndarray = np.frombuffer(plane, dtype).reshape(plane.height, -1)
    return rows[:, : plane.width].copy()


def rgb_matrix(height: int) -> int:
    """H.273's number of the matrix that RGB pictures of this height are converted by."""
    return 1 if height >= 720 else 6


def converted_rgb(frame: av.VideoFrame, ten_bit: bool) -> Picture:
    """A 4:2:0 picture of limited range, by that matrix."""
    made = frame.reformat(
        format="yuv420p10le" if ten_bit else "yuv420p",
        dst_colorspace=_BT709 if rgb_matrix(frame.height) == 1 else _BT601,
        dst_color_range=1,
        threads=1,  # several have been seen to leave a row of the first picture half done
    )
    return Picture(*(_plane(p, np.uint16 if ten_bit else np.uint8) for p in made.planes[:3]))


def _quarter_turn(matrix: tuple[int, ...]) -> bool:
    """Whether a display matrix turns by a multiple of 90 degrees and does nothing else."""
    a, b, u, c, d, v, *_ = (round(n / 65536) if abs(n) <= 65536 else n for n in matrix)
    return (
        (a, b, c, d) in ((1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0))
        and not u
        and not v
    )


def _bounded(value: Any) -> Fraction | None:
    """A positive Fraction that fits the file format, or None."""
    if not value or value <= 0:
        return None
    value = Fraction(value)
    if value.numerator > MAX_FRACTION or value.denominator > MAX_FRACTION:
        value = value.limit_denominator(1_000_000)
    return value if 0 < value.numerator <= MAX_FRACTION else None


class VideoSource:
    """The first video stream of a file, as an iterator of (pts, Picture) in the order of display.

    Attributes: width, height (as stored), time_base, rate, sar, rotation (degrees clockwise for display, not applied),
    primaries, transfer, matrix, range, chroma_location (FFmpeg's numbers), bit_depth (of the source), ten_bit (of the
    pictures given), total (estimated frames or None), index (of the stream in the file), description (tags, chapters, HDR data), notes
    (sentences on what is converted); while and after iterating: decoded, corrupt (frames damaged or missing), warnings (sentences),
    shift (what was taken off the times), captions (times and bytes of those that lie in the pictures), jumps (of the clock of the file), lost (sentences on what cannot
    be kept), stop (the end asked for, in seconds on the clock of the file, or None); after iterating: following
    (time of the frame behind the last one given, None at the end of the file).

    8-bit 4:2:0 passes untouched; other formats are converted to 4:2:0 of 8 bits, or of 10 bits when they have more.
    ``start`` and ``duration`` select frames exactly; with ``start``, times begin at zero. A ``pipe`` is read as y4m, in one go.
    Messages call the source ``name``. With a ``rate`` frames are numbered at so many a second, whatever times the source has, and ``colour``
    replaces tags of the source. With ``playlists`` a file may name others of this machine.
    Raises InputError for what is no readable video or changes its size midway, LimitError for pictures too large, UsageError for tags that cannot be replaced.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        start: Time | None = None,
        duration: Time | None = None,
        limits: Limits | None = None,
        pipe: CountedPipe | None = None,
        name: str | None = None,
        rate: Fraction | None = None,
        colour: Colour | None = None,
        playlists: bool = False,
    ) -> None:
        self._playlists = playlists
        self.path = str(path) if pipe else str(check_input(path))
        self.name = name or self.path
        self._pipe = pipe
        self._start, self._duration = start, duration
        self._forced, self._colour = rate, colour or Colour()
        self._limits = limits or Limits()
        self.decoded = self.corrupt = self._repaired = self._numbered = 0
        self._missing = 0
        # places in the file of packets that are damaged, and that gave damaged frames
        self._bad_packets: list[int | None] = []
        self._lasted = 0  # ticks of all packets together
        self._bad_frames: list[int | None] = []
        self._place: int | None = None
        self.warnings: list[str] = []
        self.lost: list[str] = []
        self.jumps: list[Jump] = []
        self.notes: list[str] = []
        self.shift = 0
        self.stop: Fraction | None = None
        self._end: Fraction | None = None
        if pipe is None and os.path.getsize(self.path) == 0:
            raise InputError("the file is empty", file=self.name)
        if pipe is None and self._first_bytes().startswith(MAGIC):
            raise InputError(
                "it is a .vqv file, and coded already: decode it first", file=self.name
            )
        self.following: int | None = None
        self._packets = 0  # of the pictures that were read
        self.captions: list[tuple[int, bytes]] = []
        self._losses, self._transparent = Losses(), False
        self._open()
        self._chosen = self._choose()
        self._first = next(self._chosen, None)
        if self._any is None:
            self.close()
            if self._packets:
                raise InputError(
                    "no picture can be decoded: it is damaged, or of a codec that this FFmpeg lacks",
                    file=self.name,
                )
            raise InputError(
                "no picture: there is no frame in it; what should have written it may have failed",
                file=self.name,
            )

    def _open(self) -> None:
        try:
            with located(file=self.name):
                if self._pipe is not None:
                    self._opened = open_stream(self._pipe, "yuv4mpegpipe")
                else:
                    self._opened = open_source(self.path, self._playlists)
            self._container = self._opened.container
        except (av.error.FFmpegError, OSError, ValueError) as exc:
            raise InputError(f"{self._why(exc)}", file=self.name) from exc
        # a cover picture may come before the video; alone it is one
        streams = sorted(
            (s for s in self._container.streams.video if s.codec_context is not None),
            key=lambda s: bool(s.disposition & Disposition.attached_pic),
        )
        if not streams:
            self.close()
            listed = None if self._pipe is not None else playlist_refused(self.path)
            raise InputError(listed or "no video stream", file=self.name)
        if streams[0].disposition & Disposition.attached_pic and self._container.streams.audio:
            self.close()
            raise InputError("no video: sound with a cover picture", file=self.name)
        self._stream = streams[0]
        self.index = self._stream.index  # the stream must not be asked once the file is closed
        context = self._stream.codec_context
        if context.name in _NOT_VIDEO:
            self.close()
            raise InputError("no video that FFmpeg reads (text)", file=self.name)
        if (
            max(context.width, context.height) > self._limits.side
            or context.width * context.height > self._limits.pixels
        ):
            self.close()
            raise LimitError(
                f"pictures of {context.width}x{context.height} are over the limit of "
                f"{self._limits.side} a side and {self._limits.pixels} pixels",
                file=self.name,
            )
        # what several threads make of damaged pictures depends on which of them is first; the encoder is slower than one of them
        context.thread_count = 1
        self.rate = _bounded(self._stream.average_rate) or _bounded(self._stream.guessed_rate)
        base = self._stream.time_base
        if base is None or _bounded(base) != base:
            base = 1 / (self.rate or Fraction(25))
        self.time_base = Fraction(base)
        self._own_rate = self.rate
        if self._forced is not None:
            self.rate, self.time_base = self._forced, 1 / self._forced
        self._step = max(1, round(1 / ((self.rate or 25) * self.time_base)))

    def _why(self, exc: BaseException) -> str:
        """Why the file cannot be opened."""
        if self._pipe is not None:
            return f"no video that FFmpeg reads ({getattr(exc, 'strerror', None) or exc})"
        if self.path.lower().endswith(".yuv"):
            return "raw pictures say neither size nor rate: " + (
                "ffmpeg -f rawvideo -pix_fmt yuv420p -s WIDTHxHEIGHT -r RATE -i FILE -f yuv4mpegpipe - | vqcodec encode - out.vqv"
            )
        return f"no video that FFmpeg reads ({reason(self.path, exc, self._playlists)})"

    def _decode(self) -> Iterator[av.VideoFrame]:
        """Frames as they come; damage is counted, not raised."""
        packets, clock = self._container.demux(self._stream), None
        if self._container.format.name in JUMPING and self._forced is None:
            clock = PictureClock(self._step * self.time_base)
            self.jumps = clock.jumps
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.error.FFmpegError, OSError, ValueError):
                self.corrupt += 1
                self.warnings.append("the file cannot be read to its end")
                return
            self._packets += packet.size > 0
            self._lasted += packet.duration or 0
            self._place = packet.pos or self._place
            if packet.is_corrupt:
                self._bad_packets.append(self._place)
            if clock is not None and packet.size:
                clock.straighten(packet)
            try:
                yield from packet.decode()
            except (av.error.FFmpegError, ValueError):
                if packet.size:
                    self.corrupt += 1

    def _seek_and_decode(self) -> Iterator[av.VideoFrame]:
        """Decode, from the key frame before the start where seeking can be relied on."""
        seconds, origin = self._start.seconds if self._start else None, self._stream.start_time
        if (
            seconds
            and origin is not None
            and self._stream.time_base
            and self._pipe is None
            and self._forced is None
        ):
            target = origin + int(seconds / self._stream.time_base)
            try:
                self._container.seek(target, stream=self._stream)
                frames = self._decode()
                first = next(frames, None)
                if first is not None and first.pts is not None and first.pts <= target:
                    yield first
                    yield from frames
                    return
            except (av.error.FFmpegError, OSError):
                pass
            self.close()
            self.corrupt, self._bad_packets, self._lasted = 0, [], 0
            self._open()
        yield from self._decode()

    def _describe(self, frame: av.VideoFrame) -> None:
        self.width, self.height = frame.width, frame.height
        if (
            max(self.width, self.height) > self._limits.side
            or self.width * self.height > self._limits.pixels
        ):
            self.close()
            raise LimitError(
                f"pictures of {self.width}x{self.height} are over the limit of "
                f"{self._limits.side} a side and {self._limits.pixels} pixels",
                file=self.name,
            )
        self.sar = _bounded(self._stream.sample_aspect_ratio)
        self.rotation = -int(frame.rotation) % 360 // 90 * 90  # FFmpeg counts anticlockwise
        self.primaries, self.transfer, self.matrix = (
            int(n) & 0xFF for n in (frame.color_primaries, frame.color_trc, frame.colorspace)
        )
        self.range = int(frame.color_range) if int(frame.color_range) in (1, 2) else 0
        fmt = frame.format
        self._format_name = fmt.name
        self.bit_depth = max(8, min(16, max((c.bits for c in fmt.components), default=8)))
        self.ten_bit = self.bit_depth > 8
        self._rgb = fmt.is_rgb or fmt.has_palette or fmt.is_bayer
        if fmt.name.startswith("yuvj"):
            self.range = _FULL
        if self._rgb:
            self.matrix, self.range = rgb_matrix(self.height), 1
        converted = fmt.name not in _DIRECT
        location = (
            chroma_siting.of_y4m(self._first_bytes())
            if self._container.format.name == "yuv4mpegpipe"
            else chroma_siting.of_stream(self._stream)
        )
        self.chroma_location = (
            chroma_siting.after_conversion(location, fmt) if converted else location
        )
        self._retag()
        self.description = self._description(frame, converted)
        if converted:
            self.notes.append(
                f"pictures of {fmt.name} are converted to {'yuv420p10le' if self.ten_bit else 'yuv420p'}"
            )
        self._alpha = "alpha" if any(c.is_alpha for c in fmt.components) else ""
        if fmt.has_palette or self._stream.codec_context.name == "gif":
            self._alpha = "perhaps"  # known by its pictures only
        elif self._alpha or self._stream.metadata.get("alpha_mode") == "1":
            self._see_through()
        if frame.interlaced_frame:
            self.warnings.append(
                "the source is interlaced; fields are coded as they lie in the frames"
            )
        self.total = self._estimate()

    def _see_through(self) -> None:
        self._transparent = True
        self.warnings.append("the transparency of the pictures is left out")

    def _look(self, frame: av.VideoFrame, pts: int) -> None:
        """Note what lies in a frame besides the picture."""
        if self._alpha == "perhaps" and not self._transparent:
            if (frame.reformat(format="bgra").to_ndarray()[..., 3] < 255).any():
                self._see_through()
        found = side_data(frame)
        self._losses.see(shown_otherwise(found))
        if CAPTIONS in found:
            self.captions.append((pts, bytes(found[CAPTIONS])))

    def _retag(self) -> None:
        """Put the tags asked for in the place of the source's."""
        c = self._colour
        if self._rgb and (c.matrix is not None or c.range is not None):
            self.close()
            raise UsageError(
                f"pictures of {self._format_name} are converted to YUV of a known matrix and range",
                file=self.name,
                advice="leave out `colorspace` and `color_range`",
            )
        self.primaries = self.primaries if c.primaries is None else c.primaries
        self.transfer = self.transfer if c.transfer is None else c.transfer
        self.matrix = self.matrix if c.matrix is None else c.matrix
        self.range = self.range if c.range is None else c.range

    def _description(self, frame: av.VideoFrame, converted: bool) -> Description:
        """Tags, chapters and HDR data as the file has them."""
        side = side_data(frame)
        matrix, mastering, light = (
            bytes(side[name]) if name in side else b"" for name in (MATRIX, MASTERING, LIGHT)
        )
        changes: dict[str, Any] = {"pix_fmt": self._format_name if converted else ""}
        if len(matrix) == 36:
            numbers = struct.unpack("9i", matrix)
            changes["matrix"] = None if _quarter_turn(numbers) else numbers
        if len(mastering) == 88:
            n = struct.unpack("22i", mastering)
            changes["mastering"] = Mastering(
                tuple(zip(n[0:20:2], n[1:20:2], strict=True)), bool(n[20]), bool(n[21])
            )
        if len(light) == 8:
            changes["light"] = struct.unpack("2I", light)
        changes["field_order"] = field_order(frame)
        made = replace(describe(self._container, self._stream), **changes)
        if self._forced is not None and made.chapters:
            self.warnings.append(
                "the chapters are left out: their times are not those of the pictures at another rate"
            )
            made = replace(made, chapters=())
        return made

    def _declared(self) -> Fraction | None:
        """Length of the stream in seconds as the file declares it."""
        s, c = self._stream, self._container
        tag = s.metadata.get("DURATION")
        if tag:
            try:
                hours, minutes, seconds = tag.split(":")
                return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
            except (ValueError, ZeroDivisionError):
                return None
        if s.duration and s.time_base:
            return s.duration * s.time_base
        # the length of the whole file may be that of its sound
        return Fraction(c.duration, 1_000_000) if c.duration and len(c.streams) == 1 else None

    def _estimate(self) -> int | None:
        length, rate = self._declared(), self.rate or Fraction(0)
        total: int | None = self._stream.frames or None
        if length and self._own_rate and (total is None or self._start or self._duration):
            total = max(1, round(length * self._own_rate))
        if total is not None and rate:
            if self._start:
                total -= (
                    self._start.frames
                    if self._start.frames is not None
                    else round((self._start.seconds or 0) * rate)
                )
            if self._duration:
                total = min(
                    total,
                    self._duration.frames
                    if self._duration.frames is not None
                    else round((self._duration.seconds or 0) * rate),
                )
        return None if total is None else max(1, total)

    def _picture(self, frame: av.VideoFrame) -> Picture:
        size, new = (
            f"{w}x{h}" for w, h in ((self.width, self.height), (frame.width, frame.height))
        )
        name = frame.format.name
        if size != new or name != self._format_name:
            what = f"the size changes from {size} to {new}"
            if size == new:
                what = f"the pixel format changes from {self._format_name} to {name}"
            n = self.decoded - 1
            # a point in time of many digits would miss its frame by rounding
            rest = f"{self._number}f"
            if self._start is not None and self._start.seconds is not None:
                rest = f"{math.floor(self._seconds * 1_000_000) / 1_000_000:.6f}".rstrip("0")
            raise InputError(
                f"{what} after {n} frames",
                file=self.name,
                advice=f"encode the parts apart, the first with `duration={n}f`, what follows "
                f"with `start={rest}`",
            )
        if name.startswith("gray") and name[4:] in ("", "9le", "10le", "12le", "14le", "16le"):
            # by hand, as swscale would take it for full range
            luma = _plane(frame.planes[0], np.uint16 if self.ten_bit else np.uint8)
            if self.ten_bit:
                bits = int(name[4:-2])
                luma = luma << 1 if bits == 9 else luma >> (bits - 10)
            shape = ((self.height + 1) // 2, (self.width + 1) // 2)
            chroma = np.full(shape, 512 if self.ten_bit else 128, luma.dtype)
            return Picture(luma, chroma, chroma.copy())
        if name not in _DIRECT:
            target = "yuv420p10le" if self.ten_bit else "yuv420p"
            if self._rgb:
                return converted_rgb(frame, self.ten_bit)
            else:
                same = self.range or 1
                frame = frame.reformat(
                    format=target, src_color_range=same, dst_color_range=same, threads=1
                )
            name = target
        return Picture(*(_plane(p, _DIRECT[name]) for p in frame.planes[:3]))

    def _timed(self) -> Iterator[tuple[int | None, av.VideoFrame]]:
        """Frames with their times of display, as far as they have one."""
        frames = self._seek_and_decode()
        first = next(frames, None)
        if first is None:
            return
        ahead, reordered = [first], self._stream.codec_context.has_b_frames
        times = BestEffort(reordered and self._container.format.name == "avi")
        if reordered:
            ahead += islice(frames, _SEEN_AHEAD)
            for frame in ahead:
                times.guess(frame.pts, frame.dts)
            times.rewind()
        for frame in chain(ahead, frames):
            yield times.guess(frame.pts, frame.dts), frame

    def _choose(self) -> Iterator[tuple[int, av.VideoFrame]]:
        """The chosen frames, on the clock that begins with the first one."""
        start, length = self._start or Time(frames=0), self._duration
        last: int | None = None
        given: tuple[int, int] | None = None  # time and length of the last one
        behind: int | None = None
        origin: int | None = None
        self._any: av.VideoFrame | None = None
        self._number, shift, stopped = 0, 0, False
        stop: Fraction | None = None
        for best, frame in self._timed():
            if self._any is None:
                self._any = frame
                origin = self._stream.start_time if self._forced is None else 0
            pts = best if self._forced is None else self._number
            if length is not None and length.frames is not None and self.decoded >= length.frames:
                stopped, behind = True, pts
                break
            if pts is None:
                pts = 0 if last is None else last + self._step
                self._numbered += 1
            elif last is not None and pts <= last:
                pts = last + 1
                self._repaired += 1
            if last is not None and pts - last > 1.5 * self._step:
                self._missing += round((pts - last) / self._step) - 1
            last = pts
            origin = pts if origin is None else origin
            own = self._length(frame)
            self._end = (pts + (own or self._step)) * self.time_base
            seconds = self._seconds = (pts - origin) * self.time_base
            if (
                seconds >= start.seconds
                if start.seconds is not None
                else self._number >= (start.frames or 0)
            ):
                if given is None:
                    shift = self.shift = pts if self._start else 0
                    if length is not None and length.seconds is not None:
                        begin = seconds if start.seconds is None else start.seconds
                        stop = begin + length.seconds
                        self.stop = stop + origin * self.time_base
                    elif length is not None:
                        self.stop = (pts + (length.frames or 0) * self._step) * self.time_base
                    self._describe(frame)  # those before may be of another size
                if stop is not None and seconds >= stop:
                    stopped, behind = True, pts
                    break
                if frame.is_corrupt:
                    self._bad_frames.append(self._place)
                self.decoded += 1
                given = pts, own
                yield pts - shift, frame
            self._number += 1
        if given is not None:
            end = sum(given) if behind is None else behind
            if not stopped and (declared := self._declared_end(*given)):
                end = declared
                self._end = end * self.time_base
            if end > given[0]:
                self.following = end - shift
        if given is None and stop is None and self._any is not None:
            self._describe(self._any)
        if self._any is not None:
            self._finish(stopped, origin or 0)

    def _declared_end(self, last: int, length: int) -> int | None:
        """Where the last frame ends by what Matroska says, which has no durations of frames; None
        where its time and ``length`` say the same, or where the file is not as it was written."""
        declared, whole = self._declared(), self._container.duration
        matroska = "matroska" in self._container.format.name
        if not matroska or not declared or not whole or self._forced is not None:
            return None
        end = round(declared / self.time_base)
        if end <= last or abs(end - last - length) <= 2 or self.corrupt or self._pipe is not None:
            return None
        # a tag that was copied from a longer file says more than the file does
        stale = declared > Fraction(whole, 1_000_000) + Fraction(1, 10)
        return None if stale or self._broken else end

    @cached_property
    def _broken(self) -> list[int]:
        """Where the file is not what its kind demands."""
        return broken_at(self.path, self._container.format.name)

    def _length(self, frame: av.VideoFrame) -> int:
        """How long a frame is shown, 0 where that isn't known."""
        if self._forced is not None or not frame.duration:
            return 0
        # with reordered pictures it is the distance to the next one in the file
        reordered = self._stream.codec_context.has_b_frames
        return 0 if reordered and 2 * frame.duration < self._step else frame.duration

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
        self.warnings += self._losses.left_out
        self.lost += self._losses.lost
        if self.jumps:
            times = "once" if len(self.jumps) == 1 else f"{len(self.jumps)} times"
            self.warnings.append(
                f"the clock of the file jumps {times}; all tracks were straightened"
            )
        if self._numbered and self.decoded > 1:
            self.warnings.append(
                f"{self._numbered} frames had no time and were numbered by the frame rate"
            )
        if self._repaired:
            self.warnings.append(
                f"{self._repaired} frames had a time not after the one before and were moved"
            )
        # a damaged packet mostly shows as a damaged frame too
        bad = (self._bad_packets, self._bad_frames)
        self.corrupt += max(sum(not at_seam(p, self.jumps) for p in places) for places in bad)
        if not stopped:
            declared = self._declared()
            step = self._step * self.time_base
            # of streams that say nothing FFmpeg guesses by the whole file: a still with sound in .ts is not cut
            # and playlists give lengths in whole seconds
            says = self._container.format.name not in (*JUMPING, "hls")
            if declared and says and self._end is not None and self._forced is None:
                missing = declared - self._reached(origin)
                if missing > max(2 * step, Fraction(1, 10)):
                    count = max(1, int(missing / step))
                    self.corrupt += count
                    self.warnings.append(
                        f"the file declares {float(declared):.2f} s, about {count} frames more than could be read: it is cut or damaged"
                    )
            if self._cut_y4m():
                self.corrupt += 1
                self.warnings.append("the file ends within a frame")
            broken = self._broken if self._pipe is None and self._start is None else []
            # where files were put together counters of packets begin anew
            broken = [at for at in broken if not at_seam(at, self.jumps)]
            if broken:
                self.corrupt = max(self.corrupt, 1, self._missing)
                places = (
                    f"{len(broken)} places, the first at byte {broken[0]}"
                    if len(broken) > 1
                    else f"byte {broken[0]}"
                )
                self.warnings.append(f"the file is cut or damaged at {places}")
        if self.corrupt:
            self.warnings.append(f"{self.corrupt} frames of the source are damaged or missing")
        self.close()

    def _reached(self, origin: int) -> Fraction:
        """How much of the declared length was there, in seconds."""
        assert self._end is not None
        kind = self._container.format.name
        if (
            "matroska" in kind
        ):  # its durations are end times: they count from zero, not from the first picture
            return self._end
        end = self._end - origin * self.time_base
        # mp4's is the sum of all packets, hidden ones too; the last one shown need not be the last in the file
        return max(end, self._lasted * self._stream.time_base) if "mp4" in kind else end

    def _first_bytes(self) -> bytes:
        if self._pipe is not None:
            return self._pipe.start
        with open(self.path, "rb") as f:
            return f.read(4096)

    def _cut_y4m(self) -> bool:
        """Whether a y4m file ends within a frame, which FFmpeg doesn't tell."""
        if self._container.format.name != "yuv4mpegpipe":
            return False
        size = self._pipe.count if self._pipe is not None else os.path.getsize(self.path)
        head, sign, rest = self._first_bytes().partition(b"\n")
        if not sign or not rest.startswith(b"FRAME\n"):
            return False  # frames with parameters of their own have no common length
        parts = av.VideoFormat(self._format_name, self.width, self.height).components
        return (size - len(head) - 1) % (
            sum(c.width * c.height * ((c.bits + 7) // 8) for c in parts) + 6
        ) != 0

    def close(self) -> None:
        """Release the file; repeated calls do nothing."""
        self._opened.close()

    def __enter__(self) -> VideoSource:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
