"""``vqcodec play``: a .vqv file in the window of a player, with its sound."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import PurePath

import click

from ..errors import OutputError, UsageError
from ..system.stdio import check_source
from .command import command, rare
from .options import LIMITS, NETWORK, STRETCH, TRACKS, VERBOSE, WEIGHTS

# what each player is told besides the pipe; a title in the place of the name that a pipe lacks
_PLAYERS = {
    "mpv": ("--force-window=immediate", "--title={title}", "-"),
    "ffplay": (
        "-loglevel",
        "warning",
        "-autoexit",
        "-window_title",
        "{title}",
        "-i",
        "-",
    ),
}


def find_player(wanted: str | None) -> list[str]:
    """The command of the player that is wanted, or else of the first that is installed.

    UsageError where there is none.
    """
    names = list(_PLAYERS) if wanted is None else [wanted]
    for name in names:
        path = shutil.which(name)
        if path is not None:
            return [path, *_PLAYERS.get(PurePath(name).name, ("-",))]
    if wanted is not None:
        raise UsageError(f"--player: there is no program {wanted!r}")
    raise UsageError(
        "no player is installed: install mpv or FFmpeg's ffplay, name another one by --player,"
        " or decode to a file"
    )


@command(
    short_help="Play a .vqv file, with its sound.",
    examples=["vqcodec play in.vqv", "vqcodec play in.vqv -ss 1:30 --player ffplay"],
)
@click.argument("file", type=click.Path())
@click.option(
    "--player",
    metavar="PROGRAM",
    help=(
        "mpv, ffplay, or another one that plays Matroska from its standard input. [default: mpv,"
        " or else ffplay]"
    ),
)
@STRETCH
@TRACKS
@WEIGHTS
@NETWORK
@rare("--strict", is_flag=True, help="Stop where the input is damaged.")
@LIMITS
@VERBOSE
@click.pass_context
def play(ctx: click.Context, /, file: str, player: str | None, **given: object) -> int:
    """Decode a .vqv file into the pipe of a player, with all its tracks.

    It cannot be wound back or forward; -ss says where it begins. Closing the player ends the
    decoding.
    """
    check_source(file)
    watch = find_player(player)
    title = "standard input" if file == "-" else PurePath(file).name
    # the options of decode as they were typed, for a process of its own
    source = [
        sys.executable,
        "-m",
        "vqcodec",
        "decode",
        "-i",
        file,
        "-o",
        "-",
        "-f",
        "matroska",
    ]
    source += ["-q", "--progress", "none", *_typed(ctx)]  # the terminal is the player's
    decoder = subprocess.Popen(source, stdout=subprocess.PIPE)
    try:
        # no shell, and no name that could be an option: the title is behind its own
        watching = subprocess.Popen(
            [part.format(title=title) if "{title}" in part else part for part in watch],
            stdin=decoder.stdout,
        )
    except OSError as exc:
        _end(decoder)
        raise UsageError(f"{watch[0]}: cannot be started: {exc.strerror or exc}") from exc
    assert decoder.stdout is not None
    decoder.stdout.close()  # the player's alone, so that the decoder notices its end
    try:
        played = watching.wait()
        decoded = decoder.wait()
    except BaseException:  # ctrl-C reaches the player too, and has it end
        _end(decoder)
        watching.wait()
        raise
    if decoded not in (0, 141):  # 141: the window was closed early
        return decoded if decoded > 0 else 128 - decoded
    if played:
        raise OutputError(f"{watch[0]} ended with code {played}")
    return 0


def _typed(ctx: click.Context) -> list[str]:
    """Options that were given, as arguments of decode; those of play alone left out."""
    words: list[str] = []
    for param in ctx.command.params:
        if not isinstance(param, click.Option) or param.name == "player":
            continue
        if param.name not in ctx.params:  # help, -v
            continue
        if ctx.get_parameter_source(param.name) != click.core.ParameterSource.COMMANDLINE:
            continue
        value = ctx.params[param.name]
        if param.is_flag:
            words += [param.opts[0]] if value else []
        else:
            values = value if isinstance(value, tuple) else (value,)
            for one in values:
                words += [param.opts[0], str(one)]
    return words


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    process.wait()
