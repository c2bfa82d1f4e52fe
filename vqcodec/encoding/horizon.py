"""How far the encoder looks ahead before it codes."""

from __future__ import annotations

from collections.abc import Sequence

REACH = 48  # frames that the look-ahead sees behind a mini-GOP; fewer at the end of a GOP


def ready(lengths: Sequence[int]) -> int:
    """How many of the mini-GOPs that wait can be planned: those with REACH frames behind them.

    lengths: frames of each, in their order.
    """
    behind = sum(lengths)
    for number, length in enumerate(lengths):
        behind -= length
        if behind < REACH:
            return number
    return len(lengths)
