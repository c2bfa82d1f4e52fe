"""Edited films that are made, with the truth about them: cuts, dissolves, fades and wipes, and what
is easily taken for them (flashes, lamps, titles, black frames, repeated frames).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from .film_cameras import UNKNOWN, Material, Shot, pages

KINDS = ("cut", "dissolve", "fade", "wipe")
NOTHING = 0  # label of a frame in which nothing begins; KINDS follow from 1
_TRIES = 50  # to find a shot of another recording
_THUMB = (36, 64)  # rows and columns on which change is measured
Rng = np.random.Generator


class Pace(NamedTuple):
    """How quickly a film goes on."""

    lengths: tuple[int, int]  # fewest and most frames of a shot between its transitions
    shares: tuple[float, ...] = (0.46, 0.22, 0.18, 0.14)  # of KINDS
    slow: float = 1.0  # gradual ones take up to so many times as long


QUICK = Pace((7, 26))
LONG = Pace((40, 400), (0.76, 0.1, 0.09, 0.05), 3.0)  # as films that people edited


class Transition(NamedTuple):
    """From one shot to the next: frames ``start`` to ``end`` - 1 show neither alone; a cut has no
    such frames, it starts and ends at the first frame of the new shot.
    """

    kind: str
    start: int
    end: int


@dataclass
class Film:
    """A made film as it is drawn: what is true of its frames so far."""

    transitions: list[Transition] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)  # NOTHING, or 1 + index in KINDS
    cameras: list[int] = field(default_factory=list)  # index in CAMERAS, or UNKNOWN
    shots: list[int] = field(default_factory=list)  # number of the shot
    change: list[float] = field(default_factory=list)  # of mean luma, of 255, since the one before
    lures: list[str] = field(default_factory=list)  # what is easily taken for a change, or ""


def _ramp(frames: int) -> np.ndarray:
    """Shares of the new picture in each frame of a transition, none of them 0 or 1."""
    return (np.arange(frames) + 1.0) / (frames + 1)


def _wipe_mask(rng: Rng, width: int, height: int) -> np.ndarray:
    """(height, width): when the new picture reaches a sample, 0 to 1."""
    rows, columns = np.mgrid[0:height, 0:width]
    x, y = columns / width, rows / height
    kind = rng.integers(6)
    if kind == 0:
        when = x
    elif kind == 1:
        when = y
    elif kind == 2:
        when = (x + y) / 2
    elif kind == 3:
        when = np.hypot(x - 0.5, y - 0.5) / 0.71
    elif kind == 4:
        when = np.abs(x - 0.5) * 2
    else:
        when = (np.arctan2(y - 0.5, x - 0.5) / np.pi + 1) / 2
    return np.asarray(1 - when if rng.random() < 0.5 else when)


def _slid(old: np.ndarray, new: np.ndarray, share: float, across: bool) -> np.ndarray:
    """The new picture pushes the old one out."""
    axis = 1 if across else 0
    at = round(share * old.shape[axis])
    both = np.concatenate([old, new], axis)
    return both[:, at : at + old.shape[1]] if across else both[at : at + old.shape[0]]


def _mixed(old: np.ndarray, new: np.ndarray, share: np.ndarray | float) -> np.ndarray:
    return np.asarray(np.rint(old * (1.0 - share) + new * np.asarray(share)), np.uint8)


class Editor:
    """Draws a film shot by shot.

    Args:
        material, rng: where shots are taken from; another rng makes another film.
        size: width and height.
        pace: how quickly it goes on.
    """

    def __init__(
        self,
        material: Material,
        rng: Rng,
        size: tuple[int, int],
        pace: Pace = QUICK,
    ) -> None:
        self._material, self._rng = material, rng
        self._width, self._height = size
        self._pace = pace
        self._pages = pages(self._rng, *size)
        self._thumb: np.ndarray | None = None
        self.film = Film()

    def frames(self, transitions: int) -> Iterator[np.ndarray]:
        """Frames (height, width, 3) uint8 RGB of a film of so many transitions."""
        rng = self._rng
        kinds = [KINDS[k] for k in rng.choice(len(KINDS), transitions, p=self._pace.shares)]
        shot, used = self._new_shot(None), 0
        yield from self._fade_in(shot)
        used = len(self.film.labels)
        for number, kind in enumerate(kinds):
            body = self._body_length()
            yield from self._body(shot, used, body, number)
            new = self._new_shot(shot)
            yield from self._transition(kind, shot, used + body, new, number)
            start = self.film.transitions[-1]
            used = 0 if kind == "cut" else start.end - start.start
            shot = new
        body = self._body_length()
        yield from self._body(shot, used, body, transitions)
        if rng.random() < 0.5:
            yield from self._fade_out(shot, used + body, transitions)

    # -- parts

    def _new_shot(self, before: Shot | None) -> Shot:
        """A shot of another recording than the one before: between two parts of one there would be
        a cut that nobody sees.
        """
        for _ in range(_TRIES):
            # the longest body and both transitions
            shot = self._material.shot(self._rng, self._pace.lengths[1] + 100)
            if before is None or shot.recording != before.recording:
                break
        return shot

    def _body_length(self) -> int:
        low, high = self._pace.lengths
        return int(low * (high / low) ** float(self._rng.random()))

    def _slowed(self, frames: int) -> int:
        """So many frames, or some times as many."""
        slow = self._pace.slow
        return frames if slow == 1 else round(frames * slow ** float(self._rng.random()))

    def _draw(self, shot: Shot, number: int) -> np.ndarray:
        return shot.frame(number, self._width, self._height, self._rng)

    def _note(
        self,
        picture: np.ndarray,
        label: int,
        camera: int,
        shot: int,
        jump: bool = False,
        lure: str = "",
    ) -> np.ndarray:
        """Write down what is true of the next frame."""
        luma = picture @ np.array([0.299, 0.587, 0.114])
        rows = np.linspace(0, luma.shape[0], _THUMB[0], endpoint=False).astype(int)
        columns = np.linspace(0, luma.shape[1], _THUMB[1], endpoint=False).astype(int)
        thumb = np.add.reduceat(np.add.reduceat(luma, rows, 0), columns, 1)
        thumb /= np.outer(np.diff(rows, append=len(luma)), np.diff(columns, append=luma.shape[1]))
        film = self.film
        before = self._thumb
        film.change.append(
            float("nan") if before is None or jump else float(np.abs(thumb - before).mean())
        )
        self._thumb = thumb
        film.labels.append(label)
        film.cameras.append(camera)
        film.shots.append(shot)
        film.lures.append(lure)
        return picture

    def _body(self, shot: Shot, used: int, frames: int, number: int) -> Iterator[np.ndarray]:
        """Frames of one shot, in a third of them with something that is no transition."""
        rng = self._rng
        event = str(
            rng.choice(
                ["", "flash", "lamp", "title", "black", "twos", "freeze"],
                p=[0.62, 0.12, 0.08, 0.08, 0.02, 0.05, 0.03],
            )
        )
        at = int(rng.integers(3, max(4, frames - 6)))
        effect = _Effect(rng, event, at, next(self._pages) if event == "title" else None)
        first = len(self.film.labels)
        jump = bool(self.film.transitions) and self.film.transitions[-1].end == first
        for at_frame in range(frames):
            picture = effect(self._draw(shot, used + effect.time(at_frame)), at_frame)
            camera = UNKNOWN if effect.hides(at_frame) else shot.label
            label = NOTHING
            if at_frame == 0 and jump and self.film.transitions[-1].kind == "cut":
                label = 1 + KINDS.index("cut")
            lure = effect.kind if effect.shows(at_frame) else shot.moves
            yield self._note(picture, label, camera, number, jump and at_frame == 0, lure)

    def _transition(
        self, kind: str, old: Shot, used: int, new: Shot, number: int
    ) -> Iterator[np.ndarray]:
        start = len(self.film.labels)
        if kind == "fade":
            parts = self._through(old, used, new)
        elif kind == "dissolve":
            parts = self._dissolve(old, used, new)
        elif kind == "wipe":
            parts = self._wipe(old, used, new)
        else:
            parts = iter(())
        label = 1 + KINDS.index(kind)
        for picture in parts:
            yield self._note(picture, label, UNKNOWN, number)
        self.film.transitions.append(Transition(kind, start, len(self.film.labels)))

    def _dissolve(self, old: Shot, used: int, new: Shot) -> Iterator[np.ndarray]:
        frames = self._slowed(int(4 * 10 ** float(self._rng.random())))
        for i, share in enumerate(_ramp(frames)):
            yield _mixed(self._draw(old, used + i), self._draw(new, i), float(share))

    def _through(self, old: Shot, used: int, new: Shot) -> Iterator[np.ndarray]:
        """Out to black or white, and in again; one of them may be sudden."""
        rng = self._rng
        lengths = rng.integers(3, 14, 2)
        if rng.random() < 0.2:
            lengths[rng.integers(2)] = 0
        flat = self._flat()
        hold = self._slowed(self._slowed(int(rng.integers(1, 7))))
        out, into = (self._slowed(int(length)) for length in lengths)
        for i, share in enumerate(_ramp(out)):
            yield _mixed(self._draw(old, used + i), flat, float(share))
        for _ in range(hold):
            yield flat
        for i, share in enumerate(_ramp(into)):
            yield _mixed(flat, self._draw(new, out + hold + i), float(share))

    def _wipe(self, old: Shot, used: int, new: Shot) -> Iterator[np.ndarray]:
        rng = self._rng
        frames = self._slowed(int(rng.integers(5, 25)))
        if rng.random() < 0.25:
            across, back = bool(rng.random() < 0.6), bool(rng.random() < 0.5)
            for i, share in enumerate(_ramp(frames)):
                before, after = self._draw(old, used + i), self._draw(new, i)
                yield (
                    _slid(after, before, float(1 - share), across)
                    if back
                    else _slid(before, after, float(share), across)
                )
            return
        when = _wipe_mask(rng, self._width, self._height)[..., None]
        soft = float(rng.choice([0.002, 0.05, 0.15]))
        for i, share in enumerate(_ramp(frames)):
            mask = np.clip((share * (1 + soft) - when) / soft, 0, 1)
            yield _mixed(self._draw(old, used + i), self._draw(new, i), mask)

    def _flat(self) -> np.ndarray:
        level = 255 if self._rng.random() < 0.25 else int(self._rng.choice([0, 0, 4, 12]))
        return np.full((self._height, self._width, 3), level, np.uint8)

    def _fade_in(self, shot: Shot) -> Iterator[np.ndarray]:
        if self._rng.random() < 0.5:
            return
        flat, label = self._flat(), 1 + KINDS.index("fade")
        for _ in range(int(self._rng.integers(1, 6))):
            yield self._note(flat, label, UNKNOWN, 0)
        for i, share in enumerate(_ramp(self._slowed(int(self._rng.integers(4, 15))))):
            yield self._note(_mixed(flat, self._draw(shot, i), float(share)), label, UNKNOWN, 0)

    def _fade_out(self, shot: Shot, used: int, number: int) -> Iterator[np.ndarray]:
        flat, label = self._flat(), 1 + KINDS.index("fade")
        for i, share in enumerate(_ramp(self._slowed(int(self._rng.integers(4, 15))))):
            picture = _mixed(self._draw(shot, used + i), flat, float(share))
            yield self._note(picture, label, UNKNOWN, number)
        for _ in range(int(self._rng.integers(1, 6))):
            yield self._note(flat, label, UNKNOWN, number)


class _Effect:
    """Something that happens within a shot and is no transition."""

    def __init__(self, rng: Rng, kind: str, at: int, card: np.ndarray | None) -> None:
        self.kind, self._at = kind, at
        self._length = int(rng.integers(1, 4))
        self._gain = float(rng.choice([0.35, 0.55, 1.4, 1.8]))
        self._offset = float(rng.choice([0, 0, 30, 70]))
        self._white = bool(rng.random() < 0.4)
        self._ramp = int(rng.choice([1, 1, 3, 8]))
        self._pop = bool(rng.random() < 0.5)
        self._card, self._stays = card, int(rng.integers(6, 30))
        self._place = float(rng.random())

    def time(self, number: int) -> int:
        """The frame of the shot that is shown as frame ``number``."""
        if self.kind == "twos":
            return number - number % 2
        if self.kind == "freeze" and number > self._at:
            return self._at + max(0, number - self._at - 8)
        return number

    def hides(self, number: int) -> bool:
        """Whether what the camera does cannot be seen in a frame."""
        if self.kind in ("flash", "black"):
            return self._at <= number <= self._at + self._length
        return self.kind == "freeze"

    def shows(self, number: int) -> bool:
        """Whether it changes a frame, or has changed the one before."""
        lasts = {"flash": self._length, "black": self._length, "lamp": self._ramp}
        since = number - self._at
        if self.kind in ("twos", "freeze"):
            return True
        return bool(self.kind) and 0 <= since <= lasts.get(self.kind, self._stays)

    def __call__(self, picture: np.ndarray, number: int) -> np.ndarray:
        if not self.kind or number < self._at:
            return picture
        since = number - self._at
        if self.kind == "flash" and since < self._length:
            if self._white:
                return np.full_like(picture, 250)
            return _lit(picture, 1.5, 70 + self._offset)
        if self.kind == "black" and since < self._length:
            return np.zeros_like(picture)
        if self.kind == "lamp":
            share = min(1.0, (since + 1) / self._ramp)
            return _lit(picture, 1 + share * (self._gain - 1), 0)
        if self.kind == "title" and self._card is not None and since < self._stays:
            share = 1.0 if self._pop else min(1.0, (since + 1) / 6, (self._stays - since) / 6)
            height = picture.shape[0]
            top = int(self._place * 0.65 * height)
            rows = slice(top, top + height // 4)
            out = picture.copy()
            out[rows] = _mixed(picture[rows], self._card[rows], share)
            return out
        return picture


def _lit(picture: np.ndarray, gain: float, offset: float) -> np.ndarray:
    return np.clip(picture * gain + offset, 0, 255).astype(np.uint8)
