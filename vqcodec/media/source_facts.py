"""What a source says of its pictures: size, colour, turn, depth, and what lies beside them."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from fractions import Fraction

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from ..colour import Colour
from ..container.description import Description, Mastering
from ..errors import UsageError
from . import chroma_siting
from .field_order import field_order
from .frames import DIRECT, rgb_matrix, usual_format
from .side_data import LIGHT, MASTERING, MATRIX, side_data
from .track_source import describe
from .video_stream import bounded

_FULL = 2
_QUARTERS = ((1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0))
_UNIT = 1 << 16  # of the numbers of a display matrix


@dataclass(frozen=True)
class PictureFacts:
    """What the first frame and its stream say of all pictures; colour by FFmpeg's numbers."""

    width: int
    height: int
    sar: Fraction | None
    rotation: int  # degrees clockwise for display
    primaries: int
    transfer: int
    matrix: int
    range: int
    chroma_location: int
    bit_depth: int  # of the source
    format_name: str  # FFmpeg's name of the pixel format
    rgb: bool  # or of a palette
    alpha: bool | None  # whether pictures are transparent; None: their samples must tell
    interlaced: bool
    description: Description

    @property
    def ten_bit(self) -> bool:
        """Whether pictures are given with 10 bits."""
        return self.bit_depth > 8

    @property
    def converted(self) -> bool:
        """Whether pictures are converted to 4:2:0."""
        return self.format_name not in DIRECT

    @property
    def notes(self) -> list[str]:
        """What is converted."""
        if not self.converted:
            return []
        return [f"pictures of {self.format_name} are converted to {usual_format(self.ten_bit)}"]


def facts_of(
    frame: av.VideoFrame, container: InputContainer, stream: VideoStream, start: bytes
) -> PictureFacts:
    """The facts by the first chosen frame; ``start`` is what the file begins with."""
    fmt, name = frame.format, frame.format.name
    rgb = bool(fmt.is_rgb or fmt.has_palette or fmt.is_bayer)
    matrix, color_range = int(frame.colorspace) & 0xFF, int(frame.color_range)
    color_range = _FULL if name.startswith("yuvj") else color_range if color_range in (1, 2) else 0
    if rgb:
        matrix, color_range = rgb_matrix(frame.height), 1
    location = (
        chroma_siting.of_y4m(start)
        if container.format.name == "yuv4mpegpipe"
        else chroma_siting.of_stream(stream)
    )
    converted = name not in DIRECT
    return PictureFacts(
        width=frame.width,
        height=frame.height,
        sar=bounded(stream.sample_aspect_ratio),
        rotation=-int(frame.rotation) % 360 // 90 * 90,  # FFmpeg counts anticlockwise
        primaries=int(frame.color_primaries) & 0xFF,
        transfer=int(frame.color_trc) & 0xFF,
        matrix=matrix,
        range=color_range,
        chroma_location=(chroma_siting.after_conversion(location, fmt) if converted else location),
        bit_depth=max(8, min(16, max((c.bits for c in fmt.components), default=8))),
        format_name=name,
        rgb=rgb,
        alpha=_alpha(frame, stream),
        interlaced=frame.interlaced_frame,
        description=_description(frame, container, stream, name if converted else ""),
    )


def retagged(facts: PictureFacts, colour: Colour, name: str) -> PictureFacts:
    """With the tags asked for in the place of the source's; UsageError for ones that it needs."""
    if facts.rgb and (colour.matrix is not None or colour.range is not None):
        raise UsageError(
            f"pictures of {facts.format_name} are converted to YUV of a known matrix and range",
            file=name,
            advice="leave out `colorspace` and `color_range`",
        )
    return replace(
        facts,
        primaries=facts.primaries if colour.primaries is None else colour.primaries,
        transfer=facts.transfer if colour.transfer is None else colour.transfer,
        matrix=facts.matrix if colour.matrix is None else colour.matrix,
        range=facts.range if colour.range is None else colour.range,
    )


def is_transparent(frame: av.VideoFrame) -> bool:
    """Whether samples of a frame are transparent."""
    return bool((frame.reformat(format="bgra").to_ndarray()[..., 3] < 255).any())


def _alpha(frame: av.VideoFrame, stream: VideoStream) -> bool | None:
    """Whether pictures are transparent; None where the format leaves that to each."""
    if frame.format.has_palette or stream.codec_context.name == "gif":
        return None
    has = any(c.is_alpha for c in frame.format.components)
    return has or stream.metadata.get("alpha_mode") == "1"


def _description(
    frame: av.VideoFrame, container: InputContainer, stream: VideoStream, pix_fmt: str
) -> Description:
    """Tags, chapters and HDR data as the file has them."""
    side = side_data(frame)
    matrix, mastering, light = (
        bytes(side[name]) if name in side else b"" for name in (MATRIX, MASTERING, LIGHT)
    )
    made = replace(describe(container, stream), pix_fmt=pix_fmt, field_order=field_order(frame))
    if len(matrix) == 36:
        numbers = struct.unpack("9i", matrix)
        made = replace(made, matrix=None if _is_quarter_turn(numbers) else numbers)
    if len(mastering) == 88:
        numbers = struct.unpack("22i", mastering)
        pairs = tuple(zip(numbers[0:20:2], numbers[1:20:2], strict=True))
        made = replace(made, mastering=Mastering(pairs, bool(numbers[20]), bool(numbers[21])))
    if len(light) == 8:
        made = replace(made, light=struct.unpack("2I", light))
    return made


def _is_quarter_turn(matrix: tuple[int, ...]) -> bool:
    """Whether a display matrix turns by a multiple of 90 degrees and does nothing else."""
    a, b, u, c, d, v, *_ = (round(n / _UNIT) if abs(n) <= _UNIT else n for n in matrix)
    return (a, b, c, d) in _QUARTERS and not u and not v
