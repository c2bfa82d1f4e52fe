"""``vqcodec kernels``: what is compiled at the first run is compiled now."""

from __future__ import annotations

import time

from ..progress import clock
from .shared import LOG, QUIET, VERBOSE, WEIGHTS, command, finish, say


@command(
    short_help="Compile all kernels now, not at the first run.",
    examples=["vqcodec kernels             # in a container's recipe, or on each machine of a cluster"],
)
@WEIGHTS
@LOG
@VERBOSE
@QUIET
def kernels(weights: str | None, quiet: bool) -> int:
    """Compile what the first run would wait for. Kernels that are there already are left."""
    from .. import kernels as compiled

    compiled.tell = lambda: say("vqcodec: note: compiling kernels, for about a minute", quiet)
    begin = time.monotonic()
    compiled.compile_all(weights)
    seconds = time.monotonic() - begin
    finish({"command": "kernels", "seconds": seconds})
    say(f"kernels are compiled, {clock(seconds)}", quiet)
    return 0
