"""The payload of the index packet, to bytes and back."""

from __future__ import annotations

from ..errors import LimitError
from ..fields import Reader, Writer
from .packets import ENTRY_MEMORY, MAX_GOP, MAX_HEADER, MAX_PTS, IndexEntry


def index_payload(header: bytes, entries: list[IndexEntry]) -> bytes:
    """Payload of the index packet. Every entry has a ``first_pts``; those of lost frames have the
    offset -1.
    """
    writer = Writer().varint(len(header)).raw(header).varint(len(entries))
    offset = pts = 0
    for entry in entries:
        first_pts = entry.first_pts or 0
        writer.varint(entry.offset - offset if entry.offset >= 0 else 0).varint(
            entry.count
        ).svarint(first_pts - pts)
        offset, pts = max(entry.offset, offset), first_pts
    return writer.getvalue()


def parse_index(
    payload: bytes | memoryview, base: int = 0, memory: int = 1 << 62
) -> tuple[bytes, list[IndexEntry]]:
    """Copy of the stream header, and the entries. LimitError where the entries would take more than
    ``memory`` bytes.
    """
    reader = Reader(payload, "index", base)
    header = bytes(reader.take(reader.varint(MAX_HEADER)))
    entries: list[IndexEntry] = []
    offset = frame = pts = 0
    gops = reader.varint(reader.remaining // 3)
    if gops * ENTRY_MEMORY > memory:
        raise LimitError(
            f"an index of {gops} GOPs needs {gops * ENTRY_MEMORY} bytes of memory, over the limit "
            f"of {memory}"
        )
    for _ in range(gops):
        step = reader.varint(MAX_PTS)
        count = reader.varint(MAX_GOP if step else MAX_PTS)
        if not count or frame + count > MAX_PTS:
            raise reader.error("empty entry, or too many frames")
        later = reader.svarint()
        if (entries and later <= 0) or abs(pts + later) > MAX_PTS:
            raise reader.error(f"time {pts + later} after {pts}")
        offset, pts = offset + step, pts + later
        entries.append(IndexEntry(offset if step else -1, frame, count, pts))
        frame += count
    reader.done()
    return header, entries
