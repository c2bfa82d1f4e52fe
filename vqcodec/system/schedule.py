"""Works that need the results of others, in several threads."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Generic, Self, TypeVar

from .threads import limited

Result = TypeVar("Result")


@dataclass(order=True)
class _Task(Generic[Result]):
    order: int
    work: Callable[[list[Result]], Result] = field(compare=False)
    needs: list[Future[Result]] = field(compare=False)
    future: Future[Result] = field(compare=False)
    missing: int = field(compare=False)  # of its needs, and one until all of them were looked at


class Schedule(Generic[Result]):
    """Begins each work as soon as what it needs is there, of several that could begin the one that
    was added first. No thread waits for a result while there is something to do.

    A work that runs alone may use all threads for its parts, others have one each. Leaving the
    context drops what has not begun, and waits for the rest.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, "schedule")
        self._lock = threading.Lock()
        self._results: dict[int, Future[Result]] = {}
        self._waiting: dict[int, _Task[Result]] = {}  # by their order
        self._ready: list[_Task[Result]] = []  # a heap
        self._added = self._running = 0
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._closed = True
            self._ready.clear()
        self._pool.shutdown(cancel_futures=True)

    def add(
        self, number: int, needs: Sequence[int], work: Callable[[list[Result]], Result]
    ) -> None:
        """Add a work under a number; it is called with the results of those it needs, which were
        added before. Where one of them failed it fails alike."""
        needed = [self._results[n] for n in needs]
        order, future = self._added, Future[Result]()
        self._waiting[order] = _Task(order, work, needed, future, len(needed) + 1)
        self._added += 1
        self._results[number] = future

        def one_is_there(_: object) -> None:  # knows no task, which would keep its result
            self._count(order)

        for one in needed:
            one.add_done_callback(one_is_there)
        self._count(order)

    def result(self, number: int) -> Result:
        """What a work gave, once it is done; raises what it raised."""
        return self._results[number].result()

    def forget(self, numbers: Iterable[int]) -> None:
        """Drop results that no work to be added needs."""
        for number in numbers:
            self._results.pop(number, None)

    def _count(self, order: int) -> None:
        with self._lock:
            self._waiting[order].missing -= 1
            if self._waiting[order].missing or self._closed:
                return
            heapq.heappush(self._ready, self._waiting.pop(order))
            self._pool.submit(self._next)

    def _next(self) -> None:
        """Do the first of the works that can begin."""
        with self._lock:
            if not self._ready:
                return
            task = heapq.heappop(self._ready)
            alone = not self._running and not self._ready
            self._running += 1
        try:
            needed = [future.result() for future in task.needs]
            with limited(self._threads if alone else 1):
                result = task.work(needed)
        except BaseException as exc:  # of any kind: who asks for the result gets it
            self._done()
            task.future.set_exception(exc)
        else:
            self._done()
            task.future.set_result(result)

    def _done(self) -> None:
        with self._lock:
            self._running -= 1
