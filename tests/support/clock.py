"""Time that tests measure, on machines that have other things to do."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = (
    300  # seconds after which a process counts as hung, where it is not the time that is tested
)


def children_time() -> float:
    """Seconds of processor time of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _queued(pid: int) -> dict[str, int]:
    """Nanoseconds that each thread of a process has stood in the queue for a processor; empty where
    the system doesn't tell."""
    found = {}
    for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            found[path.parent.name] = int(path.read_text().split()[1])
        except (OSError, IndexError):  # a thread that has ended
            continue
    return found


class Stopwatch:
    """Seconds since it was made, without those that the threads of a process, and of this one, only
    stood in the queue for a processor."""

    def __init__(self, pid: int = 0) -> None:
        self._pids = {pid or os.getpid(), os.getpid()}
        self._before = {pid: _queued(pid) for pid in self._pids}
        self._begin = time.perf_counter()

    def seconds(self) -> float:
        took = time.perf_counter() - self._begin
        return (
            took
            - sum(
                ns - self._before[pid].get(thread, 0)
                for pid in self._pids
                for thread, ns in _queued(pid).items()
            )
            / 1e9
        )

    def until_end(self, process: subprocess.Popen[str]) -> tuple[float, int]:
        """Wait for the end of the process: seconds and exit code."""
        os.waitid(
            os.P_PID, process.pid, os.WEXITED | os.WNOWAIT
        )  # what it stood in the queue can be read until it is waited for
        took = self.seconds()
        return took, process.wait(PATIENCE)


def quickest(attempt: Callable[[], float], limit: float, tries: int = 6) -> None:
    """Assert that one of some attempts, which give the seconds they took, is within the limit:
    during the others the machine may have been busy with other things."""
    times: list[float] = []
    while not times or times[-1] >= limit:
        assert len(times) < tries, f"{times} s, where {limit} are allowed"
        times.append(attempt())
