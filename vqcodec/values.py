"""Values of options as callers give them, also in the forms that are typed on the command line.

Each function gives the value that an option holds, or a UsageError that names the option.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from fractions import Fraction
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, TypedDict

from .errors import UsageError

if TYPE_CHECKING:
    from .colour import Colour
    from .options import Limits, Time, TrackChoice


class CommonChanges(TypedDict, total=False):
    """Options of both ways by keyword."""

    start: Time | str | float | Fraction | None
    duration: Time | str | float | Fraction | None
    threads: int
    batch: int
    device: str
    strict: bool
    tracks: TrackChoice | str | Iterable[str]
    rate: Fraction | str | float | None


class EncodeChanges(CommonChanges, total=False):
    """Fields of EncodeOptions by keyword."""

    crf: float | str
    preset: str
    gop: int | Time | str
    stats: str | os.PathLike[str] | None
    jobs: int
    resume: bool
    colour: Colour
    bitrate: int | str | None
    target_psnr: float | str | None
    max_size: int | str | None
    playlists: bool
    arithmetic: str


class DecodeChanges(CommonChanges, total=False):
    """Fields of DecodeOptions by keyword."""

    vcodec: str | None
    vcodec_opts: dict[str, str] | str
    limits: Limits
    pix_fmt: str | None
    format: str | None


def _refused(name: str, value: object, allowed: str) -> UsageError:
    return UsageError(f"{value!r} is none, allowed are {allowed}", option=name)


def number(value: Any, name: str) -> float:
    """A number, or one as text."""
    try:
        if isinstance(value, str | Real) and not isinstance(value, bool):
            # whole numbers stay what they are
            return int(value) if isinstance(value, Integral) else float(value)
    except ValueError:
        pass
    raise _refused(name, value, "numbers")


def whole(value: Any, name: str) -> int:
    """A whole number, or one as text."""
    found = number(value, name)
    if found != found or found in (float("inf"), float("-inf")) or found != int(found):
        raise _refused(name, value, "whole numbers")
    return int(found)


def flag(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise _refused(name, value, "True and False")
    return value


def text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise _refused(name, value, "texts")
    return value


def path(value: Any, name: str) -> str:
    if not isinstance(value, str | os.PathLike):
        raise _refused(name, value, "names of files")
    found = os.fspath(value)
    return text(found, name)


def amount(value: Any, name: str) -> int:
    """800000, ``"800k"`` or ``"1.5M"``."""
    from .options import parse_amount

    return parse_amount(value, name) if isinstance(value, str) else whole(value, name)


def time(value: Any, name: str) -> Time:
    """Seconds, ``"1:02.5"``, ``"300f"`` or a Time."""
    from .options import Time, parse_time

    if isinstance(value, Time):
        return value
    if isinstance(value, str):
        return parse_time(value, name)
    if isinstance(value, Fraction):
        return Time(seconds=value)
    seconds = number(value, name)
    if not 0 <= seconds < float("inf"):
        raise _refused(name, value, "seconds from 0, times such as '1:02.5', and '300f'")
    return Time(seconds=Fraction(str(seconds)))


def gop(value: Any, name: str) -> int | Time:
    """Frames, ``"4s"`` or a Time."""
    from .options import Time, parse_gop

    if isinstance(value, Time):
        return value
    return parse_gop(value, name) if isinstance(value, str) else whole(value, name)


def rate(value: Any, name: str) -> Fraction:
    """Frames a second: 25, 29.97, ``"30000/1001"``, ``"ntsc"``."""
    from .options import parse_rate

    if isinstance(value, Fraction):
        return value
    if isinstance(value, str):
        return parse_rate(value, name)
    found = number(value, name)
    if not 0 < found < float("inf"):
        raise _refused(name, value, "rates above 0")
    return Fraction(str(found))


def codec_options(value: Any, name: str) -> dict[str, str]:
    """A dict of names and values, or ``"crf=12:preset=fast"``."""
    from .options import parse_codec_options

    if isinstance(value, str):
        return parse_codec_options(value)
    if not isinstance(value, dict):
        raise _refused(name, value, "dicts and texts such as 'crf=12:preset=fast'")
    return {text(k, name): str(v) for k, v in value.items()}


def tracks(value: Any, name: str) -> TrackChoice:
    """A TrackChoice, or what ``-map`` takes, once or several times."""
    from .options import TrackChoice

    if isinstance(value, TrackChoice):
        return value
    if isinstance(value, str):
        return TrackChoice(maps=(value,))
    if not isinstance(value, Iterable):
        raise _refused(name, value, "maps such as 'a:1' and lists of them")
    return TrackChoice(maps=tuple(text(v, name) for v in value))
