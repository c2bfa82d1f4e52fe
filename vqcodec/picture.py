"""Pictures as numpy planes, and their changes between 8 and 10 bits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .picture_size import chroma_size

MAX_SAMPLE = 1023  # of 10 bits


def plane8(plane: np.ndarray) -> np.ndarray:
    """A plane of 10 bits (uint16) rounded to 8 (uint8): (v + 2) >> 2, at most 255."""
    rounded = plane + np.uint16(2)
    rounded >>= 2
    return np.asarray(np.minimum(rounded, 255, out=rounded), np.uint8)


class Picture(NamedTuple):
    """A 4:2:0 picture: planes of shape (H, W), (ceil(H/2), ceil(W/2)) twice; uint8 for 8 bits,
    uint16 for values of 10 bits.
    """

    y: np.ndarray
    u: np.ndarray
    v: np.ndarray

    @property
    def ten_bit(self) -> bool:
        """True for uint16 planes of 10 bits."""
        return self.y.dtype == np.uint16

    def to8(self) -> Picture:
        """Rounded to 8 bits: (v + 2) >> 2, at most 255; 8-bit pictures as they are."""
        if not self.ten_bit:
            return self
        return Picture(*(plane8(p) for p in self))

    def to10(self) -> Picture:
        """Values times four for 8-bit pictures; 10-bit pictures as they are."""
        return self if self.ten_bit else Picture(*(p.astype(np.uint16) << 2 for p in self))


def gray(width: int, height: int, ten_bit: bool = True) -> Picture:
    """A mid-gray picture."""
    cw, ch = chroma_size(width, height)
    dtype, value = (np.uint16, 512) if ten_bit else (np.uint8, 128)
    return Picture(
        np.full((height, width), value, dtype),
        np.full((ch, cw), value, dtype),
        np.full((ch, cw), value, dtype),
    )
