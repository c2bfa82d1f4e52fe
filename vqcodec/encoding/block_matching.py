"""Interpolated references, sums of absolute differences, coarse search and optical flow."""

from __future__ import annotations

import threading

import cv2
import numba as nb
import numpy as np

from ..codec.motion_compensation import LUMA
from ..codec.motion_field import MV_LIMIT
from ..compiled import njit

PAD = 80  # how far a block may lie outside the reference, in samples
_BIG = 1 << 29


@njit
def phases(plane):
    """(H, W) uint16 of 10 bits -> (4, 4, H + 2 PAD, W + 2 PAD) uint8: [vertical][horizontal]
    quarter-sample phases, border repeated."""
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
        b0, b1, b2, b3, b4, b5, b6, b7 = (
            LUMA[fx, 0],
            LUMA[fx, 1],
            LUMA[fx, 2],
            LUMA[fx, 3],
            LUMA[fx, 4],
            LUMA[fx, 5],
            LUMA[fx, 6],
            LUMA[fx, 7],
        )
        for j in range(hh + 7):
            s = src[j]
            m = mid[j]
            if fx == 0:
                for i in range(ww):
                    m[i] = s[i + 3] << 4
            else:
                for i in range(ww):
                    m[i] = (
                        b0 * s[i]
                        + b1 * s[i + 1]
                        + b2 * s[i + 2]
                        + b3 * s[i + 3]
                        + b4 * s[i + 4]
                        + b5 * s[i + 5]
                        + b6 * s[i + 6]
                        + b7 * s[i + 7]
                    ) >> 2
        for fy in range(4):
            a0, a1, a2, a3, a4, a5, a6, a7 = (
                LUMA[fy, 0],
                LUMA[fy, 1],
                LUMA[fy, 2],
                LUMA[fy, 3],
                LUMA[fy, 4],
                LUMA[fy, 5],
                LUMA[fy, 6],
                LUMA[fy, 7],
            )
            for j in range(hh):
                o = out[fy, fx, j]
                m0, m1, m2, m3, m4, m5, m6, m7 = (
                    mid[j],
                    mid[j + 1],
                    mid[j + 2],
                    mid[j + 3],
                    mid[j + 4],
                    mid[j + 5],
                    mid[j + 6],
                    mid[j + 7],
                )
                if fy == 0:
                    for i in range(ww):
                        o[i] = min(max((m3[i] + 32) >> 6, 0), 255)
                else:
                    for i in range(ww):
                        v = (
                            a0 * m0[i]
                            + a1 * m1[i]
                            + a2 * m2[i]
                            + a3 * m3[i]
                            + a4 * m4[i]
                            + a5 * m5[i]
                            + a6 * m6[i]
                            + a7 * m7[i]
                            + 2048
                        ) >> 12
                        o[i] = min(max(v, 0), 255)
    return out


@njit
def legal(y, x, n, my, mx, h, w):
    """Whether the n x n block at (y, x) may have the vector (my, mx) in quarter samples: it is
    no longer than MV_LIMIT, and what it needs of the reference is not farther than PAD from its
    edge."""
    if abs(my) > MV_LIMIT or abs(mx) > MV_LIMIT:
        return False
    r, c = y + (my >> 2), x + (mx >> 2)
    return r > 8 - PAD and c > 8 - PAD and r + n < h + PAD - 8 and c + n < w + PAD - 8


@njit
def moved(ph, y, x, my, mx):
    """The phase of a reference that the vector (my, mx) in quarter samples takes, and the row and
    column in it of the block at (y, x)."""
    return ph[my & 3, mx & 3], y + (my >> 2) + PAD, x + (mx >> 2) + PAD


@njit
def sad(ph, cur, y, x, my, mx, n, best):
    """SAD of the n x n block at (y, x) moved by (my, mx); may stop early above ``best``."""
    p, r, c = moved(ph, y, x, my, mx)
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
def refined(ph, cur, y, x, my, mx, least, rounds, enough):
    """Vector of the 8x8 block at (y, x) by SAD, from one of SAD ``least``: the best of its eight
    neighbours, at most ``rounds`` times at each distance of 2, 1, 1/2 and 1/4 samples, until the
    SAD is below ``enough``."""
    h, w = cur.shape
    for step in (8, 4, 2, 1):
        for _ in range(rounds):
            if least < enough:
                break
            cy, cx = my, mx
            for k in range(8):
                ny = cy + (-1, 1, 0, 0, -1, -1, 1, 1)[k] * step
                nx = cx + (0, 0, -1, 1, -1, 1, -1, 1)[k] * step
                if legal(y, x, 8, ny, nx, h, w):
                    s = sad(ph, cur, y, x, ny, nx, 8, least)
                    if s < least:
                        least, my, mx = s, ny, nx
            if my == cy and mx == cx:
                break
    return my, mx


@njit
def sad_bi(p0, p1, cur, y, x, mv, n):
    """SAD of the n x n block at (y, x) against the rounded mean of two references, moved by ``mv``
    (2, 2)."""
    a, r, c = moved(p0, y, x, mv[0, 0], mv[0, 1])
    b, q, d = moved(p1, y, x, mv[1, 0], mv[1, 1])
    s = nb.int32(0)
    for j in range(n):
        for k in range(0, n, 8):
            for i in range(8):
                v = (nb.int32(a[r + j, c + k + i]) + nb.int32(b[q + j, d + k + i]) + 1) >> 1
                s += abs(v - nb.int32(cur[y + j, x + k + i]))
    return s


@njit
def _block_match(cur, ref, block, reach, smooth, out):
    """Full search of block x block blocks within +-reach whole samples by SAD + smooth * |vector|;
    out (h, w, 2) [y, x]."""
    h, w = cur.shape
    for by in range(h // block):
        for bx in range(w // block):
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
                                s += abs(
                                    nb.int32(cur[y + j, x + k + i])
                                    - nb.int32(ref[y + dy + j, x + dx + k + i])
                                )
                        if s >= best:
                            break
                    if s < best:
                        best = s
                        out[by, bx, 0], out[by, bx, 1] = dy, dx


def coarse_vectors(cur: np.ndarray, ref: np.ndarray, distance: int) -> np.ndarray:
    """(2, H/8, W/8, 2) int32 starting vectors in quarter samples: full search at a quarter of the
    resolution, in blocks of 64 and of 32
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
    """(H, W) uint8 pictures -> (H/8, W/8, 2) int32 [y, x] vectors from cur to ref in quarter
    samples (DIS flow, Kroeger et al. 2016)."""
    if not hasattr(_local, "dis"):
        cv2.setNumThreads(1)
        _local.dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    h, w = cur.shape
    v = _local.dis.calc(cur, ref, None).reshape(h // 8, 8, w // 8, 8, 2)
    v = np.median(
        v[:, 2:6:3, :, 2:6:3].transpose(0, 2, 1, 3, 4).reshape(h // 8, w // 8, 4, 2), axis=2
    )
    return np.rint(v[..., ::-1] * 4).astype(np.int32)
