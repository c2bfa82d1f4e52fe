"""Runs a command and measures its time and its peak memory.

A process inherits the peak of the one that starts it, and the benchmark's own is large. So this
file is also a small program that starts the command in its stead: ``python processes.py RESULT
COMMAND...``.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Measured(NamedTuple):
    """What a command printed and took: wall time in seconds, peak of its resident memory in bytes,
    its exit code."""

    seconds: float
    peak: int
    code: int
    out: str
    err: str


def measured(command: Sequence[str]) -> Measured:
    """Run ``command`` to its end; on any exception here it is killed with all that it started. Of
    several processes the peak is that of the largest."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        pipes: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
            "errors": "replace",
        }
        # a group of its own, so that it can be ended as a whole
        with subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, str(result), *command],
            start_new_session=True,
            **pipes,
        ) as process:
            try:
                out, err = process.communicate()
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise
        values = (
            json.loads(result.read_text())
            if result.exists()
            else {"seconds": 0.0, "peak": 0, "code": process.returncode}
        )
        return Measured(**values, out=out, err=err)


def main() -> None:
    """Run the command of the command line, and write what it took."""
    begin = time.perf_counter()
    code = subprocess.call(sys.argv[2:])
    seconds = time.perf_counter() - begin
    # in kilobytes, but for macOS
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )
    Path(sys.argv[1]).write_text(json.dumps({"seconds": seconds, "peak": peak, "code": code}))


if __name__ == "__main__":
    main()
