"""Standard input and output in the place of files, for the name ``-``.

What must be read twice or from the end (.vqv, and all video but y4m) is first copied to a temporary
file, in the folder that TMPDIR names; y4m is read as it comes. Standard input is touched for ``-``
only. Named pipes are read in the same way.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path, PurePath
from typing import Any, BinaryIO, Protocol

from ..errors import InputError, OutputError, UsageError
from .files import atomic_output, check_input, check_output
from .lookup import is_fifo

PIPE = "-"
_Y4M = b"YUV4MPEG2 "


def is_stream(name: str) -> bool:
    """Whether a name is standard input or a named pipe, which can be read once only."""
    return name == PIPE or is_fifo(name)


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """Errors of reading, with the name of what is read; those of writing have errors of ours."""
    try:
        yield
    except OSError as exc:
        raise InputError(f"cannot be read: {exc.strerror or exc}", file=name) from exc


@contextmanager
def _stream(name: str) -> Iterator[Any]:
    if name == PIPE:
        yield sys.stdin.buffer
        return
    try:
        file = Path(name).open("rb")
    except OSError as exc:
        raise InputError(f"cannot be read: {exc.strerror or exc}", file=name) from exc
    with file:
        yield file


def mute(number: int) -> None:
    """Send what is still written to an open file of the process nowhere: what a buffer holds must
    not fail once more at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)


def check_coded(name: str, source: str) -> None:
    """UsageError for an output of the encoder that is called a media file of another kind.

    No player could make anything of it, and with ``-y`` it would take the place of a real one."""
    from .suffixes import CODED, OTHER, VIDEO

    suffix = PurePath(name).suffix
    if suffix.lower() in VIDEO | OTHER and not same_output(name, source):  # which is another fault
        raise UsageError(
            f"what is written is no {suffix} but {CODED}: "
            f"name it {name.removesuffix(suffix)}{CODED}",
            file=name,
        )


def check_source(name: str) -> None:
    """Refuse an input that cannot be read; InputError, UsageError for a terminal."""
    if name != PIPE:
        if not is_stream(name):  # opened once more, a pipe would be at its end
            check_input(name)
    elif sys.stdin is None or sys.stdin.closed:
        raise InputError("standard input is closed", file="-")
    elif sys.stdin.isatty():
        raise UsageError("standard input is a terminal; a file or a pipe is needed", file="-")


def check_target(name: str, inputs: Sequence[str] = (), overwrite: bool = False) -> None:
    """Refuse an output as :func:`check_output` does; UsageError for a terminal."""
    if name != PIPE:
        check_output(name, [i for i in inputs if i != PIPE], overwrite)
    elif sys.stdout is None or sys.stdout.closed:
        raise OutputError("standard output is closed", file="-")
    elif sys.stdout.isatty():
        raise UsageError("standard output is a terminal; a file or a pipe is needed", file="-")


class ByteStream(Protocol):
    """What a stream of bytes can do; ``read1`` gives what is there, nothing at the end only."""

    def read(self, size: int = ..., /) -> bytes:
        """At most ``size`` bytes, all by default; fewer at the end only."""

    def read1(self, size: int = ..., /) -> bytes:
        """What is there, at most ``size`` bytes; it waits only where nothing is."""


class CountedPipe:
    """A readable stream that counts its bytes and remembers the first of them; FFmpeg takes it for
    one that can't seek."""

    def __init__(self, file: Any, head: bytes = b"") -> None:
        self._file, self._head = file, head  # ``head`` was read already
        self.count = 0
        self.start = b""

    def read(self, size: int) -> bytes:
        """At least one byte, at most ``size``; none at the end."""
        data, self._head = self._head[:size], self._head[size:]
        if not data:
            data = self._file.read1(size)
        self.count += len(data)
        if len(self.start) < 4096:
            self.start += data[: 4096 - len(self.start)]
        return data


@contextmanager
def _temporary(what: str) -> Iterator[None]:
    """A failing temporary file becomes the error that ``what``."""
    try:
        yield
    except OSError as exc:
        reason = exc.strerror or exc
        raise OutputError(f"{what}: {reason} (TMPDIR names the folder for it)") from exc


def _spooled() -> AbstractContextManager[None]:
    return _temporary("the input cannot be copied to a temporary file")


def _spool(stack: ExitStack, name: str, stream: Any, head: bytes = b"") -> str:
    with _spooled():
        # without a buffer, whose rest would be written once more, and fail, where the file is
        # closed
        file = stack.enter_context(tempfile.NamedTemporaryFile(prefix="vqcodec-", buffering=0))
    data = head
    while True:
        with _spooled():
            left = memoryview(data)
            while left:
                left = left[file.write(left) :]
        with _readable(name):
            data = stream.read(1 << 20)
        if not data:
            return file.name


def source_path(stack: ExitStack, name: str) -> str:
    """A path to read ``name`` from, for as long as ``stack`` lives."""
    check_source(name)
    return _spool(stack, name, stack.enter_context(_stream(name))) if is_stream(name) else name


def video_source(
    stack: ExitStack, name: str, again: bool = False, stream: ByteStream | None = None
) -> tuple[str, CountedPipe | None]:
    """A path, or the pipe when y4m that isn't read ``again`` comes from standard input, a named
    pipe or the open ``stream``."""
    if stream is None:
        check_source(name)
        if not is_stream(name):
            return name, None
        stream = stack.enter_context(_stream(name))
    with _readable(name):
        head = stream.read(len(_Y4M))
    if head == _Y4M and not again:
        return name, CountedPipe(stream, head)
    return _spool(stack, name, stream, head), None


class StdoutError(OutputError):
    """Standard output cannot be written."""


@contextmanager
def writing_stdout() -> Iterator[None]:
    """Errors of standard output as StdoutError; a pipe that the reader closed stays a
    BrokenPipeError."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as exc:
        reason = exc.strerror or exc
        raise StdoutError(f"standard output cannot be written: {reason}") from exc


class Stdout:
    """Standard output for binary data. A pipe that the reader closed stays a BrokenPipeError, all
    else is a StdoutError."""

    def __init__(self) -> None:
        self._file: BinaryIO = sys.stdout.buffer

    def write(self, data: bytes | memoryview) -> int:
        """Write bytes, and return their number; errors as of :func:`writing_stdout`."""
        with writing_stdout():
            return self._file.write(data)

    def close(self) -> None:
        """Write out what is buffered; standard output stays open."""
        with writing_stdout():
            self._file.flush()


class _Kept:
    """What standard output gets when all of it is there."""

    def __init__(self) -> None:
        with _keeping():
            self._file = tempfile.TemporaryFile(prefix="vqcodec-")

    def write(self, data: bytes | memoryview) -> int:
        with _keeping():
            return self._file.write(data)

    def flush(self) -> None:
        """Nothing yet."""

    close = flush

    def give(self, out: Stdout) -> None:
        """Copy it."""
        with _keeping():
            self._file.seek(0)
        while True:
            with _keeping():
                data = self._file.read(1 << 20)
            if not data:
                return
            out.write(data)

    def __enter__(self) -> _Kept:
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.close()


def _keeping() -> AbstractContextManager[None]:
    return _temporary("the output cannot be kept in a temporary file")


@contextmanager
def target_file(name: str, overwrite: bool = False, whole: bool = False) -> Iterator[BinaryIO]:
    """The output opened for writing: standard output, or a file that gets its name when it is
    complete.

    With ``whole`` standard output, too, gets nothing before all of it is there; until then it lies
    in a temporary file.
    """
    if name != PIPE:
        with atomic_output(name, overwrite) as file:
            yield file
        return
    out = Stdout()
    if whole:
        with _Kept() as kept:
            yield kept  # type: ignore[misc]
            kept.give(out)
    else:
        yield out  # type: ignore[misc]
    out.close()


def suffix_of(name: str) -> str:
    """Suffix that chooses the kind of a video output; y4m for standard output."""
    return ".y4m" if name == PIPE else Path(name).suffix.lower()


def same_output(first: str, second: str) -> bool:
    """Whether two names are one output."""
    return first != PIPE and second != PIPE and os.path.realpath(first) == os.path.realpath(second)
