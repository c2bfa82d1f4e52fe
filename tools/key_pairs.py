#!/usr/bin/env python3
"""Code key frames, and frames half-way between two, and write what they were predicted from.

tools/key_pairs.py FOLDER CLIPS... --workers 12 --seconds 600
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from held_out import HELD  # noqa: E402

from vqcodec.training.data import read_clip  # noqa: E402


def make_pairs(folder: Path, inputs: list[str], held: bool, seconds: float, seed: int) -> None:
    """Code key frames 8 to 32 apart and frames between them; ``SEED-N.npz`` for each stretch."""
    import dataclasses

    from vqcodec.codec.frame_decoder import pad
    from vqcodec.codec.weights import default_path, load_codec
    from vqcodec.encoding.frame_encoder import FrameEncoder
    from vqcodec.encoding.frame_task import FrameTask
    from vqcodec.encoding.rate_distortion import RateParameters, qualities
    from vqcodec.picture import Picture
    from vqcodec.training.pairs import Notes, training_pair

    torch.set_num_threads(1)
    codec = load_codec(default_path(), "cpu", 1)
    rng, begin, count = np.random.default_rng(seed), time.time(), 0
    rate = dataclasses.replace(RateParameters(), refine_steps=0, detail_drops=())
    while time.time() - begin < seconds:
        clips = sorted(p for f in inputs for p in Path(f).glob("*.mkv") if (p.stem in HELD) == held)
        clip = clips[rng.integers(len(clips))]
        frames = read_clip(clip)
        if len(frames) < 9 or min(frames[0][0].shape) < 192:
            continue
        gap = min(int(rng.choice([8, 12, 16, 16, 16, 16, 24, 32])), len(frames) - 1)
        first = int(rng.integers(min(gap, len(frames) - gap)))
        keys = list(range(first, len(frames), gap))[:4]
        h, w = frames[0][0].shape
        notes = Notes()
        coder = FrameEncoder(codec, w, h, rate, stats=False, observer=notes)
        q = qualities(float(rng.uniform(0, 55)))
        source = [pad(Picture(y, *c), w, h) for y, c in frames]
        done = [coder.encode(FrameTask(source[keys[0]], keys[0], 0, q[0], [])).frame]
        for before, n in zip(keys, keys[1:], strict=False):
            refs = done[-1:-3:-1]
            coded = coder.encode(FrameTask(source[n], n, 1, q[1], refs)).frame
            if rng.random() < 0.4:  # one of the first B level, from both
                middle = (before + n) // 2
                between = [done[-1], coded]
                coder.encode(FrameTask(source[middle], middle, 2, q[2], between))
            done.append(coded)
        out: dict[str, np.ndarray] = {}
        for i, (n, noted) in enumerate(notes.noted.items()):
            out |= {f"{i}_{name}": value for name, value in training_pair(frames[n], noted).items()}
        tmp = folder / f"tmp{seed}.npz"
        np.savez(tmp, **out)  # type: ignore[arg-type]  # of the names of arrays it takes all
        tmp.rename(folder / f"{seed:03d}-{count:05d}.npz")
        count += 1


def all_pairs(a: argparse.Namespace) -> None:
    context = multiprocessing.get_context("spawn")
    folder = Path(a.out)
    (folder / "held").mkdir(parents=True, exist_ok=True)
    jobs = [(folder, a.inputs, False, a.seconds, 1 + k) for k in range(a.workers)]
    jobs.append((folder / "held", a.inputs, True, min(60.0, a.seconds), 500))
    runs = [context.Process(target=make_pairs, args=j) for j in jobs]
    for r in runs:
        r.start()
    for r in runs:
        r.join()


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("out")
    ap.add_argument("inputs", nargs="+")
    ap.add_argument("--seconds", type=float, default=300)
    ap.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    all_pairs(ap.parse_args())


if __name__ == "__main__":
    main()
