"""What is shown in the place of lost frames: pictures blended from those around the gap, at times
between theirs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..container.packets import MAX_PTS
from ..picture import Picture, gray


def blend(a: Picture, b: Picture, part: int, of: int) -> Picture:
    """The picture ``part`` / ``of`` of the way from a to b, in steps of 1 / 65536 of it."""
    w = (part << 16) // of
    return Picture(
        *(
            ((p.astype(np.int32) * (65536 - w) + q.astype(np.int32) * w + 32768) >> 16).astype(
                p.dtype
            )
            for p, q in zip(a, b, strict=True)
        )
    )


@dataclass(frozen=True)
class Gap:
    """Lost frames ``first`` to ``end`` - 1 of a file, and the last good picture before and the
    first behind them where there are such.
    """

    first: int
    end: int
    before: Picture | None
    behind: Picture | None

    def picture(self, frame: int, width: int, height: int) -> Picture:
        """What stands in for a frame of the gap: both pictures blended, the one there is, or
        gray.
        """
        if self.before is None or self.behind is None:
            return self.before or self.behind or gray(width, height)
        return blend(self.before, self.behind, frame - self.first + 1, self.end - self.first + 1)


def lost_times(
    count: int,
    start: int | None,
    after: int | None,
    before: int | None,
    step: int,
    total: int | None = None,
) -> list[int]:
    """Times for ``count`` lost frames, the first of ``total``: evenly between the frames around
    them, else by the nominal ``step``.

    ``start`` is the time of the first where it is known, ``after`` that of the frame before the
    gap, ``before`` that of the frame behind all ``total``; None where unknown.
    """
    total = total or count
    if (
        start is None
        or (after is not None and start <= after)
        or (before is not None and before - start < total)
    ):
        if after is None:
            start = 0 if before is None else before - total * step
        elif before is not None and before - after > total:
            start = after + (before - after) // (total + 1)
        else:
            start = after + step
    if before is not None and before - start >= total:
        return [start + (before - start) * i // total for i in range(count)]
    if (
        max(abs(start), abs(start + step * total)) > MAX_PTS
    ):  # only made by hand: keep within what every muxer can hold
        step, start = 1, max(-MAX_PTS, min(start, MAX_PTS - total)) if after is None else after + 1
    return [start + step * i for i in range(count)]


def lost_gop_times(
    count: int, start: int | None, after: int | None, before: int | None, step: int, total: int
) -> tuple[list[int], int | None]:
    """Times for the ``count`` frames of a lost GOP, behind which others of ``total`` lost frames
    may follow, and the time at which the next of these GOPs begins.

    Whoever knows where each GOP begins, as a file that was repaired tells, finds the same times.
    """
    times = lost_times(min(count + 1, total), start, after, before, step, total)
    if total == count:
        return times, None
    return lost_times(count, times[0], after, times[-1], step), times[-1]
