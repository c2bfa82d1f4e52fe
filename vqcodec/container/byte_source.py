"""Where the bytes of an open .vqv file come from: a path, bytes in memory, or a file object of the
caller's.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import Any, Protocol

from ..errors import InputError, UsageError
from ..system.files import check_input


class Readable(Protocol):
    """A file object opened for reading bytes; it must be able to seek."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes from the position on; none at the end."""

    def seek(self, offset: int, whence: int = ..., /) -> int:
        """Move the position, and return it; ``whence`` as in :mod:`os`."""


Source = str | os.PathLike[str] | bytes | bytearray | memoryview | Readable


class PathFile:
    """A file whose position belongs to the process: processes forked from one that opened it
    don't disturb each other."""

    def __init__(self, fd: int) -> None:
        self._fd, self._at = fd, 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position to a place from the start (``SEEK_SET``) or the end (``SEEK_END``)."""
        self._at = offset + (os.fstat(self._fd).st_size if whence == os.SEEK_END else 0)
        return self._at

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes from the position on; fewer at the end."""
        data = os.pread(self._fd, size, self._at)
        self._at += len(data)
        return data


class BorrowedFile:
    """A caller's file object: reads are as long as they can be, what it raises is an InputError."""

    def __init__(self, file: Readable, name: str) -> None:
        self._file, self._name = file, name

    def _failed(self, exc: Exception) -> InputError:
        return InputError(
            f"cannot be read: {getattr(exc, 'strerror', None) or exc}", file=self._name
        )

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position; InputError where the caller's file object fails."""
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError) as exc:
            raise self._failed(exc) from exc

    def read(self, size: int) -> bytes:
        """The next ``size`` bytes, fewer at the end only; InputError where the caller's file object
        fails."""
        parts: list[bytes] = []
        try:
            while size > 0 and (part := self._file.read(size)):
                parts.append(part)
                size -= len(part)
        except (OSError, ValueError) as exc:
            raise self._failed(exc) from exc
        return b"".join(parts)


def _check_borrowed(source: Any, name: str) -> None:
    """UsageError unless it is a file object that gives bytes and can seek."""
    if not (hasattr(source, "read") and hasattr(source, "seek")):
        kind = type(source).__name__
        raise UsageError(f"a path, bytes or a file object is needed, not {kind}", option="source")
    if isinstance(source, io.TextIOBase):
        raise UsageError("the file object gives text: open it with mode 'rb'", file=name)
    if hasattr(source, "seekable") and not source.closed and not source.seekable():
        raise UsageError("the file object cannot seek: read it and pass the bytes", file=name)


def open_source(source: Source) -> tuple[str, Any, Callable[[], None]]:
    """What to call a source, a file to read it from, and what closes that. A caller's file object
    stays open. InputError, UsageError."""
    if isinstance(source, str | os.PathLike):
        path = os.fspath(source)
        fd = os.open(check_input(path), os.O_RDONLY | os.O_CLOEXEC)
        return path, PathFile(fd), lambda: os.close(fd)
    if isinstance(source, bytes | bytearray | memoryview):
        return "<bytes>", io.BytesIO(source), lambda: None
    given = getattr(source, "name", None)
    name = given if isinstance(given, str) else f"<{type(source).__name__}>"
    _check_borrowed(source, name)
    return name, BorrowedFile(source, name), lambda: None
