"""How much two pictures differ, on thumbnails: plainly, and in what neither motion nor light
explains.

A cut shows what was not there before. A lamp, a fade, a pan change many samples too, but the
picture before them, moved and brightened, still is the one behind them: so the residual of a coarse
prediction with a gain, an offset and block motion is what counts, against the contrast of the
picture, as encoders compare the cost of inter and intra prediction (x264's scenecut).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

COLUMNS, ROWS = 64, 36  # of a thumbnail
ODD_RUN = 3  # frames of the longest flash
_BLOCK, _REACH = 4, 3  # of the coarse motion, in samples of a thumbnail
_ODD_CHANGE, _ODD_FACTOR = 4.0, 3.0  # least change of an odd frame, absolute and against its frame
LEAST, SHARE = 1.7, 0.33  # novelty of a cut: of 255, and against the picture's contrast
_CUT_SHARE = 0.4  # from which those around a flash are two scenes
_QUIET = 2.0  # added to the contrast: noise of flat pictures
_MOST_GAIN = 8.0


def thumbnail(luma: np.ndarray) -> np.ndarray:
    """Mean luma of at most 64x36 boxes on the 8-bit scale, float32 (rows, columns)."""
    h, w = luma.shape
    rows = np.linspace(0, h, min(h, ROWS), endpoint=False).astype(np.intp)
    columns = np.linspace(0, w, min(w, COLUMNS), endpoint=False).astype(np.intp)
    sums = np.add.reduceat(np.add.reduceat(luma, rows, axis=0, dtype=np.uint32), columns, axis=1)
    area = np.diff(rows, append=h)[:, None] * np.diff(columns, append=w)[None, :]
    means: np.ndarray = sums / area / (4 if luma.dtype == np.uint16 else 1)
    return means.astype(np.float32)


def change(before: np.ndarray, after: np.ndarray) -> float:
    """Mean absolute difference of two thumbnails, of 255."""
    return float(np.abs(after - before).mean())


def _brightened(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """``before`` with the gain and the offset that bring it nearest to ``after``, outliers counted
    less.
    """
    weight = np.ones_like(before)
    for _ in range(2):
        total = weight.sum()
        mean, goal = (weight * before).sum() / total, (weight * after).sum() / total
        spread = (weight * np.square(before - mean)).sum()
        shared = (weight * (before - mean) * (after - goal)).sum()
        gain = min(max(0.0, shared / spread), _MOST_GAIN) if spread > 1e-3 * total else 0.0
        out = gain * (before - mean) + goal
        error = np.abs(out - after)
        weight = 1 / (1 + np.square(error / (1 + np.median(error))))
    return np.asarray(out)


def _moved_residual(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Mean absolute difference of each 4x4 block to the best of its places within 3 samples."""
    h, w = after.shape
    rows, columns = -(-h // _BLOCK), -(-w // _BLOCK)
    tall, wide = rows * _BLOCK, columns * _BLOCK
    goal = np.pad(after, ((0, tall - h), (0, wide - w)), mode="edge")
    around = np.pad(before, ((_REACH, _REACH + tall - h), (_REACH, _REACH + wide - w)), mode="edge")
    least = np.full((rows, columns), np.inf, np.float32)
    for y in range(2 * _REACH + 1):
        for x in range(2 * _REACH + 1):
            error = np.abs(around[y : y + tall, x : x + wide] - goal)
            np.minimum(least, error.reshape(rows, _BLOCK, columns, _BLOCK).mean((1, 3)), out=least)
    return least


def novelty(before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
    """What of a thumbnail neither motion nor light explains: its mean of 255, and that against the
    contrast (0..about 1).
    """
    residual = float(
        np.minimum(
            _moved_residual(before, after), _moved_residual(_brightened(before, after), after)
        ).mean()
    )
    return residual, residual / (float(np.abs(after - after.mean()).mean()) + _QUIET)


def is_new(before: np.ndarray, after: np.ndarray, share: float = SHARE) -> bool:
    """Whether what a thumbnail shows was not there before."""
    residual, part = novelty(before, after)
    return residual > LEAST and part > share


def odd_run(thumbs: Sequence[np.ndarray]) -> int:
    """How many frames from ``thumbs[1]`` on are odd: they differ from those around, which match
    each other. 0: none.

    ``thumbs``: the frame before, the frame in question, and up to ODD_RUN that follow.
    """
    for n in range(1, min(ODD_RUN, len(thumbs) - 2) + 1):
        before, after = thumbs[0], thumbs[n + 1]
        least = max(_ODD_CHANGE, _ODD_FACTOR * change(before, after))
        run = thumbs[1 : n + 1]
        if all(change(t, around) > least for t in run for around in (before, after)):
            return 0 if is_new(before, after, _CUT_SHARE) else n  # 0: a flash between two scenes
    return 0


def odd_frames(thumbs: Sequence[np.ndarray]) -> set[int]:
    """Numbers of the odd frames among all but the first and the last of a row of thumbnails."""
    odd: set[int] = set()
    i = 1
    while i < len(thumbs) - 1:
        n = odd_run(thumbs[i - 1 : i + ODD_RUN + 1])
        odd.update(range(i, i + n))
        i += n or 1
    return odd
