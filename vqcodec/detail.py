"""Detail: an optional residual in the sample domain, for what the synthesis net cannot draw (sharp text, graphics, very high quality).

A picture with detail carries a step and, for each 8x8 cell (8x8 luma with its two 4x4 chroma blocks), whether it is refined, as a
4x4 DCT (the integer transform of HEVC, ITU-T H.265 8.6.4.2) or as plain samples (transform skip). Levels are coded in adaptive binary contexts: last position,
significance, magnitude, sign. All integers; the refined picture is what is shown and referred to.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from .compiled import njit
from .entropy import decode_bit, decode_raw, encode_bit, encode_raw
from .motion.code import DETAIL

# contexts, from DETAIL on
FRAME, CELL, SKIP, BLOCK, LAST, SIG, GT1, MAG, SIGN, CELL_DIRECT, END = 0, 1, 4, 5, 16, 80, 144, 150, 178, 184, 187
STEPS = 64
MAX_LEVEL = 1 << 14
ROUND = 0.45  # of a step is rounded up before levels are tried against their bits
ZIGZAG = np.array([0, 1, 4, 8, 5, 2, 3, 6, 9, 12, 13, 10, 7, 11, 14, 15], np.int64)
RASTER = np.arange(16, dtype=np.int64)
_M = np.array([[64, 64, 64, 64], [83, 36, -36, -83], [64, -64, -64, 64], [36, -83, 83, -36]], np.int64)
_STEP8 = (64, 72, 81, 91, 102, 114)  # 64 * 2^(k/6)


def step8(index: int) -> int:
    """Quantisation step of index 0..63 in eighths of a 10-bit sample: 8 * 2^(index/6)."""
    octave, k = divmod(index, 6)
    return (_STEP8[k] << octave) >> 3


@njit
def _clamp16(v):
    return min(max(v, -32768), 32767)


@njit
def inverse(levels, step, skip, out):
    """levels (16,) raster order -> residual (16,) in 10-bit samples."""
    if skip:
        for i in range(16):
            out[i] = (levels[i] * step + 4) >> 3
        return
    t = np.empty(16, np.int64)
    for c in range(4):  # columns
        for r in range(4):
            s = np.int64(0)
            for k in range(4):
                s += _M[k, r] * _clamp16(levels[k * 4 + c] * step)
            t[r * 4 + c] = _clamp16((s + 64) >> 7)
    for r in range(4):
        for c in range(4):
            s = np.int64(0)
            for k in range(4):
                s += _M[k, c] * t[r * 4 + k]
            out[r * 4 + c] = (s + 512) >> 10


@njit
def _forward(e, out):
    # orthonormal DCT times eight, in floats: the encoder's own business
    t = np.empty(16)
    for r in range(4):
        for c in range(4):
            s = 0.0
            for k in range(4):
                s += _M[c, k] * e[r * 4 + k]
            t[r * 4 + c] = s / 128
    for r in range(4):
        for c in range(4):
            s = 0.0
            for k in range(4):
                s += _M[r, k] * t[k * 4 + c]
            out[r * 4 + c] = s * 8 / 128


@njit
def _sig_context(skip, chroma, i, levels):
    base = DETAIL + SIG + (skip * 2 + chroma) * 16
    if not skip:
        return base + i
    right = abs(levels[i + 1]) if i % 4 < 3 else 0
    below = abs(levels[i + 4]) if i < 12 else 0
    return base + min(right, 2) + 3 * min(below, 2)


@njit
def _sign_context(i, levels):
    right = levels[i + 1] if i % 4 < 3 else 0
    below = levels[i + 4] if i < 12 else 0
    s = right + below
    return DETAIL + SIGN + (0 if s == 0 else (1 if s > 0 else 2))


@njit
def _encode_block(st, out, ctx, levels, skip, chroma):
    scan = RASTER if skip else ZIGZAG
    last = 15
    while levels[scan[last]] == 0:
        last -= 1
    node = 1
    base = DETAIL + LAST + (skip * 2 + chroma) * 16
    for b in range(3, -1, -1):
        bit = (last >> b) & 1
        encode_bit(st, out, ctx, base + node, bit)
        node = node * 2 + bit
    ones = 0
    for n in range(last, -1, -1):
        i = scan[n]
        v = levels[i]
        if n < last:
            encode_bit(st, out, ctx, _sig_context(skip, chroma, i, levels), 1 if v else 0)
            if v == 0:
                continue
        a = abs(v) - 1
        encode_bit(st, out, ctx, DETAIL + GT1 + skip * 3 + min(ones, 2), 1 if a else 0)
        if a:
            ones += 1
            k = 1
            while k < 14:
                more = 1 if a > k else 0
                encode_bit(st, out, ctx, DETAIL + MAG + skip * 14 + k, more)
                if not more:
                    break
                k += 1
            if k == 14:
                r, bits = a - 14 + 1, 0
                while (r >> bits) > 1:
                    bits += 1
                for _ in range(bits):
                    encode_raw(st, out, 1, 1)
                encode_raw(st, out, 0, 1)
                if bits:
                    encode_raw(st, out, r & ((1 << bits) - 1), bits)
        s = 1 if v < 0 else 0
        if skip:
            encode_bit(st, out, ctx, _sign_context(i, levels), s)
        else:
            encode_raw(st, out, s, 1)


@njit
def _decode_block(st, data, ctx, levels, skip, chroma):
    scan = RASTER if skip else ZIGZAG
    levels[:] = 0
    node = 1
    base = DETAIL + LAST + (skip * 2 + chroma) * 16
    for _ in range(4):
        node = node * 2 + decode_bit(st, data, ctx, base + node)
    last = node - 16
    ones = 0
    for n in range(last, -1, -1):
        i = scan[n]
        if n < last and not decode_bit(st, data, ctx, _sig_context(skip, chroma, i, levels)):
            continue
        a = 0
        if decode_bit(st, data, ctx, DETAIL + GT1 + skip * 3 + min(ones, 2)):
            ones += 1
            a = 1
            while a < 14 and decode_bit(st, data, ctx, DETAIL + MAG + skip * 14 + a):
                a += 1
            if a == 14:
                bits = 0
                while bits < 14 and decode_raw(st, data, 1):
                    bits += 1
                a += (1 << bits) - 1 + (decode_raw(st, data, bits) if bits else 0)
        a = min(a + 1, MAX_LEVEL)
        if skip:
            s = decode_bit(st, data, ctx, _sign_context(i, levels))
        else:
            s = decode_raw(st, data, 1)
        levels[i] = -a if s else a


@njit
def _block_at(k, r, c):
    """Plane, row and column of block k (0-3 luma, 4 Cb, 5 Cr) of the cell (r, c)."""
    if k < 4:
        return 0, r * 8 + (k >> 1) * 4, c * 8 + (k & 1) * 4
    return k - 3, r * 4, c * 4


@njit
def _cell_context(skip, direct, r, c):
    return DETAIL + (CELL_DIRECT if direct[r >> 1, c >> 1] else CELL) + (1 if c > 0 and skip[r, c - 1] >= 0 else 0) + (1 if r > 0 and skip[r - 1, c] >= 0 else 0)


@njit
def _block_bits(levels, skip, chroma, bits):
    """What :func:`_encode_block` writes for these levels, in bits, were the contexts to stay as they are; 0 where all are zero."""
    scan = RASTER if skip else ZIGZAG
    last = 15
    while last >= 0 and levels[scan[last]] == 0:
        last -= 1
    if last < 0:
        return 0.0
    total = 0.0
    node = 1
    base = DETAIL + LAST + (skip * 2 + chroma) * 16
    for b in range(3, -1, -1):
        bit = (last >> b) & 1
        total += bits[base + node, bit]
        node = node * 2 + bit
    ones = 0
    for n in range(last, -1, -1):
        i = scan[n]
        v = levels[i]
        if n < last:
            total += bits[_sig_context(skip, chroma, i, levels), 1 if v else 0]
            if v == 0:
                continue
        a = abs(v) - 1
        total += bits[DETAIL + GT1 + skip * 3 + min(ones, 2), 1 if a else 0]
        if a:
            ones += 1
            for k in range(1, min(a, 13) + 1):
                total += bits[DETAIL + MAG + skip * 14 + k, 1 if a > k else 0]
            if a >= 14:
                total += 1 + 2 * np.floor(np.log2(a - 13))
        total += bits[_sign_context(i, levels), 1 if v < 0 else 0] if skip else 1.0
    return total


@njit
def _optimise(v, levels, skip, chroma, unit, bits):
    """Levels (16,) of the values v (in steps) that cost least: each in turn, from the last of the scan, is tried nearer to zero.
    unit: bits that a squared step of error is worth. Returns the bits of the levels."""
    scan = RASTER if skip else ZIGZAG
    for i in range(16):
        a = min(int(abs(v[i]) + ROUND), MAX_LEVEL - 1)
        levels[i] = a if v[i] >= 0 else -a
    now = _block_bits(levels, skip, chroma, bits)
    for n in range(15, -1, -1):
        i = scan[n]
        while levels[i]:
            a = levels[i]
            nearer = a - 1 if a > 0 else a + 1
            levels[i] = nearer
            then = _block_bits(levels, skip, chroma, bits)
            if then + ((v[i] - nearer) ** 2 - (v[i] - a) ** 2) * unit < now:
                now = then
            else:
                levels[i] = a
                break
    return now


@njit
def choose(source, planes, step, worths, weights, height, width, direct, bits, skip, levels, cost):
    """Decide the detail of a picture by rate and distortion. source, planes: tuples of Y, U, V uint16; worths (H/16, W/16): bits that one unit of
    squared 10-bit error is worth; weights (3,) of the planes' errors; height, width: of the shown luma, cells outside stay plain; direct: map
    (H/16, W/16); bits (contexts, 2) float32: what a 0 and a 1 cost in each context, see :func:`vqcodec.entropy.bit_costs`; skip (H/8, W/8) int8
    receives -1 (plain), 0 (DCT) or 1 (samples); levels (H/8, W/8, 6, 16) int32; cost (H/8, W/8) float64 the bits that what is left of the
    error and the refinement are worth. Returns what it gains, in bits."""
    gh, gw = skip.shape
    e, t, rec = np.empty(16), np.empty(16), np.empty(16, np.int64)
    lev = np.zeros((2, 6, 16), np.int32)
    total = 0.0
    for r in range(gh):
        for c in range(gw):
            skip[r, c] = -1
            cost[r, c] = 0.0
            if r * 8 >= height or c * 8 >= width:
                continue
            flag = _cell_context(skip, direct, r, c)
            gain = np.full(2, nb.float64(bits[flag, 0] - bits[flag, 1]))
            gain[0] -= bits[DETAIL + SKIP, 0]
            gain[1] -= bits[DETAIL + SKIP, 1]
            coded = np.zeros(2, np.int64)
            for k in range(6):
                p, y, x = _block_at(k, r, c)
                before = 0.0
                for i in range(16):
                    e[i] = np.float64(source[p][y + i // 4, x + i % 4]) - np.float64(planes[p][y + i // 4, x + i % 4])
                    before += e[i] * e[i]
                w = worths[r >> 1, c >> 1] * weights[p]
                cost[r, c] += before * w
                for mode in range(2):
                    lev[mode, k] = 0
                    some = DETAIL + BLOCK + (3 if k > 3 else 0) + min(coded[mode], 2)
                    if before * w >= 3:
                        if mode == 0:
                            _forward(e, t)
                        else:
                            t[:] = e * 8
                        written = _optimise(t / step, lev[mode, k], mode, 1 if k > 3 else 0, w * step * step / 64, bits)
                        if written > 0:
                            inverse(lev[mode, k], step, mode, rec)
                            after = 0.0
                            for i in range(16):
                                after += (e[i] - rec[i]) ** 2
                            g = (before - after) * w - written - bits[some, 1] + bits[some, 0]
                            if g > 0:
                                gain[mode] += g - bits[some, 0]
                                coded[mode] += 1
                                continue
                            lev[mode, k] = 0
                    gain[mode] -= bits[some, 0]
            m = 1 if gain[1] > gain[0] else 0
            if gain[m] > 0 and coded[m]:
                skip[r, c] = m
                levels[r, c] = lev[m]
                cost[r, c] -= gain[m]
                total += gain[m]
    return total


@njit
def _add(plane, y, x, rec):
    for i in range(16):
        v = np.int64(plane[y + i // 4, x + i % 4]) + rec[i]
        plane[y + i // 4, x + i % 4] = min(max(v, 0), 1023)


@njit
def encode_detail(st, out, ctx, step_index, step, direct, skip, levels, planes):
    """Code what :func:`choose` decided and refine the planes; step_index -1: no detail; direct: map (H/16, W/16) of vqcodec/direct.py."""
    if step_index < 0:
        encode_bit(st, out, ctx, DETAIL + FRAME, 0)
        return
    encode_bit(st, out, ctx, DETAIL + FRAME, 1)
    encode_raw(st, out, step_index, 6)
    rec = np.empty(16, np.int64)
    for r in range(skip.shape[0]):
        for c in range(skip.shape[1]):
            on = skip[r, c] >= 0
            encode_bit(st, out, ctx, _cell_context(skip, direct, r, c), 1 if on else 0)
            if not on:
                continue
            encode_bit(st, out, ctx, DETAIL + SKIP, skip[r, c])
            coded = 0
            for k in range(6):
                lv = levels[r, c, k]
                some = False
                for i in range(16):
                    some = some or lv[i] != 0
                encode_bit(st, out, ctx, DETAIL + BLOCK + (3 if k > 3 else 0) + min(coded, 2), 1 if some else 0)
                if some:
                    coded += 1
                    _encode_block(st, out, ctx, lv, skip[r, c], 1 if k > 3 else 0)
                    inverse(lv, step, skip[r, c], rec)
                    p, y, x = _block_at(k, r, c)
                    _add(planes[p], y, x, rec)


@njit
def decode_detail(st, data, ctx, steps, direct, skip, planes):
    """Decode the detail of a picture and refine its planes (Y, U, V uint16, in place); steps (64,) int64; skip (H/8, W/8) int8 is scratch."""
    if not decode_bit(st, data, ctx, DETAIL + FRAME):
        return
    step = steps[decode_raw(st, data, 6)]
    rec = np.empty(16, np.int64)
    lv = np.zeros(16, np.int32)
    for r in range(skip.shape[0]):
        for c in range(skip.shape[1]):
            skip[r, c] = -1
            if not decode_bit(st, data, ctx, _cell_context(skip, direct, r, c)):
                continue
            mode = decode_bit(st, data, ctx, DETAIL + SKIP)
            skip[r, c] = mode
            coded = 0
            for k in range(6):
                if decode_bit(st, data, ctx, DETAIL + BLOCK + (3 if k > 3 else 0) + min(coded, 2)):
                    coded += 1
                    _decode_block(st, data, ctx, lv, mode, 1 if k > 3 else 0)
                    inverse(lv, step, mode, rec)
                    p, y, x = _block_at(k, r, c)
                    _add(planes[p], y, x, rec)


STEP_TABLE = np.array([step8(i) for i in range(STEPS)], np.int64)
