"""How many threads the exact nets have, and work that they share.

The number is torch's where that is loaded, since a program sets it there, else one of our own.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from typing import TypeVar

from .processors import usable
from .surroundings import forked_from_torch

Item = TypeVar("Item")
Result = TypeVar("Result")
_wanted = 0  # as set; 0: as many as there are processors


class _Share(threading.local):
    """What the thread may use of them: 0 all."""

    count = 0


_share = _Share()


def set_threads(count: int) -> None:
    """Let the nets, and torch where it is loaded, use so many threads.

    A process that was forked from one with torch has but one.
    """
    global _wanted
    _wanted = count
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1 if forked_from_torch() else count)


def thread_count() -> int:
    """How many threads the nets may use now, in this thread."""
    if _share.count:
        return _share.count
    torch = sys.modules.get("torch")
    if torch is not None:
        count: int = torch.get_num_threads()
        return count
    return _wanted or default_threads()


@lru_cache(maxsize=1)
def default_threads() -> int:
    """What torch takes without being told: the first number of OMP_NUM_THREADS, or all
    processors."""
    told = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(told) if told.isdecimal() and int(told) > 0 else usable()


def in_parts(function: Callable[[Item], Result], parts: Iterable[Item]) -> list[Result]:
    """The results of parts of one work, in as many threads as this thread may use."""
    if thread_count() == 1:
        return [function(part) for part in parts]
    return list(_pool(thread_count(), "part", os.getpid()).map(function, parts))


def side_by_side(function: Callable[[Item], Result], works: Sequence[Item]) -> list[Result]:
    """The results of works that don't wait for each other; the threads are shared out evenly."""
    threads = thread_count()
    at_once = min(threads, len(works))
    if at_once < 2:
        return [function(work) for work in works]

    def one(work: Item) -> Result:
        with limited(threads // at_once):
            return function(work)

    return list(_pool(at_once, "work", os.getpid()).map(one, works))


@contextmanager
def limited(count: int) -> Iterator[None]:
    """A context in which this thread may use so many threads."""
    before, _share.count = _share.count, count
    try:
        yield
    finally:
        _share.count = before


@lru_cache(maxsize=4)
def _pool(threads: int, name: str, process: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, name)
