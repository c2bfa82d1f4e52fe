"""Parts of a frame that do not change: they are to be shown as a reference shows them.

A block whose source is that of the same place in a reference would be coded again with an error of
its own, or as the mean of two references that differ: a third picture, and what stands still
flickers. What the reference shows is taken for its source instead. A copy from that one reference
then has no error at all, and search, direct blocks and detail find it by themselves.
"""

from __future__ import annotations

import numpy as np

from ..codec.frame_decoder import Coded, Planes
from .block_facts import unequal

BLOCK = 16  # luma samples


def still_blocks(source: Planes, other: Planes) -> np.ndarray:
    """(H/16, W/16) bool: blocks of padded planes in which two pictures are the same."""
    shape = source[0].shape[0] // BLOCK, source[0].shape[1] // BLOCK
    changed = np.zeros(shape, bool)
    for a, b in zip(source, other, strict=True):
        changed |= unequal(a, b, shape)
    return ~changed


def as_references_show(source: Planes, references: list[Coded], still: list[np.ndarray]) -> Planes:
    """The source, with what the references show in its still blocks.

    still: for each reference (H/16, W/16) bool, where the source is its. Where both are the same,
    the reference that is nearer to the source in these blocks is taken for all of them.
    """
    if not any(blocks.any() for blocks in still):
        return source
    out = tuple(plane.copy() for plane in source)
    if len(still) > 1:
        both = still[0] & still[1]
        errors = [_error(source, reference.planes, both) for reference in references]
        worse = int(errors[0] < errors[1])
        still = [blocks & ~both if i == worse else blocks for i, blocks in enumerate(still)]
    for reference, blocks in zip(references, still, strict=True):
        for plane, shown in zip(out, reference.planes, strict=True):
            where = _samples(blocks, plane)
            plane[where] = shown[where]
    return out[0], out[1], out[2]


def _samples(blocks: np.ndarray, plane: np.ndarray) -> np.ndarray:
    size = plane.shape[0] // blocks.shape[0]
    return blocks.repeat(size, 0).repeat(size, 1)


def _error(source: Planes, shown: Planes, blocks: np.ndarray) -> float:
    """Squared error in some blocks."""
    return sum(
        float(np.square(a.astype(np.float32) - b)[_samples(blocks, a)].sum())
        for a, b in zip(source, shown, strict=True)
    )
