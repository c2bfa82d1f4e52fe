"""``vqcodec train CONFIG``: the whole recipe as a list of stages, from folders to a weights file.

A TOML config names the data and the stages in order; docs/design/training.md says why these. State
lives in one folder: a checkpoint for each stage, the pairs, ``train.log``. A run that was stopped
goes on where its last checkpoint was; finished stages are skipped.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from ..codec.nets.device_choice import chosen_device
from ..codec.weights import NAME, released
from ..encoding.model import load_model
from ..errors import InputError, UsageError
from ..system.text import printable
from .check import check
from .config import NETS, Config, Stage
from .config_file import load_config
from .device_crops import batches_on
from .evaluation import score
from .loop import Hooks, Run, RunOptions
from .materials import Materials
from .model import FrameModel
from .refit_codebooks import Material as Encodes
from .refit_codebooks import refit
from .release import calibrate, release
from .states import learned_ranges, load_state, set_state
from .transform_start import transform_start

INTERIM_BATCHES = 40  # of latents for the codebooks of nets that only make pairs


class Recipe:
    """Runs the stages of a config.

    Args:
        config: what to do.
        resume: go on from the checkpoints of an earlier run.
        restart: throw them away. Without both UsageError if there are some.
        saved: called with the path of each checkpoint that was written.
    """

    def __init__(
        self,
        config: Config,
        resume: bool = True,
        restart: bool = False,
        saved: Callable[[Path], object] | None = None,
    ) -> None:
        self.config, self._saved = config, saved
        config.folder.mkdir(parents=True, exist_ok=True)
        found = sorted(config.folder.glob("*.pt"))
        if found and not (resume or restart):  # hours of work: never thrown away unasked
            raise UsageError(
                f"{config.folder} holds the checkpoints of an earlier run",
                advice="go on with `resume`, or throw them away with `restart`",
            )
        if restart:
            for path in found:
                path.unlink()
        torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        self.device = torch.device(chosen_device(config.device))
        self.materials = Materials(config)
        self.models: dict[str, FrameModel] = {}
        self.quantised: set[str] = set()  # nets whose last training was quantisation-aware
        self.written: Path | None = None  # the weights file that was written last

    def log(self, text: str, shown: bool = True) -> None:
        """Put a line into ``train.log``, and show it unless it is one of very many."""
        line = f"{time.strftime('%H:%M:%S')} {text}"
        if shown:
            print(printable(line), file=sys.stderr, flush=True)
        logging.getLogger("vqcodec").info(text)  # for --log-file
        with (self.config.folder / "train.log").open("a") as file:
            file.write(line + "\n")

    def run(self) -> None:
        """All stages, then whether the weights file is better than the one of the program."""
        stages = self.config.stages
        for number, stage in enumerate(stages):
            left = sum(later.minutes for later in stages[number:] if later.timed) / 60
            aware = " quantisation-aware" if stage.quantise else ""
            self.log(
                f"stage {number} {stage.kind}{aware}: of {len(stages)} stages, "
                f"about {left:.1f} hours to go"
            )
            if stage.kind in NETS:
                self.train(number, stage)
            elif stage.kind == "clips":
                self._make_clips(stage)
            elif stage.kind == "pairs":
                self._make_pairs(number, stage)
            elif stage.kind == "shots":
                self._shots(stage)
            else:
                self.export(Path(stage.out), stage.batches, stage.encodes)
        if self.written is not None:
            self.log(self._verdict(self.written))

    # -- nets

    def model(self, kind: str) -> FrameModel:
        """The nets of a kind as they are now, on the CPU; new ones begin as the recipe says."""
        if kind not in self.models:
            model = FrameModel(self.config.shapes[kind])
            if kind in self.config.init:
                load_state(model, self.config.init[kind])
            elif kind == "key":
                set_state(model, self.model("inter").state_dict())
            else:
                transform_start(model, self.materials.of(kind).crops)
            if learned_ranges(model):
                self.quantised.add(kind)
            self.models[kind] = model
            self.materials.key_nets |= kind == "key"
        return self.models[kind]

    def train(self, number: int, stage: Stage) -> None:
        """Train nets from where they are, or from the stage's checkpoint."""
        material = self.materials.of(stage.kind, stage.recursion)
        if material.chains is not None:
            self.log(f"{len(material.chains.items)} chains of two frames")
        model = self.model(stage.kind).to(self.device)
        data = batches_on(self.device, material.crops, self.config.seed)
        path = self.config.folder / f"{number:02d}-{stage.kind}.pt"
        run = Run(model, data, self._run_options(stage), path, material.chains)
        if path.exists():
            run.resume()
            self.log(
                f"stage {number} {stage.kind}: resumed at {run.spent:.1f} of {stage.minutes} min"
            )
        elif stage.quantise and stage.kind not in self.quantised:
            calibrate(model, data)
            run.restart_average()
        model.quantise_aware("quant" if stage.quantise else "float")
        items = material.held_out
        evaluate = partial(score, items=items) if items else None
        run.train(Hooks(self.log, material.refresh, evaluate, self._saved))
        model.load_state_dict(run.average)
        model.quantise_aware("float")
        model.cpu()
        (self.quantised.add if stage.quantise else self.quantised.discard)(stage.kind)

    def _run_options(self, stage: Stage) -> RunOptions:
        return RunOptions(
            minutes=stage.minutes,
            rate=stage.lr,
            batch=stage.batch or self.config.batch,
            recursion=stage.recursion,
            objective=stage.objective,
            fused=self.config.fused,
        )

    # -- weights files

    def export(self, out: Path, batches: int, encodes: int = 0) -> None:
        """Write the weights file of the nets as they are."""
        # until their first stage key frames are coded by the inter nets
        kinds = [k for k in NETS if k != "key" or k in self.models or k in self.config.init]
        models = {kind: self.model(kind) for kind in kinds}
        crops = {kind: self.materials.of(kind).crops for kind in kinds}
        for kind, model in models.items():
            # ranges of nets that learned under them are part of what they learned
            if kind not in self.quantised:
                calibrate(model, crops[kind])
        out.parent.mkdir(parents=True, exist_ok=True)
        made = out.with_name(out.name + ".made")
        ident = release(models, crops, made, batches=batches, log=self._log_fit)
        clips = self.materials.train_clips
        if encodes and clips:
            pictures = [item.picture for item in crops["intra"].items]
            clips = clips + self.materials.made_clips()
            material = Encodes(clips, pictures, encodes, self.config.seed)
            try:
                ident = refit(made, material, self._log_fit)
            except InputError as exc:
                self.log(f"codebooks are left as they are: {exc}")
        made.replace(out)
        self.written = out
        self.log(f"wrote {out}: model {ident.hex()}, {out.stat().st_size} bytes")

    def _log_fit(self, text: str) -> None:
        self.log(text, shown=not text.startswith("class "))

    def _verdict(self, made: Path) -> str:
        from .verdict import verdict  # the packages of the bench

        clips = self.materials.held_clips
        return verdict(made, released(NAME), clips, self.config.threads, self.log)

    # -- data that is made

    def _make_clips(self, stage: Stage) -> None:
        from .synthetic import write_clips  # pillow and matplotlib

        if not self.materials.made_clips():
            folder = self.materials.clip_folder
            write_clips(folder, self.config.photos, stage.count, self.config.seed)

    def _shots(self, stage: Stage) -> None:
        from .shot_stage import ShotStage  # the encoder, pillow and matplotlib

        config = self.config
        folder = config.folder / "films"
        made = ShotStage(
            config.train_clips,
            config.photos,
            folder,
            stage.count,
            stage.minutes,
            config.seed,
            self.log,
            config.init.get("shots"),
        )
        made.run(Path(stage.out))
        self.log(f"wrote {stage.out}: {Path(stage.out).stat().st_size} bytes")

    def _make_pairs(self, number: int, stage: Stage) -> None:
        from .pairs import PairRun, make_pairs  # the encoder

        done = self.config.folder / f"{number:02d}-pairs.done"
        if done.exists():
            return
        file = self.config.folder / "interim.safetensors"
        self.export(file, min(stage.batches, INTERIM_BATCHES))
        codec = load_model(file, "cpu", self.config.threads)
        data = self.materials
        run = PairRun(data.pair_folder, stage.minutes, number)
        count = make_pairs(codec, data.train_clips + data.made_clips(), run, self.log)
        if data.held_clips:
            run = PairRun(data.held_folder, stage.minutes / 10, number)
            make_pairs(codec, data.held_clips, run, self.log)
        if count == 0:
            raise UsageError(
                f"stage {number} pairs: none were made in {stage.minutes:g} minutes: give it more"
            )
        done.touch()


def main(
    config_path: str,
    resume: bool = True,
    restart: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
) -> None:
    """Run a recipe after a look at all that it needs; with ``dry_run`` only tell what that found.

    Outputs that exist are refused without ``overwrite``. ``resume``: go on from the checkpoints of
    an earlier run; ``restart``: throw them away; neither: UsageError if there are some.
    """
    config = load_config(config_path)
    plan = check(config, overwrite)
    if dry_run:
        print("\n".join(printable(line) for line in plan))
        return
    Recipe(config, resume, restart).run()
