#!/usr/bin/env python3
"""Frames a second of every preset beside x264, x265 and SVT-AV1, start-up left out: the table of
docs/benchmarks.md. `python tools/speed.py CLIPS... [--threads 2] [--runs 3] [--frames 65]`

Whole commands, as `vqcodec bench` measures them; the median of some runs of each, which go in turn.
The same on an older processor: see docs/benchmarks.md, By processor.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from vqcodec.bench.clips import make_reference
from vqcodec.bench.encoders import AnchorCodec, Coded, VqcodecCodec
from vqcodec.bench.options import BenchOptions, parse_anchors
from vqcodec.encoding.rate_distortion import PRESETS
from vqcodec.system.processors import processor


def coders(
    options: argparse.Namespace, clip: Path, folder: Path
) -> dict[str, tuple[AnchorCodec | VqcodecCodec, int]]:
    """All that code a clip, by name, with the crf that each is run at."""
    reference = make_reference(clip, clip.stem, folder, options.frames)
    settings = BenchOptions(threads=options.threads, device="cpu")
    found: dict[str, tuple[AnchorCodec | VqcodecCodec, int]] = {}
    for anchor in parse_anchors(options.anchors):
        middle = anchor.crfs[len(anchor.crfs) // 2]
        found[anchor.name] = AnchorCodec(reference, anchor, settings, folder), middle
    for preset in options.presets.split(","):
        ours = BenchOptions(threads=options.threads, device="cpu", preset=preset)
        found[f"vqcodec {preset}"] = VqcodecCodec(reference, ours, folder), options.crf
    return found


def main() -> None:
    """Measure, and print a table in Markdown."""
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("clips", nargs="+", type=Path)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--runs", type=int, default=3)
    ap.add_argument("--frames", type=int, default=65)
    ap.add_argument("--crf", type=int, default=28)
    ap.add_argument("--presets", default=",".join(PRESETS))
    ap.add_argument("--anchors", default="x264,x265,svtav1")
    a = ap.parse_args()
    print(f"{processor().name}, {a.threads} threads, {a.frames} frames\n")
    print(
        "| coder | encode | decode | memory: encode, decode | start |\n| -- | -- | -- | -- | -- |"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        results: defaultdict[str, list[list[Coded]]] = defaultdict(list)
        for clip in a.clips:
            some = coders(a, clip, folder)
            rows: dict[str, list[Coded]] = {coder: [] for coder in some}
            for _ in range(a.runs):
                for coder, (codec, crf) in some.items():
                    rows[coder].append(codec.run(crf, folder / "decoded.y4m"))
            for coder, runs in rows.items():
                results[coder].append(runs)
        for coder, by_clip in results.items():
            print(row(coder, by_clip), flush=True)


def row(coder: str, by_clip: list[list[Coded]]) -> str:
    """A row: the mean over clips of the medians of runs, the largest memory."""

    def fps(of: str) -> str:
        # None where a run took no longer than its start
        known = [[fps for run in runs if (fps := getattr(run, of).fps)] for runs in by_clip]
        if not all(known):
            return "too quick to tell"
        each = [statistics.median(runs) for runs in known]
        return f"{statistics.mean(each):.1f} ({', '.join(f'{n:.0f}' for n in each)})"

    every = [run for runs in by_clip for run in runs]
    peaks = [max(getattr(run, of).peak_bytes for run in every) / 1e6 for of in ("encode", "decode")]
    start = statistics.median(run.encode.start_seconds for run in every)
    cells = coder, fps("encode"), fps("decode"), f"{peaks[0]:.0f}, {peaks[1]:.0f} MB"
    return f"| {' | '.join(cells)} | {start:.2f} s |"


if __name__ == "__main__":
    main()
