"""Codecs that only the WAVEFORMATEX of Windows describes (WMA, ADPCM and others), into Matroska
too.

FFmpeg's Matroska muxer writes them as A_MS/ACM, with that structure as their private data. PyAV
refuses them: it asks FFmpeg for "normal" compliance, which leaves them out. So they are written as
MPEG audio, which gets private data as it is given, and renamed once the file is there.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import BinaryIO

import av
from av.stream import Stream

_MP2 = 0x50  # tag of MPEG audio layer 2
_HEAD = struct.Struct("<HHIIHHH")  # tag, channels, rate, bytes a second, block, bits, extra bytes
_STANDS_IN, _ACM = b"A_MPEG/L2", b"A_MS/ACM\0"  # texts of EBML may end with zeros
_SEGMENT, _TRACKS, _CLUSTER = 0x18538067, 0x1654AE6B, 0x1F43B675
_ENTRY, _CRC, _CODEC_ID, _PRIVATE = 0xAE, 0xBF, 0x86, 0x63A2
_LONGEST = 64 << 20  # bytes of a file's head that are looked at


def wave_format(stream: Stream, data: bytes) -> bytes:
    """The WAVEFORMATEX that FFmpeg writes for a stream; ValueError where it has none."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="wav", options={"fflags": "+bitexact"}) as out:
        copy = out.add_stream_from_template(stream)
        copy.metadata.clear()
        packet = av.Packet(data)
        packet.stream, packet.time_base = copy, stream.time_base or Fraction(1)
        packet.pts = packet.dts = 0
        out.mux(packet)
    found = buffer.getvalue()
    at = found.index(b"fmt ")
    (size,) = struct.unpack_from("<I", found, at + 4)
    return found[at + 8 : at + 8 + size]


def as_file(wave: bytes) -> bytes:
    """A .wav file without sound, from which FFmpeg learns the codec."""
    wave += b"\0" * (len(wave) % 2)
    body = b"WAVEfmt " + struct.pack("<I", len(wave)) + wave + b"data" + bytes(4)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def stand_in(wave: bytes) -> bytes:
    """The WAVEFORMATEX of the stand-in of the codec, of the same rate and channels."""
    _, channels, rate, *_ = _HEAD.unpack(wave[: _HEAD.size].ljust(_HEAD.size, b"\0"))
    return _HEAD.pack(_MP2, channels, rate, 0, 1, 16, 0)


def _elements(data: bytes | bytearray, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, begin and end of the content of the elements there."""
    while at + 2 <= end:
        length = 9 - data[at].bit_length()
        if length > 4:
            return
        number = int.from_bytes(data[at : at + length], "big")
        at += length
        width = 9 - data[at].bit_length()
        size = int.from_bytes(data[at : at + width], "big") & ((1 << 7 * width) - 1)
        at += width
        stop = end if size == (1 << 7 * width) - 1 else at + size
        yield number, at, stop
        at = stop


def rename(file: BinaryIO, waves: Iterable[bytes]) -> int:
    """Call the stand-ins of these codecs in a Matroska file what they are; gives their count."""
    wanted, renamed = set(waves), 0
    head = bytearray(file.read(_LONGEST))
    segment = next((e for e in _elements(head, 0, len(head)) if e[0] == _SEGMENT), None)
    for number, begin, end in _elements(head, segment[1], len(head)) if segment else ():
        if number == _CLUSTER or end > len(head):
            break
        if number != _TRACKS:
            continue
        for entry, *inner in _elements(head, begin, end):
            if entry != _ENTRY:
                continue
            parts = {n: (a, b) for n, a, b in _elements(head, *inner)}
            name, private = (parts.get(n, (0, 0)) for n in (_CODEC_ID, _PRIVATE))
            if head[slice(*name)] == _STANDS_IN and bytes(head[slice(*private)]) in wanted:
                head[slice(*name)] = _ACM
                renamed += 1
        for number, *inner in _elements(head, begin, end):
            if number == _CRC:  # of all that follows it in the element, least byte first
                head[slice(*inner)] = struct.pack("<I", zlib.crc32(head[inner[1] : end]))
        file.seek(begin)
        file.write(head[begin:end])
        break
    return renamed
