"""Suffixes, encoders, pixel formats and HDR parameters of outputs."""

from __future__ import annotations

import os
from difflib import get_close_matches
from fractions import Fraction

import av
import av.error
import av.filter

from ..container.description import Description
from ..errors import UsageError
from ..system.stdio import PIPE, suffix_of

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
SUFFIXES = tuple(_DEFAULT)


# FFmpeg's names of these kinds, for outputs whose names tell none
FORMATS = {
    "matroska": ".mkv",
    "mp4": ".mp4",
    "mov": ".mov",
    "mpegts": ".ts",
    "webm": ".webm",
    "yuv4mpegpipe": ".y4m",
    "rawvideo": ".yuv",
}
RAW_IN_MATROSKA = {"yuv420p", "yuv422p", "gray"}  # what its muxer has a name for
CODEC_DEFAULTS = {
    "libx264": {"crf": "12"},
    "libx265": {"crf": "12", "x265-params": "log-level=error"},
    "libvpx-vp9": {"crf": "12", "b": "0"},
    "libsvtav1": {"crf": "12"},
    "ffv1": {"level": "3"},
}
LOSSLESS = {"ffv1", "ffvhuff", "huffyuv", "rawvideo", "utvideo", "png", "magicyuv", "v210"}


# pixel formats of y4m
Y4M_TAGS = {"yuv420p": "420jpeg", "yuv422p": "422", "yuv444p": "444", "gray": "mono"}


Y4M_TAGS |= {
    "yuv420p10le": "420p10 XYSCSS=420P10",
    "yuv422p10le": "422p10 XYSCSS=422P10",
    "yuv444p10le": "444p10 XYSCSS=444P10",
    "gray10le": "mono10 XYSCSS=MONO10",
}
MP4_KINDS = (".mp4", ".m4v", ".mov")
EVEN_ONLY = {"libx264", "libx265", "libsvtav1", "mpeg4"}


def kind_of(path: str | os.PathLike[str], format: str | None = None) -> str:
    """Kind of an output as a suffix: that of ``format``, FFmpeg's name, or else of the path.
    UsageError for one that isn't known, or that cannot go into a pipe."""
    if format is not None and format not in FORMATS:
        raise UsageError(f"-f: {format!r} is unknown, allowed are {', '.join(FORMATS)}")
    suffix = suffix_of(str(path)) if format is None else FORMATS[format]
    if suffix not in _DEFAULT:
        allowed = f"{', '.join(_DEFAULT)} and .png"
        raise UsageError(f"{path}: unknown kind of video {suffix!r}, allowed are {allowed}")
    if str(path) == PIPE and suffix in MP4_KINDS:
        raise UsageError(f"-: {format} cannot be written to a pipe: use -f matroska, or a file")
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
                f"{path}: {suffix} holds raw pictures, not {vcodec}: leave out --vcodec, or write .mkv"
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
                f"pictures of {width}x{height} don't fit {name}, which needs even sizes: ffv1 is used",
            )
        raise UsageError(
            f"{path}: {name} needs even sizes, the pictures are {width}x{height}; use --vcodec ffv1 in .mkv, or .y4m"
        )
    try:
        if av.codec.Codec(name, "w").type != "video":
            raise ValueError(name)
    except Exception as exc:
        near = get_close_matches(name, av.codecs_available)
        raise UsageError(
            f"vcodec: {name!r} is no encoder of this FFmpeg; {' and '.join(near or ['libx264', 'libx265', 'ffv1'])} may be meant"
        ) from exc
    return name, None


def quality_of(codec: str, opts: dict[str, str]) -> str:
    """For messages: what the pictures are written with, and whether that loses anything."""
    if not codec:
        return "raw pictures"
    options = CODEC_DEFAULTS.get(codec, {}) | opts
    if codec in LOSSLESS or options.get("qp") == "0" and codec == "libx264":
        return f"{codec} (lossless)"
    names = ("crf", "qp", "q", "b")
    given = [f"{n} {options[n]}" for n in names if options.get(n, "0") != "0"]
    return f"{' '.join([codec, *given[:1]])} (lossy: --vcodec ffv1 keeps the pixels)"


def choose_format(codec: str, wanted: str | None, description: Description, ten_bit: bool) -> str:
    """Pixel format of the output; UsageError for one that the codec ("" for y4m) doesn't take.

    Unless one was asked for, pictures of 10 bits become 8 where the codec takes no more.
    """
    usual = "yuv420p10le" if ten_bit else "yuv420p"
    name = (
        usual if wanted is None else description.pix_fmt or usual if wanted == "source" else wanted
    )
    allowed = (
        list(Y4M_TAGS)
        if not codec
        else [f.name for f in av.codec.Codec(codec, "w").video_formats or (av.VideoFormat(usual),)]
    )
    if wanted is None and name not in allowed and "yuv420p" in allowed:
        return "yuv420p"
    if name not in allowed:
        raise UsageError(
            f"-pix_fmt: {codec or 'y4m'} takes no {name}, allowed are {', '.join(allowed)}"
        )
    return name


def hdr_options(codec: str, description: Description) -> dict[str, str] | None:
    """Options that make an encoder write the HDR data; None for one that has none."""
    m, light = description.mastering, description.light
    values = (
        [Fraction(n, d) for n, d in m.values if d]
        if m is not None and m.has_primaries and m.has_luminance
        else []
    )
    if len(values) != 10:
        values = []
    names = {
        "libx264": ("x264-params", "mastering-display", "cll"),
        "libx265": ("x265-params", "master-display", "max-cll"),
        "libsvtav1": ("svtav1-params", "mastering-display", "content-light"),
    }.get(codec)
    if names is None:
        return None
    parts = []
    if values:
        # SVT-AV1 takes decimals, the others units of 0.00002 and 0.0001 cd/m2
        v = (
            [f"{float(x):.6g}" for x in values]
            if codec == "libsvtav1"
            else [str(round(x * (50000 if i < 8 else 10000))) for i, x in enumerate(values)]
        )
        parts.append(
            f"{names[1]}=G({v[2]},{v[3]})B({v[4]},{v[5]})R({v[0]},{v[1]})WP({v[6]},{v[7]})L({v[9]},{v[8]})"
        )
    if light:
        parts.append(f"{names[2]}={light[0]},{light[1]}")
    return {names[0]: ":".join(parts)} if parts else {}
