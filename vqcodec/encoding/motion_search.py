"""Encoder's motion search: quadtree, merge candidates, vectors and directions.

Works on 8-bit luma: all sixteen quarter-sample phases of a reference are interpolated once. Vectors
are refined by plain sums of absolute differences (:mod:`.vector_search`); modes
(:mod:`.block_choice`) and splits are decided in bits that the residual is expected to take
(:mod:`.motion_costs`). The decision is taken block by block in coding order, bottom-up inside each
64x64 block, with the costs of the contexts as they stand, and is coded at once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..codec.contexts import MAX_DEPTH
from ..codec.motion_field import CTU, Field, fill
from ..codec.motion_syntax import MVD_BITS, encode_leaf, split_context
from ..codec.range_coder import Encoder, bit_costs, encode_bit
from ..compiled import njit, njit_borrowing
from .block_choice import NEW, Search, leaf, room_for
from .block_matching import of_picture, of_reference
from .motion_costs import Block, Costs, Matching, copied, curve_of, mvd_costs
from .phases import under_weights
from .rate_distortion import Weighing


class References(NamedTuple):
    """Phases of both references, twice the same where there is one: see :func:`.phases`."""

    first: np.ndarray
    second: np.ndarray


class Grids(NamedTuple):
    """The grid of motion that is filled in, and the one that temporal vectors come from."""

    field: Field  # empty, receives the motion
    collocated: Field  # of a reference


class Path(NamedTuple):
    """The blocks from a 64x64 block down to the one that is looked at, an entry for each depth."""

    row: np.ndarray  # in cells
    column: np.ndarray
    quarter: np.ndarray  # which quarter is being looked at
    leaf_cost: np.ndarray  # J as one leaf
    split_cost: np.ndarray  # J of the quarters so far
    vectors: np.ndarray  # (depths, 2, 2) of the leaf
    info: np.ndarray  # (depths, 3) of the leaf: direction, merge index or NEW, set of weights
    found: np.ndarray  # (depths + 1, 2, 2): vectors found for the larger block around each


class Plan(NamedTuple):
    """Decision of a 64x64 block, at the first cell of each leaf."""

    depth: np.ndarray  # (8, 8)
    info: np.ndarray  # (8, 8, 3): direction, merge index or NEW, set of weights
    vectors: np.ndarray  # (8, 8, 2, 2)


@njit_borrowing
def _decide(search, top, left, path, plan):
    """The cheapest quadtree of the 64x64 block at (top, left), in cells: a walk depth first.
    Returns its J."""
    bits, field, weighing = search.matching.costs.bits, search.field, search.matching.weighing
    for k in range(2):
        path.found[0, k, 0] = path.found[0, k, 1] = 0
    path.row[0], path.column[0] = top, left
    depth, down = 0, True
    while True:
        row, column, cells = path.row[depth], path.column[depth], CTU >> depth
        if down:
            copied(path.found[depth], path.found[depth + 1])
            path.leaf_cost[depth] = leaf(
                search,
                Block(row, column, cells, depth),
                path.found[depth + 1],
                path.vectors[depth],
                path.info[depth],
            )
            if depth < MAX_DEPTH:
                flag = split_context(field, row, column, depth)
                path.leaf_cost[depth] += bits[flag, 0]
                path.split_cost[depth] = bits[flag, 1]
                worth_it = path.leaf_cost[depth] > path.split_cost[depth] + weighing.split
                if depth < weighing.depth and worth_it:
                    path.quarter[depth] = 0
                    path.row[depth + 1], path.column[depth + 1] = row, column
                    depth += 1
                    continue
            whole = True
        else:  # a quarter came back with its J added
            path.quarter[depth] += 1
            quarter = path.quarter[depth]
            if quarter < 4 and path.split_cost[depth] < path.leaf_cost[depth]:
                path.row[depth + 1] = row + (cells >> 1) * (quarter >> 1)
                path.column[depth + 1] = column + (cells >> 1) * (quarter & 1)
                depth, down = depth + 1, True
                continue
            whole = path.leaf_cost[depth] <= path.split_cost[depth] or quarter < 4
        if whole:
            j = path.leaf_cost[depth]
            info, vectors = path.info[depth], path.vectors[depth]
            plan.depth[row - top, column - left] = depth
            for k in range(3):
                plan.info[row - top, column - left, k] = info[k]
            copied(vectors, plan.vectors[row - top, column - left])
            merged = 1 if info[1] != NEW else 0
            fill(field, row, column, cells, depth, info[0], vectors, merged, info[2])
        else:
            j = path.split_cost[depth]
        if depth == 0:
            return j
        depth, down = depth - 1, False
        path.split_cost[depth] += j


@njit
def _code(coder, search, top, left, plan, leaves, count):
    """Code what was decided of a 64x64 block; returns the number of leaves with those before."""
    field = search.field
    field.direction[top : top + CTU, left : left + CTU] = 0
    waiting = np.zeros(
        (64, 3), np.int64
    )  # blocks yet to code, the next one last: row, column, depth
    waiting[0] = (top, left, 0)
    n = 1
    while n:
        n -= 1
        row, column, depth = waiting[n, 0], waiting[n, 1], waiting[n, 2]
        cells = CTU >> depth
        split = plan.depth[row - top, column - left] > depth
        if depth < MAX_DEPTH:
            encode_bit(coder, split_context(field, row, column, depth), 1 if split else 0)
        if split:
            half = cells >> 1
            for k in range(3, -1, -1):
                waiting[n] = (row + half * (k >> 1), column + half * (k & 1), depth + 1)
                n += 1
            continue
        info, vectors = plan.info[row - top, column - left], plan.vectors[row - top, column - left]
        encode_leaf(
            coder, field, search.collocated, row, column, cells, depth, info[0], vectors, info[1],
            info[2],
        )  # fmt: skip
        leaves[count, 0], leaves[count, 1], leaves[count, 2] = row, column, cells
        count += 1
    return count


@njit
def _paths():
    """Room for a walk down the quadtree, and for what is decided."""
    depths = MAX_DEPTH + 1
    path = Path(
        np.zeros(depths, np.int64),
        np.zeros(depths, np.int64),
        np.zeros(depths, np.int64),
        np.zeros(depths),
        np.zeros(depths),
        np.zeros((depths, 2, 2), np.int64),
        np.zeros((depths, 3), np.int64),
        np.zeros((depths + 1, 2, 2), np.int64),
    )
    plan = Plan(
        np.zeros((CTU, CTU), np.int64),
        np.zeros((CTU, CTU, 3), np.int64),
        np.zeros((CTU, CTU, 2, 2), np.int64),
    )
    return path, plan


@njit
def _search(coder, field, collocated, luma, references, starts, weighing, leaves, blocks):
    """references: phases of both, and of both under each set of weights, see ``under_weights``."""
    height, width = luma.shape
    costs = Costs(
        np.zeros((coder.contexts.shape[0], 2), np.float32),
        np.zeros((2, MVD_BITS + 1), np.float32),
    )
    first, second, first_weighted, second_weighted = references
    matching = Matching(
        of_picture(luma), of_reference(first, weighing.precision),
        of_reference(second, weighing.precision),
        of_reference(first_weighted[0], weighing.precision),
        of_reference(second_weighted[0], weighing.precision), first.size, field.blends,
        curve_of(weighing), height, width, weighing, costs,
    )  # fmt: skip
    room = room_for(field.blends.size)
    work = Search(matching, starts, field, collocated, room)
    path, plan = _paths()
    rows, columns = field.direction.shape
    count = 0
    for top in range(0, rows, CTU):
        for left in range(0, columns, CTU):
            bit_costs(coder.contexts, costs.bits)
            mvd_costs(costs.bits, costs.vector)
            blocks[top // CTU, left // CTU] = _decide(work, top, left, path, plan)
            count = _code(coder, work, top, left, plan, leaves, count)
    return count


def search(
    coder: Encoder,
    grids: Grids,
    luma: np.ndarray,
    references: References,
    starts: np.ndarray,
    weighing: Weighing,
    leaves: np.ndarray,
    blocks: np.ndarray | None = None,
) -> int:
    """Decide and code the motion of a picture.

    luma: (H, W) uint8. starts: (2, H/16, W/16, 2) int32, vectors to start from for each list, in
    quarter samples. leaves (cells, 3) int32 receives row, column and side of each leaf, in cells.
    blocks, where it is given, (H/64, W/64) float64, receives J of each 64x64 block: bits of its
    motion, and those that its residual is expected to take. Returns how many leaves there are.
    """
    first, second = references
    weighted = again = under_weights(first, grids.field.sets, 0, weighing.precision)
    if second is not first:
        again = under_weights(second, grids.field.sets, 1, weighing.precision)
    if blocks is None:
        blocks = np.empty(tuple(-(-cells // CTU) for cells in grids.field.direction.shape))
    phases = (first, second, weighted, again)
    return int(_search(coder, *grids, luma, phases, starts, weighing, leaves, blocks))
