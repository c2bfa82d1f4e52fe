"""How a block is predicted best: a merge candidate, or new vectors of one list or both.

By J = expected cost of the residual + bits as the contexts stand.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..codec.contexts import BI_FLAG, LIST_FLAG, MERGE_INDEX
from ..codec.motion_compensation import BI, L0, L1
from ..codec.motion_field import MAX_MERGE, Field, candidates, predictor
from ..codec.motion_syntax import merge_context, set_context
from ..compiled import njit, njit_borrowing
from .motion_costs import (
    NEVER,
    Matching,
    bits_of_both,
    copied,
    legal_vector,
    residual_bits,
    vector_bits,
)
from .vector_search import AROUND, best_start, best_vector, refine_both

BOTH_MARGIN = 1.15  # a J of both lists within this of the best is worth refining
WEIGHTS_MARGIN = 1.1  # sets of weights whose first J is beyond this of the best are left alone
NEW = -1  # in the place of a merge index: own vectors


class Merges(NamedTuple):
    """Merge candidates of a block; the first ``number`` are there."""

    directions: np.ndarray  # (MAX_MERGE,) int64
    vectors: np.ndarray  # (MAX_MERGE, 2, 2) int64
    sets: np.ndarray  # (MAX_MERGE,) int64: of weights
    number: int


class Room(NamedTuple):
    """Arrays that every block uses anew."""

    directions: np.ndarray  # of merge candidates, as in Merges
    vectors: np.ndarray
    sets: np.ndarray
    predicted: np.ndarray  # (2, 2) int64
    both: np.ndarray  # (2, 2) int64: vectors of both lists while they are refined
    found: np.ndarray  # (sets + 1, 2, 2) int64: best vectors under each set of weights
    single: np.ndarray  # (sets + 1, 2): their J by SAD
    rates: np.ndarray  # (2,): bits of vectors
    tried: np.ndarray  # int64: starting vectors that were looked at


class Search(NamedTuple):
    """What the search of a picture works on."""

    matching: Matching
    starts: np.ndarray  # (2, H/16, W/16, 2) int32: quarter samples
    field: Field  # empty, filled by the search
    collocated: Field  # of a reference
    room: Room


@njit
def room_for(sets):
    """Room for a search with so many sets of weights, without set 0."""
    return Room(
        np.zeros(MAX_MERGE, np.int64),
        np.zeros((MAX_MERGE, 2, 2), np.int64),
        np.zeros(MAX_MERGE, np.int64),
        np.zeros((2, 2), np.int64),
        np.zeros((2, 2), np.int64),
        np.zeros((sets + 1, 2, 2), np.int64),
        np.zeros((sets + 1, 2)),
        np.zeros(2),
        np.zeros(3 + AROUND + MAX_MERGE, np.int64),
    )


@njit_borrowing
def _keep(vectors, direction, index, chosen, mv, info):
    """Note how a block is predicted best so far; index: of its merge candidate, or NEW."""
    info[0], info[1], info[2] = direction, index, chosen
    copied(vectors, mv)


@njit_borrowing
def _best_merge(matching, block, merges, flag, mv, info):
    """Lowest J of the merge candidates; mv and info receive it. flag: context of the merge flag."""
    bits = matching.costs.bits
    best = NEVER
    before = bits[flag, 1]
    for k in range(merges.number):
        rate = before
        if k < merges.number - 1:
            rate += bits[MERGE_INDEX + k, 0]
            before += bits[MERGE_INDEX + k, 1]
        direction, vectors = merges.directions[k], merges.vectors[k]
        if (direction & L0 and not legal_vector(matching, block, vectors[0])) or (
            direction & L1 and not legal_vector(matching, block, vectors[1])
        ):
            continue
        j = rate + residual_bits(matching, block, vectors, direction, merges.sets[k], best - rate)
        if j < best:
            best = j
            _keep(vectors, direction, k, merges.sets[k], mv, info)
    return best


@njit_borrowing
def _best_of_one(matching, block, head, two, room, chosen, best, mv, info):
    """Lowest J, at most ``best``, with new vectors of one list; head: bits before direction."""
    bits, found = matching.costs.bits, room.found[chosen]
    for l in range(2 if two else 1):
        if room.single[chosen, l] == NEVER:
            continue
        direction, rate = L0 if l == 0 else L1, head + room.rates[l]
        if two:
            rate += bits[BI_FLAG + block.depth, 0] + bits[LIST_FLAG, l]
        j = rate + residual_bits(matching, block, found, direction, chosen, best - rate)
        if j < best:
            best = j
            _keep(found, direction, NEW, chosen, mv, info)
    return best


@njit_borrowing
def _best_of_both(matching, block, head, room, chosen, best, mv, info):
    """Lowest J, at most ``best``, with new vectors of both lists; head: bits before direction."""
    found, vectors, predicted = room.found[chosen], room.both, room.predicted
    head += matching.costs.bits[BI_FLAG + block.depth, 1]
    rate, margin = head + room.rates[0] + room.rates[1], BOTH_MARGIN * best
    j = rate + residual_bits(matching, block, found, BI, chosen, margin - rate)
    if j < best:
        best = j
        _keep(found, BI, NEW, chosen, mv, info)
    if j < margin and matching.weighing.both:
        copied(found, vectors)
        first = 1 if room.single[chosen, 0] < room.single[chosen, 1] else 0
        refine_both(matching, block, predicted, vectors, first, chosen)
        rate = head + bits_of_both(matching, vectors, predicted)
        j = rate + residual_bits(matching, block, vectors, BI, chosen, best - rate)
        if j < best:
            best = j
            _keep(vectors, BI, NEW, chosen, mv, info)
    return best


@njit_borrowing
def _set_bits(search, block, chosen):
    """Bits of the choice of a set of weights."""
    bits, field = search.matching.costs.bits, search.field
    total = 0.0
    for past in range(min(chosen + 1, field.blends.size)):
        context = set_context(field, block.row, block.column, past)
        total += bits[context, 1 if past < chosen else 0]
    return total


@njit_borrowing
def _find_starts(matching, block, merges, starts, lists, room, parent):
    """The best starting vector of each list and set of weights, into ``room``."""
    for chosen in range(room.single.shape[0]):
        for l in range(2):
            room.single[chosen, l] = NEVER
            room.found[chosen, l, 0] = room.found[chosen, l, 1] = 0
        for l in range(lists):
            room.single[chosen, l] = best_start(
                matching, block, merges, starts[l], l, room.predicted[l], parent[l], chosen,
                room.found[chosen, l], room.tried,
            )  # fmt: skip


@njit_borrowing
def leaf(search, block, parent, mv, info):
    """Lowest J of a block as one leaf; mv (2, 2) and info (3,) receive how.

    parent (2, 2): the vectors found for the larger block around it; receives those of this one.
    """
    field, room, matching = search.field, search.room, search.matching
    row, column, cells = block.row, block.column, block.cells
    count = candidates(
        field, search.collocated, row, column, cells, room.directions, room.vectors, room.sets
    )
    merges = Merges(room.directions, room.vectors, room.sets, count)
    flag = merge_context(field, row, column, block.depth)
    best = _best_merge(matching, block, merges, flag, mv, info)
    head = matching.costs.bits[flag, 0]
    if best < head + matching.weighing.enough:
        copied(mv, parent)
        return best
    predictor(field, search.collocated, row, column, cells, room.predicted)
    two = field.dist[1] != 0
    lists, single, found = 2 if two else 1, room.single, room.found
    _find_starts(matching, block, merges, search.starts, lists, room, parent)
    limit, least = NEVER, NEVER
    for chosen in range(field.blends.size + 1):
        limit = min(limit, WEIGHTS_MARGIN * min(single[chosen, 0], single[chosen, 1]))
    for chosen in range(field.blends.size + 1):
        if min(single[chosen, 0], single[chosen, 1]) > limit:
            continue
        for l in range(lists):
            single[chosen, l] = best_vector(
                matching, block, l, room.predicted[l], single[chosen, l], chosen, found[chosen, l]
            )
        of_one = min(single[chosen, 0], single[chosen, 1])
        if of_one < least:
            least = of_one
            copied(found[chosen], parent)
        bits = head + _set_bits(search, block, chosen)
        best = _best_new(matching, block, bits, two, room, chosen, best, mv, info)
    return best


@njit_borrowing
def _best_new(matching, block, head, two, room, chosen, best, mv, info):
    """Lowest J, at most ``best``, with the new vectors found under a set of weights."""
    for l in range(2):
        room.rates[l] = vector_bits(matching, room.found[chosen, l], room.predicted[l])
    best = _best_of_one(matching, block, head, two, room, chosen, best, mv, info)
    if two and room.single[chosen, 0] < NEVER and room.single[chosen, 1] < NEVER:
        best = _best_of_both(matching, block, head, room, chosen, best, mv, info)
    return best
