"""Times on their way to FFmpeg, for pictures and for packets of other tracks.

FFmpeg counts in 64 bits, and its muxers turn ticks into nanoseconds or other units on their own:
what does not fit is
refused here, in one place, before it overflows there.
"""

from __future__ import annotations

from fractions import Fraction

MAX_SECONDS = 1 << 32  # on either side of zero; as nanoseconds they fit in 64 bits
MAX_STEP = (1 << 31) - (1 << 24)  # ticks from a frame to the next in mp4, less what B frames need
_MAX_TICKS = 1 << 62
# MPEG-4 part 2 counts in 16 bits; of its units this one fits all usual rates
_FINEST_MPEG4, _MPEG4 = (1 << 16) - 1, Fraction(1, 60_000)
_FINEST = 10**7  # ticks a second that encoders take, and that leave room in 32 bits for a pause


class BeyondError(ValueError):
    """A time that no video file can hold."""


def ticks(time: int, base: Fraction) -> int:
    """The time as it is; BeyondError for one that FFmpeg cannot count or turn into other units."""
    far = abs(time) * base.numerator > MAX_SECONDS * base.denominator
    if far or abs(time) > _MAX_TICKS:
        years = f"about {float(abs(time * base) / (86400 * 365)):.0e} years from zero"
        raise BeyondError(
            f"the time {time} in units of {base} s ({years}) is beyond what video files hold"
        )
    return time


def length(duration: int, base: Fraction) -> int:
    """A duration, or 0 (unknown) in the place of one beyond those limits, and those of mp4."""
    return duration if 0 <= duration <= MAX_STEP and duration * base <= MAX_SECONDS else 0


def encoder_base(base: Fraction, codec: str = "") -> Fraction:
    """The time base itself where encoders take it, otherwise one that they take."""
    if codec == "mpeg4" and base.denominator > _FINEST_MPEG4:
        return _MPEG4
    if base.denominator > _FINEST:
        return Fraction(1, 1_000_000)
    return base if base < 1 else Fraction(1, base.denominator * -(-1000 // base.denominator))
