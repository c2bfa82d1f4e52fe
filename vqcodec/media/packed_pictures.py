"""Pictures as compressed bytes for the way to another machine, and back without loss.

FFmpeg's huffyuv packs many times faster than GOPs are coded.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Literal, NamedTuple

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext

from ..errors import DamageError
from ..fields import crc32
from ..picture import Picture
from ..picture_size import chroma_size
from .frames import dtype_of, samples, usual_format

_CODEC = "ffvhuff"
_UNIT = 16  # the codec takes no odd sizes


class Packed(NamedTuple):
    """Pictures of one size, compressed."""

    width: int
    height: int
    ten_bit: bool
    tables: bytes  # the codec's
    packets: list[bytes]
    checksum: int  # of the pictures

    @property
    def size(self) -> int:
        """Bytes of the packets."""
        return sum(map(len, self.packets))


def _context(mode: Literal["r", "w"], width: int, height: int, ten_bit: bool) -> VideoCodecContext:
    context = av.CodecContext.create(_CODEC, mode)
    assert isinstance(context, VideoCodecContext)
    context.width, context.height = (-(-n // _UNIT) * _UNIT for n in (width, height))
    context.pix_fmt = usual_format(ten_bit)
    context.thread_count = 1
    return context


def _checksum(pictures: Sequence[Picture]) -> int:
    return crc32(
        *(np.ascontiguousarray(plane).data.cast("B") for picture in pictures for plane in picture)
    )


def pack(pictures: Sequence[Picture]) -> Packed:
    """Compress pictures of one size and depth, at least one."""
    (height, width), ten_bit = pictures[0].y.shape, pictures[0].ten_bit
    context = _context("w", width, height, ten_bit)
    context.time_base, context.options = Fraction(1, 25), {"pred": "median"}
    packets: list[bytes] = []
    for number, picture in enumerate(pictures):
        frame = av.VideoFrame(context.width, context.height, usual_format(ten_bit))
        frame.pts, frame.time_base = number, context.time_base
        for source, target in zip(picture, frame.planes, strict=True):
            rows, columns = source.shape
            samples(target, dtype_of(ten_bit))[:] = np.pad(
                source, ((0, target.height - rows), (0, target.width - columns)), "edge"
            )
        packets += map(bytes, context.encode(frame))
    packets += map(bytes, context.encode(None))
    return Packed(
        width, height, ten_bit, bytes(context.extradata or b""), packets, _checksum(pictures)
    )


def unpack(packed: Packed) -> list[Picture]:
    """The pictures that were packed; DamageError if they are not the same, sample for sample."""
    context = _context("r", packed.width, packed.height, packed.ten_bit)
    context.extradata = packed.tables
    frames = [frame for data in packed.packets for frame in context.decode(av.Packet(data))]
    frames += context.decode(None)
    cw, ch = chroma_size(packed.width, packed.height)
    sizes = ((packed.height, packed.width), (ch, cw), (ch, cw))
    pictures = [
        Picture(
            *(
                samples(p, dtype_of(packed.ten_bit))[:h, :w].copy()
                for p, (h, w) in zip(frame.planes, sizes, strict=True)
            )
        )
        for frame in frames
    ]
    if len(pictures) != len(packed.packets) or _checksum(pictures) != packed.checksum:
        raise DamageError("pictures were damaged on their way to the machine that codes them")
    return pictures
