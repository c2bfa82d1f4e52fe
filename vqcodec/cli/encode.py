"""``vqcodec encode``: a video file becomes a .vqv file."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING

from ..errors import DamageError, TargetError, UsageError
from ..options import EncodeOptions
from ..system.progress import clock, counted, size
from . import messages
from .codec_options import ARITHMETICS, COLOUR, JOBS, PLAYLISTS, QUALITY, RECORDS
from .command import command, rare
from .messages import Manner, finish, note, progress, say, warn
from .options import CLUSTER, NETWORK, PATHS, RATE, STRETCH, STRICT, TALK, TRACKS, WEIGHTS
from .scheduler import connect
from .typed import Fields, Named, Scheduler, is_spread, made

if TYPE_CHECKING:
    from ..pipeline.output import EncodeReport

_STOPPING = (
    b"\nvqcodec: ending the file with the frames that are being coded;"
    b" ctrl-C once more stops at once\n"
)


@command(
    examples=[
        "vqcodec encode in.mp4                    # to in.vqv",
        "vqcodec encode in.mkv out.vqv -crf 34 --jobs 0",
        "vqcodec encode in.mkv out.vqv --max-size 50M",
        "ffmpeg -i in.mov -f yuv4mpegpipe - | vqcodec encode - out.vqv",
    ]
)
@PATHS
@QUALITY
@STRETCH
@RATE
@COLOUR
@TRACKS
@PLAYLISTS
@WEIGHTS
@NETWORK
@ARITHMETICS
@JOBS
@CLUSTER
@RECORDS
@rare(
    "--estimate",
    is_flag=True,
    help="Write nothing; estimate size, PSNR and time from a few stretches.",
)
@STRICT
@TALK
def encode(
    named: Named,
    weights: str | None,
    fields: Fields,
    scheduler: Scheduler | None,
    estimate: bool,
    manner: Manner,
) -> int:
    """Encode a video file to .vqv."""
    options = made(EncodeOptions, fields)
    if estimate:
        if options.resume or options.stats or scheduler:
            raise UsageError(
                "--estimate writes nothing: leave out --resume, --stats and --scheduler"
            )
        return _estimate(named.alone(), options, weights, manner, is_spread(fields))
    src, dst = named.pair(".vqv")
    from ..pipeline.encode_plan import EncodePlan

    plan = EncodePlan.of(
        src,
        dst,
        options,
        weights=weights,
        overwrite=named.overwrite,
        spread=scheduler is None and is_spread(fields),
    )
    # behind what may refuse at once, for these load numpy and more
    from ..pipeline.encode import encode_plan
    from ..system.interrupt import Interrupt

    def stopping() -> None:
        # written without a buffer, which the signal may have come upon in the middle of its work
        if not manner.quiet:
            os.write(2, _STOPPING)

    with progress(manner) as shown, ExitStack() as stack:
        cluster = None if scheduler is None else stack.enter_context(connect(scheduler))
        with Interrupt(stopping) as interrupt:
            report = encode_plan(plan, progress=shown, interrupt=interrupt, cluster=cluster)
    note(plan.source.name, report.notes, manner.quiet)
    warn(plan.source.name, [*report.warnings, *report.lost])
    finish(_result(dst, report))
    say(_summary(dst, report), manner.quiet)
    if report.stopped:
        of = f" of about {shown.total}" if shown.total else ""
        goes_on = "; --resume -y continues it" if options.resume else ""
        first = counted(report.frames, "frame")
        say(f"vqcodec: stopped: {dst} holds the first {first}{of}{goes_on}")
        return 128 + signal.SIGINT
    if report.missed:
        say(f"vqcodec: warning: {dst}: {report.missed}")
    if report.corrupt or report.lost:
        return DamageError.exit_code
    return TargetError.exit_code if report.missed else 0


def _result(dst: str, report: EncodeReport) -> dict[str, object]:
    """What ``--progress json`` tells at the end."""
    return {
        "command": "encode",
        "output": dst,
        "frames": report.frames,
        "gops": report.gops,
        "bytes": report.bytes,
        "picture_bytes": report.picture_bytes,
        "track_bytes": report.track_bytes,
        "source_bytes": report.source_bytes,
        "crf": report.crf,
        "missed": report.missed,
        "bpp": report.bpp,
        "kbps": report.kbps,
        "picture_bpp": report.picture_bpp,
        "picture_kbps": report.picture_kbps,
        "psnr": report.psnr._asdict() if report.frames else None,
        "fps": report.fps,
        "seconds": report.seconds,
        "damaged_frames": report.corrupt,
        "stopped": report.stopped,
        "notes": report.notes,
        "warnings": report.warnings,
        "left_out": report.lost,
    }


def _summary(dst: str, report: EncodeReport) -> str:
    """The line about the file."""
    psnr = report.psnr
    kbps = f"{report.picture_kbps:.2f} kbps, " if report.frames > 1 else ""  # one lasts no time
    tracks = f"{size(report.track_bytes)} of other tracks and tags, " if report.track_bytes else ""
    of_source = f", {100 * report.share:.1f} % of the source" if report.share else ""
    return (
        f"{dst}: {counted(report.frames, 'frame')}, {report.bytes} bytes"
        f" ({size(report.bytes)}{of_source}),"
        f" {tracks}pictures: {report.picture_bpp:.5f} bpp, {kbps}PSNR {psnr.yuv:.3f} dB"
        f" (Y {psnr.y:.3f} U {psnr.u:.3f} V {psnr.v:.3f}),"
        f" {report.fps:.2f} fps, {clock(report.seconds)}"
    )


def _estimate(
    src: str, options: EncodeOptions, weights: str | None, manner: Manner, spread: bool
) -> int:
    """What an encode with these options would give; an output that is named is left alone."""
    from ..pipeline.estimate import estimate_of

    with progress(manner) as shown:
        told = estimate_of(src, options, weights, shown, spread)
    finish({"command": "estimate", "input": src, "share": told.share} | asdict(told))
    share = f", {100 * told.share:.1f} % of the source" if told.share else ""
    ends = f" ({told.psnr_worst:.2f} to {told.psnr_best:.2f})" if told.stretches > 1 else ""
    stretches = "1 stretch" if told.stretches == 1 else f"{told.stretches} stretches"
    of = f"{stretches}, {told.sampled_frames} of {told.frames} frames"
    messages.show(
        f"{src}: about {size(told.bytes)}{share}, PSNR {told.psnr:.2f} dB{ends},"
        f" {clock(told.seconds)} to encode on this machine; from {of}"
    )
    return 0
