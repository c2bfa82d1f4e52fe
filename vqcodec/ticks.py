"""Times on their way to FFmpeg, for pictures and for packets of other tracks.

FFmpeg counts in 64 bits, and its muxers turn ticks into nanoseconds or other units on their own: what does not fit is
refused here, in one place, before it overflows there.
"""

from __future__ import annotations

from fractions import Fraction

MAX_SECONDS = 1 << 32  # on either side of zero; as nanoseconds they fit in 64 bits
_MAX_TICKS = 1 << 62
_FINEST = 10**9  # ticks a second that all encoders take


class BeyondError(ValueError):
    """A time that no video file can hold."""


def ticks(time: int, base: Fraction) -> int:
    """The time as it is; BeyondError for one that FFmpeg cannot count or turn into other units."""
    if abs(time) > _MAX_TICKS or abs(time * base) > MAX_SECONDS:
        years = f"about {float(abs(time * base) / (86400 * 365)):.0e} years from zero"
        raise BeyondError(f"the time {time} in units of {base} s ({years}) is beyond what video files hold")
    return time


def length(duration: int, base: Fraction) -> int:
    """A duration, or 0 (unknown) in the place of one beyond those limits."""
    return duration if 0 <= duration <= _MAX_TICKS and duration * base <= MAX_SECONDS else 0


def encoder_base(base: Fraction) -> Fraction:
    """The time base itself where encoders take it, otherwise one that they take."""
    if base.denominator > _FINEST:
        return Fraction(1, 1_000_000)
    return base if base < 1 else Fraction(1, min(_FINEST, 1000 * base.denominator))
