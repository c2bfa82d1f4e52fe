"""Whether pictures bear out a gradual change that heads of frames look like.

Heads say that much is new, not whether it is another scene: a body that moves before a picture at
rest leaves the most of it as it was. So the picture behind a change must show what neither motion
nor light explains by the one before it, as it is and moved to where it fits best, and few blocks
with texture may still be there. Those within are made of both, but where one picture pushes
the other out or all of it moves. A fade may lead back to what was shown before it: then what is
shown within is pale against both.
"""

from __future__ import annotations

import numpy as np

from ..encoding.scene_changes import SHARE, aligned, contrast, is_blank, novelty

_TURNED = 0.25  # novelty of one moved to where the other fits best, where there is a mixture
_KEPT = 0.15  # share of the blocks with texture that are still there from which it is the same
_MADE = 0.35  # of the difference of both pictures: what is left of one that is made of them
_FOR, _AGAINST = 1.5, 1 / 9  # factors of the odds of a change, from made films
_PALE, _FADED = 0.5, 0.1  # of the contrast of both pictures: what a fade leaves of it, its error
_BLOCK = 4  # rows and columns of a thumbnail whose shares of both are alike


def weight(before: np.ndarray, within: np.ndarray, after: np.ndarray) -> float:
    """By what thumbnails (rows, columns) before, within and behind it multiply the odds of a
    gradual change: 0 where nothing is new, 1 where one of them is blank, as in a fade, and where
    they are too small to tell.
    """
    if min(after.shape) < _BLOCK or any(is_blank(thumb) for thumb in (before, within, after)):
        return 1.0
    if _is_another(before, after, SHARE):
        made = unmade(before, within, after) <= _MADE
        if _is_another(aligned(before, after), after, _TURNED if made else SHARE):
            return _FOR if made else _AGAINST
    return 1.0 if _is_pale(before, within, after) else 0.0


def _is_another(before: np.ndarray, after: np.ndarray, least: float) -> bool:
    """Whether a thumbnail shows another scene: so much is new, and few blocks with texture are
    still there; where hardly any is, less is enough, as at a cut.
    """
    found = novelty(before, after)
    return found.reaches(least) and found.kept < _KEPT


def _is_pale(before: np.ndarray, within: np.ndarray, after: np.ndarray) -> bool:
    """Whether a picture is those before and behind it with much less contrast."""
    least = min(contrast(before), contrast(after))
    off = np.abs(_mixed(before.ravel(), after.ravel(), within.ravel())).mean()
    return contrast(within) <= _PALE * least and bool(off <= _FADED * least)


def unmade(before: np.ndarray, within: np.ndarray, after: np.ndarray) -> float:
    """What is left of a thumbnail that is a mixture of two others, or of which each block is one,
    against the difference of those: the first is a dissolve or a fade, the other a wipe too.
    """
    old, new, both = (_blocks(thumb) for thumb in (before, after, within))
    way = new - old
    length = np.square(way).sum(1)
    share = ((both - old) * way).sum(1) / np.maximum(length, 1e-6)
    by_block = np.abs(both - old - np.clip(share, 0, 1)[:, None] * way).mean()
    at_once = np.abs(_mixed(old.ravel(), new.ravel(), both.ravel())).mean()
    return float(min(by_block, at_once) / (np.abs(way).mean() + 1e-6))


def _mixed(old: np.ndarray, new: np.ndarray, both: np.ndarray) -> np.ndarray:
    """What is left of samples that are a share of two others and of an even gray, by least
    squares.
    """
    parts = np.stack([old, new, np.ones_like(old)]).astype(np.float64)
    # not by a library that sums in another order with other threads
    squares = np.einsum("in,jn->ij", parts, parts, optimize=False) + 1e-3 * np.eye(len(parts))
    shares = np.linalg.solve(squares, np.einsum("in,n->i", parts, both, optimize=False))
    return np.asarray(both - np.einsum("i,in->n", shares, parts, optimize=False))


def _blocks(thumb: np.ndarray) -> np.ndarray:
    """(blocks, samples): whole blocks of a thumbnail."""
    rows, columns = (n // _BLOCK for n in thumb.shape)
    cut = thumb[: rows * _BLOCK, : columns * _BLOCK]
    parts = cut.reshape(rows, _BLOCK, columns, _BLOCK).swapaxes(1, 2)
    return np.asarray(parts.reshape(rows * columns, -1))
