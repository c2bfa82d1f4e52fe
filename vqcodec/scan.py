"""Reading .vqv files: by the index where it is sound, by scanning for packets where it isn't.

The index is believed only when the chain of packet headers from the file header to the index says the same. Otherwise the
file is searched for the sync word, every candidate's checksums are tried, and what was lost is put down in ``damaged``.
"""

from __future__ import annotations

import os
from typing import BinaryIO

from .bits import Reader, crc32, u32
from .container import (
    FILE_PREFIX,
    GOP,
    INDEX,
    MAGIC,
    MAX_HEADER,
    PACKET_HEADER_MAX,
    SYNC,
    TAIL_MAGIC,
    TRAILER_SIZE,
    VERSION,
    GopPayload,
    IndexEntry,
    PacketHeader,
    StreamHeader,
    parse_index,
)
from .errors import DamageError, InputError, VqvError

_CHUNK = 1 << 20


class ContainerReader:
    """Opens a seekable binary file object.

    ``header``: StreamHeader. ``gops``: entries in display order, without gaps (lost frames have entries of offset -1).
    ``complete``: index and trailer are there and sound. ``damaged``: what is wrong, as sentences with positions.
    Raises InputError (no .vqv file, other version, unknown packet), DamageError (header lost), LimitError.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, os.SEEK_END)
        self.damaged: list[str] = []
        self.complete = False
        self._chunk_at, self._chunk = 0, b""  # what the search for sync words read last
        self._found_index: list[IndexEntry] | None = None
        index, copy = self._read_index()
        raw = self._read_header(copy)
        self.header = StreamHeader.from_bytes(raw)
        self.stream_id = crc32(raw)
        self._start = FILE_PREFIX + len(raw) + 4
        if index is not None and copy != raw:
            self.damaged.append("the index belongs to another stream")
            index = None
        self.complete = index is not None
        if index is None or not self._chain_agrees(index):
            found = self._scan()
            if index is None:
                self.damaged.append(f"no index where the file ends (byte {self.size}): it was cut, or its end is damaged")
            self.gops = self._merge(index or self._found_index, found)
        else:
            self.gops = index

    @property
    def frames(self) -> int:
        """Frames of the file, lost ones included as far as they are known of."""
        return self.gops[-1].first_frame + self.gops[-1].count if self.gops else 0

    def _at(self, offset: int, n: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(n)

    def _read_header(self, copy: bytes | None) -> bytes:
        prefix = self._at(0, FILE_PREFIX)
        if not self.size:
            raise InputError("the file is empty")
        if prefix[:8] != MAGIC:
            if MAGIC.startswith(prefix):
                raise DamageError(f"the file ends at byte {self.size}, within the file header")
            if copy is None:
                raise InputError("not a .vqv file")
        else:
            r = Reader(prefix, "file header")
            r.take(8)
            version, length = r.u16(), r.u32()
            if version != VERSION and copy is None:
                raise InputError(f"file of format version {version}, this program reads {VERSION}")
            if version == VERSION and length <= min(MAX_HEADER, self.size):
                body = self._at(FILE_PREFIX, length + 4)
                if len(body) == length + 4 and crc32(prefix, body[:length]) == int.from_bytes(body[length:], "little"):
                    return body[:length]
        if copy is None:
            raise DamageError("file header: checksum mismatch, and there is no index with its copy")
        self.damaged.append("the file header at byte 0 is damaged; its copy in the index is used")
        return copy

    def _read_index(self) -> tuple[list[IndexEntry] | None, bytes | None]:
        """Entries and copy of the stream header, or (None, None) when trailer or index are missing or damaged."""
        self._index_offset = -1
        prefix = self._at(0, FILE_PREFIX)
        if prefix[:8] == MAGIC and len(prefix) == FILE_PREFIX and int.from_bytes(prefix[8:10], "little") != VERSION:
            return None, None  # another version may place its index elsewhere: the version is reported, nothing guessed
        trailer = self._at(max(0, self.size - TRAILER_SIZE), TRAILER_SIZE)
        if len(trailer) < TRAILER_SIZE or trailer[12:] != TAIL_MAGIC or crc32(trailer[:8], TAIL_MAGIC) != int.from_bytes(trailer[8:12], "little"):
            return None, None
        offset = int.from_bytes(trailer[:8], "little")
        if offset > self.size - TRAILER_SIZE:
            return None, None
        try:
            # the packet's checksums need the stream id, which is the checksum of the header copy within the payload
            head_raw = self._at(offset, PACKET_HEADER_MAX)
            r = Reader(head_raw, "index", offset)
            r.take(5)
            length = r.varint(self.size - TRAILER_SIZE - offset)
            r.varint()
            r.varint()
            r.u32()
            payload = self._at(offset + r.position, length)
            copy, entries = parse_index(payload, offset)
            head = PacketHeader.parse(head_raw, crc32(copy), offset)
            self._payload(head, offset, crc32(copy))
        except VqvError:
            return None, None
        if head.type != INDEX or offset + head.total + TRAILER_SIZE != self.size or sum(e.count for e in entries) != head.first_frame:
            return None, None
        self._index_offset = offset
        return entries, copy

    def _payload(self, head: PacketHeader, offset: int, stream_id: int) -> bytes:
        data = self._at(offset + head.size, head.length + 4)
        if len(data) != head.length + 4:
            raise DamageError(f"packet at byte {offset}: cut after {self.size - offset} of {head.total} bytes")
        payload = data[: head.length]
        if crc32(u32(stream_id), head.raw, payload) != int.from_bytes(data[head.length :], "little"):
            raise DamageError(f"packet at byte {offset} (frames {head.first_frame} to {head.first_frame + head.frames - 1}): checksum mismatch")
        return payload

    def _chain_agrees(self, index: list[IndexEntry]) -> bool:
        pos, found = self._start, []
        while pos < self._index_offset:
            try:
                head = PacketHeader.parse(self._at(pos, PACKET_HEADER_MAX), self.stream_id, pos)
            except DamageError:
                return False
            if head.type == GOP:
                found.append((pos, head.first_frame, head.frames))
            pos += head.total
        return pos == self._index_offset and found == [(e.offset, e.first_frame, e.count) for e in index]

    def _scan(self) -> list[IndexEntry]:
        """All GOP packets with a sound header, in file order; damage is put down in ``damaged``."""
        found: list[IndexEntry] = []
        pos = self._start
        # an attacker could nest headers that each claim a long payload; the bytes tried are bounded
        budget = 8 * self.size + _CHUNK
        lost_from: int | None = None
        while pos < self.size:
            start = self._next_sync(pos)
            if start != pos and lost_from is None:
                lost_from = pos
            if start == self.size:
                break
            try:
                head = PacketHeader.parse(self._at(start, PACKET_HEADER_MAX), self.stream_id, start)
            except DamageError:
                lost_from = start if lost_from is None else lost_from
                pos = start + 1
                continue
            if lost_from is not None:
                self.damaged.append(f"bytes {lost_from} to {start - 1} are no packet")
                lost_from = None
            budget -= head.total
            if budget < 0:
                self.damaged.append(f"the search for packets was given up at byte {start}")
                break
            try:
                payload = self._payload(head, start, self.stream_id)
                if head.type == GOP:
                    found.append(IndexEntry(start, head.first_frame, head.frames, GopPayload.from_bytes(payload, head.frames, start + head.size).pts[0]))
                elif head.type == INDEX:
                    self._found_index = parse_index(payload, start + head.size)[1]
                    if start + head.total + TRAILER_SIZE == self.size:
                        break
            except DamageError as exc:
                self.damaged.append(str(exc))
                if head.type == GOP and start + head.total <= self.size:
                    found.append(IndexEntry(-1, head.first_frame, head.frames))
                # bytes may be missing from the payload, so the next packet may start within
                pos = start + 4
                if self._is_packet(start + head.total):
                    pos = start + head.total
                continue
            pos = start + head.total
        if lost_from is not None:
            self.damaged.append(f"bytes {lost_from} to {self.size - 1} are no packet")
        return found

    def _is_packet(self, pos: int) -> bool:
        try:
            PacketHeader.parse(self._at(pos, PACKET_HEADER_MAX), self.stream_id, pos)
        except DamageError:
            return False
        return True

    def _next_sync(self, pos: int) -> int:
        """Offset of the next sync word from ``pos``, or the file's size."""
        while pos < self.size:
            # many false sync words in one chunk must not read it many times
            if not self._chunk_at <= pos <= self._chunk_at + len(self._chunk) - len(SYNC):
                self._chunk_at, self._chunk = pos, self._at(pos, _CHUNK)
            i = self._chunk.find(SYNC, pos - self._chunk_at)
            if i >= 0:
                return self._chunk_at + i
            if self._chunk_at + len(self._chunk) >= self.size:
                break
            pos = self._chunk_at + len(self._chunk) - len(SYNC) + 1
        return self.size

    def _merge(self, index: list[IndexEntry] | None, found: list[IndexEntry]) -> list[IndexEntry]:
        """Entries without gaps: from the index where there is one, with the offsets found; else from the packets alone."""
        sound: dict[int, IndexEntry] = {}
        for e in found:
            old = sound.get(e.first_frame)
            if old is not None and old.offset >= 0:
                self.damaged.append(f"frames {e.first_frame} to {e.first_frame + e.count - 1} occur more than once")
                continue
            sound[e.first_frame] = e
        if index is not None:
            if not self.damaged:
                self.damaged.append("the packets are not where the index says")
            return [s if (s := sound.get(e.first_frame)) and s.count == e.count and s.offset >= 0 else IndexEntry(-1, e.first_frame, e.count, e.first_pts) for e in index]
        entries: list[IndexEntry] = []
        frame = 0
        for e in sorted(sound.values(), key=lambda x: x.first_frame):
            if e.first_frame < frame:
                self.damaged.append(f"packet of frames {e.first_frame} to {e.first_frame + e.count - 1} overlaps the one before")
                continue
            if e.first_frame > frame:
                self.damaged.append(f"frames {frame} to {e.first_frame - 1} are missing")
                entries.append(IndexEntry(-1, frame, e.first_frame - frame))
            entries.append(e)
            frame = e.first_frame + e.count
        return entries

    def read_gop(self, i: int) -> GopPayload:
        """The i-th GOP; DamageError when it is lost, damaged, or another one than the index says."""
        entry = self.gops[i]
        if entry.offset < 0:
            raise DamageError(f"frames {entry.first_frame} to {entry.first_frame + entry.count - 1} are lost")
        head = PacketHeader.parse(self._at(entry.offset, PACKET_HEADER_MAX), self.stream_id, entry.offset)
        if (head.type, head.first_frame, head.frames) != (GOP, entry.first_frame, entry.count):
            raise DamageError(f"packet at byte {entry.offset} is not the one the index says")
        return GopPayload.from_bytes(self._payload(head, entry.offset, self.stream_id), head.frames, entry.offset + head.size)
