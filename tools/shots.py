#!/usr/bin/env python3
"""How right shots are, on made films: `python tools/shots.py examples/shots.toml [--minutes 4]
[--peers PEERS/bin/python]`.

Four nets are trained, each without the films of one fold, whose clips and photographs the others
don't have, and tried on that fold: all films are judged by a net that has seen nothing of them.
Other detectors (tools/shot_peers.py) see the same films before they were encoded.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from vqcodec.analysis.model import CAMERAS, ShotModel
from vqcodec.analysis.shots import find_shots
from vqcodec.container.packets import StreamHeader
from vqcodec.media.sink import OutputChoice, open_sink
from vqcodec.training.config_file import load_config
from vqcodec.training.film_edits import KINDS
from vqcodec.training.film_material import FOLDS, TRANSITIONS, Stories, fold_of
from vqcodec.training.shot_score import Guess, Score, guesses
from vqcodec.training.shot_stage import GRADUAL, Known, ShotStage, read_films
from vqcodec.training.synthetic import RATE, to_picture

HEAD = "| films | changes | cuts F1 | gradual F1 | " + " | ".join(f"{k} found" for k in KINDS)


def row(name: str, score: Score, cost: str = "") -> str:
    """A line of the table: F1, and how many of each kind are found, and false ones."""
    found = [f"{score.found[k]}/{score.there[k]}" for k in KINDS]
    cells = [
        name,
        str(sum(score.there.values())),
        f"{score.f1('cut'):.3f}",
        f"{score.f1(*GRADUAL):.3f}",
        *found,
        str(sum(score.false.values())),
        cost,
    ]
    return "| " + " | ".join(cells) + " |"


class Trial:
    """What nets say of films that they have not seen."""

    def __init__(self, stage: ShotStage) -> None:
        self.known = read_films(stage.folder)
        self.scores: dict[str, Score] = defaultdict(Score)
        self.cameras = np.zeros((len(CAMERAS), len(CAMERAS)), int)
        self.activity: list[np.ndarray] = []
        for fold in range(FOLDS):
            seen = [k for k in self.known if fold_of(k.labelled.story) != fold]
            own = [k for k in self.known if fold_of(k.labelled.story) == fold]
            if seen and own:
                model = stage.trained(seen)
                for film in own:
                    self._judge(film, model)

    def _judge(self, film: Known, model: ShotModel) -> None:
        read = model(film.labelled.rows)
        found, s = guesses(find_shots(read)), film.settings
        for name in ("all films", f"crf {s.crf}", f"preset {s.preset}", f"{s.width}x{s.height}"):
            self.scores[name].add(film.transitions, found)
        for kind in KINDS:
            one = [t for t in film.transitions if t.kind == kind]
            named = [g for g in found if g.kind == kind]
            self.scores[f"named {kind}"].add(one, named)
        self._judge_cameras(film, read.camera)
        there = ~np.isnan(film.labelled.change)
        self.activity.append(np.stack([film.labelled.change[there], read.activity[there]]))

    def _judge_cameras(self, film: Known, told: np.ndarray) -> None:
        """Each shot of one camera, by what most of its frames say."""
        shots, cameras = film.labelled.shots, film.labelled.cameras
        for shot in np.unique(shots).tolist():
            own = (shots == shot) & (cameras >= 0)
            if own.sum() >= 8:
                truth = int(np.bincount(cameras[own]).argmax())
                self.cameras[truth, int(told[own].mean(0).argmax())] += 1


def peers(trial: Trial, stories: Stories, python: str) -> Iterable[str]:
    """Lines of other detectors, on the films before they were encoded."""
    scores: dict[str, Score] = defaultdict(Score)
    costs: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        films = {k.labelled.story: k for k in trial.known}
        paths = {str(draw(stories, story, k, Path(folder))): k for story, k in films.items()}
        script = Path(__file__).with_name("shot_peers.py")
        run = subprocess.run(
            [python, str(script), *paths], stdout=subprocess.PIPE, text=True, check=True
        )
        for line in run.stdout.splitlines():
            told = json.loads(line)
            for name, (found, cost) in told["found"].items():
                scores[name].add(paths[told["video"]].transitions, [Guess(*f) for f in found])
                costs[name].append(cost)
    return [row(name, score, f"{np.mean(costs[name]):.2f}") for name, score in scores.items()]


def draw(stories: Stories, story: int, known: Known, folder: Path) -> Path:
    """The film of a story as it was before it was encoded, without loss."""
    s = known.settings
    editor, _ = stories.begin(story)
    out = folder / f"story-{story:03d}.mkv"
    header = StreamHeader(s.width, s.height, Fraction(1, RATE), rate=Fraction(RATE))
    sink = open_sink(out, header, choice=OutputChoice(vcodec="ffv1"))
    for at, rgb in enumerate(editor.frames(TRANSITIONS)):
        if rgb.shape[1::-1] != (s.width, s.height):
            rgb = np.asarray(cv2.resize(rgb, (s.width, s.height), interpolation=cv2.INTER_AREA))
        sink.write(at, to_picture(rgb))
    sink.close()
    if not np.array_equal(editor.film.labels, known.labelled.labels):
        raise SystemExit(f"story {story} is drawn in another way than when it was encoded")
    return out


def main() -> None:
    """Train, judge, print the tables."""
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("recipe", type=Path)
    ap.add_argument("--minutes", type=float, help="of training, of each net")
    ap.add_argument("--peers", help="a Python with the packages of other detectors")
    a = ap.parse_args()
    config = load_config(a.recipe)
    one = next(s for s in config.stages if s.kind == "shots")
    stage = ShotStage(
        config.train_clips,
        config.photos,
        config.folder / "films",
        one.count,
        a.minutes or one.minutes,
        config.seed,
        print,
    )
    trial = Trial(stage)
    print(HEAD + " | false | ms a frame |\n" + "|---" * (len(KINDS) + 6) + "|")
    for name, score in trial.scores.items():
        if not name.startswith("named"):
            print(row(f"vqcodec, {name}", score))
    if a.peers:
        stories = Stories(config.train_clips, config.photos, config.seed)
        print(*peers(trial, stories, a.peers), sep="\n")
    for kind in KINDS:
        print(f"called {kind}: F1 {trial.scores[f'named {kind}'].f1(kind):.3f}")
    print(f"cameras, true by told, {', '.join(CAMERAS)}:\n{trial.cameras}")
    both = np.log2(1 + np.concatenate(trial.activity, 1))
    print(f"activity: correlation of logarithms {np.corrcoef(both)[0, 1]:.3f}")


if __name__ == "__main__":
    main()
