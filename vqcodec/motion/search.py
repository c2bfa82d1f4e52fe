"""Encoder's motion search: quadtree, merge candidates, vectors and directions by J = expected cost of the residual + adaptive bits.

Works on 8-bit luma: all sixteen quarter-sample phases of a reference are interpolated once. Vectors are refined by plain sums of
absolute differences; modes and splits are decided in bits: each 8x8 cell of squared error e a sample costs lambda * e where
that is below the distortion D that the frame's quality leaves anyway, and lambda * D * (1 + ln(e / D)) above it, what coding it
down to D would take (reverse water-filling). The decision is taken block by block in coding order, bottom-up inside each 64x64
block, with the costs of the contexts as they stand, and is coded at once.
"""

from __future__ import annotations

import threading

import cv2
import numba as nb
import numpy as np

from ..compiled import njit
from ..entropy import bit_costs, encode_bit
from .code import (
    BI_FLAG,
    CONTEXTS,
    CTU,
    LIST_FLAG,
    MAX_MERGE,
    MERGE_INDEX,
    MV_LIMIT,
    MVD_CLASS,
    MVD_TOP,
    Field,
    bit_length,
    candidates,
    encode_leaf,
    fill,
    merge_context,
    predictor,
    split_context,
)
from .predict import BI, L0, L1, LUMA

PAD = 80  # how far a block may lie outside the reference, in samples
_BIG = 1 << 29


@njit
def phases(plane):
    """(H, W) uint16 of 10 bits -> (4, 4, H + 2 PAD, W + 2 PAD) uint8: [vertical][horizontal] quarter-sample phases, border repeated."""
    h, w = plane.shape
    hh, ww = h + 2 * PAD, w + 2 * PAD
    out = np.empty((4, 4, hh, ww), np.uint8)
    src = np.empty((hh + 7, ww + 7), np.int32)
    for j in range(hh + 7):
        y = min(max(j - PAD - 3, 0), h - 1)
        for i in range(PAD + 3):
            src[j, i] = plane[y, 0]
        for i in range(w):
            src[j, i + PAD + 3] = plane[y, i]
        for i in range(w + PAD + 3, ww + 7):
            src[j, i] = plane[y, w - 1]
    mid = np.empty((hh + 7, ww), np.int32)
    for fx in range(4):
        b0, b1, b2, b3, b4, b5, b6, b7 = LUMA[fx, 0], LUMA[fx, 1], LUMA[fx, 2], LUMA[fx, 3], LUMA[fx, 4], LUMA[fx, 5], LUMA[fx, 6], LUMA[fx, 7]
        for j in range(hh + 7):
            s = src[j]
            m = mid[j]
            if fx == 0:
                for i in range(ww):
                    m[i] = s[i + 3] << 4
            else:
                for i in range(ww):
                    m[i] = (b0 * s[i] + b1 * s[i + 1] + b2 * s[i + 2] + b3 * s[i + 3] + b4 * s[i + 4] + b5 * s[i + 5] + b6 * s[i + 6] + b7 * s[i + 7]) >> 2
        for fy in range(4):
            a0, a1, a2, a3, a4, a5, a6, a7 = LUMA[fy, 0], LUMA[fy, 1], LUMA[fy, 2], LUMA[fy, 3], LUMA[fy, 4], LUMA[fy, 5], LUMA[fy, 6], LUMA[fy, 7]
            for j in range(hh):
                o = out[fy, fx, j]
                m0, m1, m2, m3, m4, m5, m6, m7 = mid[j], mid[j + 1], mid[j + 2], mid[j + 3], mid[j + 4], mid[j + 5], mid[j + 6], mid[j + 7]
                if fy == 0:
                    for i in range(ww):
                        o[i] = min(max((m3[i] + 32) >> 6, 0), 255)
                else:
                    for i in range(ww):
                        v = (a0 * m0[i] + a1 * m1[i] + a2 * m2[i] + a3 * m3[i] + a4 * m4[i] + a5 * m5[i] + a6 * m6[i] + a7 * m7[i] + 2048) >> 12
                        o[i] = min(max(v, 0), 255)
    return out


@njit
def legal(y, x, n, my, mx, h, w):
    if abs(my) > MV_LIMIT or abs(mx) > MV_LIMIT:
        return False
    r, c = y + (my >> 2), x + (mx >> 2)
    return r > 8 - PAD and c > 8 - PAD and r + n < h + PAD - 8 and c + n < w + PAD - 8


@njit
def sad(ph, cur, y, x, my, mx, n, best):
    """SAD of the n x n block at (y, x) moved by (my, mx); may stop early above ``best``."""
    p = ph[my & 3, mx & 3]
    r, c = y + (my >> 2) + PAD, x + (mx >> 2) + PAD
    s = nb.int32(0)
    if n == 8:
        for j in range(8):
            for i in range(8):
                s += abs(nb.int32(p[r + j, c + i]) - nb.int32(cur[y + j, x + i]))
        return s
    for j in range(n):
        for k in range(0, n, 16):
            for i in range(16):
                s += abs(nb.int32(p[r + j, c + k + i]) - nb.int32(cur[y + j, x + k + i]))
        if s >= best:
            return s
    return s


@njit
def sad_bi(p0, p1, cur, y, x, mv, n):
    a, b = p0[mv[0, 0] & 3, mv[0, 1] & 3], p1[mv[1, 0] & 3, mv[1, 1] & 3]
    r, c = y + (mv[0, 0] >> 2) + PAD, x + (mv[0, 1] >> 2) + PAD
    q, d = y + (mv[1, 0] >> 2) + PAD, x + (mv[1, 1] >> 2) + PAD
    s = nb.int32(0)
    for j in range(n):
        for k in range(0, n, 8):
            for i in range(8):
                v = (nb.int32(a[r + j, c + k + i]) + nb.int32(b[q + j, d + k + i]) + 1) >> 1
                s += abs(v - nb.int32(cur[y + j, x + k + i]))
    return s


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
                        v = (nb.int32(a[r + j, c + i0 + i]) + nb.int32(b[q + j, d + i0 + i]) + 1) >> 1
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
    """out (2, 16) float32: bits of a vector difference of bit length k per component."""
    for comp in range(2):
        acc = 0.0
        for k in range(16):
            c = acc
            if k < 15:
                c += cost[MVD_CLASS + 16 * comp + k, 0]
                acc += cost[MVD_CLASS + 16 * comp + k, 1]
            if k > 1:
                c += 0.5 * (cost[MVD_TOP + 16 * comp + k, 0] + cost[MVD_TOP + 16 * comp + k, 1]) + k - 2
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
def _leaf(f, col, cur, p0, p1, flow, cost, table, lam, worth, floor, yc, xc, n, depth, parent, mv, info):
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
        if (d & L0 and not legal(y, x, s, cmv[k, 0, 0], cmv[k, 0, 1], h, w)) or (d & L1 and not legal(y, x, s, cmv[k, 1, 0], cmv[k, 1, 1], h, w)):
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
                my, mx = nb.int64(flow[l, k - 3, yc + n // 2, xc + n // 2, 0]), nb.int64(flow[l, k - 3, yc + n // 2, xc + n // 2, 1])
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
                        rb = _mvd(table, trial[0, 0] - pv[0, 0], trial[0, 1] - pv[0, 1]) + _mvd(table, trial[1, 0] - pv[1, 0], trial[1, 1] - pv[1, 1])
                        j = sad_bi(p0, p1, cur, y, x, trial, s) + lam * rb
                        if j < b:
                            b = j
                            by, bx = trial[l, 0], trial[l, 1]
                    trial[l, 0], trial[l, 1] = by, bx
            rb = _mvd(table, trial[0, 0] - pv[0, 0], trial[0, 1] - pv[0, 1]) + _mvd(table, trial[1, 0] - pv[1, 0], trial[1, 1] - pv[1, 1])
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
def search(st, out, ctx, f, col, cur, p0, p1, flow, lam, worth, floor, leaves):
    """Decide and code the motion of a picture.

    st, out, ctx: range coder and contexts; f: empty field, filled here; col: field of a reference; cur (H, W) uint8 luma;
    p0, p1: phases of the references (the same twice when there is one); flow (2, K, H/8, W/8, 2) int32: K starting
    vectors a cell and list, in quarter samples; lam: SAD per bit; worth, floor: see :func:`residual_bits`; leaves (cells, 3)
    int32 receives row, column, size. Returns the number of leaves.
    """
    gh, gw = f.direction.shape
    cost = np.zeros((ctx.shape[0], 2), np.float32)
    table = np.zeros((2, 16), np.float32)
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
            bit_costs(ctx, cost)
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
                    jleaf[depth] = _leaf(f, col, cur, p0, p1, flow, cost, table, lam, worth, floor, y, x, n, depth, parent[depth + 1], mv[depth], info[depth])
                    if depth < 3:
                        sc = split_context(f, y, x, depth)
                        jleaf[depth] += cost[sc, 0]
                        jsplit[depth] = cost[sc, 1]
                    # a split costs at least its own flag and a few of its quarters
                    if depth < 3 and jleaf[depth] > jsplit[depth] + 2.0:
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
                        ys[depth + 1], xs[depth + 1] = y + s * (pos[depth] >> 1), x + s * (pos[depth] & 1)
                        depth += 1
                        enter = True
                        continue
                    take_leaf = jleaf[depth] <= jsplit[depth] or pos[depth] < 4
                if take_leaf:
                    j = jleaf[depth]
                    d_depth[y - ty, x - tx] = depth
                    d_info[y - ty, x - tx] = info[depth]
                    d_mv[y - ty, x - tx] = mv[depth]
                    fill(f, y, x, n, depth, info[depth, 0], mv[depth].copy(), 1 if info[depth, 1] >= 0 else 0)
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
                if depth < 3:
                    encode_bit(st, out, ctx, split_context(f, y, x, depth), 1 if split else 0)
                if split:
                    s = n >> 1
                    for k in range(3, -1, -1):
                        stack[top] = (y + s * (k >> 1), x + s * (k & 1), depth + 1)
                        top += 1
                else:
                    i = d_info[y - ty, x - tx]
                    encode_leaf(st, out, ctx, f, col, y, x, n, depth, i[0], d_mv[y - ty, x - tx], i[1])
                    leaves[n_leaves, 0] = y
                    leaves[n_leaves, 1] = x
                    leaves[n_leaves, 2] = n
                    n_leaves += 1
    return n_leaves


@njit
def _block_match(cur, ref, block, reach, smooth, out):
    """Full search of block x block blocks within +-reach whole samples by SAD + smooth * |vector|; out (h, w, 2) [y, x]."""
    h, w = cur.shape
    for by in range(0, h // block):
        for bx in range(0, w // block):
            y, x = by * block, bx * block
            best = nb.int32(1 << 30)
            for dy in range(-reach, reach + 1):
                if y + dy < 0 or y + dy + block > h:
                    continue
                for dx in range(-reach, reach + 1):
                    if x + dx < 0 or x + dx + block > w:
                        continue
                    s = nb.int32(smooth * (abs(dy) + abs(dx)))
                    for j in range(block):
                        for k in range(0, block, 8):
                            for i in range(8):
                                s += abs(nb.int32(cur[y + j, x + k + i]) - nb.int32(ref[y + dy + j, x + dx + k + i]))
                        if s >= best:
                            break
                    if s < best:
                        best = s
                        out[by, bx, 0], out[by, bx, 1] = dy, dx


def coarse_vectors(cur: np.ndarray, ref: np.ndarray, distance: int) -> np.ndarray:
    """(2, H/8, W/8, 2) int32 starting vectors in quarter samples: full search at a quarter of the resolution, in blocks of 64 and of 32
    samples. Finds the large motion over ``distance`` frames that the flow's local minima miss."""
    h, w = cur.shape
    reach = min(24, 8 + 2 * abs(distance))
    a, b = (p.reshape(h // 4, 4, w // 4, 4).mean((1, 3)).astype(np.uint8) for p in (cur, ref))
    out = np.empty((2, h // 8, w // 8, 2), np.int32)
    for k, block in enumerate((16, 8)):
        v = np.zeros((h // 4 // block, w // 4 // block, 2), np.int32)
        _block_match(a, b, block, reach, block // 2, v)
        out[k] = np.repeat(np.repeat(v * 16, block // 2, 0), block // 2, 1)
    return out


_local = threading.local()  # a DIS object holds state of the pair it works on


def optical_flow(cur: np.ndarray, ref: np.ndarray) -> np.ndarray:
    """(H, W) uint8 pictures -> (H/8, W/8, 2) int32 [y, x] vectors from cur to ref in quarter samples (DIS flow, Kroeger et al. 2016)."""
    if not hasattr(_local, "dis"):
        cv2.setNumThreads(1)
        _local.dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    h, w = cur.shape
    v = _local.dis.calc(cur, ref, None).reshape(h // 8, 8, w // 8, 8, 2)
    v = np.median(v[:, 2:6:3, :, 2:6:3].transpose(0, 2, 1, 3, 4).reshape(h // 8, w // 8, 4, 2), axis=2)
    return np.rint(v[..., ::-1] * 4).astype(np.int32)


__all__ = ["PAD", "coarse_vectors", "optical_flow", "phases", "search", "Field", "CONTEXTS"]
