"""What is shown in the place of lost frames: pictures blended from those around the gap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..picture import Picture, gray


def blend(before: Picture, behind: Picture, part: int, of: int) -> Picture:
    """The picture ``part`` / ``of`` of the way from a to b, in steps of 1 / 65536 of it."""
    weight = (part << 16) // of
    return Picture(
        *(
            (
                (p.astype(np.int32) * (65536 - weight) + q.astype(np.int32) * weight + 32768) >> 16
            ).astype(p.dtype)
            for p, q in zip(before, behind, strict=True)
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
