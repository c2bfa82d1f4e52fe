"""Embeddings of stretches of a file: how they move, read from heads, and what they show, for which
few pictures are decoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..analysis.look import LOOK, look
from ..analysis.shot import Embedding, joined
from ..codec.weights import StrPath
from ..container.reader import ContainerReader
from ..errors import DamageLog
from .file_analysis import Analysis
from .timeline import Timeline

if TYPE_CHECKING:
    from .random_access import RandomAccess


class Part(NamedTuple):
    """Frames ``start`` to ``stop`` - 1 of one shot and one GOP; ``shown`` is looked at for them."""

    start: int
    stop: int
    shown: int


class Looks:
    """Makes embeddings; a picture is decoded when a stretch that it stands for is first asked for.

    Args:
        analysis: of the file.
        gop_starts: numbers of its I frames.
        access: decodes it; None where the model isn't known, then nothing is known of what is
            shown. What cannot be decoded raises DamageError, or is left out where it conceals.
    """

    def __init__(
        self, analysis: Analysis, gop_starts: Sequence[int], access: RandomAccess | None
    ) -> None:
        self.analysis, self._access = analysis, access
        self._parts = parts_of(analysis, gop_starts)
        self._seen: dict[int, np.ndarray] = {}

    def embedding(self, start: int = 0, stop: int | None = None) -> Embedding:
        """What frames ``start`` to ``stop`` - 1 are like."""
        stop = len(self.analysis) if stop is None else stop
        traits = self.analysis.reading.traits[start:stop]
        shown = np.zeros(LOOK)
        for part in self._parts:
            common = min(stop, part.stop) - max(start, part.start)
            if common > 0:
                shown += common * self._look(part)
        moving = traits.sum(0, dtype=np.float64)
        return Embedding(vector=joined(shown, moving))

    def frames(self) -> tuple[np.ndarray, np.ndarray]:
        """(n, LOOK) and (n, traits) float32: what the frames show, and how they move."""
        shown = np.zeros((len(self.analysis), LOOK), np.float32)
        for part in self._parts:
            shown[part.start : part.stop] = self._look(part)
        return shown, self.analysis.reading.traits

    def _look(self, part: Part) -> np.ndarray:
        """(LOOK,) float32, zeros where the picture isn't known."""
        if self._access is None:
            return np.zeros(LOOK, np.float32)
        if part.shown not in self._seen:
            ((_, picture, concealed),) = self._access.pictures([part.shown])
            self._seen[part.shown] = look(picture) * np.float32(not concealed)
        return self._seen[part.shown]


def looks_at(
    reader: ContainerReader, analysis: Analysis, weights: StrPath | None = None
) -> tuple[Looks, DamageLog]:
    """The looks of a file that is open, and what is found wrong while they are taken: what cannot
    be decoded is left out.

    weights: as in the analysis. LimitError where decoding would need more memory than allowed.
    """
    damage, access = DamageLog(), None
    if analysis.known_model and len(analysis):
        from .random_access import RandomAccess

        access = RandomAccess.to_few(reader, Timeline(reader, damage), weights, damage)
    return Looks(analysis, [e.first_frame for e in reader.gops], access), damage


def parts_of(analysis: Analysis, gop_starts: Sequence[int]) -> list[Part]:
    """The shots, cut where GOPs begin, and of each part the frame to look at: that of the lowest
    level which shows the shot alone, which is its I frame where it has one.
    """
    level = analysis.rows.level
    parts: list[Part] = []
    for shot in analysis.shots():
        inner = [n for n in gop_starts if shot.start < n < shot.end]
        for start, stop in zip([shot.start, *inner], [*inner, shot.end], strict=True):
            clear = max(start, min(shot.settled, stop - 1))
            own = np.arange(clear, stop)
            middle = (clear + stop - 1) / 2
            best = np.lexsort((abs(own - middle), level[own]))[0]
            parts.append(Part(start, stop, int(own[best])))
    return parts
