"""Blocks of positions to channels and back."""

from __future__ import annotations

from torch import Tensor


def unshuffle(x: Tensor, r: int) -> Tensor:
    """(N, H, W, C) -> (N, H/r, W/r, r*r*C); the new channel is (dy * r + dx) * C + c."""
    n, h, w, c = x.shape
    return (
        x.reshape(n, h // r, r, w // r, r, c)
        .permute(0, 1, 3, 2, 4, 5)
        .reshape(n, h // r, w // r, r * r * c)
    )


def shuffle(x: Tensor, r: int) -> Tensor:
    """The inverse of :func:`unshuffle`."""
    n, h, w, c = x.shape
    return (
        x.reshape(n, h, w, r, r, c // (r * r))
        .permute(0, 1, 3, 2, 4, 5)
        .reshape(n, h * r, w * r, c // (r * r))
    )
