"""Processes that work for the program and end with it or when they are told to."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from . import processors


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


def spawn(
    target: Callable[..., None], name: str, *args: Any, daemon: bool
) -> tuple[SpawnProcess, Connection]:
    """Start ``target(pipe, *args)`` in a new process; returns it and our end of the pipe."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(theirs, *args), name=name, daemon=daemon)
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
