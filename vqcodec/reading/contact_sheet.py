"""A picture of each shot on one sheet, with the time at which it begins."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..analysis.shot import Shot
from ..system.progress import exact_clock

if TYPE_CHECKING:
    from .video_reader import VideoReader

WIDTH = 320  # of a picture
MOST = 400  # pictures: of more shots the longest ones are shown
_MARGIN, _LINE = 8, 22  # samples around pictures, and of a line of text
_PAPER, _INK = 24, 225
_LETTERS = 14  # samples of their size


def chosen(shots: Sequence[Shot]) -> list[Shot]:
    """The shots that a sheet shows, in their order."""
    longest = sorted(shots, key=_length, reverse=True)[:MOST]
    return sorted(longest, key=_start)


def contact_sheet(video: VideoReader[np.ndarray], shots: Sequence[Shot]) -> np.ndarray:
    """(H, W, 3) uint8 RGB: the middle frames of shots, row by row from the upper left.

    video: opened with ``output="numpy"``, whose pictures are shown turned and in the shape that
    players give them. Each picture has the shot's number, time and transition below it.
    """
    shown = chosen(shots)
    tile = _tile(video)
    height = tile[0] + _LINE + _MARGIN
    columns = max(1, min(len(shown), round(math.sqrt(len(shown) * height / (WIDTH * 0.75)))))
    rows = -(-len(shown) // columns)
    size = (_MARGIN + rows * height, _MARGIN + columns * (WIDTH + _MARGIN), 3)
    sheet = np.full(size, _PAPER, np.uint8)
    numbers = {shot.start: number for number, shot in enumerate(shots, 1)}
    for place, shot in enumerate(shown):
        top = _MARGIN + place // columns * height
        left = _MARGIN + place % columns * (WIDTH + _MARGIN)
        middle = (min(shot.settled, shot.end - 1) + shot.end) // 2
        picture = video.get_frame_at(middle).data
        sheet[top : top + tile[0], left : left + WIDTH] = _fitted(picture, video, tile)
        begin = exact_clock(max(0.0, shot.start_seconds))
        label = f"{numbers[shot.start]}  {begin}  {shot.transition}"
        line = sheet[top + tile[0] : top + tile[0] + _LINE, left : left + WIDTH]
        line[:] = _written(line, label)
    return sheet


def png(sheet: np.ndarray) -> bytes:
    """A sheet as a PNG file."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(sheet).save(out, "png")
    return out.getvalue()


def _tile(video: VideoReader[np.ndarray]) -> tuple[int, int]:
    """Height and width of a picture on the sheet."""
    metadata = video.metadata
    wide = metadata.width * float(metadata.pixel_aspect_ratio or 1)
    height, width = (wide, metadata.height) if metadata.rotation % 180 else (metadata.height, wide)
    return max(1, min(2 * WIDTH, round(WIDTH * height / width))), WIDTH


def _fitted(
    picture: np.ndarray, video: VideoReader[np.ndarray], tile: tuple[int, int]
) -> np.ndarray:
    """(3, H, W) RGB as it is shown, at the size of a tile."""
    from PIL import Image

    turned = np.rot90(picture.transpose(1, 2, 0), -video.metadata.rotation // 90)
    whole = Image.fromarray(np.ascontiguousarray(turned))
    return np.asarray(whole.resize((tile[1], tile[0]), Image.Resampling.LANCZOS))


def _written(line: np.ndarray, text: str) -> np.ndarray:
    """A line of the sheet with a text on it."""
    from PIL import Image, ImageDraw, ImageFont

    paper = Image.fromarray(np.ascontiguousarray(line))
    font = ImageFont.load_default(_LETTERS)
    ImageDraw.Draw(paper).text((0, 3), text, fill=(_INK, _INK, _INK), font=font)
    return np.asarray(paper)


def _start(shot: Shot) -> int:
    return shot.start


def _length(shot: Shot) -> float:
    return shot.seconds
