"""The compiled functions that an encode with stand-ins meets, in numpy, for processes of their own:
numba takes longer to load than all else that such a process does."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np

BLOCK, REACH = 4, 3


def install() -> None:
    """Put them in the place of those of scene cuts, unless these are there."""
    if "vqcodec.compiled" in sys.modules:
        return
    compiled: Any = types.ModuleType("vqcodec.compiled")
    compiled.njit = compiled.njit_borrowing = _refusing
    sys.modules["vqcodec.compiled"] = compiled
    changes: Any = importlib.import_module("vqcodec.encoding.scene_changes")
    changes._moved_residual, changes._texture = moved_residual, texture
    changes._box_sums = box_sums


def _refusing(function: Callable[..., Any]) -> Callable[..., Any]:
    """What no stand-in was written for would take most of the time of all tests, loop by loop."""

    def refuse(*_: Any) -> None:
        raise AssertionError(f"{function.__qualname__} needs a form in plain_kernels.py")

    return refuse


def _mean_of_blocks(samples: np.ndarray) -> np.ndarray:
    """Of whole blocks: (..., rows, columns) to (..., rows / 4, columns / 4)."""
    *more, h, w = samples.shape
    return samples.reshape(*more, h // BLOCK, BLOCK, w // BLOCK, BLOCK).mean((-3, -1))


def moved_residual(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    h, w = after.shape
    rows, columns = -(-h // BLOCK) * BLOCK, -(-w // BLOCK) * BLOCK
    own = np.pad(after, ((0, rows - h), (0, columns - w)), "edge")
    around = ((REACH, REACH + rows - h), (REACH, REACH + columns - w))
    places = np.lib.stride_tricks.sliding_window_view(
        np.pad(before, around, "edge"), (rows, columns)
    )
    least: np.ndarray = _mean_of_blocks(np.abs(places - own)).min((0, 1))
    return least.astype(np.float32)


def texture(thumb: np.ndarray) -> np.ndarray:
    h, w = thumb.shape
    tops, lefts = np.arange(0, h, BLOCK), np.arange(0, w, BLOCK)
    down, right = np.diff(tops, append=h), np.diff(lefts, append=w)

    def mean(samples: np.ndarray) -> np.ndarray:
        sums = np.add.reduceat(np.add.reduceat(samples, tops, 0), lefts, 1)
        return np.asarray(sums / (down[:, None] * right))

    spread = np.abs(thumb - mean(thumb).repeat(down, 0).repeat(right, 1))
    return mean(spread).astype(np.float32)


def box_sums(luma: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    of_rows = np.add.reduceat(luma, rows, axis=0, dtype=np.uint32)
    return np.asarray(np.add.reduceat(of_rows, columns, axis=1))
