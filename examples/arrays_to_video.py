#!/usr/bin/env python3
"""Encode arrays to a file, and read single frames back as tensors.

python examples/arrays_to_video.py OUT.vqv
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import vqcodec


def moving_disc(frames: int, height: int = 96, width: int = 128) -> np.ndarray:
    """(N, 3, H, W) uint8 RGB: an orange disc crosses a blue picture."""
    rows, columns = np.mgrid[:height, :width]
    video = np.empty((frames, 3, height, width), np.uint8)
    for number in range(frames):
        inside = (rows - height / 2) ** 2 + (columns - 8 * number) ** 2 < (height / 4) ** 2
        for channel, (disc, ground) in enumerate(((250, 20), (140, 40), (20, 160))):
            video[number, channel] = np.where(inside, disc, ground)
    return video


def run(path: Path, weights: str | None = None) -> float:
    """Write a video and read it; the mean error of its frames, in 8-bit steps."""
    video = moving_disc(frames=16)
    with vqcodec.Writer(path, fps=25, crf=24, preset="fast", weights=weights) as writer:
        for part in np.array_split(video, 4):  # as they come
            writer.write(part)
    errors = []
    with vqcodec.open(path, weights=weights) as reader:
        assert len(reader) == len(video)
        for number in (0, 7, -1):  # any frame, in any order
            frame = reader[number].numpy().astype(int)  # (3, H, W)
            errors.append(np.abs(frame - video[number]).mean())
    return float(np.mean(errors))


def main() -> None:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    error = run(out)
    print(f"{out}: {out.stat().st_size} bytes, mean error {error:.1f} of 255")


if __name__ == "__main__":
    main()
