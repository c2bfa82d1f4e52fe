"""Grid of motion, merge candidates and predictors of vectors."""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from ..compiled import njit_borrowing
from .motion_compensation import BI, L0, L1
from .weighting import UNWEIGHTED, Weights

CTU = 8  # cells on a side of the largest block (64 samples)
MAX_MERGE = 5
MV_LIMIT = 8191


class Field(NamedTuple):
    """Motion grid of a picture; see the module's text. ``dist``: time distances (list 0, list 1) in
    frames, signed."""

    direction: np.ndarray  # (H/8, W/8) uint8
    mv: np.ndarray  # (H/8, W/8, 2, 2) int16
    depth: np.ndarray  # (H/8, W/8) uint8
    merged: np.ndarray  # (H/8, W/8) uint8
    chosen: np.ndarray  # (H/8, W/8) uint8: which set of weights, 0 none
    dist: np.ndarray  # (2,) int64; list 1 is 0 when the picture has one reference
    sets: np.ndarray  # of weights, and their blends: see weighting.Weights
    blends: np.ndarray

    @property
    def predicted(self) -> bool:
        """Whether it is that of a frame coded from references, once it is filled in."""
        return bool(self.direction[0, 0])

    @classmethod
    def empty(
        cls, height: int, width: int, d0: int, d1: int, weights: Weights | None = None
    ) -> Field:
        """For a picture of height x width luma samples (multiples of 64)."""
        cells = (height // 8, width // 8)
        return cls(
            np.zeros(cells, np.uint8),
            np.zeros((*cells, 2, 2), np.int16),
            np.zeros(cells, np.uint8),
            np.zeros(cells, np.uint8),
            np.zeros(cells, np.uint8),
            np.array([d0, d1], np.int64),
            *(weights or UNWEIGHTED),
        )


@njit_borrowing
def scale_mv(v, num, den):
    """v * num / den rounded to nearest, halves away from zero, clipped to the legal range."""
    n, d = v * num, den
    if d < 0:
        n, d = -n, -d
    r = (2 * abs(n) + d) // (2 * d)
    r = -r if n < 0 else r
    return min(max(r, -MV_LIMIT), MV_LIMIT)


@njit_borrowing
def temporal(col, y, x, dist, out):
    """Vectors (2, 2) that continue the linear motion of the co-located cell of the field ``col``;
    False when it has none."""
    d = col.direction[y, x]
    if d == 0:
        return False
    l = 0 if d & L0 else 1
    den = col.dist[l]
    for k in range(2):
        for c in range(2):
            out[k, c] = scale_mv(nb.int64(col.mv[y, x, l, c]), dist[k], den) if dist[k] != 0 else 0
    return True


@njit_borrowing
def candidates(f, col, y, x, n, cdir, cmv, cset):
    """Merge candidates of the block of n cells at (y, x); returns how many (at least one).

    They come into cdir (5,), cmv (5, 2, 2) and, their sets of weights, cset (5,).
    Order: left, above, temporal, above right, below left, above left, zero; equal ones once.
    """
    h, w = f.direction.shape
    two = f.dist[1] != 0
    first = min(1, f.blends.size)
    k = 0
    for s in range(7):
        if k == MAX_MERGE:
            break
        tmp = cmv[k]
        d = 0
        chosen = first
        r, c = y, x
        if s == 2:
            if temporal(col, min(y + n // 2, h - 1), min(x + n // 2, w - 1), f.dist, tmp):
                d = BI if two else L0
        elif s == 6:
            d = BI if two else L0
            tmp[0, 0] = tmp[0, 1] = tmp[1, 0] = tmp[1, 1] = 0
        else:
            if s == 0:
                r, c = y + n - 1, x - 1
            elif s == 1:
                r, c = y - 1, x + n - 1
            elif s == 3:
                r, c = y - 1, x + n
            elif s == 4:
                r, c = y + n, x - 1
            else:
                r, c = y - 1, x - 1
            if r >= 0 and c >= 0 and r < h and c < w:
                d = f.direction[r, c]
                chosen = f.chosen[r, c]
                for a in range(2):
                    for b in range(2):
                        tmp[a, b] = f.mv[r, c, a, b]
        if d == 0:
            continue
        dup = False
        for q in range(k):
            if cdir[q] == d and cset[q] == chosen:
                same0 = cmv[q, 0, 0] == tmp[0, 0] and cmv[q, 0, 1] == tmp[0, 1]
                same1 = cmv[q, 1, 0] == tmp[1, 0] and cmv[q, 1, 1] == tmp[1, 1]
                if (same0 or d == L1) and (same1 or d == L0):
                    dup = True
                    break
        if dup:
            continue
        cdir[k] = d
        cset[k] = chosen
        k += 1
    return k


@njit_borrowing
def predictor(f, col, y, x, n, out):
    """Motion vector predictor (2, 2): median of left, above and above right (or above left); the
    temporal one where none is there."""
    h, w = f.direction.shape
    left = x > 0 and f.direction[y, x - 1] != 0
    above = y > 0 and f.direction[y - 1, x] != 0
    row, column = y - 1, -1  # of the third
    if y > 0 and x + n < w and f.direction[y - 1, x + n]:
        column = x + n
    elif y > 0 and x > 0 and f.direction[y - 1, x - 1]:
        column = x - 1
    if not left and not above and column < 0:
        if not temporal(col, min(y + n // 2, h - 1), min(x + n // 2, w - 1), f.dist, out):
            for a in range(2):
                out[a, 0] = out[a, 1] = 0
        return
    for a in range(2):
        for b in range(2):
            if left and above and column >= 0:
                p, q = nb.int64(f.mv[y, x - 1, a, b]), nb.int64(f.mv[y - 1, x, a, b])
                r = nb.int64(f.mv[row, column, a, b])
                out[a, b] = max(min(p, q), min(max(p, q), r))
            elif left:
                out[a, b] = f.mv[y, x - 1, a, b]
            elif above:
                out[a, b] = f.mv[y - 1, x, a, b]
            else:
                out[a, b] = f.mv[row, column, a, b]


@njit_borrowing
def fill(f, y, x, n, depth, direction, mv, merged, chosen):
    """Write one leaf into the grid; the vector of a list not used is the other's, scaled by
    time."""
    if direction == L0 and f.dist[1] != 0:
        for c in range(2):
            mv[1, c] = scale_mv(mv[0, c], f.dist[1], f.dist[0])
    elif direction == L1:
        for c in range(2):
            mv[0, c] = scale_mv(mv[1, c], f.dist[0], f.dist[1])
    for r in range(y, y + n):
        for c in range(x, x + n):
            f.direction[r, c] = direction
            f.depth[r, c] = depth
            f.merged[r, c] = merged
            f.chosen[r, c] = chosen
            for a in range(2):
                for b in range(2):
                    f.mv[r, c, a, b] = mv[a, b]
