"""Outputs that FFmpeg's encoders and muxers write, with exact times and all tracks they can
hold."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import BinaryIO

import av
import av.error
from av.container import OutputContainer

from ..container.description import Description
from ..errors import OutputError
from ..picture import Picture
from ..system.processors import usual_turns
from ..system.stdio import PIPE
from .captions import Captions, can_insert
from .encoder_options import quality_of
from .encoder_stream import EncoderStream, add_stream, check_options, rate_of
from .frames import to_frame
from .muxer_trial import cannot_write
from .output import Extras, Output, OutputChoice
from .output_clock import OutputClock
from .output_description import Fitting, fill
from .picture_packets import PicturePackets
from .tags import mp4_flags
from .track_muxer import TrackFeed, TrackMuxer


class CodedOutput:
    """Encodes pictures and muxes them with the packets of other tracks.

    Raises OutputError; a BrokenPipeError where the reader of a pipe has seen enough.
    """

    def __init__(
        self,
        output: Output,
        container: OutputContainer,
        pictures: EncoderStream,
        muxer: TrackMuxer | None,
        feed: TrackFeed | None,
    ) -> None:
        self.output = output
        self._container: OutputContainer | None = container
        self._stream, self._filters, warnings = pictures
        self._muxer, self._feed = muxer, feed
        self._clock = OutputClock(output)
        self._packets = PicturePackets(output, container, self._stream)
        self._warnings = [*output.warnings, *warnings]
        self.frames = 0
        self.quality = ""

    @classmethod
    def open(
        cls,
        output: Output,
        choice: OutputChoice,
        extras: Extras | None,
        file: BinaryIO | None,
        uneven: bool,
    ) -> CodedOutput:
        """Begin the output without what the muxer or the encoder refuses, each with a warning.

        ``uneven``: pictures are not at equal distances.
        """
        description, warnings = Description(), list[str]()
        if extras is not None:
            fitting = Fitting(output.suffix, rate_of(output))
            start, stop, rotation = extras.start, extras.stop, output.header.rotation
            description = fitting.fit(extras.stored.description, start, stop, rotation)
            warnings = fitting.warnings
        # with pictures that are reordered .mp4 cannot say when the last one ends, unless all are as
        # long; the distances of its times of decoding add up to something else
        in_order = uneven and output.is_mp4
        try:
            made = cls._begun(output, choice, description, extras, file, in_order)
        except (av.error.FFmpegError, OSError) as exc:
            without = replace(description, mastering=None, light=None)
            if without == description or cannot_write(exc, output.path):
                raise
            made = cls._begun(output, choice, without, extras, file, in_order)
            warnings.append(
                "the HDR data (mastering display, content light level) is left out: "
                f"{output.codec} refuses it"
            )
        made._warnings += warnings
        made.quality = quality_of(output.codec, choice.vcodec_opts)
        return made

    @classmethod
    def _begun(
        cls,
        output: Output,
        choice: OutputChoice,
        description: Description,
        extras: Extras | None,
        file: BinaryIO | None,
        in_order: bool,
    ) -> CodedOutput:
        """Begin the output with all that a description says; errors of FFmpeg."""
        options = {}
        if output.is_mp4:
            options["movflags"] = mp4_flags(description.tags)
            # times before the first frame are kept in units of the movie's time scale, by default
            # milliseconds
            options["movie_timescale"] = str(output.base.denominator)
        to = "file:" + output.path if file is None else file
        with ExitStack() as stack:
            container = av.open(to, "w", format=output.muxer, options=options)
            stack.callback(_closed, container)
            pictures = add_stream(container, output, description, choice, in_order)
            fill(container, pictures.stream, description, output.header.rotation)
            muxer, feed = None, None
            if extras is not None:
                tracks, to_pipe = extras.stored.tracks.values(), output.path == PIPE
                muxer = TrackMuxer(container, output.suffix, tracks, extras.choice, to_pipe)
                stack.callback(muxer.close)
                packets = extras.stored.packets(extras.first_frame)
                feed = TrackFeed(muxer, packets, extras.start)
            with usual_turns():
                container.start_encoding()
            check_options(output, pictures.stream, choice)
            made = cls(output, container, pictures, muxer, feed)
            if extras is not None:
                made._add_captions(extras)
            stack.pop_all()
        return made

    def _add_captions(self, extras: Extras) -> None:
        """Put stored captions into the pictures, where the encoder has a place for them."""
        track = None if self._muxer is None else self._muxer.captions
        if track is None:
            return
        codec = self.output.codec
        if not can_insert(codec) or track.time_base != self.output.header.time_base:
            why = "pictures at another rate" if can_insert(codec) else codec
            self._warnings.append(
                f"the captions in the pictures are left out: {why} cannot hold them"
            )
            return
        self._packets.first_tick = round(extras.start / track.time_base)
        self._packets.captions = Captions(extras.stored, track, extras.first_frame)

    @property
    def notes(self) -> list[str]:
        """Remarks on what was chosen or converted; all of them after :meth:`close`."""
        moved = [self._clock.note] if self._clock.note else []
        of_tracks = self._muxer.notes if self._muxer is not None else []
        return [*self.output.notes, *moved, *of_tracks]

    @property
    def warnings(self) -> list[str]:
        """What the kind of the output cannot hold; all of it after :meth:`close`."""
        return self._warnings + (self._muxer.warnings if self._muxer is not None else [])

    @property
    def lost(self) -> list[str]:
        """What the output took a part of only."""
        return self._muxer.lost if self._muxer is not None else []

    def write(self, pts: int, picture: Picture, duration: int = 0) -> None:
        """Append a picture.

        Args:
            pts: in ticks of the header's time base, increasing.
            picture: of the header's size and the output's depth.
            duration: in the same ticks, 0 where unknown.
        """
        self.output.check(picture)
        header = self.output.header
        if self.frames == 0:
            self._clock.begin(pts, self._stream.time_base)
            if self._feed is not None and self._clock.delay:
                self._feed.delay = self._clock.delay * header.time_base
        with self.output.told(f"frame {self.frames} cannot be written"):
            if self._feed is not None:
                self._feed.until((pts + self._clock.delay) * header.time_base)
            frame = to_frame(picture, self.output.pixel_format, header)
            frame.pts, frame.time_base = self._clock.time(pts), self.output.base
            if lasts := self._clock.duration(duration):
                frame.duration = lasts
            self._packets.encode(pts, self._filters.told(frame))
        self.frames += 1

    def close(self, end: int | None = None) -> None:
        """Complete the file, with packets of tracks up to ``end`` in ticks (None: all).

        Repeated calls do nothing.
        """
        container, self._container = self._container, None
        if container is None:
            return
        try:
            with self.output.told("cannot be completed"):
                if self._feed is not None and end is None:
                    self._feed.until(None)
                elif self._feed is not None and end is not None:
                    self._feed.finish((end + self._clock.delay) * self.output.header.time_base)
                self._packets.flush()
                container.close()
                if self._muxer is not None:
                    self._muxer.finish(self.output.path)
        finally:
            if self._muxer is not None:
                self._muxer.close()

    def abort(self) -> None:
        """Close without completing; errors are of no interest any more."""
        container, self._container = self._container, None
        if container is not None:
            _closed(container)
            if self._muxer is not None:
                self._muxer.close()


def _closed(container: OutputContainer) -> None:
    """Close an output that is given up."""
    with suppress(av.error.FFmpegError, OSError, OutputError):
        container.close()
