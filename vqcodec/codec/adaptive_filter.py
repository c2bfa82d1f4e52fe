"""Adaptive loop filter: each frame names filters that bring its samples nearer to their source.

Behind the deblocking filter a Wiener filter makes up for what all coding at a quality does to
pictures: it brings details back, and takes noise away (Tsai et al., Adaptive loop filtering for
video coding, IEEE J-STSP 7(6), 2013; as in VVC, ITU-T H.266, 8.8.5). A filter adds to a sample the
weighed differences to 24 samples around it, within three samples along rows and columns together;
opposite ones have the same weight, so there are 12 taps. Cells of 8x8 luma samples fall into four
classes by their activity. Filters are not sent: a frame names one of the bank
(:mod:`vqcodec.codec.filter_bank`) for each class and each chroma plane, or none.

Painted blocks are left as they are, direct ones unless the frame says that they are filtered too:
what is copied or painted exactly can stay exact. All integers; the detail refines the filtered
picture.
"""

from __future__ import annotations

import numpy as np

from ..compiled import njit
from ..picture import MAX_SAMPLE
from .contexts import FILTER, FILTER_INDEX
from .direct_map import CODED_BLOCK, DIRECT_BLOCK
from .filter_bank import BANK
from .two_way import Coder, code_bit, code_tree

# one of each pair of opposite samples: rows and columns off the sample that is filtered
TAPS = np.array(
    [[0, 1], [1, 0], [0, 2], [2, 0], [1, 1], [1, -1],
     [0, 3], [3, 0], [1, 2], [2, 1], [1, -2], [2, -1]], np.int64
)  # fmt: skip
BORDER = 3  # samples around one that a filter looks at
CLASSES = 4  # of luma, by activity
ACTIVITIES = np.array([384, 1024, 2560], np.int64)  # of a cell, from which the next class begins
ONE_BITS = 7  # 128 stands for a weight of one
CHOICES = CLASSES + 2  # filters that a frame names: of the classes, of Cb and of Cr
FIRST_CHOICES = (0, CLASSES, CLASSES + 1)  # of Y, Cb and Cr
INDEX_BITS = 4  # of a choice: 0 for no filter, else one of the bank
SIZE = 8  # samples of a cell of luma; of a plane of chroma those of a block
NOWHERE, CODED_BLOCKS, ALL_BLOCKS = 0, 1, 2  # where a frame is filtered


@njit
def code_filters(coder: Coder, where: int, choices: np.ndarray) -> int:
    """Code where a frame is filtered, and the choices (6,) of its filters; returns the place. A
    decoder fills in the choices."""
    if not code_bit(coder, FILTER, 1 if where != NOWHERE else 0):
        choices[:] = 0
        return NOWHERE
    where = CODED_BLOCKS + code_bit(coder, FILTER + 1, where - CODED_BLOCKS)
    for k in range(CHOICES):
        first = FILTER_INDEX + (min(k, CLASSES) << INDEX_BITS)
        choices[k] = code_tree(coder, first, choices[k], INDEX_BITS)
    return where


@njit
def with_border(plane: np.ndarray) -> np.ndarray:
    """(H + 6, W + 6) int32: a plane whose first and last rows and columns go on."""
    height, width = plane.shape
    out = np.empty((height + 2 * BORDER, width + 2 * BORDER), np.int32)
    for r in range(height + 2 * BORDER):
        row = plane[min(max(r - BORDER, 0), height - 1)]
        out[r, BORDER : BORDER + width] = row
        out[r, :BORDER] = row[0]
        out[r, BORDER + width :] = row[width - 1]
    return out


@njit
def activity_class(wide: np.ndarray, row: int, column: int) -> int:
    """The class of a cell of luma, whose plane is given with its border, by the sum of its second
    differences along rows and columns."""
    total = 0
    for y in range(BORDER + SIZE * row, BORDER + SIZE * (row + 1)):
        for x in range(BORDER + SIZE * column, BORDER + SIZE * (column + 1)):
            twice = 2 * wide[y, x]
            total += abs(twice - wide[y, x - 1] - wide[y, x + 1])
            total += abs(twice - wide[y - 1, x] - wide[y + 1, x])
    k = 0
    while k < CLASSES - 1 and total >= ACTIVITIES[k]:
        k += 1
    return k


@njit
def is_filtered(kind: int, where: int) -> bool:
    """Whether a block of a kind is filtered."""
    return kind == CODED_BLOCK or (where == ALL_BLOCKS and kind == DIRECT_BLOCK)


@njit
def tap_sums(wide: np.ndarray, row: int, column: int, sums: np.ndarray) -> None:
    """Of eight samples from (row, column) on, in a plane with its border, the differences to both
    samples of each tap, added: (12, 8) int32."""
    here = wide[row, column : column + SIZE]
    for tap in range(len(TAPS)):
        down, right = TAPS[tap, 0], TAPS[tap, 1]
        behind = wide[row + down, column + right : column + right + SIZE]
        before = wide[row - down, column - right : column - right + SIZE]
        for i in range(SIZE):
            sums[tap, i] = behind[i] + before[i] - 2 * here[i]


@njit
def _filter_row(
    wide: np.ndarray, row: int, column: int, weights: np.ndarray, sums: np.ndarray, out: np.ndarray
) -> None:
    """Eight samples of a row, filtered, from (row, column) on; sums (12, 8): room to work."""
    tap_sums(wide, row, column, sums)
    out[:] = 1 << (ONE_BITS - 1)
    for tap in range(len(TAPS)):
        weight = np.int32(weights[tap])
        for i in range(SIZE):
            out[i] += weight * sums[tap, i]
    for i in range(SIZE):
        out[i] = wide[row, column + i] + (out[i] >> ONE_BITS)


@njit
def _filter_plane(
    plane: np.ndarray, blocks: np.ndarray, where: int, choices: np.ndarray, first: int
) -> None:
    """Filter a plane: luma with ``first`` 0, else chroma by the choice ``first``."""
    luma = first == 0
    wide = with_border(plane)
    row, sums = np.empty(SIZE, np.int32), np.empty((len(TAPS), SIZE), np.int32)
    for r in range(plane.shape[0] // SIZE):
        for c in range(plane.shape[1] // SIZE):
            kind = blocks[r >> 1, c >> 1] if luma else blocks[r, c]
            if not is_filtered(kind, where):
                continue
            k = activity_class(wide, r, c) if luma else first
            if choices[k] == 0:
                continue
            weights = BANK[min(k, CLASSES), choices[k] - 1]
            for y in range(SIZE * r, SIZE * (r + 1)):
                _filter_row(wide, y + BORDER, SIZE * c + BORDER, weights, sums, row)
                for i in range(SIZE):
                    plane[y, SIZE * c + i] = min(max(row[i], 0), MAX_SAMPLE)


def filter_planes(
    planes: tuple[np.ndarray, np.ndarray, np.ndarray],
    blocks: np.ndarray,
    where: int,
    choices: np.ndarray,
) -> None:
    """Filter a picture in place.

    planes: Y, U, V (padded) uint16 of 10 bits; blocks (H/16, W/16) uint8: their kinds; where and
    choices (6,) as :func:`code_filters` gives them.
    """
    if where == NOWHERE:
        return
    for plane, first in zip(planes, FIRST_CHOICES, strict=True):
        if (choices[:CLASSES] if first == 0 else choices[first : first + 1]).any():
            _filter_plane(plane, blocks, where, choices, first)


def no_filters() -> np.ndarray:
    """(6,) int64 choices for :func:`code_filters` to fill in."""
    return np.zeros(CHOICES, np.int64)
