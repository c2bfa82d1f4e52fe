"""``vqcodec train CONFIG``: the whole recipe as a list of stages, each resumable, from corpus folders to a weights file.

A TOML config names the data and the stages in order; docs/design.md says why these. State lives in one folder: a checkpoint for
each stage, the pairs, ``train.log``. A run that was stopped goes on where its last checkpoint was; finished stages are skipped.
"""

from __future__ import annotations

import logging
import sys
import time
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..codec.nets.shape import GROUP, INTER, INTRA, STEPS, NetShape
from ..errors import InputError, UsageError, located
from ..system.text import printable
from .data import Crops, pack, read_clip, read_photo
from .loop import Run, RunOptions, held_out
from .model import FrameModel
from .refit_codebooks import refit
from .release import calibrate, release
from .transform_start import transform_start

KINDS = ("intra", "inter", "pairs", "clips", "export")
PHOTO_TYPES = (".webp", ".png", ".jpg", ".jpeg", ".bmp")
CLIP_TYPES = (".mkv", ".mp4", ".mov", ".webm", ".y4m", ".avi")


@dataclass
class Stage:
    """One step of the recipe. intra, inter: train those nets (``quantise``: under the integers' arithmetic);
    clips: make synthetic clips; pairs: encode clips for the inter nets; export: write the weights file."""

    kind: str
    minutes: float = 10.0
    lr: float = 1e-3
    batch: int = 8
    quantise: bool = False
    recursion: bool = (
        False  # inter: through two frames, one predicted from the other, in every other step
    )
    count: int = 40  # of clips
    out: str = ""  # of export
    batches: int = 150  # of latents for the codebooks
    encodes: int = 80  # stretches of training clips that the codebooks of an export are fitted to again; 0: none

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"stage kind {self.kind!r}: use one of {', '.join(KINDS)}")
        if (
            self.minutes <= 0
            or self.batch < 1
            or self.count < 1
            or self.batches < 1
            or self.encodes < 0
        ):
            raise UsageError(
                f"stage {self.kind}: minutes, batch, count and batches must be above zero, encodes not below"
            )
        if not isinstance(self.quantise, bool) or not isinstance(self.recursion, bool):
            raise UsageError(f"stage {self.kind}: quantise and recursion are true or false")
        if self.kind == "export" and not self.out:
            raise UsageError("stage export: name the weights file with out = ...")

    @property
    def timed(self) -> bool:
        """Whether it takes the minutes that it says."""
        return self.kind in ("intra", "inter", "pairs")


@dataclass
class Config:
    """What the TOML file holds: [data], [run], [[stage]] and, for nets of other sizes, [shape.intra] and [shape.inter]."""

    clips: list[Path]
    photos: list[Path]
    folder: Path
    stages: list[Stage]
    held_out: set[str] | None = None  # names without suffix; None: one in ten
    pages: int = 140  # made pages of text among the pictures
    crop: int = 192
    threads: int = 1
    seed: int = 0
    shapes: dict[str, NetShape] = field(default_factory=lambda: {"intra": INTRA, "inter": INTER})
    init: dict[str, Path] = field(default_factory=dict)  # float models to go on from, by frame type

    def __post_init__(self) -> None:
        for name, low in (("crop", 64), ("threads", 1), ("seed", 0), ("pages", 0)):
            v = getattr(self, name)
            if not isinstance(v, int) or v < low:
                raise UsageError(f"{name} = {v!r}: use a whole number of at least {low}")
        if self.crop % 64:
            raise UsageError(f"crop = {self.crop}: use a multiple of 64")
        for kind, s in self.shapes.items():
            if s.steps not in STEPS:
                raise UsageError(f"shape.{kind}: steps = {s.steps!r}: use 2 or 4")
            for name, v in s.to_dict().items():
                if name in ("inter", "steps"):
                    continue
                step = 1 if name.endswith("_blocks") else GROUP * s.steps if name == "latent" else 8
                if not isinstance(v, int) or v < step or v % step:
                    raise UsageError(f"shape.{kind}: {name} = {v!r}: use a multiple of {step}")
        for kind, path in self.init.items():
            if kind not in self.shapes:
                raise UsageError(f"run.init: {kind!r}: use intra or inter")
            if not path.is_file():
                raise InputError("no such file", file=path)

    @property
    def held_clips(self) -> list[Path]:
        """Clips that are measured and never trained on; one in ten of two or more, unless named."""
        if self.held_out is None:
            return self.clips[1::10]
        return [f for f in self.clips if f.stem in self.held_out]

    @property
    def train_clips(self) -> list[Path]:
        """All others."""
        held = set(self.held_clips)
        return [f for f in self.clips if f not in held]

    @classmethod
    def load(cls, path: str | Path) -> Config:
        """Raises InputError for a missing or malformed file or folder, UsageError for an unknown key or value."""
        p = Path(path)
        with located(file=p):
            try:
                d = tomllib.loads(p.read_text())
            except FileNotFoundError as exc:
                raise InputError("no such file") from exc
            except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
                raise InputError(exc) from exc
            try:
                data, run = d.pop("data", {}), d.pop("run", {})
                shapes = d.pop("shape", {})
                stages = [_stage(n, s) for n, s in enumerate(d.pop("stage", []))]
                _known("[data]", data, ("clips", "photos", "held_out", "pages", "crop"))
                _known("[run]", run, ("folder", "threads", "seed", "init"))
                if d:
                    raise UsageError(
                        f"unknown table {next(iter(d))!r}; there are data, run, stage and shape"
                    )
                if not stages:
                    raise UsageError("no [[stage]]")
                base = p.resolve().parent
                both = {"intra": INTRA, "inter": INTER}
                for kind in shapes:
                    if kind not in both:
                        raise UsageError(f"unknown shape {kind!r}; there are intra and inter")
                return cls(
                    clips=_files(base, data.pop("clips", []), CLIP_TYPES),
                    photos=_files(base, data.pop("photos", []), PHOTO_TYPES),
                    held_out=None if (held := data.pop("held_out", None)) is None else set(held),
                    folder=base / run.pop("folder", "runs/default"),
                    stages=stages,
                    init=_init(base, run.pop("init", {})),
                    shapes={k: replace(s, **shapes.get(k, {})) for k, s in both.items()},
                    **data,
                    **run,
                )
            except (AttributeError, TypeError) as exc:  # values of another type
                raise UsageError(exc) from exc


def _known(where: str, given: dict[str, Any], names: Sequence[str]) -> None:
    """UsageError for a key that is none, with the one that was probably meant."""
    for key in given:
        if key not in names:
            near = get_close_matches(key, names, 1)
            meant = f", did you mean {near[0]!r}?" if near else ", allowed are " + ", ".join(names)
            raise UsageError(f"{where}: unknown key {key!r}{meant}")


def _stage(n: int, given: dict[str, Any]) -> Stage:
    where = f"stage {n} ({given.get('kind', 'without a kind')})"
    _known(where, given, [f.name for f in fields(Stage)])
    if "kind" not in given:
        raise UsageError(f"stage {n}: kind is missing, allowed are {', '.join(KINDS)}")
    try:
        return Stage(**given)
    except UsageError as exc:
        raise UsageError(f"stage {n}: {exc}") from exc


def _init(base: Path, given: dict[str, str] | str) -> dict[str, Path]:
    """Float models to go on from; ``released`` are those of the released model."""
    from ..codec.weights import released

    if isinstance(given, str):
        if given != "released":
            raise UsageError(
                f"[run]: init = {given!r}: use 'released', or name files by init.intra and init.inter"
            )
        return {kind: released(f"training/{kind}.safetensors") for kind in ("intra", "inter")}
    return {kind: base / name for kind, name in given.items()}


def _files(base: Path, folders: list[str] | str, types: tuple[str, ...]) -> list[Path]:
    out: list[Path] = []
    for f in [folders] if isinstance(folders, str) else folders:
        d = base / f
        if not d.exists():
            raise InputError("no such folder", file=d)
        out += sorted(p for p in (d.iterdir() if d.is_dir() else [d]) if p.suffix.lower() in types)
    return out


class Recipe:
    """Runs the stages of a config."""

    def __init__(self, c: Config, resume: bool = True, restart: bool = False):
        self.c = c
        c.folder.mkdir(parents=True, exist_ok=True)
        found = sorted(c.folder.glob("*.pt"))
        if found and not (resume or restart):  # hours of work: never thrown away unasked
            raise UsageError(
                f"{c.folder} holds the checkpoints of an earlier run",
                advice="go on with `resume`, or throw them away with `restart`",
            )
        if restart:
            for f in found:
                f.unlink()
        torch.set_num_threads(c.threads)
        torch.manual_seed(c.seed)
        self.models: dict[str, FrameModel] = {}
        self.quantised: set[str] = set()  # nets whose last training was quantisation-aware
        self.train_clips, self.held_clips = c.train_clips, c.held_clips
        self.written: Path | None = None  # the weights file that was written last

    def log(self, text: str, shown: bool = True) -> None:
        """Put a line into ``train.log``, and show it unless it is one of very many."""
        line = f"{time.strftime('%H:%M:%S')} {text}"
        if shown:
            print(printable(line), file=sys.stderr, flush=True)
        logging.getLogger("vqcodec").info(text)  # for --log-file
        with open(self.c.folder / "train.log", "a") as f:
            f.write(line + "\n")

    # -- data

    def pictures(self) -> tuple[Crops, list[Any]]:
        """Crops for the intra nets, and held-out items."""
        c = self.c
        data = Crops(c.crop, c.seed)
        held = c.photos[::40] if len(c.photos) >= 40 else []
        for f in c.photos:
            if f not in held:
                data.add(read_photo(f))
        for f in self.train_clips:
            for p in read_clip(f, 30):
                data.add(p)
        if c.pages:
            from .synthetic import page, to_planes

            rng = np.random.default_rng(c.seed + 1)
            for _ in range(c.pages):
                data.add(to_planes(page(rng, 480, 384)))
        if not data.items:
            raise InputError(f"no training picture is at least {c.crop} samples wide and high")
        pics = [read_photo(f) for f in held] or [
            p for f in self.held_clips for p in read_clip(f, 60)
        ]
        return data, [(_whole(p), None) for p in pics[:12]]

    def pairs(self, chains: bool = False) -> tuple[Crops, list[Any], Callable[[], object] | None]:
        """Crops for the inter nets (and ``chains``), held-out items, and what looks for new pairs while training."""
        c = self.c
        data, folder = Crops(c.crop, c.seed), c.folder / "pairs"
        refresh = lambda: data.add_pairs(folder) + (data.add_chains(folder) if chains else 0)
        if refresh() == 0:
            # no codec has made pairs yet: the previous frame stands in for the prediction
            for f in self.train_clips:
                frames = read_clip(f, 1, 16)
                for a, b in zip(
                    frames[::4], frames[1::4], strict=False
                ):  # an odd one at the end has no partner
                    data.add(b, a)
        if not data.items:
            raise InputError(f"no training clip is at least {c.crop} samples wide and high")
        test = Crops(64, c.seed)
        test.add_pairs(c.folder / "pairs-held")
        step = max(1, len(test.items) // 12)
        items = [
            (_whole(pic), _whole(pred)) for pic, pred, _ in test.items[::step] if pred is not None
        ]
        return data, items[:12], refresh

    # -- stages

    def model(self, kind: str) -> FrameModel:
        if kind not in self.models:
            m = FrameModel(self.c.shapes[kind])
            if kind in self.c.init:
                self.load(m, self.c.init[kind])
            else:
                transform_start(m, self.pictures()[0] if kind == "intra" else self.pairs()[0])
            self.models[kind] = m
        return self.models[kind]

    @staticmethod
    def load(m: FrameModel, path: Path) -> None:
        """Weights of a float model as ``weights/training`` holds them. Raises InputError for another file or other sizes."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            m.load_state_dict({k: v.float() for k, v in load_file(path).items()})
        except (SafetensorError, RuntimeError) as exc:
            raise InputError(f"no float model of these sizes: {exc}", file=path) from exc

    def train(self, n: int, s: Stage) -> None:
        path = self.c.folder / f"{n:02d}-{s.kind}.pt"
        refresh: Callable[[], object] | None = None
        if s.kind == "intra":
            data, items = self.pictures()
        else:
            data, items, refresh = self.pairs(s.recursion)
            if s.recursion:
                self.log(f"{len(data.chains)} chains of two frames")
        m = self.model(s.kind)
        run = Run(m, data, RunOptions(s.minutes, s.lr, s.batch, recursion=s.recursion), path)
        if path.exists():
            run.resume()
            self.log(f"stage {n} {s.kind}: resumed at {run.spent:.1f} of {s.minutes} min")
        elif s.quantise:
            calibrate(m, data)
            run.ema = {k: v.clone() for k, v in m.state_dict().items()}
        m.quantise_aware("quant" if s.quantise else "float")
        run.train(refresh, held_out(items) if items else None, self.log)
        m.load_state_dict(run.ema)
        m.quantise_aware("float")
        (self.quantised.add if s.quantise else self.quantised.discard)(s.kind)

    def export(self, out: Path, batches: int, encodes: int = 0) -> None:
        data = {"intra": self.pictures()[0], "inter": self.pairs()[0]}
        models = {k: self.model(k) for k in data}
        for k, m in models.items():
            if (
                k not in self.quantised
            ):  # ranges of nets that learned under them are part of what they learned
                calibrate(m, data[k])
        out.parent.mkdir(parents=True, exist_ok=True)
        made = out.with_name(out.name + ".made")
        quiet = lambda text: self.log(text, shown=not text.startswith("class "))
        ident = release(models, data, made, batches=batches, log=quiet)
        if encodes and self.train_clips:
            pictures = [pic for pic, _, _ in data["intra"].items]
            try:
                ident = refit(
                    made,
                    self.train_clips + self.made_clips(),
                    pictures,
                    encodes,
                    self.c.seed,
                    log=quiet,
                )
            except InputError as exc:
                self.log(f"codebooks are left as they are: {exc}")
        made.replace(out)
        self.written = out
        self.log(f"wrote {out}: model {ident.hex()}, {out.stat().st_size} bytes")

    def made_clips(self) -> list[Path]:
        """What a ``clips`` stage has made."""
        return sorted((self.c.folder / "clips").glob("*.mkv"))

    def make_pairs(self, n: int, s: Stage) -> None:
        from ..codec.weights import load_codec
        from .pairs import make_pairs

        done = self.c.folder / f"{n:02d}-pairs.done"
        if done.exists():
            return
        file = self.c.folder / "interim.safetensors"
        self.export(file, min(s.batches, 40))
        codec = load_codec(file, "cpu", self.c.threads)
        count = make_pairs(
            codec,
            self.train_clips + self.made_clips(),
            self.c.folder / "pairs",
            s.minutes,
            n,
            log=self.log,
        )
        if self.held_clips:
            make_pairs(
                codec,
                self.held_clips,
                self.c.folder / "pairs-held",
                s.minutes / 10,
                n,
                log=self.log,
            )
        if count == 0:
            raise UsageError(
                f"stage {n} pairs: none were made in {s.minutes:g} minutes: give it more"
            )
        done.touch()

    def run(self) -> None:
        stages = self.c.stages
        for n, s in enumerate(stages):
            left = sum(t.minutes for t in stages[n:] if t.timed) / 60
            aware = " quantisation-aware" if s.quantise else ""
            self.log(
                f"stage {n} {s.kind}{aware}: of {len(stages)} stages, about {left:.1f} hours to go"
            )
            if s.kind in ("intra", "inter"):
                self.train(n, s)
            elif s.kind == "clips":
                from .synthetic import write_clips

                if not any((self.c.folder / "clips").glob("*.mkv")):
                    write_clips(self.c.folder / "clips", self.c.photos, s.count, self.c.seed)
            elif s.kind == "pairs":
                self.make_pairs(n, s)
            else:
                self.export(Path(s.out), s.batches, s.encodes)
        if self.written is not None:
            self.log(self._verdict(self.written))

    def _verdict(self, made: Path) -> str:
        from ..codec.weights import NAME, released
        from .verdict import verdict

        return verdict(made, released(NAME), self.held_clips, self.c.threads, self.log)


def _whole(p: Any, limit: int = 320) -> torch.Tensor:
    """A picture cut to a multiple of 64, packed."""
    k = 255.0 if p[0].dtype == np.uint8 else 1020.0
    h, w = (max(64, min(limit, v // 64 * 64)) for v in p[0].shape)
    f = lambda a: torch.from_numpy(np.ascontiguousarray(a, np.float32))[None] / k - 0.5
    return pack(f(p[0][:h, :w]), f(p[1][:, : h // 2, : w // 2]))


def main(
    config_path: str,
    resume: bool = True,
    restart: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
) -> None:
    """Run a recipe after a look at all that it needs; with ``dry_run`` only tell what that found.

    Outputs that exist are refused without ``overwrite``. ``resume``: go on from the checkpoints of an earlier run;
    ``restart``: throw them away; neither: UsageError if there are some."""
    from .check import check

    c = Config.load(config_path)
    plan = check(c, overwrite)
    if dry_run:
        print("\n".join(printable(line) for line in plan))
        return
    Recipe(c, resume, restart).run()
