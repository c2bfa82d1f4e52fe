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

from ..compiled import njit, njit_borrowing
from ..picture import MAX_SAMPLE
from .contexts import FILTER, FILTER_INDEX
from .direct_map import DIRECT_BLOCK, by_nets
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
    """(H + 6, W + 6) int16: a plane whose first and last rows and columns go on."""
    height, width = plane.shape
    out = np.empty((height + 2 * BORDER, width + 2 * BORDER), np.int16)
    for r in range(height + 2 * BORDER):
        row = plane[min(max(r - BORDER, 0), height - 1)]
        out[r, BORDER : BORDER + width] = row
        out[r, :BORDER] = row[0]
        out[r, BORDER + width :] = row[width - 1]
    return out


@njit_borrowing
def activity_class(wide: np.ndarray, row: int, column: int) -> int:
    """The class of a cell of luma, whose plane is given with its border, by the sum of its second
    differences along rows and columns."""
    total, left = np.int32(0), SIZE * column + BORDER - 1
    for y in range(BORDER + SIZE * row, BORDER + SIZE * (row + 1)):
        here = wide[y, left : left + SIZE + 2]
        above, below = wide[y - 1, left + 1 :], wide[y + 1, left + 1 :]
        for x in range(SIZE):
            twice = np.int32(2) * np.int32(here[x + 1])
            total += abs(np.int32(twice - here[x] - here[x + 2]))
            total += abs(np.int32(twice - above[x] - below[x]))
    k = 0
    while k < CLASSES - 1 and total >= ACTIVITIES[k]:
        k += 1
    return k


@njit_borrowing
def is_filtered(kind: int, where: int) -> bool:
    """Whether a block of a kind is filtered."""
    return by_nets(kind) or (where == ALL_BLOCKS and kind == DIRECT_BLOCK)


@njit_borrowing
def filtered_cells(blocks: np.ndarray, luma: bool, where: int, row: int) -> tuple[int, int]:
    """The first filtered cell of a row of cells, and the one behind the last; equal where none
    is."""
    columns = 2 * blocks.shape[1] if luma else blocks.shape[1]
    half = 1 if luma else 0
    first, end = columns, 0
    for column in range(columns):
        if is_filtered(blocks[row >> half, column >> half], where):
            first, end = min(first, column), column + 1
    return min(first, end), end


@njit_borrowing
def samples_around(
    wide: np.ndarray, row: int, begin: int, end: int, tap: int
) -> tuple[np.ndarray, np.ndarray]:
    """The two samples of a tap for each of those from ``begin`` to ``end`` of a row, of a plane
    with its border."""
    down, right = TAPS[tap, 0], TAPS[tap, 1]
    first, last = begin + BORDER, end + BORDER
    return (
        wide[row + BORDER + down, first + right : last + right],
        wide[row + BORDER - down, first - right : last - right],
    )


@njit_borrowing
def _filter_row(
    wide: np.ndarray,
    row: int,
    begin: int,
    end: int,
    weights: np.ndarray,
    acc: np.ndarray,
    to: np.ndarray,
) -> None:
    """Filter the samples begin to end of a row, into ``to``; weights (12, W) int32: of each tap for
    each sample, zero for those that stay; acc (W,) int32: room to work."""
    here = wide[row + BORDER, BORDER + begin : BORDER + end]
    for x in range(here.size):
        acc[x] = 1 << (ONE_BITS - 1)
    for tap in range(len(TAPS)):
        behind, before = samples_around(wide, row, begin, end, tap)
        weight = weights[tap, begin:end]
        for x in range(here.size):
            off = np.int32(np.int32(behind[x]) + before[x] - 2 * np.int32(here[x]))
            acc[x] = np.int32(acc[x] + np.int32(weight[x] * off))
    for x in range(here.size):
        to[x] = min(max(np.int32(here[x] + (acc[x] >> ONE_BITS)), 0), MAX_SAMPLE)


@njit
def _filter_plane(
    plane: np.ndarray, blocks: np.ndarray, where: int, choices: np.ndarray, first: int
) -> None:
    """Filter a plane: luma with ``first`` 0, else chroma by the choice ``first``."""
    width = plane.shape[1]
    weights, acc = np.zeros((len(TAPS), width), np.int32), np.empty(width, np.int32)
    _filter_rows(plane, with_border(plane), blocks, where, choices, first, weights, acc)


@njit_borrowing
def _filter_rows(
    plane: np.ndarray,
    wide: np.ndarray,
    blocks: np.ndarray,
    where: int,
    choices: np.ndarray,
    first: int,
    weights: np.ndarray,
    acc: np.ndarray,
) -> None:
    """:func:`_filter_plane` of a plane with its border; weights (12, W) and acc (W,) int32: room
    to work."""
    luma, half = first == 0, 1 if first == 0 else 0
    for r in range(plane.shape[0] // SIZE):
        begin, end = filtered_cells(blocks, luma, where, r)
        for c in range(begin, end):
            choice, k = 0, first
            if is_filtered(blocks[r >> half, c >> half], where):
                k = activity_class(wide, r, c) if luma else first
                choice = choices[k]
            for tap in range(len(TAPS)):
                weight = BANK[min(k, CLASSES), choice - 1, tap] if choice else 0
                to = weights[tap, SIZE * c : SIZE * (c + 1)]
                for i in range(SIZE):
                    to[i] = weight
        for y in range(SIZE * r, SIZE * (r + 1) if end > begin else 0):
            row = plane[y, SIZE * begin : SIZE * end]
            _filter_row(wide, y, SIZE * begin, SIZE * end, weights, acc, row)


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
