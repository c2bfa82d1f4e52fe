"""Shots as lists that editors and players read: EDL (CMX 3600), OpenTimelineIO, chapters.

Times are those at which frames are shown, on the clock of the list's rate, whatever the distances
of the frames are. Transitions are in the pictures already, so that all events are cuts, and say in
a remark how the shot begins.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any, NamedTuple

from ..system.text import printable
from .shot import Gap, Shot
from .timecode import Clock

_CHAPTER_BASE = 1000


class EditList(NamedTuple):
    """What lists are made of."""

    name: str  # of the file
    shots: Sequence[Shot]
    gaps: Sequence[Gap]
    clock: Clock
    first: int  # the frame of the clock at which the video begins
    begin: float  # seconds at which its first frame is shown
    end: float

    def at(self, seconds: float) -> int:
        """The frame of the clock at a time of the video."""
        return self.first + self.clock.frame(seconds - self.begin)


def edl(edits: EditList) -> str:
    """A list of CMX 3600: an event for each shot, its place in the source and in the list alike."""
    stem = PurePath(edits.name).stem
    mode = "DROP FRAME" if edits.clock.drop else "NON-DROP FRAME"
    lines = [f"TITLE: {printable(stem)}", f"FCM: {mode}", ""]
    for number, shot in enumerate(edits.shots, 1):
        times = [
            edits.clock.text(edits.at(seconds))
            for seconds in (shot.start_seconds, shot.end_seconds)
        ]
        lines.append(f"{number:03}  AX       V     C        {' '.join(2 * times)}")
        lines.append(f"* FROM CLIP NAME: {printable(PurePath(edits.name).name)}")
        lines.append(f"* COMMENT: {shot.transition.upper()} {shot.confidence:.2f} {shot.camera}")
        lines.append("")
    return "\n".join(lines)


def otio(edits: EditList) -> str:
    """A timeline of OpenTimelineIO: a track of pictures with a clip for each shot."""
    rate = float(edits.clock.rate)
    where = edits.first + edits.clock.frame(edits.end - edits.begin)
    media = {
        "OTIO_SCHEMA": "ExternalReference.1",
        "target_url": edits.name,
        "available_range": _range(edits.first, where, rate),
    }
    places: list[Shot | Gap] = [*edits.shots, *edits.gaps]
    children: list[dict[str, Any]] = []
    for number, place in enumerate(sorted(places, key=_start), 1):
        part = _range(edits.at(place.start_seconds), edits.at(place.end_seconds), rate)
        if isinstance(place, Gap):
            children.append({"OTIO_SCHEMA": "Gap.1", "name": "lost frames", "source_range": part})
            continue
        children.append(
            {
                "OTIO_SCHEMA": "Clip.2",
                "name": f"shot {number}",
                "source_range": part,
                "media_references": {"DEFAULT_MEDIA": media},
                "active_media_reference_key": "DEFAULT_MEDIA",
                "metadata": {"vqcodec": place.to_json()},
            }
        )
    track = {"OTIO_SCHEMA": "Track.1", "kind": "Video", "name": "shots", "children": children}
    timeline: dict[str, Any] = {
        "OTIO_SCHEMA": "Timeline.1",
        "name": PurePath(edits.name).stem,
        "global_start_time": _time(edits.first, rate),
        "tracks": {"OTIO_SCHEMA": "Stack.1", "name": "tracks", "children": [track]},
    }
    return json.dumps(timeline, indent=2) + "\n"


def chapters(edits: EditList) -> str:
    """Chapters in FFmpeg's form of metadata, which ``ffmpeg -i FILE -i CHAPTERS`` takes."""
    lines = [";FFMETADATA1"]
    for number, shot in enumerate(edits.shots, 1):
        times = [
            round((t - edits.begin) * _CHAPTER_BASE) for t in (shot.start_seconds, shot.end_seconds)
        ]
        lines += ["", "[CHAPTER]", f"TIMEBASE=1/{_CHAPTER_BASE}"]
        lines += [f"START={times[0]}", f"END={times[1]}", f"title=Shot {number}"]
    return "\n".join(lines) + "\n"


def _start(place: Shot | Gap) -> int:
    return place.start


def _time(frame: int, rate: float) -> dict[str, Any]:
    return {"OTIO_SCHEMA": "RationalTime.1", "rate": rate, "value": float(frame)}


def _range(start: int, end: int, rate: float) -> dict[str, Any]:
    return {
        "OTIO_SCHEMA": "TimeRange.1",
        "start_time": _time(start, rate),
        "duration": _time(end - start, rate),
    }
