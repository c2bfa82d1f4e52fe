"""The command line, a file for each command. Nothing heavy is imported here: refusals, help and info answer at once."""

from __future__ import annotations

import errno
import io
import logging
import os
import signal
import sys
from collections.abc import Sequence

import click

from ..errors import OutputError, UsageError, VqvError
from ..version import __version__
from . import messages
from .batch import batch
from .bench import bench
from .command import CONTEXT, Group
from .completions import completions
from .decode import decode
from .encode import encode
from .info import info
from .join import join
from .play import play
from .repair import repair
from .train import train
from .verify import verify

_NO_MEMORY = "not enough memory: fewer --jobs, -threads or a smaller --batch take less"
_WRITE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


@click.group(
    cls=Group,
    context_settings=CONTEXT,
    examples=["vqcodec encode in.mp4 out.vqv", "vqcodec decode out.vqv out.mp4", "vqcodec encode -h         # what an encode can be told"],
)
@click.version_option(__version__, "-V", "--version", prog_name="vqcodec")
def cli() -> None:
    """A learned video codec: vector-quantised pictures, bit-exact decoding."""


for _command in (encode, decode, play, info, verify, batch, repair, join, bench, train, completions):
    cli.add_command(_command)


def _terminate(signum: int, frame: object) -> None:
    raise SystemExit(128 + signum)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code (see docs/cli.md); errors are one sentence on stderr."""
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


def _run(args: list[str]) -> tuple[int, str | None]:
    """Exit code, and the sentence of an error."""
    logging.basicConfig(format="vqcodec: %(message)s")
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="replace")  # a tag that the terminal has no letters for is no fault
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
        return result if isinstance(result, int) else 0, None
    except click.exceptions.Exit as exc:
        return exc.exit_code, None
    except (click.Abort, KeyboardInterrupt):
        messages.say("vqcodec: stopped")
        return 130, None
    except BrokenPipeError:
        return _pipe_closed()
    except SystemExit as exc:
        if exc.code == 1 and sys.stdout is not stdout:  # click's own answer to a closed pipe
            return _pipe_closed()
        raise
    except click.exceptions.NoArgsIsHelpError as exc:
        click.echo(exc.format_message(), err=True)
        return UsageError.exit_code, None
    except click.UsageError as exc:
        command = exc.ctx.command_path if exc.ctx is not None else "vqcodec"
        return _fail(f"{exc.format_message()} ({command} -h shows how)", UsageError.exit_code)
    except click.ClickException as exc:
        return _fail(exc.format_message(), UsageError.exit_code)
    except VqvError as exc:
        return _fail(str(exc), exc.exit_code)
    except MemoryError:
        return _fail(_NO_MEMORY, 6)
    except OSError as exc:
        if exc.errno not in _WRITE_ERRORS:
            return _fail(_internal(exc), 1)
        _abandon_stdout()  # files have errors of our own that name them
        return _fail(f"standard output cannot be written: {exc.strerror or exc}", OutputError.exit_code)
    except Exception as exc:
        # torch has no common type for it: CPU and GPU allocators raise RuntimeErrors of their own
        if "OutOfMemory" in type(exc).__name__ or "can't allocate memory" in str(exc):
            return _fail(_NO_MEMORY, 6)
        return _fail(_internal(exc), 1)


def _internal(exc: Exception) -> str:
    return f"internal error: {type(exc).__name__}: {exc}; this is a fault of the program, -vv shows where it arose"


def _abandon_stdout() -> None:
    # what is left in the buffer of stdout must not fail once more at exit
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)


def _pipe_closed() -> tuple[int, None]:
    _abandon_stdout()
    return 141, None


def _fail(message: str, code: int) -> tuple[int, str]:
    talk = messages.current()
    if talk.detailed:
        import traceback

        traceback.print_exc()
    sentence = " ".join(message.split())
    talk.say("vqcodec: error: " + sentence, trace=code == 1)
    return code, sentence


def run() -> None:
    """Entry point of the installed program."""
    sys.exit(main())
