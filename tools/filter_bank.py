#!/usr/bin/env python3
"""Fit the bank of the adaptive loop filter to what the encoder makes of training clips.

    tools/filter_bank.py CLIPS --minutes 10

Encodes stretches of the clips, none that is held out, each at two random crf, and keeps the normal
equations of every frame. Filters are then found as codewords are, by Lloyd's algorithm:
each set of equations goes to the filter that gains most, each filter becomes the best one of its
sets. Writes vqcodec/codec/filter_bank.py and the table of docs/format.md: after that the golden
files have to be made again.
"""

from __future__ import annotations

import argparse
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from held_out import HELD

from vqcodec.codec.adaptive_filter import CHOICES, CLASSES, INDEX_BITS, ONE_BITS, TAPS
from vqcodec.codec.direct_map import OUTSIDE_BLOCK
from vqcodec.codec.gop_structure import LEVELS
from vqcodec.codec.range_coder import Encoder
from vqcodec.encoding import filter_choice
from vqcodec.encoding.block_facts import squares
from vqcodec.encoding.filter_choice import Equations, Filters, Unfiltered
from vqcodec.encoding.frame_trials import FrameTrials
from vqcodec.encoding.gop_encoder import encode_gop
from vqcodec.encoding.model import load_model
from vqcodec.encoding.rate_distortion import PRESETS
from vqcodec.encoding.trial import Trial
from vqcodec.training.pictures import read_clip

ROOT = Path(__file__).resolve().parents[1]
FRAMES, SMALLEST = 17, 160  # of a clip: frames, and samples of its width and height
CRF = (16, 20, 24, 28, 32, 36, 40, 44)
COUNT = (1 << INDEX_BITS) - 1  # filters of a class
STARTS, ROUNDS = 6, 60  # of Lloyd's algorithm
FEWEST = 3  # sets of a filter
WEIGHTS = {0: 6, 1: 4, 2: 2}  # of frames of the first levels, which others inherit
ONE = 1 << ONE_BITS
LARGEST = ONE - 1  # of a weight


class Sets(NamedTuple):
    """Equations of one class, in weighed shares of the error of their frame."""

    left: np.ndarray  # (n, 12, 12)
    right: np.ndarray  # (n, 12)


class Listener:
    """Keeps the equations of all frames that an encoder would filter, and filters none.

    Banks that were fitted to frames with filtered references gained less.
    """

    def __init__(self) -> None:
        self.kept: list[Equations] = []
        self._level = 0
        filter_choice.filter_best = self
        original = FrameTrials.filtered

        def filtered(trials: FrameTrials, trial: Trial) -> Trial:
            self._level = trials.task.level
            return original(trials, trial)

        FrameTrials.filtered = filtered  # type: ignore[assignment,method-assign]

    def __call__(self, picture: Unfiltered, coder: Encoder) -> Filters:
        """As :func:`filter_choice.filter_best`, in the place of which it stands."""
        made, blocks = filter_choice.equations_of(picture), picture.blocks
        error = np.zeros(blocks.shape)
        for weight, wanted, plane in zip(
            picture.weights, picture.source, picture.planes, strict=True
        ):
            error += weight * squares(wanted, plane, plane.shape[0] // len(blocks))
        total = float((error * picture.worths * (blocks != OUTSIDE_BLOCK)).sum())
        if total > 0:
            weight = WEIGHTS.get(self._level, 1) / total
            self.kept.append(
                Equations(
                    *(a.astype(np.float32) for a in (made.left * weight, made.right * weight))
                )
            )
        return filter_choice.NONE


def listen(clips: list[Path], minutes: float, seed: int) -> list[Equations]:
    """The equations of encodes of the clips."""
    codec, rng, listener = load_model(None, "cpu", 1), np.random.default_rng(seed), Listener()
    rate, begin = replace(PRESETS["medium"], loop_filter_levels=LEVELS), time.time()
    for number in rng.permutation(len(clips)):
        frames = read_clip(clips[number], limit=FRAMES)
        if min(frames[0].y.shape) < SMALLEST:
            continue
        for crf in rng.choice(CRF, 2, replace=False):
            encode_gop(codec, frames, float(crf), rate, stats=False)
        print(f"{clips[number].stem}: {len(listener.kept)} frames", flush=True)
        if time.time() - begin > 60 * minutes:
            break
    return listener.kept


def sets_of(kept: list[Equations], choice: int) -> Sets:
    """Those of a choice: of coded blocks, and of coded and direct ones."""
    left, right = (np.stack([e[i][:, choice] for e in kept]).astype(float) for i in (0, 1))
    left = np.concatenate([left[:, 0], left.sum(1)])
    right = np.concatenate([right[:, 0], right.sum(1)])
    some = left.trace(axis1=1, axis2=2) > 0
    return Sets(left[some], right[some])


def gains(sets: Sets, filters: np.ndarray) -> np.ndarray:
    """(n, k): what each filter (k, 12), in ones, gains in each set."""
    twice: np.ndarray = 2 * sets.right @ filters.T
    return np.asarray(twice - np.einsum("ka,nab,kb->nk", filters, sets.left, filters))


def lloyd(sets: Sets, rng: np.random.Generator) -> tuple[float, np.ndarray]:
    """A bank (15, 12) in 128ths, and what it gains in the mean."""
    size = sets.left.trace(axis1=1, axis2=2)[:, None, None] / len(TAPS)
    own = np.linalg.solve(sets.left + 1e-3 * size * np.eye(len(TAPS)), sets.right[..., None])
    own = own[..., 0]
    most = np.maximum(np.einsum("na,na->n", sets.right, own), 0)
    bank = own[rng.choice(len(own), COUNT, replace=False, p=most / most.sum())]
    for _ in range(ROUNDS):
        found = np.concatenate([np.zeros((len(own), 1)), gains(sets, bank)], 1)
        best = found.argmax(1)
        lost = np.maximum(most - found.max(1), 1e-15)
        for k in range(COUNT):
            mine = best == k + 1
            if mine.sum() < FEWEST:
                bank[k] = own[rng.choice(len(own), p=lost / lost.sum())]
                continue
            left = sets.left[mine].sum(0)
            bank[k] = np.linalg.solve(left + 1e-6 * left.max() * np.eye(len(TAPS)),
                                      sets.right[mine].sum(0))  # fmt: skip
    whole = np.clip(np.round(bank * ONE), -LARGEST, LARGEST)
    found = np.maximum(gains(sets, whole / ONE), 0)
    often = np.bincount(found.argmax(1), minlength=COUNT)
    return float(found.max(1).mean()), whole[np.argsort(-often)].astype(int)


def write(bank: np.ndarray) -> None:
    """Put a bank (5, 15, 12) into the code and the page."""
    code, page = ROOT / "vqcodec" / "codec" / "filter_bank.py", ROOT / "docs" / "format.md"
    head = code.read_text().split("BANK = ")[0]
    rows = "".join(
        "        [\n"
        + "".join(f"            [{', '.join(map(str, row))}],\n" for row in filters.tolist())
        + "        ],\n"
        for filters in bank
    )
    code.write_text(f"{head}BANK = np.array(\n    [\n{rows}    ],\n    np.int64,\n)\n")
    table = "".join(
        f"| {k} | {n + 1} | {' | '.join(map(str, bank[k, n].tolist()))} |\n"
        for k in range(CLASSES + 1)
        for n in range(COUNT)
    )
    row = r"\| [0-4] \| \d+ \|(?: -?\d+ \|){12}\n"
    page.write_text(re.sub(f"(?m)(?:^{row})+", table, page.read_text()))


def main() -> None:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    clips = [path for path in sorted(args.clips.glob("*.mkv")) if path.stem not in HELD]
    kept, rng = listen(clips, args.minutes, args.seed), np.random.default_rng(args.seed)
    of = [[k] for k in range(CLASSES)] + [list(range(CLASSES, CHOICES))]
    bank: list[np.ndarray] = []
    for choices in of:
        parts = [sets_of(kept, choice) for choice in choices]
        sets = Sets(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
        gain, filters = max((lloyd(sets, rng) for _ in range(STARTS)), key=lambda found: found[0])
        print(
            f"class {len(bank)}: a weighed share of {gain:.3%} of the error, {len(sets.left)} sets"
        )
        bank.append(filters)
    write(np.array(bank))


if __name__ == "__main__":
    main()
