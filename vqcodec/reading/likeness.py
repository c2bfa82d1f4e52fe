"""Which stretches of videos are like a clip."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..analysis.shot import Embedding, joined
from .looks import Looks

_STEPS = 8  # places at which a clip's length is tried, in that length


class Likeness(NamedTuple):
    """The stretch of a video that is most like a clip."""

    similarity: float  # -1 to 1
    start: int  # its first frame
    end: int  # the frame behind its last


def most_alike(clip: Embedding, seconds: float, looks: Looks) -> Likeness:
    """The stretch of a video most like a clip that lasts so many seconds.

    Tried are the whole video, and stretches as long as the clip at eight places in that length.
    """
    video = looks.analysis
    frames = len(video)
    best = Likeness(clip.similarity(looks.embedding()), 0, frames)
    times = np.array([video.seconds(n) for n in range(frames + 1)])
    step = max(seconds / _STEPS, 1e-3)
    begins = np.arange(times[0], max(times[-1] - seconds, times[0]) + step / 2, step)
    starts = np.unique(np.minimum(np.searchsorted(times, begins - 1e-9), max(frames - 1, 0)))
    stops = np.minimum(np.searchsorted(times, times[starts] + seconds - 1e-9), frames)
    shown, moving = (_between(part, starts, stops) for part in looks.frames())
    alike = np.einsum("ni,i->n", joined(shown, moving), clip.vector, optimize=False)
    if len(alike):
        k = int(alike.argmax())
        found = Likeness(float(alike[k]), int(starts[k]), int(stops[k]))
        best = max(best, found)
    return best


def _between(rows: np.ndarray, starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """Sums of the rows of each of some stretches."""
    sums = np.zeros((len(rows) + 1, rows.shape[1]))
    np.cumsum(rows, 0, np.float64, sums[1:])
    return np.asarray(sums[stops] - sums[starts])
