"""Vectors of a block: the best of some starts, refined by a pattern of steps that get smaller.

All by sums of absolute differences and the bits of the vectors.
"""

from __future__ import annotations

import numba as nb

from ..compiled import njit_borrowing
from .block_matching import DIRECTIONS_X, DIRECTIONS_Y, at, legal, moved, sad
from .motion_costs import (
    NEVER,
    bits_of_both,
    error_of_both,
    legal_vector,
    mvd_bits,
    under,
)

FIRST_STEP = 8  # of the pattern search, in quarter samples
AROUND = 5  # starts that are tried of those given: in the middle of a block, and beside it
ROUNDS = 8  # of the pattern at each step
FURTHER = 9  # steps: farther than any pattern reaches


@njit_borrowing
def _packed(y, x):
    return (y << 16) ^ (x & 0xFFFF)


@njit_borrowing
def best_start(matching, block, merges, starts, which, predicted, parent, chosen, found, tried):
    """Lowest SAD with bits of the vectors that a list's search may start from, NEVER if there is
    none.

    starts (H/16, W/16, 2): those in the middle of the block and around it are tried; which: the
    list; found (2,) receives the vector; tried: room for all.
    """
    weight, luma = matching.weighing.sad, matching.luma
    reference = under(matching, which, chosen)
    y, x, size = block.row * 8, block.column * 8, block.cells * 8
    row, column = (block.row + block.cells // 2) >> 1, (block.column + block.cells // 2) >> 1
    given, own = AROUND, at(luma, y, x)
    whole = -matching.weighing.precision  # what is not below the precision of a vector
    best, count = NEVER, 0
    for k in range(3 + given + merges.number):
        if k == 0:
            my, mx = predicted[0], predicted[1]
        elif k == 1:
            my, mx = parent[0], parent[1]
        elif k == 2:
            my, mx = nb.int64(0), nb.int64(0)
        elif k < 3 + given:
            j = min(max(row + (0, -1, 1, 0, 0)[k - 3], 0), starts.shape[0] - 1)
            i = min(max(column + (0, 0, 0, -1, 1)[k - 3], 0), starts.shape[1] - 1)
            my, mx = nb.int64(starts[j, i, 0]), nb.int64(starts[j, i, 1])
        else:
            if not merges.directions[k - 3 - given] & (1 << which):
                continue
            my = merges.vectors[k - 3 - given, which, 0]
            mx = merges.vectors[k - 3 - given, which, 1]
        my, mx = my & whole, mx & whole
        word, known = _packed(my, mx), False
        for i in range(count):
            known = known or tried[i] == word
        if known or not legal(y, x, size, my, mx, matching.height, matching.width):
            continue
        tried[count] = word
        count += 1
        rate = weight * mvd_bits(matching, my - predicted[0], mx - predicted[1])
        if rate >= best:
            continue
        limit = nb.int32(min(best - rate, 1e9)) + 1
        shown = moved(reference, y, x, my, mx)
        j = sad(own, luma.stride, shown, reference.stride, size, limit) + rate
        if j < best:
            best = j
            found[0], found[1] = my, mx
    return best


@njit_borrowing
def best_vector(matching, block, which, predicted, start, chosen, vector):
    """Lowest SAD with bits of a list's vector from the start ``vector`` (2,) on, whose J is
    ``start``.

    A pattern of points around the best so far, at FIRST_STEP, ..., 4 (one sample), 2, 1 quarter
    samples, down to the precision. What was costed from the centre before is not costed again.
    """
    if start == NEVER:
        return start
    weight, luma = matching.weighing.sad, matching.luma
    reference = under(matching, which, chosen)
    y, x, size = block.row * 8, block.column * 8, block.cells * 8
    own, best, step = at(luma, y, x), start, FIRST_STEP
    by, bx = vector[0], vector[1]
    while step >= matching.weighing.precision:
        points, near = (8, 2) if step < 4 else (4, 1)
        gone_y, gone_x = FURTHER, FURTHER
        for _ in range(ROUNDS):
            cy, cx = by, bx
            for k in range(points):
                dy, dx = DIRECTIONS_Y[k], DIRECTIONS_X[k]
                back_y, back_x = abs(dy + gone_y), abs(dx + gone_x)
                if back_y < 2 and back_x < 2 and back_y + back_x <= near:
                    continue
                my, mx = cy + dy * step, cx + dx * step
                if not legal(y, x, size, my, mx, matching.height, matching.width):
                    continue
                rate = weight * mvd_bits(matching, my - predicted[0], mx - predicted[1])
                if rate >= best:
                    continue
                limit = nb.int32(best - rate) + 1
                shown = moved(reference, y, x, my, mx)
                j = sad(own, luma.stride, shown, reference.stride, size, limit) + rate
                if j < best:
                    best = j
                    by, bx = my, mx
            if by == cy and bx == cx:
                break
            gone_y, gone_x = (by - cy) // step, (bx - cx) // step
        step >>= 1
    vector[0], vector[1] = by, bx
    return best


@njit_borrowing
def _error(matching, block, predicted, vectors, chosen, best):
    """SAD of a block from both lists with the bits of its vectors; stops early at ``best``."""
    rate = matching.weighing.sad * bits_of_both(matching, vectors, predicted)
    if rate >= best:
        return best
    limit = nb.int32(min(best - rate, 1e9)) + 1
    return error_of_both(matching, block, vectors, chosen, limit) + rate


@njit_borrowing
def refine_both(matching, block, predicted, vectors, first, chosen):
    """Refine each vector with the other held, list ``first`` first, by steps that get smaller."""
    best = _error(matching, block, predicted, vectors, chosen, NEVER)
    for turn in range(2):
        l = 1 - turn if first == 1 else turn
        step = matching.weighing.both
        while step >= matching.weighing.precision:
            cy, cx = vectors[l, 0], vectors[l, 1]
            by, bx = cy, cx
            for k in range(8):
                vectors[l, 0] = cy + DIRECTIONS_Y[k] * step
                vectors[l, 1] = cx + DIRECTIONS_X[k] * step
                if not legal_vector(matching, block, vectors[l]):
                    continue
                j = _error(matching, block, predicted, vectors, chosen, best)
                if j < best:
                    best = j
                    by, bx = vectors[l, 0], vectors[l, 1]
            vectors[l, 0], vectors[l, 1] = by, bx
            step >>= 1
