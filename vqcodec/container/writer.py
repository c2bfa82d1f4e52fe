"""A .vqv file written from front to back."""

from __future__ import annotations

from typing import BinaryIO

from ..fields import crc32, u32
from .index import index_payload
from .packets import (
    COMPRESSED,
    GOP,
    INDEX,
    TAIL_MAGIC,
    GopPayload,
    IndexEntry,
    StreamHeader,
    file_header,
    packet,
)
from .zstd import compress


class ContainerWriter:
    """Writes a file front to back to a binary file object: header at once, then :meth:`gop` for
    each GOP, :meth:`finish`.
    """

    def __init__(self, file: BinaryIO, header: StreamHeader | bytes) -> None:
        self._file = file
        self._header = header if isinstance(header, bytes) else header.to_bytes()
        self.stream_id = crc32(self._header)
        self.position = 0
        self.extra_bytes = 0  # of the packets of tracks, tags and chapters
        self.frames = 0
        self.entries: list[IndexEntry] = []
        self._write(file_header(self._header))

    def _write(self, data: bytes) -> int:
        self._file.write(data)
        self.position += len(data)
        return len(data)

    def gop(self, gop: GopPayload) -> int:
        """Append a GOP; its size in the file in bytes."""
        self.entries.append(IndexEntry(self.position, self.frames, len(gop.pts), gop.pts[0]))
        size = self._write(packet(GOP, self.stream_id, self.frames, len(gop.pts), gop.to_bytes()))
        self.frames += len(gop.pts)
        return size

    def extra(self, type_: int, content: bytes, small: bool = False) -> int:
        """Append a packet of a type that readers may skip, stored with the GOP that follows; its
        size in bytes.

        With ``small`` its content is compressed where that makes it shorter.
        """
        frame = compress(content) if small else None
        if frame is not None:
            type_, content = type_ | COMPRESSED, frame
        size = self._write(packet(type_, self.stream_id, self.frames, 0, content))
        self.extra_bytes += size
        return size

    def copy(self, raw: bytes, frames: int = 0, first_pts: int = 0) -> None:
        """Append a whole packet as it is: the next GOP of this stream with its frames and first
        time, or (0 frames) of another type.
        """
        if frames:
            self.entries.append(IndexEntry(self.position, self.frames, frames, first_pts))
            self.frames += frames
        self._write(raw)

    def lost(self, frames: int, first_pts: int) -> None:
        """Leave out frames that are lost: the index tells of them, no packet does."""
        self.entries.append(IndexEntry(-1, self.frames, frames, first_pts))
        self.frames += frames

    def finish(self) -> int:
        """Append index and trailer; the size of the file in bytes."""
        offset = self.position.to_bytes(8, "little")
        self._write(
            packet(INDEX, self.stream_id, self.frames, 0, index_payload(self._header, self.entries))
        )
        self._write(offset + u32(crc32(offset, TAIL_MAGIC)) + TAIL_MAGIC)
        return self.position
