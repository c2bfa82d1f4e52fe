"""What a .vqv file holds besides pictures: tags, chapters and packets of other tracks, in packets
that a reader may skip.

Layout and ranges are in docs/format.md, section Tracks and metadata. Knows no FFmpeg:
:mod:`vqcodec.media.track_muxer` reads and writes the tracks of video files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction

from ..errors import LimitError
from ..fields import Reader, Writer
from .description import (
    MAX_DESCRIPTION,
    MAX_DISPOSITION,
    MAX_SIDE_DATA,
    Tags,
    get_base,
    get_tags,
    get_text,
    get_time,
    put_tags,
    put_text,
)
from .packets import MAX_FRACTION, MAX_PTS
from .writer import ContainerWriter

DESCRIPTION, TRACK, PACKETS, COLLECTED, REMARKS = 0x80, 0x81, 0x82, 0x83, 0x84


# in the place of a kind of sample: codec parameters by themselves, and captions of the pictures
PARAMETERS, CAPTIONS = "parameters", "captions"
KINDS = ("video", "audio", "data", "subtitle", "attachment")
MAX_TRACKS = 1000
MAX_ATTACHED = 256 << 20  # attachments of a file together
CHUNK = 1 << 20  # packets of tracks are put together up to this size


# Texts and data compress well when there is enough of them in one place; what a damaged place costs
# is bounded
COLLECTED_KINDS = ("subtitle", "data")


COLLECTED_CHUNK, COLLECTED_SECONDS = 1 << 16, 30
MAX_DECOMPRESSED = 256 << 20  # of the compressed packets of tracks of a file together


_KEY, _PTS, _DTS, _SIDE, _CORRUPT = 1, 2, 4, 8, 16


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
        """The bytes of the parameters, as docs/format.md has them."""
        writer = Writer().varint(self.sample_rate)
        put_text(writer, self.layout)
        writer.varint(self.width).varint(self.height)
        for data in (self.extradata, self.wave, self.packet):
            writer.varint(len(data)).raw(data)
        return writer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes | memoryview) -> Parameters:
        """Parse; DamageError when it contradicts itself."""
        reader = Reader(data, "codec parameters")
        rate, layout = reader.varint(MAX_FRACTION), get_text(reader)
        width, height = reader.varint(MAX_FRACTION), reader.varint(MAX_FRACTION)
        extradata, wave, packet = (
            bytes(reader.take(reader.varint(reader.remaining))) for _ in range(3)
        )
        reader.done()
        return cls(rate, layout, width, height, extradata, wave, packet)


@dataclass(frozen=True)
class Track:
    """A track that isn't the picture's; ``number`` is what its packets call it. ``sample`` is a
    small file of the kind ``format`` (a muxer of FFmpeg) with this track alone and
    its first packet: its codec parameters are those of the track. With the format ``parameters`` it
    has those alone. Of an attachment it is the attached file itself.
    """

    number: int
    kind: str
    codec: str
    time_base: Fraction
    disposition: int = 0
    tags: Tags = field(default_factory=dict)
    format: str = ""
    sample: bytes = b""

    def to_bytes(self) -> bytes:
        """The bytes of a track's description, as docs/format.md has them."""
        writer = Writer().varint(self.number).u8(KINDS.index(self.kind))
        put_text(writer, self.codec)
        writer.varint(self.time_base.numerator).varint(self.time_base.denominator).varint(
            self.disposition
        )
        put_tags(writer, self.tags)
        put_text(writer, self.format)
        return writer.varint(len(self.sample)).raw(self.sample).getvalue()

    @classmethod
    def from_bytes(cls, data: bytes | memoryview, base: int = 0) -> Track:
        """Parse; DamageError when it contradicts itself."""
        reader = Reader(data, "track", base)
        number, kind = reader.varint(MAX_TRACKS - 1), reader.u8()
        if kind >= len(KINDS):
            raise reader.error(f"kind {kind}")
        if KINDS[kind] != "attachment" and len(data) > MAX_DESCRIPTION:
            raise reader.error(f"{len(data)} bytes over the limit of {MAX_DESCRIPTION}")
        codec, unit, disposition, tags, name = (
            get_text(reader),
            get_base(reader),
            reader.varint(MAX_DISPOSITION),
            get_tags(reader),
            get_text(reader),
        )
        sample = bytes(reader.take(reader.varint(reader.remaining)))
        reader.done()
        return cls(number, KINDS[kind], codec, unit, disposition, tags, name, sample)

    def __str__(self) -> str:
        """For messages: ``track 2 (audio, aac, deu)``; the picture's is 0 there."""
        told = (self.kind, self.codec, self.tags.get("language"), self.tags.get("filename"))
        return f"track {self.number + 1} ({', '.join(filter(None, told))})"


@dataclass(frozen=True)
class TrackPacket:
    """A packet as it came: times in ticks of the track or None, ``side`` data as (position in SIDE,
    bytes).
    """

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
        return replace(
            self,
            dts=None if self.dts is None else self.dts - ticks,
            pts=None if self.pts is None else self.pts - ticks,
        )


class _Clock:
    """What the next packet of a track is expected to say, so that little is stored when it does."""

    def __init__(self) -> None:
        self.next = self.duration = 0

    def advance(self, packet: TrackPacket) -> None:
        time = packet.time
        self.duration = packet.duration
        self.next = (self.next if time is None else time) + packet.duration


def put_packet(out: Writer, clocks: dict[int, _Clock], packet: TrackPacket) -> None:
    """Append a packet to a chunk; ``clocks`` begins empty with each chunk.

    LimitError for times that a reader would refuse; ValueError, and nothing is appended, where they
    are further from those before than a chunk can tell.
    """
    for time in (packet.dts or 0, packet.pts or 0, packet.duration):
        if abs(time) > MAX_PTS:
            raise LimitError(
                f"the time {time} of a packet of track {packet.track + 1} is beyond {MAX_PTS}, the "
                "largest that the format holds"
            )
    writer = Writer()
    clock = clocks.setdefault(packet.track, _Clock())
    flags = (
        _KEY * packet.key
        | _PTS * (packet.pts is not None)
        | _DTS * (packet.dts is not None)
        | _SIDE * bool(packet.side)
        | _CORRUPT * packet.corrupt
    )
    writer.varint(packet.track).u8(flags)
    expected = clock.next
    if packet.dts is not None:
        writer.svarint(packet.dts - expected)
        expected = packet.dts
    if packet.pts is not None:
        writer.svarint(packet.pts - expected)
    writer.svarint(packet.duration - clock.duration)
    if packet.side:
        writer.varint(len(packet.side))
        for kind, data in packet.side:
            writer.varint(kind).varint(len(data)).raw(data)
    writer.varint(len(packet.data)).raw(packet.data)
    if abs((clock.next if packet.time is None else packet.time) + packet.duration) > 2 * MAX_PTS:
        raise ValueError("the packet ends too late")
    out.raw(writer.getvalue())
    clock.advance(packet)


def get_packets(payload: bytes | memoryview, base: int = 0) -> Iterator[TrackPacket]:
    """The packets of a chunk; DamageError when it contradicts itself."""
    reader = Reader(payload, "track packets", base)
    clocks: dict[int, _Clock] = {}
    while reader.remaining:
        number, flags = reader.varint(MAX_TRACKS - 1), reader.u8()
        if flags > 31:
            raise reader.error(f"flags {flags}")
        clock = clocks.setdefault(number, _Clock())
        dts = get_time(reader, clock.next) if flags & _DTS else None
        pts = get_time(reader, clock.next if dts is None else dts) if flags & _PTS else None
        duration = get_time(reader, clock.duration)
        side = (
            tuple(
                (reader.varint(0xFFFF), bytes(reader.take(reader.varint(reader.remaining))))
                for _ in range(reader.varint(min(MAX_SIDE_DATA, reader.remaining // 2)))
            )
            if flags & _SIDE
            else ()
        )
        packet = TrackPacket(
            number,
            dts,
            pts,
            duration,
            bool(flags & _KEY),
            bool(flags & _CORRUPT),
            side,
            bytes(reader.take(reader.varint(reader.remaining))),
        )
        clock.advance(packet)
        if abs(clock.next) > 2 * MAX_PTS:
            raise reader.error(f"time {clock.next} out of range")
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
        """Append the description of a track; LimitError for more attachments than a reader
        takes.
        """
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
