"""Forms that users type: times, rates, sizes, counts and options of codecs.

Each function raises UsageError, which names the option and what is allowed.
"""

from __future__ import annotations

import re
from fractions import Fraction

from .container.packets import MAX_GOP
from .errors import UsageError
from .span import Time

_RATES = {"ntsc": "30000/1001", "pal": "25", "film": "24", "ntsc-film": "24000/1001"}
_CLOCK = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?|\.\d+)s?")


def parse_time(text: str, name: str = "time") -> Time:
    """``12.5``, ``12.5s``, ``1:02.5``, ``00:01:02.5`` are seconds, ``300f`` is frames."""
    text = text.strip()
    if re.fullmatch(r"\d{1,15}f", text, re.ASCII):
        return Time(frames=int(text[:-1]))
    match = _CLOCK.fullmatch(text) if len(text) < 40 and text.isascii() else None
    if match is None:
        raise UsageError(
            f"{text!r} is no time: allowed are seconds (12.5), hours, minutes and seconds "
            "(00:01:02.5) and frames (300f)",
            option=name,
        )
    hours, minutes, seconds = match.groups()
    return Time(seconds=Fraction(seconds) + 60 * int(minutes or 0) + 3600 * int(hours or 0))


def parse_count(text: str) -> int:
    """``500``, ``64k``, ``64M`` or ``2G``, in steps of 1000; ``64Ki``, ``64Mi`` or ``2Gi`` in steps
    of 1024.
    """
    match = re.fullmatch(r"(\d{1,15}) ?(?:([kmgt])(i?))?b?", text.strip().lower(), re.ASCII)
    if match is None:
        raise UsageError(f"{text!r} is no number: allowed are 500, 64k, 64M, 64Mi, 2G")
    step = 1024 if match[3] else 1000
    factor: int = step ** " kmgt".find(match[2] or " ")
    return int(match[1]) * factor


def count(value: int) -> str:
    """The shortest text in steps of 1024 that :func:`parse_count` reads as this number."""
    for unit in ("", "Ki", "Mi"):
        if value % 1024 or not value:
            return f"{value}{unit}"
        value //= 1024
    return f"{value}Gi"


def parse_amount(text: str, name: str) -> int:
    """``800k``, ``2M``, ``1.5M`` or ``800000``, in steps of 1000 as bitrates and files are counted;
    ``Ki``, ``Mi`` and ``Gi`` in steps of 1024.
    """
    match = re.fullmatch(
        r"(\d{1,15}(?:\.\d{1,9})?) ?([kmgt]?)(i?)b?", text.strip().lower(), re.ASCII
    )
    amount = (
        int(Fraction(match[1]) * (1024 if match[3] else 1000) ** (" kmgt".find(match[2] or " ")))
        if match and (match[2] or not match[3])
        else 0
    )
    if not 0 < amount < 1 << 60:
        raise UsageError(f"{text!r} is no amount: allowed are 800000, 800k, 1.5M, 2G", option=name)
    return amount


def parse_gop(text: str, name: str = "gop") -> Time:
    """Longest distance of key frames: ``300`` or ``300f`` frames, ``10s`` seconds."""
    text = text.strip()
    if re.fullmatch(r"\d{1,15}f?", text, re.ASCII):
        time = Time(frames=int(text.rstrip("f")))
    elif re.fullmatch(r"\d{1,15}(\.\d+)?s", text, re.ASCII):
        time = Time(seconds=Fraction(text[:-1]))
    else:
        raise UsageError(
            f"{text!r} is none: allowed are frames (1 to {MAX_GOP}) and seconds (4s)", option=name
        )
    if not (time.frames or time.seconds):
        raise UsageError(f"allowed are frames (1 to {MAX_GOP}) and seconds (4s)", option=name)
    return time


def parse_rate(text: str, name: str = "rate") -> Fraction:
    """``25``, ``29.97``, ``30000/1001``, or one of FFmpeg's names ``ntsc``, ``pal``, ``film``,
    ``ntsc-film``; frames a second, exact.
    """
    values = _RATES.get(text, text)
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?)(?:[/:](\d{1,9}))?", values, re.ASCII)
    if match is None or not Fraction(match[1]) or (match[2] and not int(match[2])):
        raise UsageError(
            f"{text!r} is no frame rate: allowed are 25, 29.97, 30000/1001, {', '.join(_RATES)}",
            option=name,
        )
    return Fraction(match[1]) / int(match[2] or 1)


def parse_codec_options(text: str) -> dict[str, str]:
    """``crf=12:preset=fast`` or ``crf=12,preset=fast`` as a dict."""
    result: dict[str, str] = {}
    for part in filter(None, re.split(r"[:,]", text)):
        key, sign, value = part.partition("=")
        if not sign or not key.strip():
            raise UsageError(f"{part!r} is no name=value", option="vcodec_opts")
        result[key.strip()] = value.strip()
    return result
