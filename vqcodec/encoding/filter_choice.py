"""Which filters of the bank a frame names: those that pay for their bits.

Samples of the coded and of the direct blocks give the normal equations of each class and plane;
from these follows what each filter of the bank gains. Arithmetic is integers, and floats in a
written order, so that every processor makes the same choice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..codec import adaptive_filter
from ..codec.adaptive_filter import (
    ALL_BLOCKS,
    BORDER,
    CHOICES,
    CLASSES,
    CODED_BLOCKS,
    FIRST_CHOICES,
    NOWHERE,
    ONE_BITS,
    SIZE,
    TAPS,
    activity_class,
    filtered_cells,
    is_filtered,
    no_filters,
    samples_around,
    with_border,
)
from ..codec.direct_map import DIRECT_BLOCK
from ..codec.filter_bank import BANK
from ..codec.frame_decoder import Planes
from ..codec.range_coder import Encoder
from ..codec.two_way import Meter
from ..compiled import njit_borrowing
from .still_parts import still_blocks

_COUNT = len(TAPS)


class Equations(NamedTuple):
    """Normal equations of the weights, of coded blocks and of direct ones, in bits that the error
    is worth."""

    left: np.ndarray  # (2, 6, 12, 12) float64
    right: np.ndarray  # (2, 6, 12) float64


class Filters(NamedTuple):
    """Where a frame is filtered, and by what."""

    where: int
    choices: np.ndarray  # (6,) int64


NONE = Filters(NOWHERE, no_filters())


class Unfiltered(NamedTuple):
    """A picture before its filters, and what its error is worth."""

    planes: Planes
    source: Planes  # what it should be
    blocks: np.ndarray  # (H/16, W/16): their kinds
    worths: np.ndarray  # (H/16, W/16): bits a unit of squared error, before the plane's weight
    weights: tuple[float, float, float]  # of the planes


class Room(NamedTuple):
    """Arrays that every row of cells uses anew."""

    sums: np.ndarray  # (8, 12, W) int16: of taps
    cell: np.ndarray  # (13, 64) int16: sums and error of a cell
    products: np.ndarray  # (12, 12) int64
    aims: np.ndarray  # (12,) int64

    @classmethod
    def of(cls, width: int) -> Room:
        """Room for rows so wide."""
        return cls(
            np.empty((SIZE, _COUNT, width), np.int16),
            np.empty((_COUNT + 1, SIZE * SIZE), np.int16),
            np.empty((_COUNT, _COUNT), np.int64),
            np.empty(_COUNT, np.int64),
        )


@njit_borrowing
def _tap_sums(wide: np.ndarray, row: int, begin: int, end: int, sums: np.ndarray) -> None:
    """Of the samples begin to end of a row of a plane with its border, the differences to both
    samples of each tap, added: (12, W) int16."""
    here = wide[row + BORDER, BORDER + begin : BORDER + end]
    for tap in range(_COUNT):
        behind, before = samples_around(wide, row, begin, end, tap)
        to = sums[tap, begin:end]
        for x in range(here.size):
            to[x] = np.int16(behind[x] + before[x] - 2 * here[x])


@njit_borrowing
def _dot(one: np.ndarray, two: np.ndarray) -> np.int32:
    """Sum of the products of two rows (64,) int16, which 32 bits hold; LLVM makes the processor's
    sums of pairs of products of it."""
    total = np.int32(0)
    for i in range(SIZE * SIZE):
        total = np.int32(total + np.int32(np.int32(one[i]) * np.int32(two[i])))
    return total


@njit_borrowing
def _copy(some: np.ndarray, to: np.ndarray) -> None:
    for i in range(SIZE):
        to[i] = some[i]


@njit_borrowing
def _add_cell(room: Room, error: np.ndarray, row: int, column: int) -> None:
    """Sum up over the cell (row, column) the products of all sums of taps, and of these with the
    error (H, W) int16 of the picture."""
    cell, left = room.cell, SIZE * column
    for y in range(SIZE):
        for a in range(_COUNT):
            _copy(room.sums[y, a, left:], cell[a, SIZE * y :])
        _copy(error[SIZE * row + y, left:], cell[_COUNT, SIZE * y :])
    for a in range(_COUNT):
        room.aims[a] = _dot(cell[a], cell[_COUNT])
        for b in range(a + 1):
            room.products[a, b] = _dot(cell[a], cell[b])


@njit_borrowing
def _add_rows(
    wide: np.ndarray,
    error: np.ndarray,
    blocks: np.ndarray,
    worths: np.ndarray,
    where: int,
    first: int,
    equations: Equations,
    room: Room,
) -> None:
    """Add a plane with its border to the equations: luma with ``first`` 0, else chroma, to those of
    ``first``."""
    left, right = equations
    luma, half = first == 0, 1 if first == 0 else 0
    for r in range(error.shape[0] // SIZE):
        begin, end = filtered_cells(blocks, luma, where, r)
        for y in range(SIZE if end > begin else 0):
            row = SIZE * r + y
            _tap_sums(wide, row, SIZE * begin, SIZE * end, room.sums[y])
        for c in range(begin, end):
            kind = blocks[r >> half, c >> half]
            if not is_filtered(kind, where):
                continue
            _add_cell(room, error, r, c)
            k = activity_class(wide, r, c) if luma else first
            worth, of = worths[r >> half, c >> half], 1 if kind == DIRECT_BLOCK else 0
            for a in range(_COUNT):
                right[of, k, a] += worth * room.aims[a]
                for b in range(a + 1):
                    left[of, k, a, b] += worth * room.products[a, b]
                    if a != b:
                        left[of, k, b, a] += worth * room.products[a, b]


def equations_of(picture: Unfiltered, where: int = ALL_BLOCKS) -> Equations:
    """The equations of a picture, of the blocks ``where`` it is looked at."""
    made = Equations(np.zeros((2, CHOICES, _COUNT, _COUNT)), np.zeros((2, CHOICES, _COUNT)))
    for plane, wanted, weight, first in zip(
        picture.planes, picture.source, picture.weights, FIRST_CHOICES, strict=True
    ):
        error, room = wanted.astype(np.int16) - plane.astype(np.int16), Room.of(plane.shape[1])
        worths = weight * picture.worths
        _add_rows(with_border(plane), error, picture.blocks, worths, where, first, made, room)
    return made


@njit_borrowing
def gains_of(left: np.ndarray, right: np.ndarray, filters: np.ndarray, out: np.ndarray) -> None:
    """By how much filters (n, 12), in 128ths, make the weighed squared error smaller: (n,)."""
    one = float(1 << ONE_BITS)
    for n in range(len(filters)):
        total = 0.0
        for a in range(_COUNT):
            weight = filters[n, a] / one
            total += 2 * right[a] * weight
            for b in range(_COUNT):
                total -= left[a, b] * weight * (filters[n, b] / one)
        out[n] = total


def exact_blocks(planes: Planes, source: Planes, blocks: np.ndarray) -> bool:
    """Whether direct blocks show their source exactly: what stands still is to stay as it is."""
    return bool(((blocks == DIRECT_BLOCK) & still_blocks(planes, source)).any())


def choose(equations: Equations, everywhere: bool, bits: Callable[[Filters], float]) -> Filters:
    """The filters of a frame.

    everywhere: whether direct blocks may be filtered too; bits: those that filters take.
    """
    best = NONE
    cost = bits(best)
    left, right = equations
    places = [(CODED_BLOCKS, left[0], right[0])]
    if everywhere:
        places.append((ALL_BLOCKS, left.sum(0), right.sum(0)))
    for where, left_sums, right_sums in places:
        choices, gain, out = no_filters(), 0.0, np.empty(BANK.shape[1])
        taken = bits(Filters(where, choices))
        for kind in range(CHOICES):
            gains_of(left_sums[kind], right_sums[kind], BANK[min(kind, CLASSES)], out)
            best_filter = int(np.argmax(out))
            alone = choices.copy()
            alone[kind] = best_filter + 1
            more = bits(Filters(where, alone))
            if out[best_filter] > more - taken:
                choices, gain, taken = alone, gain + float(out[best_filter]), more
        if choices.any() and taken - gain < cost:
            best, cost = Filters(where, choices), taken - gain
    return best


def filter_best(picture: Unfiltered, coder: Encoder) -> Filters:
    """Filter a picture as pays best, in place; returns what was chosen.

    coder: its contexts say what the choices take.
    """

    def bits(filters: Filters) -> float:
        meter = Meter(np.zeros(1), coder.contexts.copy())
        adaptive_filter.code_filters(meter, filters.where, filters.choices.copy())
        return float(meter.spent[0])

    everywhere = not exact_blocks(picture.planes, picture.source, picture.blocks)
    equations = equations_of(picture, ALL_BLOCKS if everywhere else CODED_BLOCKS)
    chosen = choose(equations, everywhere, bits)
    adaptive_filter.filter_planes(picture.planes, picture.blocks, *chosen)
    return chosen
