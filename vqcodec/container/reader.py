"""Reading .vqv files: by the index where it is sound, by scanning for packets where it isn't.

The index is believed only when the chain of packet headers from the file header to the index says
the same. Otherwise the file is searched for the sync word, every candidate's checksums are tried,
and what was lost is put down in ``damaged``.
"""

from __future__ import annotations

import os
from hashlib import sha256
from typing import BinaryIO

from ..errors import DamageError, DamageLog, InputError, LimitError, VqvError, located
from ..fields import Reader, crc32, u32
from .limits import Limits
from .packets import (
    COMPRESSED,
    ENTRY_MEMORY,
    FILE_PREFIX,
    GOP,
    IGNORABLE,
    INDEX,
    MAGIC,
    MAX_HEADER,
    MAX_PAYLOAD,
    PACKET_HEADER_MAX,
    SYNC,
    TAIL_MAGIC,
    TRAILER_SIZE,
    VERSION,
    Extra,
    GopPayload,
    IndexEntry,
    PacketHeader,
    StreamHeader,
    parse_index,
)
from .zstd import decompress

_CHUNK = 1 << 20


class ContainerReader:
    """Opens a seekable binary file object.

    ``header``: StreamHeader. ``gops``: entries in display order, without gaps (lost frames have
    entries of offset -1). ``extras``: other packets, in file order, each once. ``complete``: index
    and trailer are there and sound. ``indexed``: a sound index was found, be it elsewhere, so that
    it is known which frames there were. ``damaged``: what is wrong, as sentences with positions.
    Raises InputError (no .vqv file, other version, unknown packet), DamageError (header lost),
    LimitError.
    """

    def __init__(self, file: BinaryIO, limits: Limits | None = None) -> None:
        self._file = file
        self.limits = limits or Limits()
        try:
            self.size = file.seek(0, os.SEEK_END)
        except (OSError, ValueError) as exc:
            raise InputError("cannot be searched: no regular file") from exc
        self.damaged = DamageLog()
        self.extras: list[Extra] = []
        self.complete = False
        self._chunk_at, self._chunk = 0, b""  # what the search for sync words read last
        self._found_index: list[IndexEntry] | None = None
        index, copy = self._read_index()
        self.raw_header = raw = self._read_header(copy)
        if len(raw) > self.limits.metadata:
            raise LimitError(
                f"stream header of {len(raw)} bytes is over the limit of {self.limits.metadata}",
                option="metadata",
            )
        self.header = StreamHeader.from_bytes(raw)
        self._check_size()
        self.stream_id = crc32(raw)
        self._start = FILE_PREFIX + len(raw) + 4
        if index is not None and copy != raw:
            self.damaged.note("the index belongs to another stream")
            index = None
        self.complete = self.indexed = index is not None
        if index is None or not self._chain_agrees(index):
            found = self._scan()
            if index is None:
                self.damaged.note(
                    f"no index where the file ends (byte {self.size}): it was cut, or its end is damaged"
                )
                index = self._found_index
            self.indexed = index is not None
            self.gops = self._merge(index, found)
        else:
            self.gops = index
        if self.frames > self.limits.frames:
            raise LimitError(
                f"{self.frames} frames are over the limit of {self.limits.frames}",
                option="frames",
            )

    @property
    def frames(self) -> int:
        """Frames of the file, lost ones included as far as they are known of."""
        return self.gops[-1].first_frame + self.gops[-1].count if self.gops else 0

    def _check_size(self) -> None:
        width, height, limits = self.header.width, self.header.height, self.limits
        if max(width, height) > limits.side or width * height > limits.pixels:
            raise LimitError(
                f"picture of {width}x{height} is over the limit of {limits.side} a side and "
                f"{limits.pixels} pixels",
                option="pixels",
            )

    def _at(self, offset: int, n: int) -> bytes:
        try:
            self._file.seek(offset)
            return self._file.read(n)
        except OSError as exc:
            raise InputError(f"cannot be read: {exc.strerror or exc}", byte=offset) from exc

    def _read_header(self, copy: bytes | None) -> bytes:
        prefix = self._at(0, FILE_PREFIX)
        if not self.size:
            raise InputError("the file is empty")
        if prefix[:8] != MAGIC:
            if MAGIC.startswith(prefix):
                raise DamageError(f"the file ends at byte {self.size}, within the file header")
            if copy is None and prefix[1:4] == MAGIC[1:4]:
                raise DamageError(
                    "the first bytes are those of a .vqv file that was sent as text: "
                    "line ends or the eighth bits are changed"
                )
            if copy is None:
                raise InputError("not a .vqv file", advice="vqcodec encode makes one of a video")
        else:
            r = Reader(prefix, "file header")
            r.take(8)
            version, length = r.u16(), r.u32()
            if version != VERSION and copy is None:
                raise InputError(
                    f"file of format version {version}, this program reads {VERSION}",
                    advice="use the release of vqcodec that wrote it",
                )
            if version == VERSION and length <= min(MAX_HEADER, self.size):
                body = Reader(self._at(FILE_PREFIX, length + 4), "file header")
                if (
                    body.remaining == length + 4
                    and crc32(prefix, raw := bytes(body.take(length))) == body.u32()
                ):
                    return raw
        if copy is None:
            raise DamageError("file header: checksum mismatch, and there is no index with its copy")
        self.damaged.note("the file header at byte 0 is damaged; its copy in the index is used")
        return copy

    def _read_index(self) -> tuple[list[IndexEntry] | None, bytes | None]:
        """Entries and copy of the stream header, or (None, None) when trailer or index are missing
        or damaged.
        """
        self._index_offset = -1
        try:
            r = Reader(self._at(0, FILE_PREFIX), "file header")
            if r.take(8) == MAGIC and r.u16() != VERSION:
                return (
                    None,
                    None,
                )  # another version may place its index elsewhere: the version is reported, nothing guessed
            r = Reader(self._at(max(0, self.size - TRAILER_SIZE), TRAILER_SIZE), "trailer")
            offset, crc = r.u64(), r.u32()
            if (
                r.take(8) != TAIL_MAGIC
                or crc != crc32(offset.to_bytes(8, "little"), TAIL_MAGIC)
                or offset > self.size - TRAILER_SIZE
            ):
                return None, None
            # the packet's checksums need the stream id, which is the checksum of the header copy within the payload
            head_raw = self._at(offset, PACKET_HEADER_MAX)
            r = Reader(head_raw, "index", offset)
            r.take(5)
            length = r.varint(min(self.size - TRAILER_SIZE - offset, self.limits.packet))
            r.varint()
            r.varint()
            r.u32()
            payload = self._at(offset + r.position, length)
            copy, entries = parse_index(payload, offset, self.limits.memory)
            head = PacketHeader.parse(head_raw, crc32(copy), offset)
            self._payload(head, offset, crc32(copy))
        except VqvError:
            return None, None
        if (
            head.type != INDEX
            or offset + head.total + TRAILER_SIZE != self.size
            or sum(e.count for e in entries) != head.first_frame
        ):
            return None, None
        self._index_offset = offset
        return entries, copy

    def _head(self, offset: int) -> PacketHeader:
        head = PacketHeader.parse(self._at(offset, PACKET_HEADER_MAX), self.stream_id, offset)
        if head.length > self.limits.packet:
            raise LimitError(
                f"{head.length} bytes are over the limit of {self.limits.packet}",
                part="packet",
                byte=offset,
                option="packet",
            )
        return head

    def _payload(self, head: PacketHeader, offset: int, stream_id: int) -> memoryview:
        frames = range(head.first_frame, head.first_frame + head.frames)
        with located(part="packet", byte=offset, frames=frames if head.type == GOP else None):
            if offset + head.total > self.size:  # before memory is taken
                raise DamageError(f"cut after {self.size - offset} of {head.total} bytes")
            r = Reader(self._at(offset + head.size, head.length + 4), "packet")
            payload = r.take(head.length)
            if crc32(u32(stream_id), head.raw, payload) != r.u32():
                raise DamageError("checksum mismatch")
            return payload

    def _extra(self, offset: int, head: PacketHeader) -> None:
        compressed = bool(head.type & IGNORABLE and head.type & COMPRESSED)
        kind = head.type & ~COMPRESSED if compressed else head.type
        self.extras.append(Extra(offset, kind, head.first_frame, compressed))
        if len(self.extras) * ENTRY_MEMORY > self.limits.memory:
            raise LimitError(
                f"{len(self.extras)} packets need more than {self.limits.memory} bytes of memory",
                option="memory",
            )

    def _chain_agrees(self, index: list[IndexEntry]) -> bool:
        pos, listed = self._start, (e for e in index if e.offset >= 0)
        while pos < self._index_offset:
            try:
                head = self._head(pos)
            except DamageError:
                return False
            if head.type == GOP:
                e = next(listed, None)
                if e is None or (e.offset, e.first_frame, e.count) != (
                    pos,
                    head.first_frame,
                    head.frames,
                ):
                    return False
            elif head.type != INDEX:
                self._extra(pos, head)
            pos += head.total
        return pos == self._index_offset and next(listed, None) is None

    def _scan(self) -> list[IndexEntry]:
        """All GOP packets with a sound header, in file order; damage is put down in ``damaged``."""
        found: list[IndexEntry] = []
        self.extras = []
        copies: set[bytes] = set()
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
                head = self._head(start)
            except DamageError:
                lost_from = start if lost_from is None else lost_from
                pos = start + 1
                continue
            if lost_from is not None:
                self.damaged.note(f"bytes {lost_from} to {start - 1} are no packet")
                lost_from = None
            if len(found) * ENTRY_MEMORY > self.limits.memory:
                raise LimitError(
                    f"{len(found)} packets need more than {self.limits.memory} bytes of memory",
                    option="memory",
                )
            budget -= head.total if start + head.total <= self.size else head.size
            if budget < 0:
                self.damaged.note(f"the search for packets was given up at byte {start}")
                break
            try:
                payload = self._payload(head, start, self.stream_id)
                if head.type == GOP:
                    found.append(
                        IndexEntry(
                            start,
                            head.first_frame,
                            head.frames,
                            GopPayload.from_bytes(payload, head.frames, start + head.size).pts[0],
                        )
                    )
                elif head.type == INDEX:
                    entries = parse_index(payload, start + head.size, self.limits.memory)[1]
                    if sum(e.count for e in entries) == head.first_frame:
                        self._found_index = entries
                    if start + head.total + TRAILER_SIZE == self.size:
                        break
                elif (digest := sha256(head.raw + payload).digest()) in copies:
                    self.damaged.note(f"packet at byte {start} occurs more than once")
                else:
                    copies.add(digest)
                    self._extra(start, head)
            except DamageError as exc:
                self.damaged.note(exc)
                if head.type == GOP and start + head.total <= self.size:
                    found.append(IndexEntry(-1, head.first_frame, head.frames))
                # bytes may be missing from the payload, so the next packet may start within
                pos = start + 4
                if self._is_packet(start + head.total):
                    pos = start + head.total
                continue
            pos = start + head.total
        if lost_from is not None:
            self.damaged.note(f"bytes {lost_from} to {self.size - 1} are no packet")
        return found

    def _is_packet(self, pos: int) -> bool:
        try:
            self._head(pos)
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
        """Entries without gaps: from the index with the offsets found, unless it names fewer frames
        that are there than the packets do by themselves.
        """
        packets: dict[int, IndexEntry] = {}
        for e in found:
            old = packets.get(_frames(e))
            if old is not None and old.offset >= 0:
                self.damaged.note(
                    f"frames {e.first_frame} to {e.first_frame + e.count - 1} occur more than once"
                )
                continue
            packets[_frames(e)] = e
        listed = [
            p
            if (p := packets.get(_frames(e))) and p.offset >= 0
            else IndexEntry(-1, e.first_frame, e.count, e.first_pts)
            for e in index or ()
        ]
        unique = list(packets.values())
        packets.clear()  # ENTRY_MEMORY has no room for both this and what sorting takes
        alone, notes = _alone(unique)
        if index is not None:
            if _sound(listed) >= _sound(alone):
                if not self.damaged:
                    self.damaged.note("the packets are not where the index says")
                return listed
            self.damaged.note("the index is that of other packets: it is not used")
            self.complete = self.indexed = False
        self.damaged.extend(notes)
        return alone

    def read_extra(self, i: int, room: int = MAX_PAYLOAD) -> memoryview:
        """Content of the i-th of ``extras``; DamageError when it is damaged.

        LimitError where a compressed one has more than ``room`` bytes, or than a payload or memory
        may have.
        """
        extra = self.extras[i]
        payload = self._payload(self._head(extra.offset), extra.offset, self.stream_id)
        if not extra.compressed:
            return payload
        limit = min(room, self.limits.packet, self.limits.memory)
        with located(part="packet", byte=extra.offset):
            return memoryview(decompress(payload, limit))

    def read_gop(self, i: int, after: int | None = None) -> GopPayload:
        """The i-th GOP; DamageError when it is lost, damaged, another one than the index says, or
        doesn't begin after the time ``after``.
        """
        entry = self.gops[i]
        if entry.offset < 0:
            raise DamageError("lost", frames=entry.frames)
        head = self._head(entry.offset)
        if (head.type, head.first_frame, head.frames) != (GOP, entry.first_frame, entry.count):
            raise DamageError("not the one the index says", part="packet", byte=entry.offset)
        gop = GopPayload.from_bytes(
            self._payload(head, entry.offset, self.stream_id), head.frames, entry.offset + head.size
        )
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
        return self._head(offset).total

    def packet(self, offset: int) -> bytes:
        """All bytes of the packet at ``offset``; DamageError when it is damaged."""
        head = self._head(offset)
        self._payload(head, offset, self.stream_id)
        return self._at(offset, head.total)


def _sound(entries: list[IndexEntry]) -> int:
    """Frames that have a packet."""
    return sum(e.count for e in entries if e.offset >= 0)


def _frames(e: IndexEntry) -> int:
    """First frame and number of frames in one number, which takes less memory than two."""
    return e.first_frame << 64 | e.count


def _alone(packets: list[IndexEntry]) -> tuple[list[IndexEntry], DamageLog]:
    """Entries without gaps that packets make without an index, and what is missing or too much."""
    entries: list[IndexEntry] = []
    notes = DamageLog()
    frame = 0
    for e in sorted(packets, key=lambda x: 2 * x.first_frame + (x.offset < 0)):
        if e.first_frame < frame:
            notes.note(
                f"packet of frames {e.first_frame} to {e.first_frame + e.count - 1} overlaps the one before"
            )
            continue
        if e.first_frame > frame:
            notes.note(f"frames {frame} to {e.first_frame - 1} are missing")
            entries.append(IndexEntry(-1, frame, e.first_frame - frame))
        entries.append(e)
        frame = e.first_frame + e.count
    return entries, notes
