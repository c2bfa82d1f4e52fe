"""What a run says: sentences on standard error, the same with times and levels in a log file, and
the last line of ``--progress json``.

Answers on standard output go through here too, so that no text from outside reaches people as it
is.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click

from ..errors import OutputError, UsageError
from ..system import kernels as kernels_module
from ..system.lookup import same_file
from ..system.progress import Progress
from ..system.stdio import mute, writing_stdout
from ..system.text import printable, quoted
from .spelling import record, remark


@dataclass(frozen=True)
class Manner:
    """How a run shows what it does."""

    progress: str  # one of MODES
    quiet: bool


_PREFIX = re.compile(r"vqcodec: (note|warning|error): ")
_COLOURS = {"warning": "yellow", "error": "red"}
_LEVELS = {"warning": logging.WARNING, "error": logging.ERROR}
# of the log file alone; the root logger tells other libraries' warnings to both
_LOG = logging.getLogger("vqcodec")
_LOG.setLevel(logging.INFO)
_LOG.propagate = False


class Lines(logging.Formatter):
    """A record is one line. Where an error arose follows as marked lines, so that no text can pass
    for a record."""

    def format(self, record: logging.LogRecord) -> str:
        """The lines of a record, without what another formatter has kept in it."""
        record.exc_text = None  # formatters keep it there for each other
        text = super().format(record)
        record.exc_text = None
        return text

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line itself, with unprintable characters escaped."""
        record.message = printable(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:
        """The traceback, each line marked as a quotation."""
        return quoted(super().formatException(ei))


class _Choices(logging.Handler):
    """What was chosen for the networks of a run: said with ``-v``, and always in the log file."""

    def emit(self, record: logging.LogRecord) -> None:
        _talk.say(f"vqcodec: {record.getMessage()}", quiet=not _talk.verbose)


_NETS = logging.getLogger("vqcodec.nets")
_NETS.propagate = False
_NETS.addHandler(_Choices())


class _LogFile(logging.FileHandler):
    """Appends to a file. Where that fails the work goes on, and it is said once."""

    def handleError(self, record: logging.LogRecord) -> None:
        failure = sys.exc_info()[1]
        _detach(self)
        if _talk._file is self:
            _talk._file = None
        reason = getattr(failure, "strerror", None) or failure
        _talk.say(
            f"vqcodec: warning: {self.baseFilename}: the log cannot be written any more: {reason}"
        )


def _detach(handler: logging.Handler) -> None:
    for logger in (_LOG, logging.getLogger()):
        logger.removeHandler(handler)
    with suppress(OSError):  # a full disk, which was told already
        handler.close()


class Talk:
    """One run of the program. ``json``: progress is told in JSON; ``verbose``: what was chosen is
    told; ``detailed``: where an error arose is shown; ``quiet``: notes are not; ``result``: what
    the last line of it holds."""

    def __init__(self, args: Sequence[str] = ()) -> None:
        self.args = list(args)
        self.json = self.verbose = self.detailed = self.quiet = False
        self.result: dict[str, Any] | None = None
        self.display: Progress | None = None  # makes room for what is said
        self._file: _LogFile | None = None

    def say(self, text: str, quiet: bool = False, trace: bool = False) -> None:
        """A sentence; that it is a note, a warning or an error is told by its beginning. Even a
        quiet run puts it into the log, with ``trace`` where it arose."""
        text = printable(text)
        match = _PREFIX.match(text)
        kind = match[1] if match else ""
        if self._file is not None:
            message = text.strip() if match is None else text[match.end() :]
            _LOG.log(_LEVELS.get(kind, logging.INFO), message, exc_info=trace)
        # what was made stands in the result of --progress json
        if not quiet and not (self.json and not text.startswith("vqcodec: ")):
            if self.display is not None:
                self.display.hide()
            if match and kind in _COLOURS and coloured(sys.stderr):
                text = (
                    click.style(text[: match.end() - 1], fg=_COLOURS[kind], bold=True)
                    + text[match.end() - 1 :]
                )
            tell(text)

    def open_log(self, path: str, others: Iterable[str]) -> None:
        """Append all that is said from now on to ``path``; UsageError where that is one of the
        ``others`` or no text, OutputError where it can't be written."""
        if any(
            os.path.realpath(path) == os.path.realpath(name) or same_file(path, name)
            for name in others
        ):
            raise UsageError(
                f"{path}: the log and another file of the command are the same: name a new file"
            )
        try:
            if Path(path).is_file():
                with Path(path).open("rb") as file:
                    if b"\0" in file.read(4096):
                        raise UsageError(
                            f"{path}: no text, so it is no log to go on with: name a new file"
                        )
            self._file = _LogFile(path, encoding="utf-8", errors="backslashreplace")
        except OSError as exc:
            raise OutputError(f"{path}: the log cannot be written: {exc.strerror or exc}") from exc
        self._file.setFormatter(
            Lines("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S%z")
        )
        for logger in (_LOG, logging.getLogger()):
            logger.addHandler(self._file)

    def close(self, code: int, error: str | None) -> None:
        """The end, with its exit code."""
        if self.json:
            line = {"done": True, "exit_code": code, "error": error, "result": self.result}
            tell(json.dumps(line, allow_nan=False))
        if self._file is not None:
            _LOG.info("exit code %d", code)
            _detach(self._file)
            self._file = None


def tell(text: str) -> None:
    """A line on standard error; where that cannot be written, a full disk or a pipe that nobody
    reads, the work goes on in silence."""
    try:
        click.echo(text, err=True)
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            mute(sys.stderr.fileno())


def coloured(stream: Any) -> bool:
    """Whether a stream is a terminal that shows colours, and nobody asked for none
    (no-color.org)."""
    return (
        not os.environ.get("NO_COLOR")
        and os.environ.get("TERM") != "dumb"
        and stream is not None
        and stream.isatty()
    )


_talk = Talk()


def begin(args: Sequence[str]) -> Talk:
    """A run with these arguments; what is said from now on is its own."""
    global _talk
    _talk = Talk(args)
    kernels_module.tell = _compiling
    return _talk


def _compiling(quiet: bool = False) -> None:
    say(f"vqcodec: note: {kernels_module.note()}", quiet)


def current() -> Talk:
    """The run that is on."""
    return _talk


def say(text: str, quiet: bool = False) -> None:
    """A sentence on standard error unless ``quiet``, and in the log."""
    _talk.say(text, quiet)


class _Notes(logging.Handler):
    """What the library has to say while it works, as notes."""

    def emit(self, record: logging.LogRecord) -> None:
        say(f"vqcodec: note: {remark(record.getMessage())}", _talk.quiet)


def hear_notes() -> None:
    """Show the notes of the library from now on."""
    notes = logging.getLogger("vqcodec.notes")
    notes.propagate = False
    notes.handlers = [_Notes()]


def need_stdout() -> None:
    """OutputError where the caller closed standard output: an answer would go nowhere."""
    if sys.stdout is None:
        raise OutputError("there is no standard output: it was closed before the program began")


def show(*lines: str) -> None:
    """Lines for people on standard output."""
    data("".join(printable(line) + "\n" for line in lines))


def data(text: str) -> None:
    """Text for programs on standard output, exactly as it is."""
    need_stdout()
    with writing_stdout():
        click.echo(text, nl=False)


def flush() -> None:
    """Write out what standard output holds, where there is one."""
    with writing_stdout():
        if sys.stdout is not None:
            sys.stdout.flush()


def note(name: str, texts: Iterable[str], quiet: bool) -> None:
    """Remarks of the library on a file that was made."""
    for text in texts:
        say(f"vqcodec: note: {name + ': ' if name else ''}{remark(text)}", quiet)


def warn(name: str, texts: Sequence[str]) -> None:
    """What is wrong with a file; said even where quiet was asked for."""
    for text in texts:
        say(f"vqcodec: warning: {name}: {remark(text)}")


def finish(result: dict[str, Any]) -> None:
    """What was made, for the last line of ``--progress json``."""
    _talk.result = record(result)


@contextmanager
def progress(manner: Manner) -> Iterator[Progress]:
    """Progress on stderr, taken away at the end. A quiet run shows it only where it was asked
    for."""
    mode = "none" if manner.quiet and manner.progress == "auto" else manner.progress
    shown = _talk.display = Progress(mode)
    kernels_module.tell = partial(_compiling, manner.quiet)
    try:
        yield shown
    finally:
        _talk.display = None
        shown.close()
