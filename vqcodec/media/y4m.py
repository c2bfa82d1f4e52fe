"""Pictures as plain planes: y4m, whose frames have a line before them, and .yuv, which is nothing
else."""

from __future__ import annotations

from fractions import Fraction
from typing import BinaryIO

import av
import numpy as np

from ..container.packets import StreamHeader
from ..picture import Picture
from . import chroma_siting
from .field_order import Y4M
from .frames import to_frame, usual_format

# pixel formats of y4m
TAGS = {
    "yuv420p": "420jpeg",
    "yuv422p": "422",
    "yuv444p": "444",
    "gray": "mono",
    "yuv420p10le": "420p10 XYSCSS=420P10",
    "yuv422p10le": "422p10 XYSCSS=422P10",
    "yuv444p10le": "444p10 XYSCSS=444P10",
    "gray10le": "mono10 XYSCSS=MONO10",
}
_RANGES = {1: " XCOLORRANGE=LIMITED", 2: " XCOLORRANGE=FULL"}
FRAME = b"FRAME\n"
_FASTEST = 1000  # frames a second, of a time base that is taken for a rate


def first_line(header: StreamHeader, pixel_format: str, field_order: int) -> bytes:
    """What a y4m file begins with."""
    rate, sar = header.rate or 1 / header.time_base, header.sar or Fraction(0)
    if header.rate is None and rate > _FASTEST:
        rate = Fraction(25)
    aspect = f"{sar.numerator}:{sar.denominator}" if sar else "0:0"
    tag = TAGS[pixel_format]
    if pixel_format == "yuv420p":
        tag = chroma_siting.Y4M.get(header.chroma_location, tag)
    fields = Y4M.get(field_order, "p")
    return (
        f"YUV4MPEG2 W{header.width} H{header.height} F{rate.numerator}:{rate.denominator} "
        f"I{fields} A{aspect} C{tag}{_RANGES.get(header.range, '')}\n"
    ).encode()


def write_planes(file: BinaryIO, picture: Picture, pixel_format: str, header: StreamHeader) -> None:
    """Write the samples of a picture, converted to a pixel format where that is another."""
    if pixel_format == usual_format(picture.ten_bit):
        for plane in picture:
            file.write(np.ascontiguousarray(plane).data)
        return
    for part in to_frame(picture, pixel_format, header).planes:
        rows = np.frombuffer(memoryview(part), picture.y.dtype).reshape(part.height, -1)
        file.write(np.ascontiguousarray(rows[:, : part.width]).data)


def ends_within_frame(start: bytes, size: int, pixel_format: str, width: int, height: int) -> bool:
    """Whether a y4m file of ``size`` bytes, which begins with ``start``, is cut: FFmpeg doesn't
    tell."""
    head, sign, rest = start.partition(b"\n")
    if not sign or not rest.startswith(FRAME):
        return False  # frames with parameters of their own have no common length
    parts = av.VideoFormat(pixel_format, width, height).components
    samples = sum(c.width * c.height * ((c.bits + 7) // 8) for c in parts)
    return (size - len(head) - 1) % (samples + len(FRAME)) != 0
