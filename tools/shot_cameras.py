#!/usr/bin/env python3
"""How often the camera of a made shot is known: `python tools/shot_cameras.py examples/shots.toml`.

Pans, zooms, shaky and still shots of photographs that the stage `shots` trains nothing on, half of
them with something that moves before them, a third with grain; each is a file of its own, at crf
22, 34, 46 and presets fast and fastest.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from vqcodec.analysis.model import CAMERAS
from vqcodec.container.reader import ContainerReader
from vqcodec.reading.file_analysis import analyse_file
from vqcodec.training.config_file import load_config
from vqcodec.training.film_material import HELD, Settings, Stories, encode_film, lossless
from vqcodec.training.synthetic import to_picture

_FRAMES = 24
_SIZE = (128, 72)
_STORY = 3 * HELD


def make(stories: Stories, number: int, folder: Path) -> Path:
    """The file of a shot; its camera is the number's in CAMERAS, in turns."""
    out = folder / f"shot-{number:03d}.vqv"
    if not out.exists():
        rng = np.random.default_rng([_STORY, number])
        kind = CAMERAS[number % len(CAMERAS)]
        shot = stories.material(_STORY, *_SIZE).photo_shot(rng, _FRAMES, kind)
        clip = out.with_suffix(".mkv")
        sink = lossless(clip, *_SIZE)
        for i in range(_FRAMES):
            sink.write(i, to_picture(shot.frame(i, *_SIZE, rng)))
        sink.close()
        turn = number // len(CAMERAS)
        preset = ("fast", "fastest")[turn // 3 % 2]
        encode_film(clip, Settings(*_SIZE, (22, 34, 46)[turn % 3], preset, 128), out)
    return out


def main() -> None:
    """Make the shots and print what was told of them."""
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("recipe", type=Path)
    ap.add_argument("--shots", type=int, default=100)
    ap.add_argument("-v", action="store_true", help="name the wrong ones")
    a = ap.parse_args()
    config = load_config(a.recipe)
    folder = config.folder / "cameras"
    folder.mkdir(parents=True, exist_ok=True)
    stories = Stories(config.train_clips, config.photos, config.seed)
    table = np.zeros((len(CAMERAS), len(CAMERAS)), int)
    for number in range(a.shots):
        path = make(stories, number, folder)
        with path.open("rb") as file:
            told = analyse_file(ContainerReader.open(file)).camera(0, _FRAMES)
        truth = number % len(CAMERAS)
        table[truth, CAMERAS.index(told)] += 1
        if a.v and told != CAMERAS[truth]:
            print(f"{path}: {CAMERAS[truth]} was called {told}")
    print(f"{table.trace()} of {table.sum()} right; true by told: {', '.join(CAMERAS)}")
    print(table)


if __name__ == "__main__":
    main()
