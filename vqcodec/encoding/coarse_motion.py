"""Motion between two pictures, found from coarse to fine.

Blocks of 8x8 samples at an eighth of the size are searched for in full. Those at a quarter and at a
half start from what was found for the larger block around them, for its neighbours, and for the
blocks to the left and above (hierarchical search: Bierling 1988; predictors as in EPZS, Tourapis
2002). A block at half the size is one of 16x16 of the picture.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from ..compiled import njit_borrowing
from .block_matching import (
    DIRECTIONS_X,
    DIRECTIONS_Y,
    FARTHEST,
    Samples,
    at,
    moved,
    of_picture,
    of_reference,
    refined,
)
from .sample_sums import sad8
from .small_pictures import MARGIN, SmallPicture
from .weight_estimation import matched

_SMOOTH = 4  # SAD that a sample of a vector's length costs at an eighth of the size
_NEAR = 2  # and of the way from the larger block's vector
_FAR = 8  # frames from which a page may have been scrolled far
_SCROLLED = 7  # samples at a quarter of the size that it may have gone a frame
_ROUNDS = 6  # of steps of one sample
_ENOUGH = 64  # SAD of a block that needs no better vector: a level a sample


@njit_borrowing
def _inner(plane):
    """The samples of a plane inside its margin."""
    samples = of_picture(plane)
    return Samples(at(samples, MARGIN, MARGIN), samples.stride, samples.phase, samples.parts)


@njit_borrowing
def _inside(y, x, side, h, w):
    """Whether a block of ``side`` samples at (y, x) lies in a plane (h, w) or its margin."""
    return y >= -MARGIN and x >= -MARGIN and y + side <= h + MARGIN and x + side <= w + MARGIN


@njit_borrowing
def _full(cur, ref, side, down, across, out):
    """out (rows, columns, 2) [y, x]: the best vector within +-down and +-across samples for blocks
    of ``side`` samples, 8 or 16."""
    rows, columns = out.shape[:2]
    h, w = rows * side, columns * side
    picture, reference = _inner(cur), _inner(ref)
    for r in range(rows):
        for c in range(columns):
            y, x = r * side, c * side
            best = FARTHEST
            for dy in range(-down, down + 1):
                for dx in range(-across, across + 1):
                    s = nb.int32(_SMOOTH * (abs(dy) + abs(dx)))
                    if not _inside(y + dy, x + dx, side, h, w):
                        continue
                    for k in range(side * side // 64):
                        if s >= best:
                            break
                        v, u = y + 8 * (k >> 1), x + 8 * (k & 1)
                        shown = at(reference, v + dy, u + dx)
                        s += sad8(at(picture, v, u), picture.stride, shown, reference.stride)
                    if s < best:
                        best = s
                        out[r, c, 0], out[r, c, 1] = dy, dx


@njit_borrowing
def _told(picture, reference, y, x, my, mx, oy, ox, h, w):
    """SAD of the 8x8 block at (y, x) moved by (my, mx), with what its way from (oy, ox) costs;
    FARTHEST outside of the reference."""
    if not _inside(y + my, x + mx, 8, h, w):
        return FARTHEST
    shown = at(reference, y + my, x + mx)
    s = sad8(at(picture, y, x), picture.stride, shown, reference.stride)
    return nb.int32(s + nb.int32(_NEAR * (abs(my - oy) + abs(mx - ox))))


@njit_borrowing
def _candidate(k, r, c, coarse, wide, out):
    """The k-th vector to start from, in samples: of the larger block and its neighbours, of those
    to the left and above, of the search in wide blocks, none at all."""
    row, column = r >> 1, c >> 1
    if k == 5 and wide.size:
        return nb.int64(wide[row, column, 0]), nb.int64(wide[row, column, 1])
    if k == 1:
        row = min(max(row + (1 if r & 1 else -1), 0), coarse.shape[0] - 1)
    elif k == 2:
        column = min(max(column + (1 if c & 1 else -1), 0), coarse.shape[1] - 1)
    elif k == 3 and c > 0:
        return nb.int64(out[r, c - 1, 0]), nb.int64(out[r, c - 1, 1])
    elif k == 4 and r > 0:
        return nb.int64(out[r - 1, c, 0]), nb.int64(out[r - 1, c, 1])
    elif k >= 3:
        return nb.int64(0), nb.int64(0)
    return 2 * nb.int64(coarse[row, column, 0]), 2 * nb.int64(coarse[row, column, 1])


@njit_borrowing
def _finer(cur, ref, coarse, wide, out):
    """out (rows, columns, 2): vectors of 8x8 blocks in samples, from those of blocks twice as
    large at half the size; wide (rows / 2, columns / 2, 2): others to start from, or nothing."""
    rows, columns = out.shape[:2]
    h, w = rows * 8, columns * 8
    picture, reference = _inner(cur), _inner(ref)
    for r in range(rows):
        for c in range(columns):
            y, x = r * 8, c * 8
            best = FARTHEST
            oy, ox = _candidate(0, r, c, coarse, wide, out)
            by, bx = nb.int64(0), nb.int64(0)
            for k in range(7):
                my, mx = _candidate(k, r, c, coarse, wide, out)
                s = _told(picture, reference, y, x, my, mx, oy, ox, h, w)
                if s < best:
                    best, by, bx = s, my, mx
            for _ in range(_ROUNDS):
                cy, cx = by, bx
                for k in range(8):
                    my, mx = cy + DIRECTIONS_Y[k], cx + DIRECTIONS_X[k]
                    s = _told(picture, reference, y, x, my, mx, oy, ox, h, w)
                    if s < best:
                        best, by, bx = s, my, mx
                if by == cy and bx == cx:
                    break
            out[r, c, 0], out[r, c, 1] = by, bx


@njit_borrowing
def _to_quarters(cur, ph, vectors):
    """Vectors (rows, columns, 2) of 8x8 cells from samples to quarter samples, in place.

    ph: phases of the reference.
    """
    h, w = cur.shape
    picture, reference = of_picture(cur), of_reference(ph, 1)
    for r in range(vectors.shape[0]):
        for c in range(vectors.shape[1]):
            y, x = r * 8, c * 8
            my, mx = 4 * nb.int64(vectors[r, c, 0]), 4 * nb.int64(vectors[r, c, 1])
            shown = moved(reference, y, x, my, mx)
            best = sad8(at(picture, y, x), picture.stride, shown, reference.stride)
            my, mx = refined(reference, picture, y, x, my, mx, best, 2, 1, _ENOUGH, h, w)
            vectors[r, c, 0], vectors[r, c, 1] = my, mx


def coarse_motion(
    picture: SmallPicture, reference: SmallPicture, distance: int, thorough: bool = True
) -> np.ndarray:
    """Vectors (rows, columns, 2) int32 [y, x] of the cells of a small picture to a reference, in
    samples of theirs.

    distance: frames to it. The farther it is the farther is looked. thorough: whether what is lost
    at an eighth of the size is looked for in all directions, not only up and down.
    """
    first, second, third = (
        np.zeros((*(n // (8 * k) for n in picture.luma8.shape), 2), np.int32) for k in (4, 2, 1)
    )
    near = min(12, 4 + abs(distance))
    _full(picture.eighth, reference.eighth, 8, near, near, first)
    # what is lost at an eighth of the size: lines of text, whose pages move far up and down
    wide, reach = np.zeros_like(first), 8 + 2 * abs(distance)
    down = reach if abs(distance) < _FAR else _SCROLLED * abs(distance)
    across = min(24, reach) if thorough else 0
    _full(picture.quarter, reference.quarter, 16, down, across, wide)
    _finer(picture.quarter, reference.quarter, first, wide, second)
    _finer(picture.half, reference.half, second, wide[:0], third)
    return np.ascontiguousarray(third[: picture.rows, : picture.columns])


def as_bright(picture: SmallPicture, reference: SmallPicture) -> SmallPicture:
    """A reference with the brightness of a picture, itself where that is its own: see
    :func:`.matched`."""
    bright = matched(picture.luma8, reference.luma8)
    if bright is reference.luma8:
        return reference
    return SmallPicture(bright.astype(np.uint16) << 2, reference.rows, reference.columns)


def in_quarters(picture: SmallPicture, ph: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """:func:`coarse_motion` in quarter samples of the small picture; ``ph`` is the reference's."""
    out = vectors.copy()
    _to_quarters(picture.luma8, ph, out)
    return out


def in_frame(cells: np.ndarray) -> np.ndarray:
    """Cells of what is shown of a small picture -> those of all blocks of 16x16 of its frame,
    which is padded to multiples of 64."""
    tall, wide = (-n % 4 for n in cells.shape[:2])
    return np.pad(cells, ((0, tall), (0, wide), *[(0, 0)] * (cells.ndim - 2)), mode="edge")


def starting_vectors(
    picture: SmallPicture, reference: SmallPicture, distance: int, thorough: bool = True
) -> np.ndarray:
    """(H/16, W/16, 2) int32 [y, x]: :func:`coarse_motion` in quarter samples of the frame, to a
    reference that may be brighter or darker."""
    return 8 * in_frame(coarse_motion(picture, as_bright(picture, reference), distance, thorough))
