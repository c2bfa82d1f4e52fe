"""Motion syntax: a quadtree of 64 to 8 samples a block with merge candidates and motion vector
differences, in adaptive binary contexts.

The motion of a picture is held on a grid of 8x8 luma cells: ``direction`` (0 not yet coded, 1 list
0, 2 list 1, 3 both), ``mv`` [list][y, x] in quarter samples (a block that uses one list also fills
the other's vector, scaled by time distance, for prediction), ``depth`` of the leaf and ``merged``.
A picture's temporal candidate comes from the grid of one of its references.
"""

from __future__ import annotations

import numpy as np

from ..compiled import njit, njit_borrowing
from .contexts import (
    BI_FLAG,
    LEAF_SET,
    LIST_FLAG,
    MAX_DEPTH,
    MERGE,
    MERGE_INDEX,
    MVD_CLASS,
    MVD_TOP,
    NEIGHBOURS,
    SPLIT,
    VECTOR_COMPONENT,
)
from .motion_compensation import BI, L0, L1
from .motion_field import CTU, MAX_MERGE, MV_LIMIT, candidates, fill, predictor
from .range_coder import decode_bit, decode_raw, encode_bit, encode_raw, taken

MVD_BITS = 15  # largest bit length of a vector difference


@njit_borrowing
def split_context(f, y, x, depth):
    """Context of whether a block is split: by how deep the blocks to the left and above are."""
    k = SPLIT + NEIGHBOURS * depth
    if x > 0 and f.depth[y, x - 1] > depth:
        k += 1
    if y > 0 and f.depth[y - 1, x] > depth:
        k += 1
    return k


@njit_borrowing
def merge_context(f, y, x, depth):
    """Context of whether a block is merged: by whether the blocks to the left and above are."""
    k = MERGE + NEIGHBOURS * depth
    if x > 0 and f.merged[y, x - 1]:
        k += 1
    if y > 0 and f.merged[y - 1, x]:
        k += 1
    return k


@njit_borrowing
def set_context(f, y, x, past):
    """Context of "a later set than this", for ``past`` sets that it is not."""
    if past:
        return LEAF_SET + 2 + past
    k = LEAF_SET
    if x > 0 and f.chosen[y, x - 1]:
        k += 1
    if y > 0 and f.chosen[y - 1, x]:
        k += 1
    return k


@njit_borrowing
def bit_length(a):
    """Bits of a number that is not negative; 0 of zero."""
    k = 0
    while a:
        a >>= 1
        k += 1
    return k


@njit_borrowing
def _encode_mvd(coder, comp, d):
    a = abs(d)
    k = bit_length(a)
    for i in range(k):
        encode_bit(coder, MVD_CLASS + VECTOR_COMPONENT * comp + i, 1)
    if k < MVD_BITS:
        encode_bit(coder, MVD_CLASS + VECTOR_COMPONENT * comp + k, 0)
    if k > 1:
        encode_bit(coder, MVD_TOP + VECTOR_COMPONENT * comp + k, (a >> (k - 2)) & 1)
        if k > 2:
            encode_raw(coder, a & ((1 << (k - 2)) - 1), k - 2)
    if k:
        encode_raw(coder, 1 if d < 0 else 0, 1)


@njit_borrowing
def _decode_mvd(coder, comp):
    k = 0
    while k < MVD_BITS and decode_bit(coder, MVD_CLASS + VECTOR_COMPONENT * comp + k):
        k += 1
    if k == 0:
        return 0
    a = 1
    if k > 1:
        a = 2 + decode_bit(coder, MVD_TOP + VECTOR_COMPONENT * comp + k)
        if k > 2:
            a = (a << (k - 2)) + decode_raw(coder, k - 2)
    return -a if decode_raw(coder, 1) else a


@njit
def encode_leaf(coder, f, col, y, x, n, depth, direction, mv, index, chosen):
    """Code a leaf and write it into the grid.

    It is the merge candidate ``index``, or has, with -1, a direction, vectors and a set of weights
    of
    its own.
    """
    k = merge_context(f, y, x, depth)
    if index >= 0:
        encode_bit(coder, k, 1)
        cdir = np.zeros(MAX_MERGE, np.int64)
        cmv = np.zeros((MAX_MERGE, 2, 2), np.int64)
        cset = np.zeros(MAX_MERGE, np.int64)
        m = candidates(f, col, y, x, n, cdir, cmv, cset)
        for i in range(min(index + 1, m - 1)):
            encode_bit(coder, MERGE_INDEX + i, 1 if i < index else 0)
        fill(f, y, x, n, depth, cdir[index], cmv[index], 1, cset[index])
        return
    encode_bit(coder, k, 0)
    if f.dist[1] != 0:
        encode_bit(coder, BI_FLAG + depth, 1 if direction == BI else 0)
        if direction != BI:
            encode_bit(coder, LIST_FLAG, 1 if direction == L1 else 0)
    for past in range(min(chosen + 1, f.blends.size)):
        encode_bit(coder, set_context(f, y, x, past), 1 if past < chosen else 0)
    p = np.zeros((2, 2), np.int64)
    predictor(f, col, y, x, n, p)
    for l in range(2):
        if direction & (1 << l):
            for c in range(2):
                _encode_mvd(coder, c, mv[l, c] - p[l, c])
    fill(f, y, x, n, depth, direction, mv, 0, chosen)


@njit
def decode_leaf(coder, f, col, y, x, n, depth, vector_bits):
    """Read a block of the quadtree that is not split, at cell (y, x) with n cells a side, into the
    field; ``vector_bits`` counts what its vectors took."""
    mv = np.zeros((2, 2), np.int64)
    if decode_bit(coder, merge_context(f, y, x, depth)):
        cdir = np.zeros(MAX_MERGE, np.int64)
        cmv = np.zeros((MAX_MERGE, 2, 2), np.int64)
        cset = np.zeros(MAX_MERGE, np.int64)
        m = candidates(f, col, y, x, n, cdir, cmv, cset)
        index = 0
        while index < m - 1 and decode_bit(coder, MERGE_INDEX + index):
            index += 1
        fill(f, y, x, n, depth, cdir[index], cmv[index], 1, cset[index])
        return
    direction = L0
    if f.dist[1] != 0:
        if decode_bit(coder, BI_FLAG + depth):
            direction = BI
        elif decode_bit(coder, LIST_FLAG):
            direction = L1
    chosen = 0
    while chosen < f.blends.size and decode_bit(coder, set_context(f, y, x, chosen)):
        chosen += 1
    predictor(f, col, y, x, n, mv)
    before = taken(coder)
    for l in range(2):
        if direction & (1 << l):
            for c in range(2):
                v = mv[l, c] + _decode_mvd(coder, c)
                mv[l, c] = min(max(v, -MV_LIMIT), MV_LIMIT)
    vector_bits[0] += taken(coder) - before
    fill(f, y, x, n, depth, direction, mv, 0, chosen)


@njit
def decode_motion(coder, f, col, leaves, vector_bits):
    """Decode the motion of a picture into the grid f; leaves (cells, 3) int32 receives row, column,
    size; returns their number.

    The bits of motion vector differences are added to ``vector_bits`` (1,) float64; all others are
    those of the modes.
    """
    h, w = f.direction.shape
    stack = np.zeros((64, 3), np.int64)
    n_leaves = 0
    for ty in range(0, h, CTU):
        for tx in range(0, w, CTU):
            top = 1
            stack[0] = (ty, tx, 0)
            while top:
                top -= 1
                y, x, depth = stack[top, 0], stack[top, 1], stack[top, 2]
                n = CTU >> depth
                if depth < MAX_DEPTH and decode_bit(coder, split_context(f, y, x, depth)):
                    s = n >> 1
                    for k in range(3, -1, -1):  # the first quarter is taken off the stack first
                        stack[top, 0] = y + s * (k >> 1)
                        stack[top, 1] = x + s * (k & 1)
                        stack[top, 2] = depth + 1
                        top += 1
                else:
                    decode_leaf(coder, f, col, y, x, n, depth, vector_bits)
                    leaves[n_leaves, 0] = y
                    leaves[n_leaves, 1] = x
                    leaves[n_leaves, 2] = n
                    n_leaves += 1
    return n_leaves
