"""Where samples of pictures and references lie, and sums of differences between their blocks."""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from ..codec.motion_field import MV_LIMIT
from ..compiled import njit_borrowing
from .sample_sums import WIDEST, sad8, sad16, sad32, sad_mean8, sad_mean16

PAD = 80  # how far a block may lie outside the reference, in samples
# the eight neighbours of a vector, in steps; the first four are the nearest
DIRECTIONS_Y = (-1, 1, 0, 0, -1, -1, 1, 1)
DIRECTIONS_X = (0, 0, -1, 1, -1, 1, -1, 1)
FARTHEST = nb.int32(1 << 29)  # above any sum of differences


class Samples(NamedTuple):
    """Where 8-bit samples of a picture or a reference lie. Whoever makes one keeps the array."""

    start: np.intp  # address of sample (0, 0)
    stride: np.intp  # bytes from one row to the next
    phase: np.intp  # and from one quarter-sample phase, of a reference
    parts: np.intp  # bits of the quarter of a vector for which there are phases: 3, 2 or 0


@njit_borrowing
def of_picture(plane):
    """The samples of a plane (H, W) uint8."""
    return Samples(np.intp(plane.ctypes.data), np.intp(plane.strides[0]), np.intp(0), np.intp(0))


@njit_borrowing
def of_reference(ph, precision):
    """The samples of :func:`.phases` with this precision."""
    stride, parts = np.intp(ph.strides[2]), np.intp(4 - precision)
    start = np.intp(ph.ctypes.data) + PAD * (stride + 1)
    return Samples(start, stride, np.intp(ph.strides[1]), parts)


@njit_borrowing
def at(samples, y, x):
    """Address of the sample (y, x)."""
    return samples.start + y * samples.stride + x


@njit_borrowing
def moved(samples, y, x, my, mx):
    """Address of what the sample (y, x) shows of a reference, moved by (my, mx) quarter samples, or
    by what there is a phase for."""
    phase = ((my & samples.parts) * 4 + (mx & samples.parts)) * samples.phase
    return samples.start + phase + (y + (my >> 2)) * samples.stride + x + (mx >> 2)


@njit_borrowing
def legal(y, x, n, my, mx, h, w):
    """Whether the n x n block at (y, x) may have the vector (my, mx) in quarter samples: it is
    no longer than MV_LIMIT, and what it needs of the reference is not farther than PAD from its
    edge."""
    if abs(my) > MV_LIMIT or abs(mx) > MV_LIMIT:
        return False
    r, c = y + (my >> 2), x + (mx >> 2)
    return r > 8 - PAD and c > 8 - PAD and r + n < h + PAD - 8 and c + n < w + PAD - 8


@njit_borrowing
def sad(block, stride, shown, step, n, best):
    """SAD of two n x n blocks, given by address and stride; may stop early at ``best``."""
    if n == 8:
        return sad8(block, stride, shown, step)
    total = nb.int32(0)
    for j in range(0, n, 8):
        if n > 16 and WIDEST == 32:
            for i in range(0, n, 32):
                total += sad32(block + j * stride + i, stride, shown + j * step + i, step)
        else:
            for i in range(0, n, 16):
                total += sad16(block + j * stride + i, stride, shown + j * step + i, step)
        if total >= best:
            break
    return total


@njit_borrowing
def sad_mean(block, stride, one, step, two, pace, n, best):
    """SAD of an n x n block and the rounded mean of two others; may stop early at ``best``."""
    if n == 8:
        return sad_mean8(block, stride, one, step, two, pace)
    total = nb.int32(0)
    for j in range(0, n, 8):
        for i in range(0, n, 16):
            total += sad_mean16(
                block + j * stride + i, stride, one + j * step + i, step, two + j * pace + i, pace
            )
        if total >= best:
            break
    return total


@njit_borrowing
def refined(reference, picture, y, x, my, mx, least, first, rounds, enough, h, w):
    """Vector of the 8x8 block at (y, x) by SAD, from one of SAD ``least``: the best of its eight
    neighbours, at most ``rounds`` times at each distance of ``first`` quarter samples, half of that
    and so on, until the SAD is below ``enough``."""
    block = at(picture, y, x)
    step = first
    while step >= 1:
        gone_y, gone_x = 9, 9  # from the centre before, in steps
        for _ in range(rounds):
            if least < enough:
                break
            cy, cx = my, mx
            for k in range(8):
                dy, dx = DIRECTIONS_Y[k], DIRECTIONS_X[k]
                if abs(dy + gone_y) < 2 and abs(dx + gone_x) < 2:
                    continue
                ny, nx = cy + dy * step, cx + dx * step
                if legal(y, x, 8, ny, nx, h, w):
                    shown = moved(reference, y, x, ny, nx)
                    s = sad8(block, picture.stride, shown, reference.stride)
                    if s < least:
                        least, my, mx = s, ny, nx
            if my == cy and mx == cx:
                break
            gone_y, gone_x = (my - cy) // step, (mx - cx) // step
        step >>= 1
    return my, mx
