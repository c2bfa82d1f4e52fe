"""Video files out: y4m and raw planes by hand, everything else by FFmpeg, with exact times."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import BinaryIO, Protocol

import av.error

from ..container.description import Description
from ..container.packets import StreamHeader
from ..errors import UsageError
from ..picture import Picture
from .coded_output import CodedOutput
from .output import Extras, Output, OutputChoice
from .raw_output import RawOutput

__all__ = ["Extras", "OutputChoice", "VideoSink", "open_sink"]


class VideoSink(Protocol):
    """Writes pictures with their times.

    ``notes``, ``warnings`` and ``lost`` are complete after :meth:`close`.

    Attributes:
        frames: pictures written yet.
        quality: what the pictures are written with, for people to read.
    """

    frames: int
    quality: str

    @property
    def notes(self) -> Sequence[str]:
        """What was chosen or converted, a sentence each."""

    @property
    def warnings(self) -> Sequence[str]:
        """What the kind of the output cannot hold, a sentence each."""

    @property
    def lost(self) -> Sequence[str]:
        """What the output took a part of only, a sentence each."""

    def write(self, pts: int, picture: Picture, duration: int = 0) -> None:
        """Append a picture; ``pts`` and ``duration`` in ticks, 0 where that is unknown."""

    def close(self, end: int | None = None) -> None:
        """Complete the file, with packets of tracks up to ``end`` in ticks (None: all)."""

    def abort(self) -> None:
        """Close without completing; errors are of no interest any more."""


def open_sink(
    path: str | os.PathLike[str],
    header: StreamHeader,
    *,
    ten_bit: bool = False,
    choice: OutputChoice | None = None,
    extras: Extras | None = None,
    file: BinaryIO | None = None,
    uneven: bool = False,
) -> VideoSink:
    """Begin a video file, whose kind its suffix decides.

    Args:
        path: of the file; ``-`` for y4m, or what ``choice.format`` names, that goes to ``file``.
        header: size, time base, rate, aspect ratio, rotation and colour.
        ten_bit: whether the pictures have 10 bits, else 8.
        choice: what is wanted of codec and kind.
        extras: tags and tracks.
        file: where it is written in the place of ``path``.
        uneven: whether pictures are not at equal distances.

    Raises UsageError for impossible combinations, OutputError on failure, BrokenPipeError where
    the reader of a pipe has seen enough.
    """
    name, choice = str(path), choice or OutputChoice()
    description = extras.stored.description if extras is not None else Description()
    output = Output.decided(name, header, ten_bit, choice, description)
    if not output.codec:
        return RawOutput.open(output, extras, file)
    try:
        return CodedOutput.open(output, choice, extras, file, uneven)
    except UsageError:
        raise
    except ValueError as exc:
        raise UsageError(exc, file=name) from exc
    except BrokenPipeError:
        raise
    except (av.error.FFmpegError, OSError) as exc:
        raise output.failed(exc, f"cannot be opened for {output.codec} video") from exc
