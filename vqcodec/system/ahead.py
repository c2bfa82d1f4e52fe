"""An iterator that runs in a thread of its own, some steps ahead of whoever takes what it gives."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from queue import Full, Queue
from typing import Generic, TypeVar

Item = TypeVar("Item")
_LOOK = 0.1  # seconds after which a full queue is looked at again


@dataclass
class _Entry(Generic[Item]):
    """An item, or the error that came in its place."""

    item: Item | None = None
    error: BaseException | None = None


def ahead(items: Iterator[Item], steps: int) -> Iterator[Item]:
    """Items of an iterator, at most ``steps`` of them made and not yet taken.

    Its errors are raised where its next item would come. Closing this generator closes the
    iterator, and waits for it.
    """
    queue: Queue[_Entry[Item] | None] = Queue(steps)
    stop = threading.Event()

    def put(entry: _Entry[Item] | None) -> bool:
        while not stop.is_set():
            try:
                queue.put(entry, timeout=_LOOK)
                return True
            except Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put(_Entry(item)):
                    break
            else:
                put(None)
        except BaseException as exc:  # of any kind: it is raised again over there
            put(_Entry(error=exc))
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(work,), name="ahead", daemon=True)
    thread.start()
    try:
        while (entry := queue.get()) is not None:
            if entry.error is not None:
                raise entry.error
            yield entry.item  # type: ignore[misc]  # there is one, it may be None itself
    finally:
        stop.set()
        thread.join()
