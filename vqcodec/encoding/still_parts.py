"""Parts of a frame that do not change: they are to be shown as a reference shows them.

A block whose source is that of the same place in a reference would be coded again with an error of
its own, or as the mean of two references that differ: a third picture, and what stands still
flickers. What the reference shows is taken for its source instead. A copy from that one reference
then has no error at all, and search, direct blocks and detail find it by themselves.
"""

from __future__ import annotations

import numpy as np

from ..codec.frame_decoder import Coded, Planes, copy_planes
from ..compiled import njit
from ..picture import Picture
from .block_facts import squares, unequal

BLOCK = 16  # luma samples


def still_blocks(source: Planes, other: Planes) -> np.ndarray:
    """(H/16, W/16) bool: blocks of padded planes in which two pictures are the same."""
    shape = source[0].shape[0] // BLOCK, source[0].shape[1] // BLOCK
    changed = np.zeros(shape, bool)
    for a, b in zip(source, other, strict=True):
        changed |= unequal(a, b, shape)
    return ~changed


def same_blocks(picture: Picture, other: Picture, shape: tuple[int, int]) -> np.ndarray:
    """(H/16, W/16) bool: the blocks in which two pictures are the same, of ``shape``: padded by
    repeating the last row and column. Both have samples of as many bits."""
    changed = np.zeros(shape, bool)
    for a, b in zip(picture, other, strict=True):
        _mark_changed(a, b, BLOCK if a is picture.y else BLOCK // 2, changed)
    return ~changed


@njit
def _mark_changed(a: np.ndarray, b: np.ndarray, side: int, changed: np.ndarray) -> None:
    """Mark the blocks of ``side`` samples in which two planes differ. A block outside of a plane
    repeats its border."""
    height, width = a.shape
    bits = np.empty(width, a.dtype)
    for r in range(changed.shape[0]):
        first = min(r * side, height - 1)
        bits[:] = 0
        for y in range(first, max(first + 1, min((r + 1) * side, height))):
            p, q = a[y], b[y]
            for x in range(width):
                bits[x] |= p[x] ^ q[x]
        for c in range(changed.shape[1]):
            left = min(c * side, width - 1)
            for x in range(left, max(left + 1, min((c + 1) * side, width))):
                changed[r, c] |= bits[x] != 0


def as_references_show(source: Planes, references: list[Coded], still: list[np.ndarray]) -> Planes:
    """The source, with what the references show in its still blocks.

    still: for each reference (H/16, W/16) bool, where the source is its. Where both are the same,
    the reference that is nearer to the source in these blocks is taken for all of them.
    """
    if not any(blocks.any() for blocks in still):
        return source
    out = copy_planes(source)
    if len(still) > 1:
        both = still[0] & still[1]
        errors = [_error(source, reference.planes, both) for reference in references]
        worse = int(errors[0] < errors[1])
        still = [blocks & ~both if i == worse else blocks for i, blocks in enumerate(still)]
    for reference, blocks in zip(references, still, strict=True):
        for plane, shown in zip(out, reference.planes, strict=True):
            _take(blocks, shown, plane)
    return out


@njit
def _take(blocks: np.ndarray, shown: np.ndarray, plane: np.ndarray) -> None:
    """Copy what is shown in some blocks into a plane."""
    side = plane.shape[0] // blocks.shape[0]
    for r in range(blocks.shape[0]):
        for c in range(blocks.shape[1]):
            if not blocks[r, c]:
                continue
            for y in range(r * side, (r + 1) * side):
                for x in range(c * side, (c + 1) * side):
                    plane[y, x] = shown[y, x]


def _error(source: Planes, shown: Planes, blocks: np.ndarray) -> int:
    """Squared error in some blocks."""
    each = (squares(a, b, a.shape[0] // len(blocks)) for a, b in zip(source, shown, strict=True))
    return sum(int(one[blocks].sum(dtype=np.int64)) for one in each)
