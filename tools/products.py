#!/usr/bin/env python3
"""Products of the exact nets a luma sample, in the mean over a GOP: what a decoder multiplies.

    tools/products.py CLIP... --crf 28 --frames 65 --preset medium

Counted as the tests count them (tests/support/work.py): by the tiles that are coded.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from support.work import tile_products

from vqcodec.encoding.gop_encoder import encode_gop
from vqcodec.encoding.model import load_model
from vqcodec.encoding.rate_distortion import PRESETS
from vqcodec.system.threads import set_threads
from vqcodec.training.pictures import read_clip

SAMPLES = 32 * 32  # luma samples of a tile


def main() -> None:
    """Encode the clips, and print a row for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--crf", type=float, default=28)
    parser.add_argument("--frames", type=int, default=65)
    parser.add_argument("--preset", choices=PRESETS, default="medium")
    args = parser.parse_args()
    set_threads(1)
    codec = load_model(None, "cpu", 1)
    each = {inter: tile_products(nets.shape) / SAMPLES for inter, nets in enumerate(codec.all_nets)}
    print("| clip | products a luma sample | coded tiles of P and B frames |\n| -- | -- | -- |")
    for clip in args.clips:
        rows = encode_gop(
            codec, read_clip(clip, limit=args.frames), args.crf, PRESETS[args.preset]
        ).stats
        coded = [row["coded"] for row in rows if row["type"] != "I"]
        alone = sum(row.get("intra", 0.0) for row in rows if row["type"] != "I")
        total = each[0] * (len(rows) - len(coded) + alone) + each[1] * sum(coded)
        share = float(np.mean(coded)) if coded else 0.0
        print(f"| {clip.stem} | {total / len(rows):,.0f} | {share:.1%} |", flush=True)


if __name__ == "__main__":
    main()
