"""The decoding pipeline: GOP by GOP, each checked against its checksum, lost frames concealed and reported."""

from __future__ import annotations

import math
import os
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, TypedDict, Unpack

from .conceal import Gap, lost_gop_times
from .container import GopPayload
from .errors import DamageError, DamageLog, LimitError, RefusedError, UsageError, VqvError, WeightsError
from .files import atomic_path
from .given import DecodeChanges
from .options import MAX_BATCH, DecodeOptions, Limits, Time, automatic_batch, changed
from .picture import Picture
from .pipes import PIPE, check_source, check_target, is_stream, source_path, target_file
from .progress import Meter, ProgressCallback, as_meter
from .retime import at_rate
from .scan import ContainerReader
from .surroundings import undisturbed
from .tracks import Description, StoredTracks


@dataclass
class DecodeReport:
    """What was decoded. ``damage`` holds a sentence for each thing found wrong, ``concealed`` counts frames filled in."""

    frames: int = 0
    gops: int = 0
    damaged_gops: int = 0
    concealed: int = 0
    complete: bool = True
    damage: DamageLog = field(default_factory=DamageLog)
    notes: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)  # tracks that the output took a part of only
    codec: str = ""  # of the output's pictures, with its quality
    bytes: int | None = None  # of the output; None of standard output, and of many files
    seconds: float = 0.0
    shift: int = 0  # ticks that were taken off the times of the file
    end: int | None = None  # of the chosen frames, in ticks from their begin; None: that of the file

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
        raise WeightsError(f"file needs model {reader.header.model_id.hex()}, these weights are {model_id.hex()}: name those that it was encoded with by --weights")


def decoder_memory(width: int, height: int, batch: int = 0) -> int:
    """Bytes that a process takes at most to decode pictures of this size, as measured (test_memory.py); an output's encoder comes on top."""
    padded = (width + 63) // 64 * 64 * ((height + 63) // 64 * 64)
    at_once = batch or automatic_batch(width, height)
    return (540 << 20) + padded * (65 + 105 * min(at_once, MAX_BATCH))


def check_memory(reader: ContainerReader, options: DecodeOptions, tracks: int = 0) -> None:
    """LimitError where decoding would take more memory than the limit allows, with ``tracks`` bytes of descriptions and attachments, which an output holds once more."""
    width, height = reader.header.width, reader.header.height
    need = decoder_memory(width, height, options.batch) + 2 * tracks
    if reader.gops and need > options.limits.memory:
        raise LimitError(
            f"decoding {width}x{height} needs about {need >> 20} MiB, over the limit of {options.limits.memory >> 20} MiB: --max-memory raises it, a smaller --batch needs less"
        )


def frame_step(reader: ContainerReader) -> int:
    """Ticks from frame to frame at the nominal rate, at least 1."""
    h = reader.header
    return max(1, round(1 / ((h.rate or Fraction(25)) * h.time_base)))


class GopDecoder:
    """Decodes GOPs of a file in order, hiding damage.

    :meth:`pictures` gives ``(pts, duration, Picture)`` of a GOP with 10-bit pictures; reports go into ``report``. Where frames
    are lost the first picture of the next sound GOP is decoded ahead, so that they can be blended into it; nothing else is held.
    """

    def __init__(self, reader: ContainerReader, codec: Any, options: DecodeOptions, report: DecodeReport) -> None:
        self._reader, self._codec, self._options, self._report = reader, codec, options, report
        self._held: Picture | None = None
        self._last_pts: int | None = None
        self._gap = Gap(0, 0, None, None)
        self._next: tuple[int, int | None] = 0, None  # number and time of the first frame of a lost GOP that follows on another
        self._begin: int | None = None  # index of the first GOP that was asked for
        self._timed = 0  # index of the next GOP whose first time is known, from where it was last looked for
        self.step = frame_step(reader)

    def _lost(self, error: VqvError) -> None:
        if self._options.strict:
            raise DamageError(str(error)) from error
        self._report.damage.note(str(error))
        self._report.damaged_gops += 1

    def _decoded(self, gop: GopPayload, wanted: range) -> Iterator[Picture | None]:
        """Pictures of a GOP as decoded; DamageError, at the end, when their checksum is not the encoder's.

        Frames not wanted are given as None and cost nothing; the checksum is that of all frames, so it is looked at only when all are wanted.
        """
        from .gop import checksum_update, decode_gop

        header, crc = self._reader.header, 0
        batch = {"batch": self._options.batch} if self._options.batch else {}
        pictures = decode_gop(self._codec, gop.body, len(gop.pts), header.width, header.height, wanted=wanted, **batch)
        for i in range(len(gop.pts)):
            picture = next(pictures, None) if i in wanted else None
            if picture is not None:
                crc = checksum_update(crc, picture)
            elif i in wanted:
                raise DamageError(f"{i} pictures instead of {len(gop.pts)}")
            yield picture
        if len(wanted) == len(gop.pts) and crc != gop.checksum:
            raise DamageError("decoded pixels differ from the encoder's")

    def _behind(self, i: int) -> tuple[int, Picture | None]:
        """Number and picture of the first frame behind the i-th GOP that can be decoded; past the last frame there is none."""
        for j in range(i + 1, len(self._reader.gops)):
            try:
                gop = self._reader.read_gop(j, self._last_pts)
                return self._reader.gops[j].first_frame, next(self._decoded(gop, range(1)))
            except DamageError:  # reported when it is that GOP's turn
                continue
        return self._reader.frames, None

    def _look_back(self, i: int) -> None:
        """Where decoding begins with lost frames of the i-th GOP: hold the picture and time before them, as if all had been decoded from there on."""
        gops, lost = self._reader.gops, 0
        for j in range(i - 1, -1, -1):
            try:
                gop = self._reader.read_gop(j)
                *_, picture = self._decoded(gop, range(len(gop.pts) - 1, len(gop.pts)))
            except DamageError:
                lost += gops[j].count
                if lost > self._options.limits.concealed:
                    return
                continue
            self._held, self._last_pts = picture, gop.pts[-1]
            for k in range(j + 1, i):
                self._last_pts = self._lost_times(k)[-1]
            number, behind = self._behind(i)
            self._gap = Gap(gops[j + 1].first_frame, number, picture, behind)
            return

    def _time_behind(self, i: int) -> tuple[int, int | None]:
        """Number and time of the first frame behind the i-th GOP that has a known time."""
        gops = self._reader.gops
        self._timed = max(self._timed, i + 1)
        while self._timed < len(gops) and gops[self._timed].first_pts is None:
            self._timed += 1
        if self._timed < len(gops):
            return gops[self._timed].first_frame, gops[self._timed].first_pts
        return gops[i].first_frame + gops[i].count, None

    def _lost_times(self, i: int) -> list[int]:
        """Times of the i-th GOP, whose own are lost."""
        entry = self._reader.gops[i]
        start = self._next[1] if entry.first_pts is None and self._next[0] == entry.first_frame else entry.first_pts
        number, before = self._time_behind(i)
        times, following = lost_gop_times(entry.count, start, self._last_pts, before, self.step, number - entry.first_frame)
        self._next = entry.first_frame + entry.count, following
        return times

    def _concealed(self, i: int, first: int, times: list[int] | None) -> Iterator[tuple[int, Picture]]:
        """Times and pictures in the place of the i-th GOP's frames from number ``first`` on."""
        entry, header, limit = self._reader.gops[i], self._reader.header, self._options.limits.concealed
        end = entry.first_frame + entry.count
        if self._report.concealed + end - first > limit:  # before a list of as many times is made
            raise LimitError(f"{self._report.concealed + end - first} frames are lost, over the limit of {limit} (--max-concealed raises it)")
        if i == self._begin and first == entry.first_frame:
            self._look_back(i)
        if not self._gap.first <= first < self._gap.end:
            number, picture = self._behind(i)
            self._gap = Gap(first, number, self._held, picture)
        if times is None:
            times = self._lost_times(i)
        for frame in range(first, end):
            self._report.concealed += 1
            yield times[frame - first], self._gap.picture(frame, header.width, header.height)

    def pictures(self, i: int, choose: Callable[[list[int]], range] | None = None) -> Iterator[tuple[int, int, Picture | None]]:
        """Frames of the i-th GOP; always as many as its entry says. LimitError, and with ``strict`` DamageError.

        ``choose`` says from the times of its frames which of them are wanted; the pictures of others may be None.
        """
        entry = self._reader.gops[i]
        self._begin = i if self._begin is None else self._begin
        done = 0
        times: list[int] | None = None
        duration = 0
        try:
            gop = self._reader.read_gop(i, self._last_pts)
            times, duration = list(gop.pts), gop.duration
            with closing(self._decoded(gop, choose(times) if choose else range(len(times)))) as decoded:  # type: ignore[type-var]
                for picture in decoded:
                    self._held, self._last_pts = picture or self._held, times[done]
                    done += 1
                    yield times[done - 1], duration if done == entry.count else 0, picture
        except DamageError as exc:
            where = "" if "byte" in str(exc) or "lost" in str(exc) else f"GOP {i} (frames {entry.first_frame} to {entry.first_frame + entry.count - 1}, byte {entry.offset}): "
            self._lost(DamageError(where + str(exc)))
        if done < entry.count:
            for pts, picture in self._concealed(i, entry.first_frame + done, times and times[done:]):
                self._last_pts = pts
                done += 1
                yield pts, duration if done == entry.count else 0, picture
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

    Only the GOPs needed are decoded, and of them only the frames needed.
    """
    decoder = GopDecoder(reader, codec, options, report)
    begin = _first_gop(reader, options.start)
    base = reader.header.time_base
    start, length = options.start or Time(frames=0), options.duration
    origin = reader.gops[0].first_pts if reader.gops else None
    shift = 0
    stop: Fraction | None = None
    given = 0

    def choose(times: list[int]) -> range:
        """Which frames of the GOP at ``number`` are chosen, as the loop below does."""
        seconds = [(t - (times[0] if origin is None else origin)) * base for t in times]
        first = bisect_left(seconds, start.seconds) if start.seconds is not None else max(0, (start.frames or 0) - number)
        last = len(times)
        if length is not None and length.frames is not None:
            last = min(last, first + length.frames - given)
        elif length is not None and length.seconds is not None and first < last:
            end = stop if stop is not None else (start.seconds if start.seconds is not None else seconds[first]) + length.seconds
            last = bisect_left(seconds, end)
        return range(min(first, last), last)

    for i in range(begin, len(reader.gops)):
        number = reader.gops[i].first_frame
        with closing(decoder.pictures(i, choose)) as pictures:  # type: ignore[type-var]
            for pts, duration, picture in pictures:
                origin = pts if origin is None else origin
                seconds = (pts - origin) * base
                if seconds >= start.seconds if start.seconds is not None else number >= (start.frames or 0):
                    if not given:
                        shift = report.shift = pts if options.start else 0
                        if length is not None and length.seconds is not None:
                            stop = (start.seconds if start.seconds is not None else seconds) + length.seconds
                    if stop is not None and seconds >= stop or length is not None and length.frames is not None and given >= length.frames:
                        return
                    assert picture is not None  # chosen frames are wanted ones
                    given += 1
                    report.frames += 1
                    report.end = None if length is None else pts - shift + (duration or decoder.step)
                    yield pts - shift, duration, picture
                    if length is not None and length.frames is not None and given >= length.frames:
                        return
                number += 1


@undisturbed()
def decode(
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    options: DecodeOptions | None = None,
    *,
    weights: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    progress: ProgressCallback | Meter | None = None,
    **changes: Unpack[DecodeChanges],
) -> DecodeReport:
    """Decode a .vqv file to a video file of the kind of its suffix.

    ``changes`` are fields of DecodeOptions, such as ``vcodec="ffv1"``, in the place of those of ``options``. ``progress`` is called with a
    ProgressEvent after each frame; what it raises ends the decoding, and then nothing is written.
    Damaged GOPs keep their frame count and times: their frames are blended from the pictures around them and are reported
    in ``damage``; with ``options.strict`` any damage raises DamageError and nothing is written. Eight-bit sources give 8-bit
    pictures, others 10 bits. Raises UsageError, InputError, DamageError, OutputError, LimitError, WeightsError.
    """
    src, dst = os.fspath(src), os.fspath(dst)
    weights = None if weights is None else os.fspath(weights)
    options = changed(options or DecodeOptions(), changes)
    progress = as_meter(progress)
    check_source(src)
    check_target(dst, [src], overwrite)
    given = (src, dst, options, weights, overwrite, progress)
    try:
        return _decode(*given)
    except RefusedError as exc:
        if options.strict or is_stream(src) or dst == PIPE:
            raise
        # what else is in the file must not cost the pictures
        report = _decode(*given, pictures_only=True)
        report.lost.append(f"only the pictures are written, for with all that the file holds it failed: {exc}")
        return report


def _decode(
    src: str,
    dst: str,
    options: DecodeOptions,
    weights: str | None,
    overwrite: bool,
    progress: Meter | None,
    pictures_only: bool = False,
) -> DecodeReport:
    report = DecodeReport()
    begin = time.monotonic()
    with ExitStack() as stack:
        stack.enter_context(_named(src))
        reader = open_reader(stack, src, options.limits)
        header = reader.header
        stored = StoredTracks(reader)
        report.complete = reader.complete
        report.damage.extend(reader.damaged)
        report.damage.extend(stored.damage)
        if options.strict and not report.ok:
            raise DamageError(f"{src}: {report.damage[0]}")
        _check_maps(src, options, stored)
        if pictures_only:
            stored.tracks, stored.description = {}, Description(pix_fmt=stored.description.pix_fmt)
        from .picture_files import PictureFiles, check_pictures, is_picture_name
        from .sink import Extras, VideoSink, choose_codec, choose_format
        from .weights import load_codec, read_model_id

        ten_bit = header.bit_depth > 8
        as_pictures = options.format is None and is_picture_name(dst)
        if as_pictures:
            check_pictures(dst, options, reader.frames)
        else:
            vcodec = choose_codec(dst, header.width, header.height, options.vcodec, options.format)[0]
            choose_format(vcodec, options.pix_fmt, stored.description, ten_bit)
        check_memory(reader, options, stored.size)
        check_model(reader, read_model_id(weights))
        if not reader.gops and options.strict:
            raise DamageError(f"{src}: no frames")
        codec = load_codec(weights, options.device, options.threads)
        if progress is not None:
            progress.total, progress.rate = reader.frames, float(header.rate) if header.rate else None
        chosen = stack.enter_context(closing(frames(reader, codec, options, report)))  # type: ignore[type-var]
        first = next(chosen, None)
        if first is None:
            if report.damage:
                raise DamageError(f"{src}: no frame could be saved: {report.damage[0]}")
            raise UsageError(f"{src}: no frame lies within the chosen times: it has {reader.frames} frames, and vqcodec info shows how long it is")
        # opened only now: chapters need to know where the chosen frames begin
        file, path = None, dst
        if as_pictures:
            pass  # they have names of their own
        elif dst == PIPE:
            file = stack.enter_context(target_file(dst, whole=options.strict))
        else:
            path = str(stack.enter_context(atomic_path(dst, overwrite)))
        extras = Extras(stored, options.tracks, *_stretch(reader, options, report))
        shown: Iterator[tuple[int, int, Picture]] = chain([first], chosen)
        if options.rate is not None:
            shown = stack.enter_context(closing(at_rate(shown, header.time_base, options.rate, frame_step(reader), options.limits.frames)))  # type: ignore[type-var]
            header = replace(header, rate=options.rate, time_base=1 / options.rate)
        choice = {
            "vcodec": options.vcodec,
            "vcodec_opts": options.vcodec_opts,
            "pix_fmt": options.pix_fmt,
            "format": options.format,
        }
        uneven = options.rate is None and _is_uneven(reader)
        sink: VideoSink | PictureFiles
        if as_pictures:
            sink = PictureFiles(dst, header, overwrite)
        else:
            sink = VideoSink(path, header, ten_bit=ten_bit, threads=options.threads, extras=extras, file=file, uneven=uneven, **choice)  # type: ignore[arg-type]
        stack.callback(sink.abort)
        known = len(stored.damage)
        for pts, duration, picture in shown:
            whole = ten_bit or as_pictures  # RGB is rounded once
            sink.write(pts, picture if whole else picture.to8(), duration)
            if progress is not None:
                progress.update(report.frames)
        sink.close(None if report.end is None else math.ceil(report.end * reader.header.time_base / header.time_base))
        if options.rate is not None and sink.frames != report.frames:
            report.notes.append(f"{report.frames} frames became {sink.frames} at {options.rate} frames a second")
        report.damage += stored.damage[known:]
        report.notes += sink.notes
        report.lost += sink.lost
        report.codec = sink.quality
        if not as_pictures and dst != PIPE:
            report.bytes = os.path.getsize(path)
        if options.strict and stored.damage:
            raise DamageError(f"{src}: {stored.damage[0]}")
    report.seconds = time.monotonic() - begin
    return report


def _is_uneven(reader: ContainerReader) -> bool:
    """Whether frames are not at equal distances, by the first and the last of them."""
    for i in {0, len(reader.gops) - 1}:
        try:
            pts = reader.read_gop(i).pts
        except DamageError:
            continue
        apart = {b - a for a, b in pairwise(pts)}
        if apart and 2 * max(apart) > 3 * min(apart):
            return True
    return False


def _check_maps(src: str, options: DecodeOptions, stored: StoredTracks) -> None:
    """UsageError where a map names no track of the file, before anything is decoded."""
    matched, kinds = options.tracks.matcher(), {"video": 1}
    matched.keeps("video", 0, 0)
    for track in sorted(stored.tracks.values(), key=lambda t: t.number):
        position = kinds.get(track.kind, 0)
        kinds[track.kind] = position + 1
        matched.keeps(track.kind, position, track.number + 1)
    matched.check(src)


@contextmanager
def _named(src: str) -> Iterator[None]:
    """Errors of what is in a file say which one."""
    try:
        yield
    except (DamageError, LimitError) as exc:
        if src in str(exc):
            raise
        raise type(exc)(f"{src}: {exc}") from exc


_EARLIER = 10  # seconds before the first chosen frame where packets of its time may be stored, and subtitles begin that are still shown


def _stretch(reader: ContainerReader, options: DecodeOptions, report: DecodeReport) -> tuple[Fraction, Fraction | None, int]:
    """Begin and end of what is taken in seconds on the clock of the file, and the frame with which the first packets needed are stored."""
    base = reader.header.time_base
    start = report.shift * base
    stop: Fraction | None = None
    if options.duration is not None:
        length = options.duration.seconds if options.duration.seconds is not None else (options.duration.frames or 0) * frame_step(reader) * base
        origin = reader.gops[0].first_pts or 0
        stop = (start if options.start is not None else origin * base) + length
    early = [e.first_frame for e in reader.gops if e.first_pts is not None and e.first_pts * base <= start - _EARLIER]
    return start, stop, early[-1] if options.start is not None and early else 0


def open_reader(stack: ExitStack, src: str, limits: Limits | None = None) -> ContainerReader:
    """Open a .vqv file for as long as ``stack`` lives; errors name the file."""
    path = Path(source_path(stack, src))
    try:
        return ContainerReader(stack.enter_context(path.open("rb")), limits)
    except VqvError as exc:
        raise type(exc)(f"{src}: {exc}") from exc


class VerifyReport(TypedDict):
    """What a check found, ready for JSON. ``damage`` holds a sentence for each thing found wrong."""

    file: str
    complete: bool
    ok: bool
    pixels_checked: bool
    frames: int
    gops: int
    bytes: int
    damaged_gops: int
    damage: list[str]


@undisturbed()
def verify(
    path: str | os.PathLike[str],
    fast: bool = False,
    *,
    weights: str | os.PathLike[str] | None = None,
    options: DecodeOptions | None = None,
    progress: ProgressCallback | Meter | None = None,
) -> VerifyReport:
    """Check a file: all checksums of the container, and unless ``fast`` every decoded pixel against the encoder's.

    Damage is reported, not raised. Of ``options`` threads, batch, device and limits matter.
    Raises InputError, LimitError, WeightsError.
    """
    path = os.fspath(path)
    report = DecodeReport()
    options = options or DecodeOptions()
    progress = as_meter(progress)
    with ExitStack() as stack:
        reader = open_reader(stack, path, options.limits)
        report.complete = reader.complete
        report.damage.extend(reader.damaged)
        stored = StoredTracks(reader)
        for _ in stored.packets():
            pass
        report.damage.extend(stored.damage)
        if fast:
            after: int | None = None
            for i in range(len(reader.gops)):
                try:
                    after = reader.read_gop(i, after).pts[-1]
                except DamageError as exc:
                    report.damaged_gops += 1
                    report.damage.note(str(exc))
        else:
            from .weights import load_codec, read_model_id

            check_memory(reader, options, stored.size)
            check_model(reader, read_model_id(weights))
            decoder = GopDecoder(reader, load_codec(weights, options.device, options.threads), options, report)
            if progress is not None:
                progress.total = reader.frames
            for i in range(len(reader.gops)):
                for _ in decoder.pictures(i):
                    report.frames += 1
                    if progress is not None:
                        progress.update(report.frames)
        return {
            "file": path,
            "complete": report.complete,
            "ok": report.ok,
            "pixels_checked": not fast,
            "frames": reader.frames,
            "gops": len(reader.gops),
            "bytes": reader.size,
            "damaged_gops": report.damaged_gops,
            "damage": report.damage,
        }
