#!/usr/bin/env python3
"""How far still parts of a film jump from one decoded frame to the next: `python tools/pops.py
CLIPS... [--crf 24,34]`.

Flicker is a mean over all frames; a pop at one key frame hides in it. Here blocks of 16x16 luma
samples whose source is the same in two frames that follow each other are compared as they are
decoded: the mean of their absolute differences in the frame where it is largest, and that of the
block that jumps most, of 255.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vqcodec.picture import Picture
from vqcodec.pipeline.decode import decode
from vqcodec.pipeline.encode import encode
from vqcodec.training.pictures import read_clip

BLOCK = 16


class Jump(NamedTuple):
    """What still blocks do between a frame and the one before."""

    size: float  # mean of absolute differences, of 255
    frame: int


def blocks(plane: np.ndarray) -> np.ndarray:
    """(H/16, 16, W/16, 16) of a plane (H, W), without what is left at its ends."""
    height, width = (side // BLOCK * BLOCK for side in plane.shape)
    return plane[:height, :width].reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK)


def jumps(source: list[Picture], shown: list[Picture]) -> tuple[list[Jump], list[Jump]]:
    """Of all still blocks of each frame together, and of the one that jumps most."""
    together, most = [], []
    for n in range(1, len(source)):
        still = blocks(source[n].y == source[n - 1].y).all((1, 3))
        if still.any():
            change = np.abs(shown[n].y.astype(np.int32) - shown[n - 1].y)
            sizes = blocks(change).mean((1, 3))[still]
            together.append(Jump(float(sizes.mean()), n))
            most.append(Jump(float(sizes.max()), n))
    return together, most


def main() -> None:
    """Print a row of a table for each clip and crf."""
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("clips", nargs="+", type=Path)
    ap.add_argument("--crf", default="24,34")
    a = ap.parse_args()
    print("| clip | crf | frames with still blocks | largest mean | largest of a block |")
    print("| -- | -- | -- | -- | -- |")
    for clip in a.clips:
        source = read_clip(clip, limit=1000)
        for crf in a.crf.split(","):
            with tempfile.TemporaryDirectory() as folder:
                coded, raw = f"{folder}/a.vqv", f"{folder}/a.y4m"
                encode(str(clip), coded, crf=float(crf))
                decode(coded, raw)
                together, most = jumps(source, read_clip(Path(raw), limit=1000))
            if not together:
                print(f"| {clip.stem} | {crf} | 0 | | |")
                continue
            told = (f"{jump.size:.3f} (frame {jump.frame})" for jump in (max(together), max(most)))
            print(f"| {clip.stem} | {crf} | {len(together)} | {' | '.join(told)} |", flush=True)


if __name__ == "__main__":
    main()
