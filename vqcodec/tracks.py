"""What a .vqv file holds besides pictures: tags, chapters and packets of other tracks, in packets that a reader may skip.

Layout and ranges are in docs/format.md, section Tracks and metadata. Knows no FFmpeg: :mod:`vqcodec.remux` reads and writes
the tracks of video files.
"""

from __future__ import annotations

import heapq
import math
import struct
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache

from .bits import Reader, Writer
from .container import MAX_FRACTION, MAX_HEADER, MAX_PAYLOAD, MAX_PTS, ContainerWriter
from .errors import DamageError, DamageLog, LimitError, VqvError
from .scan import ContainerReader

DESCRIPTION, TRACK, PACKETS, COLLECTED, REMARKS = 0x80, 0x81, 0x82, 0x83, 0x84
# in the place of a kind of sample: codec parameters by themselves, and captions of the pictures
PARAMETERS, CAPTIONS = "parameters", "captions"
KINDS = ("video", "audio", "data", "subtitle", "attachment")
MAX_DESCRIPTION = MAX_HEADER  # of metadata, and of the codec parameters of a track; attachments have the limit of a packet
MAX_TRACKS = 1000
MAX_ATTACHED = 256 << 20  # attachments of a file together
MAX_SIDE_DATA = 256  # of a packet
MAX_DISPOSITION = (1 << 31) - 1  # FFmpeg's type is a signed int
CHUNK = 1 << 20  # packets of tracks are put together up to this size
# Texts and data compress well when there is enough of them in one place; what a damaged place costs is bounded
COLLECTED_KINDS = ("subtitle", "data")
COLLECTED_CHUNK, COLLECTED_SECONDS = 1 << 16, 30
MAX_DECOMPRESSED = 256 << 20  # of the compressed packets of tracks of a file together
# kinds of side data that a packet may have, by their names in PyAV; the file stores the position in this list
SIDE = ("palette", "new_extradata", "skip_samples", "jp_dual_mono", "strings_metadata", "subtitle_position", "matroska_block_additional", "webvtt_identifier", "webvtt_settings")
_TOLD = 20  # tags that are named when they have to go
_MATRIX, _MASTERING, _LIGHT, _FIELDS = 1, 2, 3, 4
TOP, BOTTOM = 2, 3  # the field that is shown first
FIELD_ORDERS = {TOP: "top field first", BOTTOM: "bottom field first"}
MAX_REMARKS = 1000
_KEY, _PTS, _DTS, _SIDE, _CORRUPT = 1, 2, 4, 8, 16

Tags = dict[str, str]


def _put_text(w: Writer, text: str) -> None:
    data = text.encode("utf-8", "replace")
    w.varint(len(data)).raw(data)


def _get_text(r: Reader) -> str:
    data = bytes(r.take(r.varint(r.remaining)))
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise r.error("text that is no UTF-8") from exc


def _tag(key: str, value: str) -> bytes:
    w = Writer()
    _put_text(w, key)
    _put_text(w, value)
    return w.getvalue()


def _put_tags(w: Writer, tags: Tags) -> None:
    w.varint(len(tags))
    for key, value in tags.items():
        w.raw(_tag(key, value))


def _get_tags(r: Reader) -> Tags:
    return {_get_text(r): _get_text(r) for _ in range(r.varint(r.remaining // 2))}


def _get_base(r: Reader) -> Fraction:
    num, den = r.varint(MAX_FRACTION), r.varint(MAX_FRACTION)
    if not num or not den:
        raise r.error(f"time base {num}/{den}")
    return Fraction(num, den)


def _get_time(r: Reader, base: int = 0) -> int:
    value = base + r.svarint()
    if abs(value) > MAX_PTS:
        raise r.error(f"time {value} out of range")
    return value


@dataclass(frozen=True)
class Chapter:
    """``start`` and ``end`` in ticks of ``time_base``."""

    id: int
    start: int
    end: int
    time_base: Fraction
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True)
class Mastering:
    """Mastering display of SMPTE ST 2086 as FFmpeg gives it: red, green, blue and white point (x, y each), then minimum and
    maximum luminance in cd/m2, as (numerator, denominator) pairs."""

    values: tuple[tuple[int, int], ...]
    has_primaries: bool
    has_luminance: bool


@dataclass(frozen=True)
class Description:
    """Tags of the file and of its picture track, chapters, and what the stream header has no room for."""

    tags: Tags = field(default_factory=dict)
    video_tags: Tags = field(default_factory=dict)
    disposition: int = 0  # FFmpeg's AV_DISPOSITION bits of the picture track
    chapters: tuple[Chapter, ...] = ()
    pix_fmt: str = ""  # FFmpeg's name of the source's pixel format where pictures were converted
    matrix: tuple[int, ...] | None = None  # display matrix where it is more than a rotation by quarter turns
    mastering: Mastering | None = None
    light: tuple[int, int] | None = None  # content light level: maximum, average of a frame, in cd/m2
    field_order: int = 0  # TOP or BOTTOM of interlaced pictures; 0: not interlaced, or not known

    def __bool__(self) -> bool:
        return self != Description()

    def to_bytes(self) -> bytes:
        w = Writer()
        _put_tags(w, self.tags)
        _put_tags(w, self.video_tags)
        w.varint(self.disposition).varint(len(self.chapters))
        for c in self.chapters:
            w.svarint(c.id).varint(c.time_base.numerator).varint(c.time_base.denominator).svarint(c.start).svarint(c.end)
            _put_tags(w, c.tags)
        _put_text(w, self.pix_fmt)
        side: list[tuple[int, bytes]] = []
        if self.matrix is not None:
            side.append((_MATRIX, struct.pack("<9i", *self.matrix)))
        if self.mastering is not None:
            m = self.mastering
            side.append((_MASTERING, struct.pack("<20iB", *(n for pair in m.values for n in pair), m.has_primaries | m.has_luminance << 1)))
        if self.light is not None:
            side.append((_LIGHT, struct.pack("<2I", *self.light)))
        if self.field_order:
            side.append((_FIELDS, bytes([self.field_order])))
        w.varint(len(side))
        for kind, data in side:
            w.varint(kind).varint(len(data)).raw(data)
        return w.getvalue()

    def fitted(self) -> tuple[Description, list[str]]:
        """What fits the ranges and limits of the format, and remarks on the rest: the longest tags go first, then the chapters."""
        notes: list[str] = []
        chapters = tuple(c for c in self.chapters if max(abs(c.start), abs(c.end)) <= MAX_PTS)
        if len(chapters) < len(self.chapters):
            notes.append(f"{len(self.chapters) - len(chapters)} chapters are left out: their times are out of range")
        fitted = replace(self, chapters=chapters)
        over = len(fitted.to_bytes()) - MAX_DESCRIPTION
        if over <= 0:
            return fitted, notes
        texts = [(len(_tag(key, value)), name, key) for name in ("tags", "video_tags") for key, value in getattr(self, name).items()]
        gone = set()
        for size, name, key in sorted(texts, key=lambda t: t[0], reverse=True):
            if over <= 0:
                break
            gone.add((name, key))
            over -= size
            if len(gone) <= _TOLD:
                notes.append(f"the tag {key[:40]} is left out: tags are over the limit of {MAX_DESCRIPTION} bytes")
        if len(gone) > _TOLD:
            notes.append(f"so are {len(gone) - _TOLD} more tags")
        if over > 0:
            notes.append(f"{len(chapters)} chapters are left out: their tags are over the limit of {MAX_DESCRIPTION} bytes")
            fitted = replace(fitted, chapters=())
        tags, video_tags = ({k: v for k, v in getattr(self, name).items() if (name, k) not in gone} for name in ("tags", "video_tags"))
        return replace(fitted, tags=tags, video_tags=video_tags), notes

    @classmethod
    def from_bytes(cls, data: bytes | memoryview, base: int = 0) -> Description:
        """Parse; DamageError when it contradicts itself."""
        if len(data) > MAX_DESCRIPTION:
            raise DamageError(f"metadata at byte {base}: {len(data)} bytes are over the limit of {MAX_DESCRIPTION}")
        r = Reader(data, "metadata", base)
        tags, video_tags, disposition = _get_tags(r), _get_tags(r), r.varint(MAX_DISPOSITION)
        chapters = []
        for _ in range(r.varint(r.remaining // 6)):
            number, unit = r.svarint(), _get_base(r)
            chapters.append(Chapter(number, _get_time(r), _get_time(r), unit, _get_tags(r)))
        pix_fmt = _get_text(r)
        side = {}
        for _ in range(r.varint(r.remaining // 2)):
            kind = r.varint()
            side[kind] = bytes(r.take(r.varint(r.remaining)))
        r.done()
        for kind, size in ((_MATRIX, 36), (_MASTERING, 81), (_LIGHT, 8), (_FIELDS, 1)):
            if kind in side and len(side[kind]) != size:
                raise r.error(f"side data {kind} of {len(side[kind])} bytes")
        mastering = None
        if _MASTERING in side:
            n = struct.unpack("<20iB", side[_MASTERING])
            mastering = Mastering(tuple(zip(n[0:20:2], n[1:20:2], strict=True)), bool(n[20] & 1), bool(n[20] & 2))
        light = struct.unpack("<2I", side[_LIGHT]) if _LIGHT in side else None
        fields = side.get(_FIELDS, b"\0")[0]
        if fields and fields not in FIELD_ORDERS:
            raise r.error(f"field order {fields}")
        matrix = struct.unpack("<9i", side[_MATRIX]) if _MATRIX in side else None
        return cls(
            tags,
            video_tags,
            disposition,
            tuple(chapters),
            pix_fmt,
            matrix,
            mastering,
            light,
            fields,
        )


def remarks_to_bytes(texts: Sequence[str]) -> bytes:
    """Payload of the packet that says what the source had and the file has not."""
    w = Writer().varint(min(len(texts), MAX_REMARKS))
    for text in texts[:MAX_REMARKS]:
        _put_text(w, text[:MAX_REMARKS])
    return w.getvalue()


def remarks_from_bytes(data: bytes | memoryview, base: int = 0) -> list[str]:
    """Parse; DamageError when it contradicts itself."""
    r = Reader(data, "remarks", base)
    texts = [_get_text(r) for _ in range(r.varint(min(MAX_REMARKS, r.remaining)))]
    r.done()
    return texts


@dataclass(frozen=True)
class Parameters:
    """Codec parameters of a track that no small file of FFmpeg's muxers can carry. ``wave`` is a
    WAVEFORMATEX, of codecs that have one; ``packet`` the first packet, to try outputs with."""

    sample_rate: int = 0
    layout: str = ""  # of channels: FFmpeg's name
    width: int = 0
    height: int = 0
    extradata: bytes = b""
    wave: bytes = b""
    packet: bytes = b""

    def to_bytes(self) -> bytes:
        w = Writer().varint(self.sample_rate)
        _put_text(w, self.layout)
        w.varint(self.width).varint(self.height)
        for data in (self.extradata, self.wave, self.packet):
            w.varint(len(data)).raw(data)
        return w.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes | memoryview) -> Parameters:
        """Parse; DamageError when it contradicts itself."""
        r = Reader(data, "codec parameters")
        rate, layout = r.varint(MAX_FRACTION), _get_text(r)
        width, height = r.varint(MAX_FRACTION), r.varint(MAX_FRACTION)
        extradata, wave, packet = (bytes(r.take(r.varint(r.remaining))) for _ in range(3))
        r.done()
        return cls(rate, layout, width, height, extradata, wave, packet)


@dataclass(frozen=True)
class Track:
    """A track that isn't the picture's; ``number`` is what its packets call it. ``sample`` is a small file of the kind ``format`` (a muxer of FFmpeg) with this track alone and
    its first packet: its codec parameters are those of the track. With the format ``parameters`` it has those alone. Of an attachment it is the attached file itself."""

    number: int
    kind: str
    codec: str
    time_base: Fraction
    disposition: int = 0
    tags: Tags = field(default_factory=dict)
    format: str = ""
    sample: bytes = b""

    def to_bytes(self) -> bytes:
        w = Writer().varint(self.number).u8(KINDS.index(self.kind))
        _put_text(w, self.codec)
        w.varint(self.time_base.numerator).varint(self.time_base.denominator).varint(self.disposition)
        _put_tags(w, self.tags)
        _put_text(w, self.format)
        return w.varint(len(self.sample)).raw(self.sample).getvalue()

    @classmethod
    def from_bytes(cls, data: bytes | memoryview, base: int = 0) -> Track:
        """Parse; DamageError when it contradicts itself."""
        r = Reader(data, "track", base)
        number, kind = r.varint(MAX_TRACKS - 1), r.u8()
        if kind >= len(KINDS):
            raise r.error(f"kind {kind}")
        if KINDS[kind] != "attachment" and len(data) > MAX_DESCRIPTION:
            raise r.error(f"{len(data)} bytes over the limit of {MAX_DESCRIPTION}")
        codec, unit, disposition, tags, name = _get_text(r), _get_base(r), r.varint(MAX_DISPOSITION), _get_tags(r), _get_text(r)
        sample = bytes(r.take(r.varint(r.remaining)))
        r.done()
        return cls(number, KINDS[kind], codec, unit, disposition, tags, name, sample)

    def __str__(self) -> str:
        """For messages: ``track 2 (audio, aac, deu)``; the picture's is 0 there."""
        return f"track {self.number + 1} ({', '.join(filter(None, (self.kind, self.codec, self.tags.get('language'), self.tags.get('filename'))))})"


@dataclass(frozen=True)
class TrackPacket:
    """A packet as it came: times in ticks of the track or None, ``side`` data as (position in SIDE, bytes)."""

    track: int
    dts: int | None
    pts: int | None
    duration: int
    key: bool
    corrupt: bool
    side: tuple[tuple[int, bytes], ...]
    data: bytes

    @property
    def time(self) -> int | None:
        """Time of decoding, where there is none of display; None where there is neither."""
        return self.pts if self.dts is None else self.dts

    def shifted(self, ticks: int) -> TrackPacket:
        """The packet that many ticks earlier."""
        return replace(self, dts=None if self.dts is None else self.dts - ticks, pts=None if self.pts is None else self.pts - ticks)


class _Clock:
    """What the next packet of a track is expected to say, so that little is stored when it does."""

    def __init__(self) -> None:
        self.next = self.duration = 0

    def advance(self, packet: TrackPacket) -> None:
        time = packet.time
        self.duration = packet.duration
        self.next = (self.next if time is None else time) + packet.duration


def put_packet(out: Writer, clocks: dict[int, _Clock], p: TrackPacket) -> None:
    """Append a packet to a chunk; ``clocks`` begins empty with each chunk.

    LimitError for times that a reader would refuse; ValueError, and nothing is appended, where they are
    further from those before than a chunk can tell.
    """
    for time in (p.dts or 0, p.pts or 0, p.duration):
        if abs(time) > MAX_PTS:
            raise LimitError(f"the time {time} of a packet of track {p.track + 1} is beyond {MAX_PTS}, the largest that the format holds")
    w = Writer()
    clock = clocks.setdefault(p.track, _Clock())
    flags = _KEY * p.key | _PTS * (p.pts is not None) | _DTS * (p.dts is not None) | _SIDE * bool(p.side) | _CORRUPT * p.corrupt
    w.varint(p.track).u8(flags)
    expected = clock.next
    if p.dts is not None:
        w.svarint(p.dts - expected)
        expected = p.dts
    if p.pts is not None:
        w.svarint(p.pts - expected)
    w.svarint(p.duration - clock.duration)
    if p.side:
        w.varint(len(p.side))
        for kind, data in p.side:
            w.varint(kind).varint(len(data)).raw(data)
    w.varint(len(p.data)).raw(p.data)
    if abs((clock.next if p.time is None else p.time) + p.duration) > 2 * MAX_PTS:
        raise ValueError("the packet ends too late")
    out.raw(w.getvalue())
    clock.advance(p)


def get_packets(payload: bytes | memoryview, base: int = 0) -> Iterator[TrackPacket]:
    """The packets of a chunk; DamageError when it contradicts itself."""
    r = Reader(payload, "track packets", base)
    clocks: dict[int, _Clock] = {}
    while r.remaining:
        number, flags = r.varint(MAX_TRACKS - 1), r.u8()
        if flags > 31:
            raise r.error(f"flags {flags}")
        clock = clocks.setdefault(number, _Clock())
        dts = _get_time(r, clock.next) if flags & _DTS else None
        pts = _get_time(r, clock.next if dts is None else dts) if flags & _PTS else None
        duration = _get_time(r, clock.duration)
        side = tuple((r.varint(0xFFFF), bytes(r.take(r.varint(r.remaining)))) for _ in range(r.varint(min(MAX_SIDE_DATA, r.remaining // 2)))) if flags & _SIDE else ()
        packet = TrackPacket(number, dts, pts, duration, bool(flags & _KEY), bool(flags & _CORRUPT), side, bytes(r.take(r.varint(r.remaining))))
        clock.advance(packet)
        if abs(clock.next) > 2 * MAX_PTS:
            raise r.error(f"time {clock.next} out of range")
        yield packet


class _Chunk:
    """Records on their way into one payload."""

    def __init__(self) -> None:
        self.start: Fraction | None = None  # seconds of the first packet that has a time
        self._writer, self._clocks = Writer(), dict[int, _Clock]()

    def add(self, packet: TrackPacket, seconds: Fraction | None = None) -> None:
        put_packet(self._writer, self._clocks, packet)
        if self.start is None:
            self.start = seconds

    def __len__(self) -> int:
        return len(self._writer)

    def getvalue(self) -> bytes:
        return self._writer.getvalue()


class TrackWriter:
    """Puts tracks into a file that is being written: :meth:`add` for each before its first packet,
    :meth:`packet`, :meth:`flush` before each GOP, and once more at the end.

    Sound is written before the GOP in whose time it lies. Texts and data are collected for longer,
    and compressed.
    """

    def __init__(self, writer: ContainerWriter) -> None:
        self._writer = writer
        self._bases: dict[int, Fraction] = {}  # of tracks whose packets are collected
        self._chunk, self._collected = _Chunk(), _Chunk()
        self._room = MAX_DECOMPRESSED
        self._attached = 0

    def add(self, track: Track) -> None:
        """Append the description of a track; LimitError for more attachments than a reader takes."""
        if track.kind == "attachment":
            self._attached += len(track.sample)
            if self._attached > MAX_ATTACHED:
                raise LimitError(f"{track}: attachments are over the limit of {MAX_ATTACHED} bytes")
        self._write_chunk()
        if track.kind in COLLECTED_KINDS:
            self._bases[track.number] = track.time_base
        self._writer.extra(TRACK, track.to_bytes(), small=True)

    def packet(self, packet: TrackPacket) -> None:
        """Append a packet of a track that was added."""
        base = self._bases.get(packet.track)
        if base is None:
            if len(self._chunk) + len(packet.data) > CHUNK:
                self._write_chunk()
            try:
                self._chunk.add(packet)
            except ValueError:  # too far from the times in this one
                self._write_chunk()
                self._chunk.add(packet)
            return
        seconds = None if packet.time is None else packet.time * base
        if self._too_long(seconds) or len(self._collected) + len(packet.data) > COLLECTED_CHUNK:
            self._write_collected()
        try:
            self._collected.add(packet, seconds)
        except ValueError:
            self._write_collected()
            self._collected.add(packet, seconds)

    def flush(self, now: Fraction | None = None) -> None:
        """Write what belongs before a GOP that ends at ``now`` seconds; None: all that is left."""
        self._write_chunk()
        if now is None or self._too_long(now):
            self._write_collected()

    def _too_long(self, now: Fraction | None) -> bool:
        start = self._collected.start
        return start is not None and now is not None and abs(now - start) > COLLECTED_SECONDS

    def _write_chunk(self) -> None:
        if self._chunk:
            self._writer.extra(PACKETS, self._chunk.getvalue())
            self._chunk = _Chunk()

    def _write_collected(self) -> None:
        if content := self._collected.getvalue():
            small = len(content) <= self._room  # a reader decompresses no more
            self._room -= len(content) if small else 0
            self._writer.extra(COLLECTED, content, small)
            self._collected = _Chunk()


class StoredTracks:
    """Description, tracks (by number) and their packets in a .vqv file. Damage is put down in ``damage``, what is sound is given."""

    def __init__(self, reader: ContainerReader) -> None:
        self._reader = reader
        self.damage = DamageLog()
        self.size = 0  # bytes that descriptions of tracks take, attachments with them
        self.description = Description()
        self.left_out: list[str] = []  # what the source had and the file has not
        self.tracks: dict[int, Track] = {}
        found, attached = False, 0
        for i, extra in enumerate(reader.extras):
            try:
                if extra.type == DESCRIPTION and not found:
                    self.description, found = Description.from_bytes(reader.read_extra(i, MAX_DESCRIPTION), extra.offset), True
                elif extra.type == REMARKS:
                    room = MAX_REMARKS - len(self.left_out)
                    texts = remarks_from_bytes(reader.read_extra(i, 4 * MAX_REMARKS**2), extra.offset)
                    self.left_out += texts[:room]
                elif extra.type == TRACK:
                    payload = reader.read_extra(i, min(MAX_PAYLOAD, reader.limits.memory // 2 - self.size))
                    track = Track.from_bytes(payload, extra.offset)
                    self.size += len(payload)
                    attached += len(track.sample) if track.kind == "attachment" else 0
                    if attached > MAX_ATTACHED:
                        raise LimitError(f"{track} at byte {extra.offset}: attachments are over the limit of {MAX_ATTACHED} bytes")
                    if 2 * self.size > reader.limits.memory:  # once more in the output
                        raise LimitError(f"{track} at byte {extra.offset}: tracks need more than {reader.limits.memory} bytes of memory, the limit (--max-memory)")
                    self.tracks.setdefault(track.number, track)
            except VqvError as exc:
                self.damage.note(str(exc))

    def packets(self, first_frame: int = 0, only: Collection[int] | None = None) -> Iterator[TrackPacket]:
        """Packets by their times, those of a track in the order of the file, from those stored with
        the frame of that number on. Packets of others may be left out where ``only`` some tracks
        are wanted."""
        room = MAX_DECOMPRESSED
        kinds = {True, False}
        if only is not None:
            kinds = {t.kind in COLLECTED_KINDS for n, t in self.tracks.items() if n in only}

        def stored(kind: int) -> Iterator[tuple[float, TrackPacket]]:
            nonlocal room
            seconds = -math.inf
            for i, extra in enumerate(self._reader.extras):
                if extra.type != kind or extra.first_frame < first_frame:
                    continue
                try:
                    content = self._reader.read_extra(i, room)
                    room -= len(content) if extra.compressed else 0
                    for p in get_packets(content, extra.offset):
                        track = self.tracks.get(p.track)
                        if track is not None and p.time is not None:
                            base = track.time_base
                            seconds = p.time * base.numerator / base.denominator
                        yield seconds, p
                except VqvError as exc:
                    self.damage.note(str(exc))

        # collected packets lie further back in the file than the sound of their time
        rows = [stored(COLLECTED if collected else PACKETS) for collected in kinds]
        for _, packet in heapq.merge(*rows, key=lambda item: item[0]):
            yield packet


def clip_chapters(chapters: tuple[Chapter, ...], start: Fraction, stop: Fraction | None) -> tuple[Chapter, ...]:
    """Chapters of the stretch from ``start`` to ``stop`` seconds, which then begins at zero."""
    result = []
    ticks = cache(lambda base: (round(start / base), None if stop is None else round(stop / base)))
    for c in chapters:
        shift, last = ticks(c.time_base)
        end = c.end if last is None else min(c.end, last)
        # one of no length is a mark: it belongs to where it lies
        mark = c.start == c.end == end >= shift and (last is None or end < last)
        if mark or (end > shift and c.start < end):
            result.append(replace(c, start=max(0, c.start - shift), end=end - shift))
    return tuple(result)
