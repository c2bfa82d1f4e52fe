#!/usr/bin/env python3
"""How right shots are, on made films: `python tools/shots.py examples/shots.toml [--films 30]
[--size 128x72] [--long] [--peers PEERS/bin/python]`.

Films are made of recordings and photographs that the stage `shots` trains nothing on, and encoded
at crf 22, 34, 46 and presets fast and fastest. The net that comes with the program judges them from
the file on. Other detectors (tools/shot_peers.py) see the same films before they were encoded.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from vqcodec.analysis.model import CAMERAS
from vqcodec.container.reader import ContainerReader
from vqcodec.reading.file_analysis import Analysis, analyse_file
from vqcodec.training.config_file import load_config
from vqcodec.training.film_edits import KINDS
from vqcodec.training.film_material import (
    HELD,
    TRANSITIONS,
    Settings,
    Stories,
    draw_film,
    encode_film,
    film_path,
)
from vqcodec.training.film_scenes import LURES as SCENES
from vqcodec.training.shot_score import TOLERANCE, Guess, Score, guesses
from vqcodec.training.shot_stage import GRADUAL, Known, read_films

HEAD = "| films | changes | cuts F1 | gradual F1 | " + " | ".join(f"{k} found" for k in KINDS)
_FIRST = 2 * HELD  # story: those from HELD on are seen while a net is trained
_LONG = 8  # frames of a shot whose camera is judged
# what false ones are taken in by
LURES = (
    *("flash", "black", "lamp", "title", "twos", "freeze"),
    *("pan", "zoom", "shaky", "scroll", "speed", *SCENES, "change", "nothing"),
)


def row(name: str, score: Score, cost: float | None = None) -> str:
    """A line of the table: F1, and how many of each kind are found, and false ones."""
    found = [f"{score.found[k]}/{score.there[k]}" for k in KINDS]
    cells = [
        name,
        str(sum(score.there.values())),
        f"{score.f1('cut'):.3f}",
        f"{score.f1(*GRADUAL):.3f}",
        *found,
        str(sum(score.false.values())),
        "" if cost is None else f"{cost:.2f}",
    ]
    return "| " + " | ".join(cells) + " |"


def make(
    folder: Path, stories: Stories, count: int, only: tuple[int, int] | None, long: bool
) -> None:
    """What is missing of the films, with a lossless copy of each beside it.

    only: a size that all of them have, for three in turns; long: their shots are long.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(count):
        story = _FIRST + n
        out = film_path(folder, story)
        if out.exists():
            continue
        size = only or ((192, 108), (320, 180), (128, 64))[n // 6 % 3]
        crf, preset = (22, 34, 46)[n % 3], ("fast", "fastest")[n // 3 % 2]
        settings = Settings(*size, crf, preset, (128, 128, 128, 48)[n % 4])
        lossless = out.with_suffix(".mkv")
        if not lossless.exists():
            editor = stories.editor(story, *size, long=long)
            draw_film(editor, TRANSITIONS, story, lossless)
        encode_film(lossless, settings, out)
        print(f"{out.name}: {settings}", flush=True)


class Lured(Counter[str]):
    """False ones by what they were taken in by."""

    def of(self, film: Known, wrong: Iterable[Guess]) -> None:
        """Count those of one film: by what its frames show within the tolerance, else "change" at
        one that was found already, or "nothing".
        """
        for guess in wrong:
            near = slice(max(0, guess.start - TOLERANCE), guess.end + TOLERANCE + 1)
            shown = [lure for lure in film.lures[near] if lure]
            at_change = (film.labelled.labels[near] > 0).any()
            self[shown[0] if shown else "change" if at_change else "nothing"] += 1

    def row(self, name: str) -> str:
        """A line of their table."""
        return f"| {name} | " + " | ".join(str(self[lure]) for lure in LURES) + " |"


class Surprises:
    """Whether the frames that a net expects least are those where something happens."""

    def __init__(self) -> None:
        self._hits, self._taken, self._chance = 0, 0, 0.0
        self._ranks: dict[str, list[float]] = defaultdict(list)

    def add(self, film: Known, surprise: np.ndarray) -> None:
        """Of one film: as many peaks as things happen, and how the begin of each ranks among
        stretches of the same length in which nothing does.
        """
        happens = [(t.kind, t.start, t.end) for t in film.transitions] + list(_events(film))
        frames = len(surprise)
        near = np.zeros(frames, bool)
        for _, start, end in happens:
            near[max(0, start - TOLERANCE) : end + TOLERANCE + 1] = True
        left = surprise.copy()
        for _ in happens:
            peak = int(left.argmax())
            left[max(0, peak - TOLERANCE) : peak + TOLERANCE + 1] = -np.inf
            self._hits += int(near[peak])
        self._taken += len(happens)
        self._chance += len(happens) * float(near.mean())
        padded = np.pad(surprise, TOLERANCE, constant_values=-np.inf)
        wide = np.lib.stride_tricks.sliding_window_view(padded, 2 * TOLERANCE + 1).max(1)
        for kind, start, _ in happens:
            self._ranks[kind].append(float((wide[~near] < wide[min(start, frames - 1)]).mean()))

    def __str__(self) -> str:
        ranks = ", ".join(
            f"{kind} {np.median(ranks):.2f} ({len(ranks)})" for kind, ranks in self._ranks.items()
        )
        return (
            f"surprise: of the {self._taken} least expected frames {self._hits} lie where something"
            f" happens, by chance {self._chance:.0f}; above so many of the frames in which nothing"
            f" does, medians: {ranks}"
        )


def _events(film: Known) -> Iterator[tuple[str, int, int]]:
    """What happens within shots: its kind, its first frame and that behind its last."""
    at = 0
    for lure, group in groupby(film.lures):
        end = at + sum(1 for _ in group)
        if lure in ("flash", "black", "lamp", "title"):
            yield lure, at, at + TOLERANCE if lure == "title" else end
        at = end


class Trial:
    """What a net says of films that it has not seen."""

    def __init__(self, known: list[Known], folder: Path) -> None:
        self.scores: dict[str, Score] = defaultdict(Score)
        self.cameras = np.zeros((len(CAMERAS), len(CAMERAS)), int)
        self.activity: list[np.ndarray] = []
        self.lured, self.surprises = Lured(), Surprises()
        paths = [film_path(folder, k.labelled.story) for k in known]
        _analysed(paths[0]).shots()  # compiles
        begin = time.process_time()
        analysed = []
        for path in paths:
            found = _analysed(path)
            analysed.append((found, found.shots()))
        frames = sum(len(k.labelled.rows) for k in known)
        self.cost = 1000 * (time.process_time() - begin) / frames
        for film, (found, shots) in zip(known, analysed, strict=True):
            self._judge(film, found, guesses(shots))
            self._judge_cameras(film, found)
            self.surprises.add(film, found.reading.surprise)

    def _judge(self, film: Known, analysis: Analysis, found: list[Guess]) -> None:
        s = film.settings
        for name in ("all films", f"crf {s.crf}", f"preset {s.preset}", f"{s.width}x{s.height}"):
            wrong = self.scores[name].add(film.transitions, found)
        self.lured.of(film, wrong)
        there = ~np.isnan(film.labelled.change)
        told = analysis.reading.activity
        self.activity.append(np.stack([film.labelled.change[there], told[there]]))

    def _judge_cameras(self, film: Known, analysis: Analysis) -> None:
        """What is said of each shot of one camera."""
        shots, cameras = film.labelled.shots, film.labelled.cameras
        for shot in np.unique(shots).tolist():
            own = (shots == shot) & (cameras >= 0)
            if own.sum() >= _LONG:
                truth = int(np.bincount(cameras[own]).argmax())
                first, *_, last = np.flatnonzero(own).tolist()
                self.cameras[truth, CAMERAS.index(analysis.camera(first, last + 1))] += 1


def _analysed(path: Path) -> Analysis:
    with path.open("rb") as file:
        return analyse_file(ContainerReader.open(file))


def others(python: str, videos: Iterable[str]) -> Iterator[tuple[str, str, list[Guess], float]]:
    """What other detectors find: a video, a detector, changes, milliseconds a frame."""
    script = Path(__file__).with_name("shot_peers.py")
    run = subprocess.run([python, str(script), *videos], stdout=subprocess.PIPE, check=True)
    for line in run.stdout.decode().splitlines():
        told = json.loads(line)
        for name, (found, cost) in told["found"].items():
            yield told["video"], name, [Guess(*ends) for ends in found], cost


def peers(known: list[Known], folder: Path, python: str) -> Iterable[tuple[str, str]]:
    """Lines of other detectors for both tables, on the films before they were encoded."""
    scores: dict[str, Score] = defaultdict(Score)
    lured: dict[str, Lured] = defaultdict(Lured)
    costs: dict[str, list[float]] = defaultdict(list)
    paths = {str(film_path(folder, k.labelled.story).with_suffix(".mkv")): k for k in known}
    for video, name, found, cost in others(python, paths):
        film = paths[video]
        lured[name].of(film, scores[name].add(film.transitions, found))
        costs[name].append(cost)
    return [
        (row(name, score, float(np.mean(costs[name]))), lured[name].row(name))
        for name, score in scores.items()
    ]


def main() -> None:
    """Make films, judge, print the tables."""
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("recipe", type=Path)
    ap.add_argument("--films", type=int, default=30, help=f"of {TRANSITIONS} changes each")
    ap.add_argument("--long", action="store_true", help="films of long shots, as people edit them")
    ap.add_argument("--size", help="of all films, as 128x72; three sizes if not given")
    ap.add_argument("--peers", help="a Python with the packages of other detectors")
    a = ap.parse_args()
    config = load_config(a.recipe)
    name = "judged-long" if a.long else "judged"
    folder = config.folder / (f"{name}-{a.size}" if a.size else name)
    width, height = map(int, a.size.split("x")) if a.size else (0, 0)
    stories = Stories(config.train_clips, config.photos, config.seed)
    make(folder, stories, a.films, (width, height) if a.size else None, a.long)
    known = read_films(folder)[: a.films]
    trial = Trial(known, folder)
    print(HEAD + " | false | ms a frame |\n" + "|---" * (len(KINDS) + 6) + "|")
    for name, score in trial.scores.items():
        print(row(f"vqcodec, {name}", score, trial.cost if name == "all films" else None))
    others = list(peers(known, folder, a.peers)) if a.peers else []
    print(*(line for line, _ in others), sep="\n")
    print("\n| false at | " + " | ".join(LURES) + " |\n" + "|---" * (len(LURES) + 1) + "|")
    print(trial.lured.row("vqcodec"), *(line for _, line in others), sep="\n")
    for kind in KINDS:
        print(f"called {kind}: F1 {trial.scores['all films'].f1_named(kind):.3f}")
    right = trial.cameras.trace()
    print(f"cameras, true by told, {', '.join(CAMERAS)}: {right} of {trial.cameras.sum()} right")
    print(trial.cameras)
    both = np.log2(1 + np.concatenate(trial.activity, 1))
    print(f"activity: correlation of logarithms {np.corrcoef(both)[0, 1]:.3f}")
    print(trial.surprises)


if __name__ == "__main__":
    main()
