#!/usr/bin/env python3
"""Run a recipe on a GPU that is lent for minutes, and bring small states back.

    tools/device_train.py tools/large_intra.toml OUT --seconds 350
    tools/key_pairs.py RUN CLIPS --workers 12 --seconds 600
    tools/device_train.py tools/large_key.toml OUT --run RUN --seconds 350

The stages of the recipe share the seconds that are left when the data is read, as their minutes
say. After each checkpoint OUT receives the averaged weights as ``NN-KIND.pt`` (float16, in parts
where a file would be too large to bring back) and ``train.log``.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import parts
import torch

from vqcodec.errors import UsageError
from vqcodec.training.check import check_device
from vqcodec.training.config import NETS, Config
from vqcodec.training.config_file import load_config
from vqcodec.training.recipe import Recipe
from vqcodec.training.states import halved, read_state


class Deliveries:
    """States of checkpoints, small, in a folder of their own."""

    def __init__(self, out: Path, log: Path, most: int) -> None:
        self.out, self.log, self.most = out, log, most
        out.mkdir(parents=True, exist_ok=True)

    def bring(self, checkpoint: Path) -> None:
        """A checkpoint was written."""
        with checkpoint.open("rb") as file:
            state = halved(read_state(file))
        data = io.BytesIO()
        torch.save(state, data)
        parts.write(self.out / checkpoint.name, data.getvalue(), self.most)
        if self.log.exists():
            shutil.copy(self.log, self.out / self.log.name)


def scaled(config: Config, seconds: float) -> Config:
    """The recipe with stages that take so many seconds together. UsageError for other stages."""
    if others := sorted({s.kind for s in config.stages if s.kind not in NETS}):
        raise UsageError(f"stages {', '.join(others)} are not for this machine, train nets only")
    if seconds <= 0:
        raise UsageError("no seconds are left for training")
    whole = sum(stage.minutes for stage in config.stages)
    stages = [replace(s, minutes=s.minutes / whole * seconds / 60) for s in config.stages]
    return replace(config, stages=stages)


def train(config: Config, out: Path, seconds: float, most: int = parts.MOST) -> None:
    """Run a recipe, from here on, for so many seconds; files have at most ``most`` bytes."""
    begin = time.time()
    check_device(config.device)
    scaled(config, seconds)
    deliveries = Deliveries(out, config.folder / "train.log", most)
    recipe = Recipe(config, restart=True, saved=deliveries.bring)
    for kind in {stage.kind for stage in config.stages}:
        recipe.model(kind)  # reads the data where the nets begin as a transform
        recipe.materials.of(kind)
    recipe.config = scaled(config, seconds - (time.time() - begin))
    recipe.run()


def main() -> None:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--run", type=Path, help="folder of the run, if not the recipe's")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    config = replace(load_config(args.recipe), device=args.device, threads=args.threads)
    if args.run:
        config = replace(config, folder=args.run)
    train(config, args.out, args.seconds)


if __name__ == "__main__":
    main()
