"""Captions that lie in the pictures (CEA-608 and 708, ATSC A/53): a track of their own in a .vqv
file, and SEI messages before the pictures of an output again.

A packet of the track has the time of its picture, in ticks of the pictures, and the bytes of
FFmpeg's side data A53_CC: three for each pair of characters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from ..container.stored_tracks import StoredTracks
from ..container.tracks import CAPTIONS, Track, TrackPacket

if TYPE_CHECKING:
    from av.packet import Packet
    from av.stream import Stream

_CODEC = "eia_608"
# type of an SEI message: registered user data of ITU-T T.35; of the United States, by ATSC
_T35, _ATSC = 4, b"\xb5\x00\x31GA94\x03"
_MOST = 31  # triplets in a message
_START = b"\0\0\1"
_Insert = tuple[bytes, Callable[[int], bool]]
# by encoder: head of an SEI unit, and whether a unit with this first byte is of a picture
_UNITS: dict[str, _Insert] = {
    "libx264": (b"\x06", lambda first: 1 <= first & 31 <= 5),
    "libx265": (b"\x4e\x01", lambda first: (first >> 1 & 63) < 32),
}


def is_captions(track: Track) -> bool:
    """Whether a track has the captions of the pictures."""
    return track.format == CAPTIONS


def as_track(number: int, base: Fraction) -> Track:
    """The track for pictures with this time base."""
    return Track(number, "subtitle", _CODEC, base, format=CAPTIONS)


def as_packets(number: int, captions: Sequence[tuple[int, bytes]]) -> Iterator[TrackPacket]:
    """Packets of captions, given with the times of their pictures."""
    for time, data in captions:
        yield TrackPacket(number, time, time, 0, True, False, (), data)


class Captions:
    """Captions of stored tracks for the pictures of an output."""

    def __init__(self, stored: StoredTracks, track: Track, first_frame: int) -> None:
        packets = stored.packets(first_frame, {track.number})
        self._packets = (p for p in packets if p.track == track.number and p.pts is not None)
        self._next: TrackPacket | None = None

    def of(self, time: int) -> bytes:
        """Those of the picture at a time in ticks, or none; times increase."""
        while (packet := self._next or next(self._packets, None)) is not None:
            self._next = packet
            assert packet.pts is not None
            if packet.pts > time:
                break
            self._next = None
            if packet.pts == time:
                return packet.data
        return b""


def _message(data: bytes) -> bytes:
    """Payload of SEI messages with these triplets, before escaping."""
    made = b""
    for at in range(0, len(data) - len(data) % 3, 3 * _MOST):
        part = data[at : at + 3 * _MOST]
        part = part[: len(part) - len(part) % 3]
        content = _ATSC + bytes([len(part) // 3 | 0x40, 0]) + part + b"\xff"
        made += bytes([_T35, len(content)]) + content
    return made


def _escaped(data: bytes) -> bytes:
    """With emulation prevention: no start code within a unit."""
    out, zeros = bytearray(), 0
    for byte in data:
        if zeros >= 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(out)


def can_insert(codec: str) -> bool:
    """Whether captions can be put into what an encoder makes."""
    return codec in _UNITS


def insert(packet: Packet[Stream], codec: str, data: bytes) -> Packet[Stream]:
    """The packet with captions before its picture."""
    head, is_picture = _UNITS[codec]
    coded, at = bytes(packet), -1
    while (at := coded.find(_START, at + 1)) >= 0 and not is_picture(coded[at + len(_START)]):
        pass
    message = _message(data)
    if at < 0 or not message:
        return packet
    at -= coded[at - 1] == 0 if at else 0
    unit = b"\0" + _START + head + _escaped(message) + b"\x80"
    made = type(packet)(coded[:at] + unit + coded[at:])
    made.stream, made.time_base = packet.stream, packet.time_base
    made.pts, made.dts, made.duration = packet.pts, packet.dts, packet.duration
    made.is_keyframe = packet.is_keyframe
    return made
