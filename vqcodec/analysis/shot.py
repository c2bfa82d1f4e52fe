"""Shots as they are given to people and programs, and likeness of stretches of videos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from ..errors import KindError
from .look import LOOK, unit

Transition = Literal["start", "cut", "dissolve", "fade", "wipe"]
Camera = Literal["still", "pan", "zoom", "shaky"]
THRESHOLD = 0.5  # with what probability a change is believed, where nothing else is said


@dataclass(frozen=True, kw_only=True)
class Shot:
    """Frames ``start`` to ``end`` - 1, which show one scene without a change in between.

    A dissolve, fade or wipe belongs to the shot that it brings in, from its first changed frame.
    """

    start: int
    """Its first frame."""
    end: int
    """The frame behind its last."""
    start_seconds: float
    """When the first frame is shown."""
    end_seconds: float
    """When the last frame ends."""
    transition: Transition
    """How it begins; "start" at the begin of the video and behind lost frames."""
    confidence: float
    """0 to 1, of the transition."""
    settled: int
    """The first frame that shows this shot alone: ``start`` but for gradual transitions."""
    activity: float
    """Mean change of luma from frame to frame, of 255."""
    camera: Camera
    """What the camera does in most of its frames."""
    surprise: float
    """Bits by which its least expected frame is less expected than the file's middle one."""
    kbps: float
    """Thousands of bits a second of its frames' streams."""

    @property
    def seconds(self) -> float:
        """How long it is shown."""
        return self.end_seconds - self.start_seconds

    def to_json(self) -> dict[str, Any]:
        """The fields, rounded."""
        return {
            key: round(value, 6) if isinstance(value, float) else value
            for key, value in asdict(self).items()
        }


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Frames ``start`` to ``end`` - 1, which are lost."""

    start: int
    end: int
    start_seconds: float
    end_seconds: float


EMBEDDING = 64  # numbers
_MOVES = EMBEDDING - LOOK  # of how it moves
_SHOWN = 0.8  # share of what is shown in a similarity


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """64 numbers that are near each other where videos are alike.

    The first 40 say what is shown, and are zeros where the model of the file is not known; the
    other 24 say how it moves and is coded.

    Attributes:
        vector: (64,) float32 of length 1.
    """

    vector: np.ndarray

    def similarity(self, other: Embedding) -> float:
        """-1 to 1: the cosine of the angle between both; 1 of equal ones."""
        if not isinstance(other, Embedding):
            raise KindError(f"{other!r} is none, allowed are Embedding", option="other")
        return float(np.dot(self.vector, other.vector))


def joined(shown: np.ndarray, moving: np.ndarray) -> np.ndarray:
    """(..., 64) float32 of length 1: the numbers of embeddings, of what is shown (..., 40) and how
    it moves (..., traits), both of any length. Of one that is zeros only the other counts.
    """
    # not by a library that sums in another order with other threads
    moves = np.einsum("...i,ij->...j", moving, _narrowing(moving.shape[-1]), optimize=False)
    parts = unit(shown), unit(moves)
    shares = (_SHOWN**0.5, (1 - _SHOWN) ** 0.5)
    return unit(np.concatenate([a * np.float32(b) for a, b in zip(parts, shares, strict=True)], -1))


def _narrowing(traits: int) -> np.ndarray:
    """(traits, 24): slow waves over the traits. Those are in no order, so that the waves are as
    good as directions by chance.
    """
    waves = np.arange(1, _MOVES + 1)
    return np.cos(np.outer(np.arange(traits) + 0.5, waves) * np.pi / traits)


def spaced(
    starts: Sequence[float], certain: Sequence[float], end: float, least: float
) -> list[int]:
    """Which of the changes at ``starts`` stay so that no shot is shorter than ``least``.

    Of the two around a shot that is too short the one of which less is ``certain`` goes, but never
    the first, with which the video begins. starts and end: seconds.
    """
    kept = list(range(len(starts)))
    while len(kept) > 1:
        places = [*(starts[i] for i in kept), end]
        # a tick's rounding makes no shot too short
        short = [k for k in range(len(kept)) if places[k + 1] - places[k] < least - 1e-9]
        if not short:
            break
        beside = [k for k in (short[0], short[0] + 1) if 0 < k < len(kept)]
        del kept[min(beside, key=lambda k: certain[kept[k]])]
    return kept
