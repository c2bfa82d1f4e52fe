"""What cameras do in shots, seen on a few pictures where motion vectors leave it open.

At a high crf most frames repeat their references, and vectors of flat pictures and of fast pans
lead anywhere. Nine pictures of low levels need few others.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ..analysis.camera_kind import camera_scores
from ..analysis.registration import similarity
from ..analysis.shots import find_shots

if TYPE_CHECKING:
    from ..analysis.camera_path import CameraPath
    from ..analysis.model import Reading
    from .borne_out import Thumbs

_OPEN = 1.0  # what speaks for the likeliest is surer by less, as logarithms
_LONGEST = 48  # frames of a shot that are looked at, around its middle
_FEWEST, _MOST = 5, 9  # pictures


def told_cameras(reading: Reading, path: CameraPath, start: int, stop: int) -> np.ndarray:
    """(4,) how much speaks for each of CAMERAS in frames ``start`` to ``stop`` - 1."""
    own = slice(start + 1, stop)
    net = reading.camera[start : max(stop, start + 1)].mean(0, dtype=np.float64)
    return np.asarray(camera_scores(path.moves[own], path.trusted(own), path.apart[own], net))


def look_at_cameras(
    reading: Reading, path: CameraPath, level: np.ndarray, lost: np.ndarray, thumbs: Thumbs
) -> None:
    """Put what pictures show of shots into ``path`` where it leaves open what the camera does.

    level, lost: (frames,) of each frame its level, and whether it is not there.
    """
    for span in find_shots(reading):
        start, stop = span.settled, span.end
        second, first = np.sort(told_cameras(reading, path, start, stop))[-2:]
        if first - second >= _OPEN or lost[start:stop].any():
            continue
        frames: list[int] = _chosen(level, start, stop).tolist()
        seen = thumbs(frames) if len(frames) >= _FEWEST else None
        if seen is not None:
            moves = [similarity(before, after) for before, after in pairwise(seen)]
            path.see(slice(start + 1, stop), frames, moves)


def _chosen(level: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Frames of low levels around the middle of a shot, in ascending order."""
    start = max(start, (start + stop - _LONGEST) // 2)
    own = start + np.arange(min(stop - start, _LONGEST))
    at = own[:0]
    for most in range(int(level[own].max(initial=0)) + 1):
        low = own[level[own] <= most]
        if len(low) > _MOST:
            return at if len(at) >= _FEWEST else _thinned(low)
        at = low
    return at


def _thinned(frames: np.ndarray) -> np.ndarray:
    """Nine of them, evenly."""
    return np.asarray(frames[np.linspace(0, len(frames) - 1, _MOST).round().astype(int)])
