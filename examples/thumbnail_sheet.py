#!/usr/bin/env python3
"""A sheet of small pictures from all over a video, one picture file. Needs pillow.

python examples/thumbnail_sheet.py IN.vqv OUT.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

import vqcodec


def run(
    source: Path, out: Path, columns: int = 4, rows: int = 3, weights: str | None = None
) -> tuple[int, int]:
    """Write the sheet; its width and height. Frames are as far apart as the video allows."""
    with vqcodec.open(source, weights=weights) as video:
        size = video.metadata.width, video.metadata.height
        small = 160, max(1, round(160 * size[1] / size[0]))
        sheet = Image.new("RGB", (columns * small[0], rows * small[1]))
        wanted = np.linspace(0, len(video) - 1, columns * rows).round().astype(int)
        for place, number in enumerate(wanted.tolist()):
            row, column = divmod(place, columns)
            picture = Image.fromarray(video[number].permute(1, 2, 0).numpy())  # (H, W, 3)
            sheet.paste(picture.resize(small), (column * small[0], row * small[1]))
    sheet.save(out)
    return sheet.size


def main() -> None:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--columns", type=int, default=4)
    parser.add_argument("--rows", type=int, default=3)
    args = parser.parse_args()
    width, height = run(args.source, args.out, args.columns, args.rows)
    print(f"{args.out}: {width}x{height}")


if __name__ == "__main__":
    main()
