"""Is a video file whole? Demuxers skip what they can't read and say nothing; the frame of a file
tells.

Only the nesting and order of a file's parts are looked at, and their checksums where they have
them, never their content: EBML elements of Matroska with their CRC-32, packets of MPEG-TS and
their counters, boxes of mp4, chunks of AVI, the size that ASF declares; the smaller kinds are in
:mod:`.integrity_by_kind` and :mod:`.integrity_of_rows`.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ..errors import InputError
from .file_bytes import CHUNK, WINDOW, FileBytes
from .integrity_by_kind import amv, dv, flv, gif, mjpeg, mpeg, nut, ogg
from .integrity_of_rows import apng, av1_units, gxf, mxf, obu, real_media, roq, swf

_EBML, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
# children of a segment; a cluster of unknown length ends with one of them
_TOP = {
    _CLUSTER,
    0x114D9B74,
    0x1549A966,
    0x1654AE6B,
    0x1C53BB6B,
    0x1941A469,
    0x1043A770,
    0x1254C367,
    0x1B538667,
}
_VOID, _CRC = 0xEC, 0xBF
_ANYWHERE = {_VOID, _CRC}
_IN_CLUSTER = {0xE7, 0xA7, 0xAB, 0xA3, 0xA0, 0x5854, 0xAF} | _ANYWHERE
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_TS_CHUNK = 1 << 16  # packets looked at together


def ebml(data: FileBytes | bytes, pos: int, end: int) -> tuple[int, int, int | None] | None:
    """(id, where the content begins, where it ends or None for unknown) of the element at ``pos``;
    None for what is no element."""
    if pos >= end or data[pos] < 0x10:
        return None
    id_bytes = 9 - data[pos].bit_length()
    at = pos + id_bytes
    if at >= end or data[at] == 0:
        return None
    size_bytes = 9 - data[at].bit_length()
    if at + size_bytes > end:
        return None
    number = int.from_bytes(data[pos:at], "big")
    size = int.from_bytes(data[at : at + size_bytes], "big") & ((1 << 7 * size_bytes) - 1)
    begin, unknown = at + size_bytes, (1 << 7 * size_bytes) - 1
    return number, begin, None if size == unknown else begin + size


def _fails_its_checksum(data: FileBytes, begin: int, stop: int) -> bool:
    """Whether an element with that content begins with a CRC-32, which FFmpeg writes by itself, and
    what follows has another one."""
    first = ebml(data, begin, stop)
    if first is None or first[0] != _CRC or first[2] != first[1] + 4 or first[2] > stop:
        return False
    crc = 0
    for at in range(first[2], stop, CHUNK):
        crc = zlib.crc32(data[at : min(stop, at + CHUNK)], crc)
    return crc != int.from_bytes(data[first[1] : first[2]], "little")


def _segment(data: FileBytes, size: int) -> tuple[int, int] | None:
    """Where the content of a file's segment begins and ends, as its head says; None where the file
    does not begin as one of Matroska's."""
    head = ebml(data, 0, size)
    if head is None or head[0] != _EBML or head[2] is None:
        return None
    segment = ebml(data, head[2], size)
    if segment is None or segment[0] != _SEGMENT:
        return None
    return segment[1], size if segment[2] is None else segment[2]


def _in_cluster(data: FileBytes, begin: int, stop: int | None, end: int) -> tuple[int, bool]:
    """Where the blocks of a cluster end, and whether they are whole.

    ``stop`` is where the cluster ends by its size; one without a size ends where another element
    of the segment begins, or at ``end``.
    """
    at, limit = begin, end if stop is None else min(end, stop)
    while at < limit:
        child = ebml(data, at, limit)
        if stop is None and child is not None and child[0] in _TOP:
            break
        if child is None or child[0] not in _IN_CLUSTER or child[2] is None or child[2] > limit:
            return at, False
        at = child[2]
    return at, True


def _next_cluster(data: FileBytes, at: int, end: int) -> int:
    """Where the next cluster begins behind ``at``; ``end`` where there is none."""
    found = data.find(_CLUSTER.to_bytes(4, "big"), at + 1, end)
    return found if found >= 0 else end


def _matroska(data: FileBytes, size: int) -> Iterator[int]:
    segment = _segment(data, size)
    if segment is None:
        yield 0
        return
    pos, end = segment
    if end > size:
        yield size
        end = size
    while pos < end:
        number, begin, stop = ebml(data, pos, end) or (None, pos, None)
        if number == _CLUSTER:
            at, whole = _in_cluster(data, begin, stop, end)
            if not whole:
                yield at
                at = _next_cluster(data, at, end)
            elif stop == at and _fails_its_checksum(data, begin, stop):
                yield pos
            pos = at
        elif number == _EBML:
            return  # another file behind the first
        elif number not in _TOP | _ANYWHERE or stop is None:
            yield pos
            pos = _next_cluster(data, pos, end)
        elif stop > end:
            yield pos
            return
        else:
            if number not in _ANYWHERE and _fails_its_checksum(data, begin, stop):
                yield pos
            pos = stop


def _mpegts(data: FileBytes, size: int) -> Iterator[int]:
    # plain packets, those with a time before (Blu-ray), those with a checksum behind (DVB)
    for step, offset in ((188, 0), (192, 4), (204, 0)):
        if size >= 5 * step and all(data[offset + i * step] == 0x47 for i in range(5)):
            break
    else:
        return
    if size % step:
        yield size - size % step
    counters: dict[int, int] = {}
    for first in range(0, size // step, _TS_CHUNK):
        count = min(_TS_CHUNK, size // step - first)
        packets = data[first * step : (first + count) * step].ljust(count * step, b"\0")
        heads = np.frombuffer(packets, np.uint8).reshape(count, step)[:, offset : offset + 6]
        wrong = heads[:, 0] != 0x47
        for packet in np.flatnonzero(wrong | (heads[:, 1] & 0x80 != 0)):
            yield (first + int(packet)) * step
        pids = (heads[:, 1].astype(np.int32) & 0x1F) << 8 | heads[:, 2]
        payload, adapted = heads[:, 3] & 0x10 != 0, heads[:, 3] & 0x20 != 0
        restart = (
            adapted & (heads[:, 4] > 0) & (heads[:, 5] & 0x80 != 0)
        )  # the discontinuity indicator
        at = np.flatnonzero(payload & ~wrong & (pids != 0x1FFF))
        at = at[np.argsort(pids[at], kind="stable")]  # by PID, in order within each
        if not len(at):
            continue
        numbers, ids = (heads[at, 3] & 15).astype(np.int32), pids[at]
        begins = np.concatenate(([True], ids[1:] != ids[:-1]))
        before = np.concatenate(([0], numbers[:-1]))
        for place in np.flatnonzero(begins):
            before[place] = counters.get(int(ids[place]), int(numbers[place]))
        for place in np.flatnonzero(np.concatenate((begins[1:], [True]))):
            counters[int(ids[place])] = int(numbers[place])
        # a packet may come twice with the same number
        for packet in np.sort(at[((numbers - before) % 16 > 1) & ~restart[at]]):
            yield (first + int(packet)) * step


def _mp4(data: FileBytes, size: int) -> Iterator[int]:
    pos = 0
    while pos < size:
        length, head = int.from_bytes(data[pos : pos + 4], "big"), 8
        if length == 1:
            length, head = int.from_bytes(data[pos + 8 : pos + 16], "big"), 16
        if length == 0 and size - pos >= 8:
            return  # to the end of the file
        if (
            length < head
            or pos + length > size
            or not all(32 <= c < 127 or c == 0xA9 for c in data[pos + 4 : pos + 8])
        ):
            if any(
                any(data[at : min(size, at + CHUNK)]) for at in range(pos, size, CHUNK)
            ):  # some writers leave zeros at the end
                yield pos
            return
        pos += length


def _avi(data: FileBytes, size: int) -> Iterator[int]:
    if data[8:12] == b"AMV ":  # which FFmpeg takes for AVI, and which says no sizes
        yield from amv(data, size)
        return
    pos = 0
    while pos + 8 <= size and data[pos : pos + 4] == b"RIFF":
        pos += 8 + int.from_bytes(data[pos + 4 : pos + 8], "little")
        pos += pos & 1
    if pos > size + 1:
        yield size


def _asf(data: FileBytes, size: int) -> Iterator[int]:
    at = data.find(_ASF_PROPERTIES, 0, min(size, WINDOW))
    live = at < 0 or data[at + 88] & 1  # then it says no size
    if not live and int.from_bytes(data[at + 40 : at + 48], "little") > size:
        yield size


_WALKS: dict[str, Callable[[FileBytes, int], Iterator[int]]] = {
    "matroska": _matroska,
    "mpegts": _mpegts,
    "mp4": _mp4,
    "avi": _avi,
    "asf": _asf,
    "flv": flv,
    "ogg": ogg,
    "mpeg": mpeg,
    "dv": dv,
    "gif": gif,
    "mjpeg": mjpeg,
    "jpeg_pipe": mjpeg,
    "nut": nut,
    "apng": apng,
    "roq": roq,
    "rm": real_media,
    "gxf": gxf,
    "mxf": mxf,
    "swf": swf,
    "obu": obu,
    "av1": av1_units,
}


def broken_at(path: str, format_name: str, most: int = 1000) -> list[int]:
    """Offsets where the file isn't what its kind demands, at most so many; empty for a whole file
    and for other kinds of files. Raises InputError."""
    walk = next((w for name, w in _WALKS.items() if name in format_name.split(",")), None)
    if walk is None:
        return []
    found: list[int] = []
    try:
        with Path(path).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            for offset in walk(FileBytes(file), size) if size else ():
                found.append(offset)
                if len(found) == most:
                    break
            else:
                if (now := os.fstat(file.fileno()).st_size) < size:  # it was cut meanwhile
                    found.append(now)
    except OSError as exc:
        raise InputError(f"cannot be read: {exc.strerror or exc}", file=path) from exc
    return found
