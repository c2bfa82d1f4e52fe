"""Section Adaptive loop filter: planes are filtered before the detail."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from .entropy import RangeDecoder

FILTER, FILTER_INDEX = 995, 997
CLASSES, INDEX_BITS = 4, 4
ACTIVITIES = (384, 1024, 2560)
TAPS = ((0, 1), (1, 0), (0, 2), (2, 0), (1, 1), (1, -1),
        (0, 3), (3, 0), (1, 2), (2, 1), (1, -2), (2, -1))  # fmt: skip
CODED, ALL = 1, 2

# the specification's own table: class, number, twelve weights
_ROW = re.compile(r"^\| ([0-4]) \| (\d+) \|((?: -?\d+ \|){12})$", re.MULTILINE)
_PAGE = Path(__file__).resolve().parents[2] / "docs" / "format.md"
BANK = {
    (int(k), int(n)): tuple(int(w) for w in row.split("|")[:-1])
    for k, n, row in _ROW.findall(_PAGE.read_text())
}


def frame_filters(s: RangeDecoder) -> tuple[int, list[int]]:
    """Where a frame is filtered (0: nowhere), and its six choices."""
    if not s.bit(FILTER):
        return 0, [0] * 6
    where = CODED + s.bit(FILTER + 1)
    choices = []
    for k in range(6):
        node = 1
        for _ in range(INDEX_BITS):
            node = 2 * node + s.bit(FILTER_INDEX + 16 * min(k, CLASSES) + node)
        choices.append(node - 16)
    return where, choices


def at(plane: np.ndarray, y: int, x: int) -> int:
    """A sample of the padded plane; outside of it the nearest one."""
    h, w = plane.shape
    return int(plane[min(max(y, 0), h - 1), min(max(x, 0), w - 1)])


def activity(plane: np.ndarray, y: int, x: int) -> int:
    """The class of the 8x8 luma samples from (y, x) on."""
    total = 0
    for r in range(y, y + 8):
        for c in range(x, x + 8):
            twice = 2 * at(plane, r, c)
            total += abs(twice - at(plane, r, c - 1) - at(plane, r, c + 1))
            total += abs(twice - at(plane, r - 1, c) - at(plane, r + 1, c))
    return sum(total >= bound for bound in ACTIVITIES)


def filtered(plane: np.ndarray, y: int, x: int, weights: tuple[int, ...]) -> int:
    """One sample."""
    here, total = at(plane, y, x), 0
    for (down, right), weight in zip(TAPS, weights, strict=True):
        both = at(plane, y + down, x + right) + at(plane, y - down, x - right)
        total += weight * (both - 2 * here)
    return min(max(here + (total + 64 >> 7), 0), 1023)


def apply(
    planes: list[np.ndarray],
    where: int,
    choices: list[int],
    direct: np.ndarray,
    never: np.ndarray,
) -> None:
    """Filter planes in place.

    direct, never: of each 16x16 block whether it is direct, and whether it is painted or outside.
    """
    if not where:
        return
    for i, plane in enumerate(planes):
        before = plane.copy()
        for y in range(0, plane.shape[0], 8):
            for x in range(0, plane.shape[1], 8):
                block = (y // 16, x // 16) if i == 0 else (y // 8, x // 8)
                if never[block] or (direct[block] and where != ALL):
                    continue
                k = activity(before, y, x) if i == 0 else CLASSES + i - 1
                if choices[k]:
                    weights = BANK[min(k, CLASSES), choices[k]]
                    for r in range(y, y + 8):
                        for c in range(x, x + 8):
                            plane[r, c] = filtered(before, r, c, weights)
