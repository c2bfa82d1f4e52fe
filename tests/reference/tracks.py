"""Sections Tracks and metadata, and Compressed packets, of an undamaged file."""

from __future__ import annotations

from typing import NamedTuple

import zstandard

from .container import Bytes, File, demand

TRACK, PACKETS, COLLECTED = 0x81, 0x82, 0x83
SIDE_DATA, DECODED, DISPLAYED = 8, 4, 2


def content(kind: int, payload: bytes) -> tuple[int, bytes]:
    """Type and payload of a packet as if it were not compressed."""
    if kind < 0xC0:
        return kind, payload
    r = Bytes(payload)
    demand(r.take(4) == bytes.fromhex("28 B5 2F FD"), "no zstd frame")
    flags = r.unsigned(1)  # RFC 8878, 3.1.1.1
    demand(not flags & 3 and flags & 4 > 0, "a dictionary, or no checksum")
    single = flags & 32 > 0
    r.take(0 if single else 1)
    width = (1 if single else 0, 2, 4, 8)[flags >> 6]
    demand(width > 0, "no length")
    length = r.unsigned(width) + (256 if width == 2 else 0)
    demand(1 <= length <= 67108864, "length of the content")
    stream = zstandard.ZstdDecompressor().decompressobj()
    data = stream.decompress(payload)
    demand(stream.eof and not stream.unused_data and len(data) == length, "content of the frame")
    return kind & ~0x40, data


class Track(NamedTuple):
    number: int
    kind: str
    codec: str
    time_base: tuple[int, int]
    disposition: int
    tags: dict[str, str]
    format: str
    sample: bytes


class Record(NamedTuple):
    """One packet of a track; times None where there are none."""

    track: int
    decoded: int | None
    displayed: int | None
    duration: int
    key: bool
    corrupt: bool
    side: tuple[tuple[int, bytes], ...]
    data: bytes


def text(r: Bytes) -> str:
    return r.take(r.varint()).decode()


def track(payload: bytes) -> Track:
    r = Bytes(payload)
    number, kind, codec, base = r.varint(), r.unsigned(1), text(r), (r.varint(), r.varint())
    demand(number <= 999 and kind <= 4 and all(1 <= v < 1 << 31 for v in base), "track")
    disposition = r.varint()
    tags = {text(r): text(r) for _ in range(r.varint())}
    name = ("video", "audio", "data", "subtitle", "attachment")[kind]
    found = Track(number, name, codec, base, disposition, tags, text(r), r.take(r.varint()))
    demand(r.at == len(payload), "track has further bytes")
    return found


def records(payload: bytes) -> list[Record]:
    r, found = Bytes(payload), []
    expected: dict[int, int] = {}
    last: dict[int, int] = {}
    while r.at < len(payload):
        number, flags = r.varint(), r.unsigned(1)
        demand(number <= 999 and flags < 32, "record")
        e, d = expected.get(number, 0), last.get(number, 0)
        decoded = e + r.svarint() if flags & DECODED else None
        shown = None
        if flags & DISPLAYED:
            shown = (e if decoded is None else decoded) + r.svarint()
        d += r.svarint()
        count = r.varint() if flags & SIDE_DATA else 0
        side = tuple((r.varint(), r.take(r.varint())) for _ in range(count))
        data = r.take(r.varint())
        found.append(Record(number, decoded, shown, d, flags & 1 > 0, flags & 16 > 0, side, data))
        begin = decoded if decoded is not None else shown if shown is not None else e
        expected[number], last[number] = begin + d, d
    return found


def read_tracks(file: File) -> tuple[dict[int, Track], dict[int, list[Record]]]:
    """Tracks by number, and the packets of each in the order of the file."""
    tracks: dict[int, Track] = {}
    packets: dict[int, list[Record]] = {}
    for kind, payload in (content(*extra) for extra in file.extras):
        if kind == TRACK:
            t = track(payload)
            demand(t.number not in tracks, "two tracks of one number")
            tracks[t.number] = t
        elif kind in (PACKETS, COLLECTED):
            for record in records(payload):
                packets.setdefault(record.track, []).append(record)
    return tracks, packets
