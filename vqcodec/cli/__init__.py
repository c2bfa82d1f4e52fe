"""The command line, a file for each command. Nothing heavy is imported here: refusals, help and info answer at once."""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
from collections.abc import Sequence

import click

from ..errors import OutputError, UsageError, VqvError
from ..version import __version__
from .decode import decode
from .encode import encode
from .info import info
from .join import join
from .repair import repair
from .shared import CONTEXT, say
from .train import train
from .verify import verify

_WRITE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


@click.group(context_settings=CONTEXT)
@click.version_option(__version__, "-V", "--version", prog_name="vqcodec")
def cli() -> None:
    """A learned video codec: vector-quantised pictures, bit-exact decoding."""


for _command in (encode, decode, info, verify, repair, join, train):
    cli.add_command(_command)


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
        say("vqcodec: stopped")
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
    say("vqcodec: error: " + " ".join(message.split()))
    return code


def run() -> None:
    """Entry point of the installed program."""
    sys.exit(main())
