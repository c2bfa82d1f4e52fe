"""Section Detail: the residual in the sample domain that may refine a picture."""

from __future__ import annotations

import numpy as np

from .entropy import RangeDecoder

FRAME, CELL, SKIP, BLOCK, LAST, SIG, GT1, MAG, SIGN, CELL_DIRECT = (
    112,
    113,
    116,
    117,
    128,
    192,
    256,
    262,
    290,
    296,
)
STEPS = (64, 72, 81, 91, 102, 114)
DCT, SAMPLES = 0, 1
SCAN = ((0, 1, 4, 8, 5, 2, 3, 6, 9, 12, 13, 10, 7, 11, 14, 15), tuple(range(16)))
MATRIX = np.array([[64, 64, 64, 64], [83, 36, -36, -83], [64, -64, -64, 64], [36, -83, 83, -36]])


def refine(
    s: RangeDecoder, planes: list[np.ndarray], direct: np.ndarray, without: np.ndarray
) -> None:
    """Read the detail of a frame and add it to its padded planes; direct, without: of each 16x16
    block whether it is direct, and whether it has none."""
    if not s.bit(FRAME):
        return
    octave, k = divmod(s.raw(6), 6)
    step = (STEPS[k] << octave) >> 3
    rows, columns = planes[0].shape[0] // 8, planes[0].shape[1] // 8
    refined = np.zeros((rows, columns), int)
    for y in range(rows):
        for x in range(columns):
            if without[y // 2, x // 2]:
                continue
            neighbours = (refined[y, x - 1] if x else 0) + (refined[y - 1, x] if y else 0)
            refined[y, x] = s.bit(
                (CELL_DIRECT if direct[y // 2, x // 2] else CELL) + int(neighbours)
            )
            if refined[y, x]:
                cell(s, planes, y, x, step)


def cell(s: RangeDecoder, planes: list[np.ndarray], y: int, x: int, step: int) -> None:
    mode, coded = s.bit(SKIP), 0
    for plane, top, left in (
        (0, 8 * y, 8 * x),
        (0, 8 * y, 8 * x + 4),
        (0, 8 * y + 4, 8 * x),
        (0, 8 * y + 4, 8 * x + 4),
        (1, 4 * y, 4 * x),
        (2, 4 * y, 4 * x),
    ):
        chroma = int(plane > 0)
        if s.bit(BLOCK + 3 * chroma + min(2, coded)):
            coded += 1
            block = planes[plane][top : top + 4, left : left + 4]
            block[:] = np.clip(block + residual(levels(s, mode, chroma), mode, step), 0, 1023)


def levels(s: RangeDecoder, mode: int, chroma: int) -> list[int]:
    """The sixteen levels of a block in raster order."""
    kind = 16 * (2 * mode + chroma)
    node = 1
    for _ in range(4):
        node = 2 * node + s.bit(LAST + kind + node)
    last = node - 16
    l, larger = [0] * 16, 0
    for position in range(last, -1, -1):
        i = SCAN[mode][position]
        right = l[i + 1] if i % 4 < 3 else 0
        below = l[i + 4] if i < 12 else 0
        p = min(2, abs(right)) + 3 * min(2, abs(below)) if mode == SAMPLES else i
        if position < last and not s.bit(SIG + kind + p):
            continue
        l[i] = magnitude(s, mode, larger)
        larger += l[i] > 1
        near = right + below
        if (
            s.bit(SIGN + (0 if near == 0 else 1 if near > 0 else 2))
            if mode == SAMPLES
            else s.raw(1)
        ):
            l[i] = -l[i]
    return l


def magnitude(s: RangeDecoder, mode: int, larger: int) -> int:
    if not s.bit(GT1 + 3 * mode + min(2, larger)):
        return 1
    a = 1
    while a < 14 and s.bit(MAG + 14 * mode + a):
        a += 1
    if a == 14:
        n = 0
        while n < 14 and s.raw(1):
            n += 1
        a += (1 << n) - 1 + s.raw(n)
    return min(a + 1, 16384)


def residual(l: list[int], mode: int, step: int) -> np.ndarray:
    v = np.array(l).reshape(4, 4) * step
    if mode == SAMPLES:
        return (v + 4) >> 3
    c = np.clip(v, -32768, 32767)
    t = np.clip((MATRIX.T @ c + 64) >> 7, -32768, 32767)
    return (t @ MATRIX + 512) >> 10
