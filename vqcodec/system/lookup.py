"""What the system finds under a name from outside.

A name that cannot even be looked up is the name of nothing: an empty one, one with a NUL, one that
is too long, one in a folder that must not be entered. ``Path.exists`` and its like raise for some
of these, and take an empty name for the current folder.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path


def look_up(name: str | os.PathLike[str]) -> os.stat_result | None:
    """What a name leads to, links followed; None where there is nothing to find."""
    if not os.fspath(name):
        return None
    try:
        return Path(name).stat()
    except (OSError, ValueError):
        return None


def is_folder(name: str | os.PathLike[str]) -> bool:
    """Whether a name leads to a folder."""
    found = look_up(name)
    return found is not None and stat.S_ISDIR(found.st_mode)


def is_regular(name: str | os.PathLike[str]) -> bool:
    """Whether a name leads to a regular file."""
    found = look_up(name)
    return found is not None and stat.S_ISREG(found.st_mode)


def is_fifo(name: str | os.PathLike[str]) -> bool:
    """Whether a name leads to a named pipe."""
    found = look_up(name)
    return found is not None and stat.S_ISFIFO(found.st_mode)


def same_file(one: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    """Whether two names lead to one file that is there."""
    first, second = look_up(one), look_up(other)
    return first is not None and second is not None and os.path.samestat(first, second)
