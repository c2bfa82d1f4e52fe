"""Section Deblocking: borders of cells that are smoothed before the detail."""

from __future__ import annotations

import numpy as np

from .entropy import RangeDecoder
from .motion import Cell, Grid, clip

DEBLOCK = 977
STRENGTH_BITS = 3
APART = 4
TC = (0, 2, 4, 6, 8, 12, 16, 24)
BETA = (0, 24, 48, 64, 80, 104, 128, 160)
LUMA, CHROMA = 8, 4  # sides of a cell

Samples = list[int]


def strength_index(s: RangeDecoder) -> int:
    node = 1
    for _ in range(STRENGTH_BITS):
        node = 2 * node + s.bit(DEBLOCK + node)
    return node - (1 << STRENGTH_BITS)


def stepping(a: Cell, b: Cell) -> bool:
    """Whether two cells are predicted in different ways."""
    if (a.direction, a.chosen) != (b.direction, b.chosen):
        return True
    used = [l for l in (0, 1) if a.direction & 1 << l]
    return any(abs(a.vectors[l][c] - b.vectors[l][c]) >= APART for l in used for c in (0, 1))


def smooth(
    planes: list[np.ndarray],
    strength: int,
    grid: Grid,
    direct: np.ndarray,
    never: np.ndarray,
    shown: tuple[int, int],
) -> None:
    """Filter the planes in place.

    direct, never: of each 16x16 block whether it is direct, and whether it is painted or outside;
    shown: height and width of the picture.
    """
    if not strength:
        return
    tc, beta = TC[strength], BETA[strength]
    rows, columns = (-(-v // LUMA) for v in shown)

    def filtered(y: int, x: int, v: int, u: int) -> bool:
        blocks = (y // 2, x // 2), (v // 2, u // 2)
        if any(never[b] for b in blocks):
            return False
        return not all(direct[b] for b in blocks) or stepping(grid.at(y, x), grid.at(v, u))

    for down in (0, 1):
        for y in range(down, rows):
            for x in range(1 - down, columns):
                if filtered(y, x, y - down, x - 1 + down):
                    border(planes, y, x, down, tc, beta)


def border(planes: list[np.ndarray], y: int, x: int, down: int, tc: int, beta: int) -> None:
    """Smooth the border before the cell (y, x): the left one, or with ``down`` the upper one."""
    for plane, size in zip(planes, (LUMA, CHROMA, CHROMA), strict=True):
        # lines across the border are rows of this view
        view = plane.T if down else plane
        top, left = (x * size, y * size) if down else (y * size, x * size)
        half = size // 2
        for first in range(top, top + size, 4):
            lines = [view[r, left - half : left + half] for r in range(first, first + 4)]
            old = [line.tolist() for line in lines]
            new = (luma if size == LUMA else chroma)(old, tc, beta)
            for line, samples in zip(lines, new, strict=True):
                line[:] = np.clip(samples, 0, 1023)


def luma(lines: list[Samples], tc: int, beta: int) -> list[Samples]:
    """Four lines p3 p2 p1 p0 q0 q1 q2 q3 of a segment."""
    dp = [abs(o[1] - 2 * o[2] + o[3]) for o in lines]
    dq = [abs(o[6] - 2 * o[5] + o[4]) for o in lines]
    if dp[0] + dp[3] + dq[0] + dq[3] >= beta:
        return lines
    flat = all(
        2 * (dp[i] + dq[i]) < beta >> 2
        and abs(o[0] - o[3]) + abs(o[7] - o[4]) < beta >> 3
        and abs(o[3] - o[4]) < 5 * tc + 1 >> 1
        for i, o in ((0, lines[0]), (3, lines[3]))
    )
    if flat:
        return [strong(o, tc) for o in lines]
    side = beta + (beta >> 1) >> 3
    return [weak(o, tc, dp[0] + dp[3] < side, dq[0] + dq[3] < side) for o in lines]


def strong(o: Samples, tc: int) -> Samples:
    p3, p2, p1, p0, q0, q1, q2, q3 = o
    new = [
        p3,
        2 * p3 + 3 * p2 + p1 + p0 + q0 + 4 >> 3,
        p2 + p1 + p0 + q0 + 2 >> 2,
        p2 + 2 * p1 + 2 * p0 + 2 * q0 + q1 + 4 >> 3,
        p1 + 2 * p0 + 2 * q0 + 2 * q1 + q2 + 4 >> 3,
        p0 + q0 + q1 + q2 + 2 >> 2,
        p0 + q0 + q1 + 3 * q2 + 2 * q3 + 4 >> 3,
        q3,
    ]
    return [a + clip(b - a, 2 * tc) for a, b in zip(o, new, strict=True)]


def weak(o: Samples, tc: int, second_p: bool, second_q: bool) -> Samples:
    p3, p2, p1, p0, q0, q1, q2, q3 = o
    d = 9 * (q0 - p0) - 3 * (q1 - p1) + 8 >> 4
    if abs(d) >= 10 * tc:
        return o
    d = clip(d, tc)
    move_p = clip((p2 + p0 + 1 >> 1) - p1 + d >> 1, tc >> 1) if second_p else 0
    move_q = clip((q2 + q0 + 1 >> 1) - q1 - d >> 1, tc >> 1) if second_q else 0
    return [p3, p2, p1 + move_p, p0 + d, q0 - d, q1 + move_q, q2, q3]


def chroma(lines: list[Samples], tc: int, beta: int) -> list[Samples]:
    """Four lines p1 p0 q0 q1 of a border."""
    if sum(abs(lines[i][0] - lines[i][1]) + abs(lines[i][3] - lines[i][2]) for i in (0, 3)) >= (
        beta >> 2
    ):
        return lines
    new = []
    for p1, p0, q0, q1 in lines:
        d = clip(4 * (q0 - p0) + p1 - q1 + 4 >> 3, tc + 2 >> 2)
        new.append([p1, p0 + d, q0 - d, q1])
    return new
