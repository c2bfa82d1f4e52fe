"""The encoding pipeline: frames are read ahead in a thread, cut into GOPs, coded into a journal, and written in order at the end.

For a target of bitrate, PSNR or size this is done in several rounds over the video, of which ``search`` says what is coded in each.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from contextlib import ExitStack, closing
from fractions import Fraction
from itertools import chain
from typing import TYPE_CHECKING, Any, Unpack

from ..container.packets import StreamHeader
from ..encoding.target_search import Round, search
from ..errors import DamageError, UsageError
from ..fields import crc32
from ..options import EncodeOptions, changed
from ..picture import Picture
from ..system.files import atomic_output, check_output, local
from ..system.interrupt import Interrupt
from ..system.processors import usable
from ..system.progress import Meter, ProgressCallback, as_meter
from ..system.stdio import (
    PIPE,
    ByteStream,
    check_coded,
    check_source,
    check_target,
    is_stream,
    same_output,
    target_file,
    video_source,
)
from ..system.surroundings import undisturbed
from ..values import EncodeChanges
from ..version import __version__
from .gop_coders import Coder, Local, Model
from .journal import open_journal, tag
from .output import EncodeReport, Extras
from .passes import Pipeline
from .process_pool import Pool
from .read_ahead import read_ahead

if TYPE_CHECKING:
    from .cluster import Cluster
_LOG = logging.getLogger("vqcodec.nets")


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
        crf=round(options.crf),
        content_id=crc32(*(p.tobytes() for p in first)),
        model_id=model_id,
    )


def _check_tracks(name: str, path: str | None, index: int, options: EncodeOptions) -> None:
    """UsageError where a map names no track, before anything is coded; or where tracks would be
    kept that no longer fit pictures at another rate. A pipe has no ``path``, and no tracks."""
    from ..media.track_source import TrackSource

    if path is None:
        options.tracks.matcher().check(name)
        return
    others = TrackSource(path, index, options.tracks, playlists=options.playlists)
    others.close()
    others.matched.check(name)
    if options.rate is not None and others.timed:
        raise UsageError(
            f"at another rate its {others.timed} other tracks would not fit the pictures",
            file=name,
            advice="leave them out with `tracks=v`, or leave out `rate`",
        )


def chosen_arithmetic(options: EncodeOptions) -> str:
    """What the encoder's nets of all coders of a file multiply in: a GOP must not depend on who codes it."""
    if options.arithmetic != "auto":
        return options.arithmetic
    from ..codec.nets.arithmetic import float_choice
    from ..codec.nets.backend_choice import chosen_device

    return float_choice("auto", chosen_device(options.device))


@undisturbed()
def encode(
    src_path: str | os.PathLike[str],
    dst_path: str | os.PathLike[str],
    options: EncodeOptions | None = None,
    *,
    weights: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    progress: ProgressCallback | Meter | None = None,
    interrupt: Interrupt | None = None,
    cluster: Cluster | None = None,
    stream: ByteStream | None = None,
    **changes: Unpack[EncodeChanges],
) -> EncodeReport:
    """Encode the first video stream of a file to a .vqv file, which appears under its name only when complete.

    ``changes`` are fields of EncodeOptions, such as ``crf=30``, in the place of those of ``options``. ``progress`` is called with a ProgressEvent after
    some frames, from this thread; what it raises ends the encode, and then nothing is written.

    The bytes depend on the pictures, the options, the weights and the arithmetic of the encoder's nets, not on threads, ``options.jobs`` or ``options.resume``.
    ``options.arithmetic`` is what the processor is faster at unless given; the same bytes on all processors are not promised (docs/cluster.md). For a target of bitrate, PSNR or
    size frames are coded several times; what was not reached is told in ``missed``. A damaged source is coded as far as it can be read and counted in
    ``corrupt``, and what it has and a .vqv file cannot keep is told in ``lost``; with
    ``options.strict`` either raises DamageError and nothing is written. An ``interrupt`` ends the
    file early, with the frames coded so far, or all of them if only the search for a target was
    ended (``stopped`` in the report). With ``options.resume`` the work of an encode that ended
    before its time is kept beside the output, and gone on with where it is there already. With a
    ``cluster`` its workers code the GOPs, whatever ``options.jobs`` says.
    A ``stream``, such as a pipe, is read in the place of the file; ``src_path`` then is what
    messages call it.
    Raises UsageError, InputError, LimitError, OutputError, WeightsError.
    """
    src_path, dst_path = local(os.fspath(src_path)), os.fspath(dst_path)
    weights = None if weights is None else os.fspath(weights)
    options = changed(options or EncodeOptions(), changes)
    interrupt = interrupt or Interrupt()
    progress = as_meter(progress)
    check_coded(dst_path, src_path)
    if stream is None:
        check_source(src_path)
    streamed = stream is not None or is_stream(src_path)
    check_target(dst_path, [] if stream is not None else [src_path], overwrite)
    if options.resume and (streamed or dst_path == PIPE):
        raise UsageError(
            "a file is needed for input and output, not -, nor a named pipe", option="resume"
        )
    if options.stats:
        if same_output(options.stats, dst_path):
            raise UsageError("the output is the same file", file=dst_path, option="stats")
        check_output(options.stats, [] if streamed else [src_path], overwrite)
    from ..codec.weights import load_codec, read_metadata, read_model_id
    from ..media.source import VideoSource

    report = EncodeReport()
    begin = time.monotonic()
    with ExitStack() as stack:
        target = options.target
        path, pipe = video_source(stack, src_path, again=target is not None, stream=stream)

        def opened() -> VideoSource:
            return stack.enter_context(
                VideoSource(
                    path,
                    options.start,
                    options.duration,
                    pipe=pipe,
                    name=src_path,
                    rate=options.rate,
                    colour=options.colour,
                    playlists=options.playlists,
                )
            )

        source = opened()
        _check_tracks(src_path, None if pipe else path, source.index, options)
        report.width, report.height = source.width, source.height
        if pipe is None and options.start is None and options.duration is None:
            report.source_bytes = os.path.getsize(path)
        if progress is not None:
            progress.total, progress.rate = (
                source.total,
                float(source.rate) if source.rate else None,
            )
        gop = options.gop_frames(source.rate)
        meta = read_metadata(weights)
        decides = (
            __version__,
            float(options.crf),
            options.preset,
            gop,
            options.start,
            options.duration,
            options.device,
            options.rate,
            options.colour,
            target,
        )
        work = dst_path
        if dst_path == PIPE:  # finished GOPs are kept apart until all is coded here too
            work = os.path.join(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="vqcodec-")),
                "standard-output.vqv",
            )
        arithmetic = chosen_arithmetic(options)
        _LOG.info("the encoder's networks multiply in %s", arithmetic)
        mine = tag(
            os.devnull if pipe else path,
            decides,
            [meta.get(k, "") for k in ("model_id", "analysis_id")],
            arithmetic,
        )
        journal = stack.enter_context(
            open_journal(work, mine, resume=options.resume, overwrite=overwrite)
        )
        journal.keep = options.resume
        coder: Coder
        if cluster is None and options.jobs == 1:
            model = Model(
                weights,
                options.device,
                options.threads,
                source.width,
                source.height,
                options.preset,
                bool(options.stats),
                arithmetic,
            )
            codec = load_codec(weights, options.device, options.threads, arithmetic)
            coder, model_id = Local(model, codec), codec.model_id
        else:
            model = Model(
                weights,
                options.device,
                options.threads or 1,
                source.width,
                source.height,
                options.preset,
                bool(options.stats),
                arithmetic,
            )
            coder = (
                cluster.pool(model)
                if cluster is not None
                else Pool(model, options.jobs or usable(), report.warnings.append)
            )
            model_id = read_model_id(weights)
        stack.callback(coder.close)
        # entered first, so that it gets its name last: no statistics without their video
        stats = (
            stack.enter_context(atomic_output(options.stats, overwrite)) if options.stats else None
        )
        ahead = stack.enter_context(closing(read_ahead(source, interrupt=interrupt)))
        first = next(ahead, None)
        report.start_seconds = time.monotonic() - begin
        if first is None:
            raise UsageError(
                "no frame lies within the chosen times",
                file=src_path,
                advice="`start` is behind its end, or `duration` leaves nothing",
            )
        frames = chain([first], ahead)
        journal.begin(_header(source, first[1], options, model_id))
        step = max(1, round(1 / ((source.rate or Fraction(25)) * source.time_base)))
        pipeline = Pipeline(
            coder, journal, gop, step, report, stats, progress, interrupt, labels=target is not None
        )
        rounds = search(target, source.width, source.height) if target else None
        what, other, reading = next(rounds) if rounds else Round(options.crf), 0, source
        while pipeline.run(what, frames, reading):
            source = reading
            if rounds is None or (source.corrupt and options.strict):
                break
            if target and target.kind == "size" and not other:
                with closing(Extras(source, path, options)) as extras:
                    other = pipeline.other_bytes(extras)
            try:
                what = rounds.send(pipeline.outcome(other))
            except StopIteration as found:
                pipeline.choose(found.value)
                break
            reading = opened()
            frames = chain(stack.enter_context(closing(read_ahead(reading, interrupt=interrupt))))
        else:
            report.stopped, report.source_bytes = True, None
        if source.corrupt and options.strict:
            journal.keep = False
            raise DamageError(f"{source.corrupt} frames are damaged or missing", file=src_path)
        extras = Extras(source, None if pipe else path, options)
        stack.callback(extras.close)
        with (
            target_file(dst_path, overwrite, options.strict)
            if dst_path == PIPE
            else atomic_output(dst_path, overwrite, journal.temporary) as file
        ):
            pipeline.write(file, extras)
            report.corrupt = source.corrupt
            report.warnings += source.warnings
            report.notes += source.notes
            if extras.source is not None:
                report.notes += extras.source.notes
                report.tracks = extras.source.count
                if extras.source.corrupt:
                    report.corrupt += extras.source.corrupt
                    report.warnings.append(
                        f"{extras.source.corrupt} packets of other tracks are damaged"
                    )
            report.lost = extras.lost
            if report.corrupt and options.strict:
                journal.keep = False
                raise DamageError(f"{report.corrupt} frames are damaged or missing", file=src_path)
            if report.lost and options.strict:
                journal.keep = False
                raise DamageError(f"{report.lost[0]}", file=src_path)
        if target and not report.stopped:
            report.missed = target.missed(
                report.picture_kbps, report.psnr[0], report.bytes, report.crf
            )
        journal.keep = options.resume and report.stopped
    report.seconds = time.monotonic() - begin
    return report
