"""The shots of a .vqv file as a torch Dataset: a few frames of each, evenly spaced.

    python examples/shots_dataset.py in.vqv

Shots are found by how the file is coded, so that nothing is decoded before a shot is asked for, and
then no other frames than those of it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

import vqcodec

FRAMES = 4


class Shots(Dataset[tuple[Tensor, int]]):
    """Of each shot FRAMES frames (FRAMES, 3, H, W) uint8, and its number.

    Workers of a DataLoader each open the file anew, by themselves.
    """

    def __init__(self, path: Path, weights: str | None = None) -> None:
        self.video = vqcodec.open(path, weights=weights)
        self.shots = self.video.shots(min_seconds=0.2)

    def __len__(self) -> int:
        return len(self.shots)

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        shot = self.shots[number]
        # a gradual transition shows two shots: the frames behind it show this one alone
        first = min(shot.settled, shot.end - 1)
        places = torch.linspace(first, shot.end - 1, FRAMES).round().int().tolist()
        return self.video.get_frames_at(places).data, number


def run(path: Path, weights: str | None = None) -> int:
    """Go through all shots in batches; how many there were."""
    dataset = Shots(path, weights)
    seen = 0
    for frames, numbers in DataLoader(dataset, batch_size=2):
        for clip, number in zip(frames, numbers.tolist(), strict=True):
            shot = dataset.shots[number]
            bright = clip.float().mean().item()
            print(f"{shot.start_seconds:8.2f} s  {shot.transition:8}  mean brightness {bright:.0f}")
            seen += 1
    return seen


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    print(run(parser.parse_args().path), "shots")
