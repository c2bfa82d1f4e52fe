"""What the eye sees and PSNR does not: a grid of blocks, and flicker of still parts.

Both are of luma on the scale of 8 bits, of a decoded video beside its source.
"""

from __future__ import annotations

import numpy as np

GRID = 8  # samples between the borders that are looked at
AROUND = 9  # steps of the source that tell whether it is smooth
SMOOTH = 2.0  # their largest mean
STILL_BLOCK = 16  # samples on a side
STILL = 1.5  # largest mean change of a block of the source from frame to frame
LEAST_STILL = 8  # blocks of a frame below which its flicker says nothing


class VisibleFaults:
    """Takes the frames of a video one after the other, and sums up."""

    def __init__(self) -> None:
        # sums and counts of steps over borders and inside blocks
        self._steps = np.zeros(4)
        self._flicker: list[float] = []  # of frames
        self._before: tuple[np.ndarray, np.ndarray] | None = None

    def add(self, source: np.ndarray, shown: np.ndarray) -> None:
        """Luma (H, W) of the next frame of both, in 255ths of any real type."""
        source, shown = source.astype(np.float32), shown.astype(np.float32)
        self._steps += _steps(source, shown) + _steps(source.T, shown.T)
        if self._before is not None:
            changes = _change(self._before[0], source), _change(self._before[1], shown)
            still = changes[0] <= STILL
            if still.sum() >= LEAST_STILL:
                self._flicker.append(float((changes[1] - changes[0])[still].mean()))
        self._before = source, shown

    @property
    def blocking(self) -> float | None:
        """Mean absolute step of the video over the borders of an 8x8 grid against that inside the
        blocks, in smooth parts of the source.

        1 where no grid is seen; 1.2 is plain to see. None where nothing is smooth, or flat.
        """
        over, borders, inside, places = self._steps
        return float(over / borders / (inside / places)) if borders and inside else None

    @property
    def flicker(self) -> float | None:
        """Mean absolute change of the video from frame to frame less that of the source, in still
        parts of the source; below 0 where noise was smoothed away. None where nothing is still."""
        return float(np.mean(self._flicker)) if self._flicker else None


def _steps(source: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Sums and counts of steps between columns: over borders of the grid, and inside its blocks
    but for their middle, where a grid of four would be."""
    if source.shape[1] <= AROUND:
        return np.zeros(4)
    around = np.cumsum(np.abs(np.diff(source, axis=1)), axis=1, dtype=np.float64)
    half = AROUND // 2
    padded = np.pad(np.pad(around, ((0, 0), (half + 1, 0))), ((0, 0), (0, half)), mode="edge")
    smooth = padded[:, AROUND:] - padded[:, :-AROUND] <= SMOOTH * AROUND
    step = np.abs(np.diff(shown, axis=1)).astype(np.float64)
    place = (np.arange(step.shape[1]) + 1) % GRID
    border, inside = smooth & (place == 0), smooth & (place != 0) & (place != GRID // 2)
    return np.array([step[border].sum(), border.sum(), step[inside].sum(), inside.sum()])


def _change(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Mean absolute change of each whole 16x16 block."""
    rows, columns = (n // STILL_BLOCK for n in after.shape)
    change = np.abs(after - before)[: rows * STILL_BLOCK, : columns * STILL_BLOCK]
    return np.asarray(change.reshape(rows, STILL_BLOCK, columns, STILL_BLOCK).mean((1, 3)))
