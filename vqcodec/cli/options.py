"""Options that commands share: what they are called, and which belong together.

A group gives its command one parameter; what its words mean is said in :mod:`.typed`.
"""

from __future__ import annotations

import click

from ..options import Limits
from ..parsing import count, parse_count
from ..system.progress import MODES
from . import messages, typed
from .command import rare
from .groups import Decorator, fields, group, options


def _told_in_json(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if not ctx.resilient_parsing:
        messages.current().json = value == "json"
    return value


def _told_in_detail(ctx: click.Context, param: click.Parameter, value: int) -> None:
    if not ctx.resilient_parsing:
        messages.current().verbose, messages.current().detailed = value > 0, value > 1


OVERWRITE = options(
    click.option(
        "-y",
        "overwrite",
        flag_value=True,
        type=bool,
        default=False,
        help="Overwrite the output if it exists.",
    ),
    rare(
        "-n",
        "overwrite",
        flag_value=False,
        type=bool,
        help="Never overwrite (the default).",
    ),
)
PATHS = group(
    typed.named,
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
    OVERWRITE,
    into="named",
)
STRETCH = group(
    typed.stretch,
    click.option(
        "-ss",
        "start",
        metavar="TIME",
        help="Begin at this time: 12.5, 00:01:02.5, or 300f (frames).",
    ),
    click.option("-t", "duration", metavar="TIME", help="Length of the part that is taken."),
    click.option("-to", "end", metavar="TIME", help="End of that part, instead of its length."),
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
TRACKS = group(
    typed.tracks,
    rare("-an", "no_audio", is_flag=True, help="No sound."),
    rare("-sn", "no_subtitles", is_flag=True, help="No subtitles."),
    rare("-dn", "no_data", is_flag=True, help="No data tracks."),
    rare(
        "-map",
        "--map",
        "maps",
        multiple=True,
        metavar="TRACKS",
        help=(
            "Keep these tracks only: a (all of v a s d t), a:1 (the second), 0:3 (by number); -a"
            " leaves out."
        ),
    ),
)
WEIGHTS = rare(
    "--weights",
    metavar="PATH",
    type=click.Path(),
    help="Weights of the model, if not those that come with the program.",
)
NETWORK = fields(
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
    rare(
        "--device",
        default="auto",
        metavar="DEVICE",
        help="auto, cpu, cuda, cuda:N or mps.",
    ),
    names="threads batch device",
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
    help="-v also says which arithmetic was chosen, -vv also where an error came from.",
)
QUIET = click.option("-q", "--quiet", is_flag=True, help="Show only errors and warnings.")
MESSAGES = options(LOG, VERBOSE, QUIET)
TALK = group(
    typed.manner,
    rare(
        "--progress",
        "progress_mode",
        type=click.Choice(MODES),
        default="auto",
        callback=_told_in_json,
        is_eager=True,
        help="How progress is shown on stderr.",
    ),
    MESSAGES,
    into="manner",
)
STRICT = fields(
    rare("--strict", is_flag=True, help="Write nothing when the input is damaged."),
    names="strict",
)


def _limit(name: str, default: int, metavar: str, about: str) -> Decorator:
    """An option of :class:`Limits`."""
    return rare(
        f"--max-{name}",
        type=parse_count,
        default=str(default),
        metavar=metavar,
        help=f"{about}  [default: {count(default)}]",
    )


LIMITS = group(
    typed.limits,
    _limit("pixels", Limits.pixels, "N", "Largest picture."),
    _limit("packet", Limits.packet, "BYTES", "Largest packet."),
    _limit("metadata", Limits.metadata, "BYTES", "Largest header."),
    _limit("memory", Limits.memory, "BYTES", "Most memory to be taken, as estimated beforehand."),
    _limit("frames", Limits.frames, "N", "Most frames of a file."),
    _limit("concealed", Limits.concealed, "N", "Most lost frames to be filled in."),
    into="limits",
)
RATE = group(
    typed.rate,
    rare(
        "-r",
        "rate",
        metavar="RATE",
        help=(
            "Frames a second (25, 30000/1001, ntsc): of a source with wrong times or none; of"
            " the output, where frames are repeated or dropped for it."
        ),
    ),
)
CLUSTER = group(
    typed.scheduler,
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
    into="scheduler",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
