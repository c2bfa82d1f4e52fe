"""VMAF by FFmpeg's filter libvmaf, in the FFmpeg that the package imageio-ffmpeg brings along;
PyAV's is built without it."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from ..errors import DamageError, VqvError

MODEL = "vmaf_v0.6.1"


@cache
def find_ffmpeg() -> str | None:
    """An FFmpeg that has libvmaf (IMAGEIO_FFMPEG_EXE, else the package's), or None."""
    try:
        import imageio_ffmpeg

        program = imageio_ffmpeg.get_ffmpeg_exe()
        filters = subprocess.run(
            [program, "-hide_banner", "-filters"], capture_output=True, text=True, timeout=60
        ).stdout
    except (ImportError, RuntimeError, OSError, subprocess.SubprocessError):
        return None
    return program if " libvmaf " in filters else None


@cache
def version() -> str | None:
    """What measures VMAF, for the report; None where nothing does."""
    program = find_ffmpeg()
    if program is None:
        return None
    first = subprocess.run(
        [program, "-version"], capture_output=True, text=True, timeout=60
    ).stdout.split("\n")[0]
    return f"{MODEL}, libvmaf of {first.partition(' Copyright')[0]}"


def vmaf(reference: Path, decoded: Path, frames: int, threads: int = 0) -> float | None:
    """VMAF, mean over all ``frames``, of a decoded y4m file against another; None where no FFmpeg
    has libvmaf.

    DamageError when another number of frames was compared.
    """
    program = find_ffmpeg()
    if program is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        # run in the folder of the log: its path needs no escapes in the filter's syntax then
        graph = (
            "[0:v]setpts=N[a];[1:v]setpts=N[b];[a][b]"
            f"libvmaf=model=version={MODEL}:log_fmt=json:log_path=vmaf.json"
            f":n_threads={threads or os.cpu_count() or 1}"
        )
        command = [
            program,
            "-v",
            "error",
            "-nostdin",
            "-i",
            str(decoded.resolve()),
            "-i",
            str(reference.resolve()),
            "-lavfi",
            graph,
            "-f",
            "null",
            "-",
        ]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
        log = Path(folder) / "vmaf.json"
        if done.returncode or not log.exists():
            raise VqvError(f"VMAF could not be measured: {done.stderr.strip() or done.returncode}")
        result = json.loads(log.read_text())
    if len(result["frames"]) != frames:
        raise DamageError(f"VMAF compared {len(result['frames'])} frames of {frames}")
    return float(result["pooled_metrics"]["vmaf"]["mean"])
