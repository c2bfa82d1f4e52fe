"""When the pictures of an output are shown, on the clock of its encoder."""

from __future__ import annotations

from fractions import Fraction

from .output import Output
from .ticks import MAX_SECONDS, MAX_STEP, BeyondError, length, ticks


class OutputClock:
    """Turns times of pictures into times that the encoder and the muxer of an output can count.

    ``delay`` is how many ticks of the header's time base all times are moved back; ``note`` says
    so.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._unit: Fraction | None = None  # of the muxer's clock
        self._last: int | None = None  # time on the encoder's clock
        self.delay = 0
        self.note: str | None = None

    def begin(self, pts: int, unit: Fraction | None) -> None:
        """Choose by the first time whether all times move; ``unit`` is the muxer's tick.

        Players of mp4 begin at zero and would not show what lies before it.
        """
        self._unit = unit
        base, output = self._output.header.time_base, self._output
        hidden = pts < 0 and output.is_mp4
        far = abs(pts * base) > MAX_SECONDS // 2
        if not hidden and not far:
            return
        self.delay = -pts
        why = (
            f"{output.suffix} would hide what lies before zero"
            if hidden
            else "they are too far from zero for video files"
        )
        later = float(self.delay * base)
        self.note = f"all times are {later:.3f} s later than in the source: {why}"

    def time(self, pts: int) -> int:
        """A time on the encoder's clock, behind the one before; BeyondError."""
        output = self._output
        given, base = output.header.time_base, output.base
        time = ticks(pts + self.delay, given)
        if base != given:
            time = ticks(round(time * given / base), base)
            time = time if self._last is None else max(time, self._last + 1)
        if self._last is not None and not self._is_short(time - self._last):
            pause = float((time - self._last) * base)
            raise BeyondError(
                f"a pause of {pause:.0f} s is beyond what {output.suffix} holds: write .mkv"
            )
        self._last = time
        return time

    def duration(self, ticks_given: int) -> int:
        """A duration on the encoder's clock; 0, which is unknown, for one that no file holds."""
        given, base = self._output.header.time_base, self._output.base
        if not (duration := length(ticks_given, given)):
            return 0
        duration = length(round(duration * given / base), base)
        return duration if self._is_short(duration) else 0

    def _is_short(self, duration: int) -> bool:
        """Whether mp4, if that is written, can say how long it is.

        Its muxer's units are finer than the encoder's.
        """
        if not self._output.is_mp4 or not self._unit:
            return True
        return duration * self._output.base / self._unit <= MAX_STEP
