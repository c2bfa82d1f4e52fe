"""The command line. Nothing heavy is imported here: refusals, help and info answer at once."""

from __future__ import annotations

import errno
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import click

from .errors import DamageError, OutputError, UsageError, VqvError
from .files import check_input, check_output
from .options import DecodeOptions, EncodeOptions, Limits, Time, TrackChoice, parse_codec_options, parse_count, parse_gop, parse_time
from .pipes import check_source, check_target
from .progress import MODES, Progress, clock, size
from .version import __version__

_WRITE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


def _options(*decorators: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def apply(function: Any) -> Any:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return apply


_PATHS = _options(
    click.argument("paths", nargs=-1, metavar="IN OUT", type=click.Path()),
    click.option("-i", "input_", metavar="IN", help="The input, instead of the first argument."),
    click.option("-o", "output", metavar="OUT", help="The output, instead of the last argument."),
    click.option("-y", "overwrite", flag_value=True, type=bool, default=False, help="Overwrite the output if it exists."),
    click.option("-n", "overwrite", flag_value=False, type=bool, help="Never overwrite (the default)."),
)
_RANGE = _options(
    click.option("-ss", "start", metavar="TIME", help="Begin at this time: 12.5, 00:01:02.5, or 300f (frames)."),
    click.option("-t", "duration", metavar="TIME", help="Length of what is taken."),
    click.option("-to", "end", metavar="TIME", help="End, instead of the length."),
)
_TRACKS = _options(
    click.option("-an", "no_audio", is_flag=True, help="No sound."),
    click.option("-sn", "no_subtitles", is_flag=True, help="No subtitles."),
    click.option("-dn", "no_data", is_flag=True, help="No data tracks."),
    click.option("-map", "--map", "maps", multiple=True, metavar="TRACKS", help="Keep these tracks only: a (all of v a s d t), a:1 (the second), 0:3 (by number); -a leaves out."),
)
_NETWORK = _options(
    click.option("--weights", metavar="PATH", help="Weights of the model, if not those that come with the program."),
    click.option("-threads", "--threads", type=int, default=0, metavar="N", help="Threads, 0 for all; never changes the result."),
    click.option("--batch", type=int, default=0, metavar="N", help="Blocks or pictures given to the network at once, 0 for automatic."),
    click.option("--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda, cuda:N or mps."),
)
_TALK = _options(
    click.option("--progress", "progress_mode", type=click.Choice(MODES), default="auto", help="How progress is shown on stderr."),
    click.option("-v", "--verbose", count=True, help="Say more; -vv shows where an error came from."),
    click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors."),
)
_WEIGHTS = click.option("--weights", metavar="PATH", help="Weights of the model, if not those that come with the program.")
_STRICT = click.option("--strict", is_flag=True, help="Write nothing when the input is damaged.")
_PIX_FMT = click.option("-pix_fmt", "--pix-fmt", "pix_fmt", metavar="NAME", help="Pixel format of the output, e.g. yuv444p; source for that of the source. [default: 4:2:0]")
_LIMITS = _options(
    click.option("--max-pixels", type=parse_count, default=str(Limits.pixels), metavar="N", help="Largest picture.  [default: 64M]"),
    click.option("--max-packet", type=parse_count, default=str(Limits.packet), metavar="BYTES", help="Largest packet.  [default: 64M]"),
    click.option("--max-metadata", type=parse_count, default=str(Limits.metadata), metavar="BYTES", help="Largest header.  [default: 1M]"),
    click.option("--max-memory", type=parse_count, default=str(Limits.memory), metavar="BYTES", help="Most memory to be taken, as estimated beforehand.  [default: 2G]"),
    click.option("--max-frames", type=parse_count, default=str(Limits.frames), metavar="N", help="Most frames of a file.  [default: 16M]"),
    click.option("--max-concealed", type=parse_count, default=str(Limits.concealed), metavar="N", help="Most lost frames to be filled in.  [default: 256k]"),
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _limits(given: dict[str, int]) -> Limits:
    return Limits(**{name.removeprefix("max_"): value for name, value in given.items()})


def _say(text: str, quiet: bool = False) -> None:
    if not quiet:
        click.echo(text, err=True)


def _in_out(paths: tuple[str, ...], input_: str | None, output: str | None) -> tuple[str, str]:
    rest = list(paths)
    src = input_ if input_ is not None else rest.pop(0) if rest else None
    dst = output if output is not None else rest.pop(0) if rest else None
    if src is None or dst is None or rest:
        raise UsageError("one input and one output are needed" if not rest else f"one argument too many: {rest[0]!r}")
    return src, dst


def _choice(no_audio: bool, no_subtitles: bool, no_data: bool, maps: tuple[str, ...]) -> TrackChoice:
    kinds = {"audio": no_audio, "subtitle": no_subtitles, "data": no_data}
    return TrackChoice(frozenset(k for k, off in kinds.items() if off), maps)


def _span(start: str | None, duration: str | None, end: str | None) -> tuple[Time | None, Time | None]:
    begin = parse_time(start, "-ss") if start else None
    if end and duration:
        raise UsageError("-t and -to exclude each other")
    if not end:
        return begin, parse_time(duration, "-t") if duration else None
    last = parse_time(end, "-to")
    if begin is None:
        return None, last
    if (last.frames is None) != (begin.frames is None):
        raise UsageError("-ss and -to must both be seconds or both be frames")
    if (last.frames or 0) < (begin.frames or 0) or (last.seconds or 0) < (begin.seconds or 0):
        raise UsageError("-to lies before -ss")
    if last.frames is not None:
        return begin, Time(frames=last.frames - (begin.frames or 0))
    return begin, Time(seconds=(last.seconds or 0) - (begin.seconds or 0))  # type: ignore[arg-type]


@click.group(context_settings=CONTEXT)
@click.version_option(__version__, "-V", "--version", prog_name="vqcodec")
def cli() -> None:
    """A learned video codec: vector-quantised pictures, bit-exact decoding."""


@cli.command(context_settings=CONTEXT)
@_PATHS
@click.option("-preset", "--preset", "preset", default=EncodeOptions.preset, metavar="NAME", help="How long to search: fast, medium or slow.", show_default=True)
@click.option("-crf", "--quality", "crf", type=int, default=EncodeOptions.crf, metavar="N", help="Quality, 0 (best) to 63 (smallest).", show_default=True)
@click.option("-g", "--keyint", "keyint", metavar="N", help="Longest distance of key frames: 1 to 128 (frames), or seconds (4s). [default: 128]")
@_RANGE
@_TRACKS
@_NETWORK
@click.option("--jobs", type=int, default=1, metavar="N", help="Processes that code GOPs at the same time, 0 for one on each processor; never changes the result.")
@click.option("--resume", is_flag=True, help="Go on with an encode that was cut off; keep the work of this one should it be.")
@click.option("--stats", metavar="FILE", help="Write a line of JSON for each frame.")
@_STRICT
@_TALK
def encode(
    paths: tuple[str, ...],
    input_: str | None,
    output: str | None,
    overwrite: bool,
    preset: str,
    crf: int,
    keyint: str | None,
    start: str | None,
    duration: str | None,
    end: str | None,
    no_audio: bool,
    no_subtitles: bool,
    no_data: bool,
    maps: tuple[str, ...],
    weights: str | None,
    threads: int,
    batch: int,
    device: str,
    jobs: int,
    resume: bool,
    stats: str | None,
    strict: bool,
    progress_mode: str,
    verbose: int,
    quiet: bool,
) -> int:
    """Encode a video file to .vqv."""
    src, dst = _in_out(paths, input_, output)
    begin, length = _span(start, duration, end)
    options = EncodeOptions(
        crf=crf,
        preset=preset,
        start=begin,
        duration=length,
        threads=threads,
        batch=batch,
        device=device,
        strict=strict,
        stats=stats,
        tracks=_choice(no_audio, no_subtitles, no_data, maps),
        jobs=jobs,
        resume=resume,
    )
    if keyint:
        distance = parse_gop(keyint)
        if distance.frames is not None and distance.frames > 128:
            _say(f"vqcodec: note: key frames are at most 128 frames apart, not {distance.frames}", quiet)
        options = replace(options, gop=distance)
    check_source(src)
    check_target(dst, [src], overwrite)
    if stats:
        check_output(stats, [src], overwrite)
    from .encoder import encode as run
    from .interrupt import Interrupt

    progress = Progress("none" if quiet else progress_mode)
    stopping = b"\nvqcodec: ending the file with the frames that are being coded; ctrl-C once more stops at once\n"
    try:
        # written without a buffer, which the signal may have come upon in the middle of its work
        with Interrupt(lambda: os.write(2, stopping) if not quiet else None) as interrupt:
            report = run(src, dst, options, weights=weights, overwrite=overwrite, progress=progress, interrupt=interrupt)
    finally:
        progress.close()
    for note in report.notes:
        _say(f"vqcodec: note: {src}: {note}", quiet)
    for warning in report.warnings:
        _say(f"vqcodec: warning: {src}: {warning}")
    _say(
        f"{dst}: {report.frames} frames, {report.bytes} bytes ({size(report.bytes)}), {report.bpp:.5f} bpp, {report.kbps:.2f} kbps, "
        f"PSNR {report.psnr[0]:.3f} dB (Y {report.psnr[1]:.3f} U {report.psnr[2]:.3f} V {report.psnr[3]:.3f}), {report.fps:.2f} fps, {clock(report.seconds)}",
        quiet,
    )
    if report.stopped:
        of = f" of about {progress.total}" if progress.total else ""
        _say(f"vqcodec: stopped: {dst} holds the first {report.frames} frames{of}" + ("; --resume -y goes on" if resume else ""))
        return 128 + signal.SIGINT
    return DamageError.exit_code if report.corrupt else 0


@cli.command(context_settings=CONTEXT)
@_PATHS
@_RANGE
@_TRACKS
@_NETWORK
@click.option("--vcodec", metavar="NAME", help="Picture codec of the output, e.g. libx264, libx265, ffv1, rawvideo; by suffix if not given.")
@click.option("--vcodec-opts", metavar="OPTS", default="", help="Its options: crf=12:preset=fast")
@_PIX_FMT
@_STRICT
@_LIMITS
@_TALK
def decode(
    paths: tuple[str, ...],
    input_: str | None,
    output: str | None,
    overwrite: bool,
    start: str | None,
    duration: str | None,
    end: str | None,
    no_audio: bool,
    no_subtitles: bool,
    no_data: bool,
    maps: tuple[str, ...],
    weights: str | None,
    threads: int,
    batch: int,
    device: str,
    vcodec: str | None,
    vcodec_opts: str,
    pix_fmt: str | None,
    strict: bool,
    progress_mode: str,
    verbose: int,
    quiet: bool,
    **limits: int,
) -> int:
    """Decode a .vqv file to a video file; its suffix chooses the kind (.y4m, .mkv, .mp4, .mov, .webm, ...)."""
    src, dst = _in_out(paths, input_, output)
    begin, length = _span(start, duration, end)
    options = DecodeOptions(
        vcodec=vcodec,
        vcodec_opts=parse_codec_options(vcodec_opts),
        pix_fmt=pix_fmt,
        start=begin,
        duration=length,
        threads=threads,
        batch=batch,
        device=device,
        strict=strict,
        tracks=_choice(no_audio, no_subtitles, no_data, maps),
        limits=_limits(limits),
    )
    check_source(src)
    check_target(dst, [src], overwrite)
    from .decoder import decode as run

    progress = Progress("none" if quiet else progress_mode)
    try:
        report = run(src, dst, options, weights=weights, overwrite=overwrite, progress=progress)
    finally:
        progress.close()
    for note in report.notes:
        _say(f"vqcodec: note: {note}", quiet)
    for text in report.damage:
        _say(f"vqcodec: warning: {src}: {text}")
    if not report.ok:
        _say(f"vqcodec: warning: {src} is damaged: {report.concealed} of {report.frames} frames were concealed")
    _say(f"{dst}: {report.frames} frames, {report.fps:.2f} fps, {clock(report.seconds)}", quiet)
    return 0 if report.ok else DamageError.exit_code


@cli.command(context_settings=CONTEXT)
@click.argument("file", type=click.Path())
@_JSON
@click.option("--bits", is_flag=True, help="Show where the bits of each frame went (needs the weights).")
@_WEIGHTS
@_LIMITS
@click.option("-v", "--verbose", count=True, hidden=True)
def info(file: str, as_json: bool, bits: bool, weights: str | None, verbose: int, **limits: int) -> int:
    """Show size, times, quality and GOPs of a .vqv file."""
    check_source(file)
    from .info import as_text, describe

    result = describe(file, bits, weights, _limits(limits))
    click.echo(json.dumps(result, allow_nan=False) if as_json else as_text(result))
    return 0 if result["ok"] else DamageError.exit_code


@cli.command(context_settings=CONTEXT)
@click.argument("file", type=click.Path())
@click.option("--fast", is_flag=True, help="Check the file's checksums only, without decoding.")
@_JSON
@_NETWORK
@_LIMITS
@_TALK
def verify(file: str, fast: bool, as_json: bool, weights: str | None, threads: int, batch: int, device: str, progress_mode: str, verbose: int, quiet: bool, **limits: int) -> int:
    """Check that a file is whole and decodes to the pixels its encoder saw."""
    options = DecodeOptions(threads=threads, batch=batch, device=device, limits=_limits(limits))
    check_source(file)
    from .decoder import verify as run

    progress = Progress("none" if quiet else progress_mode)
    try:
        result = run(file, fast, weights=weights, options=options, progress=progress)
    finally:
        progress.close()
    if as_json:
        click.echo(json.dumps(result, allow_nan=False))
    else:
        for text in result["damage"]:
            _say(f"vqcodec: warning: {file}: {text}")
        checked = "packets" if fast else "packets and pixels"
        state = "sound" if result["ok"] else "DAMAGED"
        if not quiet:
            click.echo(f"{file}: {state} ({checked} checked): {result['frames']} frames, {result['gops']} GOPs, {result['damaged_gops']} of them damaged, {result['bytes']} bytes")
    return 0 if result["ok"] else DamageError.exit_code


@cli.command(context_settings=CONTEXT)
@_PATHS
@_LIMITS
@click.option("-v", "--verbose", count=True, hidden=True)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors and what was damaged.")
def repair(paths: tuple[str, ...], input_: str | None, output: str | None, overwrite: bool, verbose: int, quiet: bool, **limits: int) -> int:
    """Write the sound packets of a damaged .vqv file to a new one, with header and index made anew."""
    src, dst = _in_out(paths, input_, output)
    check_source(src)
    check_target(dst, [src], overwrite)
    from .repair import repair as run

    report = run(src, dst, overwrite=overwrite, limits=_limits(limits))
    for text in report.damage:
        _say(f"vqcodec: warning: {src}: {text}")
    if not report.complete:
        _say(f"vqcodec: warning: {src} has no index: whether frames are missing at its end is not known")
    _say(f"{dst}: {report.frames} frames in {report.gops} GOPs, {report.lost} frames lost, {report.bytes} bytes ({size(report.bytes)})", quiet)
    return 0 if report.ok else DamageError.exit_code


@cli.command(context_settings=CONTEXT)
@click.argument("paths", nargs=-1, metavar="PART... OUT", type=click.Path())
@click.option("-y", "overwrite", flag_value=True, type=bool, default=False, help="Overwrite the output if it exists.")
@click.option("-n", "overwrite", flag_value=False, type=bool, help="Never overwrite (the default).")
@click.option("-v", "--verbose", count=True, hidden=True)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
def join(paths: tuple[str, ...], overwrite: bool, verbose: int, quiet: bool) -> int:
    """Join .vqv files that were encoded from ranges of a video, without coding anything anew."""
    if len(paths) < 2:
        raise UsageError("at least one part and the output are needed")
    *parts, dst = paths
    if "-" in paths:
        raise UsageError("streams (-) cannot be joined, name files")
    for part in parts:
        check_input(part)
    check_output(dst, parts, overwrite)
    from .join import join as run

    report = run(parts, dst, overwrite=overwrite)
    _say(f"{dst}: {report.parts} parts, {report.frames} frames, {report.gops} GOPs, {report.bytes} bytes ({size(report.bytes)})", quiet)
    return 0


@cli.command(context_settings=CONTEXT)
@click.argument("config", type=click.Path())
@click.option("--resume", is_flag=True, help="Go on where an earlier run was stopped.")
@click.option("--restart", is_flag=True, help="Throw away what an earlier run trained.")
@click.option("-v", "--verbose", count=True, hidden=True)
def train(config: str, resume: bool, restart: bool, verbose: int) -> int:
    """Train a model as CONFIG says."""
    if resume and restart:
        raise UsageError("--resume and --restart exclude each other")
    check_input(config)
    from .training.stages import main as run

    run(config, resume, restart)
    return 0


def _terminate(signum: int, frame: object) -> None:
    raise SystemExit(128 + signum)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code (see docs/cli.md); errors are one sentence on stderr."""
    args = list(sys.argv[1:] if argv is None else argv)
    detailed = any(a == "-vv" or a == "-vvv" for a in args)
    logging.basicConfig(format="vqcodec: %(message)s", level=logging.DEBUG if detailed else logging.WARNING)
    try:
        signal.signal(signal.SIGTERM, _terminate)
        if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:  # nohup stays nohup
            signal.signal(signal.SIGHUP, _terminate)
    except ValueError:
        pass  # not in the main thread
    stdout = sys.stdout
    try:
        result = cli.main(args=args, prog_name="vqcodec", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as exc:
        return exc.exit_code
    except (click.Abort, KeyboardInterrupt):
        _say("vqcodec: stopped")
        return 130
    except BrokenPipeError:
        return _pipe_closed()
    except SystemExit as exc:
        if exc.code == 1 and sys.stdout is not stdout:  # click's own answer to a closed pipe
            return _pipe_closed()
        raise
    except click.ClickException as exc:
        return _fail(exc.format_message(), UsageError.exit_code, detailed)
    except VqvError as exc:
        return _fail(str(exc), exc.exit_code, detailed)
    except MemoryError:
        return _fail("not enough memory", 6, detailed)
    except OSError as exc:
        if exc.errno not in _WRITE_ERRORS:
            return _fail(f"internal error: {type(exc).__name__}: {exc}", 1, detailed)
        _abandon_stdout()  # files have errors of our own that name them
        return _fail(f"standard output cannot be written: {exc.strerror or exc}", OutputError.exit_code, detailed)
    except Exception as exc:
        # torch has no common type for it: CPU and GPU allocators raise RuntimeErrors of their own
        if "OutOfMemory" in type(exc).__name__ or "can't allocate memory" in str(exc):
            return _fail("not enough memory", 6, detailed)
        return _fail(f"internal error: {type(exc).__name__}: {exc}", 1, detailed)


def _abandon_stdout() -> None:
    # what is left in the buffer of stdout must not fail once more at exit
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)


def _pipe_closed() -> int:
    _abandon_stdout()
    return 141


def _fail(message: str, code: int, detailed: bool) -> int:
    if detailed:
        import traceback

        traceback.print_exc()
    _say("vqcodec: error: " + " ".join(message.split()))
    return code


def run() -> None:
    """Entry point of the installed program."""
    sys.exit(main())


if __name__ == "__main__":
    run()
