"""Commands in a shell, against real programs."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import pytest

from support.clock import PATIENCE
from support.fake_network import fake_network  # noqa: F401
from support.paths import PYTHONPATH, SUPPORT
from vqcodec.cli import main
from vqcodec.media.source import VideoSource

PROGRAM = f"{shlex.quote(sys.executable)} {shlex.quote(str(SUPPORT / 'standin.py'))}"


needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg program")


def shell(command: str, cwd: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run a command of bash in which ``vqcodec`` is the program with the stand-in; the exit codes
    of a pipe follow on standard output."""
    environment = os.environ | {"PYTHONPATH": PYTHONPATH} | changes
    script = f'vqcodec() {{ {PROGRAM} "$@"; }}\n{command}\necho "codes ${{PIPESTATUS[@]}}"'
    return subprocess.run(
        ["bash", "-c", script],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=environment,
        errors="replace",
    )


def prepare(folder: Path, *commands: str) -> None:
    """Run the program in this process, with the stand-in of ``fake_network``: for files that a
    test only begins with. A process of its own takes forty times as long to start."""
    with chdir(folder):
        for command in commands:
            assert main(command.split()) == 0, command


def codes(result: subprocess.CompletedProcess[str]) -> list[int]:
    assert "Traceback" not in result.stderr, result.stderr
    return [int(c) for c in result.stdout.rsplit("codes ", 1)[1].split()]


def pictures(path: Path) -> list:
    with VideoSource(path) as source:
        return [p for _, p in source]
