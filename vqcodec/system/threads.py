"""How many threads the exact nets have: torch's number where it is loaded, else one of our own."""

from __future__ import annotations

import os
import sys

from .processors import usable
from .surroundings import forked_from_torch

_wanted = 0  # as set; 0: as many as there are processors


def set_threads(n: int) -> None:
    """Let the nets, and torch where it is loaded, use so many threads.

    A process that was forked from one with torch has but one.
    """
    global _wanted
    _wanted = n
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1 if forked_from_torch() else n)


def thread_count() -> int:
    """How many threads the nets use now."""
    torch = sys.modules.get("torch")
    if torch is not None:
        count: int = torch.get_num_threads()
        return count
    return _wanted or _default()


def _default() -> int:
    """What torch takes without being told: OMP_NUM_THREADS, or all processors."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    return int(told) if told.isdecimal() and int(told) > 0 else usable()
