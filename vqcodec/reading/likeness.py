"""Which stretches of videos are like a clip."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..analysis.shot import Embedding
from .file_analysis import Analysis

_STEPS = 8  # places at which a clip's length is tried, in that length


class Likeness(NamedTuple):
    """The stretch of a video that is most like a clip."""

    similarity: float  # -1 to 1
    start: int  # its first frame
    end: int  # the frame behind its last


def most_alike(clip: Embedding, seconds: float, video: Analysis) -> Likeness:
    """The stretch of a video most like a clip that lasts so many seconds.

    Tried are the whole video, and stretches as long as the clip at eight places in that length.
    """
    frames = len(video)
    best = Likeness(clip.similarity(video.embedding()), 0, frames)
    times = np.array([video.seconds(n) for n in range(frames + 1)])
    sums = np.concatenate(
        [np.zeros((1, len(clip.vector))), video.reading.traits.cumsum(0, dtype=np.float64)]
    )
    step = max(seconds / _STEPS, 1e-3)
    begins = np.arange(times[0], max(times[-1] - seconds, times[0]) + step / 2, step)
    starts = np.unique(np.minimum(np.searchsorted(times, begins - 1e-9), max(frames - 1, 0)))
    stops = np.minimum(np.searchsorted(times, times[starts] + seconds - 1e-9), frames)
    means = sums[stops] - sums[starts]
    alike = means @ clip.vector / np.maximum(np.linalg.norm(means, axis=1), 1e-12)
    if len(alike):
        k = int(alike.argmax())
        found = Likeness(float(alike[k]), int(starts[k]), int(stops[k]))
        best = max(best, found)
    return best
