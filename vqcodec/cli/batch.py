"""``vqcodec batch``: many files and folders."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from ..errors import InputError, UsageError
from ..options import DecodeOptions, EncodeOptions
from ..system.columns import columns
from ..system.progress import clock, size
from . import messages
from .decode import decode, decode_options
from .encode import encode, encode_options
from .shared import CLUSTER, TALK, command, connect, finish, progress, rare, resources, say, warn
from .spelling import remark

if TYPE_CHECKING:
    from ..batch.run import Entry

_OWN = {
    "paths",
    "input_",
    "output",
    "overwrite",
    "progress_mode",
    "verbose",
    "quiet",
    "log_file",
    "help_all",
    "jobs",
    "resume",
    "stats",
    "scheduler",
    "resource",
    "format_",
    "estimate",
}
_ENCODE = [p for p in encode.params if p.name not in _OWN]
_DECODE = [p for p in decode.params if p.name not in _OWN]
_NAMES = {
    option: {p.name for p in params}
    for option, params in (("encode", _ENCODE), ("decode", _DECODE))
}


def _options(function: Any) -> Any:
    """The options of encode and decode that make sense for many files."""
    for param in reversed({p.name: p for p in (*_ENCODE, *_DECODE)}.values()):
        function.__click_params__.append(param)
    return function


def _told(entry: Entry) -> str:
    """The message of a file's outcome, naming the file at fault where that is another."""
    o = entry.outcome
    named = o.at_fault in (None, entry.job.source)
    return remark(o.message) if named else f"{o.at_fault}: {remark(o.message)}"


def _read_list(path: str, null: bool) -> list[str]:
    from ..batch.plan import parse_list

    try:
        if path == "-":
            return parse_list(sys.stdin.buffer.read(), null)
        with open(path, "rb") as file:
            return parse_list(file.read(), null)
    except OSError as exc:
        raise InputError(f"{path}: the list cannot be read: {exc.strerror or exc}") from exc


@command(
    short_help="Encode or decode many files.",
    examples=[
        "vqcodec batch videos --out coded --workers 0",
        "find . -name '*.mov' -print0 | vqcodec batch --list - -0 --out coded -crf 34",
        "vqcodec batch coded --decode --suffix .mp4 --out videos",
        "vqcodec batch videos --out coded --scheduler tcp://host:8786",
    ],
)
@click.argument("paths", nargs=-1, metavar="FILE|DIR...", type=click.Path())
@click.option(
    "-o",
    "--out",
    "out",
    metavar="DIR",
    type=click.Path(),
    help="The folder of the outputs, which mirrors those of the inputs.",
)
@click.option(
    "--list",
    "list_",
    metavar="FILE",
    type=click.Path(),
    help="Take names from this file too, one on a line; - is standard input.",
)
@click.option(
    "-0",
    "--null",
    "null",
    is_flag=True,
    help="Names of the list end with a NUL, as find -print0 writes them.",
)
@click.option(
    "-y",
    "existing",
    flag_value="y",
    type=str,
    default=None,
    help="Make outputs anew that are of another source or other options.",
)
@click.option(
    "-n", "existing", flag_value="n", type=str, help="Leave every output that is there as it is."
)
@click.option("--decode", "decodes", is_flag=True, help="Decode .vqv files instead.")
@click.option(
    "--suffix",
    default=".mkv",
    metavar="SUFFIX",
    help="With --decode: kind of the outputs whose names don't tell one.",
    show_default=True,
)
@click.option(
    "--workers",
    "--jobs",
    "workers",
    type=int,
    default=1,
    metavar="N",
    help="Files made at the same time, 0 for one on each processor.",
    show_default=True,
)
@CLUSTER
@rare(
    "--log",
    metavar="FILE",
    type=click.Path(),
    help="Where lines of JSON say what was done. [default: batch.jsonl in the folder of the outputs]",
)
@_options
@TALK
@click.pass_context
def batch(
    ctx: click.Context,
    paths: tuple[str, ...],
    out: str | None,
    list_: str | None,
    null: bool,
    existing: str | None,
    decodes: bool,
    suffix: str,
    workers: int,
    scheduler: str | None,
    resource: tuple[str, ...],
    log: str | None,
    progress_mode: str,
    quiet: bool,
    **given: Any,
) -> int:
    """Encode or decode many files and whole folders; what is done already is passed over."""
    mine, others = ("decode", "encode") if decodes else ("encode", "decode")
    for param in ctx.command.params:
        if (
            param.name in _NAMES[others] - _NAMES[mine]
            and ctx.get_parameter_source(param.name) == click.core.ParameterSource.COMMANDLINE
        ):
            raise UsageError(f"{param.opts[0]} is an option of {others}, not of {mine}")
    given = {name: value for name, value in given.items() if name in _NAMES[mine]}
    weights = given.pop("weights")
    options: EncodeOptions | DecodeOptions = (
        decode_options(**given) if decodes else encode_options(quiet=quiet, **given)
    )
    if out is None:
        raise UsageError("--out is missing: the folder for the outputs")
    if not paths and list_ is None:
        raise UsageError("there is nothing to do: name files, folders or a --list")
    if null and list_ is None:
        raise UsageError("-0 is about a --list, and none is given")
    needed = resources(resource)
    if resource and scheduler is None:
        raise UsageError("--resource is about a --scheduler, and none is given")
    if scheduler is not None and decodes:
        raise UsageError("--scheduler encodes; --decode works on this machine, with --workers")
    from ..batch.plan import plan

    listed = _read_list(list_, null) if list_ is not None else []
    if decodes:
        from ..media.output_formats import suffixes

        if suffix not in suffixes():
            raise UsageError(
                f"--suffix: {suffix!r} is no kind of video that is written, allowed are {', '.join(suffixes())}"
            )
        jobs = plan(paths, listed, decode=suffix, known=tuple(suffixes()))
    else:
        jobs = plan(paths, listed)
    if not jobs:
        raise InputError(
            "no file was found: folders are searched for video files by their suffixes"
            if not decodes
            else "no .vqv file was found"
        )
    from ..batch.run import Task
    from ..batch.run import batch as run

    done = 0

    def tell(entry: Entry, left: int) -> None:
        nonlocal done
        done += 1
        o = entry.outcome
        warn(entry.job.source, o.warnings)
        if entry.state == "failed":
            say(f"vqcodec: error: {o.at_fault or entry.job.source}: {remark(o.message)}")
        else:
            rate = f", {o.bpp:.5f} bpp of pictures" if o.bpp is not None else ""
            say(
                f"{entry.job.output}: {o.frames} frames, {size(o.bytes or 0)}{rate}, {o.fps:.2f} fps, {left} {'file' if left == 1 else 'files'} to go",
                quiet,
            )

    with ExitStack() as stack:
        cluster = None
        if scheduler is not None:
            cluster = stack.enter_context(connect(scheduler, needed))
            if ctx.get_parameter_source("workers") == click.core.ParameterSource.DEFAULT:
                workers = 0
        task = Task(
            out,
            options,
            weights,
            workers,
            {"y": True, "n": None, None: False}[existing],
            log,
            cluster,
        )
        shown = stack.enter_context(progress(progress_mode, quiet))
        report = run(jobs, task, finished=tell, progress=shown.show)
    rows: list[tuple[str, ...]] = [("file", "frames", "bytes", "bpp", "PSNR", "fps", "code", "")]
    for e in report.entries:
        o = e.outcome
        if e.state in ("done", "failed") or e.outcome.code:
            figures = (
                str(o.frames),
                "-" if o.bytes is None else str(o.bytes),
                "-" if o.bpp is None else f"{o.bpp:.5f}",
                "-" if o.psnr is None else f"{o.psnr:.3f}",
                f"{o.fps:.2f}",
            )
            rows.append(
                (
                    e.job.source if e.state == "failed" else e.job.output,
                    *(figures if o.frames else "-----"),
                    str(o.code),
                    _told(e),
                )
            )
    if len(rows) > 1 and not quiet and sys.stdout is not None:
        messages.show(*columns(rows, (0, len(rows[0]) - 1)))
    made = [e.outcome for e in report.entries if e.state == "done"]
    frames, written = sum(o.frames for o in made), sum(o.bytes or 0 for o in made)
    words = {
        "done": "made",
        "before": "done before",
        "left": "left as they were",
        "failed": "failed",
        "waiting": "not begun or not finished",
    }
    counts = {text: report.count(state) for state, text in words.items()}
    finish(
        {
            "command": "batch",
            "out": out,
            "files": len(jobs),
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
        f"{os.fspath(out)}: {told}; {frames} frames, {size(written)}, {fps:.2f} fps, {clock(report.seconds)}",
        quiet,
    )
    if report.stopped:
        say("vqcodec: stopped: the same command goes on")
        return 128 + signal.SIGINT
    return report.exit_code
