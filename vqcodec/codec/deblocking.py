"""Deblocking filter in the loop: smooths steps that the coding made at borders of blocks.

The nets draw each block of 8x8 luma samples (4x4 of chroma) from a place of its own, and each leaf
of the motion moves by a vector of its own, so both leave steps in smooth parts. The filter is that
of HEVC (ITU-T H.265, 8.7.2.5; Norkin et al., HEVC deblocking filter, IEEE TCSVT 22(12), 2012) on a
grid of 8x8 luma samples: a border is filtered where both sides are smooth (second derivatives
below beta), over three samples of each side where they are flat as well, else over one or two; no
sample changes by more than tc allows. Chroma has one sample changed on each side. All borders
between columns come first, then all between rows; none looks at samples that another of its kind
changes, so their order is free.

A frame carries the index of its strength, which stands for tc and beta; the first is no filter.
All integers; the filtered picture is what the detail refines.
"""

from __future__ import annotations

import numpy as np

from ..compiled import njit, njit_borrowing
from ..picture import MAX_SAMPLE
from .contexts import DEBLOCK
from .direct_map import DIRECT_BLOCK, by_nets
from .motion_compensation import L0, L1
from .motion_field import Field
from .two_way import Coder, code_tree

STRENGTH_BITS = 3
STRENGTHS = 1 << STRENGTH_BITS  # indices, no filter among them
TC = np.array([0, 2, 4, 6, 8, 12, 16, 24], np.int64)  # in samples of 10 bits
BETA = np.array([0, 24, 48, 64, 80, 104, 128, 160], np.int64)
APART = 4  # quarter samples between vectors from which their prediction is taken to step
LEFT, ABOVE = 0, 1  # borders of a cell
SEGMENT = 4  # lines that are filtered or left alone together


@njit_borrowing
def code_strength(coder: Coder, strength: int) -> int:
    """The index of the strength of a frame, 0..7, as a binary tree of contexts; returns it."""
    return code_tree(coder, DEBLOCK, strength, STRENGTH_BITS)


@njit_borrowing
def _far(field: Field, r: int, c: int, y: int, x: int) -> bool:
    """Whether two cells are predicted differently: from other references, with other weights, or by
    vectors a sample apart."""
    direction = field.direction[r, c]
    if direction != field.direction[y, x] or field.chosen[r, c] != field.chosen[y, x]:
        return True
    for k in range(2):
        if direction & (L1 if k else L0):
            for axis in range(2):
                if abs(np.int64(field.mv[r, c, k, axis]) - field.mv[y, x, k, axis]) >= APART:
                    return True
    return False


@njit_borrowing
def _steps(blocks: np.ndarray, field: Field, r: int, c: int, y: int, x: int) -> bool:
    """Whether coding may have made a step between the cell (y, x) and (r, c) behind it."""
    here, there = blocks[r >> 1, c >> 1], blocks[y >> 1, x >> 1]
    for kind in (here, there):
        if kind != DIRECT_BLOCK and not by_nets(kind):
            return False
    return here != DIRECT_BLOCK or there != DIRECT_BLOCK or _far(field, r, c, y, x)


@njit_borrowing
def _find(
    blocks: np.ndarray, field: Field, rows: int, columns: int, left: np.ndarray, above: np.ndarray
) -> None:
    for r in range(rows):
        for c in range(columns):
            if c > 0:
                left[r, c] = _steps(blocks, field, r, c, r, c - 1)
            if r > 0:
                above[r, c] = _steps(blocks, field, r, c, r - 1, c)


@njit
def borders(blocks: np.ndarray, field: Field, height: int, width: int) -> np.ndarray:
    """Which borders the filter may smooth: (2, H/8, W/8) bool, to the left of each cell and above
    it.

    blocks (H/16, W/16) uint8: their kinds. height, width: of the luma that is shown; cells wholly
    outside of it have no borders.
    """
    rows, columns = field.direction.shape
    out = np.zeros((2, rows, columns), np.bool_)
    rows, columns = min(rows, (height + 7) >> 3), min(columns, (width + 7) >> 3)
    _find(blocks, field, rows, columns, out[LEFT], out[ABOVE])
    return out


@njit_borrowing
def _at(plane: np.ndarray, y: int, x: int) -> int:
    """A sample as a number that may become negative."""
    return int(np.int64(plane[y, x]))


@njit_borrowing
def _near(value: int, before: int, most: int) -> int:
    """A sample's new value, at most so far from the one before."""
    return min(max(value, before - most, 0), before + most, MAX_SAMPLE)


@njit_borrowing
def _luma_segment(plane: np.ndarray, y: int, x: int, tc: int, beta: int) -> None:
    """Filter four lines, from y on, across the border in front of column x."""
    curved, flat, curve_p, curve_q = 0, True, 0, 0
    for r in (y, y + SEGMENT - 1):
        p3, p2, p1, p0, q0, q1, q2, q3 = _line(plane, r, x)
        curve_p += abs(p2 - 2 * p1 + p0)
        curve_q += abs(q2 - 2 * q1 + q0)
        curved, before = curve_p + curve_q, curved
        flat = (
            flat
            and 2 * (curved - before) < beta >> 2
            and abs(p3 - p0) + abs(q3 - q0) < beta >> 3
            and abs(p0 - q0) < (5 * tc + 1) >> 1
        )
    if curved >= beta:
        return
    side = (beta + (beta >> 1)) >> 3
    for r in range(y, y + SEGMENT):
        if flat:
            _strong(plane, r, x, tc)
        else:
            _weak(plane, r, x, tc, curve_p < side, curve_q < side)


@njit_borrowing
def _line(plane: np.ndarray, y: int, x: int) -> tuple[int, int, int, int, int, int, int, int]:
    """The four samples on each side of the border in front of (y, x), in order."""
    return (
        _at(plane, y, x - 4),
        _at(plane, y, x - 3),
        _at(plane, y, x - 2),
        _at(plane, y, x - 1),
        _at(plane, y, x),
        _at(plane, y, x + 1),
        _at(plane, y, x + 2),
        _at(plane, y, x + 3),
    )


@njit_borrowing
def _strong(plane: np.ndarray, y: int, x: int, tc: int) -> None:
    p3, p2, p1, p0, q0, q1, q2, q3 = _line(plane, y, x)
    plane[y, x - 3] = _near((2 * p3 + 3 * p2 + p1 + p0 + q0 + 4) >> 3, p2, 2 * tc)
    plane[y, x - 2] = _near((p2 + p1 + p0 + q0 + 2) >> 2, p1, 2 * tc)
    plane[y, x - 1] = _near((p2 + 2 * p1 + 2 * p0 + 2 * q0 + q1 + 4) >> 3, p0, 2 * tc)
    plane[y, x] = _near((p1 + 2 * p0 + 2 * q0 + 2 * q1 + q2 + 4) >> 3, q0, 2 * tc)
    plane[y, x + 1] = _near((p0 + q0 + q1 + q2 + 2) >> 2, q1, 2 * tc)
    plane[y, x + 2] = _near((p0 + q0 + q1 + 3 * q2 + 2 * q3 + 4) >> 3, q2, 2 * tc)


@njit_borrowing
def _weak(plane: np.ndarray, y: int, x: int, tc: int, second_p: bool, second_q: bool) -> None:
    _, p2, p1, p0, q0, q1, q2, _ = _line(plane, y, x)
    step = (9 * (q0 - p0) - 3 * (q1 - p1) + 8) >> 4
    if abs(step) >= 10 * tc:
        return
    step = min(max(step, -tc), tc)
    plane[y, x - 1] = _near(p0 + step, p0, tc)
    plane[y, x] = _near(q0 - step, q0, tc)
    if second_p:
        plane[y, x - 2] = _near(p1 + ((((p2 + p0 + 1) >> 1) - p1 + step) >> 1), p1, tc >> 1)
    if second_q:
        plane[y, x + 1] = _near(q1 + ((((q2 + q0 + 1) >> 1) - q1 - step) >> 1), q1, tc >> 1)


@njit_borrowing
def _chroma_segment(plane: np.ndarray, y: int, x: int, tc: int, beta: int) -> None:
    """Filter four lines of chroma, from y on, across the border in front of column x."""
    rough = 0
    for r in (y, y + SEGMENT - 1):
        rough += abs(_at(plane, r, x - 2) - _at(plane, r, x - 1))
        rough += abs(_at(plane, r, x + 1) - _at(plane, r, x))
    if rough >= beta >> 2:
        return
    most = (tc + 2) >> 2
    for r in range(y, y + SEGMENT):
        p1, p0 = _at(plane, r, x - 2), _at(plane, r, x - 1)
        q0, q1 = _at(plane, r, x), _at(plane, r, x + 1)
        step = min(max((4 * (q0 - p0) + p1 - q1 + 4) >> 3, -most), most)
        plane[r, x - 1] = _near(p0 + step, p0, most)
        plane[r, x] = _near(q0 - step, q0, most)


@njit_borrowing
def _across(
    y: np.ndarray, u: np.ndarray, v: np.ndarray, left: np.ndarray, tc: int, beta: int
) -> None:
    """Filter the borders between columns of cells: those to the left of the cells that ``left``
    (H/8, W/8) names."""
    for r in range(left.shape[0]):
        for c in range(1, left.shape[1]):
            if not left[r, c]:
                continue
            for half in range(2):
                _luma_segment(y, 8 * r + SEGMENT * half, 8 * c, tc, beta)
            _chroma_segment(u, 4 * r, 4 * c, tc, beta)
            _chroma_segment(v, 4 * r, 4 * c, tc, beta)


@njit_borrowing
def _filter(
    planes: tuple[np.ndarray, np.ndarray, np.ndarray], smoothed: np.ndarray, tc: int, beta: int
) -> None:
    y, u, v = planes
    _across(y, u, v, smoothed[LEFT], tc, beta)
    _across(y.T, u.T, v.T, smoothed[ABOVE].T, tc, beta)


def deblock(
    planes: tuple[np.ndarray, np.ndarray, np.ndarray], smoothed: np.ndarray, strength: int
) -> None:
    """Filter a picture in place.

    planes: Y, U, V (padded) uint16 of 10 bits; smoothed (2, H/8, W/8): which borders, see
    :func:`borders`; strength: index 0..7.
    """
    if strength:
        _filter(planes, smoothed, TC[strength], BETA[strength])
