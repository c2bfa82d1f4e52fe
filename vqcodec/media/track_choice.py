"""Which tracks of a file an output gets."""

from __future__ import annotations

from collections.abc import Iterable

from ..container.tracks import Track
from ..options import TrackChoice


def chosen(
    tracks: Iterable[Track], choice: TrackChoice, notes: list[str] | None = None
) -> list[Track]:
    """The tracks that are wanted, by number; remarks on choices that match none go to ``notes``."""
    kinds: dict[str, int] = {"video": 1}
    matched = choice.matcher()
    kept = []
    for track in sorted(tracks, key=lambda t: t.number):
        position = kinds.get(track.kind, 0)
        kinds[track.kind] = position + 1
        if matched.keeps(track.kind, position, track.number + 1):
            kept.append(track)
    if notes is not None:
        notes += matched.unused()
    return kept
