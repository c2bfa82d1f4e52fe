"""Coded pictures between an encoder and a muxer: with their captions, and how long they are
shown."""

from __future__ import annotations

from collections.abc import Iterable

import av
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from .captions import Captions, insert
from .output import Output


class PicturePackets:
    """Encodes frames of one stream and muxes what comes of them.

    ``captions`` are of the times of pictures less ``first_tick``.
    """

    def __init__(self, output: Output, container: OutputContainer, stream: VideoStream) -> None:
        self._output, self._container, self._stream = output, container, stream
        self.captions: Captions | None = None
        self.first_tick = 0
        self._cued: dict[int, bytes] = {}  # captions of pictures being coded, by their times
        self._lengths: dict[int, int] = {}  # how long pictures being coded are shown, by times
        self._held: Packet[Stream] | None = None  # the last coded picture
        self._offset: int | None = None  # from decoding to display of the first picture, in ticks
        self._shown: tuple[int, int] | None = None  # time and duration of the last picture

    def encode(self, time: int, frame: av.VideoFrame) -> None:
        """Encode the frame of a time in the file, and mux what comes of it."""
        assert frame.pts is not None
        if self.captions is not None and (data := self.captions.of(time + self.first_tick)):
            self._cued[frame.pts] = data
        if self._shown is not None:
            self._lengths[self._shown[0]] = frame.pts - self._shown[0]
        self._shown = frame.pts, frame.duration or 0
        self._mux(self._stream.encode(frame))

    def flush(self) -> None:
        """Mux what the encoder still has, with how long the last picture is shown."""
        if self._shown is None:
            return
        pts, duration = self._shown
        self._lengths[pts] = duration
        self._mux(self._stream.encode(None))
        packet, self._held = self._held, None
        if packet is None:
            return
        reordered = packet.pts is not None and packet.pts != pts
        if duration and self._output.is_mp4 and reordered and packet.dts is not None:
            # it is shown before the last one, but .mp4 adds up the distances of times of decoding
            end = pts + duration - (self._offset or 0)
            self._lengths[packet.pts or 0] = max(1, end - packet.dts)
        self._mux_timed(packet)

    def _mux(self, packets: Iterable[Packet[Stream]]) -> None:
        """Mux coded pictures, with the captions that belong to them."""
        for packet in packets:
            if self._offset is None and packet.pts is not None and packet.dts is not None:
                self._offset = packet.pts - packet.dts
            data = b"" if packet.pts is None else self._cued.pop(packet.pts, b"")
            whole = insert(packet, self._output.codec, data) if data else packet
            if self._held is not None:
                self._mux_timed(self._held)
            self._held = whole

    def _mux_timed(self, packet: Packet[Stream]) -> None:
        """Mux a packet with how long its picture is shown; encoders know the mean of it only."""
        shown = 0 if packet.pts is None else self._lengths.pop(packet.pts, 0)
        if shown:
            packet.duration = shown
        self._container.mux(packet)
