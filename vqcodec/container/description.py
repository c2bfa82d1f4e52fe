"""Tags, chapters, HDR data and remarks of a file: to bytes and back."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache

from ..errors import DamageError
from ..fields import Reader, Writer
from .packets import MAX_FRACTION, MAX_HEADER, MAX_PTS

# of metadata, and of the codec parameters of a track; attachments have the limit of a packet
MAX_DESCRIPTION = MAX_HEADER
MAX_SIDE_DATA = 256  # of a packet
MAX_DISPOSITION = (1 << 31) - 1  # FFmpeg's type is a signed int


# kinds of side data that a packet may have, by their names in PyAV; the file stores the position in
# this list
SIDE = (
    "palette",
    "new_extradata",
    "skip_samples",
    "jp_dual_mono",
    "strings_metadata",
    "subtitle_position",
    "matroska_block_additional",
    "webvtt_identifier",
    "webvtt_settings",
)
_TOLD = 20  # tags that are named when they have to go


_MATRIX, _MASTERING, _LIGHT, _FIELDS = 1, 2, 3, 4


TOP, BOTTOM = 2, 3  # the field that is shown first
FIELD_ORDERS = {TOP: "top field first", BOTTOM: "bottom field first"}
MAX_REMARKS = 1000
Tags = dict[str, str]


def put_text(writer: Writer, text: str) -> None:
    """Write a text: its length in bytes as a varint, then UTF-8. What UTF-8 cannot hold becomes
    ``?``."""
    data = text.encode("utf-8", "replace")
    writer.varint(len(data)).raw(data)


def get_text(reader: Reader) -> str:
    """Read a text; DamageError where it is too long for what is left, or no UTF-8."""
    data = bytes(reader.take(reader.varint(reader.remaining)))
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise reader.error("text that is no UTF-8") from exc


def _tag(key: str, value: str) -> bytes:
    writer = Writer()
    put_text(writer, key)
    put_text(writer, value)
    return writer.getvalue()


def put_tags(writer: Writer, tags: Tags) -> None:
    """Write tags: their number, then each key and value as texts."""
    writer.varint(len(tags))
    for key, value in tags.items():
        writer.raw(_tag(key, value))


def get_tags(reader: Reader) -> Tags:
    """Read tags; the last of equal keys counts. DamageError as of :func:`get_text`."""
    return {get_text(reader): get_text(reader) for _ in range(reader.varint(reader.remaining // 2))}


def get_base(reader: Reader) -> Fraction:
    """Read a time base: seconds a tick as two varints from 1 to MAX_FRACTION.

    Raises:
        DamageError: one of them is 0 or out of range.
    """
    num, den = reader.varint(MAX_FRACTION), reader.varint(MAX_FRACTION)
    if not num or not den:
        raise reader.error(f"time base {num}/{den}")
    return Fraction(num, den)


def get_time(reader: Reader, base: int = 0) -> int:
    """Read a time as the difference to ``base``, both in ticks.

    Raises:
        DamageError: the time is outside of -MAX_PTS to MAX_PTS.
    """
    value = base + reader.svarint()
    if abs(value) > MAX_PTS:
        raise reader.error(f"time {value} out of range")
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
    """Mastering display of SMPTE ST 2086 as FFmpeg gives it: red, green, blue and white point (x, y
    each), then minimum and maximum luminance in cd/m2, as (numerator, denominator) pairs.
    """

    values: tuple[tuple[int, int], ...]
    has_primaries: bool
    has_luminance: bool


@dataclass(frozen=True)
class Description:
    """Tags of the file and of its picture track, chapters, and what the stream header has no room
    for.
    """

    tags: Tags = field(default_factory=dict)
    video_tags: Tags = field(default_factory=dict)
    disposition: int = 0  # FFmpeg's AV_DISPOSITION bits of the picture track
    chapters: tuple[Chapter, ...] = ()
    pix_fmt: str = ""  # FFmpeg's name of the source's pixel format where pictures were converted
    matrix: tuple[int, ...] | None = (
        None  # display matrix where it is more than a rotation by quarter turns
    )
    mastering: Mastering | None = None
    light: tuple[int, int] | None = (
        None  # content light level: maximum, average of a frame, in cd/m2
    )
    field_order: int = 0  # TOP or BOTTOM of interlaced pictures; 0: not interlaced, or not known

    def __bool__(self) -> bool:
        return self != Description()

    def to_bytes(self) -> bytes:
        """The bytes of a description, as docs/format.md has them."""
        writer = Writer()
        put_tags(writer, self.tags)
        put_tags(writer, self.video_tags)
        writer.varint(self.disposition).varint(len(self.chapters))
        for chapter in self.chapters:
            writer.svarint(chapter.id).varint(chapter.time_base.numerator).varint(
                chapter.time_base.denominator
            ).svarint(chapter.start).svarint(chapter.end)
            put_tags(writer, chapter.tags)
        put_text(writer, self.pix_fmt)
        side: list[tuple[int, bytes]] = []
        if self.matrix is not None:
            side.append((_MATRIX, struct.pack("<9i", *self.matrix)))
        if self.mastering is not None:
            mastering = self.mastering
            side.append(
                (
                    _MASTERING,
                    struct.pack(
                        "<20iB",
                        *(number for pair in mastering.values for number in pair),
                        mastering.has_primaries | mastering.has_luminance << 1,
                    ),
                )
            )
        if self.light is not None:
            side.append((_LIGHT, struct.pack("<2I", *self.light)))
        if self.field_order:
            side.append((_FIELDS, bytes([self.field_order])))
        writer.varint(len(side))
        for kind, data in side:
            writer.varint(kind).varint(len(data)).raw(data)
        return writer.getvalue()

    def fitted(self) -> tuple[Description, list[str]]:
        """What fits the ranges and limits of the format, and remarks on the rest: the longest tags
        go first, then the chapters.
        """
        notes: list[str] = []
        chapters = tuple(
            chapter
            for chapter in self.chapters
            if max(abs(chapter.start), abs(chapter.end)) <= MAX_PTS
        )
        if len(chapters) < len(self.chapters):
            notes.append(
                f"{len(self.chapters) - len(chapters)} chapters are left out: "
                "their times are out of range"
            )
        fitted = replace(self, chapters=chapters)
        over = len(fitted.to_bytes()) - MAX_DESCRIPTION
        if over <= 0:
            return fitted, notes
        texts = [
            (len(_tag(key, value)), name, key)
            for name in ("tags", "video_tags")
            for key, value in getattr(self, name).items()
        ]
        gone = set()
        for size, name, key in sorted(texts, key=lambda t: t[0], reverse=True):
            if over <= 0:
                break
            gone.add((name, key))
            over -= size
            if len(gone) <= _TOLD:
                notes.append(
                    f"the tag {key[:40]} is left out: tags are over the limit of "
                    f"{MAX_DESCRIPTION} bytes"
                )
        if len(gone) > _TOLD:
            notes.append(f"so are {len(gone) - _TOLD} more tags")
        if over > 0:
            notes.append(
                f"{len(chapters)} chapters are left out: their tags are over the limit "
                f"of {MAX_DESCRIPTION} bytes"
            )
            fitted = replace(fitted, chapters=())
        tags, video_tags = (
            {k: v for k, v in getattr(self, name).items() if (name, k) not in gone}
            for name in ("tags", "video_tags")
        )
        return replace(fitted, tags=tags, video_tags=video_tags), notes

    @classmethod
    def from_bytes(cls, data: bytes | memoryview, base: int = 0) -> Description:
        """Parse; DamageError when it contradicts itself."""
        if len(data) > MAX_DESCRIPTION:
            raise DamageError(
                f"{len(data)} bytes are over the limit of {MAX_DESCRIPTION}",
                part="metadata",
                byte=base,
            )
        reader = Reader(data, "metadata", base)
        tags, video_tags, disposition = (
            get_tags(reader),
            get_tags(reader),
            reader.varint(MAX_DISPOSITION),
        )
        chapters = []
        for _ in range(reader.varint(reader.remaining // 6)):
            number, unit = reader.svarint(), get_base(reader)
            chapters.append(
                Chapter(number, get_time(reader), get_time(reader), unit, get_tags(reader))
            )
        pix_fmt = get_text(reader)
        side = {}
        for _ in range(reader.varint(reader.remaining // 2)):
            kind = reader.varint()
            side[kind] = bytes(reader.take(reader.varint(reader.remaining)))
        reader.done()
        for kind, size in ((_MATRIX, 36), (_MASTERING, 81), (_LIGHT, 8), (_FIELDS, 1)):
            if kind in side and len(side[kind]) != size:
                raise reader.error(f"side data {kind} of {len(side[kind])} bytes")
        mastering = None
        if _MASTERING in side:
            numbers = struct.unpack("<20iB", side[_MASTERING])
            mastering = Mastering(
                tuple(zip(numbers[0:20:2], numbers[1:20:2], strict=True)),
                bool(numbers[20] & 1),
                bool(numbers[20] & 2),
            )
        light = struct.unpack("<2I", side[_LIGHT]) if _LIGHT in side else None
        fields = side.get(_FIELDS, b"\0")[0]
        if fields and fields not in FIELD_ORDERS:
            raise reader.error(f"field order {fields}")
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
    writer = Writer().varint(min(len(texts), MAX_REMARKS))
    for text in texts[:MAX_REMARKS]:
        put_text(writer, text[:MAX_REMARKS])
    return writer.getvalue()


def remarks_from_bytes(data: bytes | memoryview, base: int = 0) -> list[str]:
    """Parse; DamageError when it contradicts itself."""
    reader = Reader(data, "remarks", base)
    texts = [get_text(reader) for _ in range(reader.varint(min(MAX_REMARKS, reader.remaining)))]
    reader.done()
    return texts


def clip_chapters(
    chapters: tuple[Chapter, ...], start: Fraction, stop: Fraction | None
) -> tuple[Chapter, ...]:
    """Chapters of the stretch from ``start`` to ``stop`` seconds, which then begins at zero."""
    result = []
    ticks = cache(lambda base: (round(start / base), None if stop is None else round(stop / base)))
    for chapter in chapters:
        shift, last = ticks(chapter.time_base)
        end = chapter.end if last is None else min(chapter.end, last)
        # one of no length is a mark: it belongs to where it lies
        mark = chapter.start == chapter.end == end >= shift and (last is None or end < last)
        if mark or (end > shift and chapter.start < end):
            begin, end = max(0, chapter.start - shift), end - shift
            same = (begin, end) == (chapter.start, chapter.end)
            result.append(chapter if same else replace(chapter, start=begin, end=end))
    return tuple(result)
