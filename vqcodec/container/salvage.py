"""The search for packets in a file without an undamaged index, and what they make of an index that
is found."""

from __future__ import annotations

from hashlib import sha256

from ..errors import DamageError, DamageLog, LimitError
from .index import parse_index
from .limits import Limits
from .packet_file import PacketFile
from .packets import (
    COMPRESSED,
    ENTRY_MEMORY,
    GOP,
    IGNORABLE,
    INDEX,
    SYNC,
    TRAILER_SIZE,
    Extra,
    GopPayload,
    IndexEntry,
    PacketHeader,
)

_CHUNK = 1 << 20


def add_extra(extras: list[Extra], offset: int, head: PacketHeader, memory: int) -> None:
    """Append the packet at ``offset``; LimitError where all need more than ``memory`` bytes."""
    compressed = bool(head.type & IGNORABLE and head.type & COMPRESSED)
    kind = head.type & ~COMPRESSED if compressed else head.type
    extras.append(Extra(offset, kind, head.first_frame, compressed))
    _check_memory(len(extras), memory)


def _check_memory(packets: int, memory: int) -> None:
    if packets * ENTRY_MEMORY > memory:
        raise LimitError(
            f"{packets} packets need more than {memory} bytes of memory", option="memory"
        )


class Salvage:
    """Packets that :meth:`search` finds by their sync words and checksums.

    ``gops``: those with an undamaged head, in file order; the offset is -1 where the payload is
    damaged. ``extras``: other packets, each once; ``lost_extras`` counts damaged ones. ``index``:
    entries of the last undamaged index, or None. Damage is noted in the log given.
    """

    def __init__(self, packets: PacketFile, limits: Limits, damaged: DamageLog) -> None:
        self._packets, self._limits, self._damaged = packets, limits, damaged
        self.gops: list[IndexEntry] = []
        self.extras: list[Extra] = []
        self.lost_extras = 0
        self.index: list[IndexEntry] | None = None
        self._seen: set[bytes] = set()  # digests of the extras
        self._skipped: int | None = None  # where the bytes begin that are no packet
        # an attacker could nest heads that each claim a long payload: the bytes tried are bounded
        self._budget = 8 * packets.size + _CHUNK
        self._chunk_at, self._chunk = 0, b""  # what the search for sync words read last

    def search(self, start: int) -> None:
        """Look at all bytes from ``start`` on."""
        at = start
        while at < self._packets.size:
            found = self._next_sync(at)
            if found != at:
                self._skip_from(at)
            if found == self._packets.size:
                break
            try:
                head = self._packets.head(found)
            except DamageError:
                self._skip_from(found)
                at = found + 1
                continue
            self._end_skip(found)
            _check_memory(len(self.gops), self._limits.memory)
            if not self._afford(head, found):
                break
            try:
                at = self._take(head, found)
            except DamageError as exc:
                at = self._behind_damaged(head, found, exc)
        self._end_skip(self._packets.size)

    def _skip_from(self, offset: int) -> None:
        if self._skipped is None:
            self._skipped = offset

    def _end_skip(self, offset: int) -> None:
        """Note the bytes before ``offset`` that were skipped."""
        if self._skipped is not None:
            self._damaged.note(f"bytes {self._skipped} to {offset - 1} are no packet")
            self._skipped = None

    def _afford(self, head: PacketHeader, offset: int) -> bool:
        self._budget -= head.total if offset + head.total <= self._packets.size else head.size
        if self._budget < 0:
            self._damaged.note(f"the search for packets was given up at byte {offset}")
        return self._budget >= 0

    def _take(self, head: PacketHeader, offset: int) -> int:
        """Note the packet at ``offset``; where to go on. DamageError where it is damaged."""
        end = offset + head.total
        payload = self._packets.payload(head, offset)
        if head.type == GOP:
            gop = GopPayload.from_bytes(payload, head.frames, offset + head.size)
            self.gops.append(IndexEntry(offset, head.first_frame, head.frames, gop.pts[0]))
        elif head.type == INDEX:
            entries = parse_index(payload, offset + head.size, self._limits.memory)[1]
            if sum(entry.count for entry in entries) == head.first_frame:
                self.index = entries
            if end + TRAILER_SIZE == self._packets.size:
                return self._packets.size
        elif (digest := sha256(head.raw + payload).digest()) in self._seen:
            self._damaged.note(f"packet at byte {offset} occurs more than once")
        else:
            self._seen.add(digest)
            add_extra(self.extras, offset, head, self._limits.memory)
        return end

    def _behind_damaged(self, head: PacketHeader, offset: int, error: DamageError) -> int:
        """Where to go on behind a packet whose payload is damaged."""
        self._damaged.note(error)
        end = offset + head.total
        if head.type == GOP and end <= self._packets.size:
            self.gops.append(IndexEntry(-1, head.first_frame, head.frames))
        self.lost_extras += head.type not in (GOP, INDEX)
        # bytes may be missing from the payload, so the next packet may start within
        return end if self._is_packet(end) else offset + len(SYNC)

    def _is_packet(self, offset: int) -> bool:
        try:
            self._packets.head(offset)
        except DamageError:
            return False
        return True

    def _next_sync(self, at: int) -> int:
        """Offset of the next sync word from ``at`` on, or the file's size."""
        size = self._packets.size
        while at < size:
            # many false sync words in one chunk must not read it many times
            if not self._chunk_at <= at <= self._chunk_at + len(self._chunk) - len(SYNC):
                self._chunk_at, self._chunk = at, self._packets.read(at, _CHUNK)
            found = self._chunk.find(SYNC, at - self._chunk_at)
            if found >= 0:
                return self._chunk_at + found
            if self._chunk_at + len(self._chunk) >= size:
                break
            at = self._chunk_at + len(self._chunk) - len(SYNC) + 1
        return size


def merge(
    index: list[IndexEntry] | None, found: list[IndexEntry], damaged: DamageLog
) -> tuple[list[IndexEntry], bool]:
    """Entries without gaps, and whether they are those of the index.

    Those of the index get the offsets found, unless it names fewer frames that are there than the
    packets do by themselves.
    """
    packets: dict[int, IndexEntry] = {}
    for entry in found:
        old = packets.get(_frames(entry))
        if old is not None and old.offset >= 0:
            last = entry.first_frame + entry.count - 1
            damaged.note(f"frames {entry.first_frame} to {last} occur more than once")
            continue
        packets[_frames(entry)] = entry
    listed = [
        packet
        if (packet := packets.get(_frames(entry))) and packet.offset >= 0
        else IndexEntry(-1, entry.first_frame, entry.count, entry.first_pts)
        for entry in index or ()
    ]
    unique = list(packets.values())
    packets.clear()  # ENTRY_MEMORY has no room for both this and what sorting takes
    alone, notes = _alone(unique)
    if index is not None:
        if _undamaged(listed) >= _undamaged(alone):
            if not damaged:
                damaged.note("the packets are not where the index says")
            return listed, True
        damaged.note("the index is that of other packets: it is not used")
    damaged.extend(notes)
    return alone, False


def _undamaged(entries: list[IndexEntry]) -> int:
    """Frames that have a packet."""
    return sum(entry.count for entry in entries if entry.offset >= 0)


def _frames(entry: IndexEntry) -> int:
    """First frame and number of frames in one number, which takes less memory than two."""
    return entry.first_frame << 64 | entry.count


def _undamaged_first(entry: IndexEntry) -> int:
    """Order of packets: by first frame, undamaged ones before damaged ones."""
    return 2 * entry.first_frame + (entry.offset < 0)


def _alone(packets: list[IndexEntry]) -> tuple[list[IndexEntry], DamageLog]:
    """Entries without gaps that packets make without an index, and what is missing or too much."""
    entries: list[IndexEntry] = []
    notes = DamageLog()
    frame = 0
    for entry in sorted(packets, key=_undamaged_first):
        if entry.first_frame < frame:
            last = entry.first_frame + entry.count - 1
            notes.note(f"packet of frames {entry.first_frame} to {last} overlaps the one before")
            continue
        if entry.first_frame > frame:
            notes.note(f"frames {frame} to {entry.first_frame - 1} are missing")
            entries.append(IndexEntry(-1, frame, entry.first_frame - frame))
        entries.append(entry)
        frame = entry.first_frame + entry.count
    return entries, notes
