"""A video file becomes a .vqv file, in three steps: open, passes over the pictures, write.

Frames are read ahead in a thread, cut into GOPs, coded into a journal, and written in order at
the end. For a target of bitrate, PSNR or size several passes are made over the video.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from .. import values
from ..codec.nets.device_choice import chosen_device
from ..encoding.nets import arithmetic
from ..encoding.target_search import Pass, search
from ..errors import DamageError, UsageError
from ..options import EncodeOptions, changed
from ..picture import Picture
from ..system.files import atomic_output
from ..system.interrupt import Interrupt
from ..system.processors import usable
from ..system.progress import Meter, ProgressCallback, as_meter
from ..system.stdio import ByteStream
from ..system.surroundings import undisturbed
from ..system.torch_needed import need_torch
from ..values import EncodeChanges
from .coding_pass import GopWork
from .encode_plan import EncodePlan
from .encode_source import EncodeSource
from .frame_stats import FrameStats
from .gop_coders import PROGRAM, Coder, LocalCoder, Model
from .journal import Journal, open_journal
from .journal_name import tag
from .output import EncodeReport, SourceExtras
from .passes import Passes
from .process_pool import ProcessCoder

if TYPE_CHECKING:
    from .cluster import Cluster

_LOG = logging.getLogger("vqcodec.nets")


@values.taking(
    src_path=values.path,
    dst_path=values.path,
    options=values.instance(EncodeOptions),
    weights=values.path,
    overwrite=values.flag,
    progress=values.progress,
    interrupt=values.instance(Interrupt),
    cluster=values.having("address"),
    stream=values.having("read"),
)
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
    """Encode the first video stream of a file to a .vqv file, which appears when it is complete.

    The bytes depend on the pictures, the options, the weights and the arithmetic of the encoder's
    nets, not on threads, ``options.jobs`` or ``options.resume``. In integers, as on every CPU, all
    processors make the same bytes; in floats they need not (docs/cluster.md).

    Args:
        src_path: The video; any kind that FFmpeg reads.
        dst_path: The .vqv file, or ``-`` for standard output.
        options: How to encode.
        weights: Weights of the model, if not those that come with the program.
        overwrite: Whether a file that is there is replaced.
        progress: Called with a ProgressEvent after some frames, from this thread. What it raises
            ends the encode, and then nothing is written.
        interrupt: Ends the file early, with the frames coded so far, or with all of them if only
            the search for a target was ended (``stopped`` in the report).
        cluster: Its workers code the GOPs, whatever ``options.jobs`` says.
        stream: Read in the place of the file, such as a pipe; ``src_path`` is what messages
            call it.
        changes: Fields of EncodeOptions in the place of those of ``options``, such as ``crf=30``.

    Returns:
        What was written. For a target of bitrate, PSNR or size frames are coded several times, and
        ``missed`` says what was not reached. A damaged source is coded as far as it can be read and
        counted in ``corrupt``; ``lost`` says what it has that a .vqv file cannot keep. With
        ``options.strict`` either raises DamageError, and nothing is written. With
        ``options.resume`` the work of an encode that ended early is kept beside the output, and
        the next one goes on with it.

    Raises:
        UsageError: An argument or an option makes no sense, or not together with another.
        InputError: The source is missing, unreadable, or has no pictures that can be coded.
        DamageError: With ``options.strict``: the source is damaged, or has what is lost.
        LimitError: The pictures are larger than a .vqv file may have.
        OutputError: The output is there already, cannot be written, or the disk is full.
        WeightsError: The weights are missing or damaged.
        ClusterError: The cluster cannot be reached, or was lost.
    """
    plan = EncodePlan.of(
        src_path,
        dst_path,
        changed(options or EncodeOptions(), changes),
        weights=weights,
        overwrite=overwrite,
        stream=stream,
    )
    return encode_plan(plan, progress=progress, interrupt=interrupt, cluster=cluster)


@undisturbed()
def encode_plan(
    plan: EncodePlan,
    *,
    progress: ProgressCallback | Meter | None = None,
    interrupt: Interrupt | None = None,
    cluster: Cluster | None = None,
) -> EncodeReport:
    """Do what is planned; arguments, report and errors as those of :func:`encode`."""
    begin, report = time.monotonic(), EncodeReport()
    _need_torch(plan.options)
    with ExitStack() as stack:
        source = EncodeSource.open(stack, plan)
        report.width, report.height = source.video.width, source.video.height
        report.source_bytes = source.size
        work, model_id = _open_work(source, report, cluster, interrupt or Interrupt())
        work.meter = as_meter(progress)
        if work.meter is not None:
            rate = source.video.rate
            work.meter.total, work.meter.rate = source.video.total, float(rate) if rate else None
        frames = source.frames(work.interrupt)
        first = next(frames, None)
        report.start_seconds = time.monotonic() - begin
        if first is None:
            raise UsageError(
                "no frame lies within the chosen times",
                file=plan.source.name,
                advice="`start` is behind its end, or `duration` leaves nothing",
            )
        work.journal.begin(source.header(first[1], model_id))
        passes = Passes(work)
        source = _make_passes(source, passes, work, chain([first], frames))
        _write(source, passes, work)
    report.seconds = time.monotonic() - begin
    return report


def _need_torch(options: EncodeOptions) -> None:
    """On a CPU, in integers, an encode does without it."""
    device = chosen_device(options.device)
    if options.arithmetic in arithmetic.FLOATS:
        need_torch(f"arithmetic {options.arithmetic}")
    elif device != "cpu":
        need_torch(f"device {device}")


def chosen_arithmetic(options: EncodeOptions) -> str:
    """What the encoder's nets of all coders of a file multiply in: a GOP must not depend on who
    codes it."""
    if options.arithmetic != "auto":
        return options.arithmetic
    return arithmetic.encoder_choice("auto", chosen_device(options.device))


# -- open


def _open_work(
    source: EncodeSource, report: EncodeReport, cluster: Cluster | None, interrupt: Interrupt
) -> tuple[GopWork, bytes]:
    """What the passes work with, and the id of the model that codes."""
    plan, stack, video = source.plan, source.stack, source.video
    options = plan.options
    longest = options.gop_frames(video.rate)
    arithmetic = chosen_arithmetic(options)
    _LOG.info("the encoder's networks multiply in %s", arithmetic)
    journal = _open_journal(source, longest, arithmetic)
    several = cluster is not None or options.jobs != 1
    model = Model(
        plan.weights,
        options.device,
        options.threads or int(several),  # processes beside each other have one thread each
        video.width,
        video.height,
        options.preset,
        bool(options.stats),
        arithmetic,
    )
    coder, model_id = _open_coder(model, options.jobs, cluster, report.warnings.append)
    stack.callback(coder.close)
    stats = None
    if options.stats:  # entered before the output, so it is named last: no rows without a video
        overwrite = plan.destination.overwrite
        stats = FrameStats(stack.enter_context(atomic_output(options.stats, overwrite)))
    work = GopWork(
        coder,
        journal,
        longest,
        source.step,
        report,
        interrupt,
        stats=stats,
        several=options.target is not None,
    )
    return work, model_id


def _open_journal(source: EncodeSource, longest: int, arithmetic: str) -> Journal:
    """The journal beside the output, or of standard output in a temporary folder."""
    from ..codec.weights import read_metadata

    plan, stack = source.plan, source.stack
    options = plan.options
    decides = (
        PROGRAM,
        float(options.crf),
        options.preset,
        longest,
        options.start,
        options.duration,
        options.device,
        options.rate,
        options.colour,
        options.target,
    )
    output = plan.destination.name
    if plan.destination.piped:  # finished GOPs are kept apart until all is coded here too
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="vqcodec-"))
        output = str(Path(folder) / "standard-output.vqv")
    model = read_metadata(plan.weights)
    mine = tag(
        os.devnull if source.pipe else source.path,
        decides,
        [model.get(key, "") for key in ("model_id", "analysis_id")],
        arithmetic,
    )
    overwrite = plan.destination.overwrite
    journal = stack.enter_context(
        open_journal(output, mine, resume=options.resume, overwrite=overwrite)
    )
    journal.keep = options.resume
    return journal


def _open_coder(
    model: Model, jobs: int, cluster: Cluster | None, warn: Callable[[str], None]
) -> tuple[Coder, bytes]:
    """Who codes the GOPs, and the id of the model."""
    from ..codec.weights import read_model_id

    if cluster is not None:
        return cluster.coder(model), read_model_id(model.weights)
    if jobs != 1:
        return ProcessCoder(model, jobs or usable(), warn), read_model_id(model.weights)
    codec = model.load()
    return LocalCoder(model, codec), codec.model_id


# -- passes


def _make_passes(
    source: EncodeSource, passes: Passes, work: GopWork, frames: Iterator[tuple[int, Picture]]
) -> EncodeSource:
    """All passes: one, or as many as the search for a target asks for, until an interrupt.

    Returns the source as the last pass read it that came to its end.
    """
    options, reading, other = source.plan.options, source, 0
    target = options.target
    found = search(target, source.video.width, source.video.height) if target else None
    this = next(found) if found else Pass(options.crf)
    while passes.run(this, frames, reading.video):
        source = reading
        if found is None or (source.video.corrupt and options.strict):
            return source
        if target and target.kind == "size" and not other:
            with closing(source.extras()) as extras:
                other = passes.other_bytes(extras)
        try:
            this = found.send(passes.outcome(other))
        except StopIteration as best:
            passes.choose(best.value)
            return source
        reading = source.again()
        frames = reading.frames(work.interrupt)
    work.report.stopped, work.report.source_bytes = True, None
    return source


# -- write


def _write(source: EncodeSource, passes: Passes, work: GopWork) -> None:
    """Put the file together, and report on it."""
    plan, report, journal = source.plan, work.report, work.journal
    options = plan.options
    _check_strict(plan, journal, source.video.corrupt, [])
    extras = source.extras()
    source.stack.callback(extras.close)
    with plan.destination.open(options.strict, journal.temporary) as file:
        passes.write(file, extras)
        _report_source(source, extras, report)
        _check_strict(plan, journal, report.corrupt, report.lost)
    if options.target and not report.stopped:
        report.missed = options.target.missed(
            report.picture_kbps, report.psnr.yuv, report.bytes, report.crf
        )
    journal.keep = options.resume and report.stopped


def _check_strict(plan: EncodePlan, journal: Journal, corrupt: int, lost: list[str]) -> None:
    """Where asked to be strict, DamageError for what is damaged or cannot be kept: to go on with
    the encode would meet it again, so its work is not kept."""
    if not plan.options.strict or not (corrupt or lost):
        return
    journal.keep = False
    name = plan.source.name
    if corrupt:
        raise DamageError(f"{corrupt} frames are damaged or missing", file=name)
    raise DamageError(lost[0], file=name)


def _report_source(source: EncodeSource, extras: SourceExtras, report: EncodeReport) -> None:
    """What reading the source to its end has shown."""
    report.corrupt = source.video.corrupt
    report.warnings += source.video.warnings
    report.notes += source.video.notes
    if (tracks := extras.tracks) is not None:
        report.notes += tracks.notes
        report.tracks = tracks.count
        report.corrupt += tracks.corrupt
        if tracks.corrupt:
            report.warnings.append(f"{tracks.corrupt} packets of other tracks are damaged")
    report.lost = extras.lost
