"""Where shots begin, from what the net says of each frame."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from .model import CHANGES, Reading
from .shot import THRESHOLD

Change = Literal["start", "cut", "dissolve", "fade", "wipe"]
_CUT = CHANGES.index("cut")
_NEAR = 2  # frames that a cut may be told beside its place
_GAP = 2  # frames without a sign that a gradual change may have
_SHORTEST = 3  # frames of a gradual change
_SURER = 0.2  # by which a cut at an end of a gradual change is, for that to be none
_EDGE = 0.5  # of the threshold: a change goes on as far as this
_LEAST_EDGE = 0.15  # below it is what the net says of any frame: a change would never end


class ShotSpan(NamedTuple):
    """Frames ``start`` to ``end`` - 1, and how they begin.

    ``transition``: "start" for the first of the video. A gradual one belongs to the shot that it
    brings in, from its first changed frame; ``settled`` is the first frame that shows the new shot
    alone. ``confidence``: 0 to 1.
    """

    start: int
    end: int
    transition: Change
    confidence: float
    settled: int


class _Found(NamedTuple):
    start: int
    end: int  # the first frame that shows the new shot alone
    kind: Change
    confidence: float


def find_shots(reading: Reading, threshold: float = THRESHOLD) -> list[ShotSpan]:
    """The shots of a video without frames in between; none where there are no frames.

    threshold: 0 to 1, what a change must be believed with.
    """
    frames = len(reading.change)
    if frames == 0:
        return []
    changes = _apart(_gradual(reading.change, threshold), _cuts(reading.change, threshold))
    # what the video itself begins or ends with brings no shot in
    changes = [c for c in changes if c.start > (c.kind != "cut") * _NEAR and c.end < frames]
    first = _Found(0, 0, "start", 1.0)
    ends = [*(c.start for c in changes), frames]
    return [
        ShotSpan(c.start, end, c.kind, round(c.confidence, 4), max(c.start, min(c.end, end)))
        for c, end in zip([first, *changes], ends, strict=True)
    ]


def _cuts(change: np.ndarray, threshold: float) -> list[_Found]:
    """Peaks of the probability of a cut, that of the frames beside counted in."""
    alone = change[:, _CUT]
    wide = np.convolve(alone, np.ones(3))[1:-1] if len(alone) > 2 else alone
    found: list[_Found] = []
    for at in np.flatnonzero(wide >= threshold).tolist():
        around = wide[max(0, at - _NEAR) : at + _NEAR + 1]
        if wide[at] < around.max() or (found and at - found[-1].start <= _NEAR):
            continue
        low = max(0, at - 1)
        place = low + int(alone[low : at + 2].argmax())
        found.append(_Found(place, place, "cut", min(1.0, float(wide[at]))))
    return found


def _gradual(change: np.ndarray, threshold: float) -> list[_Found]:
    """Runs of frames that are part of a dissolve, fade or wipe; each run is of one kind."""
    kinds = change[:, _CUT + 1 :]
    sums = kinds.sum(1)
    edge = sums >= max(_EDGE * threshold, _LEAST_EDGE)
    found: list[_Found] = []
    at, frames = 0, len(sums)
    while at < frames:
        if not edge[at]:
            at += 1
            continue
        end = at
        while end < frames and edge[end : end + _GAP + 1].any():
            end += 1
        while not edge[end - 1]:
            end -= 1
        top = float(np.sort(sums[at:end])[-min(_SHORTEST, end - at) :].mean())
        if end - at >= _SHORTEST and top >= threshold:
            which = int(kinds[at:end].sum(0).argmax())
            name: Change = ("dissolve", "fade", "wipe")[which]
            found.append(_Found(at, end, name, min(1.0, top)))
        at = end
    return found


def _apart(gradual: list[_Found], cuts: list[_Found]) -> list[_Found]:
    """All changes in their order; a cut within a gradual one is part of it. At one of its ends it
    stands in the place of a gradual one that is believed less: fast motion up to a cut.
    """
    kept = [g for g in gradual if not any(_supersedes(c, g) for c in cuts)]
    alone = [c for c in cuts if not any(g.start - _NEAR <= c.start <= g.end + _NEAR for g in kept)]
    return sorted(kept + alone)


def _supersedes(cut: _Found, gradual: _Found) -> bool:
    """Whether there is a cut alone, at an end of what looks like a gradual change."""
    near = min(abs(cut.start - gradual.start), abs(cut.start - gradual.end)) <= _NEAR
    return near and cut.confidence >= gradual.confidence + _SURER
