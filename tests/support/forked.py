"""Worker processes with the stand-ins of the networks, forked from one that has loaded all that
they need: each begins in a tenth of the time that a new one takes.

What they do is the program's; how the program itself begins its processes is for tests of whole
commands.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from vqcodec.system.processes import _start


def spawn(
    target: Callable[..., None], name: str, *args: Any, daemon: bool
) -> tuple[Any, Connection]:
    """As :func:`vqcodec.system.processes.spawn`, but that ctrl-C of a terminal reaches them."""
    context = multiprocessing.get_context("forkserver")
    loaded = ["support.fakes", "vqcodec.batch.runners", "vqcodec.pipeline.encode"]
    context.set_forkserver_preload(loaded)
    ours, theirs = context.Pipe()
    process = context.Process(target=_start, args=(target, theirs, *args), name=name, daemon=daemon)
    process.start()
    theirs.close()
    return process, ours
