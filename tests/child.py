"""The program with stand-ins for its networks, as a process that tests can interrupt: ``python child.py SECONDS encode ...``.

Each picture takes that long. Every mini-GOP is a line on standard output when it begins: the number of its GOP and of its pictures.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import types
from pathlib import Path
from typing import Any


def start(seconds: float, *args: str) -> subprocess.Popen[str]:
    """Start ``vqcodec`` with stand-ins; standard output and error are pipes."""
    here = Path(__file__).resolve()
    env = os.environ | {"PYTHONPATH": f"{here.parents[1]}{os.pathsep}{here.parent}"}
    return subprocess.Popen([sys.executable, str(here), str(seconds), *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)


def main() -> int:
    import fakes

    seconds = float(sys.argv[1])
    gop: Any = types.ModuleType("vqcodec.gop")
    weights: Any = types.ModuleType("vqcodec.weights")

    class Slow(fakes.GopEncoder):
        def add(self, pictures: list) -> None:
            print(f"{len(self.log)} {len(pictures)}", flush=True)
            super().add(pictures)
            time.sleep(seconds * len(pictures))

    gop.GopEncoder, gop.decode_gop, gop.checksum_update = Slow, fakes.decode_gop, fakes.checksum_update
    weights.load_codec = lambda path=None, device="auto", threads=0: types.SimpleNamespace(model_id=fakes.MODEL_ID)
    weights.read_model_id = lambda path=None: fakes.MODEL_ID
    weights.read_metadata = lambda path=None: {"model_id": fakes.MODEL_ID.hex()}
    sys.modules["vqcodec.gop"], sys.modules["vqcodec.weights"] = gop, weights
    from vqcodec.cli import main as program

    return program(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
