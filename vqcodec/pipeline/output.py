"""The .vqv file put together: finished GOPs in order, the tags and tracks of the source between
them, and the figures of what was written."""

from __future__ import annotations

import io
from bisect import bisect_left
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, BinaryIO

from ..container.description import clip_chapters, remarks_to_bytes
from ..container.packets import GopPayload, StreamHeader
from ..container.tracks import DESCRIPTION, REMARKS, TrackWriter
from ..container.writer import ContainerWriter
from ..media.captions import as_packets, as_track
from ..options import EncodeOptions
from ..psnr import Psnr, psnr_yuv

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from ..media.source import VideoSource


@dataclass
class EncodeReport:
    """What was written: all figures are of the file on disk and of decoded pixels."""

    frames: int = 0
    gops: int = 0
    bytes: int = 0
    picture_bytes: int = 0  # of the GOPs' packets
    track_bytes: int = 0  # of the other tracks' packets, tags and chapters
    crf: float = 0.0  # the mean one of all frames
    missed: str | None = None  # what was reached instead of the target
    width: int = 0
    height: int = 0
    seconds_video: float = 0.0
    seconds: float = 0.0
    start_seconds: float = 0.0  # of these, before the first frame was there to be coded
    sse: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    corrupt: int = 0  # frames of the source that were damaged or missing
    resumed: int = 0  # frames taken over from the encode that was gone on with
    stopped: bool = False  # ended before the source did, as it was asked to
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # what was chosen or converted
    lost: list[str] = field(default_factory=list)  # what the source has and the file could not keep
    tracks: int = 0  # tracks besides the pictures
    source_bytes: int | None = None  # of the source's file where all of it was coded

    def clear(self) -> None:
        """Forget the GOPs counted."""
        self.frames, self.gops, self.picture_bytes, self.sse = 0, 0, 0, [0.0, 0.0, 0.0]

    def add(self, frames: int, size: int, sse: tuple[float, float, float]) -> None:
        """Count a GOP of ``size`` bytes."""
        self.picture_bytes += size
        self.gops += 1
        self.frames += frames
        self.sse = [a + b for a, b in zip(self.sse, sse, strict=True)]

    @property
    def psnr(self) -> Psnr:
        """Of the mean error."""
        return psnr_yuv(self.sse, self.width, self.height, self.frames)

    @property
    def bpp(self) -> float:
        """Bits per pixel, of the whole file."""
        return self.bytes * 8 / max(1, self.frames * self.width * self.height)

    @property
    def share(self) -> float | None:
        """Of the source's bytes, as a fraction; None where a stretch of it or a pipe was coded."""
        return self.bytes / self.source_bytes if self.source_bytes else None

    @property
    def kbps(self) -> float:
        """Kilobits per second of video, of the whole file."""
        return self.bytes * 8 / 1000 / self.seconds_video if self.seconds_video else 0.0

    @property
    def picture_bpp(self) -> float:
        """Bits per pixel, of the pictures alone."""
        return self.picture_bytes * 8 / max(1, self.frames * self.width * self.height)

    @property
    def picture_kbps(self) -> float:
        """Kilobits of the pictures alone per second of video."""
        return self.picture_bytes * 8 / 1000 / self.seconds_video if self.seconds_video else 0.0

    @property
    def fps(self) -> float:
        """Frames coded per second."""
        return (self.frames - self.resumed) / self.seconds if self.seconds else 0.0


class SourceExtras:
    """Tags and tracks on their way from the source to the file: packets are stored before the GOP
    in whose time they lie."""

    def __init__(self, source: VideoSource, path: str | None, options: EncodeOptions) -> None:
        from ..media.track_source import TrackSource

        self._base, self._shift = source.time_base, source.shift
        self._ends = options.duration is not None
        begin = self._shift * self._base  # of the pictures, in seconds on the clock of the source
        description = source.description
        if options.start is not None or options.duration is not None:
            chapters = clip_chapters(description.chapters, begin, source.stop)
            description = replace(description, chapters=chapters)
        self._description, too_long = description.fitted()
        self._lost = [*source.lost, *too_long]
        self._captions = [] if "subtitle" in options.tracks.without else source.captions
        self._stored = 0  # of these
        self._end = Fraction(0)  # of the last GOP written, in seconds on the clock of the source
        self.tracks: TrackSource | None = None  # those of the source, None for a pipe
        if path is not None:
            self.tracks = TrackSource(
                path,
                source.index,
                options.tracks,
                begin if options.start is not None else None,
                source.jumps,
                options.playlists,
            )
        self._number = 0 if self.tracks is None else self.tracks.next_number  # of the captions

    @property
    def lost(self) -> list[str]:
        """What the source has and the file could not keep; all of it after :meth:`finish`."""
        return self._lost + (self.tracks.lost if self.tracks is not None else [])

    def begin(self, writer: ContainerWriter) -> TrackWriter:
        """Store the tags; the writer of the tracks."""
        if self._description:
            writer.extra(DESCRIPTION, self._description.to_bytes(), small=True)
        out = TrackWriter(writer)
        if self._captions:
            out.add(as_track(self._number, self._base))
        return out

    def write(self, out: TrackWriter, end: int) -> None:
        """Store packets up to the end of the GOP that is written next, in ticks."""
        self._end = (end + self._shift) * self._base
        if self.tracks is not None:
            self.tracks.write(out, self._end)
        self._store_captions(out, bisect_left(self._captions, (end, b""), self._stored))
        out.flush(self._end)

    def _store_captions(self, out: TrackWriter, until: int) -> None:
        """Store the captions up to this one."""
        for packet in as_packets(self._number, self._captions[self._stored : until]):
            out.packet(packet)
        self._stored = until

    def finish(self, writer: ContainerWriter, out: TrackWriter, whole: bool) -> None:
        """Store what is left: of the ``whole`` source, or up to the end of the last GOP where only
        a stretch was asked for; then what was lost."""
        if self.tracks is not None:
            self.tracks.finish(out, None if whole and not self._ends else self._end)
        if whole:
            self._store_captions(out, len(self._captions))
        out.flush()
        if self.lost:
            writer.extra(REMARKS, remarks_to_bytes(self.lost), small=True)

    def close(self) -> None:
        """Close the source of the tracks."""
        if self.tracks is not None:
            self.tracks.close()


class Output:
    """The .vqv file, GOP by GOP in order, and the figures of what is in it."""

    def __init__(
        self,
        file: BinaryIO,
        header: StreamHeader,
        step: int,
        report: EncodeReport,
        extras: SourceExtras,
    ) -> None:
        self._writer = ContainerWriter(file, header)
        self._time_base, self._step = header.time_base, step
        self._report, self._extras = report, extras
        self._tracks = extras.begin(self._writer)
        self._begin: int | None = None
        self._end = 0
        report.clear()

    @property
    def frames(self) -> int:
        """Frames written."""
        return self._writer.frames

    def put(self, gop: GopPayload, sse: tuple[float, float, float]) -> None:
        """Write the GOP that begins with frame :attr:`frames`."""
        self._end = gop.pts[-1] + (gop.duration or self._step)
        self._extras.write(self._tracks, self._end)
        size = self._writer.gop(gop)
        if self._begin is None:
            self._begin = gop.pts[0]
        self._report.add(len(gop.pts), size, sse)

    def finish(self, whole: bool) -> None:
        """Complete the file; with what lies behind the last picture where it is the ``whole``
        source."""
        report = self._report
        self._extras.finish(self._writer, self._tracks, whole)
        report.bytes = self._writer.finish()
        report.track_bytes = self._writer.extra_bytes
        report.seconds_video = float((self._end - (self._begin or 0)) * self._time_base)
        report.resumed = min(report.resumed, report.frames)


class Nowhere(io.BytesIO):
    """A file that keeps nothing: only its size matters."""

    def write(self, data: ReadableBuffer, /) -> int:
        """Count the bytes."""
        return memoryview(data).nbytes
