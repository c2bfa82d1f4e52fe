"""Sizes of pictures and of their planes, for those that need no samples."""

from __future__ import annotations

ALIGN = (
    64  # a picture is coded at multiples of it: the largest block, and a position of hyper-latent
)


def padded_size(width: int, height: int) -> tuple[int, int]:
    """(H, W) at which a picture is coded: the next multiples of ALIGN."""
    return -(-height // ALIGN) * ALIGN, -(-width // ALIGN) * ALIGN


def chroma_size(width: int, height: int) -> tuple[int, int]:
    """Width and height of the chroma planes."""
    return (width + 1) // 2, (height + 1) // 2
