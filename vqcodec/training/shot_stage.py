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
from safetensors.numpy import save_file

from ..analysis.features import FeatureRows, FrameFacts
from ..analysis.model import ShotModel
from ..analysis.shots import find_shots
from ..container.reader import ContainerReader
from ..reading.file_heads import FileHeads
from .film_edits import Transition
from .film_material import Settings, films, fold_of, make_films
from .shot_net import Labelled, exported, train_shots
from .shot_score import Score, guesses

GRADUAL = ("dissolve", "fade", "wipe")


class Known(NamedTuple):
    """A coded film, and what is true of it."""

    labelled: Labelled
    transitions: list[Transition]
    settings: Settings


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

    def run(self, out: Path) -> None:
        """Make what is missing of the films, train, write the weights file.

        A net that has not seen the films of one fold is trained first, and tried on those.
        """
        make_films(self.folder, self.clips, self.photos, self.count, self.seed, self.log)
        known = read_films(self.folder)
        self.log(f"{len(known)} films, {sum(len(k.labelled.rows) for k in known)} frames")
        seen = [k for k in known if fold_of(k.labelled.story)]
        others = [k for k in known if not fold_of(k.labelled.story)]
        if seen and others:
            model = self.trained(seen)
            self.log(f"on {len(others)} films of which it has seen nothing: {told(model, others)}")
        out.parent.mkdir(parents=True, exist_ok=True)
        part = out.with_name(out.name + ".part")
        halves = {name: a.astype(np.float16) for name, a in self._weights(known).items()}
        save_file(halves, part)
        part.replace(out)

    def trained(self, known: Sequence[Known]) -> ShotModel:
        """A net trained on these films."""
        return ShotModel(self._weights(known))

    def _weights(self, known: Sequence[Known]) -> dict[str, np.ndarray]:
        films = [k.labelled for k in known]
        return exported(train_shots(films, self.minutes, self.seed, self.log))


def coded_rows(path: Path) -> np.ndarray:
    """The rows of numbers of a coded file's frames."""
    with path.open("rb") as file:
        reader = ContainerReader.open(file)
        header, heads = reader.header, FileHeads(reader)
        rows = FeatureRows(header.width, header.height, max(gop.count for gop in reader.gops))
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
        )
        for path, truth in films(folder)
    ]


def scored(model: ShotModel, known: Sequence[Known], threshold: float = 0.5) -> Score:
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
