"""Gradual changes of shots that heads look like, seen on a few pictures, which make them surer or
less sure.

Of each three frames are decoded, those of the lowest levels before, within and behind it: they need
few others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..analysis.evidence import weight
from ..analysis.model import Reading
from ..analysis.shots import ShotSpan, find_shots
from ..codec.weights import StrPath
from ..container.reader import ContainerReader
from ..encoding.scene_changes import thumbnail
from ..errors import DamageLog, LimitError

if TYPE_CHECKING:
    from .random_access import RandomAccess

Thumbs = Callable[[Sequence[int]], list[np.ndarray] | None]  # of frames; None where any is lost
LEAST = 0.3  # probability from which a change is looked at
_NEAR = 8  # frames beside a change, of which one is looked at, besides half as many as it has


def look_at_changes(reading: Reading, level: np.ndarray, lost: np.ndarray, thumbs: Thumbs) -> None:
    """Weigh the gradual changes of ``reading``, which is changed, by pictures of them.

    level, lost: (frames,) of each frame its level, and whether it is not there.
    """
    for span, before in _gradual(reading):
        length = span.settled - span.start
        near = _NEAR + length // 2
        stop = min(span.settled + near, span.end)
        if before >= span.start or span.settled >= stop or lost[before:stop].any():
            continue
        around = (
            (max(before, span.start - near), span.start, span.start - 1),
            (span.start + length // 4, span.settled - length // 4, span.start + length // 2),
            (span.settled, stop, span.settled),
        )
        seen = thumbs([_cheapest(level, *ends) for ends in around])
        if seen is not None:
            _weigh(reading.change[span.start : span.settled], weight(seen[0], seen[1], seen[2]))


def _weigh(change: np.ndarray, odds: float) -> None:
    """Multiply the odds of a gradual change, (frames, CHANGES), by so much. What is taken from it
    makes no cut surer; with 0, where nothing new is shown behind, there is no cut in it either.
    """
    cut = change[:, 1] * (odds > 0)
    change[:, 1] = cut
    change[:, 2:] *= odds
    change[:, 0] += change.sum(1) == 0  # a net may be so sure that nothing else is left
    change /= change.sum(1, keepdims=True)
    change[:, 0] += np.maximum(change[:, 1] - cut, 0)
    change[:, 1] = np.minimum(change[:, 1], cut)


def _gradual(reading: Reading) -> Iterator[tuple[ShotSpan, int]]:
    """Gradual changes, and the first frame that shows the shot before it alone."""
    before = 0
    for span in find_shots(reading, LEAST):
        if span.transition not in ("start", "cut"):
            yield span, before
        before = span.settled


def _cheapest(level: np.ndarray, start: int, stop: int, towards: int) -> int:
    """Of frames ``start`` to ``stop`` - 1 one of the lowest level, the nearest to another frame."""
    own = np.arange(start, max(stop, start + 1))
    return int(own[np.lexsort((abs(own - towards), level[own]))[0]])


class FileThumbs:
    """Thumbnails of a file's frames, decoded one by one; None where any is lost, or where decoding
    would need more memory than allowed.

    Args:
        weights: of the model that the file is of.
    """

    def __init__(self, reader: ContainerReader, weights: StrPath | None = None) -> None:
        self._reader, self._weights = reader, weights
        self._access: RandomAccess | None = None
        self._refused = False

    def __call__(self, frames: Sequence[int]) -> list[np.ndarray] | None:
        """Of frames in ascending order."""
        if self._access is None and not self._refused:
            self._open()
        if self._access is None:
            return None
        seen = []
        for _, picture, hidden in self._access.pictures(frames):
            if hidden:
                return None
            seen.append(thumbnail(picture.y))
        return seen

    def _open(self) -> None:
        from .random_access import RandomAccess
        from .timeline import Timeline

        reader = self._reader
        times = Timeline(reader)  # of the GOPs that are looked at alone
        try:
            self._access = RandomAccess.to_few(reader, times, self._weights, DamageLog())
        except LimitError:
            self._refused = True
