"""Symbol tables from counts."""

from __future__ import annotations

import numpy as np

from vqcodec.codec.range_coder import build_cdf


def tables(*rows: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """cdf and sizes of tables with the given counts."""
    counts = np.zeros((len(rows), max(map(len, rows))), np.uint32)
    for t, row in enumerate(rows):
        counts[t, : len(row)] = row
    sizes = np.array([len(r) for r in rows], np.int64)
    cdf = np.zeros((len(rows), counts.shape[1] + 1), np.uint32)
    build_cdf(counts, sizes, cdf)
    return cdf, sizes
