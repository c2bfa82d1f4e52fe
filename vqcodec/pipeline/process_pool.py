"""GOPs coded in processes of their own, several side by side; their bytes do not depend on that.

A GOP whose process dies is begun again in another, TRIES times at most.
"""

from __future__ import annotations

import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import TYPE_CHECKING

from ..errors import LimitError, VqvError
from ..picture import Picture
from ..system import kernels as kernels_module
from ..system.processes import let_waiting_threads_sleep, spawn
from .gop_coders import TRIES, Model, News, Result, finish_gop, nothing_to_tell

if TYPE_CHECKING:
    from ..encoding.gop_encoder import GopEncoder


def _work(pipe: Connection, model: Model) -> None:
    """A worker: takes mini-GOPs, answers each with the number of its frames, or the last of a GOP
    with its result; an end without pictures cuts the GOP, also while the rest of it is coded.

    Before an answer there can be any amount of :class:`News`."""
    let_waiting_threads_sleep()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = str(model.threads)
    encoder: GopEncoder | None = None
    sending = threading.Lock()  # kernels are compiled by any of its threads

    def send(message: News | Result | Exception | int | None) -> None:
        with sending:
            pipe.send(message)

    def tell(frames: int) -> None:
        send(News(frames))

    kernels_module.tell = partial(send, News(compiling=True))
    try:
        codec = model.load()
        while True:
            crf, pictures, ends = pipe.recv()
            if encoder is None and pictures:
                encoder = model.encoder(codec, crf)
                encoder.tell = tell
            if encoder is not None and pictures:
                encoder.add(pictures)
            answer: Result | int | None = len(pictures)
            if ends:
                answer = None if encoder is None else _finished(encoder, pipe, cut=not pictures)
                encoder = None
            send(answer)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the program is gone
    except Exception as exc:
        send(
            exc
            if isinstance(exc, VqvError | MemoryError)
            else RuntimeError(f"{type(exc).__name__}: {exc}")
        )
    finally:
        if encoder is not None:
            encoder.close()


def _finished(encoder: GopEncoder, pipe: Connection, cut: bool) -> Result:
    """The result of a GOP whose pictures are all there; a message that comes meanwhile cuts it."""
    while not cut and encoder.step():
        cut = pipe.poll() and bool(pipe.recv())
    return finish_gop(encoder, cut)


@dataclass
class _Task:
    """A GOP that a worker codes. Its mini-GOPs are kept until it is done: should the worker die,
    another one begins anew."""

    key: int
    crf: float
    parts: list[list[Picture]] = field(default_factory=list)
    sent: int = 0
    ended: bool = False
    cut: bool = False  # what is not coded yet is left out
    coded: int = 0  # frames of the mini-GOPs that were answered
    done: int = 0  # frames that are known to be coded, which is less
    change: threading.Condition = field(default_factory=threading.Condition)

    def part(self, number: int) -> tuple[list[Picture], bool]:
        """The mini-GOP with that number, waited for, and whether it is the last; no pictures where
        the GOP was ended without another."""
        with self.change:
            self.change.wait_for(lambda: self.ended or len(self.parts) > number)
            self.sent = max(self.sent, number + 1)
            return (
                self.parts[number] if number < len(self.parts) else []
            ), self.ended and number >= len(self.parts) - 1

    def end(self) -> None:
        """Let the GOP end with the mini-GOPs that went to the worker."""
        with self.change:
            del self.parts[self.sent :]
            self.ended = self.cut = True
            self.change.notify_all()


_Answer = Result | BaseException | None  # of a worker; None for a GOP without a picture


class _Worker:
    """A worker process and the pipe to it; started when it is first needed, and again when it
    died."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None
        self._lock = threading.Lock()
        self._final = False

    def _started(self) -> Connection:
        """The pipe to the process."""
        with self._lock:
            if self._process is None or self._pipe is None:
                if self._final:
                    raise EOFError
                self._process, self._pipe = spawn(_work, "vqcodec-worker", self._model, daemon=True)
            return self._pipe

    def code(self, task: _Task) -> Result | None:
        """The result of a GOP, None if it was ended without a picture; EOFError when the worker
        died."""
        pipe = self._started()
        number, task.coded, task.done, asked = 0, 0, 0, False
        while True:
            pictures, ends = task.part(number)
            try:
                pipe.send((task.crf, pictures, ends))
                while isinstance(answer := pipe.recv(), News):
                    task.done = max(task.done, answer.frames)
                    if answer.compiling:
                        kernels_module.compiling()
                    if ends and pictures and task.cut and not asked:
                        asked = True
                        pipe.send((task.crf, [], True))
            except OSError as exc:
                raise EOFError from exc
            if isinstance(answer, Exception):
                raise answer
            if ends:
                if asked:  # maybe too late, and then the next GOP would find it
                    self.stop()
                result: Result | None = answer
                return result
            task.coded += answer
            number += 1

    def stop(self, final: bool = False) -> str:
        """Kill the process and say how it ended; after a ``final`` stop none is started any
        more."""
        with self._lock:
            self._final |= final
            process, self._process = self._process, None
            if process is None or self._pipe is None:
                return ""
            if not final:
                process.join(1)  # it is dying already: how is of interest
            process.kill()
            process.join()
            self._pipe.close()
        code = process.exitcode or 0
        return f"killed by signal {-code}" if code < 0 else f"ended with code {code}"


class ProcessCoder:
    """Codes in ``jobs`` processes, a GOP in each. The pictures of at most ``jobs`` GOPs are
    held."""

    def __init__(self, model: Model, jobs: int, warn: Callable[[str], None]) -> None:
        self._workers = [_Worker(model) for _ in range(jobs)]
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._warn = warn
        self.tell: Callable[[], object] = nothing_to_tell  # who waits looks at ``pending``
        self._tasks: dict[int, _Task] = {}
        self._done: queue.SimpleQueue[tuple[int, _Answer]] = queue.SimpleQueue()
        self._waiting: deque[tuple[int, Result]] = deque()
        self._threads = ThreadPoolExecutor(jobs, "worker")
        self._closed = False

    @property
    def pending(self) -> int:
        """Frames coded of unfinished GOPs."""
        return sum(task.done for task in self._tasks.values())

    def ready(self, timeout: float) -> bool:
        """Whether a new GOP may begin; waits for it."""
        if len(self._tasks) >= len(self._workers):
            self._wait(timeout)
        return len(self._tasks) < len(self._workers)

    def _wait(self, timeout: float) -> None:
        try:
            key, result = self._done.get(timeout > 0, timeout or None)
        except queue.Empty:
            return
        del self._tasks[key]
        if isinstance(result, BaseException):
            raise result
        if result is not None:  # else it was ended without a picture
            self._waiting.append((key, result))

    def begin(self, key: int, crf: float) -> None:
        """A new GOP, called ``key``, which may begin only when the coder is ready."""
        self._tasks[key] = task = _Task(key, crf)
        self._threads.submit(self._serve, task)

    def add(self, key: int, pictures: list[Picture], ends: bool) -> None:
        """The next mini-GOP of the GOP ``key``; with ``ends`` its last."""
        task = self._tasks[key]
        with task.change:
            task.parts.append(pictures)
            task.ended = ends
            task.change.notify_all()

    def _serve(self, task: _Task) -> None:
        worker = self._idle.get()
        result: _Answer = None
        try:
            for left in reversed(range(TRIES)):
                try:
                    result = worker.code(task)
                    break
                except EOFError:
                    how = worker.stop()
                    if self._closed:
                        break
                    if not left:
                        raise LimitError(
                            f"worker processes for the GOP of frame {task.key} were lost {TRIES} "
                            f"times, the last one {how}: not enough memory?",
                            advice="fewer `jobs` need less",
                        ) from None
                    self._warn(
                        f"a worker process was lost ({how}) in the GOP of frame {task.key},"
                        " which was begun again"
                    )
        except BaseException as exc:
            result = exc
        self._idle.put(worker)
        self._done.put((task.key, result))

    def finished(self, timeout: float = 0.0) -> Iterator[tuple[int, Result]]:
        """Keys and results of GOPs that were finished since the last call; waits for one if a
        timeout is given."""
        if not self._waiting:
            self._wait(timeout)
        while self._waiting or not self._done.empty():
            if not self._waiting:
                self._wait(0)
            if self._waiting:
                yield self._waiting.popleft()

    def coded(self, key: int) -> int:
        """Frames taken of a GOP that is begun and not finished."""
        return self._tasks[key].coded if key in self._tasks else 0

    def cut(self, key: int) -> Result | None:
        """End a GOP after the pictures that its worker has coded, or is coding; its result, None
        where there are none."""
        if task := self._tasks.get(key):
            task.end()
        while key in self._tasks:
            self._wait(0.2)
        return next((result for k, result in self._waiting if k == key), None)

    def close(self) -> None:
        """Stop all workers at once; repeated calls do nothing."""
        self._closed = True
        for task in self._tasks.values():
            task.end()
        for worker in self._workers:
            worker.stop(final=True)
        self._threads.shutdown()
