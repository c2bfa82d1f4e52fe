"""Decoded pictures as tensors: planes as they are, or RGB by the file's matrix, range and chroma
location, in integers and so the same on every device.

The matrices are those of ITU-T H.273 (8.3); chroma is interpolated linearly at the places where the
location (H.273 8.7) puts its samples.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..container.packets import StreamHeader
from ..errors import UsageError
from ..picture import Picture, chroma_size

Output = Literal["rgb", "float", "yuv"]

# red's and blue's part in luma by H.273's number of the matrix
_LUMA = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
_UNKNOWN = (0, 2, 3)  # 0 is RGB itself, which 4:2:0 cannot be
_TOP = 255 << 2  # white
_SHIFT = 13  # fractional bits of the coefficients
_SIXTEENTHS = 16  # chroma is interpolated in quarters each way
# FFmpeg's numbers of the chroma locations that lie on a luma column, and on a row
_ON_COLUMN, _ON_ROW = (0, 1, 3, 5), (3, 4)


class Planes(NamedTuple):
    """Luma and the two chroma planes: (H, W), (ceil(H/2), ceil(W/2)) twice, of a batch with N
    before them. uint8, or int16 with values of 10 bits.
    """

    y: Tensor
    u: Tensor
    v: Tensor


def planes(picture: Picture, ten_bit: bool, device: str) -> Planes:
    """The planes of a 10-bit picture; those of 8 bits are what ``decode`` writes."""
    shown = picture if ten_bit else picture.to8()
    return Planes(
        *(
            torch.from_numpy(np.ascontiguousarray(p.view(np.int16) if ten_bit else p))
            .clone()
            .to(device)
            for p in shown
        )
    )


class ToRgb:
    """Makes RGB of the pictures of a stream. UsageError for a matrix that is not one of luma and
    two colour differences.

    A matrix that isn't told is BT.709 for pictures wider than 1279 or higher than 576 samples and
    BT.601 below, as in players; a range that isn't told is limited, a location left. Transfer and
    primaries are left as they are.
    """

    def __init__(self, header: StreamHeader, device: str) -> None:
        matrix = header.matrix
        if matrix in _UNKNOWN:
            matrix = 1 if header.width >= 1280 or header.height > 576 else 6
        if matrix not in _LUMA:
            raise UsageError(
                f"pictures of matrix {matrix} (ITU-T H.273) have no linear way to RGB: "
                "open the file with output='yuv'"
            )
        kr, kb = _LUMA[matrix]
        full = header.range == 2
        self._black = 0 if full else 64
        one = 1 << _SHIFT
        # to values of 0 to _TOP; pictures of 8 bits are held times four
        gain_y, gain_c = (
            (_TOP / (1023 if header.bit_depth > 8 else 1020),) * 2
            if full
            else (_TOP / 876, _TOP / 896)
        )
        self._y = round(gain_y * one)
        self._rv, self._bu = round(2 * (1 - kr) * gain_c * one), round(2 * (1 - kb) * gain_c * one)
        self._gu, self._gv = (
            round(2 * kb * (1 - kb) / (1 - kr - kb) * gain_c * one),
            round(2 * kr * (1 - kr) / (1 - kr - kb) * gain_c * one),
        )
        self._on_column, self._on_row = (
            header.chroma_location in _ON_COLUMN,
            header.chroma_location in _ON_ROW,
        )
        self._bottom = header.chroma_location in (5, 6)
        self._device = device

    def __call__(self, picture: Picture, as_float: bool = False) -> Tensor:
        """(3, H, W) uint8 of a 10-bit picture; or float32 from 0 to 1, which is not rounded to 8
        bits.
        """
        height, width = picture.y.shape
        y, u, v = (
            torch.from_numpy(np.ascontiguousarray(p).view(np.int16))
            .to(self._device)
            .to(torch.int32)
            for p in picture
        )
        y = (y - self._black) * (self._y * _SIXTEENTHS)
        u, v = (self._whole(p, height, width) - 512 * _SIXTEENTHS for p in (u, v))
        rgb = torch.stack([y + self._rv * v, y - self._gu * u - self._gv * v, y + self._bu * u])
        top = _TOP * _SIXTEENTHS << _SHIFT
        rgb = rgb.clamp_(0, top)
        if as_float:
            return rgb.to(torch.float32) / top
        unit = _SHIFT + 6  # of a value of 8 bits
        return ((rgb + (1 << (unit - 1))) >> unit).to(torch.uint8)

    def _whole(self, c: Tensor, height: int, width: int) -> Tensor:
        """A chroma plane at the luma's places, in sixteenths of a sample."""
        c = _between(c, 0, height, 0 if self._on_row else 2 if self._bottom else 1)
        return _between(c, 1, width, 0 if self._on_column else 1)


def _between(c: Tensor, dim: int, n: int, place: int) -> Tensor:
    """Twice as many samples along a dimension, n of them, in quarters. place: where a sample lies
    between the two that it stands for: 0 on the first, 1 midway, 2 on the second.
    """
    size = c.shape[dim]
    before = torch.cat([c.narrow(dim, 0, 1), c.narrow(dim, 0, size - 1)], dim)
    behind = torch.cat([c.narrow(dim, 1, size - 1), c.narrow(dim, size - 1, 1)], dim)
    if place == 0:
        pair = (4 * c, 2 * (c + behind))
    elif place == 1:
        pair = (3 * c + before, 3 * c + behind)
    else:
        pair = (2 * (before + c), 4 * c)
    return torch.stack(pair, dim + 1).flatten(dim, dim + 1).narrow(dim, 0, n)


class ToTensors:
    """Makes tensors of the pictures of a stream: ``rgb`` or ``float`` (3, H, W), or for ``yuv``
    Planes.
    """

    def __init__(self, header: StreamHeader, output: Output, device: str) -> None:
        self._header, self._float, self._device = header, output == "float", device
        self._rgb = None if output == "yuv" else ToRgb(header, device)

    def __call__(self, picture: Picture) -> Any:
        """Of a 10-bit picture."""
        if self._rgb is None:
            return planes(picture, self._header.bit_depth > 8, self._device)
        return self._rgb(picture, self._float)

    def empty(self, n: int) -> Any:
        """Room for n of them, (n, 3, H, W) or Planes with n before their dimensions."""
        h = self._header
        if self._rgb is None:
            cw, ch = chroma_size(h.width, h.height)
            dtype = torch.int16 if h.bit_depth > 8 else torch.uint8
            return Planes(
                *(
                    torch.empty((n, *size), dtype=dtype, device=self._device)
                    for size in ((h.height, h.width), (ch, cw), (ch, cw))
                )
            )
        return torch.empty(
            (n, 3, h.height, h.width),
            dtype=torch.float32 if self._float else torch.uint8,
            device=self._device,
        )
