"""``vqcodec decode``: a .vqv file becomes a video file."""

from __future__ import annotations

from ..errors import DamageError
from ..options import DecodeOptions, Limits
from ..system.progress import clock, counted, size
from .codec_options import FORMAT, VCODEC
from .command import command
from .messages import Manner, finish, note, progress, say, warn
from .options import LIMITS, NETWORK, PATHS, RATE, STRETCH, STRICT, TALK, TRACKS, WEIGHTS
from .spelling import remark
from .typed import Fields, Named, made


@command(
    short_help="Decode a .vqv file to a video file.",
    examples=[
        "vqcodec decode in.vqv out.mp4",
        "vqcodec decode in.vqv out.mkv --vcodec ffv1 -ss 10 -t 5",
        "vqcodec decode in.vqv -f matroska - | mpv -",
        "vqcodec decode in.vqv -ss 5 -frames:v 1 a.png",
    ],
)
@PATHS
@STRETCH
@RATE
@TRACKS
@WEIGHTS
@NETWORK
@FORMAT
@VCODEC
@STRICT
@LIMITS
@TALK
def decode(
    named: Named, weights: str | None, fields: Fields, limits: Limits, manner: Manner
) -> int:
    """Decode a .vqv file to a video file; its suffix chooses the kind (.y4m, .mkv, .mp4, .mov,
    .webm, ...)."""
    src, dst = named.pair(".mkv")
    options = made(DecodeOptions, fields | {"limits": limits})
    from ..pipeline.decode_plan import DecodePlan

    plan = DecodePlan.of(src, dst, options, weights=weights, overwrite=named.overwrite)
    # behind what may refuse at once, for this loads more
    from ..pipeline.decode import decode_plan

    with progress(manner) as shown:
        report = decode_plan(plan, progress=shown)
    note("", report.notes, manner.quiet)
    warn(src, report.damage)
    warn(dst, [*report.warnings, *report.lost])
    if not report.ok:
        say(
            f"vqcodec: warning: {src} is damaged: {report.concealed} of {report.frames} frames"
            " were concealed"
        )
    finish(
        {
            "command": "decode",
            "output": dst,
            "frames": report.frames,
            "gops": report.gops,
            "concealed_frames": report.concealed,
            "damaged_gops": report.damaged_gops,
            "complete": report.complete,
            "fps": report.fps,
            "seconds": report.seconds,
            "notes": report.notes,
            "warnings": [*report.damage, *report.warnings],
            "codec": remark(report.codec),
            "bytes": report.bytes,
            "left_out": report.lost,
        }
    )
    length = "" if report.bytes is None else f"{report.bytes} bytes ({size(report.bytes)}), "
    say(
        f"{dst}: {counted(report.frames, 'frame')}, {length}{remark(report.codec)},"
        f" {report.fps:.2f} fps, {clock(report.seconds)}",
        manner.quiet,
    )
    return 0 if report.ok and not report.lost else DamageError.exit_code
