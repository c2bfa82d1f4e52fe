"""Processes that work for the program and end with it or when they are told to."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from . import processors

_M_ARENA_MAX = -8  # of glibc's malloc.h


def let_waiting_threads_sleep() -> None:
    """Threads of OpenMP that have nothing to do take no processor time, unless the user says so.

    They would spin, which gains little on an idle machine and costs twice the time on a busy one.
    Has no effect once torch is loaded."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def no_more_threads_than_processors() -> None:
    """Where a container has a quota, OpenMP takes as many threads, unless the user says how many.

    It asks for the processors of the machine, and threads past the quota stand still together.
    Has no effect once torch is loaded."""
    usable = processors.usable()
    if usable < (os.cpu_count() or 1):
        os.environ.setdefault("OMP_NUM_THREADS", str(usable))


def keep_one_heap() -> None:
    """What one thread frees is there for all others, of this process.

    glibc keeps heaps for threads of their own, and much that is free in one while another grows
    (docs/benchmarks.md, A whole command). Has no effect where the user says how many there are, or
    the C library is another.
    """
    said = "MALLOC_ARENA_MAX" in os.environ or "arena_max" in os.environ.get("GLIBC_TUNABLES", "")
    if not said and sys.platform == "linux":
        with suppress(AttributeError, OSError):
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def _start(target: Callable[..., None], pipe: Connection, *args: Any) -> None:
    """What a new process does."""
    keep_one_heap()
    target(pipe, *args)


def spawn(
    target: Callable[..., None], name: str, *args: Any, daemon: bool
) -> tuple[SpawnProcess, Connection]:
    """Start ``target(pipe, *args)`` in a new process; returns it and our end of the pipe."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_start, args=(target, theirs, *args), name=name, daemon=daemon)
    # ctrl-C in a terminal goes to all processes: workers are born with it blocked. Python's tracker
    # of resources unblocks it when it is started, so it is started before
    resource_tracker.ensure_running()
    old = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)
    theirs.close()
    return process, ours
