#!/usr/bin/env python3
"""Code key frames, and frames half-way between two, and write what they were predicted from.

    tools/key_pairs.py RUN CLIPS... --workers 12 --seconds 600

RUN/pairs receives what nets are trained on, RUN/pairs-held what they are measured on, from the
clips that no training sees; RUN is the folder of a recipe.
"""

from __future__ import annotations

import argparse
import dataclasses
import multiprocessing
import os
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from held_out import HELD

from vqcodec.codec.frame_decoder import Coded, pad
from vqcodec.codec.weights import default_path
from vqcodec.encoding.frame_encoder import FrameEncoder
from vqcodec.encoding.frame_task import FrameTask
from vqcodec.encoding.model import EncoderModel, load_model
from vqcodec.encoding.rate_distortion import RateParameters, qualities
from vqcodec.picture import Picture
from vqcodec.training import chunks
from vqcodec.training.chunks import Pair
from vqcodec.training.pairs import Notes, training_pair
from vqcodec.training.pictures import read_clip

GAPS = (8, 12, 16, 16, 16, 16, 24, 32)  # frames from a key frame to the next, as often as here
KEYS = 4  # of a stretch
LEAST = 9  # frames of a clip
SMALLEST = 192  # samples of their width and height
BETWEEN = 0.4  # share of the gaps a frame of the first B level of which is coded, too
HELD_SECONDS = 60.0


def code_stretch(
    codec: EncoderModel, frames: list[Picture], rng: np.random.Generator
) -> list[Pair]:
    """Code key frames of a random part of a clip, and some frames between them."""
    gap = min(int(rng.choice(GAPS)), len(frames) - 1)
    first = int(rng.integers(min(gap, len(frames) - gap)))
    keys = list(range(first, len(frames), gap))[:KEYS]
    height, width = frames[0].y.shape
    notes = Notes()
    rate = dataclasses.replace(RateParameters(), refine_steps=0, detail_drops=())
    coder = FrameEncoder(codec, width, height, rate, stats=False, observer=notes)
    quality = qualities(float(rng.uniform(0, 55)))

    def code(number: int, level: int, references: list[Coded]) -> Coded:
        source = pad(frames[number], width, height)
        task = FrameTask(source, number, level, quality[level], references)
        return coder.encode(task).frame

    done = [code(keys[0], 0, [])]
    for before, number in pairwise(keys):
        coded = code(number, 1, done[-1:-3:-1])
        if rng.random() < BETWEEN:
            code((before + number) // 2, 2, [done[-1], coded])
        done.append(coded)
    return [training_pair(frames[number], noted) for number, noted in notes.noted.items()]


@dataclasses.dataclass(frozen=True)
class Job:
    """What one process does."""

    folder: Path
    inputs: list[str]
    held: bool
    seconds: float
    seed: int


def make_pairs(job: Job) -> None:
    """Code stretches of random clips; a chunk for each."""
    torch.set_num_threads(1)
    codec = load_model(default_path(), "cpu", 1)
    rng, begin, count = np.random.default_rng(job.seed), time.time(), 0
    found = (clip for folder in job.inputs for clip in sorted(Path(folder).glob("*.mkv")))
    clips = [clip for clip in found if (clip.stem in HELD) == job.held]
    while clips and time.time() - begin < job.seconds:
        frames = read_clip(clips[rng.integers(len(clips))])
        if len(frames) < LEAST or min(frames[0].y.shape) < SMALLEST:
            continue
        name = f"{chunks.KEYS}{job.seed:03d}-{count:05d}{chunks.SUFFIX}"
        chunks.save_pairs(job.folder / name, code_stretch(codec, frames, rng))
        count += 1


def all_pairs(run: Path, inputs: list[str], workers: int, seconds: float) -> None:
    """Make pairs in several processes, one of them those that are held out."""
    context = multiprocessing.get_context("spawn")
    jobs = [Job(run / "pairs", inputs, False, seconds, 1 + k) for k in range(workers)]
    jobs.append(Job(run / "pairs-held", inputs, True, min(HELD_SECONDS, seconds), 500))
    for job in jobs:
        job.folder.mkdir(parents=True, exist_ok=True)
    processes = [context.Process(target=make_pairs, args=(job,)) for job in jobs]
    for process in processes:
        process.start()
    for process in processes:
        process.join()


def main() -> None:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("inputs", nargs="+")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    all_pairs(args.run, args.inputs, args.workers, args.seconds)


if __name__ == "__main__":
    main()
