"""The decoding pipeline: GOP by GOP, each checked against its checksum, lost frames concealed and reported."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from itertools import chain, pairwise
from typing import Unpack

from ..container.description import Description
from ..container.reader import ContainerReader
from ..container.tracks import StoredTracks
from ..errors import DamageError, RefusedError, UsageError, located
from ..options import DecodeOptions, changed
from ..picture import Picture
from ..reading.opening import check_memory, check_model, open_reader
from ..reading.sequence import DecodeReport, chosen_stretch, frame_step, frames
from ..system.files import atomic_path
from ..system.progress import Meter, ProgressCallback, as_meter
from ..system.stdio import PIPE, check_source, check_target, is_stream, target_file
from ..system.surroundings import undisturbed
from ..values import DecodeChanges
from .constant_rate import at_rate


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
        report.lost.append(
            f"only the pictures are written, for with all that the file holds it failed: {exc}"
        )
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
        stack.enter_context(located(file=src))
        reader = open_reader(stack, src, options.limits)
        header = reader.header
        stored = StoredTracks(reader)
        report.complete = reader.complete
        report.damage.extend(reader.damaged)
        report.damage.extend(stored.damage)
        if options.strict and not report.ok:
            raise DamageError(f"{report.damage[0]}", file=src)
        _check_maps(src, options, stored)
        if pictures_only:
            stored.tracks, stored.description = {}, Description(pix_fmt=stored.description.pix_fmt)
        from ..codec.weights import load_codec, read_model_id
        from ..media.output_formats import choose_codec, choose_format
        from ..media.sink import Extras, VideoSink
        from .picture_files import PictureFiles, check_pictures, is_picture_name

        ten_bit = header.bit_depth > 8
        as_pictures = options.format is None and is_picture_name(dst)
        if as_pictures:
            check_pictures(dst, options, reader.frames)
        else:
            vcodec = choose_codec(dst, header.width, header.height, options.vcodec, options.format)[
                0
            ]
            choose_format(vcodec, options.pix_fmt, stored.description, ten_bit)
        check_memory(reader, options, stored.size)
        check_model(reader, read_model_id(weights))
        if not reader.gops and options.strict:
            raise DamageError("no frames", file=src)
        codec = load_codec(weights, options.device, options.threads)
        if progress is not None:
            progress.total, progress.rate = (
                reader.frames,
                float(header.rate) if header.rate else None,
            )
        chosen = stack.enter_context(closing(frames(reader, codec, options, report)))  # type: ignore[type-var]
        first = next(chosen, None)
        if first is None:
            if report.damage:
                raise DamageError(f"no frame could be saved: {report.damage[0]}", file=src)
            raise UsageError(
                f"no frame lies within the chosen times: it has {reader.frames} frames, and "
                "vqcodec info shows how long it is",
                file=src,
            )
        # opened only now: chapters need to know where the chosen frames begin
        file, path = None, dst
        if as_pictures:
            pass  # they have names of their own
        elif dst == PIPE:
            file = stack.enter_context(target_file(dst, whole=options.strict))
        else:
            path = str(stack.enter_context(atomic_path(dst, overwrite)))
        extras = Extras(stored, options.tracks, *chosen_stretch(reader, options, report))
        shown: Iterator[tuple[int, int, Picture]] = chain([first], chosen)
        if options.rate is not None:
            step, most = frame_step(reader), options.limits.frames
            even = at_rate(shown, header.time_base, options.rate, step, most)
            shown = stack.enter_context(closing(even))  # type: ignore[type-var]
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
            sink = VideoSink(
                path,
                header,
                ten_bit=ten_bit,
                threads=options.threads,
                extras=extras,
                file=file,
                uneven=uneven,
                **choice,  # type: ignore[arg-type]
            )
        stack.callback(sink.abort)
        known = len(stored.damage)
        for pts, duration, picture in shown:
            whole = ten_bit or as_pictures  # RGB is rounded once
            sink.write(pts, picture if whole else picture.to8(), duration)
            if progress is not None:
                progress.update(report.frames)
        sink.close(
            None
            if report.end is None
            else math.ceil(report.end * reader.header.time_base / header.time_base)
        )
        if options.rate is not None and sink.frames != report.frames:
            report.notes.append(
                f"{report.frames} frames became {sink.frames} at {options.rate} frames a second"
            )
        report.damage += stored.damage[known:]
        report.notes += sink.notes
        report.warnings += sink.warnings
        report.lost += sink.lost
        report.codec = sink.quality
        if not as_pictures and dst != PIPE:
            report.bytes = os.path.getsize(path)
        if options.strict and stored.damage:
            raise DamageError(f"{stored.damage[0]}", file=src)
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
