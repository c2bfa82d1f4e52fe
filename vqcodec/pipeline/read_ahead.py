"""An iterator that runs in a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..system.interrupt import Interrupt

Item = TypeVar("Item")
_READ_AHEAD = 4


@dataclass(frozen=True)
class _Entry(Generic[Item]):
    """What goes through the queue: an item, or without one the end, by an error if there is one."""

    item: Item | None = None
    ended: bool = False
    error: BaseException | None = None


def read_ahead(
    items: Iterable[Item], depth: int = _READ_AHEAD, interrupt: Interrupt | None = None
) -> Generator[Item, None, None]:
    """Iterate ``items`` in a thread that is at most ``depth`` ahead.

    Its exceptions come out here; closing stops it, and so does the interrupt.
    """
    fifo: queue.Queue[_Entry[Item]] = queue.Queue(depth)
    stop = threading.Event()

    def put(entry: _Entry[Item]) -> bool:
        while not stop.is_set():
            try:
                fifo.put(entry, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put(_Entry(item)):
                    return
            put(_Entry(ended=True))
        except BaseException as exc:
            put(_Entry(ended=True, error=exc))

    thread = threading.Thread(target=work, name="read-ahead", daemon=True)
    thread.start()
    try:
        while interrupt is None or not interrupt.requested:
            try:
                entry = fifo.get(timeout=0.2)
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
