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


def moved(plane: np.ndarray, down: int, right: int) -> np.ndarray:
    """At each place the sample so far down and right of it; outside of the plane the nearest."""
    h, w = plane.shape
    rows = np.clip(np.arange(h) + down, 0, h - 1)
    columns = np.clip(np.arange(w) + right, 0, w - 1)
    return plane[np.ix_(rows, columns)].astype(np.int64)


def around(plane: np.ndarray, down: int, right: int) -> np.ndarray:
    """The sum of the two samples that lie opposite each other around each place, less twice that
    of the place itself."""
    return moved(plane, down, right) + moved(plane, -down, -right) - 2 * moved(plane, 0, 0)


def activity(plane: np.ndarray) -> np.ndarray:
    """The class of each 8x8 luma samples."""
    steps = abs(around(plane, 0, 1)) + abs(around(plane, 1, 0))
    h, w = plane.shape
    totals = steps.reshape(h // 8, 8, w // 8, 8).sum((1, 3))
    return np.asarray(sum((totals >= bound).astype(int) for bound in ACTIVITIES))


def filtered(plane: np.ndarray, weights: tuple[int, ...]) -> np.ndarray:
    """All samples by the same filter."""
    total = sum(w * around(plane, *tap) for tap, w in zip(TAPS, weights, strict=True))
    return np.clip(plane + (total + 64 >> 7), 0, 1023)


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
        before, side = plane.copy(), 16 if i == 0 else 8  # samples of a block across
        classes = activity(before) if i == 0 else None
        shown = {}  # the plane by each filter that is needed
        for y in range(0, plane.shape[0], 8):
            for x in range(0, plane.shape[1], 8):
                block = y // side, x // side
                if never[block] or (direct[block] and where != ALL):
                    continue
                k = CLASSES + i - 1 if classes is None else int(classes[y // 8, x // 8])
                if choices[k]:
                    if k not in shown:
                        shown[k] = filtered(before, BANK[min(k, CLASSES), choices[k]])
                    plane[y : y + 8, x : x + 8] = shown[k][y : y + 8, x : x + 8]
