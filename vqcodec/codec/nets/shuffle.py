"""Blocks of positions to channels and back."""

from __future__ import annotations

from .backend import Array


def unshuffle(values: Array, side: int) -> Array:
    """(N, H, W, C) -> (N, H/side, W/side, side*side*C).

    The new channel is (dy * side + dx) * C + c.
    """
    frames, rows, columns, channels = values.shape
    return (
        values.reshape(frames, rows // side, side, columns // side, side, channels)
        .swapaxes(2, 3)
        .reshape(frames, rows // side, columns // side, side * side * channels)
    )


def shuffle(values: Array, side: int) -> Array:
    """The inverse of :func:`unshuffle`."""
    frames, rows, columns, channels = values.shape
    return (
        values.reshape(frames, rows, columns, side, side, channels // (side * side))
        .swapaxes(2, 3)
        .reshape(frames, rows * side, columns * side, channels // (side * side))
    )
