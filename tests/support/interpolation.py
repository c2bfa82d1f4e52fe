"""Interpolation as ITU-T H.265 writes it, sample by sample."""

from __future__ import annotations

import numpy as np

# ITU-T H.265, tables 8-11 and 8-12, taken from the standard and not from the package
LUMA = {
    0: [0, 0, 0, 64, 0, 0, 0, 0],
    1: [-1, 4, -10, 58, 17, -5, 1, 0],
    2: [-1, 4, -11, 40, 40, -11, 4, -1],
    3: [0, 1, -5, 17, 58, -10, 4, -1],
}
CHROMA = {
    0: [0, 64, 0, 0],
    1: [-2, 58, 10, -2],
    2: [-4, 54, 16, -2],
    3: [-6, 46, 28, -4],
    4: [-4, 36, 36, -4],
    5: [-4, 28, 46, -6],
    6: [-2, 16, 54, -4],
    7: [-2, 10, 58, -2],
}


def naive(plane: np.ndarray, y: int, x: int, my: int, mx: int, n: int, bits: int) -> np.ndarray:
    """Intermediate of 14 bits, sample by sample as the standard writes it; bits 2 for luma
    quarters, 3 for chroma eighths."""
    taps, table = (8, LUMA) if bits == 2 else (4, CHROMA)
    fy, fx = my % (1 << bits), mx % (1 << bits)
    cy, cx = table[fy], table[fx]
    h, w = plane.shape
    out = np.zeros((n, n), int)
    for j in range(n):
        for i in range(n):
            py, px = y + j + (my - fy) // (1 << bits), x + i + (mx - fx) // (1 << bits)
            col = []
            for t in range(taps):
                yy = min(max(py + t - (taps // 2 - 1), 0), h - 1)
                row = [
                    int(plane[yy, min(max(px + u - (taps // 2 - 1), 0), w - 1)])
                    for u in range(taps)
                ]
                col.append(
                    (row[taps // 2 - 1] << 4)
                    if fx == 0
                    else sum(a * b for a, b in zip(cx, row, strict=True)) >> 2
                )
            if fy == 0:
                out[j, i] = col[taps // 2 - 1]
            elif fx == 0:
                column = [
                    int(plane[min(max(py + t - (taps // 2 - 1), 0), h - 1), min(max(px, 0), w - 1)])
                    for t in range(taps)
                ]
                out[j, i] = sum(a * b for a, b in zip(cy, column, strict=True)) >> 2
            else:
                out[j, i] = sum(a * b for a, b in zip(cy, col, strict=True)) >> 6
    return out


def noise(h: int, w: int, seed: int = 0) -> np.ndarray:
    """Values of 0 and 1023 among others: the extremes of the filters."""
    rng = np.random.default_rng(seed)
    return np.where(
        rng.random((h, w)) < 0.5, rng.integers(0, 2, (h, w)) * 1023, rng.integers(0, 1024, (h, w))
    ).astype(np.uint16)
