"""``vqcodec join``: files of ranges become one."""

from __future__ import annotations

import click

from ..errors import DamageError, UsageError
from ..system.files import check_input, check_output
from ..system.progress import counted, size
from .shared import LOG, QUIET, VERBOSE, command, say, warn


@command(
    short_help="Join .vqv files of parts of a video.", examples=["vqcodec join a.vqv b.vqv out.vqv"]
)
@click.argument("paths", nargs=-1, metavar="PART... OUT", type=click.Path())
@click.option(
    "-y",
    "overwrite",
    flag_value=True,
    type=bool,
    default=False,
    help="Overwrite the output if it exists.",
)
@click.option("-n", "overwrite", flag_value=False, type=bool, help="Never overwrite (the default).")
@LOG
@VERBOSE
@QUIET
def join(paths: tuple[str, ...], overwrite: bool, quiet: bool) -> int:
    """Join .vqv files that were encoded from ranges of a video, without coding anything anew."""
    if len(paths) < 2:
        raise UsageError("at least one part and the output are needed: vqcodec join PART... OUT")
    *parts, dst = paths
    if "-" in paths:
        raise UsageError("streams (-) cannot be joined, name files")
    for part in parts:
        check_input(part)
    check_output(dst, parts, overwrite)
    from ..pipeline.join import join as run

    report = run(parts, dst, overwrite=overwrite)
    warn(dst, report.lost)
    say(
        f"{dst}: {counted(report.parts, 'part')}, {counted(report.frames, 'frame')}, {counted(report.gops, 'GOP')}, {report.bytes} bytes ({size(report.bytes)})",
        quiet,
    )
    return DamageError.exit_code if report.lost else 0
