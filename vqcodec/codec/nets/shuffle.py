"""Blocks of positions to channels and back."""

from __future__ import annotations

from .backend import Array


def unshuffle(x: Array, r: int) -> Array:
    """(N, H, W, C) -> (N, H/r, W/r, r*r*C); the new channel is (dy * r + dx) * C + c."""
    n, h, w, c = x.shape
    return (
        x.reshape(n, h // r, r, w // r, r, c).swapaxes(2, 3).reshape(n, h // r, w // r, r * r * c)
    )


def shuffle(x: Array, r: int) -> Array:
    """The inverse of :func:`unshuffle`."""
    n, h, w, c = x.shape
    return (
        x.reshape(n, h, w, r, r, c // (r * r)).swapaxes(2, 3).reshape(n, h * r, w * r, c // (r * r))
    )
