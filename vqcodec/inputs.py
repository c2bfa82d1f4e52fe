"""The one door through which FFmpeg gets bytes from outside, and what it may do with them.

FFmpeg's demuxers are more than parsers: a playlist names other files and addresses, and FFmpeg reads them for
whoever opens it. So a demuxer gets bytes that were opened here, is one of a list, and may open nothing itself.
"""

from __future__ import annotations

import io
from typing import Any

import av
import av.error

# kinds of files that may hold the sample of a track, the one tried first that keeps more than others
SAMPLE_FORMATS = ("matroska", "nut", "mp4", "mov", "mpegts")
# nothing may be opened by name: no file, no address
_NOTHING = {"protocol_whitelist": ""}
_DEMUXERS = {"ipod": "mp4"}  # of muxers that have another name: .m4v is written by ipod
_SAMPLE_PIXELS = 64 << 20  # of a picture in a sample: FFmpeg decodes one to learn its format


def open_sample(kind: str, data: bytes) -> Any:
    """Open a sample; ValueError unless its kind is one of SAMPLE_FORMATS, FFmpegError where it is none."""
    if kind not in SAMPLE_FORMATS:
        raise ValueError(f"samples are of no kind {kind!r}")
    return open_written(kind, data)


def open_written(kind: str, data: bytes) -> Any:
    """Open what FFmpeg's muxer ``kind`` has just written."""
    demuxer = _DEMUXERS.get(kind, kind)
    options = _NOTHING | {"max_pixels": str(_SAMPLE_PIXELS)}
    return av.open(io.BytesIO(data), format=demuxer, options=options, metadata_errors="replace")
