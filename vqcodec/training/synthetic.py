"""Made training material: pages of text and graphics, and clips with exact motion.

Pages are what screens show and photographs lack.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from ..container.packets import StreamHeader
from ..media.inputs import open_source
from ..media.sink import OutputChoice, open_sink
from ..picture import Picture
from .pictures import limited_range

RATE = 25  # frames a second
CLIP_SIZE, CLIP_FRAMES = (384, 256), 25
CLIP_PAGE = (480, 900)
Colour = tuple[int, ...]
WORDS = (
    "the of and to in a is that for it as was with be by on not he his but at are this have "
    "from or had an they which one you were all her she there would their we him been has when "
    "who will no more if out so up said what its about than into them can only other time new "
    "some could these two may first then do any like my now over such our man me even most made "
    "after also did many off before must well back through years where much your way down "
    "should because long each just state those people too mr how little good world make very "
    "year still see own work men day get here between both life being under three never know "
    "same last another while us might great old go come since against right take function "
    "return import codec frame 0123 45.67 89% [1] (x, y) = {a: b}; // -> https://example.org/ "
    "Table Figure §4.2 2026-01-31 ABC DEF"
).split()


def fonts() -> list[Path]:
    """TrueType fonts that matplotlib ships (no system fonts are needed)."""
    import matplotlib

    return sorted((Path(matplotlib.get_data_path()) / "fonts" / "ttf").glob("DejaVu*.ttf"))


def page(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """(H, W, 3) uint8 RGB page: text, rules, boxes and a plot in random fonts, sizes, colours."""
    from PIL import Image, ImageDraw, ImageFont

    dark = rng.random() < 0.3
    back = _colour(rng, 0, 50) if dark else _colour(rng, 225, 256)
    if rng.random() < 0.4:
        back, dark = (255, 255, 255), False
    image = Image.new("RGB", (width, height), back)
    draw = ImageDraw.Draw(image)
    faces = [f for f in fonts() if "Display" not in f.name]
    columns = int(rng.choice([1, 1, 2]))
    face = faces[rng.integers(len(faces))]
    font = ImageFont.truetype(str(face), int(rng.choice([9, 10, 11, 12, 14, 16])))
    for column in range(columns):
        left, right = column * width // columns + 8, (column + 1) * width // columns - 8
        top = int(rng.integers(0, 20))
        while top < height:
            kind = rng.random()
            ink = _colour(rng, 170, 256) if dark else _colour(rng, 0, 90)
            if rng.random() < 0.6:
                ink = (235, 235, 235) if dark else (0, 0, 0)
            if kind < 0.1:
                size = int(rng.integers(18, 34))
                title = ImageFont.truetype(str(faces[rng.integers(len(faces))]), size)
                draw.text((left, top), " ".join(rng.choice(WORDS, 3)), fill=ink, font=title)
                top += int(size * 1.5)
            elif kind < 0.16:
                tall = int(rng.integers(20, 90))
                fill = _colour(rng, 0, 256)
                side = int(rng.integers(left + 20, right + 1))
                draw.rectangle([left, top, side, top + tall], fill=fill, outline=ink)
                plot = [(x, int(top + tall - rng.random() * tall)) for x in range(left, right, 12)]
                draw.line(plot, fill=ink, width=int(rng.integers(1, 4)))
                top += tall + 6
            elif kind < 0.2:
                draw.line([left, top, right, top], fill=ink, width=int(rng.integers(1, 3)))
                top += int(rng.integers(3, 12))
            else:
                line = ""
                while draw.textlength(line, font=font) < right - left - 40:
                    line += str(rng.choice(WORDS)) + " "
                draw.text((left, top), line, fill=ink, font=font)
                top += int(font.size * 1.3) + (int(font.size) if rng.random() < 0.1 else 0)
    return np.asarray(image)


def _colour(rng: np.random.Generator, low: int, high: int) -> Colour:
    return tuple(int(v) for v in rng.integers(low, high, 3))


def to_picture(rgb: np.ndarray) -> Picture:
    """(H, W, 3) uint8 RGB of even size -> BT.601 limited-range 4:2:0."""
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    return limited_range(frame)


def scrolling(
    rng: np.random.Generator, picture: np.ndarray, frames: int, width: int, height: int
) -> Iterator[np.ndarray]:
    """A clip over a larger picture that scrolls by whole samples."""
    tall, wide = picture.shape[:2]
    y = float(rng.uniform(0, max(1, tall - height)))
    x = float(rng.uniform(0, max(1, wide - width)))
    if rng.random() < 0.8:
        down, right = int(rng.integers(-14, 15)), 0
    else:
        down, right = int(rng.integers(-6, 7)), int(rng.integers(-9, 10))
    for _ in range(frames):
        top = int(np.clip(round(y), 0, tall - height))
        left = int(np.clip(round(x), 0, wide - width))
        yield picture[top : top + height, left : left + width]
        y, x = y + down, x + right
        if rng.random() < 0.05:
            down = -down


@dataclass
class _Camera:
    """A view of a picture: where its centre is, how far it is turned and enlarged."""

    angle: float
    zoom: float
    x: float
    y: float

    def matrix(self, width: int, height: int) -> np.ndarray:
        """(2, 3) affine map from the samples of a view to those of the picture."""
        cosine, sine = np.cos(self.angle) / self.zoom, np.sin(self.angle) / self.zoom
        turn = np.array([[cosine, -sine], [sine, cosine]])
        offset = np.array([self.x, self.y]) - turn @ np.array([width / 2, height / 2])
        return np.column_stack([turn, offset])


def panning(
    rng: np.random.Generator, picture: np.ndarray, frames: int, width: int, height: int
) -> Iterator[np.ndarray]:
    """A clip over a larger picture: pan, zoom and rotation about the centre with smooth speed."""
    import cv2

    tall, wide = picture.shape[:2]
    angle, zoom = float(rng.normal(0, 0.1)), float(rng.uniform(1.0, 1.3))
    turning, zooming = float(rng.normal(0, 0.006)), float(rng.normal(0, 0.006))
    x, y = wide / 2 + float(rng.normal(0, wide / 12)), tall / 2 + float(rng.normal(0, tall / 12))
    camera = _Camera(angle, zoom, x, y)
    right, down = rng.normal(0, 3, 2)
    for _ in range(frames):
        yield cv2.warpAffine(
            picture,
            camera.matrix(width, height),
            (width, height),
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT,
        )
        camera = _Camera(
            camera.angle + turning,
            float(np.clip(camera.zoom * (1 + zooming), 0.9, 2)),
            camera.x + right,
            camera.y + down,
        )
        right, down = right + rng.normal(0, 0.3), down + rng.normal(0, 0.3)


def write_clips(
    folder: Path,
    photos: list[Path],
    count: int,
    seed: int = 0,
    size: tuple[int, int] = CLIP_SIZE,
    frames: int = CLIP_FRAMES,
) -> None:
    """Write lossless clips of scrolling pages and moving photographs.

    For :mod:`vqcodec.training.pairs`; all scroll without photos. Those larger than a photo are
    left out.
    """
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    width, height = size
    for number in range(count):
        scroll = number % 2 == 0 or not photos
        rgb = page(rng, *CLIP_PAGE) if scroll else _rgb(photos[rng.integers(len(photos))])
        if rgb.shape[0] < height or rgb.shape[1] < width:
            continue
        moving = scrolling if scroll else panning
        header = StreamHeader(width, height, Fraction(1, RATE), rate=Fraction(RATE))
        path = folder / f"made-{number:03d}.mkv"
        sink = open_sink(path, header, choice=OutputChoice(vcodec="ffv1"))
        for time, view in enumerate(moving(rng, rgb, frames, width, height)):
            sink.write(time, to_picture(view))
        sink.close()


def _rgb(photo: Path) -> np.ndarray:
    with open_source(photo) as source:
        rgb: np.ndarray = next(source.container.decode(video=0)).to_ndarray(format="rgb24")
    return rgb
