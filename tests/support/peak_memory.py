"""The peak memory of a command, measured in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

from support.paths import ROOT


def peak(*args: str) -> tuple[int, int]:
    """Exit code and peak memory in bytes of a command."""
    # by VmHWM: the figure that the system gives to a parent begins with the parent's own size.
    # Pages are locked once they are there (MCL_CURRENT, MCL_FUTURE,
    # MCL_ONFAULT), where that is allowed: a busy system takes those back that were not used for a
    # while, and the peak would be that of what is left
    program = "import ctypes, sys; ctypes.CDLL(None).mlockall(7)\n"
    program += (
        "from vqcodec.cli import main; code = main(sys.argv[1:]); "
        "print(open('/proc/self/status').read()); sys.exit(code)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, *args],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    return run.returncode, int(run.stdout.split("VmHWM:")[1].split()[0]) << 10
