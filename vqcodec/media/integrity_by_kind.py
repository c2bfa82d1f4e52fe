"""What the frame of a file tells of whether it is whole, for kinds of which there is little to
look at.

Each function takes the bytes of a file and its size, and gives the offsets where the file isn't
what its kind demands.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from .file_bytes import CHUNK, WINDOW, FileBytes

_FLV_TAGS = {8, 9, 15, 18}  # sound, pictures, and two kinds of what is said of them
_DIF_SEQUENCE = 12_000  # bytes of a twelfth (625 lines) or a tenth (525 lines) of a DV frame
_OGG_HEAD = 27
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_PACK, _PROGRAM_END, _LEAST_PS = 0xBA, 0xB9, 0xBB  # of program streams, behind 00 00 01
_JPEG, _JPEG_FIRST = (
    b"\xff\xd8\xff",
    {bytes((marker,)) for marker in (0xC4, 0xDB, 0xFE, *range(0xE0, 0xF0))},
)
_OGG_ENDS = 4  # the flag of the last page of a stream
_AMV_END, _AMV_PADDING = b"AMV_END_", 4096
_NUT_INDEX = bytes.fromhex("4e58dd672f23e64e")


def flv(data: FileBytes, size: int) -> Iterator[int]:
    """Tags, and the size that the first of them declares, of Flash video."""
    if declared := _flv_size(data, size):
        if declared > size:
            yield size
            return
    pos = int.from_bytes(data[5:9], "big") + 4
    while pos < size:
        end = pos + 11 + int.from_bytes(data[pos + 1 : pos + 4], "big")
        if data[pos] & 31 not in _FLV_TAGS or end > size:
            yield pos
            return
        pos = end + 4  # the length of the tag once more


def _flv_size(data: FileBytes, size: int) -> int:
    """What onMetaData says of the size of the file; 0 where it says nothing."""
    at = data.find(b"filesize\0", 0, min(size, WINDOW))
    if at < 0 or at + 17 > size:
        return 0
    (declared,) = struct.unpack(">d", data[at + 9 : at + 17])
    return int(declared) if 0 < declared < 1 << 62 else 0


def ogg(data: FileBytes, size: int) -> Iterator[int]:
    """Pages of Ogg and their checksums, and whether each stream has a last page."""
    pos, whole = 0, True
    ended: dict[bytes, bool] = {}  # by the number of the stream
    while pos < size:
        head = data[pos : pos + _OGG_HEAD]
        if len(head) < _OGG_HEAD or head[:4] != b"OggS":
            yield pos
            whole = False
            pos = data.find(b"OggS", pos + 1, size)
            if pos < 0:
                return
            continue
        body = pos + _OGG_HEAD + head[26]
        end = body + sum(data[pos + _OGG_HEAD : body])
        if end > size:
            yield pos
            return
        if not _ogg_checksum_fits(data[pos:end]):
            yield pos
            whole = False
        ended[head[14:18]] = bool(head[5] & _OGG_ENDS)
        pos = end
    if whole and not all(ended.values()):
        yield size


def _ogg_checksum_fits(page: bytes) -> bool:
    """Ogg's CRC-32 goes from the highest bit, and begins and ends with other values than zlib's."""
    plain = (page[:22] + bytes(4) + page[26:]).translate(_REVERSED)
    crc = zlib.crc32(plain, 0xFFFFFFFF) ^ 0xFFFFFFFF
    return crc.to_bytes(4, "big").translate(_REVERSED) == page[22:26]


def mpeg(data: FileBytes, size: int) -> Iterator[int]:
    """Whether the last pack of a program stream is whole. Between packs there may be anything."""
    tail = data[max(0, size - CHUNK) : size]
    first, pos = size - len(tail), tail.find(bytes((0, 0, 1, _PACK)))
    while 0 <= pos <= len(tail) - 4:
        if tail[pos : pos + 3] != b"\0\0\1":
            pos = tail.find(bytes((0, 0, 1, _PACK)), pos)
            continue
        end = pos + _ps_length(tail, pos)
        if end > len(tail):
            yield first + pos
            return
        pos = end


def _ps_length(tail: bytes, pos: int) -> int:
    """Bytes of the pack header or packet there; 1 where it is neither."""
    head = tail[pos : pos + 14].ljust(14, b"\0")
    if head[3] == _PACK:
        return 14 + (head[13] & 7) if head[4] >> 6 == 1 else 12
    if head[3] >= _LEAST_PS:
        return 6 + int.from_bytes(head[4:6], "big")
    return 4 if head[3] == _PROGRAM_END else 1


def dv(data: FileBytes, size: int) -> Iterator[int]:
    """Whether a raw stream of DV ends with a frame; all have the same size."""
    frame = _DIF_SEQUENCE * (12 if data[3] & 0x80 else 10)
    if size % frame:
        yield size - size % frame


def gif(data: FileBytes, size: int) -> Iterator[int]:
    """Blocks of GIF, up to its trailer."""
    flags = data[10]
    pos = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    while pos < size and data[pos] != 0x3B:
        if data[pos] == 0x21:
            pos += 2
        elif data[pos] == 0x2C:
            flags = data[pos + 9]
            pos += 11 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
        else:
            yield pos
            return
        while pos < size and (length := data[pos]):
            pos += 1 + length
        pos += 1
    if pos >= size:
        yield size


def mjpeg(data: FileBytes, size: int) -> Iterator[int]:
    """Whether the last picture of a row of JPEG has an end. Phones put other things behind it."""
    begin, begun = max(0, size - CHUNK), -1
    tail = data[begin:size]
    while (begun := tail.rfind(_JPEG, 0, begun if begun >= 0 else size)) >= 0:
        if tail[begun + 3 : begun + 4] in _JPEG_FIRST:
            break
    if begun >= 0 and tail.find(b"\xff\xd9", begun) < 0:
        yield size


def amv(data: FileBytes, size: int) -> Iterator[int]:
    """Whether AMV ends with the words that players of it look for."""
    if data.find(_AMV_END, max(0, size - _AMV_PADDING), size) < 0:
        yield size


def nut(data: FileBytes, size: int) -> Iterator[int]:
    """Whether NUT ends with its index, which FFmpeg writes behind all packets, into pipes too."""
    index = size - int.from_bytes(data[size - 12 : size - 4], "big") if size >= 12 else -1
    if not 0 <= index < size or data[index : index + 8] != _NUT_INDEX:
        yield size
