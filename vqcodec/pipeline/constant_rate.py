"""Frames at a constant rate: repeated and left out as their times ask."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from ..errors import LimitError

if TYPE_CHECKING:
    from ..picture import Picture


def at_rate(
    frames: Iterator[tuple[int, int, Picture]], base: Fraction, rate: Fraction, step: int, most: int
) -> Generator[tuple[int, int, Picture], None, None]:
    """``(pts, duration, picture)`` in ticks of 1 / rate from frames in ticks of ``base``, where
    ``step`` is the duration of one without.

    Every frame moves to the nearest tick (FFmpeg's -r and fps filter do the same) and stays until
    the next one; of those on one tick the last is taken. LimitError for more than ``most`` ticks
    between two frames.
    """

    def tick(pts: int) -> int:
        return math.floor(pts * base * rate + Fraction(1, 2))

    held: Picture | None = None
    least = at = end = 0
    for pts, duration, picture in frames:
        now = tick(pts)
        if held is not None:
            if now - at > most:
                raise LimitError(
                    f"{now - at} frames would lie between two at {rate} frames a second, "
                    f"over the limit of {most}",
                    option="frames",
                    advice="ask for a lower `rate`, or a higher `frames`",
                )
            for time in range(at, now):
                yield time, 0, held
        least = now + 1 if held is None else least
        held, at, end = picture, now, tick(pts + (duration or step))
    if held is not None:
        # the end lies on a tick too: a last frame that is shorter than half of one is not shown,
        # unless it is the only one
        for time in range(at, max(least, min(end, at + most))):
            yield time, 0, held
