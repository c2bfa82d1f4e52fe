"""Whether a picture is the one before it, scrolled far: more than block motion of thumbnails sees.

Pages are scrolled by whole rows, and much of what was there is there again, only higher or lower.
So the luma of rows, in strips side by side, is compared with that of all rows that far away. What
counts is the change from one row to the next: it hardly agrees by chance, and light tells nothing.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

STRIPS = 8
_COLUMNS = 128  # of the picture that are looked at, at most
_ROWS = 540  # of a profile, at most
_LEAST = 0.2  # share of the changes that scrolling explains; behind true cuts it is up to 0.06
_NEAREST, _FARTHEST = 1 / 10, 4 / 5  # of the height
_NOISE = 1.0  # change from row to row of a picture that shows nothing, of 255


def row_profile(luma: np.ndarray) -> np.ndarray:
    """(rows, STRIPS) float32: mean luma of rows, on the 8-bit scale, in strips side by side."""
    height, width = luma.shape
    columns = _looked_at(width)
    each = columns.size // STRIPS
    seen = luma[:, columns].astype(np.float32).reshape(height, STRIPS, each).mean(2)
    together = -(-height // _ROWS)
    seen = seen[: height // together * together].reshape(-1, together, STRIPS).mean(1)
    return np.asarray(seen / (4 if luma.dtype == np.uint16 else 1), np.float32)


@lru_cache(maxsize=4)  # all pictures of a video have one size
def _looked_at(width: int) -> np.ndarray:
    """Columns of a picture that its profile is made of."""
    each = max(1, min(width, _COLUMNS) // STRIPS)
    columns = (np.arange(STRIPS * each) + 0.5) * width / (STRIPS * each)
    return columns.astype(np.intp)


def is_scrolled(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether one profile is the other one, moved far up or down."""
    return len(before) == len(after) and _explained(before, after) > _LEAST


def _explained(before: np.ndarray, after: np.ndarray) -> float:
    """Largest share of the changes from row to row that those of the profile before explain, at any
    distance, in steps of half a row.
    """
    rows = len(after)
    if rows < 16:
        return 0.0
    changes = _changes(after)
    # those of the profile before, and of the one between its rows
    halves = np.stack([before[:-1], (before[:-1] + before[1:]) / 2], 1).reshape(-1, STRIPS)
    sought = halves[4:] - halves[:-4]
    texture = np.abs(changes)
    best = 0.0
    for distance in range(round(2 * _NEAREST * rows), round(2 * _FARTHEST * rows) + 1):
        for first in (distance, -distance):  # half row of the one before at the first row
            low = max(0, -first + 1) // 2
            high = min(len(changes), (len(sought) - first + 1) // 2)
            own = slice(low, high)
            there = sought[2 * low + first : 2 * high + first - 1 : 2]
            left = np.abs(there - changes[own])
            best = max(best, float((texture[own] - left).sum()))
    return best / float(texture.sum() + _NOISE * texture.size)


def _changes(profile: np.ndarray) -> np.ndarray:
    """From the row before to the row behind."""
    return np.asarray(profile[2:] - profile[:-2])
