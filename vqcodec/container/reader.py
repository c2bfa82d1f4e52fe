"""Reading .vqv files: by the index where it is whole, by scanning for packets where it isn't.

The index is believed only when the chain of packet headers from the file header to the index says
the same. Otherwise the file is searched for the sync word, every candidate's checksums are tried,
and what was lost is put down in ``damaged``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import BinaryIO

from ..errors import DamageError, DamageLog, LimitError, located
from ..fields import crc32
from .file_ends import FileIndex, read_header, read_index
from .limits import Limits
from .packet_file import PacketFile
from .packets import (
    FILE_PREFIX,
    GOP,
    INDEX,
    MAX_PAYLOAD,
    Extra,
    GopPayload,
    IndexEntry,
    StreamHeader,
)
from .salvage import Salvage, add_extra, merge
from .zstd import decompress


@dataclass(frozen=True, eq=False)
class ContainerReader:
    """A .vqv file of which it is known where its packets lie; made by :meth:`open`."""

    packets: PacketFile
    limits: Limits
    header: StreamHeader
    raw_header: bytes
    """The stream header as stored."""
    gops: list[IndexEntry]
    """In display order, without gaps; lost frames have entries of offset -1."""
    extras: list[Extra]
    """Other packets, in file order, each once."""
    index_offset: int
    """Where the packet of the index lies; -1 where none is found at the end."""
    complete: bool
    """Whether index and trailer are there and undamaged."""
    indexed: bool
    """Whether an undamaged index was found anywhere, so it is known which frames there were."""
    damaged: DamageLog
    """What is wrong, as sentences with positions."""
    lost_extras: int = 0
    """Other packets that were found to be damaged while the file was searched for packets."""

    @classmethod
    def open(cls, file: BinaryIO, limits: Limits | None = None) -> ContainerReader:
        """Find the packets of a seekable binary file.

        Args:
            file: Is read from now on, and is not closed.
            limits: What is refused; those of the format and 2 GiB of memory if None.

        Raises:
            InputError: No .vqv file, one of another version, or an unknown packet.
            DamageError: The stream header is lost.
            LimitError: Something is larger than ``limits`` allow.
        """
        limits, damaged = limits or Limits(), DamageLog()
        packets = PacketFile.open(file, limits.packet)
        index = read_index(packets, limits.memory)
        raw = read_header(packets, index and index.header, damaged)
        if len(raw) > limits.metadata:
            raise LimitError(
                f"stream header of {len(raw)} bytes is over the limit of {limits.metadata}",
                option="metadata",
            )
        header = StreamHeader.from_bytes(raw)
        limits.check_picture(header.width, header.height, option="pixels")
        packets = replace(packets, stream_id=crc32(raw))
        offset = index.offset if index else -1
        if index is not None and index.header != raw:
            damaged.note("the index belongs to another stream")
            index = None
        extras: list[Extra] = []
        lost_extras = 0
        start = FILE_PREFIX + len(raw) + 4
        if index is not None and _chain_agrees(packets, start, index, extras, limits.memory):
            gops, complete, indexed = index.entries, True, True
        else:
            salvage = Salvage(packets, limits, damaged)
            salvage.search(start)
            extras, lost_extras = salvage.extras, salvage.lost_extras
            if index is None:
                damaged.note(
                    f"no index where the file ends (byte {packets.size}): it was cut, or its end "
                    "is damaged"
                )
            entries = salvage.index if index is None else index.entries
            gops, indexed = merge(entries, salvage.gops, damaged)
            complete = indexed and index is not None
        reader = cls(
            packets, limits, header, raw, gops, extras, offset, complete, indexed, damaged,
            lost_extras,
        )  # fmt: skip
        if reader.frames > limits.frames:
            raise LimitError(
                f"{reader.frames} frames are over the limit of {limits.frames}", option="frames"
            )
        return reader

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.packets.size

    @property
    def stream_id(self) -> int:
        """CRC-32 of the stream header, which all checksums of packets cover."""
        return self.packets.stream_id

    @property
    def frames(self) -> int:
        """Frames of the file, lost ones included as far as they are known of."""
        return self.gops[-1].first_frame + self.gops[-1].count if self.gops else 0

    def read_extra(self, number: int, room: int = MAX_PAYLOAD) -> memoryview:
        """Content of ``extras[number]``; DamageError when it is damaged.

        LimitError where a compressed one has more than ``room`` bytes, or than a payload or memory
        may have.
        """
        extra = self.extras[number]
        payload = self.packets.payload(self.packets.head(extra.offset), extra.offset)
        if not extra.compressed:
            return payload
        limit = min(room, self.limits.packet, self.limits.memory)
        with located(part="packet", byte=extra.offset):
            return memoryview(decompress(payload, limit))

    def read_gop(self, number: int, after: int | None = None) -> GopPayload:
        """The GOP with that number; DamageError when it is lost, damaged, another one than the
        index says, or doesn't begin after the time ``after`` (ticks).
        """
        entry = self.gops[number]
        if entry.offset < 0:
            raise DamageError("lost", frames=entry.frames)
        head = self.packets.head(entry.offset)
        if (head.type, head.first_frame, head.frames) != (GOP, entry.first_frame, entry.count):
            raise DamageError("not the one the index says", part="packet", byte=entry.offset)
        payload = self.packets.payload(head, entry.offset)
        gop = GopPayload.from_bytes(payload, head.frames, entry.offset + head.size)
        if after is not None and gop.pts[0] <= after:
            raise DamageError(
                f"time {gop.pts[0]} after {after}",
                part="packet",
                byte=entry.offset,
                frames=entry.frames,
            )
        return gop

    def packet_size(self, offset: int) -> int:
        """Bytes of the packet at ``offset``, with its header; DamageError when that is damaged."""
        return self.packets.head(offset).total

    def packet(self, offset: int) -> bytes:
        """All bytes of the packet at ``offset``; DamageError when it is damaged."""
        return self.packets.packet(offset)


def _chain_agrees(
    packets: PacketFile, start: int, index: FileIndex, extras: list[Extra], memory: int
) -> bool:
    """Whether the packets from ``start`` on are those of the index; others go into ``extras``."""
    at, listed = start, (entry for entry in index.entries if entry.offset >= 0)
    while at < index.offset:
        try:
            head = packets.head(at)
        except DamageError:
            return False
        if head.type == GOP:
            entry = next(listed, None)
            found = (at, head.first_frame, head.frames)
            if entry is None or (entry.offset, entry.first_frame, entry.count) != found:
                return False
        elif head.type != INDEX:
            add_extra(extras, at, head, memory)
        at += head.total
    return at == index.offset and next(listed, None) is None
