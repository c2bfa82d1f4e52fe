"""Suffixes, encoders and pixel formats of outputs."""

from __future__ import annotations

import os
from difflib import get_close_matches
from functools import cache

import av
import av.error
import av.filter

from ..container.description import Description
from ..errors import UsageError
from ..system.stdio import PIPE, suffix_of
from ..system.suffixes import VIDEO
from . import y4m

# picture codec by suffix where none is asked for; "" writes the planes by hand
_DEFAULT = {
    ".y4m": "",
    ".yuv": "",
    ".mkv": "libx264",
    ".mp4": "libx264",
    ".m4v": "libx264",
    ".mov": "libx264",
    ".ts": "libx264",
    ".webm": "libvpx-vp9",
}

# FFmpeg's names of these kinds, for outputs whose names tell none, each with the suffix that stands
# for the kind
FORMATS = {
    "matroska": ".mkv",
    "mp4": ".mp4",
    "mov": ".mov",
    "mpegts": ".ts",
    "webm": ".webm",
    "yuv4mpegpipe": ".y4m",
    "rawvideo": ".yuv",
}
_MUXERS = FORMATS | {"ipod": ".m4v"}
RAW_IN_MATROSKA = {"yuv420p", "yuv422p", "gray"}  # what its muxer has a name for
MP4_KINDS = (".mp4", ".m4v", ".mov")
EVEN_ONLY = {"libx264", "libx265", "libsvtav1", "mpeg4"}


@cache
def suffixes() -> dict[str, str]:
    """All suffixes of videos that are written, each with the one that stands for its kind.

    They are those that FFmpeg gives the muxers that hold exact times: .m2ts is a kind of .ts.
    """
    found = {suffix: suffix for suffix in _DEFAULT}
    for muxer, kind in _MUXERS.items():
        for extension in sorted(av.ContainerFormat(muxer, "w").extensions):
            if "." + extension in VIDEO:  # .m4a is sound
                found.setdefault("." + extension, kind)
    return found


def muxer_of(kind: str) -> str:
    """FFmpeg's name of the muxer of a kind, which is told as its suffix."""
    return next(muxer for muxer, suffix in _MUXERS.items() if suffix == kind)


def kind_of(path: str | os.PathLike[str], format: str | None = None) -> str:
    """Kind of an output as a suffix: that of ``format``, FFmpeg's name, or else of the path.
    UsageError for one that isn't known, or that cannot go into a pipe."""
    if format is not None and format not in FORMATS:
        raise UsageError(
            f"{format!r} is unknown, allowed are {', '.join(FORMATS)}", option="format"
        )
    named = suffix_of(str(path)) if format is None else FORMATS[format]
    suffix = suffixes().get(named)
    if suffix is None:
        allowed = f"{', '.join(suffixes())} and .png"
        raise UsageError(f"unknown kind of video {named!r}, allowed are {allowed}", file=path)
    if str(path) == PIPE and suffix in MP4_KINDS:
        raise UsageError(
            f"{format} cannot be written to a pipe",
            file=PIPE,
            advice="use `format=matroska`, or a file",
        )
    return suffix


def choose_codec(
    path: str | os.PathLike[str],
    width: int,
    height: int,
    vcodec: str | None = None,
    format: str | None = None,
) -> tuple[str, str | None]:
    """Codec name ("" for planes by hand) and a note for the user or None; UsageError when kind,
    codec and size don't fit."""
    suffix = kind_of(path, format)
    by_hand = _DEFAULT[suffix] == ""
    if by_hand:
        if vcodec not in (None, "rawvideo"):
            raise UsageError(
                f"{suffix} holds raw pictures, not {vcodec}",
                file=path,
                advice="leave out `vcodec`, or write .mkv",
            )
        return "", None
    if str(path) == PIPE and suffix == ".mkv" and vcodec is None:
        return "ffv1", None  # what reads the pipe decodes at once: nothing is gained by a loss
    name = vcodec or _DEFAULT[suffix]
    odd = width % 2 or height % 2
    if odd and name in EVEN_ONLY:
        if vcodec is None and suffix == ".mkv":
            return (
                "ffv1",
                f"pictures of {width}x{height} don't fit {name}, which needs even sizes: "
                "ffv1 is used",
            )
        raise UsageError(
            f"{name} needs even sizes, the pictures are {width}x{height}",
            file=path,
            advice="use `vcodec=ffv1` in .mkv, or .y4m",
        )
    try:
        if av.codec.Codec(name, "w").type != "video":
            raise ValueError(name)
    except Exception as exc:
        near = get_close_matches(name, av.codecs_available)
        raise UsageError(
            f"{name!r} is no encoder of this FFmpeg",
            option="vcodec",
            advice=f"{' and '.join(near or ['libx264', 'libx265', 'ffv1'])} may be meant",
        ) from exc
    return name, None


def choose_format(codec: str, wanted: str | None, description: Description, ten_bit: bool) -> str:
    """Pixel format of the output; UsageError for one that the codec ("" for y4m) doesn't take.

    Unless one was asked for, pictures of 10 bits become 8 where the codec takes no more.
    """
    usual = "yuv420p10le" if ten_bit else "yuv420p"
    name = (
        usual if wanted is None else description.pix_fmt or usual if wanted == "source" else wanted
    )
    allowed = (
        list(y4m.TAGS)
        if not codec
        else [f.name for f in av.codec.Codec(codec, "w").video_formats or (av.VideoFormat(usual),)]
    )
    if wanted is None and name not in allowed and "yuv420p" in allowed:
        return "yuv420p"
    if name not in allowed:
        raise UsageError(
            f"{codec or 'y4m'} takes no {name}, allowed are {', '.join(allowed)}",
            option="pix_fmt",
        )
    return name
