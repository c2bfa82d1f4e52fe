"""The stage ``shots`` of a recipe: films are made and encoded, and the net that reads how they are
coded is trained on them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from ..analysis.features import FeatureRows, FrameFacts
from ..analysis.model import ShotModel
from ..analysis.shot import THRESHOLD
from ..analysis.shots import find_shots
from ..container.reader import ContainerReader
from ..reading.file_heads import FileHeads
from .film_edits import Transition
from .film_material import HELD, Settings, films, make_films
from .shot_net import Labelled, ShotNet, exported, imported, train_shots
from .shot_score import Score, guesses

GRADUAL = ("dissolve", "fade", "wipe")


class Known(NamedTuple):
    """A coded film, and what is true of it."""

    labelled: Labelled
    transitions: list[Transition]
    settings: Settings
    lures: list[str]  # of each frame: what is easily taken for a change, or ""


@dataclass(frozen=True)
class ShotStage:
    """What the stage is run with."""

    clips: list[Path]
    photos: list[Path]
    folder: Path  # where films are kept
    count: int  # of films
    minutes: float  # of training
    seed: int
    log: Callable[[str], object]
    start: Path | None = None  # weights to go on from

    def run(self, out: Path) -> None:
        """Make what is missing of the films, train, try the net on those of which it has seen
        nothing, write the weights file.
        """
        make_films(self.folder, self.clips, self.photos, self.count, self.seed, self.log)
        known = read_films(self.folder)
        self.log(f"{len(known)} films, {sum(len(k.labelled.rows) for k in known)} frames")
        seen = [k.labelled for k in known if k.labelled.story < HELD]
        torch.manual_seed(self.seed)
        net = ShotNet()
        if self.start is not None:
            net.load_state_dict(imported(load_file(self.start)))
        weights = exported(train_shots(net, seen, self.minutes, self.seed, self.log))
        others = [k for k in known if k.labelled.story >= HELD]
        halves = {name: a.astype(np.float16) for name, a in weights.items()}
        if others:
            model = ShotModel(halves)
            self.log(f"on {len(others)} films of which it has seen nothing: {told(model, others)}")
        out.parent.mkdir(parents=True, exist_ok=True)
        part = out.with_name(out.name + ".part")
        save_file(halves, part)
        part.replace(out)


def coded_rows(path: Path) -> np.ndarray:
    """The rows of numbers of a coded file's frames."""
    with path.open("rb") as file:
        reader = ContainerReader.open(file)
        header, heads = reader.header, FileHeads(reader)
        longest = max(gop.count for gop in reader.gops)
        rows = FeatureRows(header.width, header.height, longest, reader.frames)
        for number in range(len(reader.gops)):
            rows.add([FrameFacts.of(head) for head, _ in heads.gop(number)])
    return rows.rows()


def read_films(folder: Path) -> list[Known]:
    """All films of a folder."""
    return [
        Known(
            Labelled(
                coded_rows(path),
                truth["labels"].astype(np.int64),
                truth["cameras"].astype(np.int64),
                truth["change"],
                truth["shots"],
                int(truth["story"]),
            ),
            [Transition(**t) for t in json.loads(str(truth["transitions"]))],
            Settings(**json.loads(str(truth["settings"]))),
            truth["lures"].tolist(),
        )
        for path, truth in films(folder)
    ]


def scored(model: ShotModel, known: Sequence[Known], threshold: float = THRESHOLD) -> Score:
    """How right a model is about some films."""
    score = Score()
    for film in known:
        score.add(film.transitions, guesses(find_shots(model(film.labelled.rows), threshold)))
    return score


def told(model: ShotModel, known: Sequence[Known]) -> str:
    """The score in words."""
    score = scored(model, known)
    false = sum(score.false.values())
    return (
        f"F1 of cuts {score.f1('cut'):.3f}, of gradual changes {score.f1(*GRADUAL):.3f}; "
        f"{sum(score.found.values())} of {sum(score.there.values())} found, {false} false"
    )
