"""What a command reads and what it writes, looked at once: a source and a destination by name."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from .files import atomic_output
from .stdio import (
    PIPE,
    ByteStream,
    CountedPipe,
    check_source,
    check_target,
    is_stream,
    target_file,
    video_source,
)


@dataclass(frozen=True)
class Source:
    """An input that can be read. Made by :meth:`of`, which looks at it."""

    name: str  # in messages
    stream: ByteStream | None  # what is read in the place of a file of this name
    once: bool  # a stream, standard input or a named pipe: it can be read once only

    @classmethod
    def of(cls, name: str | os.PathLike[str], stream: ByteStream | None = None) -> Source:
        """The input of this name, or an open ``stream`` that is called so.

        Raises InputError where it cannot be read, UsageError for a terminal.
        """
        name = os.fspath(name)
        if stream is not None:
            return cls(name, stream, once=True)
        check_source(name)
        return cls(name, None, is_stream(name))

    @property
    def files(self) -> list[str]:
        """Names that an output must not have."""
        return [] if self.stream is not None else [self.name]

    def open_video(self, stack: ExitStack, again: bool) -> tuple[str, CountedPipe | None]:
        """A path, for as long as ``stack`` lives; or the pipe that y4m comes from.

        What is to be read ``again`` has a path always: a pipe is copied to a temporary file.
        """
        return video_source(stack, self.name, again, self.stream)


@dataclass(frozen=True)
class Destination:
    """An output that may be written. Made by :meth:`of`, which looks at it."""

    name: str
    overwrite: bool

    @classmethod
    def of(
        cls, name: str | os.PathLike[str], inputs: Iterable[str] = (), overwrite: bool = False
    ) -> Destination:
        """The output of this name, which is none of the ``inputs``.

        Raises OutputError where it is there already or cannot be written, UsageError for a
        terminal and where it is one of the inputs.
        """
        name = os.fspath(name)
        check_target(name, list(inputs), overwrite)
        return cls(name, overwrite)

    @property
    def piped(self) -> bool:
        """Whether it is standard output."""
        return self.name == PIPE

    def open(
        self, whole: bool = False, temporary: Path | None = None
    ) -> AbstractContextManager[BinaryIO]:
        """The output opened for writing: standard output, or a file that appears when complete.

        With ``whole`` standard output, too, gets nothing before all of it is there. A file is
        called ``temporary`` until it is complete.
        """
        if self.piped:
            return target_file(self.name, whole=whole)
        return atomic_output(self.name, self.overwrite, temporary)
