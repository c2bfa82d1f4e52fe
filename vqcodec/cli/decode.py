"""``vqcodec decode``: a .vqv file becomes a video file."""

from __future__ import annotations

from typing import Any

import click

from ..errors import DamageError
from ..options import DecodeOptions, parse_codec_options, parse_rate
from ..system.progress import clock, size
from ..system.stdio import check_source, check_target
from .shared import (
    LIMITS,
    NETWORK,
    PATHS,
    PIX_FMT,
    RANGE,
    RATE,
    STRICT,
    TALK,
    TRACKS,
    choice,
    command,
    finish,
    in_out,
    limits_of,
    note,
    progress,
    rare,
    say,
    span,
    warn,
)


def decode_options(
    *,
    start: str | None,
    duration: str | None,
    end: str | None,
    frames: int | None,
    format_: str | None = None,
    rate: str | None,
    no_audio: bool,
    no_subtitles: bool,
    no_data: bool,
    maps: tuple[str, ...],
    threads: int,
    batch: int,
    device: str,
    vcodec: str | None,
    vcodec_opts: str,
    pix_fmt: str | None,
    strict: bool,
    **limits: int,
) -> DecodeOptions:
    """Options of decoding as they are typed."""
    begin, length = span(start, duration, end, frames)
    return DecodeOptions(
        vcodec=vcodec,
        vcodec_opts=parse_codec_options(vcodec_opts),
        pix_fmt=pix_fmt,
        format=format_,
        start=begin,
        duration=length,
        rate=parse_rate(rate) if rate else None,
        threads=threads,
        batch=batch,
        device=device,
        strict=strict,
        tracks=choice(no_audio, no_subtitles, no_data, maps),
        limits=limits_of(limits),
    )


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
@RANGE
@RATE
@TRACKS
@NETWORK
@rare(
    "-f",
    "--format",
    "format_",
    metavar="NAME",
    help="Kind of the output, not by its suffix: matroska (of -: with all tracks), yuv4mpegpipe, mp4.",
)
@click.option(
    "--vcodec",
    metavar="NAME",
    help="Picture codec of the output, e.g. libx264, libx265, ffv1, rawvideo; by suffix if not given.",
)
@rare("--vcodec-opts", metavar="OPTS", default="", help="Its options: crf=12:preset=fast")
@PIX_FMT
@STRICT
@LIMITS
@TALK
def decode(
    paths: tuple[str, ...],
    input_: str | None,
    output: str | None,
    overwrite: bool,
    weights: str | None,
    progress_mode: str,
    quiet: bool,
    **given: Any,
) -> int:
    """Decode a .vqv file to a video file; its suffix chooses the kind (.y4m, .mkv, .mp4, .mov, .webm, ...)."""
    src, dst = in_out(paths, input_, output, ".mkv")
    options = decode_options(**given)
    check_source(src)
    check_target(dst, [src], overwrite)
    from ..pipeline.decode import decode as run

    with progress(progress_mode, quiet) as shown:
        report = run(src, dst, options, weights=weights, overwrite=overwrite, progress=shown)
    note("", report.notes, quiet)
    warn(src, report.damage)
    warn(dst, [*report.warnings, *report.lost])
    if not report.ok:
        say(
            f"vqcodec: warning: {src} is damaged: {report.concealed} of {report.frames} frames were concealed"
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
            "codec": report.codec,
            "bytes": report.bytes,
            "left_out": report.lost,
        }
    )
    length = "" if report.bytes is None else f"{report.bytes} bytes ({size(report.bytes)}), "
    say(
        f"{dst}: {report.frames} frames, {length}{report.codec}, {report.fps:.2f} fps, {clock(report.seconds)}",
        quiet,
    )
    return 0 if report.ok and not report.lost else DamageError.exit_code
