"""Sums over the blocks and the motion of a frame, for :mod:`vqcodec.analysis.features`."""

from __future__ import annotations

import numpy as np

from ..codec.direct_map import DIRECT_BLOCK, OUTSIDE_BLOCK, PAINTED_BLOCK
from ..codec.motion_compensation import BI, L0, L1
from ..codec.motion_field import Field
from ..codec.weighting import FULL, GAIN, OFFSET, ONE
from ..compiled import njit

GRID = (3, 4)  # rows and columns of regions
CELLS = GRID[0] * GRID[1]
_FIT = 4  # numbers that a camera's motion is
_FITTED = 400  # so many cells are enough to find it
_SEEN = 800  # and about so many for all else
CELL = 8  # samples


@njit
def shown(blocks: np.ndarray) -> tuple[int, int]:
    """Rows and columns of the blocks that are shown."""
    tall, wide = 0, 0
    for r in range(blocks.shape[0]):
        for c in range(blocks.shape[1]):
            if blocks[r, c] != OUTSIDE_BLOCK:
                tall, wide = max(tall, r + 1), max(wide, c + 1)
    return tall, wide


def sampled(field: Field, tall: int, wide: int) -> tuple[Field, int]:
    """The cells that are shown, of a large picture one in each so many of them, and how many
    samples wide and high the part is that each stands for.
    """
    step = max(1, round((tall * wide / _SEEN) ** 0.5))
    rows, columns = slice(step // 2, tall, step), slice(step // 2, wide, step)
    part = field._replace(
        direction=np.ascontiguousarray(field.direction[rows, columns]),
        mv=np.ascontiguousarray(field.mv[rows, columns]),
        depth=np.ascontiguousarray(field.depth[rows, columns]),
        merged=np.ascontiguousarray(field.merged[rows, columns]),
        chosen=np.ascontiguousarray(field.chosen[rows, columns]),
    )
    return part, CELL * step


@njit
def kinds_of_blocks(blocks: np.ndarray, regions: np.ndarray) -> tuple[float, float]:
    """Shares of direct and of painted blocks; that of direct ones by region, into ``regions``."""
    tall, wide = shown(blocks)
    direct, painted = 0, 0
    counts = np.zeros(CELLS)
    for r in range(tall):
        for c in range(wide):
            k = r * GRID[0] // tall * GRID[1] + c * GRID[1] // wide
            counts[k] += 1
            if blocks[r, c] == DIRECT_BLOCK:
                direct += 1
                regions[k] += 1
            elif blocks[r, c] == PAINTED_BLOCK:
                painted += 1
    for k in range(CELLS):
        regions[k] /= max(1.0, counts[k])
    area = max(1, tall * wide)
    return direct / area, painted / area


@njit
def _velocity(field: Field, row: int, column: int) -> tuple[float, float, float]:
    """How a cell moves down and right, in samples a frame, and how much its two vectors differ."""
    down, right, used, apart = 0.0, 0.0, 0, 0.0
    direction = field.direction[row, column]
    for l in range(2):
        if direction & (1 << l) and field.dist[l] != 0:
            scale = 0.25 / field.dist[l]
            vector = field.mv[row, column, l]
            if used:
                apart = abs(vector[0] * scale - down) + abs(vector[1] * scale - right)
            down += vector[0] * scale
            right += vector[1] * scale
            used += 1
    if used == 2:
        down, right = down / 2, right / 2
    return down, right, apart


@njit
def speeds_of(field: Field, disagreement: np.ndarray) -> np.ndarray:
    """(rows, columns, 2): how each cell moves, down and right, in samples a frame. Into
    ``disagreement`` [0] goes the mean by which the two vectors of cells predicted from both sides
    differ.
    """
    tall, wide = field.direction.shape
    speeds = np.zeros((tall, wide, 2))
    both, apart = 0, 0.0
    for y in range(tall):
        for x in range(wide):
            down, right, differ = _velocity(field, y, x)
            speeds[y, x, 0], speeds[y, x, 1] = down, right
            if field.direction[y, x] == BI:
                both += 1
                apart += differ
    disagreement[0] = apart / max(1, both)
    return speeds


@njit
def areas_of(field: Field, out: np.ndarray) -> None:
    """Shares of the area, added to ``out``: predicted from behind, from ahead, from both, merged,
    (two that are left alone), weighted, mean depth, depths 1 to 3.
    """
    tall, wide = field.direction.shape
    share = 1.0 / (tall * wide)
    for y in range(tall):
        for x in range(wide):
            direction, depth = field.direction[y, x], field.depth[y, x]
            out[0] += share * (direction == L0)
            out[1] += share * (direction == L1)
            out[2] += share * (direction == BI)
            out[3] += share * (field.merged[y, x] > 0)
            out[6] += share * (field.chosen[y, x] > 0)
            out[7] += share * depth / 3
            if depth:
                out[7 + depth] += share


@njit
def weights_of(field: Field, out: np.ndarray) -> None:
    """Means over the area of how references are weighted, added to ``out``: logarithm of the gain,
    that of the reference ahead, offset of luma, blend.
    """
    tall, wide = field.direction.shape
    share = 1.0 / (tall * wide)
    for y in range(tall):
        for x in range(wide):
            chosen = field.chosen[y, x]
            if chosen == 0:
                continue
            direction, pairs = field.direction[y, x], field.sets[chosen - 1]
            first = 0 if direction & L0 else 1
            out[0] += share * np.log2((pairs[first, 0, GAIN] + 1) / ONE)
            out[2] += share * pairs[first, 0, OFFSET] / 256
            if direction == BI:
                out[1] += share * np.log2((pairs[1, 0, GAIN] + 1) / ONE)
                out[3] += share * (2 * field.blends[chosen - 1] / FULL - 1)


@njit
def _off(found: np.ndarray, speed: np.ndarray, down: float, right: float) -> float:
    """How far a cell so far from the middle moves from what the camera's motion says."""
    off = abs(found[0] + found[2] * down + found[3] * right - speed[0])
    off += abs(found[1] + found[2] * right - found[3] * down - speed[1])
    return float(off)


@njit
def _solved(sums: np.ndarray, goals: np.ndarray) -> np.ndarray:
    """Solution of a small symmetric system, by elimination; a little is added to its diagonal."""
    n = goals.size
    for i in range(n):
        sums[i, i] += 1e-3
    for i in range(n):
        for k in range(i + 1, n):
            factor = sums[k, i] / sums[i, i]
            for j in range(i, n):
                sums[k, j] -= factor * sums[i, j]
            goals[k] -= factor * goals[i]
    for i in range(n - 1, -1, -1):
        for j in range(i + 1, n):
            goals[i] -= sums[i, j] * goals[j]
        goals[i] /= sums[i, i]
    return goals


@njit
def camera_of(speeds: np.ndarray, cell: int) -> np.ndarray:
    """The camera's motion (down, right, zoom, turn) that explains most cells, outliers counted
    less: down + zoom a + turn b and right + zoom b - turn a at a samples below the middle and b
    right of it. Cells are ``cell`` samples wide and high.
    """
    tall, wide = speeds.shape[:2]
    found = np.zeros(_FIT)
    step = int(np.ceil(np.sqrt(tall * wide / _FITTED)))
    for again in range(3):
        sums, goals = np.zeros((_FIT, _FIT)), np.zeros(_FIT)
        for y in range(step // 2, tall, step):
            for x in range(step // 2, wide, step):
                a, b = (y + 0.5 - tall / 2) * cell, (x + 0.5 - wide / 2) * cell
                down, right = speeds[y, x, 0], speeds[y, x, 1]
                weight = 1 / (0.1 + _off(found, speeds[y, x], a, b)) if again else 1.0
                square = weight * (a * a + b * b)
                sums[0, 0] += weight
                sums[1, 1] += weight
                sums[2, 2] += square
                sums[3, 3] += square
                sums[0, 2] += weight * a
                sums[0, 3] += weight * b
                sums[1, 2] += weight * b
                sums[1, 3] -= weight * a
                goals[0] += weight * down
                goals[1] += weight * right
                goals[2] += weight * (a * down + b * right)
                goals[3] += weight * (b * down - a * right)
        for i in range(_FIT):
            for j in range(i):
                sums[i, j] = sums[j, i]
        found = _solved(sums, goals)
    return found


@njit
def motion_of(
    speeds: np.ndarray, found: np.ndarray, cell: int, width: float, out: np.ndarray
) -> None:
    """Means of motion, added to ``out`` in hundredths of the width: speed, spread, what is unlike
    the camera's motion; and the share of the area that rests.
    """
    tall, wide = speeds.shape[:2]
    share = 1.0 / (tall * wide)
    middle_down, middle_right = 0.0, 0.0
    for y in range(tall):
        for x in range(wide):
            middle_down += share * speeds[y, x, 0]
            middle_right += share * speeds[y, x, 1]
    for y in range(tall):
        for x in range(wide):
            a, b = (y + 0.5 - tall / 2) * cell, (x + 0.5 - wide / 2) * cell
            down, right = speeds[y, x, 0], speeds[y, x, 1]
            speed = np.sqrt(down * down + right * right)
            out[0] += 100 * share * speed / width
            out[1] += 100 * share * (abs(down - middle_down) + abs(right - middle_right)) / width
            out[2] += 100 * share * _off(found, speeds[y, x], a, b) / width
            out[3] += share * (speed < 0.0004 * width)


@njit
def regions_of(
    field: Field,
    speeds: np.ndarray,
    found: np.ndarray,
    cell: int,
    width: float,
    out: np.ndarray,
) -> None:
    """Means by region, into ``out``: depth, (direct, left alone), predicted from ahead rather than
    from behind, what is unlike the camera's motion.
    """
    tall, wide = speeds.shape[:2]
    counts = np.zeros(CELLS)
    for y in range(tall):
        for x in range(wide):
            a, b = (y + 0.5 - tall / 2) * cell, (x + 0.5 - wide / 2) * cell
            k = y * GRID[0] // tall * GRID[1] + x * GRID[1] // wide
            direction = field.direction[y, x]
            counts[k] += 1
            out[k] += field.depth[y, x] / 3
            out[2 * CELLS + k] += 1.0 * (direction == L1) - 1.0 * (direction == L0)
            out[3 * CELLS + k] += 100 * _off(found, speeds[y, x], a, b) / width
    for k in range(CELLS):
        for which in (0, 2, 3):
            out[which * CELLS + k] /= max(1.0, counts[k])


@njit
def motion_numbers(
    field: Field,
    cell: int,
    width: float,
    areas: np.ndarray,
    move: np.ndarray,
    regions: np.ndarray,
) -> None:
    """All that the motion of a frame tells, into its row: shares of the area, motion and weights,
    regions. One call, since each with a motion grid costs as much as the sums do.
    """
    speeds = speeds_of(field, move[8:9])
    found = camera_of(speeds, cell)
    sums = np.zeros(4)
    motion_of(speeds, found, cell, width, sums)
    areas_of(field, areas)
    weights_of(field, move[11:15])
    regions_of(field, speeds, found, cell, width, regions)
    move[0], move[1] = 100 * found[1] / width, 100 * found[0] / width
    move[2], move[3] = sums[0], sums[1]
    move[4], move[5] = 100 * found[2], 100 * found[3]
    move[6], move[7] = sums[2], sums[3]
    move[8] *= 100 / width
    move[9], move[10] = np.log2(sums[0] + 0.02) / 4, np.log2(sums[2] + 0.02) / 4
