"""Long videos: what a process takes doesn't grow with them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.clips import header, write
from support.paths import ROOT

from vqcodec.picture import Picture

SCRIPT = """
import json, os, sys, vqcodec
source, coded, output, weights, count, every, preset = sys.argv[1:]
def watch():
    seen = []
    def look(event):
        # at the end files are closed
        if event.frames >= int(every) * (len(seen) + 1) and event.frames < int(count):
            pages = int(open('/proc/self/statm').read().split()[1])
            files = len(os.listdir('/proc/self/fd'))
            seen.append((event.frames, pages * os.sysconf('SC_PAGE_SIZE'), files))
    return look, seen
encoding, decoding = watch(), watch()
both = dict(device='cpu', threads=1, weights=weights)
report = vqcodec.encode(
    source, coded, crf=40, gop=32, preset=preset, progress=encoding[0], **both
)
shown = vqcodec.decode(coded, output, progress=decoding[0], **both)
print(json.dumps([report.frames, shown.frames, shown.ok, encoding[1], decoding[1]]))
"""


@pytest.mark.early
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc")
@pytest.mark.parametrize(
    ("count", "preset"), [(400, "fastest"), pytest.param(10_000, "medium", marks=pytest.mark.slow)]
)
def test_memory_and_files_stay_as_they_are(
    tmp_path: Path, tiny_weights: Path, count: int, preset: str
) -> None:
    """From a fifth of the video on memory grows by at most 5 percent, and the number of open files
    not at all."""
    rng = np.random.default_rng(4)
    texture = rng.integers(0, 256, (24, 24)).astype(np.uint8)
    chroma = np.full((8, 8), 128, np.uint8)
    film = [
        Picture(
            np.ascontiguousarray(np.roll(texture, (i // 3, i), (0, 1))[:16, :16]), chroma, chroma
        )
        for i in range(count)
    ]
    source = write(tmp_path / "in.y4m", header(16, 16), film)
    command = [
        sys.executable,
        "-c",
        SCRIPT,
        str(source),
        str(tmp_path / "a.vqv"),
        str(tmp_path / "out.y4m"),
        str(tiny_weights),
        str(count),
        str(max(64, count // 100)),
        preset,
    ]
    run = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert run.returncode == 0, run.stderr
    coded, shown, ok, *samples = json.loads(run.stdout)
    assert coded == shown == count
    assert ok
    for name, seen in zip(("encode", "decode"), samples, strict=True):
        assert len(seen) >= min(count // 120, 60), (name, seen)
        memory, files = ([s[k] for s in seen if s[0] >= count / 5] for k in (1, 2))
        early = max(memory[: max(1, len(memory) // 4)])
        print(
            f"{name}: {early >> 10} KiB, then {max(memory) >> 10} KiB; "
            f"{files[0]} files, then {max(files)}"
        )
        # a kernel that is first needed late takes some
        assert max(memory) <= max(1.05 * early, early + (16 << 20)), (name, seen)
        assert len(set(files)) == 1, (name, seen)
