"""``vqcodec kernels``: what is compiled at the first run is compiled now."""

from __future__ import annotations

import time

from ..errors import OutputError
from ..system.progress import clock
from .command import command
from .messages import finish, say
from .options import MESSAGES, WEIGHTS


@command(
    short_help="Compile all kernels now, not at the first run.",
    examples=[
        "vqcodec kernels             # in a container's recipe, or on each machine of a cluster"
    ],
)
@WEIGHTS
@MESSAGES
def kernels(weights: str | None, quiet: bool) -> int:
    """Compile the kernels now, so that the first run need not wait for them.

    Kernels that exist are kept. It is an error if they cannot be kept for later runs."""
    from ..pipeline import compile_kernels
    from ..system import kernels as kernels_module

    made: list[bool] = []

    def tell() -> None:
        made.append(True)
        say("vqcodec: note: compiling kernels, for a minute or two", quiet)

    kernels_module.tell = tell
    begin = time.monotonic()
    compile_kernels.compile_all(weights)
    seconds = time.monotonic() - begin
    if made and not kernels_module.kept():
        raise OutputError(kernels_module.LOST)
    finish({"command": "kernels", "seconds": seconds})
    say(f"kernels are compiled, {clock(seconds)}", quiet)
    return 0
