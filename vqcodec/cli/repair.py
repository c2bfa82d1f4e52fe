"""``vqcodec repair``: the undamaged part of a damaged file."""

from __future__ import annotations

from ..errors import DamageError
from ..options import Limits
from ..system.progress import counted, size
from .command import command
from .messages import say, warn
from .options import LIMITS, MESSAGES, PATHS
from .typed import Named


@command(
    short_help="Write the undamaged part of a damaged .vqv file.",
    examples=["vqcodec repair broken.vqv good.vqv"],
)
@PATHS
@LIMITS
@MESSAGES
def repair(
    named: Named,
    limits: Limits,
    quiet: bool,
) -> int:
    """Write the undamaged packets of a damaged .vqv file to a new one, with a new header and
    index."""
    src, dst = named.pair(".repaired.vqv")
    from ..pipeline.repair import repair as run

    report = run(src, dst, overwrite=named.overwrite, limits=limits)
    warn(src, report.damage)
    if not report.complete:
        say(
            f"vqcodec: warning: {src} has no index: whether frames are missing at its end is"
            " not known"
        )
    others = ""
    if report.lost_packets:
        others = f" and {counted(report.lost_packets, 'packet')} of other tracks and tags"
    say(
        f"{dst}: {counted(report.frames, 'frame')} in {counted(report.gops, 'GOP')},"
        f" {counted(report.lost, 'frame')}{others} lost, {report.bytes} bytes"
        f" ({size(report.bytes)})",
        quiet,
    )
    return 0 if report.ok else DamageError.exit_code
