"""Detail: an optional residual in the sample domain, for what the synthesis net cannot draw (sharp
text, graphics, very high quality).

A picture with detail carries a step and, for each 8x8 cell (8x8 luma with its two 4x4 chroma
blocks), whether it is refined, as a 4x4 DCT (the integer transform of HEVC, ITU-T H.265 8.6.4.2) or
as plain samples (transform skip). Levels are coded in adaptive binary contexts: last position,
significance, magnitude, sign. All integers; the refined picture is what is shown and referred to.
"""

from __future__ import annotations

import numpy as np

from ..compiled import njit, njit_borrowing
from ..picture import MAX_SAMPLE
from .contexts import (
    BLOCK_KIND,
    COUNTED,
    DETAIL_BLOCK,
    DETAIL_CELL,
    DETAIL_CELL_DIRECT,
    DETAIL_FRAME,
    DETAIL_GT1,
    DETAIL_LAST,
    DETAIL_MAG,
    DETAIL_SIG,
    DETAIL_SIGN,
    DETAIL_SKIP,
    MAGNITUDES,
)
from .direct_map import DIRECT_BLOCK, OUTSIDE_BLOCK, PAINTED_BLOCK
from .range_coder import Decoder, Encoder, decode_bit, decode_raw, encode_bit, encode_raw

STEPS = 64
MAX_LEVEL = 1 << 14
MAGNITUDE_BITS = 14  # of what a magnitude has beyond its contexts
STEP_BITS = 6  # of a step's index
ZIGZAG = np.array([0, 1, 4, 8, 5, 2, 3, 6, 9, 12, 13, 10, 7, 11, 14, 15], np.int64)
RASTER = np.arange(16, dtype=np.int64)
DCT = np.array(
    [[64, 64, 64, 64], [83, 36, -36, -83], [64, -64, -64, 64], [36, -83, 83, -36]], np.int64
)
_STEP8 = (64, 72, 81, 91, 102, 114)  # 64 * 2^(k/6)


def step8(index: int) -> int:
    """Quantisation step of index 0..63 in eighths of a 10-bit sample: 8 * 2^(index/6)."""
    octave, k = divmod(index, 6)
    return (_STEP8[k] << octave) >> 3


@njit_borrowing
def _clamp16(v: int | np.int64) -> int | np.int64:
    return min(max(v, -32768), 32767)


@njit_borrowing
def inverse(levels: np.ndarray, step: int, skip: int, out: np.ndarray) -> None:
    """levels (16,) raster order -> residual (16,) int64 in 10-bit samples."""
    if skip:
        for i in range(16):
            out[i] = (levels[i] * step + 4) >> 3
        return
    for c in range(4):  # columns
        for r in range(4):
            s = np.int64(0)
            for k in range(4):
                s += DCT[k, r] * _clamp16(levels[k * 4 + c] * step)
            out[r * 4 + c] = _clamp16((s + 64) >> 7)
    for r in range(0, 16, 4):
        t0, t1, t2, t3 = out[r], out[r + 1], out[r + 2], out[r + 3]
        for c in range(4):
            s = DCT[0, c] * t0 + DCT[1, c] * t1 + DCT[2, c] * t2 + DCT[3, c] * t3
            out[r + c] = (s + 512) >> 10


@njit_borrowing
def sig_context(skip: int, chroma: int, i: int, levels: np.ndarray) -> int:
    """Context of whether the i-th level of a 4x4 block (raster order) is zero: by its place in a
    transformed block, by the levels to the right and below in one of samples."""
    base = DETAIL_SIG + (skip * 2 + chroma) * BLOCK_KIND
    if not skip:
        return base + i
    right = abs(levels[i + 1]) if i % 4 < 3 else 0
    below = abs(levels[i + 4]) if i < 12 else 0
    return base + min(right, 2) + COUNTED * min(below, 2)


@njit_borrowing
def sign_context(i: int, levels: np.ndarray) -> int:
    """Context of the sign of the i-th level (raster order): by the signs of the levels to the right
    and below."""
    right = levels[i + 1] if i % 4 < 3 else 0
    below = levels[i + 4] if i < 12 else 0
    s = right + below
    return DETAIL_SIGN + (0 if s == 0 else (1 if s > 0 else 2))


@njit_borrowing
def _encode_block(coder: Encoder, levels: np.ndarray, skip: int, chroma: int) -> None:
    scan = RASTER if skip else ZIGZAG
    last = 15
    while levels[scan[last]] == 0:
        last -= 1
    node = 1
    base = DETAIL_LAST + (skip * 2 + chroma) * BLOCK_KIND
    for b in range(3, -1, -1):
        bit = (last >> b) & 1
        encode_bit(coder, base + node, bit)
        node = node * 2 + bit
    ones = 0
    for n in range(last, -1, -1):
        i = scan[n]
        v = levels[i]
        if n < last:
            encode_bit(coder, sig_context(skip, chroma, i, levels), 1 if v else 0)
            if v == 0:
                continue
        a = abs(v) - 1
        encode_bit(coder, DETAIL_GT1 + skip * COUNTED + min(ones, 2), 1 if a else 0)
        if a:
            ones += 1
            k = 1
            while k < MAGNITUDES:
                more = 1 if a > k else 0
                encode_bit(coder, DETAIL_MAG + skip * MAGNITUDES + k, more)
                if not more:
                    break
                k += 1
            if k == MAGNITUDES:
                r, bits = a - MAGNITUDES + 1, 0
                while (r >> bits) > 1:
                    bits += 1
                for _ in range(bits):
                    encode_raw(coder, 1, 1)
                encode_raw(coder, 0, 1)
                if bits:
                    encode_raw(coder, r & ((1 << bits) - 1), bits)
        s = 1 if v < 0 else 0
        if skip:
            encode_bit(coder, sign_context(i, levels), s)
        else:
            encode_raw(coder, s, 1)


@njit_borrowing
def _decode_block(coder: Decoder, levels: np.ndarray, skip: int, chroma: int) -> None:
    scan = RASTER if skip else ZIGZAG
    levels[:] = 0
    node = 1
    base = DETAIL_LAST + (skip * 2 + chroma) * BLOCK_KIND
    for _ in range(4):
        node = node * 2 + decode_bit(coder, base + node)
    last = node - 16
    ones = 0
    for n in range(last, -1, -1):
        i = scan[n]
        if n < last and not decode_bit(coder, sig_context(skip, chroma, i, levels)):
            continue
        a = 0
        if decode_bit(coder, DETAIL_GT1 + skip * COUNTED + min(ones, 2)):
            ones += 1
            a = 1
            while a < MAGNITUDES and decode_bit(coder, DETAIL_MAG + skip * MAGNITUDES + a):
                a += 1
            if a == MAGNITUDES:
                bits = 0
                while bits < MAGNITUDE_BITS and decode_raw(coder, 1):
                    bits += 1
                a += (1 << bits) - 1 + (decode_raw(coder, bits) if bits else 0)
        a = min(a + 1, MAX_LEVEL)
        if skip:
            s = decode_bit(coder, sign_context(i, levels))
        else:
            s = decode_raw(coder, 1)
        levels[i] = -a if s else a


@njit_borrowing
def block_at(k: int, r: int, c: int) -> tuple[int, int, int]:
    """Plane, row and column of block k (0-3 luma, 4 Cb, 5 Cr) of the cell (r, c)."""
    if k < 4:
        return 0, r * 8 + (k >> 1) * 4, c * 8 + (k & 1) * 4
    return k - 3, r * 4, c * 4


@njit_borrowing
def may_be_refined(blocks: np.ndarray, r: int, c: int) -> bool:
    """Whether the cell (r, c) can have detail."""
    kind = int(blocks[r >> 1, c >> 1])
    return kind != PAINTED_BLOCK and kind != OUTSIDE_BLOCK


@njit_borrowing
def cell_context(skip: np.ndarray, blocks: np.ndarray, r: int, c: int) -> int:
    """Context of whether the cell at row ``r``, column ``c`` has detail: by the cells to the left
    and above, apart for cells of direct blocks."""
    return (
        (DETAIL_CELL_DIRECT if blocks[r >> 1, c >> 1] == DIRECT_BLOCK else DETAIL_CELL)
        + (1 if c > 0 and skip[r, c - 1] >= 0 else 0)
        + (1 if r > 0 and skip[r - 1, c] >= 0 else 0)
    )


@njit_borrowing
def _add(plane: np.ndarray, y: int, x: int, rec: np.ndarray) -> None:
    for i in range(16):
        v = np.int64(plane[y + i // 4, x + i % 4]) + rec[i]
        plane[y + i // 4, x + i % 4] = min(max(v, 0), MAX_SAMPLE)


@njit
def encode_detail(
    coder: Encoder,
    step_index: int,
    step: int,
    blocks: np.ndarray,
    skip: np.ndarray,
    levels: np.ndarray,
    planes: tuple[np.ndarray, ...],
) -> None:
    """Code what :func:`choose` decided and refine the planes; step_index -1: no detail.

    blocks (H/16, W/16): their kinds, see vqcodec/codec/direct_map.py; not all have detail.
    """
    if step_index < 0:
        encode_bit(coder, DETAIL_FRAME, 0)
        return
    encode_bit(coder, DETAIL_FRAME, 1)
    encode_raw(coder, step_index, STEP_BITS)
    _encode_cells(coder, step, blocks, skip, levels, planes, np.empty(16, np.int64))


@njit_borrowing
def _encode_cells(
    coder: Encoder,
    step: int,
    blocks: np.ndarray,
    skip: np.ndarray,
    levels: np.ndarray,
    planes: tuple[np.ndarray, ...],
    rec: np.ndarray,
) -> None:
    """The cells of :func:`encode_detail`; rec (16,) int64: room for a residual."""
    for r in range(skip.shape[0]):
        for c in range(skip.shape[1]):
            if not may_be_refined(blocks, r, c):
                continue
            on = skip[r, c] >= 0
            encode_bit(coder, cell_context(skip, blocks, r, c), 1 if on else 0)
            if not on:
                continue
            encode_bit(coder, DETAIL_SKIP, skip[r, c])
            coded = 0
            for k in range(6):
                lv = levels[r, c, k]
                some = False
                for i in range(16):
                    some = some or lv[i] != 0
                encode_bit(
                    coder,
                    DETAIL_BLOCK + (COUNTED if k > 3 else 0) + min(coded, 2),
                    1 if some else 0,
                )
                if some:
                    coded += 1
                    _encode_block(coder, lv, skip[r, c], 1 if k > 3 else 0)
                    inverse(lv, step, skip[r, c], rec)
                    p, y, x = block_at(k, r, c)
                    _add(planes[p], y, x, rec)


@njit
def decode_detail(
    coder: Decoder,
    steps: np.ndarray,
    blocks: np.ndarray,
    skip: np.ndarray,
    planes: tuple[np.ndarray, ...],
) -> None:
    """Decode the detail of a picture and refine its planes (Y, U, V uint16, in place); steps (64,)
    int64; skip (H/8, W/8) int8 is scratch."""
    if not decode_bit(coder, DETAIL_FRAME):
        return
    step = steps[decode_raw(coder, STEP_BITS)]
    rec, levels = np.empty(16, np.int64), np.zeros(16, np.int32)
    _decode_cells(coder, step, blocks, skip, planes, levels, rec)


@njit_borrowing
def _decode_cells(
    coder: Decoder,
    step: int,
    blocks: np.ndarray,
    skip: np.ndarray,
    planes: tuple[np.ndarray, ...],
    lv: np.ndarray,
    rec: np.ndarray,
) -> None:
    """The cells of :func:`decode_detail`; lv (16,) int32 and rec (16,) int64: room for the levels
    and the residual of a block."""
    for r in range(skip.shape[0]):
        for c in range(skip.shape[1]):
            skip[r, c] = -1
            if not may_be_refined(blocks, r, c):
                continue
            if not decode_bit(coder, cell_context(skip, blocks, r, c)):
                continue
            mode = decode_bit(coder, DETAIL_SKIP)
            skip[r, c] = mode
            coded = 0
            for k in range(6):
                if decode_bit(coder, DETAIL_BLOCK + (COUNTED if k > 3 else 0) + min(coded, 2)):
                    coded += 1
                    _decode_block(coder, lv, mode, 1 if k > 3 else 0)
                    inverse(lv, step, mode, rec)
                    p, y, x = block_at(k, r, c)
                    _add(planes[p], y, x, rec)


STEP_TABLE = np.array([step8(i) for i in range(STEPS)], np.int64)
