"""What is encrypted in a source, by its own marks: without its key it decodes to noise, or to
pictures by chance."""

from __future__ import annotations

import struct
from collections import Counter
from typing import Final, TypeVar

from av.packet import Packet
from av.stream import Stream

_MARK: Final = "encryption_info"  # FFmpeg's side data of packets under ISO/IEC 23001-7
_HEAD = struct.Struct(">6I")  # scheme, blocks, blocks, bytes of key, bytes of vector, stretches
_STRETCH = struct.Struct(">2I")  # bytes that are clear, bytes that are not
_KEY_OF_TRACK = "enc_key_id"  # FFmpeg's tag of a Matroska track with ContentEncryption (RFC 9559)
_PACKET, _SYNC = 188, 0x47  # of MPEG-TS, ISO/IEC 13818-1


Kind = TypeVar("Kind", bound=Stream)


class EncryptedPackets:
    """Counts packets that are encrypted, by stream."""

    def __init__(self) -> None:
        self._count: Counter[int] = Counter()

    def __bool__(self) -> bool:
        return bool(self._count)

    def holds(self, packet: Packet[Kind]) -> bool:
        """Whether a packet is encrypted; then it is counted."""
        found = packet.size > 0 and _encrypted(packet)
        if found:
            self._count[packet.stream_index] += 1
        return found

    def sentences(self) -> list[str]:
        """What is lost, a sentence for each stream."""
        return [
            f"stream {index} is encrypted, and there is no key: {count} of its packets are left out"
            for index, count in sorted(self._count.items())
        ]


def _encrypted(packet: Packet[Kind]) -> bool:
    if packet.has_sidedata(_MARK):
        return _protected(bytes(packet.get_sidedata(_MARK)))
    # a byte before each packet would say whether that one is, but FFmpeg leaves it there, so that
    # none decodes
    return _KEY_OF_TRACK in packet.stream.metadata


def _protected(info: bytes) -> bool:
    """Whether any byte of a packet is encrypted, by FFmpeg's AVEncryptionInfo of it."""
    if len(info) < _HEAD.size:
        return True
    *_, key, vector, stretches = _HEAD.unpack_from(info)
    begin = _HEAD.size + key + vector
    if not stretches or len(info) < begin + stretches * _STRETCH.size:
        return True  # the whole packet
    each = _STRETCH.iter_unpack(info[begin : begin + stretches * _STRETCH.size])
    return any(protected for _, protected in each)


def scrambled(data: bytes) -> bool:
    """Whether ``data``, the begin of a recording of television (MPEG-TS), has scrambled packets."""
    start = data[: 2 * _PACKET].find(_SYNC)
    packets = range(max(start, 0), len(data) - _PACKET, _PACKET)
    return any(data[at] == _SYNC and data[at + 3] & 0x80 for at in packets)
