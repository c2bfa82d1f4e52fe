"""Packets of AMR speech that hold several frames, as phones write them, one frame at a time.

FFmpeg's muxer of .mov takes no others; .mp4 and .mkv hold no AMR at all.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import av

from ..container.tracks import TrackPacket

CODECS = ("amrnb", "amrwb", "amr_nb", "amr_wb")
_FRAME = Fraction(1, 50)  # seconds


def frames(codec: str, data: bytes) -> list[bytes]:
    """The frames of a packet; bytes that are no whole frames stay as they are."""
    parser = av.CodecContext.create(codec.replace("_", ""), "r")
    found = [bytes(p) for p in (*parser.parse(data), *parser.parse(None))]
    return found if b"".join(found) == data else [data]


def split(codec: str, packet: TrackPacket, base: Fraction) -> list[TrackPacket]:
    """A packet for each frame; the times of the first are those of the whole."""
    parts = frames(codec, packet.data)
    if len(parts) < 2:
        return [packet]
    at = [round(i * _FRAME / base) for i in range(len(parts) + 1)]
    return [
        replace(
            packet.shifted(-at[i]),
            duration=at[i + 1] - at[i],
            data=part,
            side=packet.side if i == 0 else (),
        )
        for i, part in enumerate(parts)
    ]
