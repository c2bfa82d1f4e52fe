"""Compiled kernels: numba keeps them on the disk, so the first run on a machine waits for them.

Who waits is told, and :func:`compile_all` does it ahead, by coding a few made pictures.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache

# what the library has to say while it works; the command line shows it as a note
NOTES = logging.getLogger("vqcodec.notes")
_ONCE = "compiling kernels, once on this machine: a minute or two (vqcodec kernels does it ahead)"
LOST = (
    "compiled kernels cannot be kept: neither the folder of the program nor the user's cache can "
    "be written (NUMBA_CACHE_DIR names a folder for them)"
)
_EVERY_RUN = f"compiling kernels, which takes every run a minute or two: {LOST}"


def note() -> str:
    """What whoever waits for a kernel should know: whether the next run waits for it again."""
    return _ONCE if kept() else _EVERY_RUN


def kept() -> bool:
    """Whether compiled kernels stay for the next run."""
    from .. import compiled

    return compiled.kept()


def to_log() -> None:
    """A program that uses the library is told what its user can mend, not what passes."""
    NOTES.log(logging.INFO if kept() else logging.WARNING, note())


tell: Callable[[], object] = to_log  # called when the first kernel of this process is compiled


@cache
def compiling() -> None:
    """Kernels are compiled, by this process or by one that works for it: :data:`tell` is called,
    the first time."""
    tell()


@cache
def watch() -> None:
    """From now on :func:`compiling` is called at each kernel that the disk doesn't have."""
    from numba.core import event

    class Compiling(event.Listener):
        def on_start(self, event: object) -> None:
            compiling()

        def on_end(self, event: object) -> None:
            pass

    event.register("numba:compile", Compiling())  # type: ignore[no-untyped-call]
