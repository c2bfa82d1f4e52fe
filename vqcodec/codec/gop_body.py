"""Qualities, shapes of mini-GOPs, sizes and streams of a GOP: from bytes and to bytes.

Its pixel checksum.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..fields import Reader, Writer
from ..picture import Picture
from .gop_structure import LEVELS, MINI_GOP, MiniGopShape, Slot, gop_order


class GopBody(NamedTuple):
    """What the body of a GOP holds."""

    qualities: list[int]  # of the levels
    streams: list[memoryview]  # in decoding order
    order: list[list[Slot]]  # the mini-GOPs, the first is the I frame alone

    def quality(self, level: int) -> int:
        """Quality of a level; runs of frames set apart have that of the last one."""
        return self.qualities[min(level, LEVELS - 1)]


def checksum_update(crc: int, pic10: Picture) -> int:
    """CRC-32 continued over the little-endian 16-bit samples of a decoded picture, Y, U, V."""
    for p in pic10:
        crc = zlib.crc32(np.ascontiguousarray(p, dtype="<u2").data, crc)
    return crc


def parse_body(body: bytes | memoryview, frames: int) -> GopBody:
    """What a GOP body of so many frames holds.

    Raises DamageError where it breaks the format's rules.
    """
    reader = Reader(body, "GOP body")
    qualities = [reader.u8() for _ in range(LEVELS)]
    if max(qualities) > 63:
        raise reader.error(f"quality {max(qualities)} above 63")
    order = gop_order(frames, _parse_shapes(reader, frames))
    sizes = [reader.varint() for _ in range(frames)]
    streams = [reader.take(n) for n in sizes]
    reader.done()
    return GopBody(qualities, streams, order)


def _parse_shapes(reader: Reader, frames: int) -> list[MiniGopShape]:
    number = reader.varint()
    if number >= frames:
        raise reader.error(f"{number} mini-GOPs in {frames} frames")
    shapes = []
    for _ in range(number):
        length, mask = reader.varint(), reader.varint()
        if not 1 <= length <= MINI_GOP or mask >> (length - 1):
            raise reader.error(f"mini-GOP of {length} frames with {mask:#x} set apart")
        apart = frozenset(i + 1 for i in range(length) if mask >> i & 1)
        shapes.append(MiniGopShape(length, apart))
    if sum(s.length for s in shapes) > frames - 1:
        raise reader.error(f"mini-GOPs of more than {frames} frames")
    return shapes


def write_body(
    qualities: Sequence[int], shapes: Sequence[MiniGopShape], streams: Sequence[bytes]
) -> bytes:
    """The body of a GOP: ``shapes`` of all its mini-GOPs behind the I frame, ``streams`` in
    decoding order.
    """
    frames, told = 1 + sum(s.length for s in shapes), len(shapes)
    while told and _as_expected(shapes[:told], frames):
        told -= 1
    body = Writer()
    for quality in qualities:
        body.u8(quality)
    body.varint(told)
    for shape in shapes[:told]:
        body.varint(shape.length).varint(sum(1 << (i - 1) for i in shape.apart))
    for stream in streams:
        body.varint(len(stream))
    for stream in streams:
        body.raw(stream)
    return body.getvalue()


def _as_expected(shapes: Sequence[MiniGopShape], frames: int) -> bool:
    """Whether the last of the shapes is what a reader takes it for that is not told."""
    before = 1 + sum(s.length for s in shapes[:-1])
    return shapes[-1] == MiniGopShape(min(MINI_GOP, frames - before))
