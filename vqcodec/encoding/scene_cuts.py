"""Cutting a video into groups of pictures: at scene cuts, and at a longest distance."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np

from ..codec.gop_structure import MINI_GOP
from ..picture import Picture
from .scene_changes import LEAST, SHARE, change, is_new, novelty, odd_run, thumbnail

MIN_DISTANCE = 4  # frames between two cuts
AHEAD = 4  # pictures that are looked at behind the one in question
_RETURN = 0.8  # of that share: what follows a cut does not go back to what was before
_REPEATED = 0.02  # share of a picture that repeats the one before
_FLAT = 12.0  # range of a thumbnail that shows nothing
_FACTOR = 1.6  # a cut is more than the changes around it by this much


class Verdict(NamedTuple):
    """What a picture is: the first of a new scene; odd, a flash in the scene it lies in."""

    cut: bool
    odd: bool


class SceneDetector:
    """Says what pictures are, from those before and :data:`AHEAD` behind them.

    A picture or three whose neighbours match each other are a flash and no cut. A fade or a dissolve goes on in the next
    picture as it came to this one, and is no cut either.
    """

    def __init__(self) -> None:
        self._thumbs: list[np.ndarray] = []  # those not judged yet
        self._past: deque[np.ndarray] = deque(maxlen=9)  # of this scene, without odd ones
        # the first picture counts like a cut: a part that begins at one is cut as the whole is
        self._since = -1
        self._odd = 0  # pictures still to come of a flash
        self._returned = False  # whether the last one ended with the picture before

    def push(self, picture: Picture) -> list[Verdict]:
        """Take the next picture; verdicts on those that can be judged now, in their order."""
        self._thumbs.append(thumbnail(picture.y))
        return [self._judge()] if len(self._thumbs) > AHEAD else []

    def flush(self) -> list[Verdict]:
        """Verdicts on the rest, at the end of the video."""
        return [self._judge() for _ in range(len(self._thumbs))]

    def _judge(self) -> Verdict:
        thumb, *following = self._thumbs
        self._since += 1
        cut = False
        if self._past:
            self._odd = self._odd or odd_run([self._past[-1], *self._thumbs])
            cut = not (self._odd or self._returned) and self._is_cut(thumb, following)
        del self._thumbs[0]
        self._returned = self._odd == 1
        if self._odd:
            self._odd -= 1
            return Verdict(False, True)
        if cut:
            self._since = 0
            self._past.clear()
        self._past.append(thumb)
        return Verdict(cut, False)

    def _is_cut(self, thumb: np.ndarray, following: list[np.ndarray]) -> bool:
        before = self._past[-1]
        step = change(before, thumb)
        if self._since < MIN_DISTANCE or step < LEAST:
            return False
        n = odd_run([thumb, *following]) if following else 0
        settled = following[n:]  # a flash right behind a cut does not hide it
        if settled and np.ptp(before) < _FLAT and step < _FACTOR * change(thumb, settled[0]):
            return False  # a fade from black, which no gain makes a picture of
        residual, share = novelty(before, thumb)
        if residual < LEAST or share < SHARE or share < _FACTOR * self._usual():
            return False
        if settled and share < _FACTOR * novelty(thumb, settled[0])[1]:
            return False
        return all(is_new(before, t, _RETURN * SHARE) for t in settled)

    def _usual(self) -> float:
        """Mean novelty of the pictures of this scene, but for those that repeat the one before."""
        past = list(self._past)
        shares = [novelty(a, b)[1] for a, b in zip(past, past[1:], strict=False)]
        moving = [s for s in shares if s > _REPEATED]
        return sum(moving) / len(moving) if moving else 0.0


class TimedPicture(NamedTuple):
    """A picture and when it is shown."""

    pts: int  # in ticks of the source's time base
    picture: Picture


class MiniGop(NamedTuple):
    """Pictures that are coded together, in order of display."""

    pictures: list[TimedPicture]  # one, the first of a GOP; then up to 16
    ends: bool  # whether the GOP ends with them


class GopCutter:
    """Collects pictures into mini-GOPs. At most 17 + AHEAD pictures are held."""

    def __init__(self, longest: int) -> None:
        """longest: frames of a GOP."""
        self._longest = longest
        self._detector = SceneDetector()
        self._unjudged: deque[TimedPicture] = deque()
        self._waiting: list[TimedPicture] = []
        self._count = 0  # frames of this GOP given out

    def push(self, pts: int, picture: Picture) -> list[MiniGop]:
        """Take the next picture; the mini-GOPs that are complete by it."""
        self._unjudged.append(TimedPicture(pts, picture))
        return [done for v in self._detector.push(picture) for done in self._take(v)]

    def flush(self) -> list[MiniGop]:
        """The rest, at the end of the video."""
        result = [done for v in self._detector.flush() for done in self._take(v)]
        return [*result, self._emit(True)] if self._waiting else result

    def _take(self, verdict: Verdict) -> list[MiniGop]:
        """The next picture with its verdict; the mini-GOPs that are complete by it."""
        result = []
        # whether a full mini-GOP is the last of its GOP is only known when the next picture has
        # been looked at
        full = len(self._waiting) == self._room()
        if self._waiting and (verdict.cut or full):
            ends = verdict.cut or self._count + len(self._waiting) >= self._longest
            result.append(self._emit(ends))
        self._waiting.append(self._unjudged.popleft())
        return result

    def _room(self) -> int:
        return 1 if self._count == 0 else min(MINI_GOP, self._longest - self._count)

    def _emit(self, ends: bool) -> MiniGop:
        pictures, self._waiting = self._waiting, []
        self._count = 0 if ends else self._count + len(pictures)
        return MiniGop(pictures, ends)
