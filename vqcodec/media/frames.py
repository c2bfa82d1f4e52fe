"""Our pictures as FFmpeg's frames and back: planes, conversions by swscale, and its numbers."""

from __future__ import annotations

import av
import numpy as np
from av.video.plane import VideoPlane

from ..container.packets import StreamHeader
from ..picture import Picture

BT709, BT601 = 1, 5  # swscale's numbers of the matrices
_HD = 720  # lines, from which on pictures are taken for BT.709
_H273_BT709, _H273_BT601 = 1, 6
_FULL = 2
Sample = type[np.uint8] | type[np.uint16]  # types of samples
GRAY = ("gray", "gray10le")
# pixel formats whose first three planes are the picture, and their samples
DIRECT: dict[str, Sample] = {
    "yuv420p": np.uint8,
    "yuvj420p": np.uint8,
    "yuva420p": np.uint8,
    "yuv420p10le": np.uint16,
    "yuva420p10le": np.uint16,
}


def usual_format(ten_bit: bool) -> str:
    """FFmpeg's name of our pictures' pixel format."""
    return "yuv420p10le" if ten_bit else "yuv420p"


def dtype_of(ten_bit: bool) -> Sample:
    """Type of the samples of our pictures."""
    return np.uint16 if ten_bit else np.uint8


def samples(plane: VideoPlane, dtype: Sample) -> np.ndarray:
    """The visible samples of a plane, shape (rows, columns), to be read or written in place."""
    rows: np.ndarray = np.frombuffer(memoryview(plane), dtype).reshape(plane.height, -1)
    return rows[:, : plane.width]


def copied(plane: VideoPlane, dtype: Sample) -> np.ndarray:
    """A copy of the visible samples of a plane, shape (rows, columns)."""
    return samples(plane, dtype).copy()


def rgb_matrix(height: int) -> int:
    """H.273's number of the matrix that RGB pictures of this height are converted by."""
    return _H273_BT709 if height >= _HD else _H273_BT601


def converted_rgb(frame: av.VideoFrame, ten_bit: bool) -> Picture:
    """A 4:2:0 picture of limited range, by that matrix."""
    made = frame.reformat(
        format=usual_format(ten_bit),
        dst_colorspace=BT709 if rgb_matrix(frame.height) == _H273_BT709 else BT601,
        dst_color_range=1,
        threads=1,  # several have been seen to leave a row of the first picture half done
    )
    return Picture(*(copied(p, dtype_of(ten_bit)) for p in made.planes[:3]))


def to_picture(frame: av.VideoFrame, ten_bit: bool, rgb: bool, color_range: int) -> Picture:
    """A 4:2:0 picture of a decoded frame.

    Args:
        frame: of any pixel format.
        ten_bit: whether the picture has samples of 10 bits, else of 8.
        rgb: whether the frame is RGB, or has a palette.
        color_range: FFmpeg's number, which stays as it is; 0 is taken for limited.
    """
    name = frame.format.name
    if name.startswith("gray") and name[4:] in ("", "9le", "10le", "12le", "14le", "16le"):
        return _of_gray(frame, ten_bit)
    if name not in DIRECT:
        if rgb:
            return converted_rgb(frame, ten_bit)
        same, name = color_range or 1, usual_format(ten_bit)
        frame = frame.reformat(format=name, src_color_range=same, dst_color_range=same, threads=1)
    return Picture(*(copied(p, DIRECT[name]) for p in frame.planes[:3]))


def _of_gray(frame: av.VideoFrame, ten_bit: bool) -> Picture:
    """By hand, as swscale would take it for full range."""
    luma = copied(frame.planes[0], dtype_of(ten_bit))
    if ten_bit:
        bits = int(frame.format.name[4:-2])
        luma = luma << 1 if bits == 9 else luma >> (bits - 10)
    shape = ((frame.height + 1) // 2, (frame.width + 1) // 2)
    chroma = np.full(shape, 512 if ten_bit else 128, luma.dtype)
    return Picture(luma, chroma, chroma.copy())


def to_frame(picture: Picture, pixel_format: str, header: StreamHeader) -> av.VideoFrame:
    """A frame of any pixel format, with the colour tags of ``header`` but no time."""
    gray, usual = pixel_format in GRAY, usual_format(picture.ten_bit)
    frame = av.VideoFrame(header.width, header.height, pixel_format if gray else usual)
    planes = picture[:1] if gray else picture
    for target, source in zip(frame.planes, planes, strict=True):
        samples(target, dtype_of(picture.ten_bit))[:] = source
    color_range = header.range or 1
    if is_rgb(pixel_format):
        frame = frame.reformat(
            format=pixel_format,
            src_colorspace=BT709 if header.matrix == BT709 else BT601,
            src_color_range=color_range,
            dst_color_range=_FULL,
            threads=1,
        )
    elif not gray and pixel_format != usual:
        frame = frame.reformat(
            format=pixel_format,
            src_color_range=color_range,
            dst_color_range=color_range,
            threads=1,
        )
    frame.color_primaries, frame.color_trc = header.primaries, header.transfer
    frame.colorspace, frame.color_range = matrix_of(pixel_format, header), header.range
    return frame


def is_rgb(pixel_format: str) -> bool:
    """Whether a pixel format is RGB."""
    return bool(av.VideoFormat(pixel_format).is_rgb)


def matrix_of(pixel_format: str, header: StreamHeader) -> int:
    """H.273's number of the matrix that an output of this format tells; 0 is RGB."""
    return 0 if is_rgb(pixel_format) else header.matrix
