"""Decoded pictures in the form that a reader gives them: RGB or planes, arrays or tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import numpy as np

from ..container.packets import StreamHeader
from ..picture import Picture
from ..picture_size import chroma_size
from .frames import Planes

Output = Literal["rgb", "float", "yuv", "numpy", "numpy-float", "numpy-yuv"]
OUTPUTS: tuple[Output, ...] = ("rgb", "float", "yuv", "numpy", "numpy-float", "numpy-yuv")
_NUMPY = "numpy"


def of_numpy(output: Output) -> bool:
    """Whether an output is made of arrays, for which torch is not needed."""
    return output.startswith(_NUMPY)


class Outputs(Protocol):
    """What a reader makes of pictures, one by one or in batches."""

    def __call__(self, picture: Picture) -> Any:
        """The output of a 10-bit picture."""

    def empty(self, count: int) -> Any:
        """Room for ``count`` of them, with that number before their dimensions."""

    def column(self, values: Sequence[float] | Sequence[bool], dtype: type) -> Any:
        """What is told of each picture of a batch."""


class ToArrays:
    """Makes arrays: (3, H, W) of RGB, or Planes."""

    def __init__(self, header: StreamHeader, output: Output) -> None:
        self._header = header
        self._float, planes = output.endswith("float"), output.endswith("yuv")
        self._rgb = None
        if not planes:
            from .rgb import ToRgb

            self._rgb = ToRgb(header)

    def __call__(self, picture: Picture) -> Any:
        """The output of a 10-bit picture: (3, H, W) RGB, uint8 or float32 from 0 to 1; or planes of
        8 bits, uint16 where the stream has 10."""
        if self._rgb is None:
            shown = picture if self._header.bit_depth > 8 else picture.to8()
            return Planes(*(plane.copy() for plane in shown))
        return self._rgb(picture, self._float)

    def empty(self, count: int) -> Any:
        """Arrays for ``count`` pictures, their values not set: (count, 3, H, W), or planes with
        count in front."""
        header = self._header
        if self._rgb is None:
            cw, ch = chroma_size(header.width, header.height)
            dtype = np.uint16 if header.bit_depth > 8 else np.uint8
            sizes = (header.height, header.width), (ch, cw), (ch, cw)
            return Planes(*(np.empty((count, *size), dtype) for size in sizes))
        return np.empty(
            (count, 3, header.height, header.width), np.float32 if self._float else np.uint8
        )

    def column(self, values: Sequence[float] | Sequence[bool], dtype: type) -> Any:
        """An array of one value for each picture."""
        return np.array(values, dtype)
