"""How much memory is free: of the machine, and of what a container may take."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from .control_groups import folders


def free_memory(root: Path = Path("/")) -> int | None:
    """Bytes that processes may still take together, without any being swapped out; None where
    nothing tells. ``root`` is where /proc and /sys are."""
    known = [
        *_of_machine(root),
        *(size for folder in folders(root, "memory") for size in _of_group(folder)),
    ]
    return max(0, min(known)) if known else None


def _of_machine(root: Path) -> Iterator[int]:
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
    except OSError:
        if hasattr(os, "sysconf") and "SC_AVPHYS_PAGES" in os.sysconf_names:
            yield os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return
    for line in lines:
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            yield int(rest.split()[0]) << 10


def _of_group(folder: Path) -> Iterator[int]:
    """What a group may take, less what it has; files that it has read are given up when asked."""
    for limit, used, files in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.high", "memory.current", "inactive_file"),  # above it all are slowed down
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            most = int((folder / limit).read_text())
            taken = int((folder / used).read_text())
            stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            yield most - taken + int(stat.get(files, 0))
        except (OSError, ValueError):  # not there; "max"
            continue
