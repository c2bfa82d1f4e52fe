"""Levels and cells of the detail, chosen by rate and distortion."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numba as nb
import numpy as np

from ..codec.contexts import (
    BLOCK_KIND,
    COUNTED,
    DETAIL_BLOCK,
    DETAIL_GT1,
    DETAIL_LAST,
    DETAIL_MAG,
    DETAIL_SKIP,
    MAGNITUDES,
)
from ..codec.detail_syntax import (
    DCT,
    MAX_LEVEL,
    RASTER,
    ZIGZAG,
    block_at,
    cell_context,
    inverse,
    may_be_refined,
    sig_context,
    sign_context,
)
from ..compiled import njit, njit_borrowing
from .block_facts import squares

if TYPE_CHECKING:
    from ..codec.frame_decoder import Planes

ROUND = 0.45  # of a step is rounded up before levels are tried against their bits
WORTH_A_LOOK = 3  # bits that the error of a 4x4 block is worth at least where levels are tried


class Unrefined(NamedTuple):
    """A picture before its detail, and what that is chosen by."""

    source: Planes  # Y, U, V uint16
    planes: Planes  # the same of the picture
    step: int  # of the detail's quantiser
    worths: np.ndarray  # (H/16, W/16) float64: bits that a unit of squared 10-bit error is worth
    weights: np.ndarray  # (3,) float64 of the planes' errors
    height: int  # of the luma that is shown; cells outside stay plain
    width: int
    blocks: np.ndarray  # (H/16, W/16) uint8: kinds of blocks
    bits: np.ndarray  # (contexts, 2) float32 of a 0 and a 1, see :func:`.range_coder.bit_costs`
    modes: int  # 1 to try the DCT alone, 2 for samples besides


class Room(NamedTuple):
    """Arrays that every cell uses anew."""

    error: np.ndarray  # (16,) float64
    values: np.ndarray  # (16,) float64: in steps
    shown: np.ndarray  # (16,) int64: the residual of some levels
    levels: np.ndarray  # (2, 6, 16) int32, by mode and block
    gain: np.ndarray  # (2,) float64
    coded: np.ndarray  # (2,) int64: blocks with levels


@njit_borrowing
def _forward(e, out):
    # orthonormal DCT times eight, in floats: the encoder's own business
    for r in range(4):
        for c in range(4):
            s = 0.0
            for k in range(4):
                s += DCT[c, k] * e[r * 4 + k]
            out[r * 4 + c] = s / 128
    for c in range(4):
        t0, t1, t2, t3 = out[c], out[4 + c], out[8 + c], out[12 + c]
        for r in range(4):
            s = DCT[r, 0] * t0 + DCT[r, 1] * t1 + DCT[r, 2] * t2 + DCT[r, 3] * t3
            out[r * 4 + c] = s * 8 / 128


@njit_borrowing
def _block_bits(levels, skip, chroma, bits):
    """What :func:`_encode_block` writes for these levels, in bits, were the contexts to stay as
    they are; 0 where all are zero."""
    scan = RASTER if skip else ZIGZAG
    last = 15
    while last >= 0 and levels[scan[last]] == 0:
        last -= 1
    if last < 0:
        return 0.0
    total = 0.0
    node = 1
    base = DETAIL_LAST + (skip * 2 + chroma) * BLOCK_KIND
    for b in range(3, -1, -1):
        bit = (last >> b) & 1
        total += bits[base + node, bit]
        node = node * 2 + bit
    ones = 0
    for n in range(last, -1, -1):
        i = scan[n]
        v = levels[i]
        if n < last:
            total += bits[sig_context(skip, chroma, i, levels), 1 if v else 0]
            if v == 0:
                continue
        a = abs(v) - 1
        total += bits[DETAIL_GT1 + skip * COUNTED + min(ones, 2), 1 if a else 0]
        if a:
            ones += 1
            for k in range(1, min(a, MAGNITUDES - 1) + 1):
                total += bits[DETAIL_MAG + skip * MAGNITUDES + k, 1 if a > k else 0]
            if a >= MAGNITUDES:
                total += 1 + 2 * np.floor(np.log2(a - MAGNITUDES + 1))
        total += bits[sign_context(i, levels), 1 if v < 0 else 0] if skip else 1.0
    return total


@njit_borrowing
def _optimise(v, levels, skip, chroma, unit, bits):
    """Levels (16,) of the values v (in steps) that cost least: each in turn, from the last of the
    scan, is tried nearer to zero.
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
def choose(picture, skip, levels, cost):
    """Decide the detail of a picture (:class:`Unrefined`) by rate and distortion.

    skip (H/8, W/8) int8 receives -1 (plain), 0 (DCT) or 1 (samples); levels (H/8, W/8, 6, 16) int32
    the levels of the others; cost (H/8, W/8) float64 the bits that what is left of the error and
    the refinement are worth. Returns what it gains, in bits.
    """
    source, planes = picture.source, picture.planes
    energies = (
        squares(source[0], planes[0], 4),
        squares(source[1], planes[1], 4),
        squares(source[2], planes[2], 4),
    )
    room = Room(
        np.empty(16),
        np.empty(16),
        np.empty(16, np.int64),
        np.zeros((2, 6, 16), np.int32),
        np.zeros(2),
        np.zeros(2, np.int64),
    )
    return _choose(picture, energies, room, skip, levels, cost)


@njit_borrowing
def _choose(picture, energies, room, skip, levels, cost):
    """:func:`choose` with the squared errors of 4x4 blocks, and room to work."""
    source, planes, step = picture.source, picture.planes, picture.step
    worths, weights = picture.worths, picture.weights
    blocks, bits = picture.blocks, picture.bits
    e, t, rec = room.error, room.values, room.shown
    lev, gain, coded = room.levels, room.gain, room.coded
    gh, gw = skip.shape
    total = 0.0
    for r in range(gh):
        for c in range(gw):
            skip[r, c] = -1
            cost[r, c] = 0.0
            outside = r * 8 >= picture.height or c * 8 >= picture.width
            if outside or not may_be_refined(blocks, r, c):
                continue
            some_worth = False
            for k in range(6):
                p, y, x = block_at(k, r, c)
                error = np.float64(energies[p][y >> 2, x >> 2]) * (
                    worths[r >> 1, c >> 1] * weights[p]
                )
                cost[r, c] += error
                some_worth |= error >= WORTH_A_LOOK
            if not some_worth:
                continue
            flag = cell_context(skip, blocks, r, c)
            for mode in range(picture.modes):
                gain[mode] = nb.float64(bits[flag, 0] - bits[flag, 1])
                gain[mode] -= bits[DETAIL_SKIP, mode]
                coded[mode] = 0
            for k in range(6):
                p, y, x = block_at(k, r, c)
                before = np.float64(energies[p][y >> 2, x >> 2])
                w = worths[r >> 1, c >> 1] * weights[p]
                if before * w < WORTH_A_LOOK:
                    for mode in range(picture.modes):
                        some = DETAIL_BLOCK + (COUNTED if k > 3 else 0) + min(coded[mode], 2)
                        lev[mode, k] = 0
                        gain[mode] -= bits[some, 0]
                    continue
                for i in range(16):
                    e[i] = np.float64(source[p][y + i // 4, x + i % 4]) - np.float64(
                        planes[p][y + i // 4, x + i % 4]
                    )
                for mode in range(picture.modes):
                    lev[mode, k] = 0
                    some = DETAIL_BLOCK + (COUNTED if k > 3 else 0) + min(coded[mode], 2)
                    if mode == 0:
                        _forward(e, t)
                    else:
                        for i in range(16):
                            t[i] = e[i] * 8
                    for i in range(16):
                        t[i] /= step
                    written = _optimise(
                        t, lev[mode, k], mode, 1 if k > 3 else 0, w * step * step / 64, bits
                    )
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
            m = 1 if picture.modes > 1 and gain[1] > gain[0] else 0
            if gain[m] > 0 and coded[m]:
                skip[r, c] = m
                for k in range(6):
                    for i in range(16):
                        levels[r, c, k, i] = lev[m, k, i]
                cost[r, c] -= gain[m]
                total += gain[m]
    return total
