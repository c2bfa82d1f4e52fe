"""Where the files of a batch are made: in processes of this machine, or in threads that feed a
cluster.

Both are contexts with a method ``run(orders)`` that gives ``(order, message)`` pairs: BEGIN before
the work on an order begins, a :class:`vqcodec.system.progress.ProgressEvent` now and then, and an
:class:`Outcome` at its end; ``(None, None)`` when there is nothing to tell. No order is given to
two workers.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import queue
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any

from ..errors import LimitError
from ..system import kernels as kernels_module
from ..system.processes import let_waiting_threads_sleep, spawn
from ..system.progress import ProgressEvent
from .order import Order, Outcome, perform

if TYPE_CHECKING:
    from ..pipeline.cluster import Cluster

BEGIN = "begin"
_COMPILING = "compiling"
_TELL = 0.5  # seconds from one event to the next
_TICK = 0.5
_TRIES = 2  # processes that may die on one file
_GRACE = 5.0  # seconds for what is being done to be put away


Message = ProgressEvent | Outcome | str | None  # the text is BEGIN
Events = Iterator[tuple[Order | None, Message]]


def _now_and_then(send: Callable[[ProgressEvent], object]) -> Callable[[ProgressEvent], object]:
    """``send``, but for events that come too soon after the one before. By the clock, as the
    events' own times begin anew with each pass of a target."""
    told = -math.inf

    def tell(event: ProgressEvent) -> None:
        nonlocal told
        if (now := time.monotonic()) - told >= _TELL:
            told = now
            send(event)

    return tell


def _terminate(signum: int, frame: object) -> None:
    raise SystemExit(128 + signum)


def _follow(parent: BaseProcess | None) -> None:
    """End with the program that started this process."""
    if parent is not None:
        parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


def serve(pipe: Connection) -> None:
    """A worker process: takes orders, answers with events and one outcome each; ends with the
    program, so that the next run finds nothing locked."""
    signal.signal(signal.SIGTERM, _terminate)
    threading.Thread(target=_follow, args=(multiprocessing.parent_process(),), daemon=True).start()

    def send(event: ProgressEvent) -> None:
        try:
            pipe.send(event)
        except OSError as exc:
            raise SystemExit from exc  # the program is gone; the work is kept

    let_waiting_threads_sleep()
    kernels_module.tell = partial(pipe.send, _COMPILING)
    try:
        while True:
            order: Order = pipe.recv()
            threads = order.options.threads
            if threads and "numba" not in sys.modules:
                for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
                    os.environ[name] = str(threads)
            pipe.send(perform(order, _now_and_then(send)))
    except (EOFError, OSError):
        return


class _Process:
    def __init__(self) -> None:
        # no daemon, which may have no processes of its own
        self.process, self.pipe = spawn(serve, "vqcodec-batch", daemon=False)

    def gone(self) -> str:
        """How the process ended."""
        self.process.join(1)
        self.process.kill()
        self.process.join()
        self.pipe.close()
        code = self.process.exitcode or 0
        return f"killed by signal {-code}" if code < 0 else f"ended with code {code}"


class Processes:
    """Makes ``count`` files at the same time, each in a process that lives on for the next one. A
    file whose process dies is gone on with in another."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._all: list[_Process] = []

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *exc: object) -> None:
        for process in self._all:
            process.process.terminate()
        end = time.monotonic() + _GRACE
        for process in self._all:
            process.process.join(max(0.0, end - time.monotonic()))
            process.gone()

    def run(self, orders: Sequence[Order]) -> Events:
        """Make the files of these orders; see the top of this file."""
        waiting = deque((order, 1) for order in orders)
        idle: list[_Process] = []
        busy: dict[Any, tuple[_Process, Order, int]] = {}
        while waiting or busy:
            while waiting and len(busy) < self.count:
                order, tries = waiting.popleft()
                if tries == 1:
                    yield order, BEGIN
                process = idle.pop() if idle else self._started()
                with suppress(OSError):  # it died while it was idle: told when it is read from
                    process.pipe.send(order)
                busy[process.pipe] = process, order, tries
            pipe: Any
            for pipe in wait(list(busy), _TICK):
                process, order, tries = busy[pipe]
                try:
                    message = pipe.recv()
                except (EOFError, OSError):
                    del busy[pipe]
                    self._all.remove(process)
                    how = process.gone()
                    if tries < _TRIES:
                        waiting.appendleft((order, tries + 1))
                    else:
                        yield order, _lost(tries, how)
                    continue
                if message == _COMPILING:
                    kernels_module.compiling()
                    continue
                if isinstance(message, Outcome):
                    del busy[pipe]
                    idle.append(process)
                yield order, message
            yield None, None

    def _started(self) -> _Process:
        self._all.append(_Process())
        return self._all[-1]


def _lost(tries: int, how: str) -> Outcome:
    """What comes of a file whose processes died."""
    return Outcome(
        LimitError.exit_code,
        f"the process that made it was lost {tries} times, the last one {how}: not enough memory?",
    )


class _Stopped(BaseException):
    """Raised in the threads of a batch that ends before its time."""


class Threads:
    """Reads and cuts ``count`` files at the same time, for a cluster to code."""

    def __init__(self, count: int, cluster: Cluster) -> None:
        self.count, self._cluster = count, cluster
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(count, "batch")
        self._events: queue.SimpleQueue[tuple[Order, ProgressEvent | Outcome]] = queue.SimpleQueue()

    def __enter__(self) -> Threads:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._pool.shutdown()

    def _work(self, order: Order) -> None:
        show = _now_and_then(lambda event: self._events.put((order, event)))

        def tell(event: ProgressEvent) -> None:
            if self._stop.is_set():
                raise _Stopped
            show(event)

        with suppress(_Stopped):
            self._events.put((order, perform(order, tell, self._cluster)))

    def run(self, orders: Sequence[Order]) -> Events:
        """Make the files of these orders; see the top of this file."""
        waiting, active = deque(orders), 0
        while waiting or active:
            while waiting and active < self.count:
                order = waiting.popleft()
                yield order, BEGIN
                active += 1
                self._pool.submit(self._work, order)
            try:
                order, message = self._events.get(timeout=_TICK)
                active -= isinstance(message, Outcome)
                yield order, message
            except queue.Empty:
                yield None, None
