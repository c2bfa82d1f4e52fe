"""Where the chroma samples of 4:2:0 pictures lie (ITU-T H.273, 8.7), by FFmpeg's numbers: 0 where
nothing is told.

PyAV has no word for it, so a file is asked by its first line (y4m), or by what Matroska's muxer
writes down of its stream.
"""

from __future__ import annotations

import io

import av
import av.error
from av.video.format import VideoFormat
from av.video.stream import VideoStream

from ..colour import LOCATIONS
from .integrity import ebml

LEFT, CENTER, TOPLEFT, TOP = (LOCATIONS[name] for name in ("left", "center", "topleft", "top"))
_NAMES = {number: name for name, number in LOCATIONS.items() if number}
Y4M = {CENTER: "420jpeg", LEFT: "420mpeg2", TOPLEFT: "420paldv"}
_OF_Y4M = {"420": CENTER} | {tag: location for location, tag in Y4M.items()}
_OWN_TAG = "XCHROMA_LOCATION="  # y4m has tags for three locations, and for pictures of 8 bits
_ON_COLUMN = {LEFT, TOPLEFT, LOCATIONS["bottomleft"]}
# segment, tracks, track, video, colour
_PATH = (0x18538067, 0x1654AE6B, 0xAE, 0xE0, 0x55B0)
_HORIZONTAL, _VERTICAL = 0x55B7, 0x55B8
_OF_MATROSKA = {(1, 2): LEFT, (2, 2): CENTER, (1, 1): TOPLEFT, (2, 1): TOP}


def of_y4m(start: bytes) -> int:
    """By the first line of a y4m file."""
    tags = start.partition(b"\n")[0].decode(errors="replace").split()[1:]
    for tag in tags:
        if tag.startswith(_OWN_TAG):
            return LOCATIONS.get(tag.removeprefix(_OWN_TAG), 0)
    return next((_OF_Y4M.get(t[1:], 0) for t in tags if t[0] == "C"), 0)


def y4m_tag(location: int) -> str:
    """What tells :func:`of_y4m` any location, in the first line of a stream of ours."""
    return _OWN_TAG + _NAMES[location]


def of_stream(stream: VideoStream) -> int:
    """Of a video stream of an open file; 0 also for those at the bottom, which Matroska has no
    number for."""
    written = io.BytesIO()
    try:
        with av.open(written, "w", format="matroska") as out:
            out.add_stream_from_template(
                stream, opaque=True
            )  # else an encoder is wanted of the name that the decoder has, such as libdav1d
            out.start_encoding()
    except (av.error.FFmpegError, ValueError):
        return 0  # no codec of Matroska's
    colour = _colour(written.getvalue())
    return _OF_MATROSKA.get((colour.get(_HORIZONTAL, 0), colour.get(_VERTICAL, 0)), 0)


def encoder_options(location: int) -> dict[str, str]:
    """What tells an encoder of FFmpeg the location; nothing where it is unknown."""
    return {"chroma_sample_location": name} if (name := _NAMES.get(location)) else {}


def _colour(data: bytes) -> dict[int, int]:
    """The numbers in the colour element of the only track."""
    begin, end = 0, len(data)
    for wanted in _PATH:
        begin, end = next(
            ((b, e) for number, b, e in _children(data, begin, end) if number == wanted), (0, 0)
        )
    return {
        number: int.from_bytes(data[b:e], "big") for number, b, e in _children(data, begin, end)
    }


def _children(data: bytes, at: int, end: int) -> list[tuple[int, int, int]]:
    found = []
    while (element := ebml(data, at, end)) is not None:
        number, begin, stop = element
        at = end if stop is None else min(stop, end)
        found.append((number, begin, at))
    return found


def after_conversion(location: int, fmt: VideoFormat) -> int:
    """Of 4:2:0 pictures that swscale made of those of a VideoFormat: where it halves columns or
    rows, samples come to lie midway."""
    if len(fmt.components) < 3 and not fmt.has_palette:
        return 0  # gray
    match fmt.chroma_width(4), fmt.chroma_height(4):
        case 2, 2:
            return location
        case 2, 4:
            return (LEFT if location in _ON_COLUMN else CENTER) if location else 0
        case 4, 4:
            return CENTER
        case _:
            return 0
