"""Processors: what they can do, and how many of them this process may use.

Those of its affinity count, and of the quota of its container.
"""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

from .control_groups import folders


class Processor(NamedTuple):
    """What a processor is called, and the names that Linux has for what it can do."""

    name: str
    features: frozenset[str]


@cache
def processor(root: Path = Path("/")) -> Processor:
    """The first processor of this machine; without features where nothing tells them."""
    name, features = platform.processor() or platform.machine(), frozenset[str]()
    try:
        text = (root / "proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return Processor(name, features)
    for line in reversed(text.splitlines()):
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Hardware"):
            name = value.strip()
        elif key.strip() in ("flags", "Features"):
            features = frozenset(value.split())
    return Processor(name, features)


def usable(root: Path = Path("/")) -> int:
    """Their number, at least 1; parts of a processor count as one. ``root`` is where /proc and /sys
    are."""
    if hasattr(
        os, "process_cpu_count"
    ):  # Python 3.13, which can be told otherwise (PYTHON_CPU_COUNT)
        count = os.process_cpu_count()
    elif hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count()
    quotas = (math.ceil(quota) for folder in folders(root, "cpu") if (quota := _quota(folder)))
    return max(1, min([count or 1, *quotas]))


@contextmanager
def usual_turns() -> Iterator[None]:
    """Behind it the processor is shared with others as before.

    SVT-AV1 makes whoever opens it a real-time thread, where that is allowed (of root): all that
    this thread starts from then on would be served before everything else on the machine.
    """
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    before, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != before:
            os.sched_setscheduler(0, before, priority)


def _quota(folder: Path) -> float | None:
    """Processors that a group may keep busy; None where nothing is said of it."""
    try:
        if (file := folder / "cpu.max").exists():
            quota, period = file.read_text().split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text()
            period = (folder / "cpu.cfs_period_us").read_text()
        return int(quota) / int(period) if int(quota) > 0 and int(period) > 0 else None
    except (OSError, ValueError):  # not there; "max"
        return None
