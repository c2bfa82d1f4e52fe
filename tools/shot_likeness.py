#!/usr/bin/env python3
"""Whether a clip is found among all by another encode of it: `python tools/shot_likeness.py
examples/shots.toml [--skip 8]`.

All clips of the recipe are encoded twice, in other sizes, qualities and presets; with --skip the
second encode begins later and has shorter GOPs, so that its I frames are others. For each the other
encode is sought among those of all clips: by the embedding of the whole file and its two parts, by
the mean thumbnail, and by a perceptual hash (package ImageHash, where there is one) of eight
frames.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import vqcodec
from vqcodec.analysis.look import LOOK, unit
from vqcodec.container.reader import ContainerReader
from vqcodec.reading.file_analysis import analyse_file
from vqcodec.reading.looks import looks_at
from vqcodec.training.config_file import load_config
from vqcodec.training.film_material import Settings, Stories, encode_film

_FRAMES = 32
_WAYS = (Settings(96, 54, 28, "fastest", 128), Settings(128, 72, 38, "faster", 128))
_SHORT = 16  # frames of a GOP of a second encode that begins later
_HASHED = 8  # frames
_THUMB = (16, 9)


def make(clip: Path, way: int, folder: Path, skip: int) -> Path:
    """A clip encoded in one of the ways, the second one without its first frames."""
    first = skip if way else 0
    out = folder / f"{clip.stem}.{way}{f'.{first}' if first else ''}.vqv"
    if not out.exists():
        settings = replace(_WAYS[way], gop=_SHORT) if first else _WAYS[way]
        encode_film(clip, settings, out, _FRAMES - first, first)
    return out


def frames(path: Path) -> int:
    """Of a file."""
    with path.open("rb") as file:
        return ContainerReader.open(file).frames


def embedded(path: Path) -> np.ndarray:
    """The embedding of a file."""
    with path.open("rb") as file:
        reader = ContainerReader.open(file)
        looks, _ = looks_at(reader, analyse_file(reader))
        return looks.embedding().vector


def seen(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The mean thumbnail, of mean 0 and length 1, and a hash as numbers of -1 and 1, none where
    there is no package for it.
    """
    with vqcodec.open(path) as video:
        at = np.linspace(0, len(video) - 1, _HASHED).astype(int)
        pictures = [np.asarray(video[int(i)].data).transpose(1, 2, 0) for i in at]
    thumbs = [cv2.resize(p, _THUMB, interpolation=cv2.INTER_AREA).astype(float) for p in pictures]
    mean = np.mean(thumbs, 0) - np.mean(thumbs)
    thumb = mean.ravel() / max(1e-9, float(np.linalg.norm(mean)))
    if importlib.util.find_spec("imagehash") is None:
        return thumb, np.zeros(0)
    import imagehash
    from PIL import Image

    bits = [imagehash.phash(Image.fromarray(p)).hash.ravel() for p in pictures]
    return thumb, np.concatenate(bits) * 2.0 - 1


def recall(first: np.ndarray, second: np.ndarray) -> tuple[int, int]:
    """How many rows find their other one first, both ways, and of how many."""
    likeness = first @ second.T
    own = np.arange(len(first))
    return int((likeness.argmax(1) == own).sum() + (likeness.argmax(0) == own).sum()), 2 * len(own)


def main() -> None:
    """Encode, seek, print."""
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("recipe", type=Path)
    ap.add_argument("--clips", type=int, help="so many of them; all if not given")
    ap.add_argument("--skip", type=int, default=0, help="frames that the second encode lacks")
    a = ap.parse_args()
    config = load_config(a.recipe)
    folder = config.folder / "likeness"
    folder.mkdir(parents=True, exist_ok=True)
    clips = sorted(config.train_clips)[: a.clips]
    clips = [c for c in clips if frames(make(c, 0, folder, 0)) > 2 * a.skip]
    held = Stories(config.train_clips, config.photos, config.seed).held(clips)
    pairs = [[make(clip, way, folder, a.skip) for way in (0, 1)] for clip in clips]
    ways = [np.stack([embedded(pair[way]) for pair in pairs]) for way in (0, 1)]
    show("embedding", ways, held)
    for name, own in (("what is shown", slice(LOOK)), ("how it moves", slice(LOOK, None))):
        show(f"embedding, {name}", [unit(way[:, own]) for way in ways], held)
    looked = [[seen(path) for path in pair] for pair in pairs]
    show("mean thumbnail", [np.stack([pair[way][0] for pair in looked]) for way in (0, 1)], held)
    if importlib.util.find_spec("imagehash") is None:
        print("hash: ImageHash is not installed")
    else:
        show("hash", [np.stack([pair[way][1] for pair in looked]) for way in (0, 1)], held)


def show(name: str, ways: list[np.ndarray], held: np.ndarray) -> None:
    """A line of results: of all clips, and of those alone that were not trained on."""
    first, second = ways
    for what, own in (("all", slice(None)), ("held back", held)):
        right, tried = recall(first[own], second[own])
        print(f"{name}, {what}: {right} of {tried} found at first, {right / tried:.3f}")


if __name__ == "__main__":
    main()
