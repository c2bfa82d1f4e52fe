"""The encoding pipeline: frames are read ahead in a thread, cut into GOPs, coded, and written in order."""

from __future__ import annotations

import json
import os
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, BinaryIO

from .bits import crc32
from .container import ContainerWriter, GopPayload, StreamHeader
from .errors import DamageError, LimitError, UsageError
from .files import atomic_output, check_input, check_output
from .metrics import psnr_yuv
from .options import EncodeOptions
from .picture import Picture
from .progress import Progress
from .scenes import GopCutter

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
    warnings: list[str] = field(default_factory=list)

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
        return self.frames / self.seconds if self.seconds else 0.0


def read_ahead(items: Any, depth: int = _READ_AHEAD) -> Iterator[Any]:
    """Iterate ``items`` in a thread that is at most ``depth`` ahead; its exceptions come out here, closing stops it."""
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
        while True:
            kind, value = fifo.get()
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


class _Pipeline:
    """State of one encode: from pictures to packets."""

    def __init__(self, codec: Any, file: BinaryIO, header: StreamHeader, options: EncodeOptions, step: int, report: EncodeReport, stats: Any) -> None:
        from .gop import GopEncoder

        self._make = lambda: GopEncoder(codec, header.width, header.height, options.crf)
        self._cutter = GopCutter(options.gop_frames(header.rate))
        self._writer = ContainerWriter(file, header)
        self._report, self._stats, self._step = report, stats, step
        self._encoder: Any = None
        self._pts: list[int] = []

    def push(self, pts: int, picture: Picture) -> None:
        for pictures, ends in self._cutter.push(pts, picture):
            self._code(pictures, ends, pts)

    def _code(self, pictures: list[tuple[int, Picture]], ends: bool, next_pts: int | None) -> None:
        if self._encoder is None:
            self._encoder = self._make()
        self._pts += [pts for pts, _ in pictures]
        self._encoder.add([picture for _, picture in pictures])
        if not ends:
            return
        result = self._encoder.finish()
        self._encoder = None
        if result.frames != len(self._pts):
            raise RuntimeError(f"{len(self._pts)} pictures went into a GOP and {result.frames} were coded")
        duration = self._step if next_pts is None else next_pts - self._pts[-1]
        y, u, v = (round(e) for e in result.sse)
        first = self._writer.frames
        self._writer.gop(GopPayload(tuple(self._pts), duration, result.checksum, (y, u, v), result.body))
        if self._stats is not None:
            for i, line in enumerate(result.stats):
                self._stats.write((json.dumps({"gop": self._report.gops, "pts": self._pts[i] if i < len(self._pts) else None, "first": first} | line) + "\n").encode())
        report = self._report
        report.frames += len(self._pts)
        report.gops += 1
        report.sse = [a + b for a, b in zip(report.sse, result.sse, strict=True)]
        report.bytes = self._writer.position
        self._pts = []

    def finish(self) -> None:
        for pictures, ends in self._cutter.flush():
            self._code(pictures, ends, None)
        self._report.bytes = self._writer.finish()

    @property
    def pending(self) -> int:
        """Frames coded of the GOP that isn't written yet."""
        return len(self._pts)


def encode(
    src_path: str,
    dst_path: str,
    options: EncodeOptions | None = None,
    *,
    weights: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> EncodeReport:
    """Encode the first video stream of a file to a .vqv file, which appears under its name only when complete.

    The bytes depend on the pictures, the options and the weights, not on threads. A damaged source is coded as far as it
    can be read and counted in ``corrupt``; with ``options.strict`` it raises DamageError and nothing is written.
    Raises UsageError, InputError, LimitError, OutputError, WeightsError.
    """
    options = options or EncodeOptions()
    check_input(src_path)
    check_output(dst_path, [src_path], overwrite)
    if options.stats:
        if os.path.realpath(options.stats) == os.path.realpath(dst_path):
            raise UsageError(f"{dst_path}: the output and --stats are the same file")
        check_output(options.stats, [src_path], overwrite)
    from .video import VideoSource

    report = EncodeReport()
    begin = time.monotonic()
    with ExitStack() as stack:
        source = stack.enter_context(VideoSource(src_path, options.start, options.duration))
        report.width, report.height = source.width, source.height
        if progress is not None:
            progress.total, progress.rate = source.total, float(source.rate) if source.rate else None
        from .weights import load_codec

        codec = load_codec(weights, options.device, options.threads)
        # entered first, so that it gets its name last: no statistics without their video
        stats = stack.enter_context(atomic_output(options.stats, overwrite)) if options.stats else None
        file = stack.enter_context(atomic_output(dst_path, overwrite))
        frames = read_ahead(source)
        stack.callback(frames.close)  # type: ignore[attr-defined]
        pipeline: _Pipeline | None = None
        first_pts = last_pts = 0
        step = max(1, round(1 / ((source.rate or Fraction(25)) * source.time_base)))
        for pts, picture in frames:
            if pipeline is None:
                pipeline = _Pipeline(codec, file, _header(source, picture, options, codec.model_id), options, step, report, stats)
                first_pts = pts
            last_pts = pts
            pipeline.push(pts, picture)
            if progress is not None and report.frames:
                progress.update(report.frames + pipeline.pending, report.bytes * (report.frames + pipeline.pending) // report.frames, report.psnr[0])
            elif progress is not None:
                progress.update(pipeline.pending)
        if pipeline is None:
            raise UsageError(f"{src_path}: no frame lies within the chosen times")
        pipeline.finish()
        report.corrupt, report.warnings = source.corrupt, list(source.warnings)
        report.seconds_video = float((last_pts - first_pts + step) * source.time_base)
        if source.corrupt and options.strict:
            raise DamageError(f"{src_path}: {source.corrupt} frames are damaged or missing")
        if report.bytes >= 1 << 62:
            raise LimitError(f"{dst_path}: over the limit of the format")
    report.seconds = time.monotonic() - begin
    return report
