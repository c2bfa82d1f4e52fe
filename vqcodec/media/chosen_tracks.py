"""Which tracks of a file an output gets, by a :class:`vqcodec.track_choice.TrackChoice`."""

from __future__ import annotations

from collections.abc import Iterable

from ..container.tracks import Track
from ..options import TrackChoice
from ..track_choice import Matcher


def matched(tracks: Iterable[Track], choice: TrackChoice) -> tuple[list[Track], Matcher]:
    """The tracks that are wanted, by number, and what knows which maps named none of all."""
    kinds: dict[str, int] = {"video": 1}  # the pictures are the first of theirs
    matcher = choice.matcher()
    kept = []
    for track in sorted(tracks, key=lambda t: t.number):
        position = kinds.get(track.kind, 0)
        kinds[track.kind] = position + 1
        if matcher.keeps(track.kind, position, track.number + 1):
            kept.append(track)
    return kept, matcher


def chosen(
    tracks: Iterable[Track], choice: TrackChoice, notes: list[str] | None = None
) -> list[Track]:
    """The tracks that are wanted, by number; remarks on choices that match none go to ``notes``."""
    kept, matcher = matched(tracks, choice)
    if notes is not None:
        notes += matcher.unused()
    return kept
