#!/usr/bin/env python3
"""The tokens of a clip, as arrays in a .npz file.

    python examples/tokens_to_numpy.py IN.vqv OUT.npz

For each frame of the first levels: what kind it is, and its codewords as numbers of the model's
vocabulary with the places they stand at. ``ids_0`` belongs to ``frames[0]``, and so on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import vqcodec


def run(source: Path, out: Path, max_level: int = 1, weights: str | None = None) -> int:
    """Write the tokens of frames up to a level (1: key frames); how many words they have."""
    arrays: dict[str, np.ndarray] = {}
    kinds: list[str] = []
    numbers: list[int] = []
    with vqcodec.open(source, weights=weights) as video:
        words = video.vocabulary
        for frame in video.tokens(0, len(video), max_level=max_level):
            sequence = words.sequence(frame)
            arrays[f"ids_{len(numbers)}"] = sequence.ids  # (n,)
            arrays[f"places_{len(numbers)}"] = sequence.places  # (n, 4): row, column, group, slot
            numbers.append(frame.frame)
            kinds.append(frame.kind)
        arrays["vocabulary"] = np.array(words.size)
    arrays |= {"frames": np.array(numbers), "kinds": np.array(kinds)}
    np.savez_compressed(out, **arrays)  # type: ignore[arg-type]  # of names it takes all
    return sum(len(array) for name, array in arrays.items() if name.startswith("ids_"))


def main() -> None:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--max-level", type=int, default=1)
    args = parser.parse_args()
    print(f"{run(args.source, args.out, args.max_level)} words in {args.out}")


if __name__ == "__main__":
    main()
