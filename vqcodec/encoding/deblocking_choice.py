"""How strongly a frame's deblocking filter smooths: what leaves the least squared error."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..codec.deblocking import STRENGTHS, deblock
from ..codec.frame_decoder import Planes, copy_planes


def choose(
    drawn: Planes, borders: np.ndarray, error_bits: Callable[[Planes], float]
) -> tuple[int, Planes]:
    """The strength and the picture that it gives.

    drawn: the picture before the filter; borders (2, H/8, W/8): those that it may smooth;
    error_bits: bits that the error of a picture is worth. The error falls with the strength, then
    rises: the search ends where it has risen twice.
    """
    if not borders.any():
        return 0, drawn
    best, least, kept = 0, error_bits(drawn), drawn
    for strength in range(1, STRENGTHS):
        if strength > best + 2:
            break
        planes = copy_planes(drawn)
        deblock(planes, borders, strength)
        cost = error_bits(planes)
        if cost < least:
            best, least, kept = strength, cost, planes
    return best, kept
