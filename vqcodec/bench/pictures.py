"""Frames as people see them, for the comparison in the report."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from ..container.packets import StreamHeader
from ..errors import UsageError
from ..picture import Picture
from .clips import Reference

LARGEST = (1280, 720)  # width and height; of larger frames the middle is shown


def to_bgr(picture: Picture, reference: Reference) -> np.ndarray:
    """A frame, or its middle, as (H, W, 3) of uint8, blue first; in the colours of
    :mod:`vqcodec.reading.rgb`, also where the clip doesn't tell its matrix."""

    from ..reading.rgb import ToRgb

    header = StreamHeader(
        reference.width,
        reference.height,
        Fraction(1),
        matrix=reference.matrix,
        range=2 if reference.full_range else 1,
        bit_depth=10 if reference.ten_bit else 8,
    )
    try:
        to_rgb = ToRgb(header)
    except UsageError:  # ICtCp and its like: the same for all that are compared
        to_rgb = ToRgb(replace(header, matrix=2))
    shown = to_rgb(picture.to10())[::-1].transpose(1, 2, 0)
    height, width = shown.shape[:2]
    cw, ch = min(width, LARGEST[0]), min(height, LARGEST[1])
    top, left = (height - ch) // 2, (width - cw) // 2
    return np.ascontiguousarray(shown[top : top + ch, left : left + cw])
