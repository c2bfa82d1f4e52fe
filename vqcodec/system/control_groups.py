"""Control groups of Linux: what a container may use of its machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def folders(root: Path, controller: str) -> Iterator[Path]:
    """Folders of the control groups that this process is in, of both versions, and of those around
    them. ``root`` is where /proc and /sys are; controller: ``cpu`` or ``memory``."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / (controller if controllers else "")
        inner = top / path.strip("/")  # in a container often not to be seen, but the top is its own
        yield from (p for p in (inner, *inner.parents) if p.is_relative_to(top))
