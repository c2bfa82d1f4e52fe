"""Section Motion, Interpolation: the prediction of a P or B frame from its grid."""

from __future__ import annotations

import numpy as np

from .motion import Grid, Vector
from .weighting import weighted

Planes = list[np.ndarray]  # Y, U, V of the padded size

LUMA = (
    (0, 0, 0, 64, 0, 0, 0, 0),
    (-1, 4, -10, 58, 17, -5, 1, 0),
    (-1, 4, -11, 40, 40, -11, 4, -1),
    (0, 1, -5, 17, 58, -10, 4, -1),
)
CHROMA = (
    (0, 64, 0, 0),
    (-2, 58, 10, -2),
    (-4, 54, 16, -2),
    (-6, 46, 28, -4),
    (-4, 36, 36, -4),
    (-4, 28, 46, -6),
    (-2, 16, 54, -4),
    (-2, 10, 58, -2),
)


def intermediate(
    plane: np.ndarray, y: int, x: int, size: int, vector: Vector, chroma: bool
) -> np.ndarray:
    """The intermediate of the size x size samples at (y, x), (size, size)."""
    bits, taps, first = (3, CHROMA, -1) if chroma else (2, LUMA, -3)
    count = len(taps[0])
    rows = np.clip(
        y + (vector[0] >> bits) + first + np.arange(size + count - 1), 0, plane.shape[0] - 1
    )
    columns = np.clip(
        x + (vector[1] >> bits) + first + np.arange(size + count - 1), 0, plane.shape[1] - 1
    )
    s = plane[rows][:, columns].astype(np.int64)
    fv, fh = vector[0] & ((1 << bits) - 1), vector[1] & ((1 << bits) - 1)

    def along_row(v: np.ndarray) -> np.ndarray:
        return sum(taps[fh][i] * v[:, i : i + size] for i in range(count))

    def along_column(v: np.ndarray) -> np.ndarray:
        return sum(taps[fv][i] * v[i : i + size] for i in range(count))

    whole = slice(-first, -first + size)
    if not fv:
        return along_row(s[whole]) >> 2 if fh else s[whole, whole] << 4
    return along_column(along_row(s) >> 2) >> 6 if fh else along_column(s[:, whole]) >> 2


def predict(grid: Grid, references: list[Planes]) -> Planes:
    result = [np.empty_like(p) for p in references[0]]
    for y, row in enumerate(grid.cells):
        for x, cell in enumerate(row):
            for i, out in enumerate(result):
                size = 4 if i else 8
                lists = [l for l in (0, 1) if cell.direction & 1 << l]
                t = [
                    intermediate(references[l][i], size * y, size * x, size, cell.vectors[l], i > 0)
                    for l in lists
                ]
                blend = 8
                if cell.chosen:
                    pairs, blend = grid.sets[cell.chosen - 1]
                    t = [weighted(v, pairs[l][i]) for l, v in zip(lists, t, strict=True)]
                if len(t) == 2:
                    v = (t[0] * (16 - blend) + t[1] * blend + 128) >> 8
                else:
                    v = (t[0] + 8) >> 4
                out[size * y : size * (y + 1), size * x : size * (x + 1)] = np.clip(v, 0, 1023)
    return result
