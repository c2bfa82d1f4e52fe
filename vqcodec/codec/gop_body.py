"""Qualities, sizes and streams of a GOP: from bytes; its pixel checksum."""

from __future__ import annotations

import zlib

import numpy as np

from ..fields import Reader
from ..picture import Picture
from .gop_structure import LEVELS


def checksum_update(crc: int, pic10: Picture) -> int:
    """CRC-32 continued over the little-endian 16-bit samples of a decoded picture, Y, U, V."""
    for p in pic10:
        crc = zlib.crc32(np.ascontiguousarray(p, dtype="<u2").data, crc)
    return crc


def parse_body(body: bytes | memoryview, frames: int) -> tuple[list[int], list[memoryview]]:
    """Level qualities and the streams of a GOP body, in decoding order."""
    r = Reader(body, "GOP body")
    q = [r.u8() for _ in range(LEVELS)]
    if max(q) > 63:
        raise r.error(f"quality {max(q)} above 63")
    sizes = [r.varint() for _ in range(frames)]
    data = [r.take(n) for n in sizes]
    r.done()
    return q, data
