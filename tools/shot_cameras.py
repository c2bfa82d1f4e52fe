#!/usr/bin/env python3
"""How often the camera of a made shot is known: `python tools/shot_cameras.py examples/shots.toml
[--seed 0] [--size 128x72] [--frames 24] [--trained]`.

Pans, zooms, shaky and still shots of photographs that the stage `shots` trains nothing on, half of
them with something that moves before them, a third with grain; each is a file of its own, at crf
22, 34, 46 and presets fast and fastest.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from vqcodec.analysis.model import CAMERAS
from vqcodec.container.reader import ContainerReader
from vqcodec.reading.file_analysis import analyse_file
from vqcodec.training.config_file import load_config
from vqcodec.training.film_material import HELD, Settings, Stories, encode_film, lossless
from vqcodec.training.synthetic import to_picture

_HELD_STORY, _TRAINED_STORY = 3 * HELD, 1


@dataclass(frozen=True)
class Kind:
    """Which shots are made."""

    seed: int
    width: int
    height: int
    frames: int
    trained: bool  # of photographs that nets were trained on, to choose thresholds by

    def make(self, stories: Stories, number: int, folder: Path) -> Path:
        """The file of a shot; its camera is the number's in CAMERAS, in turns."""
        out = folder / f"shot-{number:03d}.vqv"
        if out.exists():
            return out
        size = self.width, self.height
        story = _TRAINED_STORY if self.trained else _HELD_STORY
        rng = np.random.default_rng([story, number] + [self.seed] * (self.seed > 0))
        kind = CAMERAS[number % len(CAMERAS)]
        shot = stories.material(story, *size).photo_shot(rng, self.frames, kind)
        clip = out.with_suffix(".mkv")
        sink = lossless(clip, *size)
        for i in range(self.frames):
            sink.write(i, to_picture(shot.frame(i, *size, rng)))
        sink.close()
        turn = number // len(CAMERAS)
        preset = ("fast", "fastest")[turn // 3 % 2]
        encode_film(clip, Settings(*size, (22, 34, 46)[turn % 3], preset, 128), out)
        clip.unlink()
        return out


def main() -> None:
    """Make the shots and print what was told of them."""
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("recipe", type=Path)
    ap.add_argument("--shots", type=int, default=100)
    ap.add_argument("--seed", type=int, default=0, help="for other shots")
    ap.add_argument("--size", default="128x72")
    ap.add_argument("--frames", type=int, default=24, help="of a shot")
    ap.add_argument("--trained", action="store_true", help="of photographs that were trained on")
    ap.add_argument("-v", action="store_true", help="name the wrong ones")
    a = ap.parse_args()
    config = load_config(a.recipe)
    width, height = map(int, a.size.split("x"))
    shots = Kind(a.seed, width, height, a.frames, a.trained)
    held = "trained" if a.trained else "held"
    folder = config.folder / "cameras" / f"{held}-{a.seed}-{a.size}-{a.frames}"
    folder.mkdir(parents=True, exist_ok=True)
    stories = Stories(config.train_clips, config.photos, config.seed)
    table = np.zeros((len(CAMERAS), len(CAMERAS)), int)
    for number in range(a.shots):
        path = shots.make(stories, number, folder)
        with path.open("rb") as file:
            told = analyse_file(ContainerReader.open(file)).camera(0, a.frames)
        truth = number % len(CAMERAS)
        table[truth, CAMERAS.index(told)] += 1
        if a.v and told != CAMERAS[truth]:
            print(f"{path}: {CAMERAS[truth]} was called {told}")
    print(f"{table.trace()} of {table.sum()} right; true by told: {', '.join(CAMERAS)}")
    print(table)


if __name__ == "__main__":
    main()
