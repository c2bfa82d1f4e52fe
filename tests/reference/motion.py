"""Section Motion, the grid: its syntax, merge candidates and predictors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .entropy import RangeDecoder
from .weighting import Set

CTU = 8
MAX_DEPTH = 3
MAX_MERGE = 5
MV_LIMIT = 8191
MVD_BITS = 15

SPLIT, MERGE, MERGE_INDEX, BI_FLAG, LIST_FLAG, MVD_CLASS, MVD_TOP, QDELTA, DIRECT = (
    0,
    9,
    21,
    25,
    29,
    32,
    64,
    96,
    104,
)
LEAF_SET = 305
TILES = 985
INTRA_TILES = 1079

Vector = tuple[int, int]  # vertical, horizontal, in quarter luma samples
Vectors = tuple[Vector, Vector]  # list 0, list 1
ZERO: Vectors = ((0, 0), (0, 0))


class Cell(NamedTuple):
    direction: int = 0
    vectors: Vectors = ZERO
    depth: int = 0
    merged: int = 0
    chosen: int = 0  # set of weights, counted from 1; 0 none


class Grid:
    """Cells of 8x8 luma samples.

    ``distances`` are those of the frame's references, 0 for one that is not there; ``sets`` its
    weights.
    """

    def __init__(
        self, rows: int, columns: int, distances: tuple[int, int] = (0, 0), sets: Sequence[Set] = ()
    ):
        self.rows, self.columns, self.distances, self.sets = rows, columns, distances, sets
        self.cells = [[Cell()] * columns for _ in range(rows)]

    def at(self, y: int, x: int) -> Cell:
        """The cell, or one that is not coded outside of the grid."""
        return self.cells[y][x] if 0 <= y < self.rows and 0 <= x < self.columns else Cell()


def clip(v: int, n: int) -> int:
    return max(-n, min(n, v))


def scale(v: Vector, num: int, den: int) -> Vector:
    def component(c: int) -> int:
        n, d = c * num, den
        if d < 0:
            n, d = -n, -d
        away = (2 * abs(n) + d) // (2 * d)
        return clip(away if n >= 0 else -away, MV_LIMIT)

    return component(v[0]), component(v[1])


class MotionDecoder:
    """Reads the grid of a P or B frame; ``temporal``: grid of the reference that temporal vectors
    come from."""

    def __init__(self, stream: RangeDecoder, grid: Grid, temporal: Grid):
        self.s, self.g, self.t = stream, grid, temporal
        self.two = grid.distances[1] != 0

    def decode(self) -> None:
        for y in range(0, self.g.rows, CTU):
            for x in range(0, self.g.columns, CTU):
                self.block(y, x, 0)

    def block(self, y: int, x: int, depth: int) -> None:
        n = CTU >> depth
        left, above = self.g.at(y, x - 1), self.g.at(y - 1, x)
        if depth < MAX_DEPTH and self.s.bit(
            SPLIT + 3 * depth + (left.depth > depth) + (above.depth > depth)
        ):
            for dy in (0, n // 2):
                for dx in (0, n // 2):
                    self.block(y + dy, x + dx, depth + 1)
            return
        merged = self.s.bit(MERGE + 3 * depth + left.merged + above.merged)
        direction, vectors, chosen = (
            self.merge(y, x, n) if merged else self.explicit(y, x, n, depth, left, above)
        )
        if self.two:
            d = self.g.distances
            if direction == 1:
                vectors = vectors[0], scale(vectors[0], d[1], d[0])
            elif direction == 2:
                vectors = scale(vectors[1], d[0], d[1]), vectors[1]
        else:
            vectors = vectors[0], (0, 0)
        for row in self.g.cells[y : y + n]:
            row[x : x + n] = [Cell(direction, vectors, depth, merged, chosen)] * n

    def merge(self, y: int, x: int, n: int) -> tuple[int, Vectors, int]:
        found = self.candidates(y, x, n)
        i = 0
        while i < len(found) - 1 and self.s.bit(MERGE_INDEX + i):
            i += 1
        return found[i]

    def explicit(
        self, y: int, x: int, n: int, depth: int, left: Cell, above: Cell
    ) -> tuple[int, Vectors, int]:
        direction = 1
        if self.two:
            direction = 3 if self.s.bit(BI_FLAG + depth) else 1 + self.s.bit(LIST_FLAG)
        chosen = 0
        while chosen < len(self.g.sets) and self.s.bit(
            LEAF_SET + 2 + chosen if chosen else LEAF_SET + (left.chosen > 0) + (above.chosen > 0)
        ):
            chosen += 1
        vectors = list(self.predictor(y, x, n))
        for l in (0, 1):
            if direction & 1 << l:
                dv, dh = self.difference(0), self.difference(1)
                vectors[l] = clip(vectors[l][0] + dv, MV_LIMIT), clip(vectors[l][1] + dh, MV_LIMIT)
        return direction, (vectors[0], vectors[1]), chosen

    def difference(self, c: int) -> int:
        k = 0
        while k < MVD_BITS and self.s.bit(MVD_CLASS + 16 * c + k):
            k += 1
        if k == 0:
            return 0
        v = 1
        if k > 1:
            v = 2 | self.s.bit(MVD_TOP + 16 * c + k)
            v = v << (k - 2) | self.s.raw(k - 2)
        return -v if self.s.raw(1) else v

    def candidates(self, y: int, x: int, n: int) -> list[tuple[int, Vectors, int]]:
        found: list[tuple[int, Vectors, int]] = []
        both = 3 if self.two else 1
        first = 1 if self.g.sets else 0

        def add(direction: int, vectors: Vectors, chosen: int) -> None:
            def used(d: int, v: Vectors, k: int) -> tuple:
                return (d, d & 1 and v[0], d & 2 and v[1], k)

            if (
                len(found) < MAX_MERGE
                and direction
                and used(direction, vectors, chosen) not in [used(*f) for f in found]
            ):
                found.append((direction, vectors, chosen))

        def cell(y: int, x: int) -> None:
            c = self.g.at(y, x)
            add(c.direction, c.vectors, c.chosen)

        cell(y + n - 1, x - 1)
        cell(y - 1, x + n - 1)
        temporal = self.temporal(y, x, n)
        if temporal:
            add(both, temporal, first)
        cell(y - 1, x + n)
        cell(y + n, x - 1)
        cell(y - 1, x - 1)
        add(both, ZERO, first)
        return found

    def temporal(self, y: int, x: int, n: int) -> Vectors | None:
        c = self.t.at(min(y + n // 2, self.t.rows - 1), min(x + n // 2, self.t.columns - 1))
        if not c.direction:
            return None
        l = 1 if c.direction == 2 else 0
        e, d = self.t.distances[l], self.g.distances
        return scale(c.vectors[l], d[0], e), scale(c.vectors[l], d[1], e) if d[1] else (0, 0)

    def predictor(self, y: int, x: int, n: int) -> Vectors:
        corner = self.g.at(y - 1, x + n)
        cells = [
            self.g.at(y, x - 1),
            self.g.at(y - 1, x),
            corner if corner.direction else self.g.at(y - 1, x - 1),
        ]
        vs = [c.vectors for c in cells if c.direction]
        if len(vs) == 3:

            def median(l: int, c: int) -> int:
                return sorted(v[l][c] for v in vs)[1]

            return (median(0, 0), median(0, 1)), (median(1, 0), median(1, 1))
        if vs:
            return vs[0]
        return self.temporal(y, x, n) or ZERO


def quality_difference(s: RangeDecoder, largest: int) -> int:
    """Section GOP body: the difference of a frame's quality from that of its level."""
    if not s.bit(QDELTA):
        return 0
    negative = s.bit(QDELTA + 1)
    d = 1
    while d < largest and s.bit(QDELTA + 2 + min(d, 5)):
        d += 1
    return -d if negative else d


def tile_map(
    s: RangeDecoder, grid: Grid, outside: np.ndarray, first: int, intra: np.ndarray
) -> np.ndarray:
    """Section GOP body: which 32x32 tiles are marked, bool (rows, columns), by contexts from
    ``first`` on; intra: tiles that have no bit."""
    marked = np.zeros((grid.rows // 4, grid.columns // 4), bool)
    counted = intra.copy()  # by their neighbours
    if s.bit(first):
        for y in range(marked.shape[0]):
            for x in range(marked.shape[1]):
                if outside[2 * y, 2 * x] or intra[y, x]:
                    continue
                merged = sum(grid.at(4 * y + i // 4, 4 * x + i % 4).merged for i in range(16))
                moved = 0 if merged == 16 else 1 if merged else 2
                neighbours = bool(x and counted[y, x - 1]) + bool(y and counted[y - 1, x])
                marked[y, x] = counted[y, x] = s.bit(first + 1 + neighbours + 3 * moved)
    return marked


def intra_tiles(s: RangeDecoder, grid: Grid, outside: np.ndarray) -> np.ndarray:
    """Section GOP body: which 32x32 tiles are intra, bool (rows, columns)."""
    none = np.zeros((grid.rows // 4, grid.columns // 4), bool)
    return tile_map(s, grid, outside, INTRA_TILES, none)


def direct_blocks(
    s: RangeDecoder, grid: Grid, outside: np.ndarray, intra: np.ndarray
) -> np.ndarray:
    """Section GOP body: which 16x16 blocks show their prediction as it is, bool (rows, columns);
    intra: of each tile whether it is."""
    tiles = tile_map(s, grid, outside, TILES, intra)
    coded, drawn = (np.kron(t, np.ones((2, 2), bool)) for t in (tiles, intra))
    direct = ~coded & ~outside & ~drawn
    past = ~coded & ~drawn  # what counts as direct to its neighbours, as far as it is known
    if tiles.any() and s.bit(DIRECT):
        for y, x in np.argwhere(coded & ~outside):
            left, above = x > 0 and past[y, x - 1], y > 0 and past[y - 1, x]
            context = DIRECT + 1 + int(left) + int(above) + 3 * grid.at(2 * y, 2 * x).merged
            direct[y, x] = past[y, x] = s.bit(context)
    return direct


def of_coded_tiles(passed: np.ndarray) -> np.ndarray:
    """Which 16x16 blocks lie in a tile that has one the nets code; passed: those they do not."""
    rows, columns = passed.shape
    coded = ~passed.reshape(rows // 2, 2, columns // 2, 2).all((1, 3))
    return np.kron(coded, np.ones((2, 2), bool))
