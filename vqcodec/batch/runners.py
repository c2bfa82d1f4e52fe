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
from dataclasses import dataclass, field, replace
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

from ..errors import DamageError, LimitError, TargetError, VqvError, backquoted
from ..options import DecodeOptions, EncodeOptions
from ..system import kernels as kernels_module
from ..system.processes import let_waiting_threads_sleep, spawn
from ..system.progress import ProgressEvent

if TYPE_CHECKING:
    from ..pipeline.cluster import Cluster

BEGIN = "begin"
_COMPILING = "compiling"
_TELL = 0.5  # seconds from one event to the next
_TICK = 0.5
_TRIES = 2  # processes that may die on one file
_GRACE = 5.0  # seconds for what is being done to be put away
Events = Iterator[tuple[Any, Any]]


@dataclass(frozen=True, eq=False)
class Order:
    """A file to be made."""

    source: str
    target: str
    options: EncodeOptions | DecodeOptions
    weights: str | None = None
    overwrite: bool = False


@dataclass
class Outcome:
    """What came of an order. ``code`` is the exit code that the command for one file would have;
    figures are None where they are not known."""

    code: int = 0
    message: str = ""  # options in it stand in backquotes
    frames: int = 0
    bytes: int | None = None
    bpp: float | None = None  # of the pictures alone
    psnr: float | None = None  # dB, weighted 6:1:1; None also where nothing was lost
    fps: float = 0.0
    seconds: float = 0.0
    warnings: list[str] = field(default_factory=list)
    at_fault: str | None = None  # the file that the message is about, where that is known

    @property
    def written(self) -> bool:
        """Whether there is an output."""
        return self.code in (0, 4, 8) and bool(self.frames)


def _inside(exc: VqvError) -> str:
    """An error in one line, without the name of the file."""
    file, exc.place = exc.place.file, replace(exc.place, file=None)
    try:
        return " ".join(exc.told(backquoted).split())
    finally:
        exc.place = replace(exc.place, file=file)


def _failure(exc: BaseException) -> Outcome:
    """As the command line tells errors."""
    if isinstance(exc, VqvError):
        return Outcome(exc.exit_code, _inside(exc), at_fault=exc.place.file)
    if (
        isinstance(exc, MemoryError)
        or "OutOfMemory" in type(exc).__name__
        or "can't allocate memory" in str(exc)
    ):
        return Outcome(
            LimitError.exit_code, "not enough memory; fewer `workers` or `threads` take less"
        )
    return Outcome(1, f"internal error: {type(exc).__name__}: {' '.join(str(exc).split())}")


def perform(
    order: Order, tell: Callable[[ProgressEvent], object], cluster: Cluster | None = None
) -> Outcome:
    """Make a file; errors are outcomes, but not what ``tell`` raises beyond Exception."""
    begin = time.monotonic()
    try:
        common: dict[str, Any] = {
            "weights": order.weights,
            "overwrite": order.overwrite,
            "progress": tell,
        }
        if isinstance(order.options, EncodeOptions):
            from ..pipeline.encode import encode

            e = encode(order.source, order.target, order.options, cluster=cluster, **common)
            psnr = e.psnr[0] if math.isfinite(e.psnr[0]) else None
            code = TargetError.exit_code if e.missed else 0
            message = e.missed or ""
            if e.lost:
                code, message = DamageError.exit_code, e.lost[0]
            if e.corrupt:
                code = DamageError.exit_code
                message = f"{e.corrupt} frames or packets of the source are damaged or missing"
            return Outcome(
                code,
                message,
                e.frames,
                e.bytes,
                e.picture_bpp,
                psnr,
                e.fps,
                e.seconds,
                [*e.warnings, *e.lost],
            )
        from ..pipeline.decode import decode

        d = decode(order.source, order.target, order.options, **common)
        code, message = 0, ""
        if d.lost:
            code, message = DamageError.exit_code, d.lost[0]
        if not d.ok:
            code, message = DamageError.exit_code, f"{d.concealed} frames were concealed"
        said = [*d.damage, *d.warnings, *d.lost]
        size = os.path.getsize(order.target)
        return Outcome(code, message, d.frames, size, None, None, d.fps, d.seconds, said)
    except Exception as exc:
        outcome = _failure(exc)
        outcome.seconds = time.monotonic() - begin
        return outcome


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


def _follow(parent: Any) -> None:
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


def serve(pipe: Any) -> None:
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
    kernels_module.tell = lambda: pipe.send(_COMPILING)
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
        self.process, self.pipe = spawn(
            serve, "vqcodec-batch", daemon=False
        )  # daemons may have no processes of their own

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
        for p in self._all:
            p.process.terminate()
        end = time.monotonic() + _GRACE
        for p in self._all:
            p.process.join(max(0.0, end - time.monotonic()))
            p.gone()

    def run(self, orders: Sequence[Order]) -> Events:
        waiting = deque((order, 1) for order in orders)
        idle: list[_Process] = []
        busy: dict[Any, tuple[_Process, Order, int]] = {}
        while waiting or busy:
            while waiting and len(busy) < self.count:
                order, tries = waiting.popleft()
                if tries == 1:
                    yield order, BEGIN
                if not idle:
                    self._all.append(_Process())
                    idle.append(self._all[-1])
                process = idle.pop()
                try:
                    process.pipe.send(order)
                except OSError:
                    pass  # it died while it was idle, which is told when its answer is read
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
                        yield (
                            order,
                            Outcome(
                                LimitError.exit_code,
                                f"the process that made it was lost {tries} times, the last one"
                                f" {how}: not enough memory?",
                            ),
                        )
                    continue
                if message == _COMPILING:
                    kernels_module.tell()
                    continue
                if isinstance(message, Outcome):
                    del busy[pipe]
                    idle.append(process)
                yield order, message
            yield None, None


class _Stopped(BaseException):
    """Raised in the threads of a batch that ends before its time."""


class Threads:
    """Reads and cuts ``count`` files at the same time, for a cluster to code."""

    def __init__(self, count: int, cluster: Cluster) -> None:
        self.count, self._cluster = count, cluster
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(count, "batch")
        self._events: queue.SimpleQueue[tuple[Order, Any]] = queue.SimpleQueue()

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

        try:
            self._events.put((order, perform(order, tell, self._cluster)))
        except _Stopped:
            pass

    def run(self, orders: Sequence[Order]) -> Events:
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
