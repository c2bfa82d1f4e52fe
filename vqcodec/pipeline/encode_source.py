"""The source of an encode, which is opened once more for each pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from ..container.packets import StreamHeader
from ..errors import UsageError
from ..fields import crc32
from ..options import EncodeOptions
from ..picture import Picture
from ..system.ahead import read_ahead
from ..system.interrupt import Interrupt
from ..system.stdio import CountedPipe
from .encode_plan import EncodePlan
from .job_count import chosen
from .output import SourceExtras

if TYPE_CHECKING:
    from ..media.source import VideoSource


@dataclass(frozen=True)
class EncodeSource:
    """Pictures, tags and tracks of a source, open for as long as its stack lives."""

    plan: EncodePlan
    stack: ExitStack
    path: str
    pipe: CountedPipe | None  # that the pictures come from, in the place of the path
    video: VideoSource  # as one pass reads it

    @classmethod
    def open(cls, stack: ExitStack, plan: EncodePlan) -> EncodeSource:
        """Raises UsageError for tracks that are not there, else what VideoSource does."""
        path, pipe = plan.source.open_video(stack, again=plan.options.target is not None)
        video = _opened(stack, plan, path, pipe)
        _check_tracks(plan.source.name, None if pipe else path, video.index, plan.options)
        if plan.spread:
            size, longest = (video.width, video.height), plan.options.gop_frames(video.rate)
            options = chosen(plan.options, size, video.total, longest, video.ten_bit)
            plan = replace(plan, options=options)
        return cls(plan, stack, path, pipe, video)

    @property
    def step(self) -> int:
        """Ticks that a frame lasts which nothing follows."""
        rate = self.video.rate or Fraction(25)
        return max(1, round(1 / (rate * self.video.time_base)))

    @property
    def size(self) -> int | None:
        """Size of the source's file; None where a stretch of it or a pipe is coded."""
        options = self.plan.options
        whole = self.pipe is None and options.start is None and options.duration is None
        return Path(self.path).stat().st_size if whole else None

    def again(self) -> EncodeSource:
        """The source with its video opened once more, at its beginning."""
        return replace(self, video=_opened(self.stack, self.plan, self.path, self.pipe))

    def frames(self, interrupt: Interrupt) -> Iterator[tuple[int, Picture]]:
        """Times in ticks and pictures, read ahead in a thread until the interrupt."""
        return self.stack.enter_context(closing(read_ahead(self.video, interrupt=interrupt)))

    def extras(self) -> SourceExtras:
        """Tags and tracks on their way to the file."""
        return SourceExtras(self.video, None if self.pipe else self.path, self.plan.options)

    def header(self, first: Picture, model_id: bytes) -> StreamHeader:
        """Header of the stream that begins with this picture."""
        video = self.video
        return StreamHeader(
            width=video.width,
            height=video.height,
            time_base=video.time_base,
            rate=video.rate,
            sar=video.sar,
            rotation=video.rotation,
            primaries=video.primaries,
            transfer=video.transfer,
            matrix=video.matrix,
            range=video.range,
            chroma_location=video.chroma_location,
            bit_depth=video.bit_depth,
            crf=round(self.plan.options.crf),
            content_id=crc32(*(plane.tobytes() for plane in first)),
            model_id=model_id,
        )


def _opened(stack: ExitStack, plan: EncodePlan, path: str, pipe: CountedPipe | None) -> VideoSource:
    from ..media.source import VideoSource
    from ..media.source_choice import SourceChoice

    choice = SourceChoice.of(plan.options)
    return stack.enter_context(VideoSource(path, choice, pipe=pipe, name=plan.source.name))


def _check_tracks(name: str, path: str | None, index: int, options: EncodeOptions) -> None:
    """UsageError where a map names no track, before anything is coded; or where tracks would be
    kept that no longer fit pictures at another rate. A pipe has no ``path``, and no tracks."""
    from ..media.track_source import TrackSource

    if path is None:
        options.tracks.matcher().check(name)
        return
    others = TrackSource(path, index, options.tracks, playlists=options.playlists)
    others.close()
    others.matched.check(name)
    if options.rate is not None and others.timed:
        raise UsageError(
            f"at another rate its {others.timed} other tracks would not fit the pictures",
            file=name,
            advice="leave them out with `tracks=v`, or leave out `rate`",
        )
