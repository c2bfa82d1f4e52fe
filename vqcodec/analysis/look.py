"""What a picture shows, in few numbers: its lowest frequencies, whatever its size and quality.

The picture is stretched to a square; of its cosine transform the slowest waves are kept, brightness
and both colours, each weighted by its number of waves, since slow ones are strongest everywhere.
"""

from __future__ import annotations

import numpy as np

from ..picture import Picture

_SIDE = 32  # samples of the small picture
_LUMA, _CHROMA = 7, 3  # waves down and right together are fewer
_FIRST = 0.5  # weight of what is no wave


def _places(waves: int) -> list[tuple[int, int]]:
    """Waves down and right that are kept."""
    return [(down, right) for down in range(waves) for right in range(waves - down)]


LOOK = len(_places(_LUMA)) + 2 * len(_places(_CHROMA))  # numbers


def look(picture: Picture) -> np.ndarray:
    """(40,) float32 of length 1: what is shown. Zeros for an even gray of middle brightness."""
    gray = 512.0 if picture.ten_bit else 128.0
    parts = [
        _waves(_small(plane) / gray - 1, waves)
        for plane, waves in zip(picture, (_LUMA, _CHROMA, _CHROMA), strict=True)
    ]
    return unit(np.concatenate(parts))


def unit(vector: np.ndarray) -> np.ndarray:
    """Vectors (..., n) in their directions of length 1, float32; zeros as they are."""
    length = np.sqrt(np.square(vector, dtype=np.float64).sum(-1, keepdims=True))
    return np.asarray(vector / np.maximum(length, 1e-12), np.float32)


def _small(plane: np.ndarray) -> np.ndarray:
    """(32, 32): means over equal parts of a plane."""
    return _means(_means(plane).T).T


def _means(plane: np.ndarray) -> np.ndarray:
    """Means over equal parts of its height; where they begin within a row, it counts for both."""
    height = len(plane)
    sums = np.zeros((height + 1, plane.shape[1]))
    np.cumsum(plane, 0, np.float64, sums[1:])
    edges = np.linspace(0, height, _SIDE + 1)
    low = np.minimum(edges.astype(int), height - 1)
    upto = sums[low] + (edges - low)[:, None] * plane[low]
    return np.asarray(np.diff(upto, axis=0) * (_SIDE / height))


def _waves(small: np.ndarray, waves: int) -> np.ndarray:
    """What is kept of a small picture, weighted."""
    angles = np.outer(np.arange(waves), (np.arange(_SIDE) + 0.5) * np.pi / _SIDE)
    # not by a library that sums in another order with other threads
    table = np.einsum("iy,yx,jx->ij", np.cos(angles), small, np.cos(angles), optimize=False)
    return np.array([table[at] * (np.hypot(*at) or _FIRST) for at in _places(waves)])
