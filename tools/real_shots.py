#!/usr/bin/env python3
"""How right shots are in films that people edited: `python tools/real_shots.py
tools/real_shots.toml FOLDER [--crf 34] [--peers PEERS/bin/python]`.

The list says which films, where they come from, and which changes were marked in them by hand.
FOLDER has the films; what is made of them comes beside them: a lossless copy of 128x72, and its
encodes at crf 22, 34, 46 and presets fast and fastest in turns. Other detectors
(tools/shot_peers.py) see the lossless copy.
"""

from __future__ import annotations

import argparse
import sys
import time
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import av

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from shots import HEAD, others, row

from vqcodec.container.reader import ContainerReader
from vqcodec.picture import Picture
from vqcodec.reading.file_analysis import analyse_file
from vqcodec.training.film_edits import KINDS, Transition
from vqcodec.training.film_material import Settings, encode_film, lossless
from vqcodec.training.shot_score import Guess, Score, guesses

WIDTH, HEIGHT = 128, 72
WAYS = ((22, "fastest"), (34, "fast"), (46, "fastest"))


class RealFilm(NamedTuple):
    """A film and what a person saw in it."""

    path: Path
    frames: int  # that are looked at
    transitions: list[Transition]

    @classmethod
    def of(cls, told: dict[str, Any], folder: Path) -> RealFilm:
        """One of the list."""
        changes = [Transition("cut", at, at) for at in told["cut"]]
        for kind in KINDS[1:]:
            changes += [Transition(kind, *ends) for ends in told.get(kind, ())]
        changes.sort(key=lambda change: change.start)
        return cls(folder / told["file"], told["frames"], changes)

    @property
    def small(self) -> Path:
        """The lossless copy."""
        return self.path.with_suffix(".small.mkv")

    def make(self) -> None:
        """The lossless copy, if it is missing."""
        if self.small.exists():
            return
        part = self.small.with_suffix(".part.mkv")
        sink = lossless(part, WIDTH, HEIGHT)
        with av.open(str(self.path)) as container:
            frames = zip(range(self.frames), container.decode(video=0), strict=False)
            for number, frame in frames:
                sink.write(number, _picture(frame))
        sink.close()
        part.replace(self.small)

    def coded(self, crf: int, preset: str) -> Path:
        """An encode of it, made if it is missing."""
        out = self.path.with_suffix(f".{crf}.vqv")
        if not out.exists():
            encode_film(self.small, Settings(WIDTH, HEIGHT, crf, preset, 128), out)
        return out


def _picture(frame: av.VideoFrame) -> Picture:
    planes = frame.reformat(WIDTH, HEIGHT, "yuv420p", interpolation="AREA").to_ndarray()
    chroma = planes[HEIGHT:].reshape(2, HEIGHT // 2, WIDTH // 2)
    return Picture(planes[:HEIGHT].copy(), chroma[0].copy(), chroma[1].copy())


def told(path: Path) -> tuple[list[Guess], float, int]:
    """What the program finds in a file: changes, seconds of processor time, frames."""
    begin = time.process_time()
    with path.open("rb") as file:
        found = analyse_file(ContainerReader.open(file))
    shots = guesses(found.shots())
    return shots, time.process_time() - begin, len(found)


def peers(films: Iterable[RealFilm], python: str) -> Iterator[str]:
    """Lines of other detectors."""
    by_path = {str(film.small): film for film in films}
    scores: dict[str, Score] = defaultdict(Score)
    costs: dict[str, list[float]] = defaultdict(list)
    for video, name, found, cost in others(python, by_path):
        scores[name].add(by_path[video].transitions, found)
        costs[name].append(cost)
    for name, score in scores.items():
        yield row(name, score, sum(costs[name]) / len(costs[name]))


def main() -> None:
    """Make what is missing, judge, print the table."""
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("list", type=Path)
    ap.add_argument("folder", type=Path)
    ap.add_argument("--peers", help="a Python with the packages of other detectors")
    ap.add_argument("--crf", type=int, help="one of the three alone")
    ap.add_argument("-v", action="store_true", help="name what was missed and what is false")
    a = ap.parse_args()
    films = [RealFilm.of(f, a.folder) for f in tomllib.loads(a.list.read_text())["film"]]
    print(HEAD + " | false | ms a frame |\n" + "|---" * (len(KINDS) + 6) + "|")
    for film in films:
        film.make()
    for crf, preset in [way for way in WAYS if a.crf in (None, way[0])]:
        score, spent, frames = Score(), 0.0, 0
        for film in films:
            found, seconds, length = told(film.coded(crf, preset))
            spent, frames = spent + seconds, frames + length
            false = score.add(film.transitions, found)
            if a.v:
                alone = Score()
                missed = [t for t in film.transitions if len(alone.add([t], found)) == len(found)]
                print(f"{film.path.name}: missed {missed}, false {false}")
        print(row(f"vqcodec, crf {crf} {preset}", score, 1000 * spent / frames), flush=True)
    if a.peers:
        print(*peers(films, a.peers), sep="\n")


if __name__ == "__main__":
    main()
