#!/usr/bin/env python3
"""First frames of clips that are made faint, near black or white: bits at equal PSNR of weights
files against the first of them.

    tools/faint.py davis-tennis.mkv mdn-flower.mkv --weights before.safetensors,after.safetensors

A contrast of 1 is the picture as it is.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from ablate import encode

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from vqcodec.bench.bd_rate import bd_rate
from vqcodec.encoding.model import load_model
from vqcodec.encoding.rate_distortion import rate_parameters
from vqcodec.picture import Picture
from vqcodec.system.threads import set_threads
from vqcodec.training.pictures import read_clip

ENDS = {"black": 16, "grey": 128, "white": 235}  # luma that contrast is taken away around


def faint(picture: Picture, contrast: float, middle: int) -> Picture:
    """A picture of 8 bits with less contrast."""

    def plane(samples: np.ndarray, around: int) -> np.ndarray:
        return np.round(around + (samples.astype(float) - around) * contrast).astype(np.uint8)

    return Picture(*(plane(p, m) for p, m in zip(picture, (middle, 128, 128), strict=True)))


def main() -> None:
    """Measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--weights", required=True, help="files, with commas between them")
    parser.add_argument("--contrast", default="1,0.22,0.1")
    parser.add_argument("--crf", default="14,24,34,44")
    parser.add_argument("--preset", default="fast")
    args = parser.parse_args()
    set_threads(1)
    models = [load_model(path, "cpu", 1) for path in args.weights.split(",")]
    rate, crfs = rate_parameters(args.preset), [float(crf) for crf in args.crf.split(",")]
    print(f"| picture | {' | '.join(['against the first'] * (len(models) - 1))} |")
    print(f"|{' -- |' * len(models)}")
    for clip in args.clips:
        first = read_clip(clip, limit=1)[0]
        for contrast in map(float, args.contrast.split(",")):
            for name, middle in ENDS.items() if contrast < 1 else [("as it is", 128)]:
                picture = [faint(first, contrast, middle)]
                curves = [
                    [
                        (made["bpp"], made["psnr"])
                        for made in (encode(m, picture, crf, rate, verbose=False) for crf in crfs)
                    ]
                    for m in models
                ]
                found = [bd_rate(curves[0], curve).percent for curve in curves[1:]]
                cells = ["undefined" if bits is None else f"{bits:+.1f} %" for bits in found]
                where = f"{contrast:g}, {name}" if contrast < 1 else name
                print(f"| {clip.stem}, {where} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
