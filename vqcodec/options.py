"""Options of encoding and decoding, checked on construction, and parsers of the forms users
type.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from typing import Any, TypeVar

from . import values
from .colour import Colour
from .container import packets
from .container.limits import Limits as Limits
from .encoding.rate_distortion import (
    DEFAULT_PRESET,
    NUMBERED_PRESETS,
    PRESETS,
    RateParameters,
    preset_name,
)
from .encoding.target import Target
from .errors import UsageError
from .span import Time as Time
from .track_choice import TrackChoice as TrackChoice

MAX_CRF = packets.MAX_CRF
MAX_GOP = packets.MAX_GOP  # what the format allows
DEFAULT_GOP = 128
PRESET_NAMES = f"{', '.join(PRESETS)}, or {len(NUMBERED_PRESETS) - 1} to 0"
MAX_JOBS = 256
MAX_RATE = 100_000  # frames a second
ARITHMETIC = ("auto", "integers", "bfloat16", "float32")
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:[0-9]{1,2})?")


def _check_rate(rate: Fraction | None) -> None:
    if rate is not None and not (
        0 < rate <= MAX_RATE
        and rate.numerator <= packets.MAX_FRACTION
        and rate.denominator <= packets.MAX_FRACTION
    ):
        raise UsageError(
            f"{rate} is out of range, allowed are rates above 0 and up to {MAX_RATE} frames "
            "a second",
            option="rate",
        )


def exclusive(names: Sequence[str], why: str = "") -> UsageError:
    """What to raise where options were given that cannot be used together."""
    marked = " and ".join(f"`{name}`" for name in names)
    return UsageError(f"{marked} exclude each other" + (why and f": {why}"))


def _check_common(threads: int, batch: int, device: str) -> None:
    if not 0 <= threads <= 1024:
        raise UsageError(
            f"{threads} is out of range, allowed are 0 (all) to 1024", option="threads"
        )
    if not 0 <= batch <= 1024:
        raise UsageError(
            f"{batch} is out of range, allowed are 0 (automatic) to 1024", option="batch"
        )
    if not _DEVICE.fullmatch(device):
        raise UsageError(
            f"{device!r} is unknown, allowed are auto, cpu, cuda, cuda:N and mps", option="device"
        )


# what makes the value of each option of what its caller gave
_COMMON: dict[str, Callable[[Any, str], Any]] = {
    "start": values.time,
    "duration": values.time,
    "threads": values.whole,
    "batch": values.whole,
    "device": values.text,
    "strict": values.flag,
    "tracks": values.tracks,
    "rate": values.rate,
}


def _preset(value: Any, name: str) -> str | RateParameters:
    if isinstance(value, RateParameters):
        return value
    text = str(value) if type(value) is int else values.text(value, name)
    try:
        return preset_name(text)
    except KeyError:
        raise UsageError(
            f"{text!r} is unknown, allowed are {', '.join(PRESETS)}, and 0 (slowest) to "
            f"{len(NUMBERED_PRESETS) - 1}",
            option="preset",
        ) from None


_OF_ENCODE: dict[str, Callable[[Any, str], Any]] = {
    "crf": values.number,
    "preset": _preset,
    "gop": values.gop,
    "stats": values.path,
    "jobs": values.whole,
    "resume": values.flag,
    "colour": values.instance(Colour),
    "bitrate": values.amount,
    "target_psnr": values.number,
    "max_size": values.amount,
    "playlists": values.flag,
    "arithmetic": values.text,
}
_OF_DECODE: dict[str, Callable[[Any, str], Any]] = {
    "vcodec": values.text,
    "vcodec_opts": values.codec_options,
    "limits": values.instance(Limits),
    "pix_fmt": values.text,
    "format": values.text,
}


def _take(options: Any, forms: dict[str, Callable[[Any, str], Any]]) -> None:
    """Bring the fields of frozen options into the form that they hold; None stays where it may."""
    for f in fields(options):
        value = getattr(options, f.name)
        if value is not None or f.default is not None:
            object.__setattr__(options, f.name, forms[f.name](value, f.name))


@dataclass(frozen=True)
class EncodeOptions:
    """Options of encoding; UsageError with the allowed values when one is out of range.

    Values may also be texts as on the command line: ``bitrate="800k"``, ``start="1:02"``. Of
    ``crf``, ``bitrate``, ``target_psnr`` and ``max_size`` one can be given.
    """

    crf: float = 28
    """Constant quality, from 0 (best) to 63 (smallest)."""
    preset: str | RateParameters = DEFAULT_PRESET
    """How much is tried: a name from fastest to slower, a number from 13 to 0, or trade-offs of
    one's own."""
    gop: int | Time = DEFAULT_GOP
    """Longest distance of I frames: 1 to 128 frames, or a time."""
    start: Time | None = None
    """Where to begin in the source; times of the output begin at zero there."""
    duration: Time | None = None
    """How much of the source to take, from ``start`` on."""
    threads: int = 0
    """Of the processor, from 0 (all) to 1024."""
    batch: int = 0
    """Frames that go through the nets at once, to 1024; 0: by their size."""
    device: str = "auto"
    """Where the nets run: auto, cpu, cuda, cuda:N or mps."""
    strict: bool = False
    """Whether a damaged source, or a loss, is an error."""
    stats: str | None = None
    """File for one JSON line a frame."""
    tracks: TrackChoice = field(default_factory=TrackChoice)
    """Which other tracks come along; also what ``-map`` takes, once or several times."""
    jobs: int = 1
    """Processes that code GOPs at the same time, to 256; 0: one on each processor."""
    resume: bool = False
    """Go on with an encode that was cut off, and keep what is done should this one be."""
    rate: Fraction | None = None
    """Frames a second in the place of the source's times."""
    colour: Colour = field(default_factory=Colour)
    """Tags in the place of the source's."""
    bitrate: int | None = None
    """Of the pictures, in bits a second."""
    target_psnr: float | None = None
    """Of the mean error, weighted (6 Y + U + V) / 8, in dB below 100."""
    max_size: int | None = None
    """Of the file, in bytes."""
    playlists: bool = False
    """Whether the source may name other files of this machine, as HLS and concat do."""
    arithmetic: str = "auto"
    """Of the encoder's own nets: integers, bfloat16, float32, or auto, which is integers on the
    CPU, on other devices the faster of the floats. Integers are the same on every processor."""

    def __post_init__(self) -> None:
        _take(self, _COMMON | _OF_ENCODE)
        if not 0 <= self.crf <= MAX_CRF:
            raise UsageError(
                f"{self.crf} is out of range, allowed are 0 (best) to {MAX_CRF} (smallest)",
                option="crf",
            )
        if isinstance(self.gop, int) and not 1 <= self.gop <= MAX_GOP:
            raise UsageError(
                f"{self.gop} is out of range, allowed are 1 to {MAX_GOP} frames", option="gop"
            )
        if self.arithmetic not in ARITHMETIC:
            raise UsageError(
                f"{self.arithmetic!r} is unknown, allowed are {', '.join(ARITHMETIC)}",
                option="arithmetic",
            )
        if not 0 <= self.jobs <= MAX_JOBS:
            raise UsageError(
                f"{self.jobs} is out of range, allowed are 0 (one on each processor) to {MAX_JOBS}",
                option="jobs",
            )
        given = [
            name
            for name, there in (
                ("crf", self.crf != EncodeOptions.crf),
                *((n, v is not None) for n, v in self._targets()),
            )
            if there
        ]
        if len(given) > 1:
            raise exclusive(given)
        for name, value in self._targets():
            top = 100 if name == "target_psnr" else 1 << 60
            if value is not None and not 0 < value < top:
                raise UsageError(
                    f"{value} is out of range, allowed are numbers above 0 and below {top}",
                    option=name,
                )
        if self.stats and self.target:
            raise exclusive(["stats", given[0]], "frames are coded several times for a target")
        if self.stats and self.resume:
            raise exclusive(["stats", "resume"], "frames coded before have no statistics")
        _check_common(self.threads, self.batch, self.device)
        _check_rate(self.rate)

    def _targets(self) -> tuple[tuple[str, float | None], ...]:
        return (
            ("bitrate", self.bitrate),
            ("target_psnr", self.target_psnr),
            ("max_size", self.max_size),
        )

    @property
    def target(self) -> Target | None:
        """What the crf is to be chosen for, if anything."""
        found = (
            (kind, value)
            for kind, (_, value) in zip(("bitrate", "psnr", "size"), self._targets(), strict=True)
            if value is not None
        )
        return next((Target(kind, float(value)) for kind, value in found), None)

    def gop_frames(self, rate: Fraction | None) -> int:
        """Longest GOP in frames at the given rate (25 where unknown), from 1 to MAX_GOP; longer
        distances are shortened.
        """
        if isinstance(self.gop, int):
            return self.gop
        frames = (
            self.gop.frames
            if self.gop.frames is not None
            else int((self.gop.seconds or 0) * (rate or 25))
        )
        return max(1, min(MAX_GOP, frames))


@dataclass(frozen=True)
class DecodeOptions:
    """Options of decoding; UsageError with the allowed values when one is out of range."""

    vcodec: str | None = None
    """FFmpeg's encoder for the pictures; None: by the suffix of the output."""
    vcodec_opts: dict[str, str] = field(default_factory=dict)
    """Options of that encoder, or a text such as ``crf=12:preset=fast``."""
    start: Time | None = None
    """Where to begin; times of the output begin at zero there."""
    duration: Time | None = None
    """How much to take, from ``start`` on."""
    threads: int = 0
    """Of the processor, from 0 (all) to 1024."""
    batch: int = 0
    """Frames that go through the nets at once, to 1024; 0: by their size."""
    device: str = "auto"
    """Where the nets run: auto, cpu, cuda, cuda:N or mps."""
    strict: bool = False
    """Whether damage, or what the output cannot hold, is an error."""
    limits: Limits = field(default_factory=Limits)
    """What is refused before memory is taken for it."""
    tracks: TrackChoice = field(default_factory=TrackChoice)
    """Which other tracks come along; also what ``-map`` takes, once or several times."""
    pix_fmt: str | None = None
    """Of the output: FFmpeg's name, or ``source``; None: 4:2:0."""
    rate: Fraction | None = None
    """Constant, of the output: frames are repeated and left out; None: the times of the file."""
    format: str | None = None
    """Kind of the output by FFmpeg's name; None: by its suffix."""

    def __post_init__(self) -> None:
        _take(self, _COMMON | _OF_DECODE)
        _check_common(self.threads, self.batch, self.device)
        _check_rate(self.rate)


Options = TypeVar("Options", EncodeOptions, DecodeOptions)


def changed(options: Options, changes: Mapping[str, Any]) -> Options:
    """The options with other values in some fields; UsageError for names that are none."""
    names = [f.name for f in fields(options)]
    for name in changes:
        if name not in names:
            raise UsageError(
                f"{name!r} is no option of {type(options).__name__}, allowed are {', '.join(names)}"
            )
    return replace(options, **changes)
