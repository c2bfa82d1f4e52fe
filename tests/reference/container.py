"""Section Container: file header, packets, index, trailer of an undamaged file."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

MAGIC, SYNC, TAIL = (
    bytes.fromhex("89 56 51 56 0D 0A 1A 0A"),
    bytes.fromhex("56 51 50 B7"),
    bytes.fromhex("0A 1A 0A 0D 56 51 56 89"),
)
GOP, INDEX = 1, 2


class Bad(Exception):
    """The bytes are no undamaged file."""


def demand(holds: bool, what: str) -> None:
    if not holds:
        raise Bad(what)


class Bytes:
    """A reader of ``data`` from ``at`` on."""

    def __init__(self, data: bytes, at: int = 0):
        self.data, self.at = data, at

    def take(self, n: int) -> bytes:
        demand(self.at + n <= len(self.data), "cut")
        self.at += n
        return self.data[self.at - n : self.at]

    def unsigned(self, n: int) -> int:
        return int.from_bytes(self.take(n), "little")

    def varint(self) -> int:
        v = 0
        for i in range(10):
            byte = self.unsigned(1)
            v |= (byte & 127) << 7 * i
            if byte < 128:
                demand(
                    (byte > 0 or i == 0) and v < 1 << 64,
                    "varint is not in its shortest form or too large",
                )
                return v
        raise Bad("varint is too long")

    def svarint(self) -> int:
        v = self.varint()
        return -(v + 1) // 2 if v & 1 else v // 2


class Header(NamedTuple):
    """The fields of the stream header in their order."""

    width: int
    height: int
    time_base: tuple[int, int]
    rate: tuple[int, int]
    aspect: tuple[int, int]
    rotation: int
    colour: tuple[int, ...]  # primaries, transfer, matrix, range, chroma location
    depth: int
    crf: int
    content_id: int
    model_id: str


@dataclass
class Gop:
    """One GOP packet; times of all its frames in ticks."""

    first: int
    frames: int
    times: list[int]
    last_duration: int
    checksum: int
    sse: tuple[int, int, int]
    body: bytes


@dataclass
class File:
    header: Header
    gops: list[Gop] = field(default_factory=list)
    extras: list[tuple[int, bytes]] = field(
        default_factory=list
    )  # type and payload of packets that may be skipped


def stream_header(data: bytes) -> Header:
    r = Bytes(data)

    def pair() -> tuple[int, int]:
        return (r.varint(), r.varint())

    def u8() -> int:
        return r.unsigned(1)

    h = Header(
        r.varint(),
        r.varint(),
        pair(),
        pair(),
        pair(),
        u8(),
        tuple(u8() for _ in range(5)),
        u8(),
        u8(),
        r.unsigned(4),
        r.take(8).hex(),
    )
    demand(r.at == len(data), "stream header has further bytes")
    demand(
        1 <= h.width <= 16384 and 1 <= h.height <= 16384 and h.width * h.height <= 67108864,
        "picture size",
    )
    demand(
        h.rotation <= 3 and 8 <= h.depth <= 16 and h.crf <= 63 and h.colour[3] <= 2,
        "stream header out of range",
    )
    demand(all(1 <= v < 1 << 31 for v in h.time_base), "time base")
    demand(
        all(p == (0, 0) or all(1 <= v < 1 << 31 for v in p) for p in (h.rate, h.aspect)),
        "rate or aspect ratio",
    )
    return h


def gop_payload(first: int, frames: int, payload: bytes) -> Gop:
    r = Bytes(payload)
    times, steps = [r.svarint()], []
    demand(1 <= frames <= 128 and abs(times[0]) <= 1 << 62, "frames of a GOP")
    for _ in range(r.varint()):
        step, count = r.varint(), r.varint()
        demand(step >= 1 and 1 <= count < frames, "run")
        steps += [step] * count
    demand(len(steps) == frames - 1, "runs don't add up")
    for s in steps:
        times.append(times[-1] + s)
    last, checksum, sse = r.varint(), r.unsigned(4), (r.varint(), r.varint(), r.varint())
    return Gop(first, frames, times, last, checksum, sse, payload[r.at :])


def read_file(data: bytes) -> File:
    """Everything of an undamaged file; Bad where it breaks the page."""
    r = Bytes(data)
    demand(r.take(8) == MAGIC, "magic")
    demand(r.take(2) == bytes(2), "version and draft")
    n = r.unsigned(4)
    demand(n <= 1048576, "stream header is too long")
    head = r.take(n)
    demand(r.unsigned(4) == zlib.crc32(data[: 14 + n]), "CRC of the file header")
    stream_id = zlib.crc32(head).to_bytes(4, "little")
    file, frames, entries = File(stream_header(head)), 0, []
    while True:
        start = r.at
        demand(r.take(4) == SYNC, "sync")
        kind, length, first, count = r.unsigned(1), r.varint(), r.varint(), r.varint()
        demand(length <= 67108864, "packet is too long")
        fields = data[start : r.at]
        demand(r.unsigned(4) == zlib.crc32(stream_id + fields), "CRC of a packet's head")
        payload = r.take(length)
        demand(r.unsigned(4) == zlib.crc32(stream_id + fields + payload), "CRC of a packet")
        demand(kind in (GOP, INDEX) or kind >= 0x80, "unknown packet")
        demand(first == frames, "gap")
        if kind == GOP:
            frames += count
            file.gops.append(gop_payload(first, count, payload))
            entries.append((start, count, file.gops[-1].times[0]))
        elif kind == INDEX:
            break
        else:
            demand(count == 0, "head of a packet of tracks")
            file.extras.append((kind, payload))
    demand(count == 0, "head of the index")
    check_index(payload, head, entries)
    offset = r.take(8)
    demand(
        int.from_bytes(offset, "little") == start
        and r.unsigned(4) == zlib.crc32(offset + TAIL)
        and r.take(8) == TAIL
        and r.at == len(data),
        "trailer",
    )
    times = [t for g in file.gops for t in g.times]
    demand(all(a < b for a, b in pairwise(times)), "times don't increase")
    return file


def check_index(payload: bytes, head: bytes, entries: list[tuple[int, int, int]]) -> None:
    r = Bytes(payload)
    demand(r.take(r.varint()) == head and r.varint() == len(entries), "index")
    offset = time = 0
    for entry in entries:
        offset += r.varint()
        count = r.varint()
        time += r.svarint()
        demand((offset, count, time) == entry, "index disagrees with the packets")
    demand(r.at == len(payload), "index has further bytes")
