"""Packets of the other tracks of a source, and what describes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from typing import TypeAlias, cast

import av
import av.error
from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.packet import Packet, PktSideDataT
from av.stream import AttachmentStream, Discard, Disposition, Stream

from ..container.description import MAX_DESCRIPTION, SIDE, Chapter, Description
from ..container.packets import MAX_FRACTION, MAX_PAYLOAD, MAX_PTS
from ..container.tracks import KINDS, MAX_ATTACHED, MAX_TRACKS, Track, TrackPacket, TrackWriter
from ..errors import InputError, located
from ..options import TrackChoice
from .clock import JUMPING, Jump, TrackClock, at_seam
from .encryption import EncryptedPackets
from .first_times import with_first_times
from .inputs import open_source
from .muxer_trial import FAILED
from .track_samples import DESCRIBED_BY, TRIES, last_resort, name_of, sample_of

_LONGEST_PACKET = MAX_PAYLOAD - (1 << 20)
_SIDE = cast("tuple[PktSideDataT, ...]", SIDE)  # PyAV's names, of which the container knows nothing
Describe: TypeAlias = "Callable[[Stream, Packet[Stream]], tuple[str, bytes] | None]"
LONGEST_PIECE = 10  # seconds that other tracks may lie further in the file than one


class TrackSource:
    """The tracks of a video file but the picture's, read apart from the pictures and in step with
    them.

    ``notes`` are remarks, ``lost`` sentences on what couldn't be kept, ``matched`` knows which maps
    name no track; ``corrupt`` counts damaged packets, ``count`` the tracks kept so far, ``timed``
    those chosen that have packets in time. With ``start`` in seconds on the clock of the file only
    packets from there on are given, and times begin there. ``jumps`` are those of the file's clock.
    Raises InputError.
    """

    def __init__(
        self,
        path: str,
        picture: int,
        choice: TrackChoice,
        start: Fraction | None = None,
        jumps: Sequence[Jump] = (),
        playlists: bool = False,
    ) -> None:
        self.notes: list[str] = []
        self.lost: list[str] = []
        self.corrupt = 0
        self._start, self._jumps = start, jumps
        try:
            with located(file=path):
                self._opened = open_source(path, playlists)
            self._container = self._opened.container
        except (av.error.FFmpegError, OSError, ValueError) as exc:
            raise InputError(
                f"cannot be read ({getattr(exc, 'strerror', None) or exc})", file=path
            ) from exc
        self._numbers: dict[int, int] = {}  # by the stream's index in the file
        self._clocks: dict[int, TrackClock] = {}
        self._encrypted = EncryptedPackets()
        self._sounding: set[int] = set()  # streams of sound that gave a frame
        self._doubtful: Counter[int] = Counter()  # damaged packets of sound, by stream
        self._known: dict[int, bool] = {}  # whether a stream that had packets could be described
        # packets of those that could not be described yet
        self._held: dict[int, list[Packet[Stream]]] = {}
        self._ended: set[int] = set()  # streams that have passed the end of the stretch
        self.count = 0
        self._attachments: list[AttachmentStream] = []
        self._streams: list[Stream] = []
        self.matched = choice.matcher()
        self._select(picture)
        self.notes += self.matched.unused()
        self.timed = len(self._streams)
        self._packets = with_first_times(self._demux()) if self._streams else iter(())
        self._next: Packet[Stream] | None = None

    def _select(self, picture: int) -> None:
        """Find the streams that are wanted; ``picture`` is the index of the pictures' own."""
        kinds: dict[str, int] = {"video": 1}
        for stream in self._container.streams:
            kind = stream.type
            if stream.index == picture:
                self.matched.keeps("video", 0, stream.index)
            # mp4's chapters are found once more as a track of texts, which FFmpeg marks so
            again = kind == "data" and stream.discard == Discard.all
            if stream.index == picture or kind not in KINDS or again:
                stream.discard = Discard.all
                continue
            position = kinds.get(kind, 0)
            kinds[kind] = position + 1
            if not self.matched.keeps(kind, position, stream.index):
                stream.discard = Discard.all
            elif len(self._numbers) == MAX_TRACKS - 1:  # one is for captions
                self.lost.append(
                    f"stream {stream.index} is left out: there are more than {MAX_TRACKS - 1}"
                )
            else:
                self._numbers[stream.index] = len(self._numbers)
                if isinstance(stream, AttachmentStream):
                    self._attachments.append(stream)
                else:
                    self._streams.append(stream)

    @property
    def next_number(self) -> int:
        """A number that no track has."""
        return len(self._numbers)

    def _demux(self) -> Iterator[Packet[Stream]]:
        if self._start is not None:
            # subtitles that are still shown, and sound that lies before its picture, are stored a
            # little earlier
            with suppress(av.error.FFmpegError, OSError):
                self._container.seek(max(0, int((self._start - 10) * 1_000_000)))
        packets = self._container.demux(self._streams)
        while True:
            try:
                packet = next(packets)
            except (StopIteration, *FAILED):
                return  # that the file is cut is found, and counted, by the reader of the pictures
            if packet.size and packet.time_base and not self._encrypted.holds(packet):
                if self._jumps:
                    clock = self._clocks.setdefault(packet.stream_index, TrackClock(self._jumps))
                    clock.straighten(packet)
                yield packet

    @staticmethod
    def _seconds(packet: Packet[Stream]) -> Fraction | None:
        time = packet.pts if packet.dts is None else packet.dts
        return None if time is None else time * packet.time_base

    def write(self, out: TrackWriter, limit: Fraction) -> None:
        """Store the packets that begin before ``limit`` seconds, as far as they come in a row."""
        self._attach_all(out)
        while (packet := self._next or next(self._packets, None)) is not None:
            self._next = packet
            seconds = self._seconds(packet)
            if seconds is not None and seconds >= limit:
                break
            self._next = None
            self._store(out, packet)

    def finish(self, out: TrackWriter, limit: Fraction | None) -> None:
        """Store what is left; with a ``limit`` in seconds, what begins before it.

        Files keep tracks in pieces, so what lies behind the limit ends its own track only: reading
        goes on until all have passed it, or are silent for long.
        """
        self._attach_all(out)
        while (packet := self._next or next(self._packets, None)) is not None:
            self._next = None
            seconds = self._seconds(packet)
            if limit is not None and seconds is not None and seconds >= limit:
                self._ended.add(packet.stream.index)
                if len(self._ended) == len(self._streams) or seconds >= limit + LONGEST_PIECE:
                    break
            elif packet.stream.index not in self._ended:
                self._store(out, packet)
        for index in list(self._held):
            self._describe(out, index, last_resort)
        # recordings end in the middle of a frame, as they begin
        torn = self._container.format.name in JUMPING
        for index, count in self._doubtful.items():
            self.corrupt += count - (torn and index in self._sounding)
        self._doubtful.clear()
        self.lost += self._encrypted.sentences()

    def _attach_all(self, out: TrackWriter) -> None:
        for stream in self._attachments:
            self._attach(out, stream)
        self._attachments = []

    def _attach(self, out: TrackWriter, stream: AttachmentStream) -> None:
        data = stream.data
        track = Track(
            self._numbers[stream.index],
            "attachment",
            "",
            Fraction(1),
            int(stream.disposition),
            dict(stream.metadata),
            "",
            data,
        )
        if len(data) > min(_LONGEST_PACKET, MAX_ATTACHED):
            self.lost.append(
                f"{track} has {len(data)} bytes and is left out: "
                f"at most {_LONGEST_PACKET} can be kept"
            )
            return
        out.add(track)
        self.count += 1

    def _store(self, out: TrackWriter, packet: Packet[Stream]) -> None:
        index = packet.stream.index
        if index in self._known:
            if self._known[index]:
                self._keep(out, packet)
            return
        held = self._held.setdefault(index, [])
        held.append(packet)
        # a recording may begin in the middle of a frame, which describes nothing
        if not self._describe(out, index, sample_of) and (
            len(held) >= TRIES or sum(p.size for p in held) > DESCRIBED_BY
        ):
            self._describe(out, index, last_resort)

    def _describe(self, out: TrackWriter, index: int, describe: Describe) -> bool:
        """Add a track as its last packet describes it, with the packets held; whether that went."""
        held = self._held[index]
        stream = held[-1].stream
        made, base = describe(stream, held[-1]), held[-1].time_base
        if made is None:
            return False
        del self._held[index]
        track = Track(
            self._numbers[index],
            stream.type,
            name_of(stream),
            base,
            int(stream.disposition),
            dict(stream.metadata),
            *made,
        )
        kept = len(track.to_bytes()) <= MAX_DESCRIPTION
        kept &= max(base.numerator, base.denominator) <= MAX_FRACTION
        self._known[index] = kept
        if kept:
            out.add(track)
            self.count += 1
            for packet in held:
                self._keep(out, packet)
        else:
            what = f"{stream.type}, {name_of(stream) or 'unknown codec'}"
            self.lost.append(f"stream {index} ({what}) cannot be kept")
        return True

    def _keep(self, out: TrackWriter, packet: Packet[Stream]) -> None:
        stream = packet.stream
        stored = self._range(self._convert(packet, self._numbers[stream.index]), packet)
        if stored is None:
            return
        self._count(packet, stored.corrupt)
        if len(stored.data) + sum(len(d) for _, d in stored.side) > _LONGEST_PACKET:
            self.lost.append(
                f"a packet of stream {stream.index} has {len(stored.data)} bytes and is left out"
            )
            return
        out.packet(stored)

    def _count(self, packet: Packet[Stream], corrupt: bool) -> None:
        """Count a packet that is damaged. Of sound, it counts once sound came before and behind it:
        a recording may begin and end in the middle of a frame."""
        index = packet.stream.index
        before, whole = index in self._sounding, self._decodes(packet)
        if packet.stream.type != "audio":
            self.corrupt += corrupt
        elif at_seam(packet.pos, self._jumps):
            return
        elif corrupt or not whole:
            self._doubtful[index] += 1
        elif index in self._sounding:
            doubted = self._doubtful.pop(index, 0)
            self.corrupt += doubted if before else 0

    def _decodes(self, packet: Packet[Stream]) -> bool:
        """Whether a packet of sound can be decoded.

        It is copied as it is, but a damaged source shall be noticed.
        """
        stream = packet.stream
        if stream.type != "audio" or stream.codec_context is None:
            return True
        try:
            frames = packet.decode()
        except (av.error.FFmpegError, ValueError):
            # the first packets of a cut stream may lack what they refer to
            return stream.index not in self._sounding
        whole = not any(isinstance(frame, AudioFrame) and frame.is_corrupt for frame in frames)
        if frames and whole:
            self._sounding.add(stream.index)
        return whole or stream.index not in self._sounding

    @staticmethod
    def _convert(packet: Packet[Stream], number: int) -> TrackPacket:
        side = tuple(
            (i, bytes(packet.get_sidedata(name)))
            for i, name in enumerate(_SIDE)
            if packet.has_sidedata(name)
        )
        dts, pts = (None if t is None or abs(t) > MAX_PTS else t for t in (packet.dts, packet.pts))
        duration = packet.duration if packet.duration and 0 < packet.duration <= MAX_PTS else 0
        return TrackPacket(
            number, dts, pts, duration, packet.is_keyframe, packet.is_corrupt, side, bytes(packet)
        )

    def _range(self, stored: TrackPacket, packet: Packet[Stream]) -> TrackPacket | None:
        stream = packet.stream
        if self._start is None or stream.disposition & Disposition.attached_pic:
            return stored
        return cut(stored, stream.type, round(self._start / packet.time_base))

    def close(self) -> None:
        """Release the file."""
        self._opened.close()


def cut(packet: TrackPacket, kind: str, start: int) -> TrackPacket | None:
    """The packet on a clock that begins at ``start`` ticks, or None when it begins earlier.

    A subtitle that is still shown then begins then.
    """
    time = packet.pts if packet.pts is not None else packet.dts
    if time is None or time >= start:
        return packet.shifted(start)
    if kind == "subtitle" and time + packet.duration > start:
        return TrackPacket(
            packet.track,
            0,
            0,
            time + packet.duration - start,
            packet.key,
            packet.corrupt,
            packet.side,
            packet.data,
        )
    return None


def describe(container: InputContainer, stream: Stream) -> Description:
    """Tags, chapters and disposition of an open input."""
    chapters = tuple(
        Chapter(c["id"], c["start"], c["end"], Fraction(c["time_base"]), dict(c["metadata"]))
        for c in container.chapters()
        if c["time_base"]
    )
    return Description(
        dict(container.metadata), dict(stream.metadata), int(stream.disposition), chapters
    )
