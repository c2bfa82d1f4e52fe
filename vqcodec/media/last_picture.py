"""Whether a raw stream was cut within its last picture.

Pictures of these streams do not tell their lengths, and FFmpeg decodes what is there of the last
one without a word. But a picture that is whole is decoded to its own end, whatever follows; one
that is not goes on with what follows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import chain

import av
import av.error
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from .inputs import open_source

OPEN_ENDED = {"hevc", "vvc", "h261", "h263"}  # FFmpeg's kinds of raw streams
_FOLLOWING = (b"\xff" * 256, b"\x55" * 256)
_MOST = 64 << 20  # bytes that are kept from a key frame on; longer ones are not judged


def ends_within_picture(path: str) -> bool:
    """Whether the last picture of an :data:`OPEN_ENDED` stream is cut: other bytes behind it change
    it, or it gives none. False for what cannot be read."""
    try:
        with open_source(path) as opened:
            stream = opened.container.streams.video[0]
            context = stream.codec_context
            name, extra = context.codec.name, context.extradata
            kept = _last_packets(opened.container.demux(stream))
        if not kept:
            return False
        *before, last = chain.from_iterable(kept)
        one, other = (_decoded(name, extra, [*before, last + behind]) for behind in _FOLLOWING)
        without = len(_decoded(name, extra, before))
        # decoders leave out pictures right behind the first key frame that are shown before it
        lost = len(one) == without and (len(kept) > 1 or without > 1)
    except (av.error.FFmpegError, OSError, ValueError, IndexError):
        return False
    return lost or one != other


def _last_packets(packets: Iterator[Packet[VideoStream]]) -> list[list[bytes]]:
    """The packets from the last key frame on, and before them those from the key frame before;
    empty where they are too many to keep."""
    kept: list[list[bytes]] = [[]]
    held = 0
    for packet in packets:
        if not packet.size:
            continue
        if packet.is_keyframe and kept[-1]:
            kept = [kept[-1], []]
            held = sum(map(len, kept[0]))
        kept[-1].append(bytes(packet))
        held += packet.size
        if held > _MOST:
            return []
    return kept


def _decoded(name: str, extra: bytes | None, packets: Sequence[bytes]) -> list[bytes]:
    """A digest of each picture."""
    context = av.CodecContext.create(name, "r")
    assert isinstance(context, VideoCodecContext)
    context.thread_count = 1
    context.extradata = extra
    digests = []
    for packet in (*map(Packet, packets), None):
        for frame in context.decode(packet):
            planes = b"".join(bytes(plane) for plane in frame.planes)
            digests.append(hashlib.blake2b(planes).digest())
    return digests
