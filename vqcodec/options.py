"""Options of encoding and decoding, checked on construction, and parsers of the forms users type."""

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
from .encoding.rate_distortion import PRESETS
from .encoding.target import Target
from .errors import UsageError

MAX_CRF = packets.MAX_CRF
MAX_GOP = packets.MAX_GOP
MAX_JOBS = 256
MAX_RATE = 100_000  # frames a second
_RATES = {"ntsc": "30000/1001", "pal": "25", "film": "24", "ntsc-film": "24000/1001"}
ARITHMETIC = ("auto", "bfloat16", "float32")
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:[0-9]{1,2})?")
_CLOCK = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?|\.\d+)s?")


@dataclass(frozen=True)
class Time:
    """A point or a length of time: seconds (exact) or frames, one of the two."""

    seconds: Fraction | None = None
    frames: int | None = None

    def __post_init__(self) -> None:
        if (
            (self.seconds is None) == (self.frames is None)
            or (self.seconds or 0) < 0
            or (self.frames or 0) < 0
        ):
            raise UsageError("a time is a number of seconds or of frames, not negative")


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
    """``500``, ``64k``, ``64M`` or ``2G``, in steps of 1000; ``64Ki``, ``64Mi`` or ``2Gi`` in steps of 1024."""
    match = re.fullmatch(r"(\d{1,15}) ?(?:([kmgt])(i?))?b?", text.strip().lower(), re.ASCII)
    if match is None:
        raise UsageError(f"{text!r} is no number: allowed are 500, 64k, 64M, 64Mi, 2G")
    step = 1024 if match[3] else 1000
    return int(match[1]) * step ** " kmgt".find(match[2] or " ")


def parse_amount(text: str, name: str) -> int:
    """``800k``, ``2M``, ``1.5M`` or ``800000``, in steps of 1000 as bitrates and files are counted; ``Ki``, ``Mi`` and ``Gi`` in steps of 1024."""
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
    """``25``, ``29.97``, ``30000/1001``, or one of FFmpeg's names ``ntsc``, ``pal``, ``film``, ``ntsc-film``; frames a second, exact."""
    values = _RATES.get(text, text)
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?)(?:[/:](\d{1,9}))?", values, re.ASCII)
    if match is None or not Fraction(match[1]) or match[2] and not int(match[2]):
        raise UsageError(
            f"{text!r} is no frame rate: allowed are 25, 29.97, 30000/1001, {', '.join(_RATES)}",
            option=name,
        )
    return Fraction(match[1]) / int(match[2] or 1)


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


def parse_codec_options(text: str) -> dict[str, str]:
    """``crf=12:preset=fast`` or ``crf=12,preset=fast`` as a dict."""
    result: dict[str, str] = {}
    for part in filter(None, re.split(r"[:,]", text)):
        key, sign, value = part.partition("=")
        if not sign or not key.strip():
            raise UsageError(f"{part!r} is no name=value", option="vcodec_opts")
        result[key.strip()] = value.strip()
    return result


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


_MAP = re.compile(r"(-?)(?:0(?::|$))?(?:([vastd])(?::(\d{1,4}))?|(\d{1,4}))?(\??)")
_LETTERS = {"v": "video", "a": "audio", "s": "subtitle", "d": "data", "t": "attachment"}


@dataclass(frozen=True)
class TrackChoice:
    """Which tracks but the picture's are kept: all but those of the kinds ``without``, or what ``maps`` name as FFmpeg's -map does.

    A map is ``0`` (all), ``a`` (all of a kind: v a s d t), ``a:1`` (the second of a kind) or ``3`` (by the number of the track in
    the file), each also with ``0:`` before it; with ``-`` before it that is taken away. UsageError for anything else.
    """

    without: frozenset[str] = frozenset()
    maps: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for text in self.maps:
            self._parse(text)

    @staticmethod
    def _parse(text: str) -> tuple[bool, str | None, int | None, int | None]:
        """(taken away, kind, position among its kind, number in the file)."""
        match = _MAP.fullmatch(text) if text not in ("", "-") else None
        if match is None or text.lstrip("-").startswith("?"):
            raise UsageError(
                f"{text!r} is unknown, allowed are 0 (all), v, a, s, d or t (a kind), a:1 (the "
                "second of a kind) and 0:3 (a track), with - before it to leave out",
                option="tracks",
            )
        minus, letter, position, number, _ = match.groups()
        return (
            bool(minus),
            _LETTERS[letter] if letter else None,
            int(position) if position else None,
            int(number) if number else None,
        )

    def matcher(self) -> _Matcher:
        """What decides for the tracks of one file."""
        return _Matcher(self)


class _Matcher:
    def __init__(self, choice: TrackChoice) -> None:
        self._choice = choice
        self._maps = [(text, *choice._parse(text)) for text in choice.maps]
        self._used: set[str] = set()

    def keeps(self, kind: str, position: int, number: int) -> bool:
        """Whether a track is kept: ``position`` among its kind and ``number`` in the file count from 0, the pictures' track too."""
        keep = all(minus for _, minus, *_ in self._maps)
        for text, minus, of_kind, at, index in self._maps:
            if (
                (of_kind is None or of_kind == kind)
                and (at is None or at == position)
                and (index is None or index == number)
            ):
                keep = not minus
                self._used.add(text)
        return keep and kind not in self._choice.without

    def unused(self) -> list[str]:
        """Remarks on maps that take away a track that isn't there."""
        return self._unmatched(minus=True)

    def missing(self) -> list[str]:
        """Sentences on maps that ask for a track that isn't there, without a ``?``."""
        return self._unmatched(minus=False)

    def _unmatched(self, minus: bool) -> list[str]:
        texts = (text for text, m, *_ in self._maps if m == minus and text not in self._used)
        own = ("v", "v:0", "0")  # the picture's
        return [
            f"`tracks={t}`: there is no such track"
            for t in texts
            if not t.endswith("?") and t.removeprefix("0:") not in own
        ]

    def check(self, name: str) -> None:
        """UsageError where a map asks for a track that ``name`` doesn't have."""
        if missing := self.missing():
            raise UsageError(missing[0], file=name, advice="with ? behind it that is allowed")


def _instance(kind: type) -> Callable[[Any, str], Any]:
    def check(value: Any, name: str) -> Any:
        if not isinstance(value, kind):
            raise UsageError(
                f"{value!r} is none, allowed are those of {kind.__name__}", option=name
            )
        return value

    return check


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
_OF_ENCODE: dict[str, Callable[[Any, str], Any]] = {
    "crf": values.number,
    "preset": values.text,
    "gop": values.gop,
    "stats": values.path,
    "jobs": values.whole,
    "resume": values.flag,
    "colour": _instance(Colour),
    "bitrate": values.amount,
    "target_psnr": values.number,
    "max_size": values.amount,
    "playlists": values.flag,
    "arithmetic": values.text,
}
_OF_DECODE: dict[str, Callable[[Any, str], Any]] = {
    "vcodec": values.text,
    "vcodec_opts": values.codec_options,
    "limits": _instance(Limits),
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

    Values may also be texts as on the command line: ``bitrate="800k"``, ``start="1:02"``."""

    crf: float = 28
    preset: str = "medium"  # of PRESETS
    gop: int | Time = MAX_GOP  # frames, or a Time resolved by the frame rate
    start: Time | None = None
    duration: Time | None = None
    threads: int = 0
    batch: int = 0
    device: str = "auto"
    strict: bool = False
    stats: str | None = None  # file for one JSON line per frame
    tracks: TrackChoice = field(default_factory=TrackChoice)
    jobs: int = 1  # processes that code GOPs at the same time; 0 for one on each processor
    resume: bool = False  # go on with an encode that was cut off, and keep what is done of this one should it be
    rate: Fraction | None = None  # frames a second in the place of the source's times
    colour: Colour = field(default_factory=Colour)  # tags in the place of the source's
    bitrate: int | None = (
        None  # of the pictures, in bits per second; this and the next two exclude each other and a crf
    )
    target_psnr: float | None = None  # dB of the mean error, weighted (6 Y + U + V) / 8
    max_size: int | None = None  # bytes of the file
    playlists: bool = False  # the source may name other files of this machine, as HLS and concat do
    arithmetic: str = (
        "auto"  # of the encoder's own nets, one of ARITHMETIC: what this processor is faster at
    )

    def __post_init__(self) -> None:
        _take(self, _COMMON | _OF_ENCODE)
        if self.preset not in PRESETS:
            raise UsageError(
                f"{self.preset!r} is unknown, allowed are {', '.join(PRESETS)}", option="preset"
            )
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
        """Longest GOP in frames at the given rate (25 where unknown), from 1 to MAX_GOP; longer distances are shortened."""
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

    vcodec: str | None = None  # None: by the suffix of the output
    vcodec_opts: dict[str, str] = field(default_factory=dict)
    start: Time | None = None
    duration: Time | None = None
    threads: int = 0
    batch: int = 0
    device: str = "auto"
    strict: bool = False
    limits: Limits = field(default_factory=Limits)
    tracks: TrackChoice = field(default_factory=TrackChoice)
    pix_fmt: str | None = None  # of the output: FFmpeg's name, or "source"; None: 4:2:0
    rate: Fraction | None = (
        None  # constant, of the output: frames are repeated and left out; None: the times of the file
    )
    format: str | None = None  # kind of the output by FFmpeg's name; None: by its suffix

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
