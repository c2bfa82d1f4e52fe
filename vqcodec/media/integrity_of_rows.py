"""Whether a file is whole that is a row of parts which tell their own lengths, for kinds of files
that are seldom seen.

Each function takes the bytes of a file and its size, and gives the offsets where the file isn't
what its kind demands: a part that goes beyond the end of the file, or the end of a file whose last
part is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .file_bytes import WINDOW, FileBytes

_PNG_SIGNATURE, _PNG_AROUND = 8, 12  # bytes; of a chunk: length, name and checksum
_ROQ_HEAD, _ROQ_SIGNATURE = 8, 0x1084
_REAL_CHUNKS = {b".RMF", b"PROP", b"CONT", b"MDPR", b"DATA", b"INDX", b"RMMD", b"RMJE"}
_REAL_EXCESS = 10  # bytes that FFmpeg says more of its packets than there are
_GXF_HEAD, _GXF_LAST = bytes.fromhex("0000000001"), 0xFB
_MXF_LABEL = bytes.fromhex("060e2b34")
_MXF_PARTITION = bytes.fromhex("060e2b34020501010d01020101")  # with any kind of partition
_SWF_STREAMED = 100 << 20  # the length that FFmpeg says where it cannot know it yet


def _walk(
    size: int, pos: int, length: Callable[[int], int], is_last: Callable[[int], bool] | None = None
) -> Iterator[int]:
    """Go from part to part, from the one at ``pos`` on.

    ``length`` tells how many bytes the part at an offset has, 0 where there is none; ``is_last``
    whether the file ends with it, and where it is given one must.
    """
    while pos < size:
        step = length(pos)
        if not step or pos + step > size:
            yield pos
            return
        if is_last is not None and is_last(pos):
            return
        pos += step
    if is_last is not None:
        yield size


def apng(data: FileBytes, size: int) -> Iterator[int]:
    """Chunks of PNG, up to IEND."""

    def length(pos: int) -> int:
        return _PNG_AROUND + int.from_bytes(data[pos : pos + 4], "big")

    def is_last(pos: int) -> bool:
        return data[pos + 4 : pos + 8] == b"IEND"

    yield from _walk(size, _PNG_SIGNATURE, length, is_last)


def roq(data: FileBytes, size: int) -> Iterator[int]:
    """Chunks of RoQ; the first one, a signature, has no length."""

    def length(pos: int) -> int:
        kind = int.from_bytes(data[pos : pos + 2], "little")
        declared = int.from_bytes(data[pos + 2 : pos + 6], "little")
        return _ROQ_HEAD + (0 if kind == _ROQ_SIGNATURE else declared)

    yield from _walk(size, 0, length)


def real_media(data: FileBytes, size: int) -> Iterator[int]:
    """Chunks of RealMedia; behind them there may be anything. Live ones have no length."""
    pos = 0
    while pos < size and data[pos : pos + 4] in _REAL_CHUNKS:
        length = int.from_bytes(data[pos + 4 : pos + 8], "big")
        if not length:
            return
        if pos + length > size + _REAL_EXCESS:
            yield pos
        pos += max(length, 8)


def gxf(data: FileBytes, size: int) -> Iterator[int]:
    """Packets of GXF (SMPTE ST 360), up to the one that says that it is the last."""

    def length(pos: int) -> int:
        known = data[pos : pos + 5] == _GXF_HEAD
        return int.from_bytes(data[pos + 6 : pos + 10], "big") if known else 0

    def is_last(pos: int) -> bool:
        return data[pos + 5] == _GXF_LAST

    yield from _walk(size, 0, length, is_last)


def mxf(data: FileBytes, size: int) -> Iterator[int]:
    """Keys, lengths and values of MXF (SMPTE ST 377-1), and where its head says that the footer
    is."""
    first = data.find(_MXF_LABEL, 0, min(size, WINDOW))
    if first < 0:
        return

    def begins(pos: int) -> int:
        """Where the value behind a key begins."""
        return pos + 17 + (data[pos + 16] & 0x7F if data[pos + 16] & 0x80 else 0)

    def length(pos: int) -> int:
        if data[pos : pos + 4] != _MXF_LABEL:
            return 0
        begin, short = begins(pos), data[pos + 16]
        long = int.from_bytes(data[pos + 17 : begin], "big")
        return begin - pos + (long if short & 0x80 else short)

    broken = list(_walk(size, first, length))
    at = begins(first) + 24
    footer = first + int.from_bytes(data[at : at + 8], "big")
    if not broken and data[first : first + 13] == _MXF_PARTITION and footer >= size:
        broken = [size]
    yield from broken


def swf(data: FileBytes, size: int) -> Iterator[int]:
    """The length that the head of an uncompressed Flash movie declares."""
    declared = int.from_bytes(data[4:8], "little")
    if data[0:3] == b"FWS" and declared != _SWF_STREAMED and declared > size:
        yield size


def _leb128(data: FileBytes, pos: int) -> tuple[int, int]:
    """(number, where it ends) of AV1's numbers of up to eight bytes."""
    number = 0
    for i in range(8):
        byte = data[pos + i]
        number |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            return number, pos + i + 1
    return 0, pos


def obu(data: FileBytes, size: int) -> Iterator[int]:
    """Units of a raw AV1 stream (its specification, 5.3)."""

    def length(pos: int) -> int:
        head = data[pos]
        begin = pos + 1 + (head >> 2 & 1)
        if not head & 2:  # it has no length: the rest is one unit
            return size - pos
        number, begin = _leb128(data, begin)
        return begin - pos + number

    yield from _walk(size, 0, length)


def av1_units(data: FileBytes, size: int) -> Iterator[int]:
    """Temporal units of a raw AV1 stream with lengths (its specification, annex B)."""

    def length(pos: int) -> int:
        number, begin = _leb128(data, pos)
        return begin - pos + number

    yield from _walk(size, 0, length)
