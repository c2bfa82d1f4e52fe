"""Equations of least squares: symmetric tables whose rows are zero before a first column."""

from __future__ import annotations

import numpy as np

from ..compiled import njit


@njit
def factored(table: np.ndarray, first: np.ndarray) -> None:
    """Cholesky's factor of a symmetric table, in its place; rows begin at ``first``."""
    for i in range(len(table)):
        for j in range(first[i], i + 1):
            value = table[i, j]
            for k in range(max(first[i], first[j]), j):
                value -= table[i, k] * table[j, k]
            table[i, j] = np.sqrt(max(value, 1e-12)) if i == j else value / table[j, j]


@njit
def solved(factor: np.ndarray, first: np.ndarray, goals: np.ndarray) -> None:
    """The solution for real or complex right sides, in their place. factor: of :func:`factored`."""
    for i in range(len(factor)):
        for k in range(first[i], i):
            goals[i] -= factor[i, k] * goals[k]
        goals[i] /= factor[i, i]
    for i in range(len(factor) - 1, -1, -1):
        goals[i] /= factor[i, i]
        for k in range(first[i], i):
            goals[k] -= factor[i, k] * goals[i]
