"""A stretch of a video: where it begins, how long it is, and which frames lie in it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from numbers import Integral, Real

from .errors import UsageError


@dataclass(frozen=True)
class Time:
    """A point or a length of time: seconds (exact) or frames, one of the two."""

    seconds: Fraction | None = None
    frames: int | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            kind = Integral if name == "frames" else Real
            if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
                raise UsageError(f"{value!r} is none, allowed are numbers", option=name)
        if (
            (self.seconds is None) == (self.frames is None)
            or (self.seconds or 0) < 0
            or (self.frames or 0) < 0
        ):
            raise UsageError("a time is a number of seconds or of frames, not negative")
