"""The examples of docs/library.md, run as they stand one after the other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from support.clips import header, moving, write
from support.paths import ROOT


def test_the_examples_of_the_library(tiny_weights: Path, tmp_path: Path) -> None:
    blocks = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "docs" / "library.md").read_text(), re.M | re.S
    )
    assert len(blocks) >= 6
    write(tmp_path / "in.mkv", header(64, 48), moving(64, 48, 20), vcodec="ffv1")
    (tmp_path / "examples.py").write_text("\n".join(blocks))
    env = os.environ | {
        "PYTHONPATH": str(ROOT),
        "VQCODEC_WEIGHTS": str(tiny_weights),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "examples.py"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (
        "20 of 20 frames" in done.stdout
        and "checksum mismatch" in done.stdout
        and "indices" in done.stdout
    )
