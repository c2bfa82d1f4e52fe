"""Pictures to train on: read from files, of even sizes, and packed for the nets."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..media.frames import copied
from ..media.inputs import open_source
from ..picture import Picture
from ..picture_size import ALIGN

LEVELS8, LEVELS10 = 255.0, 1020.0  # sample values that are one: 10-bit white is 4 * 255


def full_scale(picture: Picture) -> float:
    """The sample value that the nets see as one."""
    return LEVELS10 if picture.ten_bit else LEVELS8


def pack(luma: Tensor, chroma: Tensor) -> Tensor:
    """(N, H, W), (N, 2, H/2, W/2) -> (N, H/8, W/8, 96): 64 luma, 16 Cb, 16 Cr of each block.

    Values of any range; row-major inside the block.
    """
    packed = torch.cat([F.pixel_unshuffle(luma[:, None], 8), F.pixel_unshuffle(chroma, 4)], 1)
    return packed.permute(0, 2, 3, 1).contiguous()


def unpack(packed: Tensor) -> tuple[Tensor, Tensor]:
    """The inverse of :func:`pack`."""
    channels = packed.permute(0, 3, 1, 2)
    return F.pixel_shuffle(channels[:, :64], 8)[:, 0], F.pixel_shuffle(channels[:, 64:], 4)


def packed_picture(picture: Picture, limit: int) -> Tensor:
    """(1, H/8, W/8, 96) in [-0.5, 0.5]: a picture, cut to multiples of 64 up to ``limit``."""
    height, width = (max(ALIGN, min(limit, v // ALIGN * ALIGN)) for v in picture.y.shape)
    part = cut(picture, height, width)

    def tensor(plane: np.ndarray) -> Tensor:
        return torch.from_numpy(plane.astype(np.float32)) / full_scale(picture) - 0.5

    return pack(tensor(part.y)[None], tensor(np.stack([part.u, part.v]))[None])


def cut(picture: Picture, height: int, width: int, top: int = 0, left: int = 0) -> Picture:
    """A part of a picture; all four numbers are even."""
    rows, columns = slice(top // 2, (top + height) // 2), slice(left // 2, (left + width) // 2)
    return Picture(
        picture.y[top : top + height, left : left + width],
        picture.u[rows, columns],
        picture.v[rows, columns],
    )


def picture_of(frame: av.VideoFrame) -> Picture:
    """8-bit 4:2:0 picture of a frame, cut to even sizes."""
    width, height = frame.width // 2 * 2, frame.height // 2 * 2
    planes = (copied(plane, np.uint8) for plane in frame.reformat(format="yuv420p").planes)
    return cut(Picture(*planes), height, width)


def read_clip(path: Path, step: int = 1, limit: int | None = None) -> list[Picture]:
    """Every ``step``-th frame of a video, at most ``limit``. Raises InputError for no video."""
    pictures = []
    with open_source(path) as source:
        for number, frame in enumerate(source.container.decode(video=0)):
            if number % step == 0:
                pictures.append(picture_of(frame))
            if limit and len(pictures) == limit:
                break
    return pictures


def read_photo(path: Path) -> Picture:
    """A photograph as BT.601 limited-range 4:2:0. Raises InputError for no picture."""
    with open_source(path) as source:
        return limited_range(next(source.container.decode(video=0)))


def limited_range(frame: av.VideoFrame) -> Picture:
    """An RGB or full-range frame as BT.601 limited-range 4:2:0, cut to even sizes."""
    return picture_of(
        frame.reformat(
            width=frame.width // 2 * 2,
            height=frame.height // 2 * 2,
            format="yuv420p",
            dst_colorspace="ITU601",
            dst_color_range="MPEG",
        )
    )
