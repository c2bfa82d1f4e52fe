"""Frames as people see them, for the comparison in the report."""

from __future__ import annotations

from typing import Any

import av
import numpy as np

from ..picture import Picture
from .clips import Reference

LARGEST = (1280, 720)  # width and height; of larger frames the middle is shown
_BT709, _BT601 = 1, 5  # swscale's numbers of the matrices


def to_bgr(picture: Picture, reference: Reference) -> np.ndarray:
    """A frame, or its middle, as (H, W, 3) of uint8, blue first."""
    frame = av.VideoFrame(reference.width, reference.height, reference.pix_fmt)
    for target, source in zip(frame.planes, picture, strict=True):
        view: Any = np.frombuffer(memoryview(target), source.dtype)
        view.reshape(target.height, -1)[:, : target.width] = source
    matrix = _BT709 if reference.matrix == _BT709 else _BT601
    shown = frame.reformat(format="bgr24", src_colorspace=matrix, src_color_range=2 if reference.full_range else 1, dst_color_range=2).to_ndarray()
    h, w = shown.shape[:2]
    cw, ch = min(w, LARGEST[0]), min(h, LARGEST[1])
    top, left = (h - ch) // 2, (w - cw) // 2
    return np.ascontiguousarray(shown[top : top + ch, left : left + cw])
