"""The .vqv container: file header, packets with checksums, and the index at the end.

It knows no pictures and no network. All integers are little-endian; ``varint`` and ``svarint`` are
those of :mod:`vqcodec.fields`. A file is::

    file header   magic 89 56 51 56 0D 0A 1A 0A | u16 version | u32 n | n bytes stream header
                  | u32 CRC-32 of all before
    GOP packets   in display order, one for each group of pictures
    index packet
    trailer       u64 offset of the index packet | u32 CRC-32 of (offset, tail magic)
                  | tail magic 0A 1A 0A 0D 56 51 56 89

    stream header varint width, height | varint num, den of the time base, of the nominal frame
                  rate (0/0 unknown) and of the sample aspect ratio (0/0 unknown)
                  | u8 rotation in quarter turns | u8 primaries, transfer, matrix, range,
                  chroma location | u8 source bit depth | u8 crf | u32 content id
                  | 8 bytes model id
    packet        sync 56 51 50 B7 | u8 type | varint payload length, first frame, frame count
                  | u32 CRC-32 of (stream id, sync .. frame count) | payload
                  | u32 CRC-32 of (stream id, sync .. frame count, payload)
    GOP payload   svarint pts of the first frame | varint runs
                  | runs x (varint pts step, varint repetitions)
                  | varint duration of the last frame (0 unknown) | u32 pixel checksum
                  | varint squared error of Y, U, V | body
    index payload varint n | n bytes copy of the stream header | varint entries
                  | entries x (varint step of the file offset, 0 for lost frames,
                  varint frame count, svarint step of the first pts)

The stream id is the CRC-32 of the stream header as four bytes: packets of another file fail their
checksums. Packet types: 0x01 GOP, 0x02 index (first frame = frames of the file, frame count = 0).
Types with bit 0x80 may be skipped by a reader that doesn't know them; with bit 0x40 too their
payload is a zstd frame. Other unknown types are refused. Ranges are in docs/format.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from ..errors import DamageError, InputError, LimitError
from ..fields import Reader, Writer, crc32, u32

MAGIC = b"\x89VQV\r\n\x1a\n"
TAIL_MAGIC = MAGIC[::-1]
SYNC = b"VQP\xb7"
VERSION = 0  # of the format
# Drafts of a version that is not released are counted up, from 0, by every change that makes a
# decoder read files otherwise (tools/golden.py asks for it); a released version has 0.
DRAFT = 0

GOP, INDEX, IGNORABLE, COMPRESSED = 0x01, 0x02, 0x80, 0x40
# what the format ends at
MAX_SIDE = 16384  # width or height
MAX_PIXELS = 64 << 20  # of a picture
MAX_PAYLOAD = 64 << 20  # bytes of a packet
MAX_HEADER = 1 << 20  # bytes of the stream header
MAX_GOP = 128  # frames
MAX_FRACTION = (1 << 31) - 1  # numerator or denominator
MAX_PTS = 1 << 62
MAX_CRF = 63
PACKET_HEADER_MAX = 4 + 1 + 3 * 10 + 4
FILE_PREFIX = len(MAGIC) + 2 + 4
TRAILER_SIZE = 8 + 4 + 8
ENTRY_MEMORY = 256  # bytes that an entry of the index takes in memory, at most


def check_picture_size(
    width: int, height: int, side: int = MAX_SIDE, pixels: int = MAX_PIXELS
) -> None:
    """LimitError for a picture with more samples, or more in a row or a column."""
    if max(width, height) > side or width * height > pixels:
        raise LimitError(
            f"picture of {width}x{height} is over the limit of {side} a side and {pixels} pixels"
        )


@dataclass(frozen=True)
class StreamHeader:
    """What holds for the whole stream. Colour numbers are those of ITU-T H.273 as FFmpeg uses them
    (2 = unspecified).
    """

    width: int
    height: int
    time_base: Fraction
    rate: Fraction | None = None
    sar: Fraction | None = None
    rotation: int = 0  # degrees clockwise to apply for display: 0, 90, 180 or 270
    primaries: int = 2
    transfer: int = 2
    matrix: int = 2
    range: int = 0  # 0 unknown, 1 limited, 2 full
    chroma_location: int = 0
    bit_depth: int = 8
    crf: int = 28
    content_id: int = 0  # CRC-32 of the first picture: tells apart files of equal size and options
    model_id: bytes = bytes(8)

    def to_bytes(self) -> bytes:
        """The stream header as stored."""
        writer = Writer().varint(self.width).varint(self.height)
        for value in (self.time_base, self.rate, self.sar):
            writer.varint(value.numerator if value else 0).varint(value.denominator if value else 0)
        writer.u8(self.rotation // 90)
        for number in (
            self.primaries,
            self.transfer,
            self.matrix,
            self.range,
            self.chroma_location,
            self.bit_depth,
            self.crf,
        ):
            writer.u8(number)
        data = writer.u32(self.content_id).raw(self.model_id).getvalue()
        self.from_bytes(data)  # what the reader would refuse is never written
        return data

    @classmethod
    def from_bytes(cls, data: bytes | memoryview) -> StreamHeader:
        """Parse and check; LimitError for pictures too large, DamageError for anything else out of
        range.
        """
        reader = Reader(data, "stream header")
        width, height = reader.varint(), reader.varint()
        if not width or not height:
            raise reader.error(f"picture of {width}x{height}")
        check_picture_size(width, height)
        fractions: list[Fraction | None] = []
        for _ in range(3):
            num, den = reader.varint(MAX_FRACTION), reader.varint(MAX_FRACTION)
            if bool(num) != bool(den):
                raise reader.error(f"fraction {num}/{den}")
            fractions.append(Fraction(num, den) if num else None)
        time_base, rate, sar = fractions
        if time_base is None:
            raise reader.error("no time base")
        turns, primaries, transfer, matrix, range_, location, depth, crf = reader.take(8)
        if turns > 3 or range_ > 2 or not 8 <= depth <= 16 or crf > MAX_CRF:
            raise reader.error(
                f"rotation {turns}, range {range_}, bit depth {depth} or crf {crf} out of range"
            )
        content_id = reader.u32()
        model_id = bytes(reader.take(8))
        reader.done()
        return cls(
            width,
            height,
            time_base,
            rate,
            sar,
            turns * 90,
            primaries,
            transfer,
            matrix,
            range_,
            location,
            depth,
            crf,
            content_id,
            model_id,
        )


@dataclass(frozen=True)
class PacketHeader:
    """Head of a packet: ``size`` bytes long itself, followed by ``length`` payload bytes and four
    of CRC-32.
    """

    type: int
    length: int
    first_frame: int
    frames: int
    raw: bytes = b""  # sync .. frame count, as covered by both checksums
    size: int = 0

    @property
    def total(self) -> int:
        """Bytes of the whole packet."""
        return self.size + self.length + 4

    @classmethod
    def build(cls, type_: int, length: int, first_frame: int, frames: int) -> PacketHeader:
        """The head of a packet to write; LimitError for a payload that is too long."""
        if length > MAX_PAYLOAD:
            raise LimitError(f"packet of {length} bytes is over the limit of {MAX_PAYLOAD}")
        raw = (
            Writer()
            .raw(SYNC)
            .u8(type_)
            .varint(length)
            .varint(first_frame)
            .varint(frames)
            .getvalue()
        )
        return cls(type_, length, first_frame, frames, raw, len(raw) + 4)

    @classmethod
    def parse(cls, data: bytes | memoryview, stream_id: int, base: int = 0) -> PacketHeader:
        """Parse the head at the start of ``data`` (file offset ``base``); DamageError unless sync,
        CRC and ranges are right.
        """
        reader = Reader(data, "packet header", base)
        if bytes(reader.take(4)) != SYNC:
            raise DamageError("no packet", byte=base)
        type_, length, first, frames = (
            reader.u8(),
            reader.varint(),
            reader.varint(),
            reader.varint(),
        )
        raw = bytes(data[: reader.position])
        if reader.u32() != packet_checksum(stream_id, raw):
            raise DamageError("checksum mismatch", part="packet header", byte=base)
        if length > MAX_PAYLOAD:
            raise LimitError(
                f"{length} bytes are over the limit of {MAX_PAYLOAD}", part="packet", byte=base
            )
        if (
            first >= MAX_PTS
            or (type_ == GOP and not 1 <= frames <= MAX_GOP)
            or (type_ == INDEX and frames)
        ):
            raise DamageError(
                f"first frame {first}, {frames} frames out of range", part="packet", byte=base
            )
        if type_ not in (GOP, INDEX) and not type_ & IGNORABLE:
            raise InputError(
                f"unknown type {type_}: the file was written by a newer program",
                part="packet",
                byte=base,
            )
        return cls(type_, length, first, frames, raw, reader.position)


@dataclass(frozen=True)
class GopPayload:
    """One group of pictures: times in ticks (strictly increasing), what the encoder measured, and
    the coded pictures.
    """

    pts: tuple[int, ...]
    duration: int  # ticks of the last frame; 0 unknown
    checksum: int
    sse: tuple[int, int, int]  # sums of squared error of Y, U, V on the 8-bit scale
    body: bytes

    def to_bytes(self) -> bytes:
        """The payload; LimitError for times that a reader would refuse."""
        if not 1 <= len(self.pts) <= MAX_GOP:
            raise ValueError(f"GOP of {len(self.pts)} frames")
        for time in (self.pts[0], self.pts[-1], self.duration):
            if abs(time) > MAX_PTS:
                raise LimitError(
                    f"the time {time} is beyond {MAX_PTS}, the largest that the format holds"
                )
        runs: list[list[int]] = []
        for before, pts in pairwise(self.pts):
            step = pts - before
            if step <= 0:
                raise ValueError(f"pts {pts} after {before}")
            if runs and runs[-1][0] == step:
                runs[-1][1] += 1
            else:
                runs.append([step, 1])
        writer = Writer().svarint(self.pts[0]).varint(len(runs))
        for step, repeat in runs:
            writer.varint(step).varint(repeat)
        writer.varint(self.duration).u32(self.checksum)
        for value in self.sse:
            writer.varint(value)
        return writer.raw(self.body).getvalue()

    @classmethod
    def from_bytes(cls, data: bytes | memoryview, frames: int, base: int = 0) -> GopPayload:
        """Parse the payload of a packet of ``frames`` frames; DamageError when it contradicts
        itself.
        """
        reader = Reader(data, "GOP packet", base)
        pts = [reader.svarint()]
        for _ in range(reader.varint(frames - 1)):
            step, repeat = reader.varint(MAX_PTS), reader.varint(frames - len(pts))
            if not step or not repeat:
                raise reader.error("empty run of times")
            pts += [pts[-1] + step * (i + 1) for i in range(repeat)]
        if len(pts) != frames or abs(pts[0]) > MAX_PTS or pts[-1] > MAX_PTS:
            raise reader.error(f"{len(pts)} times for {frames} frames, or a time out of range")
        duration, checksum = reader.varint(MAX_PTS), reader.u32()
        sse = (reader.varint(), reader.varint(), reader.varint())
        return cls(tuple(pts), duration, checksum, sse, bytes(reader.take(reader.remaining)))


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """Where a GOP lies. ``offset`` is -1 for frames known to be lost; ``first_pts`` is None where
    it isn't known.
    """

    offset: int
    first_frame: int
    count: int
    first_pts: int | None = None

    @property
    def frames(self) -> range:
        """Numbers of its frames."""
        return range(self.first_frame, self.first_frame + self.count)


@dataclass(frozen=True)
class Extra:
    """Where a packet lies that is neither GOP nor index; ``first_frame`` is that of the GOP it is
    stored with.

    ``type`` is the one that its content has; ``compressed`` says that the payload is a zstd frame
    of it.
    """

    offset: int
    type: int
    first_frame: int
    compressed: bool = False


def version_name(version: int = VERSION, draft: int = DRAFT) -> str:
    """What people call a version of the format."""
    return f"{version}, draft {draft}" if draft else str(version)


def file_header(header: bytes) -> bytes:
    """The bytes a file starts with, for the given stream header."""
    data = Writer().raw(MAGIC).u8(VERSION).u8(DRAFT).u32(len(header)).raw(header).getvalue()
    return data + u32(crc32(data))


def packet_checksum(stream_id: int, raw: bytes, payload: bytes | memoryview = b"") -> int:
    """CRC-32 of a packet: of the head ``raw`` (sync .. frame count) alone, or with the payload."""
    return crc32(u32(stream_id), raw, payload)


def packet(type_: int, stream_id: int, first_frame: int, frames: int, payload: bytes) -> bytes:
    """A whole packet."""
    head = PacketHeader.build(type_, len(payload), first_frame, frames)
    crc, end = (u32(packet_checksum(stream_id, head.raw, covered)) for covered in (b"", payload))
    return b"".join((head.raw, crc, payload, end))
