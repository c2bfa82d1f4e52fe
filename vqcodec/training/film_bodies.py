"""Bodies that move before a picture: what most shots of edited films show, and no change of shot.

A body is a tree of limbs, each as thick as a rope or as round as a ball, with a texture that goes
along. It rests, goes, turns its limbs, comes nearer and leaves, all with a soft start and end, and
swings its limbs as it goes. Lengths are in heights of the picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..compiled import njit

TEXTURE = 32  # rows and columns of a limb's texture
_DENSITY = 64.0  # samples of a texture to a body's unit of length
_STEPS = 9.0  # radians that limbs swing while a body goes as far as its size
Rng = np.random.Generator


def eased(
    rng: Rng,
    frames: int,
    low: float,
    high: float,
    step: float,
    rests: tuple[int, int] = (2, 60),
    taken: tuple[int, int] = (4, 36),
) -> np.ndarray:
    """(frames,): a value that rests and goes to another one in turns, softly.

    step: standard deviation of how far it goes; rests and taken: fewest and most frames of both.
    """
    out, at, value = np.empty(frames), 0, float(rng.uniform(low, high))
    while at < frames:
        rest, way = (round(a * (b / a) ** float(rng.random())) for a, b in (rests, taken))
        goal = float(np.clip(value + step * rng.normal(), low, high))
        share = np.concatenate([np.zeros(rest), np.arange(1, way + 1) / way])
        part = out[at : at + len(share)]
        part[:] = value + (goal - value) * (share * share * (3 - 2 * share))[: len(part)]
        value, at = goal, at + len(share)
    return out


def at_moment(values: np.ndarray, moment: float) -> np.ndarray:
    """What (frames, ...) values are at a moment, between those of two frames; the last one's behind
    the end.
    """
    k = min(max(0, int(moment)), len(values) - 1)
    share = min(max(moment - k, 0.0), 1.0)
    return np.asarray((1 - share) * values[k] + share * values[min(k + 1, len(values) - 1)])


@dataclass
class Body:
    """A tree of limbs and how it moves; limbs come behind the one that they hang at."""

    parents: np.ndarray  # (limbs,) int: the limb that each hangs at, -1: none
    places: np.ndarray  # (limbs,) 0 to 1: where along it
    lengths: np.ndarray  # (limbs,) against the size
    radii: np.ndarray  # (limbs, 2) at both ends, against the size
    order: np.ndarray  # (limbs,) int: from the back to the front
    textures: np.ndarray  # (limbs, TEXTURE, TEXTURE, 3) uint8
    root: np.ndarray  # (frames, 2): right in widths of the picture and down in heights
    size: np.ndarray  # (frames,) heights
    angles: np.ndarray  # (frames, limbs) radians against the limb that it hangs at

    def draw(self, picture: np.ndarray, moment: float) -> None:
        """Paint it over a picture, (height, width, 3) uint8, as it is at a moment in frames."""
        height, width = picture.shape[:2]
        unit = float(at_moment(self.size, moment)) * height
        angles, root = at_moment(self.angles, moment), at_moment(self.root, moment)
        ends = np.empty((len(self.parents), 6), np.float32)
        turned = np.empty(len(self.parents))
        for limb, parent in enumerate(self.parents.tolist()):
            turned[limb] = angles[limb] + (turned[parent] if parent >= 0 else 0)
            begin = root * (width, height)
            if parent >= 0:
                upto = self.places[limb]
                begin = (1 - upto) * ends[parent, :2] + upto * ends[parent, 2:4]
            way = np.array([np.cos(turned[limb]), np.sin(turned[limb])]) * self.lengths[limb] * unit
            ends[limb] = *begin, *(begin + way), *(self.radii[limb] * unit)
        _paint(picture, ends[self.order], self.textures[self.order], _DENSITY / max(unit, 1.0))


@njit
def _paint(picture: np.ndarray, limbs: np.ndarray, textures: np.ndarray, density: float) -> None:
    """Paint limbs (n, 6: both ends, radii) with textures (n, T, T, 3), whose samples are
    1 / ``density`` samples of the picture apart.
    """
    height, width = picture.shape[:2]
    size = textures.shape[1]
    for n in range(limbs.shape[0]):
        x0, y0, x1, y1, first, last = limbs[n]
        most = max(first, last) + 1
        along_x, along_y = x1 - x0, y1 - y0
        square = max(along_x * along_x + along_y * along_y, np.float32(1e-3))
        length = np.sqrt(square)
        for y in range(max(0, int(min(y0, y1) - most)), min(height, int(max(y0, y1) + most) + 1)):
            for x in range(
                max(0, int(min(x0, x1) - most)), min(width, int(max(x0, x1) + most) + 1)
            ):
                share = ((x - x0) * along_x + (y - y0) * along_y) / square
                at = min(max(share, np.float32(0)), np.float32(1))
                away = np.hypot(x - x0 - at * along_x, y - y0 - at * along_y)
                cover = min(max(first + at * (last - first) - away + 0.5, 0.0), 1.0)
                if cover <= 0:
                    continue
                side = ((y - y0) * along_x - (x - x0) * along_y) / length
                down, right = share * length * density, side * density + size / 2
                top, left = int(np.floor(down)), int(np.floor(right))
                low, more = down - top, right - left
                for c in range(3):
                    above = (1 - more) * textures[n, top % size, left % size, c]
                    above += more * textures[n, top % size, (left + 1) % size, c]
                    below = (1 - more) * textures[n, (top + 1) % size, left % size, c]
                    below += more * textures[n, (top + 1) % size, (left + 1) % size, c]
                    colour = (1 - low) * above + low * below
                    old = picture[y, x, c]
                    picture[y, x, c] = np.uint8(old + cover * (colour - old) + 0.5)


def body(
    rng: Rng, frames: int, size: float, patch: Callable[[], np.ndarray], passes: bool = False
) -> Body:
    """A body of a size in heights of the picture.

    patch: a piece of a picture, (TEXTURE, TEXTURE, 3) uint8, another one at each call; passes: it
    crosses the picture at once, now and then, in place of going about in it.
    """
    parents, places, lengths, radii, rest = _limbs(rng)
    count = len(parents)
    if passes:
        right = _passing(rng, frames)
        down = np.full(frames, float(rng.uniform(0.3, 0.8)))
    else:
        leaves = 0.35 if rng.random() < 0.4 else -0.15  # how far beyond the sides it goes
        right = eased(rng, frames, -leaves, 1 + leaves, 0.3)
        down = eased(rng, frames, 0.3, 0.9, 0.12)
    sizes = size * np.exp(eased(rng, frames, -0.5, 0.5, 0.3, rests=(10, 150)))
    gone = np.cumsum(np.hypot(*np.diff([right, down], axis=1, prepend=[right[:1], down[:1]])))
    swing = rng.uniform(0, 0.6) * np.sin(
        _STEPS * gone[:, None] / size + rng.uniform(0, 2 * np.pi, count)
    )
    lively = 0.1 * 6 ** float(rng.random())
    turns = [eased(rng, frames, -0.9, 0.9, lively, (2, 40), (4, 20)) for _ in range(count)]
    angles = rest + np.stack(turns, 1) + swing
    angles[:, 0] = rest[0] + 0.25 * turns[0]  # upright
    colours = rng.uniform(10, 245, (count, 3)) * float(rng.uniform(0.4, 1))
    plain = float(rng.uniform(0.1, 0.9))
    textures = np.stack([(1 - plain) * patch() + plain * colour for colour in colours])
    return Body(
        parents,
        places,
        lengths,
        radii,
        np.argsort(rng.normal(size=count)),
        np.clip(textures, 0, 255).astype(np.uint8),
        np.stack([right, down], 1),
        sizes,
        angles,
    )


def _limbs(rng: Rng) -> tuple[np.ndarray, ...]:
    """A trunk, what sits on it, and up to five limbs of one or two parts."""
    trunk = float(rng.uniform(0.15, 0.4))
    thick = float(rng.uniform(0.08, 0.25))
    limbs = [(-1, 0.0, trunk, thick, thick * rng.uniform(0.5, 1.2), -np.pi / 2)]
    head = float(rng.uniform(0.08, 0.2))
    limbs.append((0, 1.0, head, head * rng.uniform(0.6, 1), head * rng.uniform(0.5, 1), 0.0))
    for _ in range(int(rng.integers(0, 6))):
        hangs, at = int(rng.random() < 0.2), float(rng.choice([0.0, 0.1, 0.85, 1.0]))
        angle = float(rng.choice([-1, 1])) * float(rng.uniform(0.5, 2.9))
        long, thin = float(rng.uniform(0.1, 0.35)), float(rng.uniform(0.02, 0.08))
        limbs.append((hangs, at, long, thin, thin, angle))
        if rng.random() < 0.7:
            more = (len(limbs) - 1, 1.0, long * rng.uniform(0.5, 1.1), thin, 0.7 * thin, 0.0)
            limbs.append(more)
    table = np.array(limbs)
    return table[:, 0].astype(int), table[:, 1], table[:, 2], table[:, 3:5], table[:, 5]


def _passing(rng: Rng, frames: int) -> np.ndarray:
    """(frames,): far outside but for short ways from one side to the other."""
    out, at = np.full(frames, -9.0), int(rng.integers(10, 90))
    while at < frames:
        taken = int(rng.integers(8, 40))
        way = np.linspace(-1.0, 2.0, taken)
        part = out[at : at + taken]
        part[:] = (way if rng.random() < 0.5 else way[::-1])[: len(part)]
        at += taken + int(rng.integers(20, 200))
    return out
