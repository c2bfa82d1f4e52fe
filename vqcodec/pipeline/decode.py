"""A .vqv file becomes a video file, or pictures: GOP by GOP, each checked against its checksum,
lost frames concealed and reported."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from .. import values
from ..codec.gop_structure import MINI_GOP
from ..container.description import Description
from ..container.packets import StreamHeader
from ..container.reader import ContainerReader
from ..container.stored_tracks import StoredTracks
from ..errors import DamageError, RefusedError, UsageError, located
from ..options import DecodeOptions, changed
from ..picture_size import padded_size
from ..reading.checks import check_memory, check_model, open_reader
from ..reading.chosen_frames import chosen_stretch, frames
from ..reading.decode_report import DecodeReport
from ..reading.gop_times import frame_step
from ..system.ahead import read_ahead
from ..system.files import atomic_path
from ..system.progress import Meter, ProgressCallback, as_meter
from ..system.surroundings import undisturbed
from ..values import DecodeChanges
from .constant_rate import at_rate
from .decode_plan import DecodePlan

UNWRITTEN_BYTES = 32 << 20  # of pictures that are decoded and not yet written

if TYPE_CHECKING:
    from ..media.sink import VideoSink
    from ..picture import Picture

    Shown = Iterator[tuple[int, int, Picture]]  # times and durations in ticks, and pictures


@values.taking(
    src=values.path,
    dst=values.path,
    options=values.instance(DecodeOptions),
    weights=values.path,
    overwrite=values.flag,
    progress=values.progress,
)
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

    Sources of 8 bits give pictures of 8 bits, others of 10 bits. Damaged GOPs keep their frame
    count and times: their frames are blended from the pictures around them and are reported in
    ``damage``. With ``options.strict`` any damage raises DamageError and nothing is written.

    Args:
        src: The .vqv file, or ``-`` for standard input.
        dst: The output, or ``-`` for standard output.
        options: What to decode, and to what.
        weights: Weights of the model, if not those that come with the program.
        overwrite: Whether an output that is there is replaced.
        progress: Called with a ProgressEvent after each frame. What it raises ends the decoding,
            and then nothing is written.
        changes: Fields of DecodeOptions in the place of those of ``options``, such as
            ``vcodec="ffv1"``.

    Returns:
        What was decoded, and what is wrong with the file.

    Raises:
        UsageError: An argument or an option makes no sense, or not together with another.
        InputError: No .vqv file, or it cannot be read.
        DamageError: The header is lost, or with ``options.strict`` anything else.
        OutputError: The output is there already, cannot be written, or the disk is full.
        LimitError: Something is larger than ``options.limits`` allow.
        WeightsError: The weights are missing, damaged, or of another model.
    """
    options = changed(options or DecodeOptions(), changes)
    plan = DecodePlan.of(src, dst, options, weights=weights, overwrite=overwrite)
    return decode_plan(plan, progress=progress)


@undisturbed()
def decode_plan(
    plan: DecodePlan, *, progress: ProgressCallback | Meter | None = None
) -> DecodeReport:
    """Do what is planned; report and errors as those of :func:`decode`."""
    meter = as_meter(progress)
    try:
        return _decode(plan, meter)
    except RefusedError as exc:
        if plan.options.strict or plan.source.once or plan.destination.piped:
            raise
        # what else is in the file must not cost the pictures
        report = _decode(plan, meter, pictures_only=True)
        report.lost.append(
            f"only the pictures are written, for with all that the file holds it failed: {exc}"
        )
        return report


def _decode(plan: DecodePlan, meter: Meter | None, pictures_only: bool = False) -> DecodeReport:
    begin, report = time.monotonic(), DecodeReport()
    with ExitStack() as stack:
        stack.enter_context(located(file=plan.source.name))
        coded = _open(stack, plan, report, pictures_only)
        header = coded.reader.header
        if meter is not None:
            meter.total = coded.reader.frames
            meter.rate = float(header.rate) if header.rate else None
        shown = _frames(stack, plan, coded, report)
        if plan.options.rate is not None:
            header = replace(header, rate=plan.options.rate, time_base=1 / plan.options.rate)
        # opened only now: chapters need to know where the chosen frames begin
        sink, path = _open_sink(stack, plan, coded, report, header)
        stack.callback(sink.abort)
        _write(plan, coded, report, meter, shown, sink)
        if path is not None:
            report.bytes = path.stat().st_size
    report.seconds = time.monotonic() - begin
    return report


# -- open


@dataclass(frozen=True)
class _Coded:
    """A .vqv file that is open, and proven to be one that can be decoded."""

    reader: ContainerReader
    stored: StoredTracks
    ten_bit: bool


def _open(stack: ExitStack, plan: DecodePlan, report: DecodeReport, pictures_only: bool) -> _Coded:
    """Open the file; refuse what can be refused before anything is decoded."""
    src, options = plan.source.name, plan.options
    reader = open_reader(stack, src, options.limits)
    stored = StoredTracks(reader)
    report.complete = reader.complete
    report.damage.extend(reader.damaged)
    report.damage.extend(stored.damage)
    if options.strict and not report.ok:
        raise DamageError(report.damage[0], file=src)
    _check_maps(src, options, stored)
    if pictures_only:
        stored.tracks, stored.description = {}, Description(pix_fmt=stored.description.pix_fmt)
    coded = _Coded(reader, stored, reader.header.bit_depth > 8)
    _check_format(plan, coded)
    check_memory(reader, options, stored.size)
    from ..codec.weights import read_model_id

    check_model(reader, read_model_id(plan.weights))
    if not reader.gops and options.strict:
        raise DamageError("no frames", file=src)
    return coded


def _check_maps(src: str, options: DecodeOptions, stored: StoredTracks) -> None:
    """UsageError where a map names no track of the file."""
    from ..media.chosen_tracks import matched

    _, matcher = matched(stored.tracks.values(), options.tracks)
    matcher.keeps("video", 0, 0)
    matcher.check(src)


def _check_format(plan: DecodePlan, coded: _Coded) -> None:
    """UsageError where the output cannot be of the kind that is asked for."""
    from ..media.output_formats import choose_codec, choose_format
    from .picture_files import check_pictures

    options, header, dst = plan.options, coded.reader.header, plan.destination.name
    if plan.as_pictures:
        check_pictures(dst, options, coded.reader.frames)
        return
    codec, _ = choose_codec(dst, header.width, header.height, options.vcodec, options.format)
    choose_format(codec, options.pix_fmt, coded.stored.description, coded.ten_bit)


# -- frames


def _frames(stack: ExitStack, plan: DecodePlan, coded: _Coded, report: DecodeReport) -> Shown:
    """The chosen frames, at the rate that is asked for; raises where there are none."""
    from ..codec.weights import load_codec

    src, options, reader = plan.source.name, plan.options, coded.reader
    codec = load_codec(plan.weights, options.device, options.threads)
    decoded = read_ahead(frames(reader, codec, options, report), _steps_ahead(reader))
    chosen = stack.enter_context(closing(decoded))
    first = next(chosen, None)
    if first is None:
        if report.damage:
            raise DamageError(f"no frame could be saved: {report.damage[0]}", file=src)
        raise UsageError(
            f"no frame lies within the chosen times: it has {reader.frames} frames, and"
            " vqcodec info shows how long it is",
            file=src,
        )
    shown = chain([first], chosen)
    if options.rate is None:
        return shown
    base, step, most = reader.header.time_base, frame_step(reader), options.limits.frames
    return stack.enter_context(closing(at_rate(shown, base, options.rate, step, most)))


def _steps_ahead(reader: ContainerReader) -> int:
    """Frames that are decoded while those before them are converted and written."""
    frame = 3 * math.prod(padded_size(reader.header.width, reader.header.height))  # bytes
    return max(1, min(MINI_GOP, UNWRITTEN_BYTES // frame))


# -- write


def _open_sink(
    stack: ExitStack, plan: DecodePlan, coded: _Coded, report: DecodeReport, header: StreamHeader
) -> tuple[VideoSink, Path | None]:
    """What takes the pictures, and the path of the file where it is one."""
    from ..media.sink import Extras, OutputChoice, open_sink
    from .picture_files import PictureFiles

    options, destination = plan.options, plan.destination
    if plan.as_pictures:  # which have names of their own
        return PictureFiles(destination.name, header, destination.overwrite), None
    file = path = None
    if destination.piped:
        file = stack.enter_context(destination.open(whole=options.strict))
    else:
        path = stack.enter_context(atomic_path(destination.name, destination.overwrite))
    choice = OutputChoice(
        vcodec=options.vcodec,
        vcodec_opts=options.vcodec_opts,
        pix_fmt=options.pix_fmt,
        format=options.format,
        threads=options.threads,
    )
    sink = open_sink(
        path or destination.name,
        header,
        ten_bit=coded.ten_bit,
        choice=choice,
        extras=Extras(coded.stored, options.tracks, *chosen_stretch(coded.reader, options, report)),
        file=file,
        uneven=options.rate is None and _is_uneven(coded.reader),
    )
    return sink, path


def _is_uneven(reader: ContainerReader) -> bool:
    """Whether frames are not at equal distances, by the first and the last GOP."""
    for i in {0, len(reader.gops) - 1}:
        try:
            pts = reader.read_gop(i).pts
        except DamageError:
            continue
        apart = {later - earlier for earlier, later in pairwise(pts)}
        if apart and 2 * max(apart) > 3 * min(apart):
            return True
    return False


def _write(
    plan: DecodePlan,
    coded: _Coded,
    report: DecodeReport,
    meter: Meter | None,
    shown: Shown,
    sink: VideoSink,
) -> None:
    """Write the frames, complete the output, and report on it."""
    rate, known = plan.options.rate, len(coded.stored.damage)
    deep = coded.ten_bit or plan.as_pictures  # RGB is rounded once
    for written, (pts, duration, picture) in enumerate(shown, 1):
        sink.write(pts, picture if deep else picture.to8(), duration)
        if meter is not None:
            meter.update(written if rate is None else report.frames)
    end = report.end
    if end is not None and rate is not None:
        end = math.ceil(end * coded.reader.header.time_base * rate)
    sink.close(end)
    if rate is not None and sink.frames != report.frames:
        report.notes.append(
            f"{report.frames} frames became {sink.frames} at {rate} frames a second"
        )
    report.damage += coded.stored.damage[known:]
    report.notes += sink.notes
    report.warnings += sink.warnings
    report.lost += sink.lost
    report.codec = sink.quality
    if plan.options.strict and coded.stored.damage:
        raise DamageError(coded.stored.damage[0], file=plan.source.name)
