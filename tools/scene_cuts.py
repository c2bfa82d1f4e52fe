#!/usr/bin/env python3
"""Counts right and wrong starts of GOPs on edited clips: `python tools/scene_cuts.py FOLDER [--seed
1] [--each 30] [--noise 0.6] [-v]`.

Clips of the folder, made small, are cut together as films are: hard cuts (bright, dark, every few
frames), flashes of one to three frames, alone and at a cut, fades, dissolves; each clip once as it
is; and cuts, shots of a few frames and clips as they are with each picture shown twice, with
--noise. A start of a GOP is right within the cut.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from vqcodec.encoding.scene_cuts import SceneDetector, Verdict
from vqcodec.picture import Picture

WIDTH, HEIGHT, LONGEST = 160, 96, 64
SHORTEST = 32  # frames of clips that are edited
BLACK, WHITE = 5.0, 250.0
Scene = list[np.ndarray]


class Edited(NamedTuple):
    """Luma pictures, the first and last right start of each cut, and which frames are flashes."""

    kind: str
    pictures: Scene
    cuts: list[tuple[int, int]]
    flashes: set[int]


def small(path: Path) -> Scene:
    """Luma of the first frames of a clip, float32."""
    with av.open(str(path)) as c:
        return [
            f.reformat(width=WIDTH, height=HEIGHT, format="gray").to_ndarray().astype(np.float32)
            for _, f in zip(range(LONGEST), c.decode(video=0), strict=False)
        ]


def _mixed(a: Scene, b: Scene, share: Iterable[float]) -> Scene:
    return [p * (1 - m) + q * m for p, q, m in zip(a, b, share, strict=False)]


def _cut(a: Scene, b: Scene, rng: random.Random, gain: float = 1.0, flash: int = 0) -> Edited:
    n = rng.randint(9, 30)
    between = [np.full_like(a[0], rng.choice((BLACK, WHITE)))] * flash
    pictures = [gain * p for p in a[:n] + between + b[:20]]
    kind = "flash at cut" if flash else "cut" if gain == 1 else "dark cut"
    return Edited(kind, pictures, [(n, n + flash)], set())


def _montage(scenes: list[Scene], rng: random.Random) -> Edited:
    pictures: Scene = []
    starts = []
    for scene in scenes:
        starts.append((len(pictures),) * 2)
        first = rng.randint(0, 20)
        pictures += scene[first : first + rng.randint(4, 7)]
    return Edited("montage", pictures, starts[1:], set())


def _flashes(a: Scene, b: Scene, rng: random.Random) -> Edited:
    pictures, flashes = list(a), set()
    for first in rng.sample(range(3, len(a) - 6, 7), 2):
        kind = rng.choice(("bright", "white", "black", "other", "dim"))
        for i in range(first, first + rng.randint(1, 3)):
            flashes.add(i)
            pictures[i] = {
                "bright": a[i] * 1.35 + 70,
                "white": np.full_like(a[i], WHITE),
                "black": np.full_like(a[i], BLACK),
                "dim": a[i] * 0.4,
                "other": b[i % len(b)],
            }[kind]
    return Edited("flash", pictures, [], flashes)


def _fade(a: Scene, rng: random.Random) -> Edited:
    first, length = rng.randint(4, 12), rng.randint(3, 16)
    flat = [np.full_like(a[0], rng.choice((0.0, 0.0, 255.0)))] * SHORTEST
    pictures = _mixed(flat, a, (min(1, max(0, (i - first) / length)) for i in range(SHORTEST)))
    return Edited("fade", pictures[:: rng.choice((1, -1))], [], set())


def _dissolve(a: Scene, b: Scene, rng: random.Random) -> Edited:
    first, length = rng.randint(4, 12), rng.randint(4, 24)
    share = (min(1, max(0, (i - first) / length)) for i in range(48))
    return Edited("dissolve", _mixed(a, b, share), [], set())


def _twice(edited: Edited, rng: random.Random, deviation: float) -> Edited:
    """Each picture shown twice, with the noise of an earlier codec, which no two pictures share."""
    noise = np.random.default_rng(rng.randrange(2**32))
    pictures = [
        np.clip(p, 0, 255) + noise.normal(0, deviation, p.shape).astype(np.float32)
        for p in edited.pictures
        for _ in range(2)
    ]
    cuts = [(2 * first, 2 * last) for first, last in edited.cuts]
    kind, *name = edited.kind.split(":")
    return Edited(":".join([f"{kind}, on twos", *name]), pictures, cuts, set())


def edits(clips: dict[str, Scene], seed: int, each: int, noise: float) -> Iterator[Edited]:
    """``each`` edited clips of every kind, then the clips as they are; names begin with their
    source and a hyphen."""
    rng = random.Random(seed)
    long = [n for n, c in clips.items() if len(c) >= SHORTEST]

    def two() -> tuple[Scene, Scene]:
        a = rng.choice(long)
        return clips[a], clips[
            rng.choice([n for n in long if n[: n.find("-")] != a[: a.find("-")]])
        ]

    for _ in range(each):
        yield _cut(*two(), rng)
        yield _cut(*two(), rng, gain=0.2)
        yield _cut(*two(), rng, flash=rng.randint(1, 3))
        yield _montage([clips[rng.choice(long)] for _ in range(6)], rng)
        yield _flashes(*two(), rng)
        yield _fade(two()[0], rng)
        yield _dissolve(*two(), rng)
    for name, clip in clips.items():
        yield Edited(f"as it is: {name}", clip, [], set())
    for _ in range(each):
        yield _twice(_cut(*two(), rng), rng, noise)
        yield _twice(_montage([clips[rng.choice(long)] for _ in range(6)], rng), rng, noise)
    for name, clip in clips.items():
        yield _twice(Edited(f"as it is: {name}", clip, [], set()), rng, noise)


def verdicts(pictures: Scene) -> list[Verdict]:
    """What the encoder takes each picture for."""
    detector, chroma = SceneDetector(), np.zeros((HEIGHT // 2, WIDTH // 2), np.uint8)
    luma = (np.clip(np.rint(p), 0, 255).astype(np.uint8) for p in pictures)
    out = [v for y in luma for v in detector.push(Picture(y, chroma, chroma))]
    return out + detector.flush()


def main() -> None:
    """Join parts of films at random places, look for the cuts, and print how many were found."""
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("folder", type=Path)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--each", type=int, default=30)
    ap.add_argument("--noise", type=float, default=0.6, help="standard deviation, of 255, on twos")
    ap.add_argument("-v", action="store_true", help="say where it was wrong")
    a = ap.parse_args()
    clips = {p.stem: small(p) for p in sorted(a.folder.glob("*.mkv"))}
    table: dict[str, np.ndarray] = {}
    for e in edits(clips, a.seed, a.each, a.noise):
        found = verdicts(e.pictures)
        left = [i for i, v in enumerate(found) if v.cut]
        missed = []
        for first, last in e.cuts:
            right = [i for i in left if first <= i <= last]
            missed += [] if right else [first]
            left = [i for i in left if i not in right[:1]]
        flashes = {i for i, v in enumerate(found) if v.flash}
        unseen, false = e.flashes - flashes, flashes - e.flashes
        row = np.array([1, len(e.cuts), len(missed), len(left), len(unseen), len(false)])
        kind = e.kind.split(":")[0]
        table[kind] = table.get(kind, 0 * row) + row
        if a.v and (missed or left):
            print(f"{e.kind}: missed {missed}, false {left}, flashes {sorted(e.flashes)}")
    print("| kind | clips | cuts | missed | false | flash frames missed | false |")
    print("|---|---|---|---|---|---|---|")
    for kind, sums in table.items():
        print(f"| {kind} | " + " | ".join(map(str, sums)) + " |")


if __name__ == "__main__":
    main()
