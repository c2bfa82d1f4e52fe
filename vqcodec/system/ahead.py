"""An iterator that runs in a thread of its own, some steps ahead of whoever takes what it gives."""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from .interrupt import Interrupt

Item = TypeVar("Item")
_LOOK = 0.1  # seconds after which a full or an empty queue is looked at again


@dataclass(frozen=True)
class _Entry(Generic[Item]):
    """What goes through the queue: an item, or without one the end, by an error if there is one."""

    item: Item | None = None
    ended: bool = False
    error: BaseException | None = None


def read_ahead(
    items: Iterable[Item], steps: int = 4, interrupt: Interrupt | None = None
) -> Generator[Item, None, None]:
    """Items of an iterable, of which ``steps`` wait at most and one more is made.

    Its errors are raised where its next item would come. Closing this generator stops it, and so
    does the interrupt: a generator that was given is closed, by its own thread, and waited for.
    """
    fifo: queue.Queue[_Entry[Item]] = queue.Queue(steps)
    stop = threading.Event()
    run = contextvars.copy_context().run
    thread = threading.Thread(
        target=run, args=(_make, items, fifo, stop), name="read-ahead", daemon=True
    )
    thread.start()
    try:
        while interrupt is None or not interrupt.requested:
            try:
                entry = fifo.get(timeout=None if interrupt is None else _LOOK)
            except queue.Empty:
                continue
            if entry.error is not None:
                raise entry.error
            if entry.ended:
                return
            yield entry.item  # type: ignore[misc]  # which may be None too
    finally:
        stop.set()
        thread.join()


def _make(items: Iterable[Item], fifo: queue.Queue[_Entry[Item]], stop: threading.Event) -> None:
    """Put items into the queue until they end or nobody takes any more."""
    try:
        for item in items:
            if not _put(_Entry(item), fifo, stop):
                return
        _put(_Entry(ended=True), fifo, stop)
    except BaseException as exc:  # of any kind: it is raised again over there
        _put(_Entry(ended=True, error=exc), fifo, stop)
    finally:
        if isinstance(items, Generator):
            items.close()


def _put(entry: _Entry[Item], fifo: queue.Queue[_Entry[Item]], stop: threading.Event) -> bool:
    """Whether there came to be room for an entry before the stop."""
    while not stop.is_set():
        try:
            fifo.put(entry, timeout=_LOOK)
            return True
        except queue.Full:
            continue
    return False
