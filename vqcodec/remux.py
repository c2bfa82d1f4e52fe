"""Packets of sound, subtitles, attachments and data out of video files and into them, untouched, by FFmpeg's demuxers and muxers."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, get_args

import av
import av.error
from av.packet import PacketSideData, PktSideDataT
from av.stream import Discard, Disposition

from .container import MAX_FRACTION, MAX_PAYLOAD, MAX_PTS
from .errors import InputError, OutputError
from .inputs import SAMPLE_FORMATS, open_sample, open_source, open_written
from .options import TrackChoice
from .tracks import KINDS, MAX_ATTACHED, MAX_DESCRIPTION, MAX_TRACKS, SIDE, Chapter, Description, Tags, Track, TrackPacket, TrackWriter

_LONGEST_PACKET = MAX_PAYLOAD - (1 << 20)
# what a muxer writes by itself, about the file that it writes
_MUXERS_OWN = {"encoder", "duration", "major_brand", "minor_version", "compatible_brands"}
_STATISTICS = ("bps", "number_of_frames", "number_of_bytes", "_statistics_")
# what .mp4 has a place for without FFmpeg's movflags use_metadata_tags
_MP4_TAGS = {"title", "artist", "album_artist", "composer", "album", "date", "comment", "genre", "copyright", "grouping", "lyrics", "description", "synopsis", "show"}
_MP4_TAGS |= {"episode_id", "network", "keywords", "track", "disc", "compilation", "hd_video", "media_type", "creation_time", "location", "performer", "season_number"}
# what PyAV raises where it cannot read, or its muxers cannot hold, what a file says
_FAILED = (
    av.error.FFmpegError,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    RuntimeError,
)


def file_tags(tags: Tags) -> Tags:
    """Tags without those that a muxer writes by itself."""
    return {k: v for k, v in tags.items() if k.lower() not in _MUXERS_OWN}


def track_tags(tags: Tags) -> Tags:
    """Tags of a track that is copied; its encoder is still the same. What is a title in Matroska is read as a name from mp4."""
    kept = {k: v for k, v in tags.items() if k.lower() != "duration"}
    return kept if "title" in kept or "name" not in kept else {"title": kept.pop("name")} | kept


def picture_tags(tags: Tags) -> Tags:
    """Tags of a picture track without those that were about its old encoding."""
    return {k: v for k, v in file_tags(tags).items() if not k.lower().startswith(_STATISTICS)}


def mp4_flags(tags: Tags) -> str:
    """Flags of the mp4 muxer that let it keep all these tags."""
    return "+faststart" + ("+use_metadata_tags" if {k.lower() for k in file_tags(tags)} - _MP4_TAGS else "")


def _alone(stream: Any, data: bytes, name: str, duration: int = 0) -> bytes:
    """A file of the kind ``name`` with nothing but one packet of a stream."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=name, options={"fflags": "+bitexact"}) as out:
        copy = out.add_stream_from_template(stream)
        copy.metadata.clear()
        packet = av.Packet(data)
        packet.stream, packet.time_base = copy, stream.time_base
        packet.pts = packet.dts = 0
        packet.duration, packet.is_keyframe = duration, True
        out.mux(packet)
    return buffer.getvalue()


def _sample(stream: Any, packet: Any) -> tuple[str, bytes] | None:
    """Kind and bytes of a small file with one packet from which all codec parameters can be read again."""
    data = bytes(packet)
    for name in SAMPLE_FORMATS:
        try:
            sample = _alone(stream, data, name, packet.duration or 0)
            with open_sample(name, sample) as back:
                if len(back.streams) == 1 and _parameters(back.streams[0]) == _parameters(stream) and data in [bytes(p) for p in back.demux()]:
                    return name, sample
        except _FAILED:
            continue
    return None


def _codec(stream: Any) -> tuple[str, str]:
    """Kind and codec; the two layers of MPEG audio that mp4 doesn't tell apart are one."""
    context = stream.codec_context
    name = context.name if context is not None else getattr(stream, "name", None) or ""
    return stream.type, "mpeg audio" if name in ("mp2", "mp2float", "mp3", "mp3float") else name


def _holds(name: str, stream: Any, data: bytes) -> bool:
    """Whether files of a kind can hold a stream, so that it is found again as what it is."""
    with open_written(name, _alone(stream, data, name)) as back:
        return [_codec(s) for s in back.streams] == [_codec(stream)]


def _parameters(stream: Any) -> tuple[Any, ...]:
    """What must be the same for two streams to be of the same kind."""
    context = stream.codec_context
    if context is None:
        return stream.type, getattr(stream, "name", None)
    values = [getattr(context, name, None) for name in ("sample_rate", "width", "height", "profile")]
    layout = getattr(getattr(context, "layout", None), "name", None)
    return stream.type, context.name, context.extradata, layout, *values


class TrackSource:
    """The tracks of a video file but the picture's, read apart from the pictures and in step with them.

    ``notes`` are sentences on what couldn't be kept, ``corrupt`` counts damaged packets, ``count`` the tracks kept so far, ``timed`` those chosen that have packets in time.
    With ``start`` in seconds on the clock of the file only packets from there on are given, and times begin there. Raises InputError.
    """

    def __init__(self, path: str, picture: int, choice: TrackChoice, start: Fraction | None = None, playlists: bool = False) -> None:
        self.notes: list[str] = []
        self.corrupt = 0
        self._start = start
        try:
            self._opened = open_source(path, playlists)
            self._container = self._opened.container
        except InputError as exc:
            raise InputError(f"{path}: {exc}") from exc
        except (av.error.FFmpegError, OSError, ValueError) as exc:
            raise InputError(f"{path}: cannot be read ({getattr(exc, 'strerror', None) or exc})") from exc
        self._numbers: dict[int, int] = {}  # by the stream's index in the file
        self._sounding: set[int] = set()  # streams of sound that gave a frame
        self._known: dict[int, bool] = {}  # whether a stream that had packets could be described
        self._kinds: dict[str, int] = {"video": 1}
        self.count = 0
        self._attachments: list[Any] = []
        self._streams: list[Any] = []
        matched = choice.matcher()
        for stream in self._container.streams:
            kind = stream.type
            # mp4's chapters are found once more as a track of texts, which FFmpeg marks so
            if stream.index == picture or kind not in KINDS or (kind == "data" and stream.discard == Discard.all):
                stream.discard = Discard.all
                continue
            position = self._kinds.get(kind, 0)
            self._kinds[kind] = position + 1
            if not matched.keeps(kind, position, stream.index):
                stream.discard = Discard.all
            elif len(self._numbers) == MAX_TRACKS:
                self.notes.append(f"stream {stream.index} is left out: there are more than {MAX_TRACKS}")
            else:
                self._numbers[stream.index] = len(self._numbers)
                (self._attachments if kind == "attachment" else self._streams).append(stream)
        self.notes += matched.unused()
        self.timed = len(self._streams)
        self._packets = self._demux() if self._streams else iter(())
        self._next: Any = None

    def _demux(self) -> Iterator[Any]:
        if self._start is not None:
            try:  # subtitles that are still shown, and sound that lies before its picture, are stored a little earlier
                self._container.seek(max(0, int((self._start - 10) * 1_000_000)))
            except (av.error.FFmpegError, OSError):
                pass
        packets = self._container.demux(self._streams)
        while True:
            try:
                packet = next(packets)
            except (StopIteration, *_FAILED):  # that the file is cut is found, and counted, by the reader of the pictures
                return
            if packet.size and packet.time_base:
                yield packet

    @staticmethod
    def _seconds(packet: Any) -> Fraction | None:
        time = packet.pts if packet.dts is None else packet.dts
        return None if time is None else time * packet.time_base

    def write(self, out: TrackWriter, limit: Fraction | None) -> None:
        """Store the packets that begin before ``limit`` seconds (None: all that are left)."""
        for stream in self._attachments:
            self._attach(out, stream)
        self._attachments = []
        while (packet := self._next or next(self._packets, None)) is not None:
            self._next = packet
            seconds = self._seconds(packet)
            if limit is not None and seconds is not None and seconds >= limit:
                break
            self._next = None
            self._store(out, packet)
        out.flush(limit)

    def _attach(self, out: TrackWriter, stream: Any) -> None:
        data = stream.data
        track = Track(self._numbers[stream.index], "attachment", "", Fraction(1), int(stream.disposition), dict(stream.metadata), "", data)
        if len(data) > min(_LONGEST_PACKET, MAX_ATTACHED):
            self.notes.append(f"{track} has {len(data)} bytes and is left out: at most {_LONGEST_PACKET} can be kept")
            return
        out.add(track)
        self.count += 1

    def _store(self, out: TrackWriter, packet: Any) -> None:
        stream = packet.stream
        if stream.index not in self._known:
            self._known[stream.index] = self._add(out, stream, packet)
        stored = self._range(self._convert(packet, self._numbers[stream.index]), stream) if self._known[stream.index] else None
        if stored is None:
            return
        self.corrupt += stored.corrupt or not self._decodes(packet)
        if len(stored.data) + sum(len(d) for _, d in stored.side) > _LONGEST_PACKET:
            self.notes.append(f"a packet of stream {stream.index} has {len(stored.data)} bytes and is left out")
            return
        out.packet(stored)

    def _add(self, out: TrackWriter, stream: Any, packet: Any) -> bool:
        codec = stream.codec_context.name if stream.codec_context is not None else getattr(stream, "name", None) or ""
        made, base = _sample(stream, packet), stream.time_base
        track = Track(self._numbers[stream.index], stream.type, codec, base, int(stream.disposition), dict(stream.metadata), *(made or ()))
        if made is None or len(track.to_bytes()) > MAX_DESCRIPTION or max(base.numerator, base.denominator) > MAX_FRACTION:
            self.notes.append(f"stream {stream.index} ({stream.type}, {codec or 'unknown codec'}) cannot be kept")
            return False
        out.add(track)
        self.count += 1
        return True

    def _decodes(self, packet: Any) -> bool:
        """Whether a packet of sound can be decoded; it is copied as it is, but a damaged source shall be noticed."""
        stream = packet.stream
        if stream.type != "audio" or stream.codec_context is None:
            return True
        try:
            frames = packet.decode()
        except (av.error.FFmpegError, ValueError):
            # the first packets of a cut stream may lack what they refer to
            return stream.index not in self._sounding
        if frames:
            self._sounding.add(stream.index)
        return not any(frame.is_corrupt for frame in frames)

    @staticmethod
    def _convert(p: Any, number: int) -> TrackPacket:
        side = tuple((i, bytes(p.get_sidedata(name))) for i, name in enumerate(SIDE) if p.has_sidedata(name))
        dts, pts = (None if t is None or abs(t) > MAX_PTS else t for t in (p.dts, p.pts))
        duration = p.duration if p.duration and 0 < p.duration <= MAX_PTS else 0
        return TrackPacket(number, dts, pts, duration, p.is_keyframe, p.is_corrupt, side, bytes(p))

    def _range(self, packet: TrackPacket, stream: Any) -> TrackPacket | None:
        if self._start is None or stream.disposition & Disposition.attached_pic:
            return packet
        return cut(packet, stream.type, round(self._start / stream.time_base))

    def close(self) -> None:
        """Release the file."""
        self._opened.close()


def cut(packet: TrackPacket, kind: str, start: int) -> TrackPacket | None:
    """The packet on a clock that begins at ``start`` ticks, or None when it begins earlier; a subtitle still shown then begins then."""
    time = packet.pts if packet.pts is not None else packet.dts
    if time is None or time >= start:
        return packet.shifted(start)
    if kind == "subtitle" and time + packet.duration > start:
        return TrackPacket(packet.track, 0, 0, time + packet.duration - start, packet.key, packet.corrupt, packet.side, packet.data)
    return None


_COVERS = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}


def _is_cover(track: Track) -> bool:
    return bool(track.disposition & Disposition.attached_pic)


class TrackMuxer:
    """Adds tracks to an output of FFmpeg that was not started yet, then muxes their packets; ``notes`` says what it can't take."""

    def __init__(self, container: Any, suffix: str, tracks: Iterable[Track], choice: TrackChoice) -> None:
        self.notes: list[str] = []
        self._container, self._suffix = container, suffix
        self._streams: dict[int, tuple[Any, Track]] = {}
        self._last: dict[int, int] = {}
        self._open: list[Any] = []  # samples, which the streams refer to
        kinds: dict[str, int] = {"video": 1}
        matched = choice.matcher()
        for track in sorted(tracks, key=lambda t: t.number):
            position = kinds.get(track.kind, 0)
            kinds[track.kind] = position + 1
            if matched.keeps(track.kind, position, track.number + 1):
                reason = self._add(track)
                if reason:
                    self.notes.append(f"{track} is left out: {reason}")
        self.notes += matched.unused()

    def _add(self, track: Track) -> str | None:
        """None, or why not. Whatever is wrong with a track costs that track and no more."""
        cannot = f"{self._suffix} cannot hold it"
        if track.kind == "attachment":
            try:
                return self._attach(track, track.sample, "attachment", "application/octet-stream")
            except _FAILED:
                return cannot
        if track.format not in SAMPLE_FORMATS:
            return "its parameters are of an unknown kind"
        try:
            sample = open_sample(track.format, track.sample)
        except _FAILED:
            return "its parameters are damaged"
        self._open.append(sample)
        try:
            if [s.type for s in sample.streams] != [track.kind]:
                return "its parameters are damaged"
            # the sample has the first packet, which of a cover is the only one
            data = next((bytes(p) for p in sample.demux() if p.size), b"")
        except _FAILED:
            return "its parameters are damaged"
        try:
            return self._add_stream(track, sample.streams[0], data)
        except _FAILED:
            return cannot

    def _add_stream(self, track: Track, template: Any, data: bytes) -> str | None:
        if self._suffix == ".mkv" and track.kind == "video" and _is_cover(track):
            return self._attach(track, data, *_COVERS.get(track.codec, _COVERS["mjpeg"]))
        # what the muxer refuses only when it writes the header would cost the whole file
        if not _holds(self._container.format.name, template, data):
            return f"{self._suffix} cannot hold it"
        stream = self._container.add_stream_from_template(template)
        stream.time_base = track.time_base
        stream.disposition = track.disposition
        stream.metadata.clear()
        stream.metadata.update(track_tags(track.tags))
        self._streams[track.number] = (stream, track)
        return None

    def _attach(self, track: Track, data: bytes, name: str, mime: str) -> str | None:
        """Attach ``data``, which is called ``name`` and is of the type ``mime`` unless its tags say otherwise."""
        if self._suffix != ".mkv":
            return f"{self._suffix} holds no attachments"
        tags = {k.lower(): v for k, v in track.tags.items()}
        stream = self._container.add_attachment(tags.get("filename") or name, tags.get("mimetype") or mime, data)
        stream.metadata.update(file_tags(track.tags))
        stream.metadata.setdefault("filename", name)
        stream.metadata.setdefault("mimetype", mime)
        return None

    def write(self, packet: TrackPacket, start: Fraction, delay: Fraction = Fraction(0)) -> None:
        """Mux a packet, ``start`` seconds earlier than it says and ``delay`` later; those before ``start`` and of tracks left out are passed over. OutputError."""
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
        p = av.Packet(moved.data)
        p.stream, p.time_base = stream, track.time_base
        last = self._last.get(packet.track)
        dts = moved.time
        if dts is None:
            dts = 0 if last is None else last
        if last is not None and dts < last:
            dts = last
        self._last[packet.track] = dts
        p.dts, p.pts = dts, dts if moved.pts is None else max(dts, moved.pts)
        p.duration, p.is_keyframe, p.is_corrupt = moved.duration, moved.key, moved.corrupt
        for kind, data in moved.side:
            if kind < len(SIDE) and data:
                self._add_side(p, SIDE[kind], data)
        try:
            self._container.mux(p)
        except (av.error.FFmpegError, ValueError) as exc:
            if isinstance(exc, OSError) and exc.errno in (5, 28, 32):
                raise OutputError(f"a packet of {track} cannot be written: {exc.strerror or exc}") from exc
            del self._streams[packet.track]
            self.notes.append(f"{track} ends at {float(dts * track.time_base):.2f} s: {self._suffix} refuses its packets ({getattr(exc, 'strerror', None) or exc})")

    @staticmethod
    def _add_side(packet: Any, name: str, data: bytes) -> None:
        side: Any = PacketSideData(get_args(PktSideDataT).index(name), len(data))  # type: ignore[call-arg]
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
    """Gives stored packets to a muxer in step with the pictures; ``start`` is where in the file the output begins, in seconds."""

    def __init__(self, muxer: TrackMuxer, packets: Iterator[TrackPacket], start: Fraction) -> None:
        self._muxer, self._packets, self._start = muxer, packets, start
        self._bases = muxer.bases
        self._next: TrackPacket | None = None
        self.delay = Fraction(0)  # seconds that the whole output is moved back, for kinds of files that can't begin before zero

    def until(self, limit: Fraction | None) -> None:
        """Mux all packets that begin before ``limit`` seconds in the output; None: all that are left."""
        if not self._bases:
            return
        while (packet := self._next or next(self._packets, None)) is not None:
            self._next = packet
            base, time = self._bases.get(packet.track), packet.time
            if limit is not None and base is not None and time is not None and time * base - self._start + self.delay >= limit:
                return
            self._next = None
            self._muxer.write(packet, self._start, self.delay)


def describe(container: Any, stream: Any) -> Description:
    """Tags, chapters and disposition of an open input."""
    chapters = tuple(Chapter(c["id"], c["start"], c["end"], Fraction(c["time_base"]), dict(c["metadata"])) for c in container.chapters() if c["time_base"])
    return Description(dict(container.metadata), dict(stream.metadata), int(stream.disposition), chapters)
