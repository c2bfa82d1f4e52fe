"""The decoding pipeline: GOP by GOP, each checked against its checksum, lost frames concealed and reported."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from .container import GopPayload, IndexEntry
from .errors import DamageError, LimitError, UsageError, VqvError, WeightsError
from .files import atomic_path, check_input, check_output
from .options import DecodeOptions, Time
from .picture import Picture, gray
from .progress import Progress
from .scan import ContainerReader


@dataclass
class DecodeReport:
    """What was decoded. ``damage`` holds a sentence for each thing found wrong, ``concealed`` counts frames filled in."""

    frames: int = 0
    gops: int = 0
    concealed: int = 0
    complete: bool = True
    damage: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """True when every frame of the file is there and has been proven right."""
        return self.complete and not self.damage

    @property
    def fps(self) -> float:
        """Frames decoded per second."""
        return self.frames / self.seconds if self.seconds else 0.0


def check_model(reader: ContainerReader, model_id: bytes) -> None:
    """WeightsError unless the file was made with these weights."""
    if reader.header.model_id != model_id:
        raise WeightsError(f"file needs model {reader.header.model_id.hex()}, these weights are {model_id.hex()}")


def frame_step(reader: ContainerReader) -> int:
    """Ticks from frame to frame at the nominal rate, at least 1."""
    h = reader.header
    return max(1, round(1 / ((h.rate or Fraction(25)) * h.time_base)))


def lost_times(entry: IndexEntry, after: int | None, before: int | None, step: int) -> list[int]:
    """Times for lost frames: evenly between the frames around them, else by the nominal step.

    ``after`` is the pts of the frame before the gap, ``before`` that of the frame behind it; None where unknown.
    """
    n = entry.count
    start = entry.first_pts
    if start is None or (after is not None and start <= after):
        if after is None:
            start = 0 if before is None else before - n * step
        elif before is not None and before - after > n:
            start = after + (before - after) // (n + 1)
        else:
            start = after + step
    if before is not None and before - start >= n:
        return [start + (before - start) * i // n for i in range(n)]
    return [start + step * i for i in range(n)]


class GopDecoder:
    """Decodes GOPs of a file in order, hiding damage.

    :meth:`pictures` gives ``(pts, duration, Picture)`` of a GOP with 10-bit pictures; reports go into ``report``.
    """

    def __init__(self, reader: ContainerReader, codec: Any, options: DecodeOptions, report: DecodeReport) -> None:
        self._reader, self._codec, self._options, self._report = reader, codec, options, report
        self._held: Picture | None = None
        self._last_pts: int | None = None
        self._step = frame_step(reader)

    def _lost(self, index: int, error: VqvError) -> None:
        if self._options.strict:
            raise DamageError(str(error)) from error
        self._report.damage.append(str(error))

    def _next_pts(self, i: int) -> int | None:
        gops = self._reader.gops
        return gops[i + 1].first_pts if i + 1 < len(gops) else None

    def _conceal(self, count: int) -> Iterator[Picture]:
        header = self._reader.header
        if self._held is None:
            self._held = gray(header.width, header.height)
        for _ in range(count):
            self._report.concealed += 1
            yield self._held

    def _decoded(self, gop: GopPayload) -> Iterator[Picture]:
        """Pictures of a GOP as decoded; DamageError, at the end, when their checksum is not the encoder's."""
        from .gop import checksum_update, decode_gop

        header, crc, n = self._reader.header, 0, 0
        batch = {"batch": self._options.batch} if self._options.batch else {}
        for picture in decode_gop(self._codec, gop.body, len(gop.pts), header.width, header.height, **batch):
            crc = checksum_update(crc, picture)
            n += 1
            yield picture
        if n != len(gop.pts):
            raise DamageError(f"{n} pictures instead of {len(gop.pts)}")
        if crc != gop.checksum:
            raise DamageError("decoded pixels differ from the encoder's")

    def pictures(self, i: int) -> Iterator[tuple[int, int, Picture]]:
        """Frames of the i-th GOP; always as many as its entry says. LimitError, and with ``strict`` DamageError."""
        entry = self._reader.gops[i]
        done = 0
        times: list[int] | None = None
        duration = 0
        try:
            gop = self._reader.read_gop(i)
            times, duration = list(gop.pts), gop.duration
            if self._last_pts is not None and times[0] <= self._last_pts:
                raise DamageError(f"packet at byte {entry.offset}: time {times[0]} after {self._last_pts}")
            with closing(self._decoded(gop)) as decoded:  # type: ignore[type-var]
                for picture in decoded:
                    self._held, self._last_pts = picture, times[done]
                    done += 1
                    yield times[done - 1], duration if done == entry.count else 0, picture
        except DamageError as exc:
            where = "" if "byte" in str(exc) or "lost" in str(exc) else f"GOP {i} (frames {entry.first_frame} to {entry.first_frame + entry.count - 1}, byte {entry.offset}): "
            self._lost(i, DamageError(where + str(exc)))
        if done < entry.count:
            lost, limit = self._report.concealed + entry.count - done, self._options.limits.concealed
            if lost > limit:  # before a list of as many times is made
                raise LimitError(f"{lost} frames are lost, over the limit of {limit}")
            if times is None or (self._last_pts is not None and done == 0 and times[0] <= self._last_pts):
                times = lost_times(entry, self._last_pts, self._next_pts(i), self._step)
            for picture in self._conceal(entry.count - done):
                self._last_pts = times[done]
                done += 1
                yield times[done - 1], duration if done == entry.count else 0, picture
        self._report.gops += 1


def _first_gop(reader: ContainerReader, start: Time | None) -> int:
    """Index of the first GOP that may hold a chosen frame."""
    if start is None or not reader.gops:
        return 0
    origin = reader.gops[0].first_pts or 0
    chosen = 0
    for i, entry in enumerate(reader.gops):
        if start.frames is not None:
            if entry.first_frame <= start.frames:
                chosen = i
        elif entry.first_pts is not None and (entry.first_pts - origin) * reader.header.time_base <= (start.seconds or 0):
            chosen = i
    return chosen


def frames(reader: ContainerReader, codec: Any, options: DecodeOptions, report: DecodeReport) -> Iterator[tuple[int, int, Picture]]:
    """Chosen frames of a file as ``(pts, duration, 10-bit Picture)``; with ``options.start`` times begin at zero.

    Only the GOPs needed are decoded.
    """
    decoder = GopDecoder(reader, codec, options, report)
    begin = _first_gop(reader, options.start)
    base = reader.header.time_base
    start, length = options.start or Time(frames=0), options.duration
    origin = reader.gops[0].first_pts if reader.gops else None
    shift = 0
    stop: Fraction | None = None
    given = 0
    for i in range(begin, len(reader.gops)):
        number = reader.gops[i].first_frame
        with closing(decoder.pictures(i)) as pictures:  # type: ignore[type-var]
            for pts, duration, picture in pictures:
                origin = pts if origin is None else origin
                seconds = (pts - origin) * base
                if seconds >= start.seconds if start.seconds is not None else number >= (start.frames or 0):
                    if not given:
                        shift = pts if options.start else 0
                        if length is not None and length.seconds is not None:
                            stop = (start.seconds if start.seconds is not None else seconds) + length.seconds
                    if stop is not None and seconds >= stop or length is not None and length.frames is not None and given >= length.frames:
                        return
                    given += 1
                    report.frames += 1
                    yield pts - shift, duration, picture
                    if length is not None and length.frames is not None and given >= length.frames:
                        return
                number += 1


def decode(
    src: str,
    dst: str,
    options: DecodeOptions | None = None,
    *,
    weights: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> DecodeReport:
    """Decode a .vqv file to a video file of the kind of its suffix.

    Damaged GOPs keep their frame count and times: their frames repeat the last good picture and are reported in
    ``damage``; with ``options.strict`` any damage raises DamageError and nothing is written. Eight-bit sources give 8-bit
    pictures, others 10 bits. Raises UsageError, InputError, DamageError, OutputError, LimitError, WeightsError.
    """
    options = options or DecodeOptions()
    check_input(src)
    check_output(dst, [src], overwrite)
    report = DecodeReport()
    begin = time.monotonic()
    with ExitStack() as stack:
        reader = open_reader(stack, src)
        header = reader.header
        report.complete = reader.complete
        report.damage += reader.damaged
        if options.strict and not report.ok:
            raise DamageError(f"{src}: {report.damage[0]}")
        from .sink import VideoSink, choose_codec
        from .weights import load_codec, read_model_id

        choose_codec(dst, header.width, header.height, options.vcodec)
        check_model(reader, read_model_id(weights))
        if not reader.gops and options.strict:
            raise DamageError(f"{src}: no frames")
        codec = load_codec(weights, options.device, options.threads)
        ten_bit = header.bit_depth > 8
        temp = stack.enter_context(atomic_path(dst, overwrite))
        sink = VideoSink(temp, header, ten_bit=ten_bit, vcodec=options.vcodec, vcodec_opts=options.vcodec_opts, threads=options.threads)
        stack.callback(sink.abort)
        if sink.note:
            report.notes.append(sink.note)
        if progress is not None:
            progress.total, progress.rate = reader.frames, float(header.rate) if header.rate else None
        with closing(frames(reader, codec, options, report)) as chosen:  # type: ignore[type-var]
            for pts, duration, picture in chosen:
                sink.write(pts, picture if ten_bit else picture.to8(), duration)
                if progress is not None:
                    progress.update(report.frames)
        if not report.frames:
            if report.damage:
                raise DamageError(f"{src}: no frame could be saved: {report.damage[0]}")
            raise UsageError(f"{src}: no frame lies within the chosen times")
        sink.close()
    report.seconds = time.monotonic() - begin
    return report


def open_reader(stack: ExitStack, src: str) -> ContainerReader:
    """Open a .vqv file for as long as ``stack`` lives; errors name the file."""
    path = check_input(src)
    try:
        return ContainerReader(stack.enter_context(path.open("rb")))
    except VqvError as exc:
        raise type(exc)(f"{src}: {exc}") from exc


def verify(path: str, fast: bool = False, *, weights: str | None = None, options: DecodeOptions | None = None, progress: Progress | None = None) -> dict[str, Any]:
    """Check a file: all checksums of the container, and unless ``fast`` every decoded pixel against the encoder's.

    A dict with file, complete, ok, pixels_checked, frames, gops, bytes, damaged_gops and damage (list of sentences).
    """
    report = DecodeReport()
    with ExitStack() as stack:
        reader = open_reader(stack, path)
        report.complete = reader.complete
        report.damage += reader.damaged
        bad = 0
        if fast:
            for i in range(len(reader.gops)):
                try:
                    reader.read_gop(i)
                except DamageError as exc:
                    bad += 1
                    report.damage.append(str(exc))
        else:
            from .weights import load_codec, read_model_id

            check_model(reader, read_model_id(weights))
            options = options or DecodeOptions()
            decoder = GopDecoder(reader, load_codec(weights, options.device, options.threads), options, report)
            if progress is not None:
                progress.total = reader.frames
            for i in range(len(reader.gops)):
                before = len(report.damage)
                for _ in decoder.pictures(i):
                    report.frames += 1
                    if progress is not None:
                        progress.update(report.frames)
                bad += len(report.damage) > before
        return {
            "file": path,
            "complete": report.complete,
            "ok": report.ok,
            "pixels_checked": not fast,
            "frames": reader.frames,
            "gops": len(reader.gops),
            "bytes": reader.size,
            "damaged_gops": bad,
            "damage": report.damage,
        }
