"""Time codes of SMPTE ST 12-1: hours, minutes, seconds and frames, with dropped numbers or not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from ..errors import UsageError

_FORM = re.compile(r"(\d{1,2}):(\d{2}):(\d{2})([:;.])(\d{2,3})", re.ASCII)
_NTSC = Fraction(1000, 1001)
DAY = 24 * 3600


@dataclass(frozen=True)
class Clock:
    """Counts frames of a rate.

    Time codes of rates such as 30000/1001 count to 30, and so fall behind by 3.6 seconds an hour.
    With ``drop`` they leave out numbers (not frames): the first two of every minute at 30, four at
    60, but for every tenth minute.
    """

    rate: Fraction  # frames a second
    drop: bool = False

    @classmethod
    def of(cls, rate: Fraction, drop: bool | None = None) -> Clock:
        """The clock of a rate; without a choice numbers are dropped where it is usual.

        Raises UsageError where numbers are to be dropped and the rate has no such time code.
        """
        able = rate in (30 * _NTSC, 60 * _NTSC)
        if drop and not able:
            raise UsageError(
                f"there is no drop-frame time code of {float(rate):.6g} frames a second: it is one"
                " of 30000/1001 and 60000/1001",
                option="drop_frame",
            )
        return cls(rate, able if drop is None else drop)

    @property
    def base(self) -> int:
        """Numbers of a second: the rate, rounded up to whole frames."""
        return max(1, -(-self.rate.numerator // self.rate.denominator))

    @property
    def dropped(self) -> int:
        """Numbers that are left out of a minute."""
        return self.base // 15 if self.drop else 0

    def frame(self, seconds: Fraction | float) -> int:
        """The frame of this rate that is nearest to a time."""
        return round(Fraction(seconds) * self.rate)

    def text(self, frame: int) -> str:
        """``HH:MM:SS:FF`` of a frame, ``HH:MM:SS;FF`` with dropped numbers; 24 hours go round."""
        base, dropped = self.base, self.dropped
        if dropped:
            minute = 60 * base - dropped
            tens, rest = divmod(frame, 10 * minute + dropped)
            frame += 9 * dropped * tens
            if rest >= 60 * base:
                frame += dropped * (1 + (rest - 60 * base) // minute)
        seconds, number = divmod(frame, base)
        hours, rest = divmod(seconds % DAY, 3600)
        mark = ";" if dropped else ":"
        return f"{hours:02}:{rest // 60:02}:{rest % 60:02}{mark}{number:02}"

    def number(self, text: str) -> int:
        """The frame of a time code. Raises UsageError for what is none of this clock."""
        match = _FORM.fullmatch(text.strip())
        if match is None:
            raise UsageError(
                f"{text!r} is no time code: allowed are 01:00:00:00 and 01:00:00;00",
                option="start_timecode",
            )
        hours, minutes, seconds, number = (int(match[k]) for k in (1, 2, 3, 5))
        base, dropped = self.base, self.dropped
        skipped = dropped and minutes % 10 and seconds == 0 and number < dropped
        if hours > 23 or minutes > 59 or seconds > 59 or number >= base or skipped:
            raise UsageError(
                f"{text!r} is no time code of {float(self.rate):.6g} frames a second",
                option="start_timecode",
            )
        passed = 60 * hours + minutes
        return (60 * passed + seconds) * base + number - dropped * (passed - passed // 10)
