"""What a muxer takes is tried on a file of one small picture in memory.

Refused later, it would cost the whole output.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from errno import EACCES, EDQUOT, EFBIG, EIO, ENOSPC, EPIPE, EROFS
from fractions import Fraction
from pathlib import Path

import av
import av.error
from av.container import OutputContainer
from av.video.stream import VideoStream

from ..system.lookup import is_regular

# what PyAV raises where it cannot read, or its muxers cannot hold, what a file says
FAILED = (
    av.error.FFmpegError,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    RuntimeError,
    MemoryError,  # FFmpeg says so of more than a thousand streams, and of texts that don't fit
)
# errors of the disk or the reader of a pipe: not of what was to be written
_CANNOT_WRITE = {EACCES, EDQUOT, EFBIG, EIO, ENOSPC, EPIPE, EROFS}
_ROOM = 16 << 20  # bytes; a disk with less is full
_CODECS = {"webm": "libvpx-vp9"}  # of the small picture
_SIDE, _RATE = 16, Fraction(25)


def cannot_write(exc: BaseException, path: str) -> bool:
    """Whether nothing can be written to an output, whatever it is."""
    if not isinstance(exc, OSError) or exc.errno not in _CANNOT_WRITE:
        return False
    if exc.errno != ENOSPC or not is_regular(path):
        return True
    # Matroska's muxer says the same where it left no room for what a packet brings
    return shutil.disk_usage(Path(path).absolute().parent).free < _ROOM


def trial(
    muxer: str,
    fill: Callable[[OutputContainer, VideoStream], None],
    options: dict[str, str] | None = None,
    rate: Fraction = _RATE,
) -> bytes | None:
    """A file of one small picture by FFmpeg's ``muxer``, when ``fill`` has put what is tried into
    it.

    ``rate`` is said to be that of the pictures. None where the muxer does not complete it.
    """
    buffer = io.BytesIO()
    try:
        with av.open(buffer, "w", format=muxer, options=options or {}) as out:
            stream = out.add_stream(_CODECS.get(muxer, "mpeg4"), rate=rate)
            assert isinstance(stream, VideoStream)
            stream.codec_context.time_base = 1 / _RATE  # a codec may not take that of the rate
            stream.width = stream.height = _SIDE
            stream.pix_fmt = "yuv420p"
            fill(out, stream)
            frame = av.VideoFrame(_SIDE, _SIDE, "yuv420p")
            for packet in [*stream.encode(frame), *stream.encode(None)]:
                out.mux(packet)
    except FAILED:
        return None
    return buffer.getvalue()
