"""Section Latents: the numbers that the networks turn into a residual."""

from __future__ import annotations

import numpy as np

from .entropy import RangeDecoder, Tables
from .model import Books

UNIT = 16
CLASSES = 40
HYPER_BUCKETS = 4
MAX_LATENT = 32767
ESCAPE_BITS = 12


def number(s: RangeDecoder) -> int:
    """An escaped number."""
    k = 0
    while k < ESCAPE_BITS and s.raw(1):
        k += 1
    if k == 0:
        return 0
    v = 1 << (k - 1) | s.raw(k - 1)
    return -v if s.raw(1) else v


def hyper(
    s: RangeDecoder, tables: Tables, books: Books, q: int, direct: np.ndarray, channels: int
) -> np.ndarray:
    """The hyper-latent z, (H/64, W/64, channels); direct: (H/16, W/16)."""
    rows, columns = direct.shape[0] // 4, direct.shape[1] // 4
    z = np.zeros((rows, columns, channels), np.int64)
    for y in range(rows):
        for x in range(columns):
            if direct[4 * y : 4 * y + 4, 4 * x : 4 * x + 4].all():
                continue
            for g in range(channels // 4):
                t = CLASSES + (q * HYPER_BUCKETS // 64) * (channels // 4) + g
                z[y, x, 4 * g : 4 * g + 4] = books.words[t][tables.read(s, t)]
    return z


ORDER = [0, 2, 3, 1]


def step_of(y: int, x: int, g: int, channels: int, steps: int) -> int:
    """The step that codes group g at row y and column x."""
    part = g * steps // (channels // 4)
    if steps == 2:
        return (y + x + 1) % 2 ^ part
    return ORDER[(2 * (y % 2) + x % 2) ^ part]


def latent(
    s: RangeDecoder,
    tables: Tables,
    books: Books,
    step: tuple[int, int],
    mean: np.ndarray,
    cls: np.ndarray,
    direct: np.ndarray,
    y: np.ndarray,
) -> None:
    """Fill in one step (its number and how many there are) of the latent y.

    y: (rows, columns, channels), cls (rows, columns, channels / 4), direct (rows, columns).
    """
    k, steps = step
    rows, columns, channels = y.shape
    for r in range(rows):
        for c in range(columns):
            for g in range(channels // 4):
                if step_of(r, c, g, channels, steps) == k and not direct[r, c]:
                    group(
                        s,
                        tables,
                        books,
                        int(cls[r, c, g]),
                        mean[r, c, 4 * g : 4 * g + 4],
                        y[r, c, 4 * g : 4 * g + 4],
                    )


def group(
    s: RangeDecoder, tables: Tables, books: Books, t: int, mean: np.ndarray, y: np.ndarray
) -> None:
    dims = books.dims[t]
    y[:] = mean
    for i in range(0, 4 if dims else 0, max(1, dims)):
        k = tables.read(s, t)
        if dims < 4 and k == books.sizes[t] - 1:
            y[i : i + dims] += UNIT * np.array([number(s) for _ in range(dims)])
        else:
            y[i : i + dims] += books.words[t][k]
    np.clip(y, -MAX_LATENT, MAX_LATENT, out=y)
