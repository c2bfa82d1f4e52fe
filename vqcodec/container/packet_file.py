"""Packets of a file, read at given offsets and with their checksums looked at."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from typing import BinaryIO

from ..errors import DamageError, InputError, LimitError, located
from ..fields import Reader
from .packets import GOP, MAX_PAYLOAD, PACKET_HEADER_MAX, PacketHeader, packet_checksum


@dataclass(frozen=True)
class PacketFile:
    """A seekable binary file of ``size`` bytes with packets of the stream ``stream_id``.

    ``limit`` is the largest payload that is read, in bytes. Several threads may read: one decodes
    pictures ahead while another takes the tracks beside them.
    """

    file: BinaryIO
    size: int
    limit: int = MAX_PAYLOAD
    stream_id: int = 0
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @classmethod
    def open(cls, file: BinaryIO, limit: int = MAX_PAYLOAD, stream_id: int = 0) -> PacketFile:
        """The file with its present size; InputError where it cannot be searched."""
        try:
            return cls(file, file.seek(0, os.SEEK_END), limit, stream_id)
        except (OSError, ValueError) as exc:
            raise InputError("cannot be searched: no regular file") from exc

    def read(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset`` on, fewer where the file ends."""
        try:
            with self._turn:  # the file has one position
                self.file.seek(offset)
                return self.file.read(size)
        except OSError as exc:
            raise InputError(f"cannot be read: {exc.strerror or exc}", byte=offset) from exc

    def head(self, offset: int) -> PacketHeader:
        """The head of the packet at ``offset``; DamageError, and LimitError for a long payload."""
        head = PacketHeader.parse(self.read(offset, PACKET_HEADER_MAX), self.stream_id, offset)
        if head.length > self.limit:
            raise LimitError(
                f"{head.length} bytes are over the limit of {self.limit}",
                part="packet",
                byte=offset,
                option="packet",
            )
        return head

    def payload(self, head: PacketHeader, offset: int) -> memoryview:
        """The payload behind ``head``; DamageError where it is cut or its checksum is wrong."""
        frames = range(head.first_frame, head.first_frame + head.frames)
        with located(part="packet", byte=offset, frames=frames if head.type == GOP else None):
            if offset + head.total > self.size:  # before memory is taken
                raise DamageError(f"cut after {self.size - offset} of {head.total} bytes")
            reader = Reader(self.read(offset + head.size, head.length + 4), "packet")
            payload = reader.take(head.length)
            if packet_checksum(self.stream_id, head.raw, payload) != reader.u32():
                raise DamageError("checksum mismatch")
            return payload

    def packet(self, offset: int) -> bytes:
        """All bytes of the packet at ``offset``; DamageError when it is damaged."""
        head = self.head(offset)
        self.payload(head, offset)
        return self.read(offset, head.total)
