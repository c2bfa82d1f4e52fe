"""The encoding pipeline: frames are read ahead in a thread, cut into GOPs, coded into a journal, and written in order at the end."""

from __future__ import annotations

import json
import os
import queue
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import chain
from typing import Any, BinaryIO

from .bits import crc32
from .container import ContainerWriter, GopPayload, StreamHeader
from .errors import DamageError, UsageError
from .files import atomic_output, check_output
from .interrupt import Interrupt
from .journal import Journal, open_journal, tag
from .metrics import psnr_yuv
from .options import EncodeOptions, TrackChoice, changed
from .picture import Picture
from .pipes import PIPE, check_source, check_target, is_stream, same_output, target_file, video_source
from .progress import Meter, ProgressCallback, as_meter
from .scenes import GopCutter
from .tracks import DESCRIPTION, TrackWriter, clip_chapters
from .version import __version__
from .workers import Local, Model, Pool, Result

_READ_AHEAD = 4


@dataclass
class EncodeReport:
    """What was written: all figures are of the file on disk and of decoded pixels."""

    frames: int = 0
    gops: int = 0
    bytes: int = 0
    width: int = 0
    height: int = 0
    seconds_video: float = 0.0
    seconds: float = 0.0
    sse: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    corrupt: int = 0  # frames of the source that were damaged or missing
    resumed: int = 0  # frames taken over from the encode that was gone on with
    stopped: bool = False  # ended before the source did, as it was asked to
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # what was converted or left out
    tracks: int = 0  # tracks besides the pictures

    def add(self, frames: int, sse: tuple[float, float, float]) -> None:
        """Count a GOP."""
        self.gops += 1
        self.frames += frames
        self.sse = [a + b for a, b in zip(self.sse, sse, strict=True)]

    @property
    def psnr(self) -> tuple[float, float, float, float]:
        """(weighted 6:1:1, Y, U, V) of the mean error, in dB."""
        return psnr_yuv(self.sse, self.width, self.height, self.frames)

    @property
    def bpp(self) -> float:
        """Bits per pixel."""
        return self.bytes * 8 / max(1, self.frames * self.width * self.height)

    @property
    def kbps(self) -> float:
        """Kilobits per second of video."""
        return self.bytes * 8 / 1000 / self.seconds_video if self.seconds_video else 0.0

    @property
    def fps(self) -> float:
        """Frames coded per second."""
        return (self.frames - self.resumed) / self.seconds if self.seconds else 0.0


def read_ahead(items: Any, depth: int = _READ_AHEAD, interrupt: Interrupt | None = None) -> Generator[Any, None, None]:
    """Iterate ``items`` in a thread that is at most ``depth`` ahead; its exceptions come out here, closing stops it, and so does the interrupt."""
    fifo: queue.Queue[tuple[str, Any]] = queue.Queue(depth)
    stop = threading.Event()

    def put(entry: tuple[str, Any]) -> bool:
        while not stop.is_set():
            try:
                fifo.put(entry, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put(("item", item)):
                    return
            put(("end", None))
        except BaseException as exc:
            put(("error", exc))

    thread = threading.Thread(target=work, name="read-ahead", daemon=True)
    thread.start()
    try:
        while interrupt is None or not interrupt.requested:
            try:
                kind, value = fifo.get(timeout=0.2)
            except queue.Empty:
                continue
            if kind == "error":
                raise value
            if kind == "end":
                return
            yield value
    finally:
        stop.set()
        thread.join()


def _header(source: Any, first: Picture, options: EncodeOptions, model_id: bytes) -> StreamHeader:
    return StreamHeader(
        width=source.width,
        height=source.height,
        time_base=source.time_base,
        rate=source.rate,
        sar=source.sar,
        rotation=source.rotation,
        primaries=source.primaries,
        transfer=source.transfer,
        matrix=source.matrix,
        range=source.range,
        chroma_location=source.chroma_location,
        bit_depth=source.bit_depth,
        crf=options.crf,
        content_id=crc32(*(p.tobytes() for p in first)),
        model_id=model_id,
    )


def _check_alone(name: str, path: str, index: int, choice: TrackChoice) -> None:
    """UsageError where tracks would be kept that no longer fit pictures at another rate."""
    from .remux import TrackSource

    others = TrackSource(path, index, choice)
    others.close()
    if others.timed:
        raise UsageError(f"{name}: at another rate (-r) its {others.timed} other tracks would not fit the pictures: leave them out with -map v, or leave out -r")


@dataclass
class _Gop:
    """A GOP between the cutter and the journal."""

    first: int
    pts: list[int] = field(default_factory=list)
    duration: int = 0
    following: int | None = None  # time of the frame behind it, as far as it is known

    def payload(self, result: Result, step: int) -> GopPayload:
        """The packet's content. A GOP that was cut short has a frame behind it, whose time is known."""
        n = result.frames
        if not 0 < n <= len(self.pts):
            raise RuntimeError(f"{len(self.pts)} pictures went into a GOP and {n} were coded")
        following = self.pts[n] if n < len(self.pts) else self.following
        y, u, v = (round(e) for e in result.sse)
        return GopPayload(tuple(self.pts[:n]), step if following is None else following - self.pts[n - 1], result.checksum, (y, u, v), result.body)


class _Extras:
    """Tags and tracks on their way from the source to the file: packets are stored before the GOP in whose time they lie."""

    def __init__(self, source: Any, path: str | None, options: EncodeOptions) -> None:
        from .remux import TrackSource

        self._base, self._shift = source.time_base, source.shift
        self._ends = options.duration is not None
        self._description = source.description
        if options.start is not None or options.duration is not None:
            start = self._shift * self._base
            self._description = replace(self._description, chapters=clip_chapters(self._description.chapters, start, source.stop))
        self._description, self.notes = self._description.fitted()
        start = self._shift * self._base if options.start is not None else None
        self.source = None if path is None else TrackSource(path, source.index, options.tracks, start)

    def begin(self, writer: ContainerWriter) -> None:
        if self._description:
            writer.extra(DESCRIPTION, self._description.to_bytes())
        self._out = TrackWriter(writer)

    def write(self, end: int) -> None:
        """Store packets up to the end of the GOP that is written next, in ticks."""
        self._store((end + self._shift) * self._base)

    def finish(self) -> None:
        """Store what is left behind the last GOP, where not only a stretch was asked for."""
        if not self._ends:
            self._store(None)

    def _store(self, limit: Fraction | None) -> None:
        if self.source is not None:
            self.source.write(self._out, limit)

    def close(self) -> None:
        if self.source is not None:
            self.source.close()


class _Output:
    """The .vqv file, GOP by GOP in order, and the figures of what is in it."""

    def __init__(self, file: BinaryIO, header: StreamHeader, step: int, report: EncodeReport, extras: _Extras) -> None:
        self._writer, self._time_base, self._step, self._report = ContainerWriter(file, header), header.time_base, step, report
        self._extras = extras
        extras.begin(self._writer)
        self._begin: int | None = None
        self._end = 0
        report.frames, report.gops, report.sse = 0, 0, [0.0, 0.0, 0.0]

    @property
    def frames(self) -> int:
        """Frames written."""
        return self._writer.frames

    def put(self, gop: GopPayload, sse: tuple[float, float, float]) -> None:
        """Write the GOP that begins with frame :attr:`frames`."""
        self._extras.write(gop.pts[-1] + (gop.duration or self._step))
        self._writer.gop(gop)
        if self._begin is None:
            self._begin = gop.pts[0]
        self._end = gop.pts[-1] + self._step
        self._report.add(len(gop.pts), sse)

    def finish(self, whole: bool) -> None:
        """Complete the file; with what lies behind the last picture where it is the ``whole`` source."""
        report = self._report
        if whole:
            self._extras.finish()
        report.bytes = self._writer.finish()
        report.seconds_video = float((self._end - (self._begin or 0)) * self._time_base)
        report.resumed = min(report.resumed, report.frames)


class _Pipeline:
    """State of one encode: from pictures to the packets of the journal."""

    def __init__(self, coder: Local | Pool, journal: Journal, cutter: GopCutter, step: int, report: EncodeReport, stats: Any, progress: Meter | None, interrupt: Interrupt) -> None:
        self._coder, self._journal, self._cutter = coder, journal, cutter
        self._report, self._stats, self._step, self._progress, self._interrupt = report, stats, step, progress, interrupt
        self._gop = _Gop(0)
        self._open: dict[int, _Gop] = {}  # GOPs that are being coded, by first frame
        self._rows: dict[int, tuple[_Gop, list[dict[str, Any]]]] = {}  # lines of --stats that wait for those of a GOP before them
        self._rows_at = self._rows_gop = 0
        self._sse: dict[int, tuple[float, float, float]] = {}
        self.complete = False  # whether all frames of the source are coded

    def run(self, frames: Iterator[tuple[int, Picture]], following: Callable[[], int | None]) -> None:
        """Code all frames; fewer when interrupted. ``following()``: time of the source's frame behind the last one given, None at its end."""
        flushed = False
        for pts, picture in frames:
            for pictures, ends in self._cutter.push(pts, picture):
                self._take(pictures, ends, pts)
            self._collect()
        if not self._interrupt.requested:
            for pictures, ends in self._cutter.flush():
                self._take(pictures, ends, following())
            flushed = True
        while self._open and not self._interrupt.requested:
            self._collect(0.2)
        self._collect()
        self.complete = flushed and not self._open

    def _take(self, pictures: list[tuple[int, Picture]], ends: bool, following: int | None) -> None:
        gop, key = self._gop, self._gop.first
        new = not gop.pts
        gop.pts += [pts for pts, _ in pictures]
        gop.following = following
        if ends:
            self._gop = _Gop(key + len(gop.pts))
        if key in self._journal:
            if ends:
                self._check(gop)
            return
        if new:
            while not self._coder.ready(0.2):
                self._collect()
                if self._interrupt.requested:
                    return
            self._open[key] = gop
        self._coder.add(key, [picture for _, picture in pictures], ends)

    def _check(self, gop: _Gop) -> None:
        """Whether a GOP of the journal is the one that the source has there."""
        there = self._journal.read(gop.first)
        if there.pts != tuple(gop.pts) or there.duration != (self._step if gop.following is None else gop.following - gop.pts[-1]):
            raise UsageError(f"{self._journal.output}: the encode that was cut off has other frames from {gop.first} on than the source: it cannot be gone on with; -y begins anew")
        self._report.resumed += len(gop.pts)
        self._report.add(len(gop.pts), there.sse)

    def _collect(self, timeout: float = 0.0) -> None:
        """Journal what is finished, and show how far the work is."""
        for key, result in self._coder.finished(timeout):
            gop = self._open.pop(key)
            if result.frames != len(gop.pts):
                raise RuntimeError(f"{len(gop.pts)} pictures went into a GOP and {result.frames} were coded")
            self._journal.add(key, gop.payload(result, self._step))
            self._sse[key] = result.sse
            self._report.add(result.frames, result.sse)
            self._write_stats(gop, result)
        report, pending = self._report, self._coder.pending
        if 0 in self._journal or self._coder.coded(0):
            self._interrupt.worth = True
        if self._progress is not None and report.frames:
            self._progress.update(report.frames + pending, self._journal.size * (report.frames + pending) // report.frames, report.psnr[0])
        elif self._progress is not None:
            self._progress.update(pending)

    def _write_stats(self, gop: _Gop, result: Result) -> None:
        if self._stats is None:
            return
        self._rows[gop.first] = gop, result.stats
        while self._rows_at in self._rows:
            gop, rows = self._rows.pop(self._rows_at)
            for i, row in enumerate(rows):
                self._stats.write((json.dumps({"gop": self._rows_gop, "pts": gop.pts[i] if i < len(gop.pts) else None, "first": gop.first} | row) + "\n").encode())
            self._rows_at += len(gop.pts)
            self._rows_gop += 1

    def write(self, file: BinaryIO, extras: _Extras) -> None:
        """Write the finished GOPs, in order, as a .vqv file, and report on them. After an interrupt the GOP that follows them ends where it is."""
        header = self._journal.header
        assert header is not None
        out = _Output(file, header, self._step, self._report, extras)
        for gop in self._journal.gops():
            out.put(gop, self._sse.get(out.frames, gop.sse))
        if (last := self._open.get(out.frames)) and (result := self._coder.cut(out.frames)):
            self._write_stats(last, result)
            out.put(last.payload(result, self._step), result.sse)
        out.finish(self.complete)
        self._report.stopped = not self.complete


def encode(
    src_path: str | os.PathLike[str],
    dst_path: str | os.PathLike[str],
    options: EncodeOptions | None = None,
    *,
    weights: str | None = None,
    overwrite: bool = False,
    progress: ProgressCallback | Meter | None = None,
    interrupt: Interrupt | None = None,
    **changes: Any,
) -> EncodeReport:
    """Encode the first video stream of a file to a .vqv file, which appears under its name only when complete.

    ``changes`` are fields of EncodeOptions, such as ``crf=30``, in the place of those of ``options``. ``progress`` is called with a ProgressEvent after
    some frames, from this thread; what it raises ends the encode, and then nothing is written.

    The bytes depend on the pictures, the options and the weights, not on threads, ``options.jobs`` or ``options.resume``. A damaged source is coded as
    far as it can be read and counted in ``corrupt``; with ``options.strict`` it raises DamageError and nothing is written. An ``interrupt`` ends
    the file early, with the frames coded so far (``stopped`` in the report). With ``options.resume`` the work of an encode that ended before its time is
    kept beside the output, and gone on with where it is there already.
    Raises UsageError, InputError, LimitError, OutputError, WeightsError.
    """
    src_path, dst_path = os.fspath(src_path), os.fspath(dst_path)
    options = changed(options or EncodeOptions(), changes)
    interrupt = interrupt or Interrupt()
    progress = as_meter(progress)
    check_source(src_path)
    check_target(dst_path, [src_path], overwrite)
    if options.resume and (is_stream(src_path) or dst_path == PIPE):
        raise UsageError("--resume needs a file for input and output, not -, nor a named pipe")
    if options.stats:
        if same_output(options.stats, dst_path):
            raise UsageError(f"{dst_path}: the output and --stats are the same file")
        check_output(options.stats, [] if src_path == PIPE else [src_path], overwrite)
    from .video import VideoSource
    from .weights import load_codec, read_metadata, read_model_id

    report = EncodeReport()
    begin = time.monotonic()
    with ExitStack() as stack:
        path, pipe = video_source(stack, src_path)
        source = stack.enter_context(VideoSource(path, options.start, options.duration, pipe=pipe, name=src_path, rate=options.rate, colour=options.colour))
        if options.rate is not None and pipe is None:
            _check_alone(src_path, path, source.index, options.tracks)
        report.width, report.height = source.width, source.height
        if progress is not None:
            progress.total, progress.rate = source.total, float(source.rate) if source.rate else None
        gop = options.gop_frames(source.rate)
        meta = read_metadata(weights)
        decides = (__version__, options.crf, options.preset, gop, options.start, options.duration, options.device, options.rate, options.colour)
        work = dst_path
        if dst_path == PIPE:  # finished GOPs are kept apart until all is coded here too
            work = os.path.join(stack.enter_context(tempfile.TemporaryDirectory(prefix="vqcodec-")), "standard-output.vqv")
        mine = tag(os.devnull if pipe else path, decides, [meta.get(k, "") for k in ("model_id", "analysis_id")])
        journal = stack.enter_context(open_journal(work, mine, resume=options.resume, overwrite=overwrite))
        journal.keep = options.resume
        coder: Local | Pool
        if options.jobs == 1:
            model = Model(weights, options.device, options.threads, source.width, source.height, options.crf, options.preset)
            codec = load_codec(weights, options.device, options.threads)
            coder, model_id = Local(model, codec), codec.model_id
        else:
            model = Model(weights, options.device, options.threads or 1, source.width, source.height, options.crf, options.preset)
            coder, model_id = Pool(model, options.jobs or len(os.sched_getaffinity(0)), report.warnings.append), read_model_id(weights)
        stack.callback(coder.close)
        # entered first, so that it gets its name last: no statistics without their video
        stats = stack.enter_context(atomic_output(options.stats, overwrite)) if options.stats else None
        frames = stack.enter_context(closing(read_ahead(source, interrupt=interrupt)))
        first = next(frames, None)
        if first is None:
            raise UsageError(f"{src_path}: no frame lies within the chosen times: -ss is behind its end, or nothing is left by -t or -to")
        journal.begin(_header(source, first[1], options, model_id))
        step = max(1, round(1 / ((source.rate or Fraction(25)) * source.time_base)))
        pipeline = _Pipeline(coder, journal, GopCutter(gop), step, report, stats, progress, interrupt)
        pipeline.run(chain([first], frames), lambda: source.following)
        if source.corrupt and options.strict:
            journal.keep = False
            raise DamageError(f"{src_path}: {source.corrupt} frames are damaged or missing")
        extras = _Extras(source, None if pipe else path, options)
        stack.callback(extras.close)
        with target_file(dst_path, overwrite) if dst_path == PIPE else atomic_output(dst_path, overwrite, journal.temporary) as file:
            pipeline.write(file, extras)
            report.corrupt = source.corrupt
            report.warnings += source.warnings
            report.notes += source.notes + extras.notes
            if extras.source is not None:
                report.notes += extras.source.notes
                report.tracks = extras.source.count
                if extras.source.corrupt:
                    report.corrupt += extras.source.corrupt
                    report.warnings.append(f"{extras.source.corrupt} packets of other tracks are damaged")
            if report.corrupt and options.strict:
                journal.keep = False
                raise DamageError(f"{src_path}: {report.corrupt} frames are damaged or missing")
        journal.keep = options.resume and report.stopped
    report.seconds = time.monotonic() - begin
    return report
