"""Values of options as callers give them, also in the forms that are typed on the command line.

Each function gives the value that an option holds, or a UsageError that names the option.
"""

from __future__ import annotations

import functools
import inspect
import operator
import os
from collections.abc import Callable, Iterable
from fractions import Fraction
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ParamSpec, TypedDict, TypeVar

from .errors import KindError, UsageError
from .parsing import parse_amount, parse_codec_options, parse_gop, parse_rate, parse_time
from .span import Time
from .system.progress import Meter
from .track_choice import TrackChoice

if TYPE_CHECKING:
    from .colour import Colour
    from .container.limits import Limits
    from .encoding.rate_distortion import RateParameters


P = ParamSpec("P")
R = TypeVar("R")


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
    preset: str | int | RateParameters
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


def _of_no_use(name: str, value: object, allowed: str) -> KindError:
    return KindError(f"{value!r} is none, allowed are {allowed}", option=name)


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
    """True or False."""
    if not isinstance(value, bool):
        raise _of_no_use(name, value, "True and False")
    return value


def index(value: Any, name: str) -> int:
    """A whole number of any type that can be an index."""
    try:
        return operator.index(value)
    except TypeError as exc:
        raise _of_no_use(name, value, "whole numbers") from exc


def seconds(value: Any, name: str) -> float:
    """A time as a number."""
    try:
        if not isinstance(value, str | bytes | bytearray):
            return float(value)
    except (TypeError, ValueError, OverflowError):
        pass
    raise _refused(name, value, "numbers of seconds")


def each(form: Callable[[Any, str], Any]) -> Callable[[Any, str], list[Any]]:
    """The form of a sequence of values of one form."""

    def forms(values: Any, name: str) -> list[Any]:
        if isinstance(values, str | bytes | os.PathLike):
            raise _of_no_use(name, values, "sequences")
        try:
            row = list(values)
        except TypeError as exc:
            raise _of_no_use(name, values, "sequences") from exc
        return [form(value, name) for value in row]

    return forms


def having(*methods: str) -> Callable[[Any, str], Any]:
    """The form of an object with these methods."""

    def check(value: Any, name: str) -> Any:
        if not all(hasattr(value, method) for method in methods):
            raise _of_no_use(name, value, f"objects with {', '.join(methods)}")
        return value

    return check


def progress(value: Any, name: str) -> Any:
    """A callable that takes ProgressEvents, or the meter of a caller of ours."""
    if not callable(value) and not isinstance(value, Meter):
        raise _of_no_use(name, value, "callables")
    return value


def taking(
    **forms: Callable[[Any, str], Any],
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Bring arguments of a public function into the form that it works with.

    A UsageError names the argument that has none; None stays None where that is the default.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            given = signature.bind(*args, **kwargs).arguments
            for name, form in forms.items():
                optional = signature.parameters[name].default is None
                if name in given and not (optional and given[name] is None):
                    given[name] = form(given[name], name)
            bound = inspect.BoundArguments(signature, given)
            return function(*bound.args, **bound.kwargs)

        return checked

    return decorate


def text(value: Any, name: str) -> str:
    """A text."""
    if not isinstance(value, str):
        raise _of_no_use(name, value, "texts")
    return value


def path(value: Any, name: str) -> str:
    """The name of a file, as text."""
    if not isinstance(value, str | os.PathLike):
        raise _of_no_use(name, value, "names of files")
    found = os.fspath(value)
    return text(found, name)


def amount(value: Any, name: str) -> int:
    """800000, ``"800k"`` or ``"1.5M"``."""
    return parse_amount(value, name) if isinstance(value, str) else whole(value, name)


def time(value: Any, name: str) -> Time:
    """Seconds, ``"1:02.5"``, ``"300f"`` or a Time."""
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
    if isinstance(value, Time):
        return value
    return parse_gop(value, name) if isinstance(value, str) else whole(value, name)


def rate(value: Any, name: str) -> Fraction:
    """Frames a second: 25, 29.97, ``"30000/1001"``, ``"ntsc"``."""
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
    if isinstance(value, str):
        return parse_codec_options(value)
    if not isinstance(value, dict):
        raise _refused(name, value, "dicts and texts such as 'crf=12:preset=fast'")
    return {text(k, name): str(v) for k, v in value.items()}


def tracks(value: Any, name: str) -> TrackChoice:
    """A TrackChoice, or what ``-map`` takes, once or several times."""
    if isinstance(value, TrackChoice):
        return value
    if isinstance(value, str):
        return TrackChoice(maps=(value,))
    if not isinstance(value, Iterable):
        raise _refused(name, value, "maps such as 'a:1' and lists of them")
    return TrackChoice(maps=tuple(text(v, name) for v in value))


def instance(kind: type) -> Callable[[Any, str], Any]:
    """What takes values of this type only."""

    def check(value: Any, name: str) -> Any:
        if not isinstance(value, kind):
            raise _of_no_use(name, value, f"those of {kind.__name__}")
        return value

    return check
