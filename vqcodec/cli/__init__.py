"""The command line, a file for each command. Nothing heavy is imported here: refusals, help and
info answer at once."""

from __future__ import annotations

import errno
import io
import logging
import os
import select
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import click

from ..errors import LimitError, UsageError, VqvError
from ..system.memory import ran_out
from ..system.processes import (
    keep_one_heap,
    let_waiting_threads_sleep,
    no_more_threads_than_processors,
)
from ..system.stdio import StdoutError, mute
from ..system.text import quoted
from . import messages
from .analyze import analyze
from .batch import batch
from .bench import bench
from .command import CONTEXT, Group
from .completions import completions
from .decode import decode
from .encode import encode
from .info import info
from .join import join
from .kernels import kernels
from .play import play
from .repair import repair
from .spelling import sentence
from .tokens import tokens
from .train import train
from .verify import verify

_NO_MEMORY = "not enough memory: fewer --jobs, -threads or a smaller --batch take less"


def _show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from .about import first_line, lines

        # -V answers at once; the arithmetic is chosen by a try, for which torch is loaded
        for line in lines() if param.name == "version" else [first_line()]:
            messages.show(line)
            sys.stdout.flush()
        ctx.exit()


@click.group(
    cls=Group,
    context_settings=CONTEXT,
    examples=[
        "vqcodec encode in.mp4 out.vqv",
        "vqcodec decode out.vqv out.mp4",
        "vqcodec encode -h         # the options of encode",
    ],
)
@click.option(
    "-V",
    "short_version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show it with all that a report of a fault needs: model, libraries, machine.",
)
def cli() -> None:
    """A learned video codec: vector-quantised pictures, bit-exact decoding."""


for _command in (
    encode,
    decode,
    play,
    info,
    verify,
    analyze,
    tokens,
    batch,
    repair,
    join,
    bench,
    train,
    kernels,
    completions,
):
    cli.add_command(_command)


def _terminate(signum: int, frame: object) -> None:
    raise SystemExit(128 + signum)


def _raise_again(dropped: sys.UnraisableHookArgs) -> None:
    """A signal that came while a callback ran, such as one of an import, has its exception dropped
    with the callback's: it is sent anew, once that is over."""
    exc = dropped.exc_value
    if isinstance(exc, KeyboardInterrupt):
        signum = int(signal.SIGINT)
    elif isinstance(exc, SystemExit) and isinstance(exc.code, int) and exc.code > 128:
        signum = exc.code - 128
    else:
        sys.__unraisablehook__(dropped)
        return
    threading.Timer(0.01, os.kill, (os.getpid(), signum)).start()


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code (see docs/cli.md); errors are one sentence on
    stderr."""
    args = list(sys.argv[1:] if argv is None else argv)
    talk = messages.begin(args)
    code, error = 1, None
    try:
        code, error = _run(args)
    except SystemExit as exc:
        code = exc.code if isinstance(exc.code, int) else 1
        raise
    finally:
        talk.close(code, error)
    return code


def _prepare() -> None:
    """Set up what is heard of other libraries, what is done about letters that standard output
    lacks, and signals."""
    others = logging.StreamHandler()  # what other libraries have to say
    others.setFormatter(messages.Lines("vqcodec: %(message)s"))
    logging.basicConfig(handlers=[others])
    messages.hear_notes()
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        # a tag that the terminal has no letters for is no fault
        sys.stdout.reconfigure(errors="replace")
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = _raise_again
    try:
        signal.signal(signal.SIGTERM, _terminate)
        if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:  # nohup stays nohup
            signal.signal(signal.SIGHUP, _terminate)
    except ValueError:
        pass  # not in the main thread


def _run(args: list[str]) -> tuple[int, str | None]:
    """Exit code, and the sentence of an error."""
    _prepare()
    stdout = sys.stdout
    try:
        result = cli.main(args=args, prog_name="vqcodec", standalone_mode=False)
        messages.flush()
        return result if isinstance(result, int) else 0, None
    except click.exceptions.Exit as exc:
        return exc.exit_code, None
    except (click.Abort, KeyboardInterrupt):
        messages.say("vqcodec: stopped")
        return 130, None
    except SystemExit as exc:
        if exc.code == 1 and sys.stdout is not stdout:  # click's own answer to any closed pipe
            return _failed(BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)))
        raise
    except click.ClickException as exc:
        return _misused(exc)
    except VqvError as exc:
        if isinstance(exc, StdoutError):
            _abandon_stdout()
        return _fail(sentence(exc), exc.exit_code)
    except BaseException as exc:  # libraries in Rust panic past Exception
        return _failed(exc)


def _misused(exc: click.ClickException) -> tuple[int, str | None]:
    """What click refuses on the command line."""
    if isinstance(exc, click.exceptions.NoArgsIsHelpError):
        messages.tell(exc.format_message())
        return UsageError.exit_code, None
    if isinstance(exc, click.UsageError):
        command = exc.ctx.command_path if exc.ctx is not None else "vqcodec"
        return _fail(f"{exc.format_message()} ({command} -h shows how)", UsageError.exit_code)
    return _fail(exc.format_message(), UsageError.exit_code)


def _failed(exc: BaseException) -> tuple[int, str | None]:
    """An error that is none of ours: of memory, of standard output, or a fault of the program."""
    if ran_out(exc):
        return _fail(_NO_MEMORY, LimitError.exit_code)
    # files have errors of ours that name them, so has standard output, which is asked whether it is
    # read
    if isinstance(exc, BrokenPipeError) and _unread():
        _abandon_stdout()
        return 141, None
    return _fail(_internal(exc), 1)


def _internal(exc: BaseException) -> str:
    return (
        f"internal error: {type(exc).__name__}: {exc}; this is a fault of the program, -vv shows"
        " where it arose"
    )


def _unread() -> bool:
    """Whether standard output is a pipe that nobody reads any more."""
    if sys.__stdout__ is None:
        return False
    try:
        asked = select.poll()
        asked.register(sys.__stdout__.fileno(), select.POLLOUT)
        return any(state & (select.POLLERR | select.POLLHUP) for _, state in asked.poll(0))
    except (OSError, ValueError):
        return False


def _abandon_stdout() -> None:
    mute(sys.__stdout__.fileno() if sys.__stdout__ else 1)


def _fail(message: str, code: int) -> tuple[int, str]:
    talk = messages.current()
    if talk.detailed:
        import traceback

        messages.tell(quoted(traceback.format_exc()))
    line = " ".join(message.split())
    talk.say("vqcodec: error: " + line, trace=code == 1)
    return code, line


def _occupy() -> None:
    """Put /dev/null where standard input, output or error is closed.

    Else a file that is opened later gets the number, and what native libraries say goes into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
            os.set_inheritable(opened, True)
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115


def run() -> None:
    """Entry point of the installed program."""
    let_waiting_threads_sleep()
    no_more_threads_than_processors()
    keep_one_heap()
    _occupy()
    sys.exit(main())
