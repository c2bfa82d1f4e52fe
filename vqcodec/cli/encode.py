"""``vqcodec encode``: a video file becomes a .vqv file."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from dataclasses import asdict, replace
from typing import Any

import click

from ..errors import DamageError, TargetError, UsageError
from ..options import MAX_GOP, EncodeOptions, parse_amount, parse_gop, parse_rate
from ..system.files import check_output, local
from ..system.progress import clock, size
from ..system.stdio import check_coded, check_source, check_target
from . import messages
from .shared import (
    ARITHMETICS,
    CLUSTER,
    COLOUR,
    NETWORK,
    PATHS,
    PLAYLISTS,
    RANGE,
    RATE,
    STRICT,
    TALK,
    TRACKS,
    choice,
    colour,
    command,
    connect,
    finish,
    in_out,
    note,
    presets,
    progress,
    rare,
    resources,
    say,
    span,
    warn,
)


def encode_options(
    *,
    quiet: bool,
    preset: str,
    crf: float | None,
    bitrate: str | None,
    target_psnr: float | None,
    max_size: str | None,
    keyint: str | None,
    start: str | None,
    duration: str | None,
    end: str | None,
    frames: int | None,
    rate: str | None,
    color_primaries: str | None,
    color_trc: str | None,
    colorspace: str | None,
    color_range: str | None,
    no_audio: bool,
    no_subtitles: bool,
    no_data: bool,
    maps: tuple[str, ...],
    threads: int,
    batch: int,
    device: str,
    arithmetic: str,
    strict: bool,
    playlists: bool,
) -> EncodeOptions:
    """Options of encoding as they are typed."""
    begin, length = span(start, duration, end, frames)
    if crf is not None and (
        target := next(
            (
                name
                for name, value in (
                    ("-b", bitrate),
                    ("--target-psnr", target_psnr),
                    ("--max-size", max_size),
                )
                if value is not None
            ),
            None,
        )
    ):
        raise UsageError(f"-crf and {target} exclude each other")
    options = EncodeOptions(
        crf=EncodeOptions.crf if crf is None else crf,
        bitrate=None if bitrate is None else parse_amount(bitrate, "bitrate"),
        target_psnr=target_psnr,
        max_size=None if max_size is None else parse_amount(max_size, "max_size"),
        preset=preset,
        start=begin,
        duration=length,
        rate=parse_rate(rate) if rate else None,
        colour=colour(color_primaries, color_trc, colorspace, color_range),
        threads=threads,
        batch=batch,
        device=device,
        arithmetic=arithmetic,
        strict=strict,
        playlists=playlists,
        tracks=choice(no_audio, no_subtitles, no_data, maps),
    )
    if keyint:
        distance = parse_gop(keyint)
        if distance.frames is not None and distance.frames > MAX_GOP:
            say(
                f"vqcodec: note: key frames are at most {MAX_GOP} frames apart, not {distance.frames}",
                quiet,
            )
        options = replace(
            options, gop=distance if distance.frames is None else min(MAX_GOP, distance.frames)
        )
    return options


@command(
    examples=[
        "vqcodec encode in.mp4                    # to in.vqv",
        "vqcodec encode in.mkv out.vqv -crf 34 --jobs 0",
        "vqcodec encode in.mkv out.vqv --max-size 50M",
        "ffmpeg -i in.mov -f yuv4mpegpipe - | vqcodec encode - out.vqv",
    ]
)
@PATHS
@click.option(
    "-preset",
    "--preset",
    "preset",
    default=EncodeOptions.preset,
    metavar="NAME",
    shell_complete=presets,
    help="How long to search: fast, medium or slow.",
    show_default=True,
)
@click.option(
    "-crf",
    "--quality",
    "crf",
    type=float,
    metavar="N",
    help=f"Quality, 0 (best) to 63 (smallest); fractions are allowed. [default: {EncodeOptions.crf}]",
)
@click.option(
    "-b",
    "-b:v",
    "--bitrate",
    "bitrate",
    metavar="RATE",
    help="Instead of -crf: bits per second of the pictures, 800k or 2M.",
)
@click.option(
    "--target-psnr",
    type=float,
    metavar="DB",
    help="Instead of -crf: PSNR of the whole, (6 Y + U + V) / 8, in dB.",
)
@click.option(
    "--max-size",
    metavar="SIZE",
    help="Instead of -crf: largest size of the finished file with all tracks, 700k or 50M.",
)
@click.option(
    "-g",
    "--keyint",
    "keyint",
    metavar="N",
    help="Longest distance of key frames: 1 to 128 (frames), or seconds (4s). [default: 128]",
)
@RANGE
@RATE
@COLOUR
@TRACKS
@PLAYLISTS
@NETWORK
@ARITHMETICS
@click.option(
    "--jobs",
    type=int,
    default=1,
    metavar="N",
    help="Processes that code GOPs at the same time, 0 for one on each processor; never changes the result.",
)
@CLUSTER
@rare(
    "--resume",
    is_flag=True,
    help="Go on with an encode that was cut off; keep the work of this one should it be.",
)
@rare("--stats", metavar="FILE", type=click.Path(), help="Write a line of JSON for each frame.")
@rare(
    "--estimate",
    is_flag=True,
    help="Write nothing, but tell about what size, PSNR and time it would take, from a few stretches.",
)
@STRICT
@TALK
def encode(
    paths: tuple[str, ...],
    input_: str | None,
    output: str | None,
    overwrite: bool,
    weights: str | None,
    jobs: int,
    scheduler: str | None,
    resource: tuple[str, ...],
    resume: bool,
    stats: str | None,
    estimate: bool,
    progress_mode: str,
    quiet: bool,
    **given: Any,
) -> int:
    """Encode a video file to .vqv."""
    if estimate:
        if resume or stats or scheduler:
            raise UsageError(
                "--estimate writes nothing: leave out --resume, --stats and --scheduler"
            )
        options = replace(encode_options(quiet=quiet, **given), jobs=jobs)
        return _estimate(paths, input_, output, options, weights, progress_mode, quiet)
    src, dst = in_out(paths, input_, output, ".vqv")
    src = local(src)
    options = replace(encode_options(quiet=quiet, **given), jobs=jobs, resume=resume, stats=stats)
    needed = resources(resource)
    if resource and scheduler is None:
        raise UsageError("--resource is about a --scheduler, and none is given")
    check_coded(dst, src)
    check_source(src)
    check_target(dst, [src], overwrite)
    if stats:
        check_output(stats, [src], overwrite)
    from ..pipeline.encode import encode as run
    from ..system.interrupt import Interrupt

    stopping = b"\nvqcodec: ending the file with the frames that are being coded; ctrl-C once more stops at once\n"
    with progress(progress_mode, quiet) as shown, ExitStack() as stack:
        cluster = None if scheduler is None else stack.enter_context(connect(scheduler, needed))
        # written without a buffer, which the signal may have come upon in the middle of its work
        with Interrupt(lambda: os.write(2, stopping) if not quiet else None) as interrupt:
            report = run(
                src,
                dst,
                options,
                weights=weights,
                overwrite=overwrite,
                progress=shown,
                interrupt=interrupt,
                cluster=cluster,
            )
    note(src, report.notes, quiet)
    warn(src, [*report.warnings, *report.lost])
    finish(
        {
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
            "psnr": dict(zip(("yuv", "y", "u", "v"), report.psnr, strict=True))
            if report.frames
            else None,
            "fps": report.fps,
            "seconds": report.seconds,
            "damaged_frames": report.corrupt,
            "stopped": report.stopped,
            "notes": report.notes,
            "warnings": report.warnings,
            "left_out": report.lost,
        }
    )
    psnr = report.psnr
    kbps = f"{report.picture_kbps:.2f} kbps, " if report.frames > 1 else ""  # one lasts no time
    tracks = f"{size(report.track_bytes)} of other tracks and tags, " if report.track_bytes else ""
    of_source = f", {100 * report.share:.1f} % of the source" if report.share else ""
    say(
        f"{dst}: {report.frames} frames, {report.bytes} bytes ({size(report.bytes)}{of_source}), {tracks}"
        f"pictures: {report.picture_bpp:.5f} bpp, {kbps}"
        f"PSNR {psnr[0]:.3f} dB (Y {psnr[1]:.3f} U {psnr[2]:.3f} V {psnr[3]:.3f}), "
        f"{report.fps:.2f} fps, {clock(report.seconds)}",
        quiet,
    )
    if report.stopped:
        of = f" of about {shown.total}" if shown.total else ""
        say(
            f"vqcodec: stopped: {dst} holds the first {report.frames} frames{of}"
            + ("; --resume -y goes on" if resume else "")
        )
        return 128 + signal.SIGINT
    if report.missed:
        say(f"vqcodec: warning: {dst}: {report.missed}")
    return (
        DamageError.exit_code
        if report.corrupt or report.lost
        else TargetError.exit_code
        if report.missed
        else 0
    )


def _estimate(
    paths: tuple[str, ...],
    input_: str | None,
    output: str | None,
    options: EncodeOptions,
    weights: str | None,
    progress_mode: str,
    quiet: bool,
) -> int:
    """What an encode with these options would give; an output that is named is left alone."""
    named = len(paths) + (input_ is not None) + (output is not None)
    src, _ = in_out(paths, input_, "-" if named == 1 else output, ".vqv")
    from ..pipeline.estimate import estimate as run

    with progress(progress_mode, quiet) as shown:
        made = run(src, options, weights=weights, progress=shown)
    finish({"command": "estimate", "input": src, "share": made.share} | asdict(made))
    share = f", {100 * made.share:.1f} % of the source" if made.share else ""
    spread = f" ({made.psnr_worst:.2f} to {made.psnr_best:.2f})" if made.stretches > 1 else ""
    of = f"{made.stretches} stretches, {made.sampled_frames} of {made.frames} frames"
    messages.show(
        f"{src}: about {size(made.bytes)}{share}, PSNR {made.psnr:.2f} dB{spread}, {clock(made.seconds)} to encode on this machine; from {of}"
    )
    return 0
