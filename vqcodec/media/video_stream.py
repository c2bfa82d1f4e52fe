"""The stream of pictures of a source: opened, and refused where it is none that can be coded."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av.error
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from ..container.packets import MAGIC, MAX_FRACTION
from ..errors import InputError, located
from ..options import Limits
from ..system.stdio import CountedPipe
from .inputs import Source, open_source, open_stream, playlist_refused, reason

# demuxers that take any text for a video of a terminal
_NOT_VIDEO = {"ansi", "bintext", "xbin", "idf"}
_LOOKED_AT = 4096  # bytes at the begin of a file


@dataclass(frozen=True)
class Place:
    """Where a source is: a path, or a pipe of y4m that is read once, and what messages call it."""

    path: str
    name: str
    pipe: CountedPipe | None
    playlists: bool  # whether it may name other files of this machine

    def first_bytes(self) -> bytes:
        """What it begins with, as far as it was read."""
        if self.pipe is not None:
            return self.pipe.start
        with Path(self.path).open("rb") as file:
            return file.read(_LOOKED_AT)

    def size(self) -> int:
        """Its bytes; those that were read of a pipe."""
        return self.pipe.count if self.pipe is not None else Path(self.path).stat().st_size

    def check(self) -> None:
        """InputError for a file that is empty, or coded already."""
        if self.pipe is not None:
            return
        if self.size() == 0:
            raise InputError("the file is empty", file=self.name)
        if self.first_bytes().startswith(MAGIC):
            raise InputError(
                "it is a .vqv file, and coded already: decode it first", file=self.name
            )

    def open(self) -> Source:
        """Open it by FFmpeg; InputError."""
        try:
            with located(file=self.name):
                if self.pipe is not None:
                    return open_stream(self.pipe, "yuv4mpegpipe")
                return open_source(self.path, self.playlists)
        except (av.error.FFmpegError, OSError, ValueError) as exc:
            raise InputError(self._why(exc), file=self.name) from exc

    def _why(self, exc: BaseException) -> str:
        """Why it cannot be opened."""
        if self.pipe is not None:
            return f"no video that FFmpeg reads ({getattr(exc, 'strerror', None) or exc})"
        if self.path.lower().endswith(".yuv"):
            return (
                "raw pictures say neither size nor rate: ffmpeg -f rawvideo -pix_fmt yuv420p "
                "-s WIDTHxHEIGHT -r RATE -i FILE -f yuv4mpegpipe - | vqcodec encode - out.vqv"
            )
        return f"no video that FFmpeg reads ({reason(self.path, exc, self.playlists)})"


def pictures_of(container: InputContainer, place: Place, limits: Limits) -> VideoStream:
    """The stream of pictures of an open file; InputError, LimitError."""
    # a cover picture may come before the video; alone it is one
    streams = sorted((s for s in container.streams.video if s.codec_context), key=_is_cover)
    if not streams:
        listed = None if place.pipe is not None else playlist_refused(place.path)
        raise InputError(listed or "no video stream", file=place.name)
    stream = streams[0]
    if _is_cover(stream) and container.streams.audio:
        raise InputError("no video: sound with a cover picture", file=place.name)
    context = stream.codec_context
    if context.name in _NOT_VIDEO:
        raise InputError("no video that FFmpeg reads (text)", file=place.name)
    with located(file=place.name):
        limits.check_picture(context.width, context.height)
    # what several threads make of damaged pictures depends on which of them is first; the encoder
    # is slower than one of them
    context.thread_count = 1
    return stream


def _is_cover(stream: VideoStream) -> bool:
    return bool(stream.disposition & Disposition.attached_pic)


def bounded(value: Fraction | None) -> Fraction | None:
    """A positive Fraction that fits the file format, or None."""
    if not value or value <= 0:
        return None
    value = Fraction(value)
    if value.numerator > MAX_FRACTION or value.denominator > MAX_FRACTION:
        value = value.limit_denominator(1_000_000)
    return value if 0 < value.numerator <= MAX_FRACTION else None
