"""Encoder's motion search: quadtree, merge candidates, vectors and directions by J = expected cost of the residual + adaptive bits.

Works on 8-bit luma: all sixteen quarter-sample phases of a reference are interpolated once. Vectors are refined by plain sums of
absolute differences; modes and splits are decided in bits: each 8x8 cell of squared error e a sample costs lambda * e where
that is below the distortion D that the frame's quality leaves anyway, and lambda * D * (1 + ln(e / D)) above it, what coding it
down to D would take (reverse water-filling). The decision is taken block by block in coding order, bottom-up inside each 64x64
block, with the costs of the contexts as they stand, and is coded at once.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from ..codec.contexts import BI_FLAG, LIST_FLAG, MERGE_INDEX, MVD_CLASS, MVD_TOP, VECTOR_COMPONENT
from ..codec.motion_compensation import BI, L0, L1
from ..codec.motion_field import CTU, MAX_DEPTH, MAX_MERGE, candidates, fill, predictor
from ..codec.motion_syntax import MVD_BITS, bit_length, encode_leaf, merge_context, split_context
from ..codec.range_coder import bit_costs, encode_bit
from ..compiled import njit
from .block_matching import PAD, legal, sad, sad_bi


@njit
def residual_bits(p0, p1, cur, y, x, mv, direction, n, worth, floor):
    """Expected cost in bits of the n x n block at (y, x) under a prediction.

    worth: bits that one unit of squared error of a sample is worth; floor: squared error a sample that is left anyway.
    """
    l = 0 if direction & L0 else 1
    a = (p0 if l == 0 else p1)[mv[l, 0] & 3, mv[l, 1] & 3]
    r, c = y + (mv[l, 0] >> 2) + PAD, x + (mv[l, 1] >> 2) + PAD
    b = p1[mv[1, 0] & 3, mv[1, 1] & 3]
    q, d = y + (mv[1, 0] >> 2) + PAD, x + (mv[1, 1] >> 2) + PAD
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
def _refine(ph, cur, y, x, n, pv, start, lam, table, h, w, first, mv):
    """Pattern search around mv (its J is ``start``) with steps first, ..., 4 (one sample), 2, 1 quarter samples; returns the best J."""
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
                j = sad(ph, cur, y, x, my, mx, n, nb.int32(best - rb) + 1) + rb
                if j < best:
                    best = j
                    mv[0], mv[1] = my, mx
                    moved = True
        st >>= 1
    return best


@njit
def _leaf(
    f, col, cur, p0, p1, flow, cost, table, lam, worth, floor, yc, xc, n, depth, parent, mv, info
):
    """Best leaf for the block of n cells at (yc, xc): its J; mv (2, 2) and info [direction, merge index] receive it.

    parent (2, 2): the vectors found for the larger block around it.
    """
    h, w = cur.shape
    two = f.dist[1] != 0
    y, x, s = yc * 8, xc * 8, n * 8
    mc = merge_context(f, yc, xc, depth)
    cdir = np.zeros(MAX_MERGE, np.int64)
    cmv = np.zeros((MAX_MERGE, 2, 2), np.int64)
    m = candidates(f, col, yc, xc, n, cdir, cmv)
    best = 1e18
    acc = cost[mc, 1]
    for k in range(m):
        rb = acc
        if k < m - 1:
            rb += cost[MERGE_INDEX + k, 0]
            acc += cost[MERGE_INDEX + k, 1]
        d = cdir[k]
        if (d & L0 and not legal(y, x, s, cmv[k, 0, 0], cmv[k, 0, 1], h, w)) or (
            d & L1 and not legal(y, x, s, cmv[k, 1, 0], cmv[k, 1, 1], h, w)
        ):
            continue
        j = residual_bits(p0, p1, cur, y, x, cmv[k], d, s, worth, floor) + rb
        if j < best:
            best = j
            info[0], info[1] = d, k
            mv[:] = cmv[k]
    if best < cost[mc, 0] + 6:  # new vectors cost at least about this: they cannot win
        parent[:] = mv
        return best
    pv = np.zeros((2, 2), np.int64)
    predictor(f, col, yc, xc, n, pv)
    found = np.zeros((2, 2), np.int64)
    uni = np.full(2, 1e18)
    for l in range(2 if two else 1):
        ph = p0 if l == 0 else p1
        v = found[l]
        b = 1e18
        starts = flow.shape[1]
        for k in range(3 + starts + m):
            if k == 0:
                my, mx = pv[l, 0], pv[l, 1]
            elif k == 1:
                my, mx = parent[l, 0], parent[l, 1]
            elif k == 2:
                my, mx = 0, 0
            elif k < 3 + starts:
                my, mx = (
                    nb.int64(flow[l, k - 3, yc + n // 2, xc + n // 2, 0]),
                    nb.int64(flow[l, k - 3, yc + n // 2, xc + n // 2, 1]),
                )
            else:
                if not cdir[k - 3 - starts] & (1 << l):
                    continue
                my, mx = cmv[k - 3 - starts, l, 0], cmv[k - 3 - starts, l, 1]
            if not legal(y, x, s, my, mx, h, w):
                continue
            rb = lam * _mvd(table, my - pv[l, 0], mx - pv[l, 1])
            if rb >= b:
                continue
            j = sad(ph, cur, y, x, my, mx, s, nb.int32(min(b - rb, 1e9)) + 1) + rb
            if j < b:
                b = j
                v[0], v[1] = my, mx
        if b < 1e17:
            uni[l] = _refine(ph, cur, y, x, s, pv[l], b, lam, table, h, w, 8, v)
    parent[:] = found
    head = cost[mc, 0]
    vb = np.zeros(2)
    for l in range(2):
        vb[l] = _mvd(table, found[l, 0] - pv[l, 0], found[l, 1] - pv[l, 1])
    for l in range(2 if two else 1):
        if uni[l] > 1e17:
            continue
        d = L0 if l == 0 else L1
        j = residual_bits(p0, p1, cur, y, x, found, d, s, worth, floor) + head + vb[l]
        if two:
            j += cost[BI_FLAG + depth, 0] + cost[LIST_FLAG, l]
        if j < best:
            best = j
            info[0], info[1] = d, -1
            mv[:] = found
    if two and uni[0] < 1e17 and uni[1] < 1e17:
        head += cost[BI_FLAG + depth, 1]
        j = residual_bits(p0, p1, cur, y, x, found, BI, s, worth, floor) + head + vb[0] + vb[1]
        if j < 1.15 * best:  # worth refining each vector with the other held
            trial = found.copy()
            rb = vb[0] + vb[1]
            b = sad_bi(p0, p1, cur, y, x, trial, s) + lam * rb
            for it in range(2):
                l = 1 - it if uni[0] < uni[1] else it
                for st in (2, 1):
                    cy, cx = trial[l, 0], trial[l, 1]
                    by, bx = cy, cx
                    for k in range(8):
                        trial[l, 0] = cy + (-1, 1, 0, 0, -1, -1, 1, 1)[k] * st
                        trial[l, 1] = cx + (0, 0, -1, 1, -1, 1, -1, 1)[k] * st
                        if not legal(y, x, s, trial[l, 0], trial[l, 1], h, w):
                            continue
                        rb = _mvd(table, trial[0, 0] - pv[0, 0], trial[0, 1] - pv[0, 1]) + _mvd(
                            table, trial[1, 0] - pv[1, 0], trial[1, 1] - pv[1, 1]
                        )
                        j = sad_bi(p0, p1, cur, y, x, trial, s) + lam * rb
                        if j < b:
                            b = j
                            by, bx = trial[l, 0], trial[l, 1]
                    trial[l, 0], trial[l, 1] = by, bx
            rb = _mvd(table, trial[0, 0] - pv[0, 0], trial[0, 1] - pv[0, 1]) + _mvd(
                table, trial[1, 0] - pv[1, 0], trial[1, 1] - pv[1, 1]
            )
            j = residual_bits(p0, p1, cur, y, x, trial, BI, s, worth, floor) + head + rb
            if j < best:
                best = j
                info[0], info[1] = BI, -1
                mv[:] = trial
    return best


@njit
def _clear(f, y, x, n):
    for r in range(y, y + n):
        for c in range(x, x + n):
            f.direction[r, c] = 0


@njit
def search(coder, f, col, cur, p0, p1, flow, lam, worth, floor, leaves):
    """Decide and code the motion of a picture.

    coder: range coder and contexts; f: empty field, filled here; col: field of a reference; cur (H, W) uint8 luma;
    p0, p1: phases of the references (the same twice when there is one); flow (2, K, H/8, W/8, 2) int32: K starting
    vectors a cell and list, in quarter samples; lam: SAD per bit; worth, floor: see :func:`residual_bits`; leaves (cells, 3)
    int32 receives row, column, size. Returns the number of leaves.
    """
    gh, gw = f.direction.shape
    cost = np.zeros((coder.contexts.shape[0], 2), np.float32)
    table = np.zeros((2, MVD_BITS + 1), np.float32)
    # best of the leaf at each depth, and its J; the split's J so far
    mv = np.zeros((4, 2, 2), np.int64)
    info = np.zeros((4, 2), np.int64)
    parent = np.zeros((5, 2, 2), np.int64)
    # decision of the current 64x64 block: for each 8x8 cell that starts a leaf, its depth, info and vectors
    d_depth = np.zeros((CTU, CTU), np.int64)
    d_info = np.zeros((CTU, CTU, 2), np.int64)
    d_mv = np.zeros((CTU, CTU, 2, 2), np.int64)
    jleaf = np.zeros(4)
    jsplit = np.zeros(4)
    pos = np.zeros(4, np.int64)
    n_leaves = 0
    for ty in range(0, gh, CTU):
        for tx in range(0, gw, CTU):
            bit_costs(coder.contexts, cost)
            mvd_costs(cost, table)
            parent[0] = 0
            # depth-first walk without recursion: pos[d] is the next quarter to visit at depth d
            depth = 0
            pos[:] = 0
            y, x = ty, tx
            ys = np.zeros(4, np.int64)
            xs = np.zeros(4, np.int64)
            ys[0], xs[0] = ty, tx
            enter = True
            while True:
                n = CTU >> depth
                y, x = ys[depth], xs[depth]
                if enter:
                    parent[depth + 1] = parent[depth]
                    jleaf[depth] = _leaf(
                        f,
                        col,
                        cur,
                        p0,
                        p1,
                        flow,
                        cost,
                        table,
                        lam,
                        worth,
                        floor,
                        y,
                        x,
                        n,
                        depth,
                        parent[depth + 1],
                        mv[depth],
                        info[depth],
                    )
                    if depth < MAX_DEPTH:
                        sc = split_context(f, y, x, depth)
                        jleaf[depth] += cost[sc, 0]
                        jsplit[depth] = cost[sc, 1]
                    # a split costs at least its own flag and a few of its quarters
                    if depth < MAX_DEPTH and jleaf[depth] > jsplit[depth] + 2.0:
                        pos[depth] = 0
                        ys[depth + 1], xs[depth + 1] = y, x
                        depth += 1
                        continue
                    take_leaf = True
                else:
                    # a quarter came back with its J added
                    pos[depth] += 1
                    if pos[depth] < 4 and jsplit[depth] < jleaf[depth]:
                        s = n >> 1
                        ys[depth + 1], xs[depth + 1] = (
                            y + s * (pos[depth] >> 1),
                            x + s * (pos[depth] & 1),
                        )
                        depth += 1
                        enter = True
                        continue
                    take_leaf = jleaf[depth] <= jsplit[depth] or pos[depth] < 4
                if take_leaf:
                    j = jleaf[depth]
                    d_depth[y - ty, x - tx] = depth
                    d_info[y - ty, x - tx] = info[depth]
                    d_mv[y - ty, x - tx] = mv[depth]
                    fill(
                        f,
                        y,
                        x,
                        n,
                        depth,
                        info[depth, 0],
                        mv[depth].copy(),
                        1 if info[depth, 1] >= 0 else 0,
                    )
                else:
                    j = jsplit[depth]
                if depth == 0:
                    break
                depth -= 1
                jsplit[depth] += j
                enter = False
            # code what was decided
            _clear(f, ty, tx, CTU)
            stack = np.zeros((64, 3), np.int64)
            stack[0] = (ty, tx, 0)
            top = 1
            while top:
                top -= 1
                y, x, depth = stack[top, 0], stack[top, 1], stack[top, 2]
                n = CTU >> depth
                split = d_depth[y - ty, x - tx] > depth
                if depth < MAX_DEPTH:
                    encode_bit(coder, split_context(f, y, x, depth), 1 if split else 0)
                if split:
                    s = n >> 1
                    for k in range(3, -1, -1):
                        stack[top] = (y + s * (k >> 1), x + s * (k & 1), depth + 1)
                        top += 1
                else:
                    i = d_info[y - ty, x - tx]
                    encode_leaf(coder, f, col, y, x, n, depth, i[0], d_mv[y - ty, x - tx], i[1])
                    leaves[n_leaves, 0] = y
                    leaves[n_leaves, 1] = x
                    leaves[n_leaves, 2] = n
                    n_leaves += 1
    return n_leaves
