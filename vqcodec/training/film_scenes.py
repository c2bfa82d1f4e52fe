"""Long shots as edited films have them: bodies before a picture, and footage that goes on and
rests; the camera rests mostly, or goes on and stops. Nothing of it is a change of shot.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np

from .film_bodies import TEXTURE, Body, Rng, at_moment, body, eased
from .film_cameras import Camera, Material, Path2D, Shot, camera, read_photo, view

LURES = ("body", "stops", "focus")  # what is easily taken for a change here
_FOOTAGE = 0.42  # of the shots
_PAGES = 0.03
_CAMERAS = {"still": 0.5, "stops": 0.25, "shaky": 0.1, "zoom": 0.08, "pan": 0.07}
_SIZES = (0.3, 2.4)  # smallest and largest body, in heights of the picture
_SWAYS = 0.25  # of the photographs
_BLURRED = 0.5  # of the shots
_EXPOSED = 3  # pictures of a frame that is blurred
_FOCUS = 0.1  # of the shots, in which what is sharp becomes soft, or the other way around


class Sway(NamedTuple):
    """Waves that go through a picture: leaves in the wind, water, cloth."""

    reach: float  # in samples
    wave: np.ndarray  # (2,) radians a sample
    speed: float  # radians a frame
    top: float  # share of the height from which on nothing sways

    def __call__(self, picture: np.ndarray, moment: float) -> np.ndarray:
        """The picture as it is at a moment in frames."""
        rows, columns = np.mgrid[0 : picture.shape[0], 0 : picture.shape[1]].astype(np.float32)
        turn = self.wave[0] * rows + self.wave[1] * columns + self.speed * moment
        reach = self.reach * np.clip(4 * (self.top - rows / len(rows)), 0, 1)
        across, down = (np.sin(turn), np.cos(0.7 * turn + 1))
        return np.asarray(
            cv2.remap(
                picture,
                columns + np.float32(reach * across),
                rows + np.float32(0.5 * reach * down),
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REFLECT_101,
            ),
            np.uint8,
        )


@dataclass
class Scene(Shot):
    """A shot with bodies; its pictures go on as ``times`` says."""

    bodies: list[Body] = field(default_factory=list)
    times: np.ndarray | None = None  # (frames,) which picture is seen
    softness: np.ndarray | None = None  # (frames,) of the picture behind: samples of a blur
    sway: Sway | None = None
    shutter: float = 0.0  # frames that it is open: what moves is blurred

    @property
    def moves(self) -> str:
        """What is easily taken for a change."""
        if self.camera is not None and self.camera.kind != "still":
            return self.camera.kind
        return "focus" if self.softness is not None else "body"

    def seen(self, number: int, width: int, height: int) -> np.ndarray:
        """What the camera sees in a frame, with all that moves before it."""
        if not self.shutter:
            return self._at(number, width, height)
        moments = number - self.shutter * np.arange(_EXPOSED) / _EXPOSED
        parts = [self._at(moment, width, height) for moment in moments.tolist()]
        return np.asarray(np.mean(parts, 0) + 0.5, np.uint8)

    def _at(self, moment: float, width: int, height: int) -> np.ndarray:
        shown = 0 if self.times is None else int(at_moment(self.times, moment))
        at = (0.0, 0.0, 1.0)
        if self.camera is not None:
            path = self.camera.path
            right, down, zoom = (
                float(at_moment(way, moment)) for way in (path.right, path.down, path.zoom)
            )
            at = (right, down, zoom)
        out = view(self.shown(shown), width, height, at)
        if self.softness is not None:
            blur = float(at_moment(self.softness, moment))
            if blur > 0.2:
                out = np.asarray(cv2.GaussianBlur(out, (0, 0), blur), np.uint8)
        if self.sway is not None:
            out = self.sway(out, moment)
        out = np.ascontiguousarray(out)
        for one in self.bodies:
            one.draw(out, moment)
        return out


class Scenes(Material):
    """The same clips and photographs as long shots."""

    def shot(self, rng: Rng, frames: int) -> Shot:
        """A shot of at least so many frames."""
        kind = float(rng.random())
        if kind < _PAGES:
            return self.page_shot(rng, frames)
        way = self._camera(rng, frames)
        if self.clips and (kind < _FOOTAGE or not self.photos):
            path = self.clips[rng.integers(len(self.clips))]
            shot = Scene(path.stem, self.footage(path), mirrored=bool(rng.random() < 0.5))
            shot.times = _times(rng, frames)
            shot.camera = way if rng.random() < 0.25 else None
            bodies = int(rng.random() < 0.15)
        else:
            path = self.photos[rng.integers(len(self.photos))]
            shot = Scene(path.stem, [read_photo(path, self.width)], camera=way)
            bodies = int(rng.choice([1, 2, 3], p=[0.55, 0.3, 0.15]))
            if rng.random() < _SWAYS:
                shot.sway = self._sway(rng)
            if rng.random() < _FOCUS:
                shot.softness = eased(rng, frames, 0.0, self.width / 50, self.width / 60)
        shot.bodies = self._bodies(rng, frames, bodies)
        if rng.random() < _BLURRED:
            shot.shutter = float(rng.uniform(0.3, 0.8))
        if rng.random() < 0.3:
            shot.grain = float(rng.uniform(1, 4))
        return shot

    def _sway(self, rng: Rng) -> Sway:
        longest = self.width / float(rng.uniform(1, 8))
        turn = float(rng.uniform(0, 2 * np.pi))
        wave = 2 * np.pi / longest * np.array([np.sin(turn), np.cos(turn)])
        reach = self.width / 128 * 0.3 * 8 ** float(rng.random())
        return Sway(reach, wave, float(rng.uniform(0.05, 0.6)), float(rng.uniform(0.4, 1.3)))

    def _bodies(self, rng: Rng, frames: int, count: int) -> list[Body]:
        low, high = _SIZES
        if not count or not self.photos:
            return []
        photo = read_photo(self.photos[rng.integers(len(self.photos))], self.width)

        def patch() -> np.ndarray:
            tall, wide = (max(1, n - TEXTURE) for n in photo.shape[:2])
            top, left = int(rng.integers(tall)), int(rng.integers(wide))
            part = photo[top : top + TEXTURE, left : left + TEXTURE]
            return np.asarray(cv2.resize(part, (TEXTURE, TEXTURE)), np.uint8)

        made = [
            body(rng, frames, low * (high / low) ** float(rng.random()), patch)
            for _ in range(count)
        ]
        if rng.random() < 0.12:  # someone passes near the camera
            made.append(body(rng, frames, float(rng.uniform(1, 2.5)), patch, passes=True))
        return made

    def _camera(self, rng: Rng, frames: int) -> Camera:
        kind = str(rng.choice(list(_CAMERAS), p=list(_CAMERAS.values())))
        if kind != "stops":
            way = camera(rng, kind, frames)
            if kind in ("pan", "zoom"):  # no longer than the picture
                _held_back(way.path, rng.uniform(0.2, 0.5))
            return way
        fast = rng.random() < 0.3
        taken = (3, 10) if fast else (8, 50)
        step = 0.4 if fast else 0.15
        right = eased(rng, frames, -0.35, 0.35, step, (10, 120), taken)
        down = eased(rng, frames, -0.12, 0.12, step / 4, (10, 120), taken)
        zoom = np.exp(eased(rng, frames, -0.1, 0.4, 0.15, (20, 200), taken))
        return Camera(kind, Path2D(right, down, zoom))


def _held_back(path: Path2D, most: float) -> None:
    """Slow a way that would leave the picture."""
    far = max(np.ptp(path.right), np.ptp(path.down), np.ptp(np.log(path.zoom)), 1e-9)
    share = min(1.0, most / far)
    path.right, path.down, path.zoom = path.right * share, path.down * share, path.zoom**share


def _times(rng: Rng, frames: int) -> np.ndarray:
    """(frames,): which picture is seen, at speeds that change and go down to rest."""
    top = float(rng.choice([0.5, 1.0, 1.0, 1.0, 1.5]))
    steady = rng.random() < 0.5
    pace = np.full(frames, top)
    if not steady:
        pace = eased(rng, frames, 0.0, top, top, (10, 80), (3, 20))
    return np.cumsum(pace) + int(rng.integers(128))
