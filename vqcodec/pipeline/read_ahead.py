"""An iterator that runs in a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator
from typing import Any

from ..system.interrupt import Interrupt

_READ_AHEAD = 4


def read_ahead(
    items: Any, depth: int = _READ_AHEAD, interrupt: Interrupt | None = None
) -> Generator[Any, None, None]:
    """Iterate ``items`` in a thread that is at most ``depth`` ahead; its exceptions come out here, closing stops it, and so does the interrupt."""
    fifo: queue.Queue[tuple[str, Any]] = queue.Queue(depth)
    stop = threading.Event()

    def put(entry: tuple[str, Any]) -> bool:
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
                if not put(("item", item)):
                    return
            put(("end", None))
        except BaseException as exc:
            put(("error", exc))

    thread = threading.Thread(target=work, name="read-ahead", daemon=True)
    thread.start()
    try:
        while interrupt is None or not interrupt.requested:
            try:
                kind, value = fifo.get(timeout=0.2)
            except queue.Empty:
                continue
            if kind == "error":
                raise value
            if kind == "end":
                return
            yield value
    finally:
        stop.set()
        thread.join()
