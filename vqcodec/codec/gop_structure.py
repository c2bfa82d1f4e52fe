"""Order, levels and references of the frames of a GOP."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

MINI_GOP = 32  # frames of a mini-GOP at most, with those set apart
LEVELS = 8  # I, key, the five levels of a pyramid, frames set apart
APART = LEVELS - 1  # level of frames set apart; runs of them go deeper


@dataclass(frozen=True)
class Slot:
    """One frame of a GOP in decoding order."""

    frame: int  # its number, in order of display
    level: int  # 0 I, 1 key, 2.. B
    refs: tuple[int, ...]  # its references: none of I, one or two of key, two of B frames


class MiniGopShape(NamedTuple):
    """How many frames a mini-GOP has, and which of them (1 is its first) are set apart: no other
    frame refers to them.
    """

    length: int
    apart: frozenset[int] = frozenset()


def _between(frames: Sequence[int], level: int) -> list[Slot]:
    """A dyadic pyramid of B frames between the first and the last of some frames."""
    if len(frames) < 3:
        return []
    mid = (len(frames) - 1) // 2
    slot = Slot(frames[mid], level, (frames[0], frames[-1]))
    return [slot, *_between(frames[: mid + 1], level + 1), *_between(frames[mid:], level + 1)]


def mini_gop(
    last: int, count: int, older: int | None = None, apart: Collection[int] = frozenset()
) -> list[Slot]:
    """Decoding order of the ``count`` frames behind frame ``last`` (the key frame before them).

    older: the key frame before ``last``, if any. apart: numbers within the mini-GOP, from 1, of the
    frames set apart; they come behind the pyramid of the others, between which they lie.
    """
    kept = [last + i for i in range(count + 1) if i not in apart]
    out = [Slot(last + count, 1, (last,) if older is None else (last, older)), *_between(kept, 2)]
    for before, after in pairwise(kept):
        out += _between(range(before, after + 1), APART)
    return out


def gop_order(frames: int, shapes: Sequence[MiniGopShape] = ()) -> list[list[Slot]]:
    """The mini-GOPs of a GOP of ``frames`` frames; the first is the I frame alone.

    Those behind ``shapes`` have MINI_GOP frames, the last what is left, and none of them set apart.
    """
    out, last, older = [[Slot(0, 0, ())]], 0, None
    todo = list(shapes)
    while last < frames - 1:
        count, apart = todo.pop(0) if todo else MiniGopShape(min(MINI_GOP, frames - 1 - last))
        out.append(mini_gop(last, count, older, apart))
        last, older = last + count, last
    return out


def by_level(slots: list[Slot]) -> Iterator[list[Slot]]:
    """The frames of a mini-GOP in groups of one level, each in decoding order.

    A frame refers to frames of higher groups only: those of one can go through the nets together.
    """
    for level in sorted({s.level for s in slots}):
        yield [s for s in slots if s.level == level]


def ancestors(order: list[list[Slot]], wanted: Iterable[int]) -> set[int]:
    """Numbers of the frames to decode for those wanted: themselves and all that they refer to,
    directly or not.
    """
    needed = set(wanted)
    for slots in reversed(order):
        for slot in reversed(slots):
            if slot.frame in needed:
                needed.update(slot.refs)
    return needed
