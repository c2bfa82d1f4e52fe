"""How strongly a frame's deblocking filter smooths: what leaves the least squared error."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..codec.deblocking import STRENGTHS, deblock
from ..codec.frame_decoder import Planes, copy_planes


def expected(coded: bool) -> int:
    """The strength that most frames have in which nets run, or in which they do not."""
    return 2 if coded else STRENGTHS - 1


def choose(
    drawn: Planes,
    borders: np.ndarray,
    error_bits: Callable[[Planes], float],
    guess: int | None = None,
) -> tuple[int, Planes]:
    """The strength and the picture that it gives.

    drawn: the picture before the filter; borders (2, H/8, W/8): those that it may smooth;
    error_bits: bits that the error of a picture is worth. The error falls with the strength, then
    rises: the search ends where it has risen twice. guess: a strength to begin at in the place of
    none; then it ends where the error has risen once on both sides. The strongest of all, which
    frames without nets hardly ever do without, is taken without another look.
    """
    if not borders.any():
        return 0, drawn

    def smoothed(strength: int) -> Planes:
        planes = copy_planes(drawn) if strength else drawn
        deblock(planes, borders, strength)
        return planes

    def tried(strength: int) -> tuple[float, int, Planes]:
        planes = smoothed(strength)
        return error_bits(planes), strength, planes

    if guess == STRENGTHS - 1:
        return guess, smoothed(guess)
    best = tried(guess or 0)
    if guess is not None:
        for way in (-1, 1):
            begun = best[1]
            while 0 <= best[1] + way < STRENGTHS:
                other = tried(best[1] + way)
                if other[0] >= best[0]:
                    break
                best = other
            if best[1] != begun:
                break
        return best[1:]
    for strength in range(1, STRENGTHS):
        if strength > best[1] + 2:
            break
        other = tried(strength)
        best = other if other[0] < best[0] else best
    return best[1:]
