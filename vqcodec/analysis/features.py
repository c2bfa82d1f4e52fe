"""Numbers that describe each frame by how it is coded, without pictures and without nets.

A frame's head tells its place in the GOP, where its bits went, and the motion of its blocks. Most
numbers are shares, or compare a frame with others of its level in the same file, so that they mean
the same at any quality, size and preset. Speeds are in shares of the picture's width in a frame's
time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from ..codec.direct_map import DIRECT_BLOCK, OUTSIDE_BLOCK, PAINTED_BLOCK
from ..codec.motion_compensation import BI, L0, L1
from ..codec.motion_field import Field
from ..codec.weighting import FULL, GAIN, OFFSET, ONE
from ..compiled import njit

if TYPE_CHECKING:
    from ..codec.frame_head import FrameHead

PLACES = 15  # numbers of a row that say where a frame stands, and come first
GRID = (3, 4)  # rows and columns of regions
_PLACE = (
    *("gop start", "intra", "copy", "lost"),
    *(f"level {n}" for n in range(1, 7)),
    *("distance back", "distance ahead", "GOP before cut short", "since GOP start", "to GOP end"),
)
_BITS = (
    *("quality", "quality against file", "bits", "bits against level"),
    *("motion bits", "motion bits against level", "hyper bits", "hyper bits against level"),
    *("other bits against level", "share of motion bits"),
)
_AREAS = (
    *("back", "ahead", "both", "merged", "direct", "painted", "weighted"),
    *("depth", "depth 1", "depth 2", "depth 3", "leaves", "leaves against level"),
)
_MOTION = (
    *("right", "down", "speed", "spread", "zoom", "turn", "unlike", "resting", "disagreement"),
    *("log speed", "log unlike", "gain", "gain ahead", "offset", "blend"),
)
_REGIONS = ("depth", "direct", "ahead", "unlike")
NAMES: tuple[str, ...] = (
    *_PLACE,
    *_BITS,
    *_AREAS,
    *_MOTION,
    *(f"{name} {r}.{c}" for name in _REGIONS for r in range(GRID[0]) for c in range(GRID[1])),
)
_BIT, _AREA = len(_PLACE), len(_PLACE) + len(_BITS)
_MOVE = _AREA + len(_AREAS)
_REGION = _MOVE + len(_MOTION)
_AT = {name: number for number, name in enumerate(NAMES)}
_FAR = 4.0  # largest of any number
_FIT = 4  # numbers that a camera's motion is
_FITTED = 400  # about so many cells are enough to find it
# in the raw rows these hold what is compared within a level, and are overwritten by that
_COMPARED = ("bits", "motion bits", "hyper bits", "leaves")
_LEVELS = 7


class FrameFacts(NamedTuple):
    """What a frame's head tells."""

    level: int
    quality: int
    intra: bool
    copied: bool  # whether it repeats one of its references
    bits: int  # of its whole stream
    motion_bits: float  # weights, modes, vectors
    hyper_bits: float
    field: Field
    blocks: np.ndarray  # (H/16, W/16) uint8: kinds
    leaves: int  # blocks of motion

    @classmethod
    def of(cls, head: FrameHead) -> Self:
        """What is told by a head."""
        weights, motion, _, _, _, hyper, *_ = np.diff(head.marks).tolist()
        return cls(
            head.level,
            head.quality,
            head.intra,
            head.copied is not None,
            8 * head.coder.data.size,
            weights + motion,
            hyper,
            head.field,
            head.blocks,
            len(head.leaves),
        )


class FeatureRows:
    """Rows of numbers of the frames of a file, taken GOP by GOP.

    Args:
        width: of the picture.
        height: of the picture.
        longest: frames of the longest GOP of the file, which cuts alone make shorter.
    """

    def __init__(self, width: int, height: int, longest: int) -> None:
        self._width, self._height, self._longest = width, height, max(1, longest)
        self._parts: list[np.ndarray] = []
        self._before = longest  # frames of the last GOP

    def add(self, frames: Sequence[FrameFacts | None]) -> None:
        """The next GOP, in order of display. None stands for a frame that cannot be read."""
        rows = np.zeros((len(frames), len(NAMES)), np.float32)
        shortened = 1 - self._before / self._longest
        for number, facts in enumerate(frames):
            row = rows[number]
            row[_AT["since GOP start"]] = min(number / 32, 2)
            row[_AT["to GOP end"]] = min((len(frames) - 1 - number) / 32, 2)
            if facts is None:
                row[_AT["lost"]] = 1
                continue
            self._describe(facts, row)
            if number == 0:
                row[_AT["gop start"]] = 1
                row[_AT["GOP before cut short"]] = shortened
        self._before = len(frames)
        self._parts.append(rows)

    def rows(self) -> np.ndarray:
        """(frames, len(NAMES)) float32 of all GOPs so far, compared within the file."""
        if not self._parts:
            return np.zeros((0, len(NAMES)), np.float32)
        rows = np.concatenate(self._parts)
        _compare(rows)
        return np.clip(rows, -_FAR, _FAR, out=rows)

    def _describe(self, facts: FrameFacts, row: np.ndarray) -> None:
        area = self._width * self._height
        row[1], row[2] = facts.intra, facts.copied
        if facts.level:
            row[3 + min(facts.level, 6)] = 1
        row[_BIT] = facts.quality / 63
        other = max(0.0, facts.bits - facts.motion_bits - facts.hyper_bits)
        row[_AT["bits"]] = np.log2((facts.bits + 8) / area)
        row[_AT["motion bits"]] = np.log2((facts.motion_bits + 2) / area)
        row[_AT["hyper bits"]] = np.log2((facts.hyper_bits + 2) / area)
        row[_AT["other bits against level"]] = np.log2((other + 8) / area)
        row[_AT["share of motion bits"]] = facts.motion_bits / max(1, facts.bits)
        row[_AT["leaves"]] = np.log2((facts.leaves + 1) / area)
        _areas(facts.blocks, row[_AREA : _AREA + 7], row[_REGION:])
        if facts.intra or facts.copied:
            return
        field = facts.field
        row[10] = np.log2(1 + abs(field.dist[0])) / 4
        row[11] = np.log2(1 + abs(field.dist[1])) / 4
        _motion(field, facts.blocks, float(self._width), row)


def mirrored(rows: np.ndarray) -> np.ndarray:
    """The rows of the same video seen in a mirror."""
    out = rows.copy()
    out[:, [_AT["right"], _AT["turn"]]] *= -1
    grid = out[:, _REGION:].reshape(len(rows), len(_REGIONS), *GRID)
    out[:, _REGION:] = grid[..., ::-1].reshape(len(rows), -1)
    return out


def _compare(rows: np.ndarray) -> None:
    """Bring what depends on size and quality to differences from the file's median."""
    level = np.minimum(rows[:, 4:10] @ np.arange(1, 7), _LEVELS - 1).astype(int)
    there = rows[:, _AT["lost"]] == 0
    quality = rows[:, _AT["quality"]]
    for number in range(_LEVELS):
        own = there & (level == number)
        if not own.any():
            continue
        rows[own, _AT["quality against file"]] = 4 * (quality[own] - np.median(quality[own]))
        for name in (*_COMPARED, "other bits"):
            goal = _AT[f"{name} against level"]
            values = rows[own, goal if name == "other bits" else _AT[name]]
            rows[own, goal] = (values - np.median(values)) / 2
    for name, middle in (("bits", -4.0), ("motion bits", -7.0), ("hyper bits", -7.0)):
        rows[:, _AT[name]] = np.where(there, (rows[:, _AT[name]] - middle) / 3, 0)
    rows[:, _AT["leaves"]] = np.where(there, (rows[:, _AT["leaves"]] + 9) / 3, 0)


@njit
def _areas(blocks: np.ndarray, out: np.ndarray, regions: np.ndarray) -> None:
    """Shares of direct and painted blocks, into ``out`` [4] and [5]; direct ones by region."""
    tall, wide = 0, 0
    for r in range(blocks.shape[0]):
        for c in range(blocks.shape[1]):
            if blocks[r, c] != OUTSIDE_BLOCK:
                tall, wide = max(tall, r + 1), max(wide, c + 1)
    if tall == 0:
        return
    cells = GRID[0] * GRID[1]
    counts = np.zeros(cells)
    for r in range(tall):
        for c in range(wide):
            k = r * GRID[0] // tall * GRID[1] + c * GRID[1] // wide
            counts[k] += 1
            if blocks[r, c] == DIRECT_BLOCK:
                out[4] += 1
                regions[cells + k] += 1
            elif blocks[r, c] == PAINTED_BLOCK:
                out[5] += 1
    out[4] /= tall * wide
    out[5] /= tall * wide
    for k in range(cells):
        regions[cells + k] /= max(1.0, counts[k])


@njit
def _velocity(field: Field, y: int, x: int) -> tuple[float, float, float]:
    """How a cell moves down and right, in samples a frame, and how much its two vectors differ."""
    down, right, used, apart = 0.0, 0.0, 0, 0.0
    direction = field.direction[y, x]
    for l in range(2):
        if direction & (1 << l) and field.dist[l] != 0:
            scale = 0.25 / field.dist[l]
            v, u = field.mv[y, x, l, 0] * scale, field.mv[y, x, l, 1] * scale
            if used:
                apart = abs(v - down) + abs(u - right)
            down += v
            right += u
            used += 1
    if used == 2:
        down, right = down / 2, right / 2
    return down, right, apart


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
def _camera(speeds: np.ndarray, tall: int, wide: int) -> np.ndarray:
    """The camera's motion (down, right, zoom, turn) that explains most cells, outliers counted
    less; speeds (tall, wide, 2).
    """
    found = np.zeros(_FIT)
    step = max(1, int(np.sqrt(tall * wide / _FITTED)))
    for again in range(3):
        sums, goals = np.zeros((_FIT, _FIT)), np.zeros(_FIT)
        for y in range(step // 2, tall, step):
            for x in range(step // 2, wide, step):
                a, b = (y + 0.5 - tall / 2) * 8, (x + 0.5 - wide / 2) * 8
                down, right = speeds[y, x, 0], speeds[y, x, 1]
                weight = 1.0
                if again:
                    off = abs(found[0] + found[2] * a + found[3] * b - down)
                    off += abs(found[1] + found[2] * b - found[3] * a - right)
                    weight = 1 / (0.1 + off)
                # down = t0 + zoom a + turn b; right = t1 + zoom b - turn a
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
def _motion(field: Field, blocks: np.ndarray, width: float, row: np.ndarray) -> None:
    """Areas, motion and regions of a predicted frame, into its row."""
    tall, wide = 0, 0
    for r in range(blocks.shape[0]):
        for c in range(blocks.shape[1]):
            if blocks[r, c] != OUTSIDE_BLOCK:
                tall, wide = max(tall, 2 * r + 2), max(wide, 2 * c + 2)
    if tall == 0:
        return
    share = 1.0 / (tall * wide)
    speeds = np.zeros((tall, wide, 2))
    areas, move, regions = row[_AREA:], row[_MOVE:], row[_REGION:]
    apart, both = 0.0, 0
    for y in range(tall):
        for x in range(wide):
            direction = field.direction[y, x]
            down, right, differ = _velocity(field, y, x)
            speeds[y, x, 0], speeds[y, x, 1] = down, right
            speed = np.sqrt(down * down + right * right)
            areas[0] += share * (direction == L0)
            areas[1] += share * (direction == L1)
            areas[2] += share * (direction == BI)
            if direction == BI:
                both += 1
                apart += differ
            areas[3] += share * (field.merged[y, x] > 0)
            depth = field.depth[y, x]
            areas[7] += share * depth / 3
            if depth:
                areas[7 + depth] += share
            move[0] += share * right
            move[1] += share * down
            move[2] += share * speed
            move[7] += share * (speed < 0.0004 * width)
            chosen = field.chosen[y, x]
            if chosen:
                areas[6] += share
                pairs = field.sets[chosen - 1]
                first = 0 if direction & L0 else 1
                move[11] += share * np.log2((pairs[first, 0, GAIN] + 1) / ONE)
                if direction == BI:
                    move[12] += share * np.log2((pairs[1, 0, GAIN] + 1) / ONE)
                    move[14] += share * (2 * field.blends[chosen - 1] / FULL - 1)
                move[13] += share * pairs[first, 0, OFFSET] / 256
    found = _camera(speeds, tall, wide)
    cells = GRID[0] * GRID[1]
    counts = np.zeros(cells)
    unlike, spread = 0.0, 0.0
    for y in range(tall):
        for x in range(wide):
            a, b = (y + 0.5 - tall / 2) * 8, (x + 0.5 - wide / 2) * 8
            off = abs(found[0] + found[2] * a + found[3] * b - speeds[y, x, 0])
            off += abs(found[1] + found[2] * b - found[3] * a - speeds[y, x, 1])
            unlike += share * off
            spread += share * (abs(speeds[y, x, 0] - move[1]) + abs(speeds[y, x, 1] - move[0]))
            k = y * GRID[0] // tall * GRID[1] + x * GRID[1] // wide
            counts[k] += 1
            regions[k] += field.depth[y, x] / 3
            regions[2 * cells + k] += 1.0 * (field.direction[y, x] == L1) - 1.0 * (
                field.direction[y, x] == L0
            )
            regions[3 * cells + k] += 100 * off / width
    for k in range(cells):
        some = max(1.0, counts[k])
        regions[k] /= some
        regions[2 * cells + k] /= some
        regions[3 * cells + k] /= some
    move[0], move[1] = 100 * found[1] / width, 100 * found[0] / width
    move[3] = 100 * spread / width
    move[2] = 100 * move[2] / width
    move[4], move[5] = 100 * found[2], 100 * found[3]
    move[6] = 100 * unlike / width
    move[8] = 100 * apart / max(1, both) / width
    move[9] = np.log2(move[2] + 0.02) / 4
    move[10] = np.log2(move[6] + 0.02) / 4
