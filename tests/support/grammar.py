"""A .vqv file as a tree of fields that can be changed one by one; lengths, offsets and checksums
are put right when it is built."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import zstandard

from vqcodec.codec.gop_structure import LEVELS, MINI_GOP
from vqcodec.container import packets as packets_module
from vqcodec.container.description import MAX_SIDE_DATA
from vqcodec.container.tracks import COLLECTED, DESCRIPTION, MAX_TRACKS, PACKETS, TRACK
from vqcodec.container.zstd import LEVEL, decompress
from vqcodec.fields import Reader, Writer, crc32, u32

U64 = (1 << 64) - 1
FRAME = (
    packets_module.IGNORABLE | packets_module.COMPRESSED
)  # bits of the types whose payload is a zstd frame


def frame_of(content: bytes) -> bytes:
    """A zstd frame, be it longer than its content."""
    return zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compress(content)


@dataclass
class Field:
    """``value`` None: worked out when the file is built. ``top``: largest value that the format
    allows."""

    # u8, u16, u32, u64, varint, svarint, raw, blob (bytes with their number as a varint in front;
    # an integer is that number alone)
    kind: str
    value: Any
    top: int = U64
    name: str = ""

    def put(self, w: Writer, derived: Any = 0) -> None:
        value = derived if self.value is None else self.value
        if self.kind == "blob":
            w.varint(value if isinstance(value, int) else len(value)).raw(
                b"" if isinstance(value, int) else value
            )
        elif self.kind == "raw":
            w.raw(value)
        elif self.kind == "svarint":
            w.svarint(max(-(1 << 63), min(value, (1 << 63) - 1)))
        else:
            bits = {"u8": 8, "u16": 16, "u32": 32}.get(self.kind, 64)
            getattr(w, self.kind)(value & ((1 << bits) - 1))

    def values(self, rng: np.random.Generator) -> list[Any]:
        """Values worth trying: the ends of the range, what lies beyond, and chance."""
        if self.kind == "blob" and (isinstance(self.value, int) or rng.integers(4) == 0):
            return [1, 255, 1 << 14, 1 << 20, 1 << 40, U64]
        if self.kind in ("raw", "blob"):
            data = bytearray(self.value or b"")
            for _ in range(int(rng.integers(1, 4)) if data else 0):
                data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
            cut = int(rng.integers(len(data) + 1))
            noise = bytes(data[:cut]) + rng.bytes(len(data) - cut)
            return [
                bytes(data),
                noise,
                rng.bytes(len(data)),
                bytes(data[:cut]),
                bytes(data) + rng.bytes(int(rng.integers(1, 20))),
                bytes(data[cut:]) + bytes(data[:cut]),
                b"",
            ]
        chance = int(rng.integers(0, 1 << 63)) >> int(rng.integers(63))
        values = [
            0,
            1,
            self.top - 1,
            self.top,
            min(self.top + 1, U64),
            U64,
            U64 - 1,
            chance,
            (1 << 32) - 1,
            (1 << 31) - 1,
            1 << 31,
        ]
        if self.kind == "svarint":
            values += [-1, -(1 << 63), -chance, -self.top]
        if isinstance(self.value, int):
            values += [
                self.value + 1,
                max(0, self.value - 1),
                self.value ^ 1 << int(rng.integers(16)),
            ]
        return values


@dataclass
class Packet:
    head: list[Field]  # type, length, first frame, frames
    payload: list[Field]
    sync: bytes = packets_module.SYNC
    compressed: bool = False  # the fields are those of a frame's content


@dataclass
class File:
    header: list[Field]  # version, length, then the stream header
    packets: list[Packet] = field(default_factory=list)
    trailer: Field = field(default_factory=lambda: Field("u64", None, name="index offset"))

    @classmethod
    def parse(cls, data: bytes) -> File:
        """Of a whole file whose packets are of known types."""
        r = Reader(data)
        r.take(8)
        newest = packets_module.VERSION | packets_module.DRAFT << 8
        header = [
            Field("u16", r.u16(), newest, "version and draft"),
            Field("u32", None, packets_module.MAX_HEADER, "length"),
        ]
        end = r.u32() + r.position
        tops = [packets_module.MAX_SIDE] * 2 + [packets_module.MAX_FRACTION] * 6
        header += [Field("varint", r.varint(), top) for top in tops]
        header += [
            Field("u8", r.u8(), top)
            for top in (3, 255, 255, 255, 2, 255, 16, packets_module.MAX_CRF)
        ]
        header += [
            Field("u32", r.u32(), (1 << 32) - 1),
            Field("raw", bytes(r.take(end - r.position))),
        ]
        r.u32()
        f = cls(header)
        while r.remaining > packets_module.TRAILER_SIZE:
            r.take(4)
            type_, length, first, frames = r.u8(), r.varint(), r.varint(), r.varint()
            r.u32()
            payload, compressed = Reader(r.take(length)), type_ & FRAME == FRAME
            if compressed:
                frame = payload.take(length)
                payload = Reader(decompress(frame, packets_module.MAX_PAYLOAD))
            fields = (
                gop_fields(payload, frames)
                if type_ == packets_module.GOP
                else index_fields(payload)
                if type_ == packets_module.INDEX
                else extra_fields(payload, type_ & ~packets_module.COMPRESSED)
            )
            r.u32()
            f.packets.append(
                Packet(
                    [
                        Field("u8", type_, 255, "GOP" if type_ == packets_module.GOP else ""),
                        Field("varint", None, packets_module.MAX_PAYLOAD),
                        Field("varint", first, 1 << 62),
                        Field("varint", frames, packets_module.MAX_GOP),
                    ],
                    fields,
                    compressed=compressed,
                )
            )
        return f

    def fields(self) -> list[Field]:
        return [
            *self.header,
            *(x for p in self.packets for x in (*p.head, *p.payload)),
            self.trailer,
        ]

    def build(self) -> bytes:
        w = Writer()
        for x in self.header[2:]:
            x.put(w)
        raw = w.getvalue()
        w = Writer().raw(packets_module.MAGIC)
        self.header[0].put(w)
        self.header[1].put(w, len(raw))
        out = bytearray(w.raw(raw).getvalue())
        out += u32(crc32(out))
        sid = u32(crc32(raw))
        offsets: list[int] = []
        at = len(out)
        for p in self.packets:
            at = len(out)
            listed = p.head[0].name == "GOP"
            steps = iter(np.diff([0, *offsets]).tolist() + [1] * 1000)
            w = Writer()
            for x in p.payload:
                x.put(
                    w,
                    None
                    if x.value is not None
                    else next(steps)
                    if x.name == "step"
                    else len(raw)
                    if x.kind == "varint"
                    else raw,
                )
            payload = frame_of(w.getvalue()) if p.compressed else w.getvalue()
            w = Writer().raw(p.sync)
            for x, derived in zip(p.head, (0, len(payload), 0, 0), strict=True):
                x.put(w, derived)
            head = w.getvalue()
            out += head + u32(crc32(sid, head)) + payload + u32(crc32(sid, head, payload))
            offsets += [at] if listed else []
        w = Writer()
        self.trailer.put(w, at)
        return (
            bytes(out)
            + w.getvalue()
            + u32(crc32(w.getvalue(), packets_module.TAIL_MAGIC))
            + packets_module.TAIL_MAGIC
        )


def gop_fields(r: Reader, frames: int) -> list[Field]:
    runs_at = [Field("svarint", r.svarint(), 1 << 62), Field("varint", r.varint(), frames - 1)]
    runs = [
        Field("varint", r.varint(), 1 << 62 if i % 2 == 0 else frames - 1)
        for i in range(2 * runs_at[1].value)
    ]
    tail = [
        Field("varint", r.varint(), 1 << 62),
        Field("u32", r.u32(), (1 << 32) - 1),
        *(Field("varint", r.varint()) for _ in range(3)),
    ]
    return runs_at + runs + tail + body_fields(r, frames)


def body_fields(r: Reader, frames: int) -> list[Field]:
    """Qualities, shapes of mini-GOPs, sizes and streams where the bytes are a GOP body, else one
    field."""
    rest = bytes(r.take(r.remaining))
    try:
        b = Reader(rest)
        q = [Field("u8", b.u8(), 63) for _ in range(LEVELS)]
        told = b.varint()
        shapes = [b.varint() for _ in range(2 * told)]
        sizes = [b.varint() for _ in range(frames)]
        streams = [Field("raw", bytes(b.take(n))) for n in sizes]
        b.done()
    except Exception:
        return [Field("raw", rest)]
    shape_fields = [Field("varint", n, MINI_GOP + 1) for n in shapes]
    q += [Field("varint", told, frames), *shape_fields]
    return [*q, *(Field("varint", n, len(rest)) for n in sizes), *streams]


class _Taken:
    """Fields as they are read."""

    def __init__(self, r: Reader) -> None:
        self.r, self.fields = r, list[Field]()

    def number(self, kind: str, top: int = U64) -> int:
        self.fields.append(Field(kind, getattr(self.r, kind)(), top))
        return int(self.fields[-1].value)

    def blob(self) -> None:
        self.fields.append(Field("blob", bytes(self.r.take(self.r.varint()))))

    def tags(self) -> None:
        for _ in range(2 * self.number("varint")):
            self.blob()

    def base(self) -> None:
        self.number("varint", packets_module.MAX_FRACTION)
        self.number("varint", packets_module.MAX_FRACTION)


def extra_fields(r: Reader, type_: int) -> list[Field]:
    """Fields of a description, a track, or packets of tracks."""
    t = _Taken(r)
    if type_ == DESCRIPTION:
        t.tags()
        t.tags()
        t.number("varint", 0xFFFFFFFF)
        for _ in range(t.number("varint")):
            t.number("svarint")
            t.base()
            t.number("svarint", packets_module.MAX_PTS)
            t.number("svarint", packets_module.MAX_PTS)
            t.tags()
        t.blob()
        for _ in range(t.number("varint")):
            t.number("varint", 3)
            t.blob()
    elif type_ == TRACK:
        t.number("varint", MAX_TRACKS - 1)
        t.number("u8", 4)
        t.blob()
        t.base()
        t.number("varint", 0xFFFFFFFF)
        t.tags()
        t.blob()
        t.blob()
    while type_ in (PACKETS, COLLECTED) and r.remaining:
        t.number("varint", MAX_TRACKS - 1)
        flags = t.number("u8", 31)
        for _ in range(1 + bool(flags & 2) + bool(flags & 4)):
            t.number("svarint", packets_module.MAX_PTS)
        for _ in range(t.number("varint", MAX_SIDE_DATA) if flags & 8 else 0):
            t.number("varint", 8)
            t.blob()
        t.blob()
    return [*t.fields, Field("raw", bytes(r.take(r.remaining)))] if r.remaining else t.fields


def index_fields(r: Reader) -> list[Field]:
    n = r.varint()
    r.take(n)
    fields = [
        Field("varint", None, packets_module.MAX_HEADER),
        Field("raw", None),
        Field("varint", r.varint(), 1 << 22),
    ]
    for _ in range(fields[-1].value):
        r.varint()
        fields += [
            Field("varint", None, 1 << 62, "step"),
            Field("varint", r.varint(), packets_module.MAX_GOP),
            Field("svarint", r.svarint(), 1 << 62),
        ]
    return fields


def mutate_fields(f: File, rng: np.random.Generator, times: int = 1) -> File:
    """A copy with some fields changed."""
    f = copy.deepcopy(f)
    for _ in range(times):
        fields = f.fields()
        x = fields[rng.integers(len(fields))]
        if x.value is None and x.kind == "raw":
            x.value = b""
        values = x.values(rng)
        x.value = values[rng.integers(len(values))]
    return f


def mutate_packets(f: File, rng: np.random.Generator, other: File) -> File:
    """A copy with packets repeated, left out, exchanged, renumbered, of other types, or taken from
    another file with the right checksums; or with one compressed, so that the bytes of its frame
    may be changed."""
    f = copy.deepcopy(f)
    kind, n = int(rng.integers(7)), len(f.packets)
    if not n:
        return f
    i, j = int(rng.integers(n)), int(rng.integers(n))
    if kind == 0:
        f.packets.insert(j, copy.deepcopy(f.packets[i]))
    elif kind == 1:
        del f.packets[i]
    elif kind == 2:
        f.packets[i], f.packets[j] = f.packets[j], f.packets[i]
    elif kind == 3:
        f.packets[i].head[2].value = int(rng.integers(0, 40))
    elif kind == 4:
        f.packets[i].head[0].value = int(
            rng.choice([0, 1, 2, 3, DESCRIPTION, TRACK, PACKETS, COLLECTED, FRAME | PACKETS, 0xFF])
        )
    elif kind == 5:
        p = f.packets[i]
        if isinstance(p.head[0].value, int) and p.head[0].value & packets_module.IGNORABLE:
            w = Writer()
            for x in p.payload:
                x.put(w)
            p.head[0].value |= packets_module.COMPRESSED
            p.payload, p.compressed = [Field("raw", frame_of(w.getvalue()))], False
    elif other.packets:
        f.packets.insert(j, copy.deepcopy(other.packets[int(rng.integers(len(other.packets)))]))
    return f


def mutate_bytes(data: bytes, rng: np.random.Generator) -> bytes:
    """Bits flipped; bytes changed, taken out, put in, repeated; the end cut off."""
    bad = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        if not bad:
            break
        a, n = int(rng.integers(len(bad))), int(rng.integers(0, 1 << int(rng.integers(1, 9))))
        kind = int(rng.integers(6))
        if kind == 0:
            bad[a] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            bad[a : a + n] = rng.bytes(min(n, len(bad) - a))
        elif kind == 2:
            del bad[a : a + n]
        elif kind == 3:
            bad[a:a] = rng.bytes(n)
        elif kind == 4:
            bad[a:a] = bad[int(rng.integers(len(bad))) :][:n]
        elif rng.integers(4) == 0:
            del bad[a:]
    return bytes(bad)
