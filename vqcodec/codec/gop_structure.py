"""Order, levels and references of the frames of a GOP."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

MINI_GOP = 16
LEVELS = 7  # I, key, and the five possible levels of a pyramid of 32


@dataclass(frozen=True)
class Slot:
    """One frame of a GOP in decoding order: frame number, level (0 I, 1 key, 2.. B), frame numbers of its references."""

    frame: int
    level: int
    refs: tuple[int, ...]


def mini_gop(last: int, n: int, older: int | None = None) -> list[Slot]:
    """Decoding order of the ``n`` frames that follow frame ``last`` (the key frame before them); ``older``: the key frame before that, if any."""
    end = last + n
    out = [Slot(end, 1, (last,) if older is None else (last, older))]

    def between(lo: int, hi: int, level: int) -> None:
        if hi - lo > 1:
            mid = (lo + hi) // 2
            out.append(Slot(mid, level, (lo, hi)))
            between(lo, mid, level + 1)
            between(mid, hi, level + 1)

    between(last, end, 2)
    return out


def gop_order(frames: int) -> list[list[Slot]]:
    """The mini-GOPs of a GOP of ``frames`` frames; the first is the I frame alone."""
    out, last, older = [[Slot(0, 0, ())]], 0, None
    while last < frames - 1:
        n = min(MINI_GOP, frames - 1 - last)
        out.append(mini_gop(last, n, older))
        last, older = last + n, last
    return out


def ancestors(order: list[list[Slot]], wanted: Iterable[int]) -> set[int]:
    """Numbers of the frames to decode for those wanted: themselves and all that they refer to, directly or not."""
    needed = set(wanted)
    for slots in reversed(order):
        for s in reversed(slots):
            if s.frame in needed:
                needed.update(s.refs)
    return needed


MAX_BATCH = 8  # a mini-GOP has no level of more frames


def automatic_batch(width: int, height: int) -> int:
    """Pictures of this size that a decoder's nets take at once unless told otherwise."""
    return max(1, min(MAX_BATCH, 500_000 // max(1, width * height)))
