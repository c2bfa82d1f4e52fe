#!/usr/bin/env python3
"""Decode with the real weights in every way there is and compare: threads, batch sizes, backends,
instruction sets, slices, the reference decoder.

    tools/exactness.py --frames 20

Makes clips of several sizes from the bundled one, encodes each, decodes it with the command line in
every combination and compares the MD5 of the decoded planes. `vqcodec verify` then checks the pixel
checksum that the encoder stored of its own reconstruction, random slices are compared with the same
part of the whole, and up to 640x360 the reference decoder of the tests decodes the file as well.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path

import av

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import reference  # noqa: E402

from vqcodec.codec.weights import default_path  # noqa: E402

SIZES = ((640, 360), (33, 17), (1, 1), (255, 257), (1920, 1080))
FEWER_INSTRUCTIONS = (
    {"ONEDNN_MAX_CPU_ISA": "SSE41", "ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE"},
    {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"},
)


def make_clip(path: Path, width: int, height: int, frames: int) -> None:
    """The first frames of the bundled clip, scaled, as y4m."""
    with av.open(str(ROOT / "tests/data/flower.mp4")) as c, path.open("wb") as o:
        o.write(f"YUV4MPEG2 W{width} H{height} F25:1 Ip A1:1 C420jpeg\n".encode())
        for i, f in enumerate(c.decode(video=0)):
            if i == frames:
                break
            g = f.reformat(width=max(2, width), height=max(2, height), format="yuv420p")
            o.write(b"FRAME\n")
            for p, (h, w) in zip(
                g.planes, ((height, width),) + ((-(-height // 2), -(-width // 2)),) * 2, strict=True
            ):
                rows = bytes(p)
                o.write(b"".join(rows[r * p.line_size : r * p.line_size + w] for r in range(h)))


def ways(large: bool) -> list[tuple[dict[str, str], list[str]]]:
    """Environment and options of each way to decode; few for large pictures."""
    out = []
    for threads, batch, backend in product((1, 2, 4), (1, 2, 7), ("fused", "float32")):
        if not large or (batch == 2 and threads != 4):
            out.append(
                ({"VQCODEC_BACKEND": backend}, ["-threads", str(threads), "--batch", str(batch)])
            )
    return out + [(env, ["-threads", "2"]) for env in FEWER_INSTRUCTIONS]


RUN = [sys.executable, "-m", "vqcodec"]


def decode(coded: Path, to: Path, *options: str, **env: str) -> bytes:
    """What the program makes of a file with these options, in this environment."""
    subprocess.run(
        [*RUN, "decode", "-q", "-y", *options, str(coded), str(to)],
        check=True,
        cwd=ROOT,
        env=os.environ | env,
    )
    return to.read_bytes()


def checked(
    coded: Path, raw: Path, frames: int, slices: int, rng: random.Random
) -> dict[str, bool]:
    """What else must agree with the decoded file, and whether it does."""
    done = subprocess.run([*RUN, "verify", "-q", str(coded)], cwd=ROOT)
    checks = {"encoder's reconstruction": done.returncode == 0}
    whole = decode(coded, raw)
    picture = len(whole) // frames
    for first in (rng.randrange(frames) for _ in range(slices)):
        last = rng.randrange(first, frames) + 1
        part = decode(coded, raw, "-ss", f"{first}f", "-t", f"{last - first}f")
        checks[f"frames {first} to {last - 1}"] = part == whole[first * picture : last * picture]
    if picture <= 640 * 360 * 3 // 2:
        _, pictures = reference.decode_file(coded, reference.load_model(default_path()))
        again = b"".join(p.tobytes() for planes in pictures for p in planes)
        checks["reference decoder"] = again == whole
    return checks


def main() -> None:
    """Decode one file in every way that must give the same pixels, and print what each gave."""
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("--frames", type=int, default=20)
    ap.add_argument("--crf", default="24")
    ap.add_argument("--slices", type=int, default=4)
    a = ap.parse_args()
    rng = random.Random(1)
    bad = 0
    with tempfile.TemporaryDirectory() as d:
        for width, height in SIZES:
            clip, coded, out, raw = (Path(d) / n for n in ("in.y4m", "a.vqv", "out.y4m", "out.yuv"))
            large = width * height > 1_000_000
            n = min(a.frames, 6) if large else a.frames
            make_clip(clip, width, height, n)
            encode = [*RUN, "encode", "-q", "-y", "-crf", a.crf, str(clip), str(coded)]
            subprocess.run(encode, check=True, cwd=ROOT)
            sums: dict[str, list[str]] = {}
            for env, options in ways(large):
                md5 = hashlib.md5(decode(coded, out, *options, **env)).hexdigest()
                sums.setdefault(md5, []).append(f"{env} {options}")
            checks = checked(coded, raw, n, a.slices, rng)
            total = sum(map(len, sums.values()))
            shown = ", ".join(
                f"{name} {'equal' if good else 'DIFFERENT'}" for name, good in checks.items()
            )
            print(
                f"{width}x{height}, {n} frames: {total} ways, {len(sums)} MD5 ({', '.join(sums)}), "
                + shown,
                flush=True,
            )
            bad += len(sums) != 1 or not all(checks.values())
            if len(sums) != 1:
                print(sums)
    raise SystemExit(bad)


if __name__ == "__main__":
    main()
