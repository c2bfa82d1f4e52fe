"""How much two pictures differ, on thumbnails: plainly, and in what neither motion nor light
explains.

A cut shows what was not there before. A lamp, a fade, a pan change many samples too, but the
picture before them, moved and brightened, still is the one behind them: so the residual of a coarse
prediction with a gain, an offset and block motion is what counts, against the contrast of the
picture, as encoders compare the cost of inter and intra prediction (x264's scenecut). And behind a
cut hardly a block with texture is explained well, while most are beside a title that appears.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np

from ..compiled import njit

COLUMNS, ROWS = 64, 36  # of a thumbnail
LONGEST_FLASH = 3  # frames
_FAR, _FAR_STEP = 3, 2  # part of a thumbnail that a camera goes on by, searched in such steps
_BLOCK, _REACH = 4, 3  # of the coarse motion, in samples of a thumbnail
# least change from a flash to those around it: of 255, and against how much these differ
_FLASH_CHANGE, _FLASH_FACTOR = 4.0, 3.0
LEAST, SHARE = 1.7, 0.33  # novelty of a cut: of 255, and against the picture's contrast
# where less of the blocks with texture is explained than this, a share that is enough for a cut
NONE_KEPT, STRANGE_SHARE = 0.05, 0.25
_CUT_SHARE = 0.4  # novelty from which the frames around a flash are two scenes
_QUIET = 2.0  # added to the contrast: noise of flat pictures
# change of a picture that is shown once more: of 255, or against the step before, but no more than
_SAME, _SAME_SHARE, _MOST_NOISE = 0.3, 0.1, 1.0
_FLAT = 12.0  # range of a thumbnail that shows nothing
_MOST_GAIN = 8.0
_TEXTURED = 2.0  # texture of a block that can be told from others, of 255
_EXPLAINED = 0.5  # of its texture: what is left of a block that is explained


def thumbnail(luma: np.ndarray) -> np.ndarray:
    """Mean luma of at most 64x36 boxes on the 8-bit scale, float32 (rows, columns)."""
    boxes = _boxes(*luma.shape)
    sums = _box_sums(luma, boxes.rows, boxes.columns)
    means: np.ndarray = sums / boxes.area / (4 if luma.dtype == np.uint16 else 1)
    return means.astype(np.float32)


class _Boxes(NamedTuple):
    """Where the boxes of a thumbnail begin, and the samples (rows, columns) of each."""

    rows: np.ndarray
    columns: np.ndarray
    area: np.ndarray


@lru_cache(maxsize=4)  # all pictures of a video have one size
def _boxes(height: int, width: int) -> _Boxes:
    """Of a picture of this size."""
    rows = np.linspace(0, height, min(height, ROWS), endpoint=False).astype(np.intp)
    columns = np.linspace(0, width, min(width, COLUMNS), endpoint=False).astype(np.intp)
    area = np.diff(rows, append=height)[:, None] * np.diff(columns, append=width)[None, :]
    return _Boxes(rows, columns, area)


@njit
def _box_sums(luma: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Sums of the boxes that begin in these rows and columns, uint32."""
    h, w = luma.shape
    out = np.empty((rows.size, columns.size), np.uint32)
    sums = np.empty(w, np.uint32)
    for i in range(rows.size):
        sums[:] = 0
        for y in range(rows[i], rows[i + 1] if i + 1 < rows.size else h):
            row = luma[y]
            for x in range(w):
                sums[x] += np.uint32(row[x])
        for j in range(columns.size):
            total = np.uint32(0)
            for x in range(columns[j], columns[j + 1] if j + 1 < columns.size else w):
                total += sums[x]
            out[i, j] = total
    return out


def is_blank(thumb: np.ndarray) -> bool:
    """Whether a thumbnail shows nothing: black, or one colour."""
    return bool(np.ptp(thumb) < _FLAT)


def change(before: np.ndarray, after: np.ndarray) -> float:
    """Mean absolute difference of two thumbnails, of 255."""
    return float(_mean(np.abs(after - before)))


def repeats(before: np.ndarray, after: np.ndarray, step: float = 0.0) -> bool:
    """Whether ``after`` is ``before`` once more, but for the noise of an earlier codec: films are
    drawn on twos, or shown at twice their rate.

    step: how much changed when ``before`` came, of 255: noise is little against motion.
    """
    return change(before, after) < max(_SAME, min(_SAME_SHARE * step, _MOST_NOISE))


def without_repeats(thumbs: Sequence[np.ndarray], step: float = 0.0) -> list[np.ndarray]:
    """Those that don't repeat the last one kept, so that what changes slowly is new in the end.

    step: how much changed when the first of them came; 0: noise is not told from slow motion.
    """
    kept = list(thumbs[:1])
    for thumb in thumbs[1:]:
        if not repeats(kept[-1], thumb, step):
            step = step and change(kept[-1], thumb)
            kept.append(thumb)
    return kept


def shown_often(thumbs: Sequence[np.ndarray], times: int, step: float = 0.0) -> bool:
    """Whether so many thumbnails are the first of them; step: as of :func:`repeats`."""
    return len(thumbs) == times and all(repeats(thumbs[0], t, step) for t in thumbs[1:])


def contrast(thumb: np.ndarray) -> float:
    """Mean absolute difference of a thumbnail from its mean, of 255."""
    return float(_mean(np.abs(thumb - _mean(thumb))))


def _mean(values: np.ndarray) -> np.floating:
    """What ``values.mean()`` gives, in half its time for the few samples of a thumbnail."""
    mean: np.floating = np.add.reduce(values, axis=None) / values.dtype.type(values.size)
    return mean


def _brightened(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """``before`` with the gain and the offset that bring it nearest to ``after``, outliers counted
    less.
    """
    out = _fitted(before, after, None)
    error = np.abs(out - after)
    return _fitted(before, after, 1 / (1 + np.square(error / (1 + _median(error)))))


def _fitted(before: np.ndarray, after: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """``before`` with the gain and the offset of least squares; without weights all count alike."""
    if weight is None:
        total = before.dtype.type(before.size)
        mean, goal = np.add.reduce(before, None) / total, np.add.reduce(after, None) / total
        apart = weighted = before - mean
    else:
        total = np.add.reduce(weight, None)
        mean = np.add.reduce(weight * before, None) / total
        goal = np.add.reduce(weight * after, None) / total
        apart = before - mean
        weighted = weight * apart
    spread = np.square(apart) if weight is None else weight * np.square(apart)
    spread = np.add.reduce(spread, None)
    shared = np.add.reduce(weighted * (after - goal), None)
    gain = min(max(0.0, shared / spread), _MOST_GAIN) if spread > 1e-3 * total else 0.0
    return np.asarray(gain * apart + goal)


def _median(values: np.ndarray) -> np.floating:
    """What ``np.median`` gives for values that are all numbers, without its look at kinds."""
    half, odd = divmod(values.size, 2)
    ordered = np.partition(values, half if odd else (half - 1, half), axis=None)
    middle: np.floating = ordered[half]
    return middle if odd else (ordered[half - 1] + middle) / values.dtype.type(2)


@njit
def _moved_residual(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Mean absolute difference of each 4x4 block to the best of its places within 3 samples."""
    h, w = after.shape
    least = np.empty((-(-h // _BLOCK), -(-w // _BLOCK)), np.float32)
    for r in range(least.shape[0]):
        for c in range(least.shape[1]):
            best = np.float32(np.inf)
            for down in range(-_REACH, _REACH + 1):
                for right in range(-_REACH, _REACH + 1):
                    error = np.float32(0)
                    for y in range(_BLOCK * r, _BLOCK * (r + 1)):
                        if error >= best:
                            break
                        own, there = min(y, h - 1), min(max(y + down, 0), h - 1)
                        for x in range(_BLOCK * c, _BLOCK * (c + 1)):
                            at = min(max(x + right, 0), w - 1)
                            error += abs(before[there, at] - after[own, min(x, w - 1)])
                    best = min(best, error)
            least[r, c] = best / (_BLOCK * _BLOCK)
    return least


@njit
def _texture(thumb: np.ndarray) -> np.ndarray:
    """Mean absolute difference of each 4x4 block from its mean.

    Sums are written out: with a mean of numba's comes its linear algebra, which loads scipy's.
    """
    h, w = thumb.shape
    out = np.empty((-(-h // _BLOCK), -(-w // _BLOCK)), np.float32)
    for r in range(out.shape[0]):
        for c in range(out.shape[1]):
            part = thumb[_BLOCK * r : _BLOCK * (r + 1), _BLOCK * c : _BLOCK * (c + 1)]
            total, apart = np.float32(0), np.float32(0)
            for value in part.flat:
                total += value
            mean = np.float32(total / part.size)
            for value in part.flat:
                apart += abs(value - mean)
            out[r, c] = apart / part.size
    return out


class Novelty(NamedTuple):
    """What of a thumbnail neither motion nor light explains."""

    residual: float
    """Its mean, of 255."""
    share: float
    """That against the picture's contrast, 0 to about 1."""
    kept: float
    """Share of the blocks with texture that are explained well, 0 to 1; 0 where there are none."""

    def reaches(self, least: float = SHARE) -> bool:
        """Whether this share is new, or less where hardly a block with texture is explained."""
        return self.share >= (least if self.kept > NONE_KEPT else min(least, STRANGE_SHARE))


def novelty(before: np.ndarray, after: np.ndarray) -> Novelty:
    """What a thumbnail shows that the one before it did not."""
    left = np.minimum(
        _moved_residual(before, after), _moved_residual(_brightened(before, after), after)
    )
    residual, texture = float(_mean(left)), _texture(after)
    textured = texture > _TEXTURED
    kept = int(np.count_nonzero(textured & (left < _EXPLAINED * texture)))
    return Novelty(
        residual,
        residual / (contrast(after) + _QUIET),
        kept / max(1, int(np.count_nonzero(textured))),
    )


def aligned(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """A thumbnail moved to where it is most like another, by up to a third of its size: as a camera
    goes on while nothing is seen. What comes in at a side repeats that side.
    """
    height, width = after.shape
    rows, columns = np.arange(height), np.arange(width)
    moved = (
        before[np.clip(rows + down, 0, height - 1)[:, None], np.clip(columns + right, 0, width - 1)]
        for down in _ways(height)
        for right in _ways(width)
    )
    return min(moved, key=partial(change, after))


def _ways(size: int) -> range:
    """How far a thumbnail of this size is moved, to both sides alike and not at all."""
    most = size // _FAR // _FAR_STEP * _FAR_STEP
    return range(-most, most + 1, _FAR_STEP)


def _is_new(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether what a thumbnail shows was not there before."""
    found = novelty(before, after)
    return found.residual > LEAST and found.share > _CUT_SHARE


def flash_length(thumbs: Sequence[np.ndarray]) -> int:
    """How many frames from ``thumbs[1]`` on are a flash; 0: none.

    They differ from the frames before and behind them, which match each other.

    ``thumbs``: the frame before, the frame in question, and up to LONGEST_FLASH that follow.
    """
    for length in range(1, min(LONGEST_FLASH, len(thumbs) - 2) + 1):
        before, after = thumbs[0], thumbs[length + 1]
        least = max(_FLASH_CHANGE, _FLASH_FACTOR * change(before, after))
        run = thumbs[1 : length + 1]
        if is_blank(after) and not is_blank(before):
            continue  # black behind a dark scene is no picture that it goes on with
        if all(change(t, around) > least for t in run for around in (before, after)):
            return 0 if _is_new(before, after) else length  # 0: a flash between two scenes
    return 0


def flash_frames(thumbs: Sequence[np.ndarray]) -> set[int]:
    """Numbers of the frames of flashes in a row of thumbnails; its first and last are none."""
    found: set[int] = set()
    number = 1
    while number < len(thumbs) - 1:
        length = flash_length(thumbs[number - 1 : number + LONGEST_FLASH + 1])
        found.update(range(number, number + length))
        number += length or 1
    return found
