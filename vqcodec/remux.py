"""Packets of sound, subtitles, attachments and data out of video files and into them, untouched, by FFmpeg's demuxers and muxers."""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from functools import partial
from itertools import islice
from typing import Any, get_args

import av
import av.error
from av.packet import PacketSideData, PktSideDataT
from av.stream import Discard, Disposition

from . import amr
from .captions import is_captions
from .clock import JUMPING, Jump, TrackClock, at_seam
from .container import MAX_FRACTION, MAX_PAYLOAD, MAX_PTS
from .errors import DamageError, InputError, OutputError
from .inputs import SAMPLE_FORMATS, open_sample, open_source, open_written
from .options import TrackChoice
from .ticks import length, ticks
from .tracks import (
    KINDS,
    MAX_ATTACHED,
    MAX_DESCRIPTION,
    MAX_TRACKS,
    PARAMETERS,
    SIDE,
    Chapter,
    Description,
    Parameters,
    Tags,
    Track,
    TrackPacket,
    TrackWriter,
)
from .trial import FAILED, cannot_write, takes
from .wave import as_file, rename, stand_in, wave_format

_LONGEST_PACKET = MAX_PAYLOAD - (1 << 20)
# packets, and bytes of them, among which the first that describes its track is looked for
_TRIES, _TRIED = 64, 1 << 20
_LONGEST_PIECE = 10  # seconds that other tracks may lie further in the file than one
_TTA_HEAD = 14
_NONSTRICT = 0x20000  # FFmpeg's AVFMT_TS_NONSTRICT: times may repeat
_LEAST = -(1 << 63)
# what a muxer writes by itself, about the file that it writes
_MUXERS_OWN = {"encoder", "duration", "major_brand", "minor_version", "compatible_brands"}
MAX_TAGS = 2000  # FFmpeg's dictionaries are lists: time goes by the square of their length
_STATISTICS = ("bps", "number_of_frames", "number_of_bytes", "_statistics_")
# what .mp4 has a place for without FFmpeg's movflags use_metadata_tags
_MP4_TAGS = {"title", "artist", "album_artist", "composer", "album", "date", "comment", "genre", "copyright", "grouping", "lyrics", "description", "synopsis", "show"}
_MP4_TAGS |= {"episode_id", "network", "keywords", "track", "disc", "compilation", "hd_video", "media_type", "creation_time", "location", "performer", "season_number"}


def file_tags(tags: Tags) -> Tags:
    """Tags without those that a muxer writes by itself; of very many the first."""
    kept = ((k, v) for k, v in tags.items() if k.lower() not in _MUXERS_OWN)
    return dict(islice(kept, MAX_TAGS))


def track_tags(tags: Tags) -> Tags:
    """Tags of a track that is copied; its encoder is still the same. What is a title in Matroska is read as a name from mp4."""
    kept = dict(islice(((k, v) for k, v in tags.items() if k.lower() != "duration"), MAX_TAGS))
    return kept if "title" in kept or "name" not in kept else {"title": kept.pop("name")} | kept


def picture_tags(tags: Tags) -> Tags:
    """Tags of a picture track without those that were about its old encoding."""
    return {k: v for k, v in file_tags(tags).items() if not k.lower().startswith(_STATISTICS)}


def mp4_flags(tags: Tags) -> str:
    """Flags of the mp4 muxer that let it keep all these tags."""
    return "+faststart" + ("+use_metadata_tags" if {k.lower() for k in file_tags(tags)} - _MP4_TAGS else "")


def _alone(add: Callable[[Any], Any], base: Fraction, data: bytes, name: str, duration: int = 0) -> io.BytesIO:
    """A file of the kind ``name`` with nothing but one packet of the stream that ``add`` adds."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=name, options={"fflags": "+bitexact"}) as out:
        copy = add(out)
        copy.metadata.clear()
        packet = av.Packet(data)
        packet.stream, packet.time_base = copy, base
        packet.pts = packet.dts = 0
        packet.duration, packet.is_keyframe = duration, True
        out.mux(packet)
    return buffer


def _copied(stream: Any, out: Any) -> Any:
    """Add a stream as another one is."""
    try:
        return out.add_stream_from_template(stream)
    except FAILED:  # of pictures that FFmpeg cannot encode, only its decoder is known
        if stream.type != "video":
            raise
        return out.add_stream_from_template(stream, opaque=True)


def _sample(stream: Any, packet: Any) -> tuple[str, bytes] | None:
    """Kind and bytes of a small file with one packet from which all codec parameters can be read again."""
    data = bytes(packet)
    for name in SAMPLE_FORMATS:
        if name == "nut" and _wave(stream, data):
            continue  # it loses the size of blocks, which WAVEFORMATEX has
        try:
            add, length = partial(_copied, stream), packet.duration or 0
            sample = _alone(add, stream.time_base, data, name, length).getvalue()
            with open_sample(name, sample) as back:
                if len(back.streams) == 1 and _parameters(back.streams[0]) == _parameters(stream) and data in [bytes(p) for p in back.demux()]:
                    return name, sample
        except FAILED:
            continue
    return None


def _wave(stream: Any, data: bytes) -> bytes:
    """The WAVEFORMATEX of a stream, empty where it has none."""
    if stream.type == "audio" and stream.codec_context is not None:
        with suppress(*FAILED):
            return wave_format(stream, data)
    return b""


def _last_resort(stream: Any, packet: Any) -> tuple[str, bytes]:
    """The codec parameters by themselves, as far as PyAV tells them."""
    context = stream.codec_context
    made = Parameters(
        getattr(context, "sample_rate", None) or 0,
        getattr(getattr(context, "layout", None), "name", ""),
        getattr(context, "width", None) or 0,
        getattr(context, "height", None) or 0,
        getattr(context, "extradata", None) or b"",
        _wave(stream, bytes(packet)),
        bytes(packet) if packet.size <= _TRIED // 2 else b"",
    )
    return PARAMETERS, made.to_bytes()


def _name(stream: Any) -> str:
    context = stream.codec_context
    return (context.name if context is not None else getattr(stream, "name", None)) or ""


def _codec(kind: str, name: str) -> tuple[str, str]:
    """Kind and codec; the two layers of MPEG audio that mp4 doesn't tell apart are one."""
    return kind, "mpeg audio" if name in ("mp2", "mp2float", "mp3", "mp3float") else name


def _parameters(stream: Any) -> tuple[Any, ...]:
    """What must be the same for two streams to be of the same kind."""
    context = stream.codec_context
    if context is None:
        return stream.type, getattr(stream, "name", None)
    values = [getattr(context, name, None) for name in ("sample_rate", "width", "height", "profile")]
    layout = getattr(getattr(context, "layout", None), "name", None)
    extradata = context.extradata
    if context.name == "tta" and extradata:
        extradata = extradata[:_TTA_HEAD]  # then the length, which the muxer writes anew
    return stream.type, context.name, extradata, layout, *values


class TrackSource:
    """The tracks of a video file but the picture's, read apart from the pictures and in step with them.

    ``notes`` are remarks, ``lost`` sentences on what couldn't be kept, ``matched`` knows which maps
    name no track; ``corrupt`` counts damaged packets, ``count`` the tracks kept so far, ``timed``
    those chosen that have packets in time. With ``start`` in seconds on the clock of the file only
    packets from there on are given, and times begin there. ``jumps`` are those of the file's clock.
    Raises InputError.
    """

    def __init__(
        self,
        path: str,
        picture: int,
        choice: TrackChoice,
        start: Fraction | None = None,
        jumps: Sequence[Jump] = (),
        playlists: bool = False,
    ) -> None:
        self.notes: list[str] = []
        self.lost: list[str] = []
        self.corrupt = 0
        self._start, self._jumps = start, jumps
        try:
            self._opened = open_source(path, playlists)
            self._container = self._opened.container
        except InputError as exc:
            raise InputError(f"{path}: {exc}") from exc
        except (av.error.FFmpegError, OSError, ValueError) as exc:
            raise InputError(f"{path}: cannot be read ({getattr(exc, 'strerror', None) or exc})") from exc
        self._numbers: dict[int, int] = {}  # by the stream's index in the file
        self._clocks: dict[int, TrackClock] = {}
        self._sounding: set[int] = set()  # streams of sound that gave a frame
        self._doubtful: Counter[int] = Counter()  # damaged packets of sound, by stream
        self._known: dict[int, bool] = {}  # whether a stream that had packets could be described
        self._held: dict[int, list[Any]] = {}  # packets of those that could not be described yet
        self._ended: set[int] = set()  # streams that have passed the end of the stretch
        self._kinds: dict[str, int] = {"video": 1}
        self.count = 0
        self._attachments: list[Any] = []
        self._streams: list[Any] = []
        matched = choice.matcher()
        for stream in self._container.streams:
            kind = stream.type
            if stream.index == picture:
                matched.keeps("video", 0, stream.index)
            # mp4's chapters are found once more as a track of texts, which FFmpeg marks so
            if stream.index == picture or kind not in KINDS or (kind == "data" and stream.discard == Discard.all):
                stream.discard = Discard.all
                continue
            position = self._kinds.get(kind, 0)
            self._kinds[kind] = position + 1
            if not matched.keeps(kind, position, stream.index):
                stream.discard = Discard.all
            elif len(self._numbers) == MAX_TRACKS - 1:  # one is for captions
                self.lost.append(f"stream {stream.index} is left out: there are more than {MAX_TRACKS - 1}")
            else:
                self._numbers[stream.index] = len(self._numbers)
                (self._attachments if kind == "attachment" else self._streams).append(stream)
        self.notes += matched.unused()
        self.matched = matched
        self.timed = len(self._streams)
        self._packets = self._demux() if self._streams else iter(())
        self._next: Any = None

    @property
    def next_number(self) -> int:
        """A number that no track has."""
        return len(self._numbers)

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
            except (StopIteration, *FAILED):  # that the file is cut is found, and counted, by the reader of the pictures
                return
            if packet.size and packet.time_base:
                if self._jumps:
                    clock = self._clocks.setdefault(packet.stream_index, TrackClock(self._jumps))
                    clock.straighten(packet)
                yield packet

    @staticmethod
    def _seconds(packet: Any) -> Fraction | None:
        time = packet.pts if packet.dts is None else packet.dts
        return None if time is None else time * packet.time_base

    def write(self, out: TrackWriter, limit: Fraction) -> None:
        """Store the packets that begin before ``limit`` seconds, as far as they come in a row."""
        self._attach_all(out)
        while (packet := self._next or next(self._packets, None)) is not None:
            self._next = packet
            seconds = self._seconds(packet)
            if seconds is not None and seconds >= limit:
                break
            self._next = None
            self._store(out, packet)

    def finish(self, out: TrackWriter, limit: Fraction | None) -> None:
        """Store what is left; with a ``limit`` in seconds, what begins before it.

        Files keep tracks in pieces, so what lies behind the limit ends its own track only: reading
        goes on until all have passed it, or are silent for long.
        """
        self._attach_all(out)
        while (packet := self._next or next(self._packets, None)) is not None:
            self._next = None
            seconds = self._seconds(packet)
            if limit is not None and seconds is not None and seconds >= limit:
                self._ended.add(packet.stream.index)
                if len(self._ended) == len(self._streams) or seconds >= limit + _LONGEST_PIECE:
                    break
            elif packet.stream.index not in self._ended:
                self._store(out, packet)
        for index in list(self._held):
            self._describe(out, index, _last_resort)
        # recordings end in the middle of a frame, as they begin
        torn = self._container.format.name in JUMPING
        for index, count in self._doubtful.items():
            self.corrupt += count - (torn and index in self._sounding)
        self._doubtful.clear()

    def _attach_all(self, out: TrackWriter) -> None:
        for stream in self._attachments:
            self._attach(out, stream)
        self._attachments = []

    def _attach(self, out: TrackWriter, stream: Any) -> None:
        data = stream.data
        track = Track(self._numbers[stream.index], "attachment", "", Fraction(1), int(stream.disposition), dict(stream.metadata), "", data)
        if len(data) > min(_LONGEST_PACKET, MAX_ATTACHED):
            self.lost.append(f"{track} has {len(data)} bytes and is left out: at most {_LONGEST_PACKET} can be kept")
            return
        out.add(track)
        self.count += 1

    def _store(self, out: TrackWriter, packet: Any) -> None:
        index = packet.stream.index
        if index in self._known:
            if self._known[index]:
                self._keep(out, packet)
            return
        held = self._held.setdefault(index, [])
        held.append(packet)
        # a recording may begin in the middle of a frame, which describes nothing
        if not self._describe(out, index, _sample) and (len(held) >= _TRIES or sum(p.size for p in held) > _TRIED):
            self._describe(out, index, _last_resort)

    def _describe(self, out: TrackWriter, index: int, describe: Callable[[Any, Any], tuple[str, bytes] | None]) -> bool:
        """Add a track as its last packet describes it, with the packets held; whether that went."""
        held = self._held[index]
        stream = held[-1].stream
        made, base = describe(stream, held[-1]), stream.time_base
        if made is None:
            return False
        del self._held[index]
        track = Track(self._numbers[index], stream.type, _name(stream), base, int(stream.disposition), dict(stream.metadata), *made)
        kept = len(track.to_bytes()) <= MAX_DESCRIPTION
        kept &= max(base.numerator, base.denominator) <= MAX_FRACTION
        self._known[index] = kept
        if kept:
            out.add(track)
            self.count += 1
            for packet in held:
                self._keep(out, packet)
        else:
            what = f"{stream.type}, {_name(stream) or 'unknown codec'}"
            self.lost.append(f"stream {index} ({what}) cannot be kept")
        return True

    def _keep(self, out: TrackWriter, packet: Any) -> None:
        stream = packet.stream
        stored = self._range(self._convert(packet, self._numbers[stream.index]), stream)
        if stored is None:
            return
        self._count(packet, stored.corrupt)
        if len(stored.data) + sum(len(d) for _, d in stored.side) > _LONGEST_PACKET:
            self.lost.append(f"a packet of stream {stream.index} has {len(stored.data)} bytes and is left out")
            return
        out.packet(stored)

    def _count(self, packet: Any, corrupt: bool) -> None:
        """Count a packet that is damaged. Of sound, it counts once sound came before and behind it:
        a recording may begin and end in the middle of a frame."""
        index = packet.stream.index
        before, sound = index in self._sounding, self._decodes(packet)
        if packet.stream.type != "audio":
            self.corrupt += corrupt
        elif at_seam(packet.pos, self._jumps):
            return
        elif corrupt or not sound:
            self._doubtful[index] += 1
        elif index in self._sounding:
            doubted = self._doubtful.pop(index, 0)
            self.corrupt += doubted if before else 0

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
        sound = not any(frame.is_corrupt for frame in frames)
        if frames and sound:
            self._sounding.add(stream.index)
        return sound or stream.index not in self._sounding

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


def round_half_up(value: Fraction) -> int:
    """The nearest integer."""
    return math.floor(value + Fraction(1, 2))


class TrackMuxer:
    """Adds tracks to an output of FFmpeg that was not started yet, then muxes their packets;
    ``notes`` says what it can't take, ``lost`` what it took a part of only."""

    def __init__(
        self,
        container: Any,
        suffix: str,
        tracks: Iterable[Track],
        choice: TrackChoice,
        to_pipe: bool = False,
    ) -> None:
        self.notes: list[str] = []
        self.lost: list[str] = []
        self._container, self._suffix = container, suffix
        self._streams: dict[int, tuple[Any, Track]] = {}
        self._last: dict[int, int] = {}
        self._to_pipe = to_pipe  # so that nothing can be renamed at the end
        self._strict = not container.format.flags & _NONSTRICT
        self._waves: list[bytes] = []  # of streams that are renamed at the end
        self._open: list[Any] = []  # samples, which the streams refer to
        self.captions: Track | None = None  # of the pictures, which their writer puts into them
        kinds: dict[str, int] = {"video": 1}
        matched = choice.matcher()
        for track in sorted(tracks, key=lambda t: t.number):
            position = kinds.get(track.kind, 0)
            kinds[track.kind] = position + 1
            if matched.keeps(track.kind, position, track.number + 1):
                if is_captions(track):
                    self.captions = track
                elif (reason := self._add(track)) and not self._by_tag(track):
                    self.notes.append(f"{track} is left out: {reason}")
        self.notes += matched.unused()

    def _by_tag(self, track: Track) -> bool:
        """Whether the muxer writes a track by itself: timecodes, which the pictures' tag has."""
        has = track.kind == "data" and "timecode" in map(str.lower, track.tags)
        return has and self._suffix in (".mp4", ".m4v", ".mov")

    def _by_frame(self, track: Track) -> bool:
        """Whether packets must be split into frames for the kind of the output."""
        return track.codec in amr.CODECS and self._suffix == ".mov"

    def _add(self, track: Track) -> str | None:
        """None, or why not. Whatever is wrong with a track costs that track and no more."""
        cannot = f"{self._suffix} cannot hold it"
        if track.kind == "attachment":
            try:
                return self._attach(track, track.sample, "attachment", "application/octet-stream")
            except FAILED:
                return cannot
        if track.format not in (*SAMPLE_FORMATS, PARAMETERS):
            return "its parameters are of an unknown kind"
        try:
            ways, data = self._ways(track)
            if self._by_frame(track):
                data = amr.frames(track.codec, data)[0]
        except (DamageError, *FAILED):
            return "its parameters are damaged"
        if self._suffix == ".mkv" and track.kind == "video" and _is_cover(track):
            try:
                return self._attach(track, data, *_COVERS.get(track.codec, _COVERS["mjpeg"]))
            except FAILED:
                return cannot
        for add, wave in ways:
            try:  # what a muxer refuses only when it writes the header would cost the whole file
                if self._holds(track, add, data, wave):
                    stream = add(self._container)
                    break
            except FAILED:
                continue
        else:
            return cannot
        if wave:
            self._waves.append(wave)
        stream.time_base = track.time_base
        stream.disposition = track.disposition
        stream.metadata.clear()
        stream.metadata.update(track_tags(track.tags))
        self._streams[track.number] = (stream, track)
        return None

    def _ways(self, track: Track) -> tuple[list[tuple[Callable[[Any], Any], bytes]], bytes]:
        """What may add the track to a file, each with the WAVEFORMATEX of a stand-in that is
        renamed at the end (empty: it is none); and its first packet."""
        if track.format != PARAMETERS:
            sample = self._opened(open_sample(track.format, track.sample), track)
            data = next((bytes(p) for p in sample.demux() if p.size), b"")
            return self._copies(sample.streams[0], _wave(sample.streams[0], data)), data
        p = Parameters.from_bytes(track.sample)
        if p.wave:
            template = self._opened(open_written("wav", as_file(p.wave)), track).streams[0]
            return self._copies(template, p.wave), p.packet
        if track.kind == "data":
            return [(lambda out: out.add_data_stream(track.codec), b"")], p.packet
        if p.extradata:
            return [], b""  # PyAV gives it to a copy only
        size = {"width": p.width, "height": p.height} if track.kind == "video" else {}
        rate = p.sample_rate or None
        return [(lambda out: out.add_mux_stream(track.codec, rate, **size), b"")], p.packet

    def _copies(self, template: Any, wave: bytes) -> list[tuple[Callable[[Any], Any], bytes]]:
        ways: list[tuple[Callable[[Any], Any], bytes]] = [(partial(_copied, template), b"")]
        if not wave or self._container.format.name != "matroska" or self._to_pipe:
            return ways
        short = open_written("wav", as_file(stand_in(wave)))
        self._open.append(short)

        def stands_in(out: Any) -> Any:
            stream = out.add_stream_from_template(short.streams[0])
            stream.codec_context.extradata = wave
            return stream

        return [*ways, (stands_in, wave)]

    def _opened(self, sample: Any, track: Track) -> Any:
        self._open.append(sample)
        if [s.type for s in sample.streams] != [track.kind]:
            raise ValueError("a sample of something else")
        return sample

    def _holds(self, track: Track, add: Callable[[Any], Any], data: bytes, wave: bytes) -> bool:
        """Whether files of the kind of the output can hold a track, so that it is found again."""
        name = self._container.format.name
        made = _alone(add, track.time_base, data, name)
        if wave:
            made.seek(0)
            rename(made, [wave])
        with open_written(name, made.getvalue()) as back:
            found = [_codec(s.type, _name(s)) for s in back.streams]
        return found == [_codec(track.kind, track.codec)]

    def finish(self, path: str) -> None:
        """What is to be done when the output is complete."""
        if self._waves:
            with open(path, "r+b") as file:
                rename(file, self._waves)

    def _attach(self, track: Track, data: bytes, name: str, mime: str) -> str | None:
        """Attach ``data``, which is called ``name`` and is of the type ``mime`` unless its tags say otherwise."""
        if self._suffix != ".mkv":
            return f"{self._suffix} holds no attachments"
        tags = {k.lower(): v for k, v in track.tags.items()}
        name, mime = tags.get("filename") or name, tags.get("mimetype") or mime

        def attach(container: Any, content: bytes) -> None:
            stream = container.add_attachment(name, mime, content)
            stream.metadata.update(file_tags(track.tags))
            stream.metadata.setdefault("filename", name)
            stream.metadata.setdefault("mimetype", mime)

        if not takes(self._container.format.name, lambda container, _: attach(container, b"x")):
            return f"{self._suffix} cannot hold it"
        attach(self._container, data)
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
        by_frame = self._by_frame(track)
        for one in amr.split(track.codec, moved, track.time_base) if by_frame else [moved]:
            if packet.track in self._streams:
                self._mux(one, stream, track)

    def _mux(self, moved: TrackPacket, stream: Any, track: Track) -> None:
        p: Any = av.Packet(moved.data)
        p.stream, p.time_base = stream, track.time_base
        dts = moved.time or 0
        p.is_keyframe, p.is_corrupt = moved.key, moved.corrupt
        for kind, data in moved.side:
            if kind < len(SIDE) and data:
                self._add_side(p, SIDE[kind], data)
        try:
            self._set_times(p, moved, dts, track)
            self._container.mux(p)
            self._last[track.number] = p.dts + self._strict  # in ticks of the output by now
        except BrokenPipeError:  # the reader of a pipe has seen enough
            raise
        except FAILED as exc:
            why = getattr(exc, "strerror", None) or exc
            if cannot_write(exc, self._container.name.removeprefix("file:")):
                raise OutputError(f"a packet of {track} cannot be written: {why}") from exc
            del self._streams[track.number]
            at = float(dts * track.time_base)
            self.lost.append(f"{track} ends at {at:.2f} s: {self._suffix} refuses its packets ({why})")

    def _set_times(self, p: Any, moved: TrackPacket, dts: int, track: Track) -> None:
        """Times of a packet; BeyondError for those that no file holds."""
        base = track.time_base
        p.dts = ticks(dts, base)
        p.pts = p.dts if moved.pts is None else max(p.dts, ticks(moved.pts, base))
        p.duration = length(moved.duration, base)
        # times that repeat or fall: one tick more than the last, as ffmpeg does it
        least, unit = self._last.get(track.number, _LEAST), p.stream.time_base
        if moved.time is None or round_half_up(dts * base / unit) < least:
            if moved.time is None and least == _LEAST:
                least = 0
            later = round_half_up(p.pts * base / unit)
            p.duration = length(round_half_up(p.duration * base / unit), unit)
            p.time_base, p.dts, p.pts = unit, least, max(least, later)

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
                if ended >= self._bases.keys() or time >= limit + _LONGEST_PIECE:
                    return
            elif packet.track not in ended:
                self._muxer.write(packet, self._start, self.delay)

    def _time(self, packet: TrackPacket) -> Fraction | None:
        """When a packet begins in the output, in seconds; None of tracks left out."""
        base, time = self._bases.get(packet.track), packet.time
        return None if base is None or time is None else time * base - self._start + self.delay


def describe(container: Any, stream: Any) -> Description:
    """Tags, chapters and disposition of an open input."""
    chapters = tuple(Chapter(c["id"], c["start"], c["end"], Fraction(c["time_base"]), dict(c["metadata"])) for c in container.chapters() if c["time_base"])
    return Description(dict(container.metadata), dict(stream.metadata), int(stream.disposition), chapters)
