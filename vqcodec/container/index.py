"""The payload of the index packet, to bytes and back."""

from __future__ import annotations

from ..errors import LimitError
from ..fields import Reader, Writer
from .packets import ENTRY_MEMORY, MAX_GOP, MAX_HEADER, MAX_PTS, IndexEntry


def index_payload(header: bytes, entries: list[IndexEntry]) -> bytes:
    """Payload of the index packet. Every entry has a ``first_pts``; those of lost frames have the
    offset -1.
    """
    w = Writer().varint(len(header)).raw(header).varint(len(entries))
    offset = pts = 0
    for e in entries:
        first_pts = e.first_pts or 0
        w.varint(e.offset - offset if e.offset >= 0 else 0).varint(e.count).svarint(first_pts - pts)
        offset, pts = max(e.offset, offset), first_pts
    return w.getvalue()


def parse_index(
    payload: bytes | memoryview, base: int = 0, memory: int = 1 << 62
) -> tuple[bytes, list[IndexEntry]]:
    """Copy of the stream header, and the entries. LimitError where the entries would take more than
    ``memory`` bytes.
    """
    r = Reader(payload, "index", base)
    header = bytes(r.take(r.varint(MAX_HEADER)))
    entries: list[IndexEntry] = []
    offset = frame = pts = 0
    n = r.varint(r.remaining // 3)
    if n * ENTRY_MEMORY > memory:
        raise LimitError(
            f"an index of {n} GOPs needs {n * ENTRY_MEMORY} bytes of memory, over the limit of "
            f"{memory}"
        )
    for _ in range(n):
        step = r.varint(MAX_PTS)
        count = r.varint(MAX_GOP if step else MAX_PTS)
        if not count or frame + count > MAX_PTS:
            raise r.error("empty entry, or too many frames")
        later = r.svarint()
        if (entries and later <= 0) or abs(pts + later) > MAX_PTS:
            raise r.error(f"time {pts + later} after {pts}")
        offset, pts = offset + step, pts + later
        entries.append(IndexEntry(offset if step else -1, frame, count, pts))
        frame += count
    r.done()
    return header, entries
