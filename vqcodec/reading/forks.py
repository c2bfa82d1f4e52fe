"""A lock for what a process may be forked with: forks wait for it, and the child has a new one."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable

_PATIENCE = 5.0  # seconds that a fork waits for calls of other threads


class ForkLock:
    """A lock that one thread holds at a time, as often as it likes.

    Args:
        forget: A method that is called in forked processes, as long as its object lives: it gives
            up what cannot be shared with others.
    """

    def __init__(self, forget: Callable[[], None]) -> None:
        self._lock = threading.RLock()
        self._forget = weakref.WeakMethod(forget)
        _LOCKS.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *exc: object) -> None:
        self._lock.release()

    def try_for(self, seconds: float) -> bool:
        """Whether the lock could be taken within so many seconds."""
        return self._lock.acquire(timeout=seconds)

    def renew(self) -> None:
        """In a forked process, whose only thread holds no lock of another one."""
        self._lock = threading.RLock()
        forget = self._forget()
        if forget is not None:
            forget()


_LOCKS: weakref.WeakSet[ForkLock] = weakref.WeakSet()
_held: list[tuple[ForkLock, bool]] = []


def _before_fork() -> None:
    # libraries have locks of their own: a child whose parent was within them could wait for ever
    _held[:] = [(lock, lock.try_for(_PATIENCE)) for lock in list(_LOCKS)]


def _after_fork_in_parent() -> None:
    for lock, taken in _held:
        if taken:
            lock.__exit__()
    _held.clear()


def _after_fork_in_child() -> None:
    for lock, _ in _held:
        lock.renew()
    _held.clear()


os.register_at_fork(
    before=_before_fork,
    after_in_parent=_after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)
