"""``vqcodec batch``: many files and folders."""

from __future__ import annotations

import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import InputError, UsageError
from ..options import DecodeOptions, EncodeOptions, Limits
from ..system.columns import columns
from ..system.progress import clock, counted, size
from . import messages
from .codec_options import (
    ARITHMETICS,
    COLOUR,
    DECODE_ONLY,
    ENCODE_ONLY,
    PLAYLISTS,
    QUALITY,
    VCODEC,
)
from .command import command, rare
from .groups import group
from .messages import Manner, finish, progress, say, warn
from .options import (
    CLUSTER,
    LIMITS,
    NETWORK,
    RATE,
    STRETCH,
    STRICT,
    TALK,
    TRACKS,
    WEIGHTS,
)
from .scheduler import connect
from .spelling import remark
from .typed import Fields, Files, Scheduler, Work, files, made, work

if TYPE_CHECKING:
    from ..batch.plan import Job
    from ..batch.run import BatchReport, Entry

_HEADS = ("file", "frames", "bytes", "bpp", "PSNR", "fps", "code", "")
# states of entries, and what the summary calls them
_STATES = {
    "done": "made",
    "before": "done before",
    "left": "left as they were",
    "failed": "failed",
    "waiting": "not begun or not finished",
}
_FILES = group(
    files,
    click.argument("paths", nargs=-1, metavar="FILE|DIR...", type=click.Path()),
    click.option(
        "-o",
        "--out",
        "out",
        metavar="DIR",
        type=click.Path(),
        help="The folder of the outputs, which mirrors those of the inputs.",
    ),
    click.option(
        "--list",
        "list_",
        metavar="FILE",
        type=click.Path(),
        help="Take names from this file too, one on a line; - is standard input.",
    ),
    click.option(
        "-0",
        "--null",
        "null",
        is_flag=True,
        help="Names of the list end with a NUL, as find -print0 writes them.",
    ),
    into="files",
)
_WORK = group(
    work,
    click.option(
        "-y",
        "existing",
        flag_value="y",
        type=str,
        default=None,
        help="Replace outputs of another source or of other options.",
    ),
    click.option(
        "-n",
        "existing",
        flag_value="n",
        type=str,
        help="Leave every output that is there as it is.",
    ),
    click.option("--decode", "decodes", is_flag=True, help="Decode .vqv files instead."),
    click.option(
        "--suffix",
        default=".mkv",
        metavar="SUFFIX",
        help="With --decode: suffix of outputs whose names have none.",
        show_default=True,
    ),
    click.option(
        "--workers",
        "--jobs",
        "workers",
        type=int,
        default=1,
        metavar="N",
        help="Files made at the same time, 0 for one on each processor.",
        show_default=True,
    ),
    into="work",
)


@command(
    short_help="Encode or decode many files.",
    examples=[
        "vqcodec batch videos --out coded --workers 0",
        "find . -name '*.mov' -print0 | vqcodec batch --list - -0 --out coded -crf 34",
        "vqcodec batch coded --decode --suffix .mp4 --out videos",
        "vqcodec batch videos --out coded --scheduler tcp://host:8786",
    ],
)
@_FILES
@_WORK
@CLUSTER
@rare(
    "--log",
    metavar="FILE",
    type=click.Path(),
    help=(
        "Where lines of JSON say what was done. [default: batch.jsonl in the folder of the outputs]"
    ),
)
@QUALITY
@STRETCH
@RATE
@COLOUR
@TRACKS
@PLAYLISTS
@WEIGHTS
@NETWORK
@ARITHMETICS
@STRICT
@VCODEC
@LIMITS
@TALK
def batch(
    files: Files,
    work: Work,
    scheduler: Scheduler | None,
    log: str | None,
    weights: str | None,
    fields: Fields,
    limits: Limits,
    manner: Manner,
) -> int:
    """Encode or decode many files and whole folders; what is done already is passed over."""
    _refuse_others(work.decodes)
    options: EncodeOptions | DecodeOptions = (
        made(DecodeOptions, fields | {"limits": limits})
        if work.decodes
        else made(EncodeOptions, fields)
    )
    out = files.folder()
    if scheduler is not None and work.decodes:
        raise UsageError("--scheduler encodes; --decode works on this machine, with --workers")
    jobs = _jobs(files, work)
    from ..batch.run import Task
    from ..batch.run import batch as run

    with ExitStack() as stack:
        cluster, workers = None, work.workers
        if scheduler is not None:
            cluster = stack.enter_context(connect(scheduler))
            if not _typed("workers"):
                workers = 0
        task = Task(out, options, weights, workers, work.overwrite, log, cluster)
        shown = stack.enter_context(progress(manner))

        def tell(entry: Entry, left: int) -> None:
            _tell(entry, left, manner.quiet)

        report = run(jobs, task, finished=tell, progress=shown.show)
    _table(report, manner.quiet)
    _summary(out, report, manner.quiet)
    if report.stopped:
        say("vqcodec: stopped: the same command continues")
        return 128 + signal.SIGINT
    return report.exit_code


def _typed(name: str) -> bool:
    """Whether the user gave this parameter of the command."""
    source = click.get_current_context().get_parameter_source(name)
    return source == click.core.ParameterSource.COMMANDLINE


def _refuse_others(decodes: bool) -> None:
    """UsageError for an option that is about the other direction only."""
    mine, others = ("decode", "encode") if decodes else ("encode", "decode")
    names = frozenset[str]().union(*(g.names for g in (ENCODE_ONLY if decodes else DECODE_ONLY)))
    for param in click.get_current_context().command.params:
        if param.name in names and _typed(param.name):
            raise UsageError(f"{param.opts[0]} is an option of {others}, not of {mine}")


def _jobs(files: Files, work: Work) -> list[Job]:
    """What is to be made; raises UsageError and InputError where there is nothing."""
    from ..batch.plan import plan

    listed = _read_list(files.list_, files.null) if files.list_ is not None else []
    if not work.decodes:
        jobs = plan(files.paths, listed)
        if not jobs:
            raise InputError(
                "no file was found: folders are searched for video files by their suffixes"
            )
        return jobs
    from ..media.output_formats import suffixes

    known = tuple(suffixes())
    if work.suffix not in known:
        raise UsageError(
            f"--suffix: {work.suffix!r} is no kind of video that is written, allowed are"
            f" {', '.join(known)}"
        )
    jobs = plan(files.paths, listed, decode=work.suffix, known=known)
    if not jobs:
        raise InputError("no .vqv file was found")
    return jobs


def _read_list(path: str, null: bool) -> list[str]:
    from ..batch.plan import parse_list

    try:
        data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
        return parse_list(data, null)
    except OSError as exc:
        raise InputError(f"{path}: the list cannot be read: {exc.strerror or exc}") from exc


def _tell(entry: Entry, left: int, quiet: bool) -> None:
    """Say what came of a file."""
    outcome, job = entry.outcome, entry.job
    warn(job.source, outcome.warnings)
    if entry.state == "failed":
        say(f"vqcodec: error: {outcome.at_fault or job.source}: {remark(outcome.message)}")
        return
    rate = f", {outcome.bpp:.5f} bpp of pictures" if outcome.bpp is not None else ""
    say(
        f"{job.output}: {counted(outcome.frames or 0, 'frame')}, {size(outcome.bytes or 0)}{rate},"
        f" {outcome.fps:.2f} fps, {left} {'file' if left == 1 else 'files'} to go",
        quiet,
    )


def _table(report: BatchReport, quiet: bool) -> None:
    """Show a row for each file that was made, failed, or has a fault."""
    told = [e for e in report.entries if e.state in ("done", "failed") or e.outcome.code]
    if told and not quiet and sys.stdout is not None:
        rows = [_HEADS, *map(_row, told)]
        messages.show(*columns(rows, (0, len(_HEADS) - 1)))


def _row(entry: Entry) -> tuple[str, ...]:
    outcome = entry.outcome
    figures = ("-",) * 5
    if outcome.frames:
        figures = (
            str(outcome.frames),
            "-" if outcome.bytes is None else str(outcome.bytes),
            "-" if outcome.bpp is None else f"{outcome.bpp:.5f}",
            "-" if outcome.psnr is None else f"{outcome.psnr:.3f}",
            f"{outcome.fps:.2f}",
        )
    name = entry.job.source if entry.state == "failed" else entry.job.output
    return name, *figures, str(outcome.code), _told(entry)


def _told(entry: Entry) -> str:
    """The message of a file's outcome, naming the file at fault where that is another."""
    message, at_fault = remark(entry.outcome.message), entry.outcome.at_fault
    return message if at_fault in (None, entry.job.source) else f"{at_fault}: {message}"


def _summary(out: str, report: BatchReport, quiet: bool) -> None:
    """Say what was done in all."""
    made = [e.outcome for e in report.entries if e.state == "done"]
    frames, written = sum(o.frames for o in made), sum(o.bytes or 0 for o in made)
    counts = {text: report.count(state) for state, text in _STATES.items()}
    finish(
        {
            "command": "batch",
            "out": out,
            "files": len(report.entries),
            "frames": frames,
            "bytes": written,
            "seconds": report.seconds,
            "stopped": report.stopped,
        }
        | {text.replace(" ", "_"): n for text, n in counts.items()}
    )
    told = ", ".join(f"{n} {text}" for text, n in counts.items() if n)
    fps = frames / report.seconds if report.seconds else 0.0
    say(
        f"{out}: {told}; {counted(frames, 'frame')}, {size(written)}, {fps:.2f} fps,"
        f" {clock(report.seconds)}",
        quiet,
    )
