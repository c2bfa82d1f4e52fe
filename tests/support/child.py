"""The program with stand-ins for its networks, as a process that tests can interrupt: ``python
child.py SECONDS|step encode ...``.

Each picture takes that long; with ``step`` each mini-GOP waits for a line on standard input, or its
end. Every mini-GOP is a line on standard output when it begins: the number of its GOP and of its
pictures.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from contextlib import suppress

from support.paths import PYTHONPATH


def start(seconds: float | None, *args: str) -> subprocess.Popen[str]:
    """Start ``vqcodec`` with stand-ins, step by step for None; standard output and error are
    pipes."""
    env = os.environ | {"PYTHONPATH": PYTHONPATH}
    command = [sys.executable, __file__, "step" if seconds is None else str(seconds), *args]
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE if seconds is None else None,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
    )


def go_on(process: subprocess.Popen[str]) -> None:
    """Let a process that goes step by step do the mini-GOP that it began."""
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # it has ended, which shows where its lines are read
        process.stdin.write("\n")
        process.stdin.flush()


def advance(process: subprocess.Popen[str], lines: int) -> list[str]:
    """The next so many lines; the mini-GOP of the last one is begun and waits."""
    assert process.stdout is not None
    seen = [process.stdout.readline()]
    for _ in range(lines - 1):
        go_on(process)
        seen.append(process.stdout.readline())
    assert all(seen), (seen, process.communicate()[1])
    return seen


def wait_for(process: subprocess.Popen[str], text: str) -> None:
    """Read standard error up to the line with that text."""
    assert process.stderr is not None
    before = []
    for line in process.stderr:
        if text in line:
            return
        before.append(line)
    raise AssertionError("".join(before))


def main() -> int:
    from support import fakes

    seconds = None if sys.argv[1] == "step" else float(sys.argv[1])

    class Slow(fakes.GopEncoder):
        def add(self, pictures: list) -> None:
            print(f"{len(self.log)} {len(pictures)}", flush=True)
            super().add(pictures)
            if seconds is not None:
                time.sleep(seconds * len(pictures))
            # in short turns: a signal that comes right before a wait does not end it
            elif any(select.select([sys.stdin], [], [], 0.1)[0] for _ in range(1200)):
                os.read(sys.stdin.fileno(), 1)
            else:
                raise TimeoutError("nobody says to go on")

    fakes.install(fakes.Lasting())
    vars(sys.modules["vqcodec.encoding.gop_encoder"])["GopEncoder"] = Slow
    from vqcodec.cli import main as program

    return program(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
