"""How right found changes of shots are: one-to-one matches within two frames, as the benchmark of
PySceneDetect counts them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ..analysis.shot import Shot
from ..analysis.shots import ShotSpan
from .film_edits import KINDS, Transition

TOLERANCE = 2  # frames


class Guess(NamedTuple):
    """A change that was found: frames ``start`` to ``end`` - 1, none of them for a cut.

    ``kind``: one of KINDS, or "" where the detector does not say.
    """

    start: int
    end: int
    kind: str = ""


def guesses(shots: Sequence[ShotSpan] | Sequence[Shot]) -> list[Guess]:
    """The changes between shots."""
    return [
        Guess(s.start, s.start if s.transition == "cut" else s.settled, s.transition)
        for s in shots
        if s.transition != "start"
    ]


@dataclass
class Score:
    """Counts over films."""

    found: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    named: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    there: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    false: dict[str, int] = field(default_factory=lambda: dict.fromkeys((*KINDS, ""), 0))
    mistaken: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))

    def add(self, truth: Sequence[Transition], found: Sequence[Guess]) -> list[Guess]:
        """Count the changes of one more film; what was found where none is comes back."""
        left = list(found)
        for change in truth:
            self.there[change.kind] += 1
            near = [g for g in left if _meets(change, g)]
            if not near:
                continue
            best = min(near, key=lambda g: abs(g.start - change.start))
            left.remove(best)
            self.found[change.kind] += 1
            if best.kind == change.kind:
                self.named[change.kind] += 1
            elif best.kind:
                self.mistaken[best.kind] += 1
        for guess in left:
            self.false[guess.kind] += 1
        return left

    def f1(self, *kinds: str) -> float:
        """Harmonic mean of precision and recall of the changes of these kinds, whatever they were
        taken for. Found where nothing is counts where its kind is one of them, or is not told.
        """
        found = sum(self.found[k] for k in kinds)
        wrong = sum(self.false[k] for k in (*kinds, ""))
        return _f1(found, sum(self.there[k] for k in kinds), found + wrong)

    def f1_named(self, kind: str) -> float:
        """The same of one kind, where it was called by its name."""
        named = self.named[kind]
        return _f1(named, self.there[kind], named + self.mistaken[kind] + self.false[kind])


def _f1(right: int, there: int, told: int) -> float:
    return 2 * right / (there + told) if there + told else 1.0


def _meets(change: Transition, guess: Guess) -> bool:
    """Whether a guess is of this change: it begins within the tolerance of a cut, or lies on frames
    of a gradual one.
    """
    if change.start == change.end:
        middle = (guess.start + guess.end) / 2
        return min(abs(guess.start - change.start), abs(middle - change.start)) <= TOLERANCE
    return guess.start <= change.end + TOLERANCE and guess.end >= change.start - TOLERANCE
