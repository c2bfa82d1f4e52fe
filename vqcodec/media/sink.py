"""Video files out: y4m and raw planes by hand, everything else by FFmpeg's muxers, with exact times."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, BinaryIO

import av
import av.error
import av.filter
import numpy as np

from ..container.description import FIELD_ORDERS, Description, clip_chapters
from ..container.packets import StreamHeader
from ..container.stored_tracks import StoredTracks
from ..errors import OutputError, RefusedError, UsageError
from ..options import MAX_RATE, TrackChoice
from ..picture import Picture
from ..system.stdio import PIPE
from . import chroma_siting
from .captions import Captions, can_insert, insert
from .encoder_options import (
    DEFAULTS,
    IN_ORDER,
    combined,
    hdr_options,
    of_processor,
    of_size,
    quality_of,
)
from .field_order import CONTAINERS, Y4M, codes_fields, filters, is_told
from .output_description import Fitting, fill, left_out, several, tags_named, turn
from .output_formats import (
    MP4_KINDS,
    RAW_IN_MATROSKA,
    Y4M_TAGS,
    choose_codec,
    choose_format,
    kind_of,
)
from .tags import file_tags, mp4_flags
from .ticks import MAX_SECONDS, MAX_STEP, BeyondError, encoder_base, length, ticks
from .track_muxer import TrackFeed, TrackMuxer, chosen
from .trial import FAILED, cannot_write

_BT709, _BT601 = 1, 5  # swscale's numbers of the matrices


_HOLDS_SAR = {"libx264", "libx265", "mpeg4", "mpeg2video", "h264", "hevc"}
_SLOWEST = Fraction(1, 86400)  # frames a second; less is no rate, but a fault


@dataclass(frozen=True)
class Extras:
    """What goes into an output besides pictures: ``stored`` tracks as far as ``choice`` wants them, from ``start`` to ``stop`` seconds on the clock of
    the file, beginning with those stored with frame ``first_frame``."""

    stored: StoredTracks
    choice: TrackChoice = field(default_factory=TrackChoice)
    start: Fraction = Fraction(0)
    stop: Fraction | None = None
    first_frame: int = 0


class VideoSink:
    """Writes pictures with their times to ``path`` (suffix decides the kind); :meth:`close` completes the file.

    ``header`` gives size, time base, rate, aspect ratio, rotation and colour; ``ten_bit`` the depth of the pictures; ``extras`` tags and
    tracks; ``pix_fmt`` another pixel format ("source": that of the source). For the path ``-``, y4m or what ``format`` names goes to ``file``.
    ``uneven``: frames are not at equal distances. ``notes`` holds remarks for the user. Raises UsageError for impossible combinations, OutputError on failure.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        header: StreamHeader,
        *,
        ten_bit: bool = False,
        vcodec: str | None = None,
        vcodec_opts: dict[str, str] | None = None,
        threads: int = 0,
        extras: Extras | None = None,
        pix_fmt: str | None = None,
        file: BinaryIO | None = None,
        format: str | None = None,
        uneven: bool = False,
    ) -> None:
        self.path = str(path)
        self.header = header
        self.ten_bit = ten_bit
        self._suffix, self._muxer_name = kind_of(path, format), format
        self._file: BinaryIO | None = None
        self._container: Any = None
        self._muxer: TrackMuxer | None = None
        self._feed: TrackFeed | None = None
        self._first: int | None = None
        self._delay = 0  # ticks
        self._last: int | None = None  # time on the encoder's clock
        self._uneven = False
        self._filters: Any = None
        self._captions: Captions | None = None
        self._cued: dict[
            int, bytes
        ] = {}  # captions of pictures that are being coded, by their times
        self._first_tick = 0
        self._held: Any = None  # the last coded picture
        self._lengths: dict[
            int, int
        ] = {}  # how long pictures that are being coded are shown, by their times
        self._offset: int | None = None  # from decoding to display of the first picture, in ticks
        self._shown = (0, 0)  # time and duration of the last picture
        self.frames = 0
        self.codec, note = choose_codec(path, header.width, header.height, vcodec, format)
        self._notes = [note] if note else []
        self._warnings: list[str] = []
        self._extras = extras
        self._description = extras.stored.description if extras is not None else Description()
        self._format = choose_format(self.codec, pix_fmt, self._description, ten_bit)
        if ten_bit and pix_fmt is None and self._format == "yuv420p":
            self._warnings.append(
                f"{self.codec} takes no pictures of 10 bits: they are converted to 8"
            )
        self._base = encoder_base(header.time_base, self.codec)
        plain = self._format in RAW_IN_MATROSKA and header.sar in (None, 1)
        if self.path == PIPE and self._suffix == ".mkv" and vcodec is None and plain:
            self.codec = "rawvideo"
        self.quality = quality_of(self.codec, vcodec_opts or {})
        # with pictures that are reordered .mp4 cannot say when the last one ends, unless all are as
        # long; the distances of its times of decoding add up to something else
        self._in_order = uneven and self._suffix in MP4_KINDS
        try:
            if self.codec:
                self._open_without(dict(vcodec_opts or {}), threads, file)
            else:
                if extras is not None:
                    self._warn_of_raw(extras)
                self._file = file if file is not None else open(self.path, "wb", buffering=1 << 20)
                if self._suffix == ".y4m":
                    self._file.write(self._y4m_header())
        except UsageError:
            self.abort()
            raise
        except ValueError as exc:
            self.abort()
            raise UsageError(exc, file=self.path) from exc
        except BrokenPipeError:
            self.abort()
            raise
        except (av.error.FFmpegError, OSError) as exc:
            self.abort()
            raise self._failed(exc, f"cannot be opened for {self.codec or 'raw'} video") from exc

    def _y4m_header(self) -> bytes:
        h = self.header
        rate, sar = h.rate or 1 / h.time_base, h.sar or Fraction(0)
        if h.rate is None and rate > 1000:
            rate = Fraction(25)
        aspect = f"{sar.numerator}:{sar.denominator}" if sar else "0:0"
        tag = (
            chroma_siting.Y4M.get(h.chroma_location, Y4M_TAGS[self._format])
            if self._format == "yuv420p"
            else Y4M_TAGS[self._format]
        )
        fields = Y4M.get(self._description.field_order, "p")
        colour = {1: " XCOLORRANGE=LIMITED", 2: " XCOLORRANGE=FULL"}.get(h.range, "")
        return f"YUV4MPEG2 W{h.width} H{h.height} F{rate.numerator}:{rate.denominator} I{fields} A{aspect} C{tag}{colour}\n".encode()

    @property
    def notes(self) -> list[str]:
        """Remarks on what was chosen or converted; all of them after :meth:`close`."""
        return self._notes + (self._muxer.notes if self._muxer is not None else [])

    @property
    def warnings(self) -> list[str]:
        """What the kind of the output cannot hold; all of it after :meth:`close`."""
        uneven = (
            [f"{self._suffix} holds no times, and those of this video are not at equal distances"]
            if self._uneven
            else []
        )
        return self._warnings + uneven + (self._muxer.warnings if self._muxer is not None else [])

    @property
    def lost(self) -> list[str]:
        """What the output took a part of only."""
        return self._muxer.lost if self._muxer is not None else []

    def _open_without(self, opts: dict[str, str], threads: int, file: BinaryIO | None) -> None:
        """Open the output without what the muxer or the encoder refuses, each with a note."""
        self._description = self._taken(self._description)
        try:
            self._open_container(dict(opts), threads, file)
            return
        except (av.error.FFmpegError, OSError) as exc:
            without = replace(self._description, mastering=None, light=None)
            if without == self._description or cannot_write(exc, self.path):
                raise
        self.abort()
        self._description = without
        self._warnings.append(
            f"the HDR data (mastering display, content light level) is left out: {self.codec} refuses it"
        )
        self._open_container(opts, threads, file)

    def _taken(self, description: Description) -> Description:
        """The description without what the kind of the output does not hold."""
        if self._extras is None:
            return description
        fitting = Fitting(self._suffix)
        start, stop = self._extras.start, self._extras.stop
        taken = fitting.fit(description, start, stop, self.header.rotation)
        self._warnings += fitting.warnings
        return taken

    def _warn_of_raw(self, extras: Extras) -> None:
        """Warn of all that planes written by hand go without."""
        description = extras.stored.description
        chapters = clip_chapters(description.chapters, extras.start, extras.stop)
        hdr = description.mastering or description.light
        losses = [
            several(len(chosen(extras.stored.tracks.values(), extras.choice)), "track"),
            turn(description, self.header.rotation),
            several(len(chapters), "chapter"),
            tags_named(sorted(file_tags(description.tags))),
            "the HDR data (mastering display, content light level)" if hdr else "",
        ]
        self._warnings += left_out(self._suffix, losses)

    def _open_container(self, opts: dict[str, str], threads: int, file: BinaryIO | None) -> None:
        h = self.header
        description = self._description
        # times before the first frame are kept in units of the movie's time scale, by default milliseconds
        flags = (
            {
                "movflags": mp4_flags(description.tags),
                "movie_timescale": str(self._base.denominator),
            }
            if self._suffix in MP4_KINDS
            else {}
        )
        to: Any = "file:" + self.path if file is None else file
        self._container = av.open(to, "w", format=self._muxer_name, options=flags)
        rate = (
            h.rate
            if h.rate and _SLOWEST <= h.rate <= MAX_RATE
            else min(Fraction(1000), max(Fraction(1), 1 / h.time_base))
        )
        if self.codec == "libsvtav1":
            rate = min(rate, Fraction(240))  # it takes no more; what counts are the times
        order = description.field_order
        parts = [
            DEFAULTS.get(self.codec, {}),
            of_processor(self.codec),
            of_size(self.codec, h.width, h.height),
        ]
        if self._format.startswith("yuv420p"):
            parts.append(chroma_siting.encoder_options(h.chroma_location))
        if description.mastering or description.light:
            hdr = hdr_options(self.codec, description)
            if hdr is None:
                self._warnings.append(
                    f"{self.codec} cannot write the HDR data (mastering display, content light level)"
                )
            parts.append(hdr or {})
        if self._in_order:
            parts.append(IN_ORDER.get(self.codec, {}))
        if order and codes_fields(self.codec, h.height):
            parts.append({"flags": "+ildct+ilme"})
        stream: Any = self._container.add_stream(
            self.codec, rate=rate, options=combined([*parts, opts])
        )
        self._stream = stream
        stream.width, stream.height, stream.pix_fmt = h.width, h.height, self._format
        context = stream.codec_context
        context.time_base = stream.time_base = self._base
        if h.sar:
            context.sample_aspect_ratio = h.sar
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = (
            h.primaries,
            h.transfer,
            self._matrix,
            h.range,
        )
        chain = filters(order)
        if order:
            context.field_order = CONTAINERS[order]
            if not is_told(self.codec, self._suffix, h.height):
                name = FIELD_ORDERS[order]
                self._warnings.append(
                    f"{self._suffix} with {self.codec} does not say that the pictures are interlaced ({name})"
                )
        if h.sar and self._suffix in (".mkv", ".webm") and self.codec not in _HOLDS_SAR:
            # PyAV doesn't tell Matroska's muxer of it, so it must lie in the coded pictures
            if self.codec == "ffv1":
                chain.append(("setsar", f"{h.sar.numerator}/{h.sar.denominator}"))
            elif h.sar != 1:
                self._warnings.append(
                    f"{self.codec} in {self._suffix} holds no aspect ratio: that of the pictures, {h.sar}, is lost"
                )
        self._filters = self._graph(chain)
        if threads:
            context.thread_count = threads
        fill(self._container, stream, description, h.rotation)
        if self._extras is not None:
            self._add_extras(self._extras)
        self._container.start_encoding()
        # what the codec took is gone from its options by now
        if unknown := sorted(opts.keys() & context.options.keys()):
            raise UsageError(
                f"{self.codec} has no option {', '.join(unknown)}; ffmpeg -h "
                f"encoder={self.codec} lists those it has",
                file=self.path,
            )

    def _add_extras(self, extras: Extras) -> None:
        if self._muxer is not None:  # of an output that could not be opened
            self._muxer.close()
        tracks = extras.stored.tracks.values()
        to_pipe = self.path == PIPE
        self._muxer = TrackMuxer(self._container, self._suffix, tracks, extras.choice, to_pipe)
        self._captions = self._stored_captions(extras)
        self._feed = TrackFeed(self._muxer, extras.stored.packets(extras.first_frame), extras.start)

    def _stored_captions(self, extras: Extras) -> Captions | None:
        """Those that go into the pictures of the output."""
        track = None if self._muxer is None else self._muxer.captions
        if track is None:
            return None
        if not can_insert(self.codec) or track.time_base != self.header.time_base:
            why = "pictures at another rate" if can_insert(self.codec) else self.codec
            self._warnings.append(
                f"the captions in the pictures are left out: {why} cannot hold them"
            )
            return None
        self._first_tick = round(extras.start / track.time_base)
        return Captions(extras.stored, track, extras.first_frame)

    def _encode(self, time: int, frame: Any) -> None:
        """Encode the frame of a time in the file, and mux what comes of it."""
        if self._captions is not None and (data := self._captions.of(time + self._first_tick)):
            self._cued[frame.pts] = data
        if self.frames:
            self._lengths[self._shown[0]] = frame.pts - self._shown[0]
        self._shown = frame.pts, frame.duration or 0
        self._mux(self._stream.encode(frame))

    def _mux(self, packets: list[Any]) -> None:
        """Mux coded pictures, with the captions that belong to them."""
        for packet in packets:
            if self._offset is None and packet.pts is not None and packet.dts is not None:
                self._offset = packet.pts - packet.dts
            if data := self._cued.pop(packet.pts, b""):
                packet = insert(packet, self.codec, data)
            if self._held is not None:
                self._mux_timed(self._held)
            self._held = packet

    def _flush(self) -> None:
        """Mux what the encoder still has, with how long the last picture is shown."""
        pts, duration = self._shown
        self._lengths[pts] = duration
        self._mux(self._stream.encode(None))
        packet, self._held = self._held, None
        if packet is None:
            return
        if duration and self._suffix in MP4_KINDS and packet.pts != pts and packet.dts is not None:
            # it is shown before the last one, but .mp4 adds up the distances of times of decoding
            self._lengths[packet.pts] = max(1, pts + duration - (self._offset or 0) - packet.dts)
        self._mux_timed(packet)

    def _mux_timed(self, packet: Any) -> None:
        """Mux a packet with how long its picture is shown, of which encoders know the mean only."""
        if shown := self._lengths.pop(packet.pts, 0):
            packet.duration = shown
        self._container.mux(packet)

    def _graph(self, chain: list[tuple[str, str]]) -> Any:
        """Filters that tell each frame what it is."""
        if not chain:
            return None
        graph = av.filter.Graph()
        last: Any = graph.add_buffer(
            width=self.header.width,
            height=self.header.height,
            format=av.VideoFormat(self._format),
            time_base=self._base,
        )
        for name, options in (*chain, ("buffersink", "")):
            step = graph.add(name, options)
            last.link_to(step)
            last = step
        graph.configure()
        return graph

    @property
    def _rgb(self) -> bool:
        return bool(av.VideoFormat(self._format).is_rgb)

    @property
    def _matrix(self) -> int:
        return 0 if self._rgb else self.header.matrix

    def write(self, pts: int, picture: Picture, duration: int = 0) -> None:
        """Append a picture; ``pts`` in ticks of the header's time base, increasing; ``duration`` 0 where unknown."""
        h = self.header
        if picture.ten_bit != self.ten_bit or picture.y.shape != (h.height, h.width):
            raise ValueError(
                f"picture of {picture.y.shape} {picture.y.dtype} doesn't fit the output"
            )
        if self._first is None:
            self._begin(pts)
        pts += self._delay
        try:
            if self._file is not None:
                self._uneven = self._uneven or (
                    h.rate is not None
                    and abs(
                        (pts - self._delay - (self._first or 0)) * h.time_base * h.rate
                        - self.frames
                    )
                    > Fraction(1, 2)
                )
                if self._suffix == ".y4m":
                    self._file.write(b"FRAME\n")
                if self._format in ("yuv420p", "yuv420p10le"):
                    for plane in picture:
                        self._file.write(np.ascontiguousarray(plane).data)
                else:
                    for part in self._frame(pts, picture, duration).planes:
                        rows = np.frombuffer(memoryview(part), picture.y.dtype).reshape(
                            part.height, -1
                        )
                        self._file.write(np.ascontiguousarray(rows[:, : part.width]).data)
            else:
                if self._feed is not None:
                    self._feed.until(pts * h.time_base)
                self._encode(pts - self._delay, self._frame(pts, picture, duration))
        except BrokenPipeError:
            raise
        except FAILED as exc:
            raise self._failed(exc, f"frame {self.frames} cannot be written") from exc
        self.frames += 1

    def _begin(self, pts: int) -> None:
        """Choose by the first time whether all times move: players of mp4 begin at zero and would not show what lies before it."""
        h, self._first = self.header, pts
        hidden, far = (
            pts < 0 and self._suffix in MP4_KINDS,
            bool(self.codec) and abs(pts * h.time_base) > MAX_SECONDS // 2,
        )
        if not hidden and not far:
            return
        self._delay = -pts
        why = (
            f"{self._suffix} would hide what lies before zero"
            if hidden
            else "they are too far from zero for video files"
        )
        self._notes.append(
            f"all times are {float(-pts * h.time_base):.3f} s later than in the source: {why}"
        )
        if self._feed is not None:
            self._feed.delay = self._delay * h.time_base

    def _short(self, duration: int) -> bool:
        """Whether mp4, if that is written, can say how long it is: its muxer's units are finer than the encoder's."""
        unit = self._stream.time_base if self.codec else None
        return self._suffix not in MP4_KINDS or not unit or duration * self._base / unit <= MAX_STEP

    def _time(self, pts: int) -> int:
        """A time on the encoder's clock, behind the one before."""
        time = ticks(pts, self.header.time_base)
        if self._base != self.header.time_base:
            time = ticks(round(time * self.header.time_base / self._base), self._base)
            time = time if self._last is None else max(time, self._last + 1)
        if self._last is not None and not self._short(time - self._last):
            raise BeyondError(
                f"a pause of {float((time - self._last) * self._base):.0f} s is beyond what {self._suffix} holds: write .mkv"
            )
        self._last = time
        return time

    def _frame(self, pts: int, picture: Picture, duration: int) -> av.VideoFrame:
        h = self.header
        gray = self._format in ("gray", "gray10le")
        usual = "yuv420p10le" if self.ten_bit else "yuv420p"
        frame = av.VideoFrame(h.width, h.height, self._format if gray else usual)
        for target, source in zip(frame.planes, picture[:1] if gray else picture, strict=True):
            rows = np.frombuffer(memoryview(target), source.dtype).reshape(target.height, -1)
            rows[:, : target.width] = source
        if self._rgb:
            frame = frame.reformat(
                format=self._format,
                src_colorspace=_BT709 if h.matrix == _BT709 else _BT601,
                src_color_range=h.range or 1,
                dst_color_range=2,
                threads=1,
            )
        elif not gray and self._format != usual:
            frame = frame.reformat(
                format=self._format,
                src_color_range=h.range or 1,
                dst_color_range=h.range or 1,
                threads=1,
            )
        frame.pts, frame.time_base = self._time(pts) if self.codec else 0, self._base
        if duration := length(duration, h.time_base):
            duration = length(round(duration * h.time_base / self._base), self._base)
            frame.duration = duration if self._short(duration) else 0
        frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range = (
            h.primaries,
            h.transfer,
            self._matrix,
            h.range,
        )
        if self._filters is not None:
            self._filters.push(frame)
            frame = self._filters.pull()
        return frame

    def close(self, end: int | None = None) -> None:
        """Complete the file, with packets of tracks up to ``end`` in ticks (None: all). OutputError when that fails; repeated calls do nothing."""
        try:
            if self._file is not None:
                self._file.close()
            elif self._container is not None:
                if self._feed is not None and end is None:
                    self._feed.until(None)
                elif self._feed is not None and end is not None:
                    self._feed.finish((end + self._delay) * self.header.time_base)
                if self.frames:
                    self._flush()
                self._container.close()
                if self._muxer is not None:
                    self._muxer.finish(self.path)
        except BrokenPipeError:
            raise
        except FAILED as exc:
            raise self._failed(exc, "cannot be completed") from exc
        finally:
            self._file = self._container = None
            if self._muxer is not None:
                self._muxer.close()

    def _failed(self, exc: BaseException, what: str) -> OutputError:
        why = getattr(exc, "strerror", None) or exc
        if isinstance(exc, av.error.PatchWelcomeError) and self._suffix in MP4_KINDS:
            why = f"a pause between its frames is beyond what {self._suffix} holds: write .mkv"
        kind = RefusedError if self.codec and not cannot_write(exc, self.path) else OutputError
        return kind(f"{what}: {why}", file=self.path)

    def abort(self) -> None:
        """Close without completing; errors are of no interest any more."""
        target: Any = self._file or self._container
        self._file = self._container = None
        if target is not None:
            try:
                target.close()
            except (av.error.FFmpegError, OSError, OutputError):
                pass
