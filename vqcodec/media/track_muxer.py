"""Packets of sound, subtitles, attachments and data into video files, untouched."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path, PurePath
from typing import cast

import av
import av.error
from av.container import InputContainer, OutputContainer
from av.packet import (
    Packet,
    PacketSideData,
    PktSideDataT,
    packet_sidedata_type_from_literal,
)
from av.stream import Disposition, Stream

from ..container.description import SIDE
from ..container.tracks import PARAMETERS, Parameters, Track, TrackPacket
from ..errors import DamageError, OutputError
from ..options import TrackChoice
from . import amr
from .captions import is_captions
from .chosen_tracks import chosen
from .inputs import SAMPLE_FORMATS, open_sample, open_written
from .muxer_trial import FAILED, cannot_write, trial
from .tags import file_tags, track_tags
from .ticks import length, ticks
from .track_samples import KNOWN_BY, Add, codec_of, file_of_one, name_of, stream_laid_out, wave_of
from .track_source import LONGEST_PIECE, cut
from .wave import as_file, rename, stand_in

_NONSTRICT = 0x20000  # FFmpeg's AVFMT_TS_NONSTRICT: times may repeat
_LEAST = -(1 << 63)
_COVERS = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}


def _is_cover(track: Track) -> bool:
    return bool(track.disposition & Disposition.attached_pic)


def round_half_up(value: Fraction) -> int:
    """The nearest integer."""
    return math.floor(value + Fraction(1, 2))


class TrackMuxer:
    """Adds tracks to an output of FFmpeg that was not started yet, then muxes their packets;
    ``notes`` are remarks, ``warnings`` say what it can't take, ``lost`` what it took a part of
    only."""

    def __init__(
        self,
        container: OutputContainer,
        suffix: str,
        tracks: Iterable[Track],
        choice: TrackChoice,
        to_pipe: bool = False,
    ) -> None:
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.lost: list[str] = []
        self._container, self._suffix = container, suffix
        self._streams: dict[int, tuple[Stream, Track]] = {}
        self._last: dict[int, int] = {}
        self._to_pipe = to_pipe  # so that nothing can be renamed at the end
        self._strict = not container.format.flags & _NONSTRICT
        self._waves: list[bytes] = []  # of streams that are renamed at the end
        self._open: list[InputContainer] = []  # samples, which the streams refer to
        self.captions: Track | None = None  # of the pictures, which their writer puts into them
        for track in chosen(tracks, choice, self.notes):
            if is_captions(track):
                self.captions = track
            elif (reason := self._add(track)) and not self._by_tag(track):
                self.warnings.append(f"{track} is left out: {reason}")

    def _by_tag(self, track: Track) -> bool:
        """Whether the muxer writes a track by itself: timecodes, which the pictures' tag has."""
        has = track.kind == "data" and "timecode" in map(str.lower, track.tags)
        return has and self._suffix in (".mp4", ".m4v", ".mov")

    def _by_frame(self, track: Track) -> bool:
        """Whether packets must be split into frames for the kind of the output."""
        return track.codec in amr.CODECS and self._suffix == ".mov"

    def _add(self, track: Track) -> str | None:
        """None, or why not. Whatever is wrong with a track costs that track and no more."""
        if track.kind == "attachment":
            return self._attach(track, track.sample, "attachment", "application/octet-stream")
        if track.format not in (*SAMPLE_FORMATS, PARAMETERS):
            return "its parameters are of an unknown kind"
        try:
            ways, data = self._ways(track)
            if self._by_frame(track):
                data = amr.frames(track.codec, data)[0]
        except (DamageError, *FAILED):
            return "its parameters are damaged"
        if self._suffix == ".mkv" and track.kind == "video" and _is_cover(track):
            return self._attach(track, data, *_COVERS.get(track.codec, _COVERS["mjpeg"]))
        stream = self._stream(track, ways, data)
        if stream is None:
            return self._cannot
        stream.time_base = track.time_base
        stream.disposition = Disposition(track.disposition)
        stream.metadata.clear()
        stream.metadata.update(track_tags(track.tags))
        self._streams[track.number] = (stream, track)
        return None

    @property
    def _cannot(self) -> str:
        return f"{self._suffix} cannot hold it"

    def _stream(self, track: Track, ways: list[tuple[Add, bytes]], data: bytes) -> Stream | None:
        """The track's stream in the output by the first of the ways that its kind of files takes.

        What a muxer refuses only when it writes the header would cost the whole file, so each is
        tried on a file of its own first.
        """
        for add, wave in ways:
            try:
                if not self._holds(track, add, data, wave):
                    continue
                stream = add(self._container)
            except FAILED:
                continue
            if wave:
                self._waves.append(wave)
            return stream
        return None

    def _ways(self, track: Track) -> tuple[list[tuple[Add, bytes]], bytes]:
        """What may add the track to a file, each with the WAVEFORMATEX of a stand-in that is
        renamed at the end (empty: it is none); and its first packet."""
        if track.format != PARAMETERS:
            sample = self._opened(open_sample(track.format, track.sample), track)
            data = next((bytes(p) for p in sample.demux() if p.size), b"")
            return self._copies(sample.streams[0], wave_of(sample.streams[0], data)), data
        parameters = Parameters.from_bytes(track.sample)
        if parameters.wave:
            template = self._opened(open_written("wav", as_file(parameters.wave)), track).streams[0]
            return self._copies(template, parameters.wave), parameters.packet
        if track.kind == "data":
            return [(lambda out: out.add_data_stream(track.codec), b"")], parameters.packet
        if parameters.extradata:
            return [], b""  # PyAV gives it to a copy only
        size = (
            {"width": parameters.width, "height": parameters.height}
            if track.kind == "video"
            else {}
        )
        rate = parameters.sample_rate or None
        return [(lambda out: out.add_mux_stream(track.codec, rate, **size), b"")], parameters.packet

    def _copies(self, template: Stream, wave: bytes) -> list[tuple[Add, bytes]]:
        ways: list[tuple[Add, bytes]] = [(partial(stream_laid_out, template), b"")]
        if not wave or self._container.format.name != "matroska" or self._to_pipe:
            return ways
        short = open_written("wav", as_file(stand_in(wave)))
        self._open.append(short)

        def stands_in(out: OutputContainer) -> Stream:
            stream = out.add_stream_from_template(short.streams[0])
            stream.codec_context.extradata = wave
            return stream

        return [*ways, (stands_in, wave)]

    def _opened(self, sample: InputContainer, track: Track) -> InputContainer:
        self._open.append(sample)
        if [s.type for s in sample.streams] != [track.kind]:
            raise ValueError("a sample of something else")
        return sample

    def _holds(self, track: Track, add: Add, data: bytes, wave: bytes) -> bool:
        """Whether files of the kind of the output can hold a track, so that it is found again."""
        name = self._container.format.name
        times = KNOWN_BY.get(name, 1)
        suffix = PurePath(self._container.name).suffix  # .m2ts holds more than .ts
        made = file_of_one(add, track.time_base, data, name, times=times, suffix=suffix)
        if wave:
            made.seek(0)
            rename(made, [wave])
        with open_written(name, made.getvalue()) as back:
            found = [codec_of(s.type, name_of(s)) for s in back.streams]
        # of TrueHD in .m2ts a part that AC-3 decoders would take is found as well
        return found[:1] == [codec_of(track.kind, track.codec)]

    def finish(self, path: str) -> None:
        """What is to be done when the output is complete."""
        if self._waves:
            with Path(path).open("r+b") as file:
                rename(file, self._waves)

    def _attach(self, track: Track, data: bytes, name: str, mime: str) -> str | None:
        """Attach ``data``; its tags may say another ``name`` and type (``mime``) than these."""
        if self._suffix != ".mkv":
            return f"{self._suffix} holds no attachments"
        tags = {k.lower(): v for k, v in track.tags.items()}
        name, mime = tags.get("filename") or name, tags.get("mimetype") or mime

        def attach(container: OutputContainer, content: bytes) -> None:
            stream = container.add_attachment(name, mime, content)
            stream.metadata.update(file_tags(track.tags))
            stream.metadata.setdefault("filename", name)
            stream.metadata.setdefault("mimetype", mime)

        try:
            if trial(self._container.format.name, lambda out, _: attach(out, b"x")) is None:
                return self._cannot
            attach(self._container, data)
        except FAILED:
            return self._cannot
        return None

    def write(self, packet: TrackPacket, start: Fraction, delay: Fraction = Fraction(0)) -> None:
        """Mux a packet, ``start`` seconds earlier than it says and ``delay`` later.

        Those before ``start``, and of tracks left out, are passed over. OutputError.
        """
        if packet.track not in self._streams:
            return
        stream, track = self._streams[packet.track]
        if track.codec == "mov_text" and packet.data == b"\0\0":
            return  # a pause between texts: the muxer fills them in itself
        moved: TrackPacket | None = packet
        if start and not track.disposition & Disposition.attached_pic:
            moved = cut(packet, track.kind, round(start / track.time_base))
        if moved is None:
            return
        if delay:
            moved = moved.shifted(-round(delay / track.time_base))
        by_frame = self._by_frame(track)
        for one in amr.split(track.codec, moved, track.time_base) if by_frame else [moved]:
            if packet.track in self._streams:
                self._mux(one, stream, track)

    def _mux(self, moved: TrackPacket, stream: Stream, track: Track) -> None:
        packet = av.Packet(moved.data)
        packet.stream, packet.time_base = stream, track.time_base
        dts = moved.time or 0
        packet.is_keyframe, packet.is_corrupt = moved.key, moved.corrupt
        for kind, data in moved.side:
            if kind < len(SIDE) and data:
                self._add_side(packet, SIDE[kind], data)
        try:
            self._set_times(packet, moved, dts, track)
            self._container.mux(packet)
            assert packet.dts is not None
            self._last[track.number] = packet.dts + self._strict  # in ticks of the output by now
        except BrokenPipeError:  # the reader of a pipe has seen enough
            raise
        except FAILED as exc:
            why = getattr(exc, "strerror", None) or exc
            if cannot_write(exc, self._container.name.removeprefix("file:")):
                raise OutputError(f"a packet of {track} cannot be written: {why}") from exc
            del self._streams[track.number]
            at = float(dts * track.time_base)
            self.lost.append(
                f"{track} ends at {at:.2f} s: {self._suffix} refuses its packets ({why})"
            )

    def _set_times(
        self, packet: Packet[Stream], moved: TrackPacket, dts: int, track: Track
    ) -> None:
        """Times of a packet; BeyondError for those that no file holds."""
        base = track.time_base
        packet.dts = ticks(dts, base)
        packet.pts = packet.dts if moved.pts is None else max(packet.dts, ticks(moved.pts, base))
        packet.duration = length(moved.duration, base)
        # times that repeat or fall: one tick more than the last, as ffmpeg does it
        least, unit = self._last.get(track.number, _LEAST), packet.stream.time_base
        assert unit is not None  # it was given one
        if moved.time is None or round_half_up(dts * base / unit) < least:
            if moved.time is None and least == _LEAST:
                least = 0
            later = round_half_up(packet.pts * base / unit)
            packet.duration = length(round_half_up(packet.duration * base / unit), unit)
            packet.time_base, packet.dts, packet.pts = unit, least, max(least, later)

    @staticmethod
    def _add_side(packet: Packet[Stream], name: str, data: bytes) -> None:
        number = packet_sidedata_type_from_literal(cast("PktSideDataT", name))
        side = PacketSideData(number, len(data))  # type: ignore[call-arg]
        side.update(data)
        packet.set_sidedata(side)

    @property
    def bases(self) -> dict[int, Fraction]:
        """Time bases of the tracks that are written, by number."""
        return {number: track.time_base for number, (_, track) in self._streams.items()}

    def close(self) -> None:
        """Release the samples."""
        for sample in self._open:
            sample.close()
        self._open = []


class TrackFeed:
    """Gives stored packets to a muxer in step with the pictures.

    ``start`` is where in the file the output begins, in seconds.
    """

    def __init__(self, muxer: TrackMuxer, packets: Iterator[TrackPacket], start: Fraction) -> None:
        self._muxer, self._packets, self._start = muxer, packets, start
        self._bases = muxer.bases
        self._next: TrackPacket | None = None
        # seconds that the whole output is moved back, for kinds of files that can't begin before
        # zero
        self.delay = Fraction(0)

    def until(self, limit: Fraction | None) -> None:
        """Mux all packets that begin before ``limit`` seconds in the output, as far as they come in
        a row; None: all that are left."""
        if not self._bases:
            return
        while (packet := self._next or next(self._packets, None)) is not None:
            self._next = packet
            if limit is not None and (time := self._time(packet)) is not None and time >= limit:
                return
            self._next = None
            self._muxer.write(packet, self._start, self.delay)

    def finish(self, limit: Fraction) -> None:
        """Mux what is left of before ``limit`` seconds. Packets may be stored later than others of
        their time, so one behind the limit ends its own track only."""
        ended: set[int] = set()
        while (packet := self._next or next(self._packets, None)) is not None:
            self._next = None
            if (time := self._time(packet)) is not None and time >= limit:
                ended.add(packet.track)
                if ended >= self._bases.keys() or time >= limit + LONGEST_PIECE:
                    return
            elif packet.track not in ended:
                self._muxer.write(packet, self._start, self.delay)

    def _time(self, packet: TrackPacket) -> Fraction | None:
        """When a packet begins in the output, in seconds; None of tracks left out."""
        base, time = self._bases.get(packet.track), packet.time
        return None if base is None or time is None else time * base - self._start + self.delay
