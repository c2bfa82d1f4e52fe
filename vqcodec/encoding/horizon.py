"""How far the encoder looks ahead before it codes."""

from __future__ import annotations

from collections.abc import Sequence

REACH = 48  # frames behind a mini-GOP, at least; fewer at the end of a GOP


def certain(lengths: Sequence[int]) -> int:
    """How many mini-GOPs, of those of these lengths that follow each other, have all behind them
    that the look-ahead wants to see.
    """
    behind = sum(lengths)
    for number, length in enumerate(lengths):
        behind -= length
        if behind < REACH:
            return number
    return len(lengths)
