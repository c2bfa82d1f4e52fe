"""Numbers that describe each frame by how it is coded, without pictures and without nets.

A frame's head tells its place in the GOP, where its bits went, and the motion of its blocks. Most
numbers are shares, or compare a frame with others of its level in the same file, so that they mean
the same at any quality, size and preset. Speeds are in shares of the picture's width in a frame's
time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from ..codec.motion_field import Field
from . import block_sums
from .block_sums import CELLS, GRID

if TYPE_CHECKING:
    from ..codec.frame_head import FrameHead

PLACES = 15  # numbers of a row that say where a frame stands, and come first
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
_LIMIT = 128  # frames of the longest GOP that there can be
_FAR = 4.0  # largest of any number
# in the raw rows these hold what is compared within a level, and are overwritten by that
_COMPARED = ("bits", "motion bits", "hyper bits", "leaves")
_LEVELS = 7
_CUT_SHORT = 0.1  # least share that a GOP is told to be cut short by: one frame is as sure as many


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
        marks = head.marks  # weights and motion lie before the third, the hyper-latent last
        return cls(
            head.level,
            head.quality,
            head.intra,
            head.copied is not None,
            8 * head.coder.data.size,
            marks[2] - marks[0],
            marks[7] - marks[6],
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
        count: frames of the file.
    """

    def __init__(self, width: int, height: int, longest: int, count: int) -> None:
        self._width, self._height, self._longest = width, height, max(1, longest)
        self._rows = np.zeros((count, len(NAMES)), np.float32)
        self._given = 0  # of those
        self._before = longest  # frames of the last GOP
        self._full = 0  # GOPs that are the longest

    def add(self, frames: Sequence[FrameFacts | None]) -> None:
        """The next GOP, in order of display. None stands for a frame that cannot be read."""
        rows = self._rows[self._given : self._given + len(frames)]
        shortened = 1 - self._before / self._longest
        if shortened > 0:
            shortened = max(shortened, _CUT_SHORT)
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
        self._full += len(frames) == self._longest
        self._given += len(frames)

    def rows(self) -> np.ndarray:
        """(frames, len(NAMES)) float32 of all GOPs, compared within the file. To be asked for once,
        at the end.
        """
        rows = self._rows[: self._given]
        if self._full < 2 and self._longest < _LIMIT:  # a cut ended that one too
            short = rows[:, _AT["GOP before cut short"]]
            short[(rows[:, _AT["gop start"]] > 0) & (short == 0)] = _CUT_SHORT
        _compare(rows)
        return np.clip(rows, -_FAR, _FAR, out=rows)

    def _describe(self, facts: FrameFacts, row: np.ndarray) -> None:
        area = self._width * self._height
        row[1], row[2] = facts.intra, facts.copied
        if facts.level:
            row[3 + min(facts.level, 6)] = 1
        row[_BIT] = facts.quality / 63
        other = max(0.0, facts.bits - facts.motion_bits - facts.hyper_bits)
        row[_AT["bits"]] = math.log2((facts.bits + 8) / area)
        row[_AT["motion bits"]] = math.log2((facts.motion_bits + 2) / area)
        row[_AT["hyper bits"]] = math.log2((facts.hyper_bits + 2) / area)
        row[_AT["other bits against level"]] = math.log2((other + 8) / area)
        row[_AT["share of motion bits"]] = facts.motion_bits / max(1, facts.bits)
        row[_AT["leaves"]] = math.log2((facts.leaves + 1) / area)
        row[_AREA + 4 : _AREA + 6] = block_sums.kinds_of_blocks(
            facts.blocks, row[_REGION + CELLS : _REGION + 2 * CELLS]
        )
        if facts.intra or facts.copied:
            return
        row[10] = math.log2(1 + abs(int(facts.field.dist[0]))) / 4
        row[11] = math.log2(1 + abs(int(facts.field.dist[1]))) / 4
        self._motion(facts, row)

    def _motion(self, facts: FrameFacts, row: np.ndarray) -> None:
        """What the motion of a predicted frame tells."""
        width = float(self._width)
        tall, wide = (2 * n for n in block_sums.shown(facts.blocks))
        field, cell = block_sums.sampled(facts.field, tall, wide)
        block_sums.motion_numbers(
            field, cell, width, row[_AREA:], row[_MOVE:_REGION], row[_REGION:]
        )


def ended_full(rows: np.ndarray) -> np.ndarray:
    """(frames,) bool: first frames of GOPs behind one that ended because it was full, not at a
    cut.
    """
    return np.asarray((rows[:, _AT["gop start"]] > 0) & (rows[:, _AT["GOP before cut short"]] == 0))


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
