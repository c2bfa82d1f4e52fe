"""``vqcodec repair``: the undamaged part of a damaged file."""

from __future__ import annotations

from ..errors import DamageError
from ..system.progress import counted, size
from ..system.stdio import check_source, check_target
from .shared import LIMITS, LOG, PATHS, QUIET, VERBOSE, command, in_out, limits_of, say, warn


@command(
    short_help="Write the undamaged part of a damaged .vqv file.",
    examples=["vqcodec repair broken.vqv good.vqv"],
)
@PATHS
@LIMITS
@LOG
@VERBOSE
@QUIET
def repair(
    paths: tuple[str, ...],
    input_: str | None,
    output: str | None,
    overwrite: bool,
    quiet: bool,
    **limits: int,
) -> int:
    """Write the undamaged packets of a damaged .vqv file to a new one, with header and index made anew."""
    src, dst = in_out(paths, input_, output, ".repaired.vqv")
    check_source(src)
    check_target(dst, [src], overwrite)
    from ..pipeline.repair import repair as run

    report = run(src, dst, overwrite=overwrite, limits=limits_of(limits))
    warn(src, report.damage)
    if not report.complete:
        say(
            f"vqcodec: warning: {src} has no index: whether frames are missing at its end is not known"
        )
    say(
        f"{dst}: {counted(report.frames, 'frame')} in {counted(report.gops, 'GOP')}, {counted(report.lost, 'frame')} lost, {report.bytes} bytes ({size(report.bytes)})",
        quiet,
    )
    return 0 if report.ok else DamageError.exit_code
