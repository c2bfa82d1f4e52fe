"""Files with another index and trailer."""

from __future__ import annotations

import io

from vqcodec.container import packets as packets_module
from vqcodec.container.reader import ContainerReader
from vqcodec.fields import crc32, u32


def tail(data: bytes) -> bytes:
    """The index packet and the trailer of a whole file."""
    return data[ContainerReader.open(io.BytesIO(data)).index_offset :]


def with_tail(packets: bytes, other: bytes) -> bytes:
    """A file up to its index, with the index packet of another one, and a trailer that says where
    it is."""
    offset = len(packets).to_bytes(8, "little")
    return (
        packets
        + tail(other)[: -packets_module.TRAILER_SIZE]
        + offset
        + u32(crc32(offset, packets_module.TAIL_MAGIC))
        + packets_module.TAIL_MAGIC
    )
