"""Works that need the results of others, in several threads or in the one that asks for them."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from .threads import limited

Result = TypeVar("Result")
Given = TypeVar("Given", covariant=True)


class Later(Protocol[Given]):
    """What a work will have given."""

    def result(self) -> Given:
        """It, once the work is done; raises what that raised."""


class OnDemand:
    """Does each work when its result is asked for, in the thread that asks."""

    def add(
        self,
        work: Callable[[], Result],
        needs: Sequence[Later[object]] = (),
        urgent: bool = False,
    ) -> Later[Result]:
        """As :meth:`Schedule.add`."""
        return _Asked(work)

    def close(self) -> None:
        """Nothing runs by itself."""


class _Asked(Generic[Result]):
    """A work until it is asked for, its result behind that."""

    def __init__(self, work: Callable[[], Result]) -> None:
        self._work: Callable[[], Result] | None = work
        self._future: Future[Result] = Future()

    def result(self) -> Result:
        work, self._work = self._work, None
        if work is not None:
            try:
                self._future.set_result(work())
            except Exception as exc:
                self._future.set_exception(exc)
            except BaseException:  # ctrl-C: it is not done, and not to be waited for
                self._work = work
                raise
        return self._future.result()


@dataclass(order=True)
class _Task:
    rank: tuple[bool, int]
    run: Callable[[], None] = field(compare=False)
    drop: Callable[[], object] = field(compare=False)
    share: int = field(compare=False)  # threads that it may use where it is not alone
    missing: int = field(compare=False)  # of its needs, and one until all of them were looked at


class Schedule:
    """Begins each work as soon as what it needs is there, of several that could begin an urgent
    one, and else the one that was added first. No thread waits for a result while there is
    something to do.

    Args:
        threads: that all works may use together.
        at_once: works that run at once at most, where these are fewer.

    A work that runs alone may use all threads for its parts, an urgent one half of them, others the
    same number each. Leaving the context closes.
    """

    def __init__(self, threads: int, at_once: int = 0) -> None:
        self._threads, self._at_once = threads, min(at_once or threads, threads)
        self._pool = ThreadPoolExecutor(self._at_once, "schedule")
        self._lock = threading.Lock()
        self._waiting: dict[int, _Task] = {}  # by their number
        self._ready: list[_Task] = []  # a heap
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
        self.close()

    def close(self) -> None:
        """Drop what has not begun, and wait for the rest; repeated calls do nothing.

        Who asks for the result of a dropped work gets CancelledError.
        """
        with self._lock:
            self._closed = True
            dropped = [*self._ready, *self._waiting.values()]
            self._ready.clear()
            self._waiting.clear()
        for task in dropped:
            task.drop()
        self._pool.shutdown(cancel_futures=True)

    def add(
        self,
        work: Callable[[], Result],
        needs: Sequence[Later[object]] = (),
        urgent: bool = False,
    ) -> Later[Result]:
        """Add a work, and what it will ask for the results of: works that were added before.

        One thread adds all works. RuntimeError once it is closed.
        """
        if self._closed:
            raise RuntimeError("works are added to a schedule that is closed")
        number, future = self._added, Future[Result]()
        self._added += 1
        each = self._threads // self._at_once
        share = max(each, self._threads // 2) if urgent else each

        def run() -> None:
            try:
                result = work()
            except BaseException as exc:  # of any kind: who asks for the result gets it
                self._done()
                future.set_exception(exc)
            else:
                self._done()
                future.set_result(result)

        def one_is_there(_: object) -> None:  # knows no task, which would keep what it needed
            self._count(number)

        with self._lock:
            self._waiting[number] = _Task(
                (not urgent, number), run, future.cancel, share, len(needs) + 1
            )
        for one in needs:
            assert isinstance(one, Future)
            one.add_done_callback(one_is_there)
        self._count(number)
        return future

    def _count(self, number: int) -> None:
        """One more of what a task needs is there."""
        with self._lock:
            task = self._waiting.get(number)
            if task is None:  # closed
                return
            task.missing -= 1
            if task.missing:
                return
            heapq.heappush(self._ready, self._waiting.pop(number))
            self._pool.submit(self._next)

    def _next(self) -> None:
        """Do the first of the works that can begin."""
        with self._lock:
            if not self._ready:
                return
            task = heapq.heappop(self._ready)
            alone = not self._running and not self._ready
            self._running += 1
        with limited(self._threads if alone else task.share):
            task.run()

    def _done(self) -> None:
        with self._lock:
            self._running -= 1


Works = OnDemand | Schedule
