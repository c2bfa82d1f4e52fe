"""Encoder's motion search: quadtree, merge candidates, vectors and directions.

By J = expected cost of the residual + adaptive bits. Works on 8-bit luma: all sixteen
quarter-sample
phases of a reference are interpolated once. Vectors are refined by plain sums of absolute
differences; modes and splits are decided in bits: each 8x8 cell of squared error e a sample costs
lambda * e where that is below the distortion D that the frame's quality leaves anyway, and
lambda * D * (1 + ln(e / D)) above it, what coding it down to D would take (reverse water-filling).
The decision is taken block by block in coding order, bottom-up inside each 64x64 block, with the
costs of the contexts as they stand, and is coded at once.
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from ..codec.contexts import BI_FLAG, LIST_FLAG, MERGE_INDEX, MVD_CLASS, MVD_TOP, VECTOR_COMPONENT
from ..codec.motion_compensation import BI, L0, L1
from ..codec.motion_field import CTU, MAX_DEPTH, MAX_MERGE, Field, candidates, fill, predictor
from ..codec.motion_syntax import (
    MVD_BITS,
    bit_length,
    encode_leaf,
    merge_context,
    set_context,
    split_context,
)
from ..codec.range_coder import bit_costs, encode_bit
from ..compiled import njit
from .block_matching import legal, moved, sad, sad_bi
from .rate_distortion import Weighing
from .weighted_matching import (
    Lines,
    sad_blended,
    sad_weighted,
    weight_lines,
    weighted_error,
)

NEVER = 1e18  # J of what is not possible
NEW_VECTOR_BITS = 6  # new vectors cost at least about this
QUARTER_BITS = 2.0  # a split costs at least its own flag and a few bits of its quarters
BOTH_MARGIN = 1.15  # a J of both lists within this of the best is worth refining
WEIGHTS_MARGIN = 1.1  # sets of weights whose first J is beyond this of the best are left alone
FIRST_STEP = 8  # of the pattern search, in quarter samples
NEW = -1  # in the place of a merge index: own vectors


class References(NamedTuple):
    """Phases of both references, twice the same where there is one: see :func:`.phases`."""

    first: np.ndarray
    second: np.ndarray


class Costs(NamedTuple):
    """Bits as the contexts stand at the start of a 64x64 block."""

    bits: np.ndarray  # (contexts, 2) float32, of a 0 and a 1
    vector: np.ndarray  # (2, MVD_BITS + 1) float32, of a difference of some bit length, [y, x]


class Search(NamedTuple):
    """What the search of a picture works on."""

    luma: np.ndarray  # (H, W) uint8
    references: References
    starts: np.ndarray  # (2, K, H/8, W/8, 2) int32: K vectors a list and cell, quarter samples
    field: Field  # empty, filled by the search
    collocated: Field  # of a reference
    weighing: Weighing
    costs: Costs
    lines: Lines  # of the field's sets of weights


class Block(NamedTuple):
    """A square of 8x8 cells."""

    row: int  # in cells
    column: int
    cells: int  # of its side
    depth: int  # in the quadtree


class Merges(NamedTuple):
    """Merge candidates of a block; the first ``number`` are there."""

    directions: np.ndarray  # (MAX_MERGE,) int64
    vectors: np.ndarray  # (MAX_MERGE, 2, 2) int64
    sets: np.ndarray  # (MAX_MERGE,) int64: of weights
    number: int


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


@njit
def residual_bits(p0, p1, cur, y, x, mv, direction, n, worth, floor):
    """Expected cost in bits of the n x n block at (y, x) under a prediction.

    worth: bits that one unit of squared error of a sample is worth; floor: squared error a sample
    that is left anyway.
    """
    l = 0 if direction & L0 else 1
    a, r, c = moved(p0 if l == 0 else p1, y, x, mv[l, 0], mv[l, 1])
    b, q, d = moved(p1, y, x, mv[1, 0], mv[1, 1])
    total = 0.0
    for j0 in range(0, n, 8):
        for i0 in range(0, n, 8):
            s = nb.int32(0)
            if direction == BI:
                for j in range(j0, j0 + 8):
                    for i in range(8):
                        v = (
                            nb.int32(a[r + j, c + i0 + i]) + nb.int32(b[q + j, d + i0 + i]) + 1
                        ) >> 1
                        e = v - nb.int32(cur[y + j, x + i0 + i])
                        s += e * e
            else:
                for j in range(j0, j0 + 8):
                    for i in range(8):
                        e = nb.int32(a[r + j, c + i0 + i]) - nb.int32(cur[y + j, x + i0 + i])
                        s += e * e
            m = s / 64.0
            total += m if m <= floor else floor * (1.0 + np.log(m / floor))
    return total * 64.0 * worth


@njit
def weighted_bits(p0, p1, cur, y, x, mv, direction, n, worth, floor, pairs, blend):
    """:func:`residual_bits` under gains and offsets, pairs (2, 2), and a blend."""
    total = 0.0
    for j in range(y, y + n, 8):
        for i in range(x, x + n, 8):
            m = weighted_error(p0, p1, cur, j, i, mv, direction, pairs, blend) / 64.0
            total += m if m <= floor else floor * (1.0 + np.log(m / floor))
    return total * 64.0 * worth


@njit
def mvd_costs(cost, out):
    """out (2, MVD_BITS + 1) float32: bits of a vector difference of bit length k per component."""
    for comp in range(2):
        acc = 0.0
        for k in range(MVD_BITS + 1):
            c = acc
            if k < MVD_BITS:
                c += cost[MVD_CLASS + VECTOR_COMPONENT * comp + k, 0]
                acc += cost[MVD_CLASS + VECTOR_COMPONENT * comp + k, 1]
            if k > 1:
                c += (
                    0.5
                    * (
                        cost[MVD_TOP + VECTOR_COMPONENT * comp + k, 0]
                        + cost[MVD_TOP + VECTOR_COMPONENT * comp + k, 1]
                    )
                    + k
                    - 2
                )
            out[comp, k] = c + (1 if k else 0)


@njit
def _mvd(table, dy, dx):
    return table[0, bit_length(abs(dy))] + table[1, bit_length(abs(dx))]


@njit
def _sad(ph, cur, y, x, my, mx, n, limit, pair, chosen):
    """SAD of a block under a set of weights, pair (2,): its gain and offset; set 0 has none."""
    if chosen:
        return sad_weighted(ph, cur, y, x, my, mx, n, limit, pair)
    return sad(ph, cur, y, x, my, mx, n, limit)


@njit
def _refine(ph, cur, y, x, n, pv, start, lam, table, h, w, first, mv, pair, chosen):
    """Pattern search around mv (its J is ``start``) with steps first, ..., 4 (one sample), 2, 1
    quarter samples; returns the best J."""
    best = start
    st = first
    while st >= 1:
        rounds = 0
        moved = True
        while moved and rounds < 8:
            moved = False
            rounds += 1
            cy, cx = mv[0], mv[1]
            for k in range(8 if st < 4 else 4):
                dy = (-1, 1, 0, 0, -1, -1, 1, 1)[k] * st
                dx = (0, 0, -1, 1, -1, 1, -1, 1)[k] * st
                my, mx = cy + dy, cx + dx
                if not legal(y, x, n, my, mx, h, w):
                    continue
                rb = lam * _mvd(table, my - pv[0], mx - pv[1])
                if rb >= best:
                    continue
                limit = nb.int32(best - rb) + 1
                j = _sad(ph, cur, y, x, my, mx, n, limit, pair, chosen) + rb
                if j < best:
                    best = j
                    mv[0], mv[1] = my, mx
                    moved = True
        st >>= 1
    return best


@njit
def _cost(search, block, vectors, direction, chosen):
    """Expected bits of the residual under a set of weights."""
    one, two = search.references
    y, x, size, weighing = block.row * 8, block.column * 8, block.cells * 8, search.weighing
    if chosen:
        pairs, blend = search.lines.pairs[chosen], search.lines.blends[chosen]
        return weighted_bits(
            one, two, search.luma, y, x, vectors, direction, size, weighing.worth, weighing.floor,
            pairs, blend,
        )  # fmt: skip
    return residual_bits(
        one, two, search.luma, y, x, vectors, direction, size, weighing.worth, weighing.floor
    )


@njit
def _legal(search, block, vector):
    h, w = search.luma.shape
    y, x, size = block.row * 8, block.column * 8, block.cells * 8
    return legal(y, x, size, vector[0], vector[1], h, w)


@njit
def _vector_bits(search, vector, predicted):
    return _mvd(search.costs.vector, vector[0] - predicted[0], vector[1] - predicted[1])


@njit
def _bits_of_both(search, vectors, predicted):
    return _vector_bits(search, vectors[0], predicted[0]) + _vector_bits(
        search, vectors[1], predicted[1]
    )


@njit
def _sad_both(search, block, predicted, vectors, chosen):
    """SAD of a block from both lists under a set of weights, with the bits of its vectors."""
    one, two = search.references
    y, x, size = block.row * 8, block.column * 8, block.cells * 8
    if chosen:
        pairs, blend = search.lines.pairs[chosen], search.lines.blends[chosen]
        error = sad_blended(one, two, search.luma, y, x, vectors, size, pairs, blend)
    else:
        error = sad_bi(one, two, search.luma, y, x, vectors, size)
    return error + search.weighing.sad * _bits_of_both(search, vectors, predicted)


@njit
def _best_merge(search, block, merges, flag, mv, info):
    """Lowest J of the merge candidates; mv and info receive it. flag: context of the merge flag."""
    bits = search.costs.bits
    best = NEVER
    before = bits[flag, 1]
    for k in range(merges.number):
        rate = before
        if k < merges.number - 1:
            rate += bits[MERGE_INDEX + k, 0]
            before += bits[MERGE_INDEX + k, 1]
        direction, vectors = merges.directions[k], merges.vectors[k]
        if (direction & L0 and not _legal(search, block, vectors[0])) or (
            direction & L1 and not _legal(search, block, vectors[1])
        ):
            continue
        j = _cost(search, block, vectors, direction, merges.sets[k]) + rate
        if j < best:
            best = j
            info[0], info[1], info[2] = direction, k, merges.sets[k]
            mv[:] = vectors
    return best


@njit
def _best_start(search, block, merges, l, predicted, parent, chosen, found):
    """Lowest SAD with bits of the vectors that list l's search may start from, NEVER if there is
    none.

    found (2,) receives the vector.
    """
    h, w = search.luma.shape
    starts, table, weight = search.starts, search.costs.vector, search.weighing.sad
    phases = search.references.first if l == 0 else search.references.second
    y, x, size = block.row * 8, block.column * 8, block.cells * 8
    row, column = block.row + block.cells // 2, block.column + block.cells // 2
    given, pair = starts.shape[1], search.lines.pairs[chosen, l]
    best = NEVER
    for k in range(3 + given + merges.number):
        if k == 0:
            my, mx = predicted[0], predicted[1]
        elif k == 1:
            my, mx = parent[0], parent[1]
        elif k == 2:
            my, mx = 0, 0
        elif k < 3 + given:
            my = nb.int64(starts[l, k - 3, row, column, 0])
            mx = nb.int64(starts[l, k - 3, row, column, 1])
        else:
            if not merges.directions[k - 3 - given] & (1 << l):
                continue
            my = merges.vectors[k - 3 - given, l, 0]
            mx = merges.vectors[k - 3 - given, l, 1]
        if not legal(y, x, size, my, mx, h, w):
            continue
        rate = weight * _mvd(table, my - predicted[0], mx - predicted[1])
        if rate >= best:
            continue
        limit = nb.int32(min(best - rate, 1e9)) + 1
        j = _sad(phases, search.luma, y, x, my, mx, size, limit, pair, chosen) + rate
        if j < best:
            best = j
            found[0], found[1] = my, mx
    return best


@njit
def _best_vector(search, block, l, predicted, start, chosen, found):
    """Lowest SAD with bits of list l's vector from the start ``found`` (2,) on, whose J is
    given."""
    if start == NEVER:
        return start
    h, w = search.luma.shape
    phases = search.references.first if l == 0 else search.references.second
    return _refine(
        phases, search.luma, block.row * 8, block.column * 8, block.cells * 8, predicted, start,
        search.weighing.sad, search.costs.vector, h, w, FIRST_STEP, found,
        search.lines.pairs[chosen, l], chosen,
    )  # fmt: skip


@njit
def _refine_both(search, block, predicted, vectors, first, chosen):
    """Refine each vector with the other held, list ``first`` first, by steps of 2 and 1."""
    best = _sad_both(search, block, predicted, vectors, chosen)
    for turn in range(2):
        l = 1 - turn if first == 1 else turn
        for step in (2, 1):
            cy, cx = vectors[l, 0], vectors[l, 1]
            by, bx = cy, cx
            for k in range(8):
                vectors[l, 0] = cy + (-1, 1, 0, 0, -1, -1, 1, 1)[k] * step
                vectors[l, 1] = cx + (0, 0, -1, 1, -1, 1, -1, 1)[k] * step
                if not _legal(search, block, vectors[l]):
                    continue
                j = _sad_both(search, block, predicted, vectors, chosen)
                if j < best:
                    best = j
                    by, bx = vectors[l, 0], vectors[l, 1]
            vectors[l, 0], vectors[l, 1] = by, bx


@njit
def _best_of_one(search, block, head, found, usable, rates, chosen, best, mv, info):
    """Lowest J, at most ``best``, with new vectors of one list; head: bits before direction."""
    bits = search.costs.bits
    two = search.field.dist[1] != 0
    for l in range(2 if two else 1):
        if usable[l] > 1e17:
            continue
        direction = L0 if l == 0 else L1
        j = _cost(search, block, found, direction, chosen) + head + rates[l]
        if two:
            j += bits[BI_FLAG + block.depth, 0] + bits[LIST_FLAG, l]
        if j < best:
            best = j
            info[0], info[1], info[2] = direction, NEW, chosen
            mv[:] = found
    return best


@njit
def _best_of_both(search, block, head, predicted, found, single, rates, chosen, best, mv, info):
    """Lowest J, at most ``best``, with new vectors of both lists; head: bits before direction."""
    head += search.costs.bits[BI_FLAG + block.depth, 1]
    j = _cost(search, block, found, BI, chosen) + head + rates[0] + rates[1]
    if j < BOTH_MARGIN * best:
        vectors = found.copy()
        first = 1 if single[0] < single[1] else 0
        _refine_both(search, block, predicted, vectors, first, chosen)
        rate = _bits_of_both(search, vectors, predicted)
        j = _cost(search, block, vectors, BI, chosen) + head + rate
        if j < best:
            best = j
            info[0], info[1], info[2] = BI, NEW, chosen
            mv[:] = vectors
    return best


@njit
def _set_bits(search, block, chosen):
    """Bits of the choice of a set of weights."""
    bits, field = search.costs.bits, search.field
    total = 0.0
    for past in range(min(chosen + 1, field.blends.size)):
        context = set_context(field, block.row, block.column, past)
        total += bits[context, 1 if past < chosen else 0]
    return total


@njit
def _leaf(search, block, parent, mv, info):
    """Lowest J of a block as one leaf; mv (2, 2) and info (3,) receive how.

    parent (2, 2): the vectors found for the larger block around it; receives those of this one.
    """
    field = search.field
    directions, vectors = np.zeros(MAX_MERGE, np.int64), np.zeros((MAX_MERGE, 2, 2), np.int64)
    sets = np.zeros(MAX_MERGE, np.int64)
    row, column, cells = block.row, block.column, block.cells
    count = candidates(field, search.collocated, row, column, cells, directions, vectors, sets)
    merges = Merges(directions, vectors, sets, count)
    flag = merge_context(field, row, column, block.depth)
    best = _best_merge(search, block, merges, flag, mv, info)
    head = search.costs.bits[flag, 0]
    if best < head + NEW_VECTOR_BITS:
        parent[:] = mv
        return best
    predicted = np.zeros((2, 2), np.int64)
    predictor(field, search.collocated, row, column, cells, predicted)
    count = field.blends.size + 1
    lists = 2 if field.dist[1] != 0 else 1
    found, single = np.zeros((count, 2, 2), np.int64), np.full((count, 2), NEVER)
    for chosen in range(count):
        for l in range(lists):
            single[chosen, l] = _best_start(
                search, block, merges, l, predicted[l], parent[l], chosen, found[chosen, l]
            )
    limit, least = WEIGHTS_MARGIN * single.min(), NEVER
    for chosen in range(count):
        if single[chosen].min() > limit:
            continue
        for l in range(lists):
            single[chosen, l] = _best_vector(
                search, block, l, predicted[l], single[chosen, l], chosen, found[chosen, l]
            )
        if single[chosen].min() < least:
            least = single[chosen].min()
            parent[:] = found[chosen]
        bits = head + _set_bits(search, block, chosen)
        best = _best_new(
            search, block, bits, predicted, found[chosen], single[chosen], chosen, best, mv, info
        )
    return best


@njit
def _best_new(search, block, head, predicted, found, single, chosen, best, mv, info):
    """Lowest J, at most ``best``, with the new vectors found under a set of weights."""
    rates = np.zeros(2)
    for l in range(2):
        rates[l] = _vector_bits(search, found[l], predicted[l])
    best = _best_of_one(search, block, head, found, single, rates, chosen, best, mv, info)
    if search.field.dist[1] != 0 and single[0] < 1e17 and single[1] < 1e17:
        best = _best_of_both(
            search, block, head, predicted, found, single, rates, chosen, best, mv, info
        )
    return best


@njit
def _decide(search, top, left, path, plan):
    """The cheapest quadtree of the 64x64 block at (top, left), in cells: a walk depth first."""
    bits, field = search.costs.bits, search.field
    path.found[0] = 0
    path.row[0], path.column[0] = top, left
    depth, down = 0, True
    while True:
        row, column, cells = path.row[depth], path.column[depth], CTU >> depth
        if down:
            path.found[depth + 1] = path.found[depth]
            path.leaf_cost[depth] = _leaf(
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
                if path.leaf_cost[depth] > path.split_cost[depth] + QUARTER_BITS:
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
            plan.info[row - top, column - left] = info
            plan.vectors[row - top, column - left] = vectors
            merged = 1 if info[1] != NEW else 0
            fill(field, row, column, cells, depth, info[0], vectors.copy(), merged, info[2])
        else:
            j = path.split_cost[depth]
        if depth == 0:
            return
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
def search(coder, field, collocated, luma, references, starts, weighing, leaves):
    """Decide and code the motion of a picture; see :class:`Search` for what is given.

    leaves (cells, 3) int32 receives row, column and side of each leaf, in cells. Returns how many.
    """
    costs = Costs(
        np.zeros((coder.contexts.shape[0], 2), np.float32),
        np.zeros((2, MVD_BITS + 1), np.float32),
    )
    lines = weight_lines(field.sets, field.blends)
    work = Search(luma, references, starts, field, collocated, weighing, costs, lines)
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
    rows, columns = field.direction.shape
    count = 0
    for top in range(0, rows, CTU):
        for left in range(0, columns, CTU):
            bit_costs(coder.contexts, costs.bits)
            mvd_costs(costs.bits, costs.vector)
            _decide(work, top, left, path, plan)
            count = _code(coder, work, top, left, plan, leaves, count)
    return count
