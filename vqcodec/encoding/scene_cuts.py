"""Cutting a video into groups of pictures: at scene cuts, and at a longest distance."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np

from ..codec.gop_structure import MINI_GOP
from ..picture import Picture

MIN_DISTANCE = 8  # frames between two cuts
_COLUMNS, _ROWS = 64, 36
_FLOOR = 12.0  # mean change of luma (of 255) below which nothing is a cut
_FACTOR = 3.5  # a cut changes this many times more than the frames before it did


def thumbnail(luma: np.ndarray) -> np.ndarray:
    """Mean luma of at most 64x36 boxes on the 8-bit scale, float32 (rows, columns)."""
    h, w = luma.shape
    rows = np.linspace(0, h, min(h, _ROWS), endpoint=False).astype(np.intp)
    columns = np.linspace(0, w, min(w, _COLUMNS), endpoint=False).astype(np.intp)
    sums = np.add.reduceat(np.add.reduceat(luma, rows, axis=0, dtype=np.uint32), columns, axis=1)
    area = np.diff(rows, append=h)[:, None] * np.diff(columns, append=w)[None, :]
    return (sums / area / (4 if luma.dtype == np.uint16 else 1)).astype(np.float32)


class SceneDetector:
    """Says of each picture whether a new scene begins with it, from this and the pictures before it only."""

    def __init__(self) -> None:
        self._last: np.ndarray | None = None
        self._changes: deque[float] = deque(maxlen=8)
        self._since = 0

    def __call__(self, picture: Picture) -> bool:
        thumb = thumbnail(picture.y)
        last, self._last = self._last, thumb
        if last is None:
            # counts like a cut, so that a part that begins at one is cut as the whole is
            return False
        self._since += 1
        change = float(np.abs(thumb - last).mean())
        usual = sum(self._changes) / len(self._changes) if self._changes else 0.0
        cut = self._since >= MIN_DISTANCE and change > _FLOOR and change > _FACTOR * usual
        if cut:
            self._since = 0
            self._changes.clear()
        else:
            self._changes.append(change)
        return cut


class TimedPicture(NamedTuple):
    """A picture and when it is shown."""

    pts: int  # in ticks of the source's time base
    picture: Picture


class MiniGop(NamedTuple):
    """Pictures that are coded together, in order of display."""

    pictures: list[TimedPicture]  # one, the first of a GOP; then up to 16
    ends: bool  # whether the GOP ends with them


class GopCutter:
    """Collects pictures into mini-GOPs. At most 17 pictures are held."""

    def __init__(self, longest: int) -> None:
        """longest: frames of a GOP."""
        self._longest = longest
        self._detector = SceneDetector()
        self._waiting: list[TimedPicture] = []
        self._count = 0  # frames of this GOP given out

    def push(self, pts: int, picture: Picture) -> list[MiniGop]:
        """Take the next picture; the mini-GOPs that are complete by it."""
        cut = self._detector(picture)
        result = []
        # whether a full mini-GOP is the last of its GOP is only known when the next picture has
        # been looked at
        full = len(self._waiting) == self._room()
        if self._waiting and (cut or full):
            ends = cut or self._count + len(self._waiting) >= self._longest
            result.append(self._emit(ends))
        self._waiting.append(TimedPicture(pts, picture))
        return result

    def flush(self) -> list[MiniGop]:
        """The rest, at the end of the video."""
        return [self._emit(True)] if self._waiting else []

    def _room(self) -> int:
        return 1 if self._count == 0 else min(MINI_GOP, self._longest - self._count)

    def _emit(self, ends: bool) -> MiniGop:
        pictures, self._waiting = self._waiting, []
        self._count = 0 if ends else self._count + len(pictures)
        return MiniGop(pictures, ends)
