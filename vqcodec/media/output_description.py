"""Tags, chapters, roles and the turn of the pictures on their way into an output.

Which of them a kind of file holds is tried on a small file in memory, which is then read again:
what the muxer refuses there would cost the whole output, and what it drops in silence would be
lost unsaid.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from av.container import InputContainer, OutputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from ..container.description import Chapter, Description, Tags, clip_chapters
from ..system.progress import counted
from .inputs import open_written
from .muxer_trial import FAILED, trial
from .output_formats import MP4_KINDS, muxer_of
from .side_data import MATRIX, side_data
from .tags import MAX_TAGS, file_tags, mp4_flags, picture_tags
from .ticks import BeyondError, ticks
from .track_source import describe

_OF_OTHERS = int(Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image)
MAX_CHAPTERS = 10_000  # muxers take time by the square of their number
_TOLD = 5  # names of tags in a sentence


@dataclass(frozen=True)
class _Part:
    """Fields of a description that a muxer may refuse, and what they are called."""

    fields: tuple[str, ...]
    called: str


_PARTS = (
    _Part(("tags", "video_tags"), "tags are"),
    _Part(("chapters",), "chapters are"),
    _Part(("disposition",), "roles of the track are"),
)


def fill(
    container: OutputContainer, stream: VideoStream, description: Description, rotation: int = 0
) -> None:
    """Put tags, chapters, disposition and turn into an output that was not started.

    ``rotation`` is in degrees clockwise; a matrix of the description says more than it does.
    """
    container.metadata.update(file_tags(description.tags))
    stream.metadata.update(picture_tags(description.video_tags))
    stream.disposition = Disposition(description.disposition)
    container.set_chapters(
        [
            {
                "id": chapter.id,
                "start": chapter.start,
                "end": chapter.end,
                "time_base": chapter.time_base,
                "metadata": file_tags(chapter.tags),
            }
            for chapter in description.chapters
        ]
    )
    if description.matrix is not None:
        stream.set_display_matrix(description.matrix)
    elif rotation:
        stream.set_display_rotation(-rotation % 360)


class Fitting:
    """Finds out what a kind of file, told by its suffix, holds of descriptions of pictures at a
    ``rate``.

    ``warnings`` has a sentence for each thing that is left out.
    """

    def __init__(self, suffix: str, rate: Fraction) -> None:
        self._suffix, self._muxer, self._rate = suffix, muxer_of(suffix), rate
        self.warnings: list[str] = []

    def fit(
        self, description: Description, start: Fraction, stop: Fraction | None, rotation: int
    ) -> Description:
        """What the kind of file holds of a description, for the pictures from ``start`` to
        ``stop``.

        Both are seconds on the clock of the file; None is the end of it.
        """
        if (more := max(len(description.tags), len(description.video_tags)) - MAX_TAGS) > 0:
            self.warnings.append(f"{more} tags are left out: there are more than {MAX_TAGS}")
        chapters = self._chapters(clip_chapters(description.chapters, start, stop))
        taken = replace(
            description, chapters=chapters, disposition=description.disposition & ~_OF_OTHERS
        )
        # but +faststart, which cannot be done in memory
        flags = mp4_flags(description.tags).removeprefix("+faststart")
        options = {"movflags": flags} if self._suffix in MP4_KINDS and flags else {}
        made = self._written(taken, rotation, options)
        if made is None and (untold := _without_timecode(taken)) != taken:
            # frames of a second that is counted are numbered in 8 bits
            if made := self._written(untold, rotation, options):
                rate = float(self._rate)
                self.warnings.append(
                    f"the timecode is left out: {self._suffix} has none at {rate:g} frames a second"
                )
                taken = untold
        if made is None:
            for part in _PARTS:
                if self._written(_only(taken, part.fields), 0, options) is None:
                    taken = _without(taken, part.fields)
                    self.warnings.append(f"the {part.called} left out: {self._suffix} refuses them")
            made = self._written(taken, rotation, options)
        if made is None:
            return Description(pix_fmt=description.pix_fmt)
        with open_written(self._muxer, made) as found:
            self._compare(taken, rotation, found)
        return taken

    def _chapters(self, chapters: Sequence[Chapter]) -> tuple[Chapter, ...]:
        """Those whose times a file can hold, and no more than muxers take."""
        whole: list[Chapter] = []
        looked = 0
        for chapter in chapters:
            if len(whole) == MAX_CHAPTERS:
                break
            looked += 1
            if _holds_times(chapter):
                whole.append(chapter)
        if len(whole) < looked:
            self.warnings.append(
                f"{looked - len(whole)} chapters are left out: no video file holds their times"
            )
        if looked < len(chapters):
            self.warnings.append(
                f"{len(chapters) - looked} chapters are left out: "
                f"there are more than {MAX_CHAPTERS}"
            )
        return tuple(whole)

    def _written(
        self, description: Description, rotation: int, options: dict[str, str]
    ) -> bytes | None:
        """A file of one picture with all of a description; None where the muxer refuses it."""

        def put(container: OutputContainer, stream: VideoStream) -> None:
            fill(container, stream, description, rotation)

        return trial(self._muxer, put, options, self._rate)

    def _compare(self, given: Description, rotation: int, found: InputContainer) -> None:
        """Warn of what was written and is not found again."""
        back = describe(found, found.streams.video[0])
        elsewhere = "title" if self._muxer == "mpegts" else ""  # it is the name of the service
        losses = [
            "" if _turned(found) else turn(given, rotation),
            several(len(given.chapters) - len(back.chapters), "chapter"),
            tags_named(_missing(given.tags, back.tags, elsewhere)),
        ]
        self.warnings += left_out(self._suffix, losses)


def turn(description: Description, rotation: int) -> str:
    """What the pictures are turned by, for a sentence; empty where they are not."""
    if description.matrix is not None:
        return "how the pictures are turned or mirrored"
    return f"the rotation by {rotation} degrees" if rotation else ""


def tags_named(names: Sequence[str]) -> str:
    """How many tags there are, and the names of the first of them, for a sentence."""
    shown = ", ".join([*names[:_TOLD], *(["..."] if len(names) > _TOLD else [])])
    return f"{counted(len(names), 'tag')} ({shown})" if names else ""


def several(count: int, thing: str) -> str:
    """``2 chapters`` for a sentence; empty where there is none."""
    return counted(count, thing) if count > 0 else ""


def left_out(suffix: str, losses: Sequence[str]) -> list[str]:
    """A sentence on all that a kind of file cannot hold, empty texts aside; none without losses."""
    lost = ", ".join(what for what in losses if what)
    return [f"left out, as {suffix} cannot hold it: {lost}"] if lost else []


def _only(description: Description, names: Sequence[str]) -> Description:
    return replace(Description(), **{name: getattr(description, name) for name in names})


def _without(description: Description, names: Sequence[str]) -> Description:
    return replace(description, **{name: getattr(Description(), name) for name in names})


def _without_timecode(description: Description) -> Description:
    def others(tags: Tags) -> Tags:
        return {name: value for name, value in tags.items() if name.lower() != "timecode"}

    tags, video_tags = others(description.tags), others(description.video_tags)
    return replace(description, tags=tags, video_tags=video_tags)


def _holds_times(chapter: Chapter) -> bool:
    try:
        begin, end = (ticks(time, chapter.time_base) for time in (chapter.start, chapter.end))
    except BeyondError:
        return False
    return begin <= end


def _turned(found: InputContainer) -> bool:
    """Whether the first picture says how it is to be turned."""
    try:
        for frame in found.decode(video=0):
            return MATRIX in side_data(frame)
    except FAILED:
        pass
    return False


def _missing(given: Tags, found: Tags, elsewhere: str) -> list[str]:
    """Names of tags that are not found again; what a muxer keeps ``elsewhere`` counts as found.

    Kinds of files change letters and spaces in names.
    """

    def plain(name: str) -> str:
        return re.sub(r"[\W_]+", "_", name.lower())

    there = {plain(name) for name in found} | {elsewhere}
    return sorted(n for n, value in file_tags(given).items() if value and plain(n) not in there)
