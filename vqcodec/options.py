"""Options of encoding and decoding, checked on construction, and parsers of the forms users type."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction

from . import container
from .errors import UsageError

MAX_CRF = container.MAX_CRF
MAX_GOP = container.MAX_GOP
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")
_CLOCK = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?|\.\d+)s?")


@dataclass(frozen=True)
class Time:
    """A point or a length of time: seconds (exact) or frames, one of the two."""

    seconds: Fraction | None = None
    frames: int | None = None

    def __post_init__(self) -> None:
        if (self.seconds is None) == (self.frames is None) or (self.seconds or 0) < 0 or (self.frames or 0) < 0:
            raise UsageError("a time is a number of seconds or of frames, not negative")


@dataclass(frozen=True)
class Limits:
    """What is refused before memory is taken for it."""

    pixels: int = container.MAX_PIXELS
    side: int = container.MAX_SIDE
    packet: int = container.MAX_PAYLOAD
    metadata: int = container.MAX_HEADER
    concealed: int = 1 << 18  # lost frames that are filled in, of a whole file


def parse_time(text: str, name: str = "time") -> Time:
    """``12.5``, ``12.5s``, ``1:02.5``, ``00:01:02.5`` are seconds, ``300f`` is frames."""
    text = text.strip()
    if re.fullmatch(r"\d{1,15}f", text, re.ASCII):
        return Time(frames=int(text[:-1]))
    match = _CLOCK.fullmatch(text) if len(text) < 40 and text.isascii() else None
    if match is None:
        raise UsageError(f"{name}: {text!r} is no time: allowed are seconds (12.5), hours, minutes and seconds (00:01:02.5) and frames (300f)")
    hours, minutes, seconds = match.groups()
    return Time(seconds=Fraction(seconds) + 60 * int(minutes or 0) + 3600 * int(hours or 0))


def parse_gop(text: str) -> Time:
    """Longest distance of key frames: ``300`` or ``300f`` frames, ``10s`` seconds."""
    text = text.strip()
    if re.fullmatch(r"\d{1,15}f?", text, re.ASCII):
        time = Time(frames=int(text.rstrip("f")))
    elif re.fullmatch(r"\d{1,15}(\.\d+)?s", text, re.ASCII):
        time = Time(seconds=Fraction(text[:-1]))
    else:
        raise UsageError(f"key frame distance: {text!r} is none: allowed are frames (1 to {MAX_GOP}) and seconds (4s)")
    if not (time.frames or time.seconds):
        raise UsageError(f"key frame distance: allowed are frames (1 to {MAX_GOP}) and seconds (4s)")
    return time


def parse_codec_options(text: str) -> dict[str, str]:
    """``crf=12:preset=fast`` or ``crf=12,preset=fast`` as a dict."""
    result: dict[str, str] = {}
    for part in filter(None, re.split(r"[:,]", text)):
        key, sign, value = part.partition("=")
        if not sign or not key.strip():
            raise UsageError(f"codec options: {part!r} is no name=value")
        result[key.strip()] = value.strip()
    return result


def _check_common(threads: int, batch: int, device: str) -> None:
    if not 0 <= threads <= 1024:
        raise UsageError(f"threads: {threads} is out of range, allowed are 0 (all) to 1024")
    if not 0 <= batch <= 1024:
        raise UsageError(f"batch: {batch} is out of range, allowed are 0 (automatic) to 1024")
    if not _DEVICE.fullmatch(device):
        raise UsageError(f"device: {device!r} is unknown, allowed are auto, cpu, cuda, cuda:N and mps")


@dataclass(frozen=True)
class EncodeOptions:
    """Options of encoding; UsageError with the allowed values when one is out of range."""

    crf: int = 28
    gop: int | Time = MAX_GOP  # frames, or a Time resolved by the frame rate
    start: Time | None = None
    duration: Time | None = None
    threads: int = 0
    batch: int = 0
    device: str = "auto"
    strict: bool = False
    stats: str | None = None  # file for one JSON line per frame

    def __post_init__(self) -> None:
        if not 0 <= self.crf <= MAX_CRF:
            raise UsageError(f"crf: {self.crf} is out of range, allowed are 0 (best) to {MAX_CRF} (smallest)")
        if isinstance(self.gop, int) and not 1 <= self.gop <= MAX_GOP:
            raise UsageError(f"key frame distance: {self.gop} is out of range, allowed are 1 to {MAX_GOP} frames")
        _check_common(self.threads, self.batch, self.device)

    def gop_frames(self, rate: Fraction | None) -> int:
        """Longest GOP in frames at the given rate (25 where unknown), from 1 to MAX_GOP; longer distances are shortened."""
        if isinstance(self.gop, int):
            return self.gop
        frames = self.gop.frames if self.gop.frames is not None else int((self.gop.seconds or 0) * (rate or 25))
        return max(1, min(MAX_GOP, frames))


@dataclass(frozen=True)
class DecodeOptions:
    """Options of decoding; UsageError with the allowed values when one is out of range."""

    vcodec: str | None = None  # None: by the suffix of the output
    vcodec_opts: dict[str, str] = field(default_factory=dict)
    start: Time | None = None
    duration: Time | None = None
    threads: int = 0
    batch: int = 0
    device: str = "auto"
    strict: bool = False
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        _check_common(self.threads, self.batch, self.device)
