"""Where nets run: coded tiles of 32x32 luma samples, whose positions are the rows of matrices.

Only depthwise convolutions look sideways. Beside coded tiles they see zeros, exactly as they do
beside the picture; so positions elsewhere need not exist. Rows go frame by frame, tile by tile, in
a tile by its 2x2 positions at 1/16 of the resolution and in each of these by its 2x2 at 1/8: from
one resolution to the other is a reshape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from .backend import Array, ArrayLike, Backend

Other = TypeVar("Other", bound=ArrayLike)
_TAPS = [(k // 3, k % 3) for k in range(9)]
_PAIR = np.arange(2)


@dataclass(frozen=True)
class Rows(Generic[Array]):
    """Positions of one resolution, of pictures (N, H, W) of positions."""

    at: np.ndarray  # (M,) int64: where each lies among all N * H * W
    near: Array  # (M, 9) int64: rows around each, row-major; M where there is none
    shape: tuple[int, int, int]

    @classmethod
    def of(
        cls, at: np.ndarray, shape: tuple[int, int, int], backend: Backend[Array]
    ) -> Rows[Array]:
        """The rows that lie at these places."""
        frames, height, width = shape
        numbers = np.full((frames, height + 2, width + 2), len(at))
        frame, place = np.divmod(at, height * width)
        y, x = np.divmod(place, width)
        numbers[frame, y + 1, x + 1] = np.arange(len(at))
        near = np.stack([numbers[frame, y + dy, x + dx] for dy, dx in _TAPS], 1)
        return cls(at, backend.array(near), shape)

    def gather(self, pictures: np.ndarray) -> np.ndarray:
        """(N, H, W, C) -> (M, C)."""
        return np.asarray(pictures.reshape(-1, pictures.shape[-1])[self.at])

    def scatter(self, rows: np.ndarray) -> np.ndarray:
        """The inverse of :meth:`gather`, with zeros elsewhere."""
        out = np.zeros((int(np.prod(self.shape)), rows.shape[-1]), rows.dtype)
        out[self.at] = rows
        return out.reshape(*self.shape, -1)


@dataclass(frozen=True)
class Tiles(Generic[Array]):
    """Rows of the coded tiles of frames."""

    at8: Rows[Array]
    at16: Rows[Array]
    hyper: np.ndarray  # (K,) int64: of N * H/64 * W/64 places those with a coded tile
    of_hyper: Array  # (M,) int64: of each row of at16, its number among the 16 of each of those

    @classmethod
    def of(cls, coded: np.ndarray, backend: Backend[Array]) -> Tiles[Array]:
        """Rows of a map (N, H/32, W/32) bool."""
        frames, height, width = coded.shape
        frame, y, x = (a.reshape(-1, 1, 1, 1, 1) for a in np.nonzero(coded))
        y16, x16 = 2 * y + _PAIR.reshape(2, 1, 1, 1), 2 * x + _PAIR.reshape(2, 1, 1)
        y8, x8 = 2 * y16 + _PAIR.reshape(2, 1), 2 * x16 + _PAIR
        at16 = (((frame * height * 2) + y16) * width * 2 + x16).ravel()
        at8 = (((frame * height * 4) + y8) * width * 4 + x8).ravel()
        places = coded.reshape(frames, height // 2, 2, width // 2, 2).any((2, 4))
        number = np.cumsum(places.ravel()) - 1
        place = (frame * (height // 2) + y16 // 4) * (width // 2) + x16 // 4
        of_hyper = number[place] * 16 + y16 % 4 * 4 + x16 % 4
        return cls(
            Rows.of(at8, (frames, height * 4, width * 4), backend),
            Rows.of(at16, (frames, height * 2, width * 2), backend),
            np.flatnonzero(places),
            backend.array(of_hyper.ravel()),
        )

    def on(self, backend: Backend[Other]) -> Tiles[Other]:
        """The same tiles as a backend holds them."""
        at8, at16 = (
            Rows(rows.at, backend.array(np.asarray(rows.near)), rows.shape)
            for rows in (self.at8, self.at16)
        )
        return Tiles(at8, at16, self.hyper, backend.array(np.asarray(self.of_hyper)))

    @classmethod
    def everywhere(cls, shape: tuple[int, ...], backend: Backend[Array]) -> Tiles[Array]:
        """All tiles of hyper-latents (N, H/64, W/64, ..)."""
        frames, height, width = shape[:3]
        return cls.of(np.ones((frames, 2 * height, 2 * width), bool), backend)
