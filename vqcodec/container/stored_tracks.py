"""Other tracks of a file as its reader finds them."""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Iterator

from ..errors import DamageLog, LimitError, VqvError
from .description import (
    MAX_DESCRIPTION,
    MAX_REMARKS,
    Description,
    remarks_from_bytes,
)
from .packets import MAX_PAYLOAD
from .reader import ContainerReader
from .tracks import (
    COLLECTED,
    COLLECTED_KINDS,
    DESCRIPTION,
    MAX_ATTACHED,
    MAX_DECOMPRESSED,
    PACKETS,
    REMARKS,
    TRACK,
    Track,
    TrackPacket,
    get_packets,
)


class StoredTracks:
    """Description, tracks (by number) and their packets in a .vqv file. Damage is put down in
    ``damage``, what is undamaged is given.
    """

    def __init__(self, reader: ContainerReader) -> None:
        self._reader = reader
        self.damage = DamageLog()
        self.size = 0  # bytes that descriptions of tracks take, attachments with them
        self.description = Description()
        self.left_out: list[str] = []  # what the source had and the file has not
        self.tracks: dict[int, Track] = {}
        found, attached = False, 0
        for number, extra in enumerate(reader.extras):
            try:
                if extra.type == DESCRIPTION and not found:
                    self.description, found = (
                        Description.from_bytes(
                            reader.read_extra(number, MAX_DESCRIPTION), extra.offset
                        ),
                        True,
                    )
                elif extra.type == REMARKS:
                    room = MAX_REMARKS - len(self.left_out)
                    texts = remarks_from_bytes(
                        reader.read_extra(number, 4 * MAX_REMARKS**2), extra.offset
                    )
                    self.left_out += texts[:room]
                elif extra.type == TRACK:
                    payload = reader.read_extra(
                        number, min(MAX_PAYLOAD, reader.limits.memory // 2 - self.size)
                    )
                    track = Track.from_bytes(payload, extra.offset)
                    self.size += len(payload)
                    attached += len(track.sample) if track.kind == "attachment" else 0
                    if attached > MAX_ATTACHED:
                        raise LimitError(
                            f"attachments are over the limit of {MAX_ATTACHED} bytes",
                            part=str(track),
                            byte=extra.offset,
                        )
                    if 2 * self.size > reader.limits.memory:  # once more in the output
                        raise LimitError(
                            f"tracks need more than {reader.limits.memory} bytes of memory",
                            part=str(track),
                            byte=extra.offset,
                            option="memory",
                        )
                    self.tracks.setdefault(track.number, track)
            except VqvError as exc:
                self.damage.note(str(exc))

    def packets(
        self, first_frame: int = 0, only: Collection[int] | None = None
    ) -> Iterator[TrackPacket]:
        """Packets by their times, those of a track in the order of the file, from those stored with
        the frame of that number on. Packets of others may be left out where ``only`` some tracks
        are wanted."""
        room = MAX_DECOMPRESSED
        kinds = {True, False}
        if only is not None:
            kinds = {
                track.kind in COLLECTED_KINDS
                for number, track in self.tracks.items()
                if number in only
            }

        def stored(kind: int) -> Iterator[tuple[float, TrackPacket]]:
            nonlocal room
            seconds = -math.inf
            for number, extra in enumerate(self._reader.extras):
                if extra.type != kind or extra.first_frame < first_frame:
                    continue
                try:
                    content = self._reader.read_extra(number, room)
                    room -= len(content) if extra.compressed else 0
                    for packet in get_packets(content, extra.offset):
                        track = self.tracks.get(packet.track)
                        if track is not None and packet.time is not None:
                            base = track.time_base
                            seconds = packet.time * base.numerator / base.denominator
                        yield seconds, packet
                except VqvError as exc:
                    self.damage.note(str(exc))

        # collected packets lie further back in the file than the sound of their time
        rows = [stored(COLLECTED if collected else PACKETS) for collected in kinds]
        for _, packet in heapq.merge(*rows, key=lambda item: item[0]):
            yield packet
