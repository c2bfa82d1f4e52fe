"""Options and manners that commands share: what they are called, how they are read, what is said at the end."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..colour import MATRICES, PRIMARIES, RANGES, TRANSFERS, Colour, number
from ..encoding.rate_distortion import PRESETS
from ..errors import UsageError, VqvError
from ..options import ARITHMETIC, Limits, Time, TrackChoice, parse_count, parse_time
from ..system.progress import MODES, Progress
from ..system.stdio import PIPE, check_source, is_stream
from . import messages
from .command import CONTEXT, command, rare
from .messages import note, say, warn
from .spelling import record, remark, sentence

if TYPE_CHECKING:
    from ..pipeline.cluster import Cluster

__all__ = ["CONTEXT", "command", "note", "rare", "say", "warn"]  # and all below


def options(*decorators: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def apply(function: Any) -> Any:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return apply


def _told_in_json(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if not ctx.resilient_parsing:
        messages.current().json = value == "json"
    return value


def _told_in_detail(ctx: click.Context, param: click.Parameter, value: int) -> None:
    if not ctx.resilient_parsing:
        messages.current().verbose, messages.current().detailed = value > 0, value > 1


PATHS = options(
    click.argument("paths", nargs=-1, metavar="IN [OUT]", type=click.Path()),
    rare(
        "-i",
        "input_",
        metavar="IN",
        type=click.Path(),
        help="The input, instead of the first argument.",
    ),
    rare(
        "-o",
        "output",
        metavar="OUT",
        type=click.Path(),
        help="The output, instead of the last argument.",
    ),
    click.option(
        "-y",
        "overwrite",
        flag_value=True,
        type=bool,
        default=False,
        help="Overwrite the output if it exists.",
    ),
    rare("-n", "overwrite", flag_value=False, type=bool, help="Never overwrite (the default)."),
)
RANGE = options(
    click.option(
        "-ss",
        "start",
        metavar="TIME",
        help="Begin at this time: 12.5, 00:01:02.5, or 300f (frames).",
    ),
    click.option("-t", "duration", metavar="TIME", help="Length of what is taken."),
    click.option("-to", "end", metavar="TIME", help="End, instead of the length."),
    rare(
        "-frames:v",
        "-vframes",
        "--frames",
        "frames",
        type=click.IntRange(1),
        metavar="N",
        help="Number of frames that are taken, instead of the length.",
    ),
)
TRACKS = options(
    rare("-an", "no_audio", is_flag=True, help="No sound."),
    rare("-sn", "no_subtitles", is_flag=True, help="No subtitles."),
    rare("-dn", "no_data", is_flag=True, help="No data tracks."),
    rare(
        "-map",
        "--map",
        "maps",
        multiple=True,
        metavar="TRACKS",
        help="Keep these tracks only: a (all of v a s d t), a:1 (the second), 0:3 (by number); -a leaves out.",
    ),
)
WEIGHTS = rare(
    "--weights",
    metavar="PATH",
    type=click.Path(),
    help="Weights of the model, if not those that come with the program.",
)
NETWORK = options(
    WEIGHTS,
    click.option(
        "-threads",
        "--threads",
        type=int,
        default=0,
        metavar="N",
        help="Threads, 0 for all; never changes the result.",
    ),
    rare(
        "--batch",
        type=int,
        default=0,
        metavar="N",
        help="Blocks or pictures given to the network at once, 0 for automatic.",
    ),
    rare("--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda, cuda:N or mps."),
)
ARITHMETICS = rare(
    "--arithmetic",
    type=click.Choice(ARITHMETIC),
    default="auto",
    help="What the encoder's networks multiply in, the faster unless given: for the same bytes on unlike processors.",
)
LOG = rare(
    "--log-file",
    metavar="FILE",
    type=click.Path(),
    help="Append all messages to this file, with times and levels.",
)
VERBOSE = rare(
    "-v",
    "--verbose",
    count=True,
    expose_value=False,
    callback=_told_in_detail,
    is_eager=True,
    help="-v tells what arithmetic was chosen, -vv also where an error came from.",
)
QUIET = click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors and warnings.")
TALK = options(
    rare(
        "--progress",
        "progress_mode",
        type=click.Choice(MODES),
        default="auto",
        callback=_told_in_json,
        is_eager=True,
        help="How progress is shown on stderr.",
    ),
    LOG,
    VERBOSE,
    QUIET,
)
PLAYLISTS = rare(
    "--allow-playlists",
    "playlists",
    is_flag=True,
    help="Let the source name other files of this machine, as HLS, DASH and concat do.",
)
STRICT = rare("--strict", is_flag=True, help="Write nothing when the input is damaged.")
PIX_FMT = rare(
    "-pix_fmt",
    "--pix-fmt",
    "pix_fmt",
    metavar="NAME",
    help="Pixel format of the output, e.g. yuv444p; source for that of the source. [default: 4:2:0]",
)
LIMITS = options(
    rare(
        "--max-pixels",
        type=parse_count,
        default=str(Limits.pixels),
        metavar="N",
        help="Largest picture.  [default: 64Mi]",
    ),
    rare(
        "--max-packet",
        type=parse_count,
        default=str(Limits.packet),
        metavar="BYTES",
        help="Largest packet.  [default: 64Mi]",
    ),
    rare(
        "--max-metadata",
        type=parse_count,
        default=str(Limits.metadata),
        metavar="BYTES",
        help="Largest header.  [default: 1Mi]",
    ),
    rare(
        "--max-memory",
        type=parse_count,
        default=str(Limits.memory),
        metavar="BYTES",
        help="Most memory to be taken, as estimated beforehand.  [default: 2Gi]",
    ),
    rare(
        "--max-frames",
        type=parse_count,
        default=str(Limits.frames),
        metavar="N",
        help="Most frames of a file.  [default: 16Mi]",
    ),
    rare(
        "--max-concealed",
        type=parse_count,
        default=str(Limits.concealed),
        metavar="N",
        help="Most lost frames to be filled in.  [default: 256Ki]",
    ),
)
RATE = rare(
    "-r",
    "rate",
    metavar="RATE",
    help="Frames a second (25, 30000/1001, ntsc): of a source with wrong times or none; of the output, by repeating and leaving out.",
)
COLOUR = options(
    rare(
        "-color_primaries",
        "--color-primaries",
        "color_primaries",
        metavar="NAME",
        help="Colour primaries in the place of the source's, e.g. bt709.",
    ),
    rare(
        "-color_trc",
        "--color-trc",
        "color_trc",
        metavar="NAME",
        help="Transfer characteristics in the place of the source's, e.g. smpte2084.",
    ),
    rare(
        "-colorspace",
        "--colorspace",
        "colorspace",
        metavar="NAME",
        help="Matrix in the place of the source's, e.g. bt2020nc.",
    ),
    rare(
        "-color_range",
        "--color-range",
        "color_range",
        metavar="NAME",
        help="Range in the place of the source's: tv or pc.",
    ),
)
CLUSTER = options(
    click.option(
        "--scheduler",
        metavar="ADDRESS",
        help="Code on the Dask cluster with this scheduler, such as tcp://host:8786.",
    ),
    rare(
        "--resource",
        multiple=True,
        metavar="NAME=N",
        help="With --scheduler: only on workers that have this, such as GPU=1.",
    ),
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def presets(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Names of presets, for the completion of a shell."""
    return [name for name in PRESETS if name.startswith(incomplete)]


def finish(result: dict[str, Any]) -> None:
    """What was made, for the last line of ``--progress json``."""
    messages.current().result = record(result)


def resources(given: tuple[str, ...]) -> dict[str, float]:
    """What a task on a cluster needs, of ``GPU=1`` and the like."""
    result = {}
    for text in given:
        name, _, number = text.partition("=")
        if (
            not name
            or not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", number, re.ASCII)
            or not float(number)
        ):
            raise UsageError(
                f"--resource: {text!r} is none: allowed are a name and a number, such as GPU=1"
            )
        result[name] = float(number)
    return result


def connect(scheduler: str, needed: dict[str, float]) -> Cluster:
    """The cluster of ``--scheduler``; what Dask has to say of it comes as errors and warnings of ours."""
    import logging

    from ..pipeline.cluster import Cluster

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    return Cluster(scheduler, needed, lambda text: say(f"vqcodec: warning: {remark(text)}"))


def limits_of(given: dict[str, int]) -> Limits:
    return Limits(**{name.removeprefix("max_"): value for name, value in given.items()})


def in_out(
    paths: tuple[str, ...], input_: str | None, output: str | None, suffix: str
) -> tuple[str, str]:
    """Input and output as they are named; an output that isn't lies beside the input and has its
    name with this suffix."""
    rest = list(paths)
    src = input_ if input_ is not None else rest.pop(0) if rest else None
    dst = output if output is not None else rest.pop(0) if rest else None
    if rest:
        raise UsageError(f"one argument too many: {rest[0]!r}; a name with spaces needs quotes")
    if src is None:
        command = click.get_current_context().command_path
        raise UsageError(f"an input is needed; {command} -h shows how")
    if dst is None:
        check_source(src)
        if is_stream(src):
            raise UsageError(f"{src}: an output is needed: a pipe has no name that tells one")
        dst = str(Path(src).with_suffix(suffix))
        if Path(dst) == Path(src):
            raise UsageError(f"{src}: an output is needed: the input ends in {suffix} already")
    return src, dst


def each_file(
    files: tuple[str, ...], act: Callable[[str], int], failed: Callable[[str, VqvError], None]
) -> int:
    """Do it for all files, also where one of them fails, which ``failed`` is told; the worst
    (largest) exit code. The error of a file that is the only one is raised."""
    if files.count(PIPE) > 1:
        raise UsageError("-: standard input can be read once only")
    worst = 0
    for file in files:
        try:
            worst = max(worst, act(file))
        except VqvError as exc:
            if len(files) == 1:
                raise
            say(f"vqcodec: error: {sentence(exc)}")
            failed(file, exc)
            worst = max(worst, exc.exit_code)
    return worst


def colour(
    color_primaries: str | None,
    color_trc: str | None,
    colorspace: str | None,
    color_range: str | None,
) -> Colour:
    given = zip(
        (PRIMARIES, TRANSFERS, MATRICES, RANGES),
        (color_primaries, color_trc, colorspace, color_range),
        ("color_primaries", "color_trc", "colorspace", "color_range"),
        strict=True,
    )
    return Colour(
        *(None if text is None else number(names, text, option) for names, text, option in given)
    )


def choice(no_audio: bool, no_subtitles: bool, no_data: bool, maps: tuple[str, ...]) -> TrackChoice:
    kinds = {"audio": no_audio, "subtitle": no_subtitles, "data": no_data}
    return TrackChoice(frozenset(k for k, off in kinds.items() if off), maps)


def span(
    start: str | None, duration: str | None, end: str | None, frames: int | None
) -> tuple[Time | None, Time | None]:
    """Begin and length of what is taken."""
    begin = parse_time(start, "start") if start else None
    if frames is not None:
        if duration or end:
            raise UsageError("-frames:v (a length in frames), -t and -to exclude each other")
        return begin, Time(frames=frames)
    if end and duration:
        raise UsageError("-t (a length) and -to (an end) exclude each other")
    if not end:
        return begin, parse_time(duration, "duration") if duration else None
    last = parse_time(end, "end")
    if begin is None:
        return None, last
    if (last.frames is None) != (begin.frames is None):
        raise UsageError("-ss and -to must both be seconds or both be frames")
    if (last.frames or 0) < (begin.frames or 0) or (last.seconds or 0) < (begin.seconds or 0):
        raise UsageError("-to lies before -ss: both count from the beginning of the video")
    if last.frames is not None:
        return begin, Time(frames=last.frames - (begin.frames or 0))
    return begin, Time(seconds=(last.seconds or 0) - (begin.seconds or 0))  # type: ignore[arg-type]


@contextmanager
def progress(mode: str, quiet: bool) -> Iterator[Progress]:
    """Progress on stderr, taken away at the end. A quiet run shows it only where it was asked for."""
    from ..system import kernels as kernels_module

    shown = messages.current().display = Progress("none" if quiet and mode == "auto" else mode)
    kernels_module.tell = lambda: say(f"vqcodec: note: {kernels_module.note()}", quiet)
    try:
        yield shown
    finally:
        messages.current().display = None
        shown.close()
