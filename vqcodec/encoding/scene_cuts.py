"""Cutting a video into groups of pictures: at scene cuts, and at a longest distance.

A flash begins no GOP: :func:`.scene_changes.flash_length` tells it, and :class:`SceneDetector` asks
that before it looks for a cut.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ..codec.gop_structure import MINI_GOP
from ..picture import Picture
from .scene_changes import (
    LEAST,
    NONE_KEPT,
    SHARE,
    aligned,
    change,
    flash_length,
    is_blank,
    novelty,
    repeats,
    shown_often,
    thumbnail,
    without_repeats,
)
from .scrolls import is_scrolled, row_profile

MIN_DISTANCE = 4  # frames between two cuts
AHEAD = 4  # different pictures that are looked at behind the one in question
AT_MOST_AHEAD = 12  # and of all, also those that repeat the one before
_RETURN = 0.8  # of SHARE: what is less new than that behind a cut goes back to what was before it
# share of the blocks with texture that may still be there behind a cut: a title leaves more
_KEPT = 0.2
_FACTOR = 1.6  # a cut is more than the changes around it by this much
_STEPS = 2  # that are looked at behind a cut
_SHOWN_OFTEN = 4  # times: a picture that is shown so often rests, and is no flash
# where the step behind is less than this share of a cut, the cut is more than those before by that
_CALM, _CALMER = 0.25, 1.1
_STIRRED = 3.0  # and by this where the step behind is nearly as large


class Verdict(NamedTuple):
    """What a picture is: the first of a new scene, or part of a flash in the scene it lies in."""

    cut: bool
    flash: bool


class SceneDetector:
    """Says what pictures are, from those before and a few behind them.

    A picture or three whose neighbours match each other are a flash and no cut. A fade or a
    dissolve goes on in the next picture as it came to this one, and a page that is scrolled far at
    once is still there: neither is a cut.
    """

    def __init__(self) -> None:
        self._thumbs: list[np.ndarray] = []  # those not judged yet
        self._rows: deque[np.ndarray] = deque()  # their profiles
        self._rows_before: np.ndarray | None = None  # of the last of this scene
        self._past: deque[np.ndarray] = deque(maxlen=9)  # of this scene, without flashes
        # the first picture counts like a cut: a part that begins at one is cut as the whole is
        self._since = -1
        self._flash_left = 0  # pictures still to come of a flash
        self._returned = False  # whether the last one ended with the picture before
        self._last: tuple[np.ndarray, Verdict] | None = None  # the last picture that was no repeat

    def push(self, picture: Picture) -> list[Verdict]:
        """Take the next picture; verdicts on those that can be judged now, in their order."""
        self._thumbs.append(thumbnail(picture.y))
        self._rows.append(row_profile(picture.y))
        enough = len(without_repeats(self._thumbs)) > AHEAD and len(self._steps_on()) > _STEPS
        return [self._judge()] if enough or len(self._thumbs) > AT_MOST_AHEAD else []

    def flush(self) -> list[Verdict]:
        """Verdicts on the rest, at the end of the video."""
        return [self._judge() for _ in range(len(self._thumbs))]

    def _judge(self) -> Verdict:
        """The verdict on the first of the pictures not judged yet."""
        thumb = self._thumbs[0]
        self._since += 1
        if self._last is not None and repeats(self._last[0], thumb):
            verdict = Verdict(False, self._last[1].flash)  # the same again
            if not verdict.flash and not is_blank(thumb):  # what was shown before it is kept
                self._past.append(thumb)
        else:
            verdict = self._judge_new(without_repeats(self._thumbs)[: AHEAD + 1])
            self._last = thumb, verdict
        del self._thumbs[0]
        rows = self._rows.popleft()
        if not verdict.flash:
            self._rows_before = rows
        return verdict

    def _step(self) -> float:
        """How much changes at the first of the pictures not judged yet, of 255."""
        return change(self._past[-1], self._thumbs[0]) if self._past else 0.0

    def _steps_on(self) -> list[np.ndarray]:
        """The pictures not judged yet between which something moves."""
        return without_repeats(self._thumbs, self._step())

    def _judge_new(self, thumbs: list[np.ndarray]) -> Verdict:
        """The verdict on a picture and those behind it, none of which repeats another."""
        thumb, *following = thumbs
        cut = False
        if self._past:
            if not self._flash_left and not self._rests():
                self._flash_left = flash_length([self._past[-1], *thumbs])
            cut = not (self._flash_left or self._returned) and self._is_cut(thumb, following)
        self._returned = self._flash_left == 1
        if self._flash_left:
            self._flash_left -= 1
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
        n = flash_length([thumb, *following]) if following else 0
        settled = following[n:]  # a flash right behind a cut does not hide it
        if is_blank(before):
            if settled and step < _FACTOR * change(thumb, settled[0]):
                return False  # a fade from black, which no gain makes a picture of
            if self._shown_before(thumb):
                return False
        new = novelty(before, thumb)
        if new.residual < LEAST or new.kept > _KEPT or not new.reaches():
            return False
        if not self._stands_out(new.share, n):
            return False
        if self._rows_before is not None and is_scrolled(self._rows_before, self._rows[0]):
            return False
        return self._rests() or not _returns(before, settled)

    def _stands_out(self, share: float, flash: int) -> bool:
        """Whether the novelty of the first picture not judged yet is more than that of the steps
        before and behind it.

        flash: pictures of a flash right behind it, which are passed over.

        Motion and dissolves go on in each step behind it. What changes once more right behind a
        cut, as a title or a page does, is told from motion by what was before.
        """
        thumbs = self._steps_on()
        if flash:  # what goes on behind it is a step of nothing, no repeat that is dropped
            behind = without_repeats(self._thumbs)[flash + 1 :]
            thumbs = [thumbs[0], *without_repeats(behind, self._step())]
        steps = [novelty(a, b).share for a, b in pairwise(thumbs[: _STEPS + 1])]
        if self._rests(self._step()) and not self._rested():
            steps = [0.0]
        elif len(steps) < _STEPS and len(self._thumbs) > AHEAD:
            steps.append(0.0)  # it comes to rest
        if steps and steps[0] < _CALM * share:
            return share >= _CALMER * self._usual()
        if share < max(SHARE, _FACTOR * min(steps, default=0.0)):
            return False
        stirred = bool(steps) and share < _FACTOR * steps[0]
        return share >= (_STIRRED if stirred else _FACTOR) * self._usual()

    def _rests(self, step: float = 0.0) -> bool:
        """Whether the first of the pictures not judged yet is shown more often than in films that
        are drawn for half their rate or a third of it.

        step: as of :func:`.scene_changes.repeats`.
        """
        return shown_often(self._thumbs[:_SHOWN_OFTEN], _SHOWN_OFTEN, step)

    def _rested(self) -> bool:
        """Whether the pictures before were shown as often: a film at a quarter of its rate."""
        return shown_often(list(self._past)[-_SHOWN_OFTEN:], _SHOWN_OFTEN, self._step())

    def _shown_before(self, thumb: np.ndarray) -> bool:
        """Whether the scene goes on behind pictures that show nothing."""
        shown = [t for t in self._past if not is_blank(t)][-1:]
        return any(novelty(b, thumb).kept > _KEPT for t in shown for b in (t, aligned(t, thumb)))

    def _usual(self) -> float:
        """Mean novelty of those steps of this scene that have most, half of them: pictures may be
        shown twice.
        """
        shares = sorted(novelty(a, b).share for a, b in pairwise(self._past))
        most = shares[len(shares) // 2 :]
        return sum(most) / len(most) if most else 0.0


def _returns(before: np.ndarray, following: list[np.ndarray]) -> bool:
    """Whether pictures behind one go back to what was before it: the last two of them, or most.
    One that shows nothing says nothing: a flash behind a cut is no way back.
    """
    found = [novelty(before, t) for t in following if not is_blank(t)]
    again = [f.kept > NONE_KEPT and f.share < _RETURN * SHARE for f in found]
    return bool(again) and (all(again[-2:]) or 2 * sum(again) > len(again))


class TimedPicture(NamedTuple):
    """A picture and when it is shown."""

    pts: int  # in ticks of the source's time base
    picture: Picture


class MiniGopPictures(NamedTuple):
    """Pictures that are coded together, in order of display."""

    pictures: list[TimedPicture]  # one, the first of a GOP; then up to 32
    ends: bool  # whether the GOP ends with them


class GopCutter:
    """Collects pictures into mini-GOPs of 32.

    A mini-GOP is shorter where its last picture, to which others refer, would be a flash. At most
    33 + AT_MOST_AHEAD pictures are held.
    """

    def __init__(self, longest: int) -> None:
        """longest: frames of a GOP."""
        self._longest = longest
        self._detector = SceneDetector()
        self._unjudged: deque[TimedPicture] = deque()
        self._waiting: list[TimedPicture] = []
        self._flashes: list[bool] = []  # whether each of those is part of one
        self._count = 0  # frames of this GOP given out

    def push(self, pts: int, picture: Picture) -> list[MiniGopPictures]:
        """Take the next picture; the mini-GOPs that are complete by it."""
        self._unjudged.append(TimedPicture(pts, picture))
        return [done for v in self._detector.push(picture) for done in self._take(v)]

    def flush(self) -> list[MiniGopPictures]:
        """The rest, at the end of the video."""
        result = [done for v in self._detector.flush() for done in self._take(v)]
        return [*result, self._emit(len(self._waiting), True)] if self._waiting else result

    def _take(self, verdict: Verdict) -> list[MiniGopPictures]:
        """The next picture with its verdict; the mini-GOPs that are complete by it."""
        timed = self._unjudged.popleft()
        result = []
        # whether a full mini-GOP is the last of its GOP is only known when the next picture has
        # been looked at
        if self._waiting and (verdict.cut or self._full()):
            ends = verdict.cut or self._count + len(self._waiting) >= self._longest
            length = len(self._waiting) if verdict.cut else self._without_flash(ends)
            result.append(self._emit(length, ends))
            if ends and self._waiting:  # the I frame of the next GOP, with a flash behind it
                result.append(self._emit(1, False))
        self._waiting.append(timed)
        self._flashes.append(verdict.flash)
        return result

    def _full(self) -> bool:
        """Whether a picture more is too many."""
        n = len(self._waiting)
        return self._count == 0 or self._count + n >= self._longest or n >= MINI_GOP

    def _without_flash(self, ends: bool) -> int:
        """Pictures of the mini-GOP so that its last, or the next GOP's first, is no flash."""
        plain = [i for i, flash in enumerate(self._flashes) if not flash]
        if not plain or plain[-1] == len(self._flashes) - 1:
            return len(self._flashes)
        return plain[-1] if ends and plain[-1] else plain[-1] + 1

    def _emit(self, count: int, ends: bool) -> MiniGopPictures:
        pictures, self._waiting = self._waiting[:count], self._waiting[count:]
        self._flashes = self._flashes[count:]
        self._count = 0 if ends else self._count + count
        return MiniGopPictures(pictures, ends)
