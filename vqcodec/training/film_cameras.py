"""Shots for made films: footage and photographs, seen by a camera that moves in a known way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from ..media.inputs import open_source

CAMERAS = ("still", "pan", "zoom", "shaky")  # what a camera does
UNKNOWN = -1  # where footage moves in its own way
_LONGEST = 48  # frames of footage
_PAGES = 0.06  # of shots are pages
_MARGIN = 1.25  # footage is read this much larger, for a camera to move in


@dataclass
class Path2D:
    """Where a camera looks in each frame, in shares of the picture's width from its middle, and how
    much it enlarges.
    """

    right: np.ndarray
    down: np.ndarray
    zoom: np.ndarray


@dataclass
class Camera:
    """A way to move: ``kind`` of CAMERAS, and its path."""

    kind: str
    path: Path2D


def _smooth(rng: np.random.Generator, frames: int, correlation: float) -> np.ndarray:
    """A random walk that is drawn back to zero, of standard deviation 1."""
    out = np.empty(frames)
    value = float(rng.normal())
    for i in range(frames):
        value = correlation * value + np.sqrt(1 - correlation**2) * float(rng.normal())
        out[i] = value
    return out


def camera(rng: np.random.Generator, kind: str, frames: int) -> Camera:
    """A camera that is still, pans, zooms or shakes.

    Pans go 0.3 to 6 % of the width a frame, zooms 0.3 to 3 % a frame, both even or with a soft
    start; hands shake by 0.3 to 2.5 % of the width.
    """
    none, one = np.zeros(frames), np.ones(frames)
    if kind == "pan":
        speed = 0.003 * 20 ** float(rng.random())
        angle = float(rng.choice([0, np.pi])) + float(rng.normal(0, 0.25))
        if rng.random() < 0.25:
            angle += np.pi / 2
        steps = speed * (1 + 0.15 * _smooth(rng, frames, 0.95))
        way = np.cumsum(steps)
        way -= way[frames // 2]
        return Camera(kind, Path2D(way * np.cos(angle), way * np.sin(angle), one))
    if kind == "zoom":
        rate = 0.003 * 10 ** float(rng.random()) * float(rng.choice([-1, 1]))
        power = np.clip(rate * (np.arange(frames) - frames / 2), -0.7, 0.7)
        aside = float(rng.normal(0, 0.0007)) * np.arange(frames)
        return Camera(kind, Path2D(aside, none, np.exp(power)))
    if kind == "shaky":
        size = 0.003 * 8 ** float(rng.random())
        slow = float(rng.choice([0.5, 0.75, 0.85]))
        drift = float(rng.normal(0, 0.001)) * np.arange(frames)
        right = size * _smooth(rng, frames, slow) + drift
        return Camera(kind, Path2D(right, size * _smooth(rng, frames, slow), one))
    return Camera("still", Path2D(none, none, one))


def scrolling(rng: np.random.Generator, frames: int, room: float, height: float) -> Camera:
    """A page that is scrolled: it rests, then goes on at once or within a few frames by 8 to 45 %
    of the view's height, and back at its ends.

    room: how far from its middle a page can be seen. room and height: in widths of the view.
    """
    down, at, way = np.empty(frames), float(rng.uniform(-room, room)), 1.0
    number = 0
    while number < frames:
        rest, taken = int(rng.integers(3, 22)), int(rng.choice([1, 1, 2, 4, 8]))
        down[number : number + rest] = at
        step = height * float(rng.uniform(0.08, 0.45))
        way = -way if abs(at + way * step) > room else way
        goal = at + way * step if abs(at + way * step) <= room else at
        part = down[number + rest : number + rest + taken]
        part[:] = at + (goal - at) * np.arange(1, taken + 1)[: len(part)] / taken
        at, number = goal, number + rest + taken
    return Camera("scroll", Path2D(np.zeros(frames), down, np.ones(frames)))


def view(
    picture: np.ndarray, width: int, height: int, at: tuple[float, float, float]
) -> np.ndarray:
    """(height, width, 3) uint8: what a camera sees of a picture that fills the view at zoom 1.

    ``at``: right and down in widths of the view, and zoom. What lies outside is the mirror's.
    """
    tall, wide = picture.shape[:2]
    right, down, zoom = at
    scale = min(wide / width, tall / height) / _MARGIN / zoom
    centre = (wide / 2 + right * width * scale, tall / 2 + down * width * scale)
    matrix = np.array(
        [
            [scale, 0, centre[0] - scale * width / 2],
            [0, scale, centre[1] - scale * height / 2],
        ]
    )
    seen = cv2.warpAffine(
        picture,
        matrix,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return np.asarray(seen, dtype=np.uint8)


def _shrunk(rgb: np.ndarray, width: int) -> np.ndarray:
    """A picture brought near the size that it is looked at, so that sampling doesn't alias."""
    factor = width / rgb.shape[1]
    if factor >= 1:
        return rgb
    size = (width, max(2, round(rgb.shape[0] * factor)))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def read_footage(path: Path, width: int) -> list[np.ndarray]:
    """The first frames of a clip as RGB, at about the size that a film of this width shows."""
    wide = round(width * _MARGIN)
    with open_source(path) as source:
        return [
            frame.reformat(
                wide,
                max(2, round(wide * frame.height / frame.width)),
                "rgb24",
                interpolation="AREA",
            ).to_ndarray()
            for _, frame in zip(range(_LONGEST), source.container.decode(video=0), strict=False)
        ]


def read_photo(path: Path, width: int) -> np.ndarray:
    """A photograph as RGB, twice as wide as a film of this width shows at zoom 1."""
    with open_source(path) as source:
        rgb = next(source.container.decode(video=0)).to_ndarray(format="rgb24")
    return _shrunk(rgb, 2 * width)


@dataclass
class Shot:
    """Frames that can be drawn without end, and what the camera does in them."""

    source: str
    pictures: list[np.ndarray]
    speed: float = 1.0  # pictures a frame
    first: int = 0
    camera: Camera | None = None  # None: only as the footage moves
    mirrored: bool = False
    grain: float = 0.0  # standard deviation, of 255
    patch: np.ndarray | None = None  # something that moves before a photograph
    _way: np.ndarray = field(default_factory=lambda: np.zeros(4))

    @property
    def recording(self) -> str:
        """The name of the source without the number of its part."""
        name, _, part = self.source.rpartition("-")
        return name if name and part.isdigit() else self.source

    @property
    def label(self) -> int:
        """Index of what the camera does in CAMERAS; UNKNOWN for footage."""
        if self.camera is None or len(self.pictures) > 1 or self.camera.kind not in CAMERAS:
            return UNKNOWN
        return CAMERAS.index(self.camera.kind)

    @property
    def moves(self) -> str:
        """How it moves in a way that is easily taken for a change: as the camera does, or "speed";
        "" in no way.
        """
        if self.camera is not None and self.camera.kind != "still":
            return self.camera.kind
        return "speed" if self.speed > 1 else ""

    def frame(self, number: int, width: int, height: int, rng: np.random.Generator) -> np.ndarray:
        """Frame ``number`` from the start of the shot, (height, width, 3) uint8."""
        out = self.seen(number, width, height)
        if self.grain:
            noise = rng.normal(0, self.grain, (height, width, 1))
            out = np.clip(out + noise, 0, 255).astype(np.uint8)
        return out[:, ::-1] if self.mirrored else out

    def seen(self, number: int, width: int, height: int) -> np.ndarray:
        """What the camera sees in a frame, without its grain."""
        at = (0.0, 0.0, 1.0)
        if self.camera is not None:
            path = self.camera.path
            j = min(number, len(path.zoom) - 1)
            at = (float(path.right[j]), float(path.down[j]), float(path.zoom[j]))
        out = view(self.shown(int(self.first + number * self.speed)), width, height, at)
        return out if self.patch is None else self._with_patch(out, number)

    def shown(self, number: int) -> np.ndarray:
        """A picture by its number, which goes forth and back without end."""
        n = len(self.pictures)
        k = number % max(1, 2 * n - 2)
        return self.pictures[k if k < n else 2 * n - 2 - k]

    def move_patch(self, rng: np.random.Generator, patch: np.ndarray) -> None:
        """Let a small picture move before the shot: in a curve, slowly or fast."""
        self.patch = patch
        self._way = np.array(
            [rng.uniform(0.1, 0.9), rng.uniform(0.2, 0.8), rng.uniform(0.01, 0.12), rng.random()]
        )

    def _with_patch(self, out: np.ndarray, number: int) -> np.ndarray:
        patch = self.patch
        assert patch is not None
        height, width = out.shape[:2]
        tall, wide = patch.shape[:2]
        x, y, turn, phase = self._way
        left = int(width * (x + 0.3 * np.sin(turn * number + 6.3 * phase)) - wide / 2)
        top = int(height * (y + 0.2 * np.cos(0.7 * turn * number + 6.3 * phase)) - tall / 2)
        x0, y0 = max(0, left), max(0, top)
        x1, y1 = min(width, left + wide), min(height, top + tall)
        if x1 > x0 and y1 > y0:
            rows, columns = np.mgrid[y0 - top : y1 - top, x0 - left : x1 - left]
            inside = ((rows / tall - 0.5) ** 2 + (columns / wide - 0.5) ** 2 < 0.25)[..., None]
            part = out[y0:y1, x0:x1]
            out = out.copy()
            out[y0:y1, x0:x1] = np.where(
                inside, patch[y0 - top : y1 - top, x0 - left : x1 - left], part
            )
        return out


@dataclass
class Material:
    """Where shots are taken from: clips and photographs."""

    clips: list[Path]
    photos: list[Path]
    width: int
    height: int
    _read: dict[Path, list[np.ndarray]] = field(default_factory=dict)

    def shot(self, rng: np.random.Generator, frames: int) -> Shot:
        """A shot of any kind that has at least so many different camera positions."""
        kind = float(rng.random())
        if kind > 1 - _PAGES:
            return self.page_shot(rng, frames)
        if self.clips and (kind < 0.58 or not self.photos):
            return self._footage(rng, frames)
        return self.photo_shot(rng, frames, str(rng.choice(CAMERAS, p=[0.25, 0.35, 0.2, 0.2])))

    def page_shot(self, rng: np.random.Generator, frames: int) -> Shot:
        """A page of text that is scrolled, jumps among them: what changes at once is no cut."""
        height = self.height
        tall = height * int(rng.integers(2, 5))
        picture = next(pages(rng, self.width, tall))
        scale = picture.shape[1] / self.width / _MARGIN  # samples of the page to one of the view
        room = max(0.0, picture.shape[0] / scale - height) / 2 / self.width
        way = scrolling(rng, frames, room, height / self.width)
        return Shot(f"page{rng.integers(10**9)}", [picture], camera=way)

    def photo_shot(self, rng: np.random.Generator, frames: int, kind: str) -> Shot:
        """A photograph seen by a camera of a kind, half of them with something that moves."""
        path = self.photos[rng.integers(len(self.photos))]
        shot = Shot(path.stem, [read_photo(path, self.width)], camera=camera(rng, kind, frames))
        if rng.random() < 0.5:
            other = read_photo(self.photos[rng.integers(len(self.photos))], self.width)
            size = int(self.width * rng.uniform(0.1, 0.4))
            tall = min(size, other.shape[0])
            shot.move_patch(rng, other[:tall, : min(size, other.shape[1])])
        if rng.random() < 0.35:
            shot.grain = float(rng.uniform(1, 6))
        return shot

    def footage(self, path: Path) -> list[np.ndarray]:
        """The pictures of a clip; those of the last few are kept."""
        if path not in self._read:
            if len(self._read) > 24:
                self._read.pop(next(iter(self._read)))
            self._read[path] = read_footage(path, self.width)
        return self._read[path]

    def _footage(self, rng: np.random.Generator, frames: int) -> Shot:
        path = self.clips[rng.integers(len(self.clips))]
        pictures = self.footage(path)
        shot = Shot(path.stem, pictures, mirrored=bool(rng.random() < 0.5))
        shot.first = int(rng.integers(2 * len(pictures)))
        shot.speed = float(rng.choice([1, 0.5, 2, 3], p=[0.7, 0.1, 0.15, 0.05]))
        if rng.random() < 0.2:
            kind = str(rng.choice(CAMERAS[1:]))
            shot.camera = camera(rng, kind, frames)
        if rng.random() < 0.1:
            shot.grain = float(rng.uniform(1, 5))
        return shot


def pages(rng: np.random.Generator, width: int, height: int) -> Iterator[np.ndarray]:
    """Cards of text without end, as titles are."""
    from .synthetic import page

    while True:
        yield _shrunk(page(rng, 2 * width, 2 * height), width)
