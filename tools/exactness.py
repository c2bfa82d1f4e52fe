#!/usr/bin/env python3
"""Decode with the real weights in every way there is and compare: threads, batch sizes, backends, and the encoder's own pixels.

    tools/exactness.py --frames 20

Makes clips of several sizes from the bundled one, encodes each, decodes it with the command line in every combination and compares the MD5 of
the decoded planes. `vqcodec verify` then checks the pixel checksum that the encoder stored of its own reconstruction.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path

import av

ROOT = Path(__file__).resolve().parent.parent
SIZES = ((640, 360), (33, 17), (1, 1), (1920, 1080))


def make_clip(path: Path, width: int, height: int, frames: int) -> None:
    """The first frames of the bundled clip, scaled, as y4m."""
    with av.open(str(ROOT / "tests/data/flower.mp4")) as c, open(path, "wb") as o:
        o.write(f"YUV4MPEG2 W{width} H{height} F25:1 Ip A1:1 C420jpeg\n".encode())
        for i, f in enumerate(c.decode(video=0)):
            if i == frames:
                break
            g = f.reformat(width=max(2, width), height=max(2, height), format="yuv420p")
            o.write(b"FRAME\n")
            for p, (h, w) in zip(g.planes, ((height, width),) + ((-(-height // 2), -(-width // 2)),) * 2, strict=True):
                rows = bytes(p)
                o.write(b"".join(rows[r * p.line_size : r * p.line_size + w] for r in range(h)))


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--frames", type=int, default=20)
    ap.add_argument("--crf", default="24")
    a = ap.parse_args()
    run = [sys.executable, "-m", "vqcodec"]
    bad = 0
    with tempfile.TemporaryDirectory() as d:
        for width, height in SIZES:
            clip, coded, out = (Path(d) / n for n in ("in.y4m", "a.vqv", "out.y4m"))
            n = a.frames if width * height < 1_000_000 else min(a.frames, 6)
            make_clip(clip, width, height, n)
            subprocess.run([*run, "encode", "-q", "-y", "-crf", a.crf, str(clip), str(coded)], check=True, cwd=ROOT)
            sums: dict[str, list[str]] = {}
            for threads, batch, backend in product((1, 2), (1, 2, 7), ("int8", "float32")):
                if width * height > 1_000_000 and (batch == 7 or (backend == "float32" and threads == 1)):
                    continue
                env = os.environ | {"VQCODEC_BACKEND": backend}
                subprocess.run([*run, "decode", "-q", "-y", "-threads", str(threads), "--batch", str(batch), str(coded), str(out)], check=True, cwd=ROOT, env=env)
                sums.setdefault(hashlib.md5(out.read_bytes()).hexdigest(), []).append(f"threads {threads} batch {batch} {backend}")
            verified = subprocess.run([*run, "verify", "-q", str(coded)], cwd=ROOT).returncode == 0
            ways = sum(map(len, sums.values()))
            print(f"{width}x{height}, {n} frames: {ways} ways, {len(sums)} MD5 ({', '.join(sums)}), encoder's reconstruction {'equal' if verified else 'DIFFERENT'}", flush=True)
            bad += len(sums) != 1 or not verified
            if len(sums) != 1:
                print(sums)
    raise SystemExit(bad)


if __name__ == "__main__":
    main()
