"""``vqcodec join``: files of ranges become one."""

from __future__ import annotations

import click

from ..errors import DamageError, UsageError
from ..system.progress import counted, size
from .command import command
from .messages import say, warn
from .options import MESSAGES, OVERWRITE


@command(
    short_help="Join .vqv files of parts of a video.",
    examples=["vqcodec join a.vqv b.vqv out.vqv"],
)
@click.argument("paths", nargs=-1, metavar="PART... OUT", type=click.Path())
@OVERWRITE
@MESSAGES
def join(paths: tuple[str, ...], overwrite: bool, quiet: bool) -> int:
    """Join .vqv files that were encoded from ranges of a video, without coding anything again."""
    if len(paths) < 2:
        raise UsageError("at least one part and the output are needed: vqcodec join PART... OUT")
    *parts, dst = paths
    if "-" in paths:
        raise UsageError("streams (-) cannot be joined, name files")
    from ..pipeline.join import join as run

    report = run(parts, dst, overwrite=overwrite)
    warn(dst, report.lost)
    say(
        f"{dst}: {counted(report.parts, 'part')}, {counted(report.frames, 'frame')},"
        f" {counted(report.gops, 'GOP')}, {report.bytes} bytes ({size(report.bytes)})",
        quiet,
    )
    return DamageError.exit_code if report.lost else 0
