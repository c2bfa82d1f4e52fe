#!/usr/bin/env python3
"""Memory of `vqcodec analyze` by the length of a file: `python tools/shot_memory.py CLIP [--minutes
6,60] [--embed]`.

A clip is encoded small, and joined with itself until it is as long. Each file is analysed in a
process of its own; speed is by its processor time, without what it takes to start.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from vqcodec.options import EncodeOptions
from vqcodec.pipeline.encode import encode
from vqcodec.pipeline.join import join
from vqcodec.reading.info import info

_ROOT = str(Path(__file__).resolve().parent.parent)
_PROGRAM = """
import json, resource, sys, time
sys.path.insert(0, sys.argv[1])
from vqcodec.container.reader import ContainerReader
from vqcodec.reading.file_analysis import analyse_file
from vqcodec.reading.looks import looks_at
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with open(sys.argv[2], "rb") as file:
    analyse_file(ContainerReader.open(file))
before, begin = peak(), time.process_time()
with open(sys.argv[3], "rb") as file:
    reader = ContainerReader.open(file)
    found = analyse_file(reader)
    shots = len(found.shots())
    if sys.argv[4] == "embed":
        looks_at(reader, found)[0].embedding()
spent = time.process_time() - begin
print(json.dumps([len(found), shots, peak() / 1024, before / 1024, len(found) / spent]))
"""


def longer(path: Path, frames: int, out: Path) -> Path:
    """A file joined with itself until it has so many frames."""
    one = info(path).frames
    join([path] * max(1, round(frames / one)), out)
    return out


def main() -> None:
    """Encode, join, analyse and print."""
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("clip", type=Path)
    ap.add_argument("--minutes", default="6,60", help="at 25 frames a second")
    ap.add_argument("--embed", action="store_true", help="make the embedding of the file too")
    a = ap.parse_args()
    print(
        "| minutes | frames | shots | peak MB | MB before | frames a second |\n" + "|---" * 6 + "|"
    )
    asked = "embed" if a.embed else "shots"
    with tempfile.TemporaryDirectory() as folder:
        one = Path(folder, "one.vqv")
        encode(a.clip, one, EncodeOptions(crf=34, preset="fastest"))
        minute = longer(one, 25 * 60, Path(folder, "minute.vqv"))
        for minutes in a.minutes.split(","):
            path = longer(minute, 25 * 60 * int(minutes), Path(folder, f"{minutes}.vqv"))
            told = subprocess.run(
                [sys.executable, "-c", _PROGRAM, _ROOT, str(one), str(path), asked],
                stdout=subprocess.PIPE,
                check=True,
            )
            frames, shots, peak, before, speed = json.loads(told.stdout)
            cells = (minutes, frames, shots, f"{peak:.0f}", f"{before:.0f}", f"{speed:.0f}")
            print("| " + " | ".join(map(str, cells)) + " |")


if __name__ == "__main__":
    main()
