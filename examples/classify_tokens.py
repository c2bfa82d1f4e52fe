"""A classifier that looks at the tokens of .vqv files, not at their pixels.

    python examples/classify_tokens.py

It makes videos of two kinds of texture (stripes that pan, spots that come and go), encodes them
with a GOP for each clip, and trains a bag of codewords: the mean of learned embeddings of all
codebook indices of the clip's key frames, beside a few numbers of its motion, through one linear
layer. Clips of other videos are held out.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

import vqcodec

SIZE, GOP = 64, 5
KINDS = ("stripes", "spots")
Clip = tuple[Tensor, Tensor, int]  # codebook indices, motion, label


def make_clip(kind: str, rng: np.random.Generator) -> np.ndarray:
    """(GOP, 3, SIZE, SIZE) uint8: angle, width, speed and place are different in each."""
    y, x = np.mgrid[:SIZE, :SIZE].astype(float)
    angle, wide, speed = rng.uniform(0, 2 * np.pi), rng.uniform(1.5, 4), rng.uniform(1, 3)
    centres, phases = rng.uniform(0, SIZE, (12, 2)), rng.uniform(0, 6.3, 12)
    frames = []
    for t in range(GOP):
        if kind == "stripes":
            value = np.sin((x * np.cos(angle) + y * np.sin(angle) - speed * t) / wide)
        else:
            value = np.zeros((SIZE, SIZE))
            for (row, column), phase in zip(centres, phases, strict=True):
                distance = (y - row) ** 2 + (x - column) ** 2
                value += np.sin(phase + t / 2) * np.exp(-distance / (4 * wide**2))
        grey = np.clip(128 + 80 * value, 0, 255).astype(np.uint8)
        frames.append(np.stack([grey] * 3))
    return np.stack(frames)


def make_video(path: Path, kind: str, clips: int, seed: int, weights: str | None) -> None:
    """Encode clips of one kind, one after the other."""
    rng = np.random.default_rng(seed)
    options = vqcodec.EncodeOptions(crf=30, gop=GOP, preset="fast", device="cpu")
    with vqcodec.Writer(path, 25, options, weights=weights) as writer:
        for _ in range(clips):
            writer.write(make_clip(kind, rng))


class TokenClips(Dataset[Clip]):
    """GOPs of .vqv files.

    Of each the codebook indices of its key frames (n,) int64, four numbers of its motion, label.
    """

    def __init__(self, files: list[tuple[Path, int]], weights: str | None = None) -> None:
        self.clips: list[Clip] = []
        for path, label in files:
            with vqcodec.open(path, weights=weights) as video:
                words = video.vocabulary
                self.vocabulary_size = words.size
                ends = [*video.gop_starts[1:], len(video)]
                for first, end in zip(video.gop_starts, ends, strict=True):
                    frames = video.tokens(first, end, max_level=1)
                    ids = np.concatenate([words.sequence(f).ids for f in frames]).astype(np.int64)
                    last = frames[-1]
                    moves = np.abs(last.vectors[:, :, 0]).mean((0, 1)) / 16
                    motion = [*moves, last.depth.mean() / 3, last.direct.mean()]
                    self.clips.append(
                        (torch.from_numpy(ids), torch.tensor(motion, dtype=torch.float32), label)
                    )

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, i: int) -> Clip:
        return self.clips[i]


def collate(items: list[Clip]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """All indices in a row, where each clip's begin, motion, labels."""
    ids, motion, labels = zip(*items, strict=True)
    offsets = torch.tensor([0, *(len(i) for i in ids)][:-1]).cumsum(0)
    return torch.cat(ids), offsets, torch.stack(motion), torch.tensor(labels)


class BagOfCodewords(nn.Module):
    """The mean of learned embeddings, and motion, through one linear layer."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.embed = nn.EmbeddingBag(size, 8, mode="mean")
        self.out = nn.Linear(8 + 4, len(KINDS))

    def forward(self, ids: Tensor, offsets: Tensor, motion: Tensor) -> Tensor:
        """(clips, kinds) of all indices in a row, where each clip's begin, and its motion."""
        kinds: Tensor = self.out(torch.cat([self.embed(ids, offsets), motion], 1))
        return kinds


def run(folder: Path, clips: int = 24, weights: str | None = None, epochs: int = 40) -> float:
    """Make, encode, train; the part of the held-out clips that is told right."""
    sets: dict[str, list[tuple[Path, int]]] = {"train": [], "held-out": []}
    for label, kind in enumerate(KINDS):
        for seed, name in enumerate(sets):
            path = folder / f"{kind}-{name}.vqv"
            number = clips if name == "train" else clips // 2
            make_video(path, kind, number, 10 * label + seed, weights)
            sets[name].append((path, label))
    train, held_out = TokenClips(sets["train"], weights), TokenClips(sets["held-out"], weights)
    torch.manual_seed(0)
    model = BagOfCodewords(train.vocabulary_size)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    loader = DataLoader(train, batch_size=8, shuffle=True, collate_fn=collate)
    for _ in range(epochs):
        for ids, offsets, motion, labels in loader:
            loss = nn.functional.cross_entropy(model(ids, offsets, motion), labels)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
    ids, offsets, motion, labels = collate([held_out[i] for i in range(len(held_out))])
    with torch.no_grad():
        return float((model(ids, offsets, motion).argmax(1) == labels).float().mean())


def main() -> None:
    """What the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--clips", type=int, default=24, help="of each kind to train on; half as many are held out"
    )
    parser.add_argument("--weights", help="of the codec, if not those that come with it")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        right = run(Path(folder), args.clips, args.weights)
    print(
        f"{right:.0%} of the held-out clips are told right; "
        f"by chance it would be {1 / len(KINDS):.0%}"
    )


if __name__ == "__main__":
    main()
