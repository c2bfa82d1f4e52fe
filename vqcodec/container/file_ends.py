"""Both ends of a file: its header in front, its index behind."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from ..errors import DamageError, DamageLog, InputError, VqvError
from ..fields import Reader, crc32
from .index import parse_index
from .packet_file import PacketFile
from .packets import (
    DRAFT,
    FILE_PREFIX,
    INDEX,
    MAGIC,
    MAX_HEADER,
    PACKET_HEADER_MAX,
    TAIL_MAGIC,
    TRAILER_SIZE,
    VERSION,
    IndexEntry,
    PacketHeader,
    version_name,
)


class FileIndex(NamedTuple):
    """The index of a file: where its packet lies, its copy of the stream header, its entries."""

    offset: int
    header: bytes
    entries: list[IndexEntry]


def read_index(packets: PacketFile, memory: int) -> FileIndex | None:
    """The index that the trailer names; None when one of them is missing or damaged.

    An index whose entries take more than ``memory`` bytes is not read either.
    """
    try:
        return _read_index(packets, memory)
    except VqvError:
        return None


def _read_index(packets: PacketFile, memory: int) -> FileIndex | None:
    end = packets.size - TRAILER_SIZE
    reader = Reader(packets.read(0, FILE_PREFIX), "file header")
    if reader.take(8) == MAGIC and (reader.u8(), reader.u8()) != (VERSION, DRAFT):
        return None  # another version may place its index elsewhere: nothing is guessed
    trailer = packets.read(max(0, end), TRAILER_SIZE)
    reader = Reader(trailer, "trailer")
    offset, crc = reader.u64(), reader.u32()
    if reader.take(8) != TAIL_MAGIC or crc != crc32(trailer[:8], TAIL_MAGIC) or offset > end:
        return None
    # the checksums need the stream id, which is that of the copy of the header in the payload
    start = packets.read(offset, PACKET_HEADER_MAX)
    reader = Reader(start, "index", offset)
    reader.take(5)
    length = reader.varint(min(end - offset, packets.limit))
    reader.varint()
    reader.varint()
    reader.u32()
    header, entries = parse_index(packets.read(offset + reader.position, length), offset, memory)
    head = PacketHeader.parse(start, crc32(header), offset)
    replace(packets, stream_id=crc32(header)).payload(head, offset)
    frames = sum(entry.count for entry in entries)
    if head.type != INDEX or offset + head.total != end or frames != head.first_frame:
        return None
    return FileIndex(offset, header, entries)


def read_header(packets: PacketFile, copy: bytes | None, damaged: DamageLog) -> bytes:
    """The stream header, or the ``copy`` of the index where that in front is damaged.

    Raises:
        InputError: an empty file, no .vqv file, or one of another version.
        DamageError: the header is damaged and there is no copy.
    """
    prefix = packets.read(0, FILE_PREFIX)
    if not packets.size:
        raise InputError("the file is empty")
    if prefix[:8] == MAGIC:
        header = _header_behind(prefix, packets, copy is None)
        if header is not None:
            return header
    elif MAGIC.startswith(prefix):
        raise DamageError(f"the file ends at byte {packets.size}, within the file header")
    elif copy is None:
        raise _no_vqv_file(prefix)
    if copy is None:
        raise DamageError("file header: checksum mismatch, and there is no index with its copy")
    damaged.note("the file header at byte 0 is damaged; its copy in the index is used")
    return copy


def _header_behind(prefix: bytes, packets: PacketFile, alone: bool) -> bytes | None:
    """The stream header behind the first bytes; None where it is damaged.

    InputError for another version, unless there is an index of this one (not ``alone``).
    """
    reader = Reader(prefix, "file header")
    reader.take(8)
    version, draft, length = reader.u8(), reader.u8(), reader.u32()
    if (version, draft) != (VERSION, DRAFT):
        if not alone:
            return None
        raise InputError(
            f"file of format version {version_name(version, draft)}; this program reads"
            f" {version_name()}",
            advice="use the release of vqcodec that wrote it",
        )
    if length > min(MAX_HEADER, packets.size):
        return None
    body = packets.read(FILE_PREFIX, length + 4)
    header, crc = body[:length], body[length:]
    whole = len(body) == length + 4
    return header if whole and crc32(prefix, header) == int.from_bytes(crc, "little") else None


def _no_vqv_file(prefix: bytes) -> VqvError:
    if prefix[1:4] == MAGIC[1:4]:
        return DamageError(
            "the first bytes are those of a .vqv file that was sent as text: "
            "line ends or the eighth bits are changed"
        )
    return InputError("not a .vqv file", advice="vqcodec encode makes one of a video")
