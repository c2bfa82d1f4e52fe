"""Times of decoding of the first packets of pictures that are copied.

Files that hold times of display alone (Matroska) have none for the first pictures that are
reordered: FFmpeg knows a time of decoding only when it has seen as many packets as a decoder keeps
back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from av.packet import Packet
from av.stream import Stream

_MOST = 32  # packets that lack it at the begin of a track; no codec keeps back more pictures


def with_first_times(packets: Iterable[Packet[Stream]]) -> Iterator[Packet[Stream]]:
    """The packets in their order, but that the first ones of a track of pictures wait for one with
    a time of decoding, from which they are given theirs."""
    waiting: dict[int, list[Packet[Stream]]] = {}
    known: set[int] = set()
    for packet in packets:
        index = packet.stream_index
        if index in known or packet.stream.type != "video":
            yield packet
            continue
        held = waiting.setdefault(index, [])
        held.append(packet)
        if packet.dts is not None or len(held) == _MOST:
            known.add(index)
            _count_back(waiting.pop(index))
            yield from held
    for held in waiting.values():
        yield from held


def _count_back(packets: Sequence[Packet[Stream]]) -> None:
    """Give those before the last one times of decoding that lead up to its own."""
    after = packets[-1].dts
    if after is None:
        return
    for packet in reversed(packets[:-1]):
        after -= packet.duration or 1
        if packet.pts is not None:
            after = min(after, packet.pts)
        packet.dts = after
