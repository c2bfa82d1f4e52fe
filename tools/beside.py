#!/usr/bin/env python3
"""Encoders beside each other: bits at equal PSNR and processor time against the first of them.

    tools/beside.py davis-tennis.mkv tears-11.mkv --of medium,fast,slow
    tools/beside.py davis-tennis.mkv --of medium,medium@new.safetensors

Each is a preset, with weights of its own behind an @. Clips are coded in this process as one GOP,
by one thread; the first encode of each coder is thrown away.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ablate import encode

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from vqcodec.bench.bd_rate import bd_rate
from vqcodec.encoding.model import EncoderModel, load_model
from vqcodec.encoding.rate_distortion import RateParameters, rate_parameters
from vqcodec.picture import Picture
from vqcodec.system.threads import set_threads
from vqcodec.training.pictures import read_clip

WARM = 3  # frames


class Coder(NamedTuple):
    """An encoder by its name on the command line."""

    name: str
    model: EncoderModel
    rate: RateParameters

    @classmethod
    def of(cls, name: str) -> Coder:
        """A preset, or a preset and a weights file behind an @."""
        preset, _, weights = name.partition("@")
        return cls(name, load_model(weights or None, "cpu", 1), rate_parameters(preset))

    def point(self, pictures: list[Picture], crf: float) -> tuple[float, float]:
        """Bits a sample of luma, and the mean PSNR (6 Y + U + V) / 8 of the frames in dB."""
        made = encode(self.model, pictures, crf, self.rate, verbose=False)
        return made["bpp"], made["psnr"]


def main() -> None:
    """Measure all clips, then print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--of", default="medium,fastest,faster,fast,slow,slower")
    parser.add_argument("--crf", default="22,28,34,40")
    parser.add_argument("--frames", type=int, default=65)
    args = parser.parse_args()
    set_threads(1)
    coders = [Coder.of(name) for name in args.of.split(",")]
    crfs = [float(crf) for crf in args.crf.split(",")]
    spent = np.zeros(len(coders))
    rates: list[list[float | None]] = [[] for _ in coders]
    warm = read_clip(args.clips[0], limit=WARM)
    for coder in coders:
        coder.point(warm, crfs[0])
    for clip in args.clips:
        pictures = read_clip(clip, limit=args.frames)
        curves: list[list[tuple[float, float]]] = [[] for _ in coders]
        for crf in crfs:  # in turn, so that all meet the same machine
            for k, coder in enumerate(coders):
                begin = time.process_time()
                curves[k].append(coder.point(pictures, crf))
                spent[k] += time.process_time() - begin
        for k, curve in enumerate(curves):
            rates[k].append(bd_rate(curves[0], curve).percent)
        told = ", ".join(f"{c.name} {r[-1]}" for c, r in zip(coders, rates, strict=True))
        print(f"{clip.stem}: {told}", file=sys.stderr, flush=True)
    names = " | ".join(clip.stem for clip in args.clips)
    print(f"| encoder | {names} | bits | time |\n|{' -- |' * (len(args.clips) + 3)}")
    for coder, found, seconds in zip(coders, rates, spent, strict=True):
        known = [rate for rate in found if rate is not None]
        cells = ["" if rate is None else f"{rate:+.1f} %" for rate in found]
        mean = f"{np.mean(known):+.1f} %" if known else "undefined"
        print(f"| {coder.name} | {' | '.join(cells)} | {mean} | {seconds / spent[0]:.2f} |")


if __name__ == "__main__":
    main()
