"""Made training material: pages of text and graphics (what screens show and photographs lack), and clips with exact motion."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..media.inputs import open_source
from .data import Planes, planes

WORDS = (
    "the of and to in a is that for it as was with be by on not he his but at are this have from or had an they which one you were all her she there would their we him been has "
    "when who will no more if out so up said what its about than into them can only other time new some could these two may first then do any like my now over such our man me "
    "even most made after also did many off before must well back through years where much your way down should because long each just state those people too mr how little "
    "good world make very year still see own work men day get here between both life being under three never know same last another while us might great old go come since against "
    "right take function return import codec frame 0123 45.67 89% [1] (x, y) = {a: b}; // -> https://example.org/ Table Figure §4.2 2026-01-31 ABC DEF"
).split()


def fonts() -> list[Path]:
    """TrueType fonts that matplotlib ships (no system fonts are needed)."""
    import matplotlib

    return sorted((Path(matplotlib.get_data_path()) / "fonts" / "ttf").glob("DejaVu*.ttf"))


def page(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """(H, W, 3) uint8 RGB page: paragraphs, rules, boxes and a plot in random fonts, sizes and colours."""
    from PIL import Image, ImageDraw, ImageFont

    dark = rng.random() < 0.3
    back = tuple(int(v) for v in (rng.integers(0, 50, 3) if dark else rng.integers(225, 256, 3)))
    if rng.random() < 0.4:
        back = (255, 255, 255)
        dark = False
    im = Image.new("RGB", (width, height), back)
    d = ImageDraw.Draw(im)
    names = [f for f in fonts() if "Display" not in f.name]
    y = int(rng.integers(0, 20))
    columns = int(rng.choice([1, 1, 2]))
    font = ImageFont.truetype(
        str(names[rng.integers(len(names))]), int(rng.choice([9, 10, 11, 12, 14, 16]))
    )
    for col in range(columns):
        x0, x1 = col * width // columns + 8, (col + 1) * width // columns - 8
        y = int(rng.integers(0, 20))
        while y < height:
            kind = rng.random()
            ink = tuple(
                int(v) for v in (rng.integers(170, 256, 3) if dark else rng.integers(0, 90, 3))
            )
            if rng.random() < 0.6:
                ink = (235, 235, 235) if dark else (0, 0, 0)
            if kind < 0.1:
                size = int(rng.integers(18, 34))
                f = ImageFont.truetype(str(names[rng.integers(len(names))]), size)
                d.text((x0, y), " ".join(rng.choice(WORDS, 3)), fill=ink, font=f)
                y += int(size * 1.5)
            elif kind < 0.16:
                h = int(rng.integers(20, 90))
                fill = tuple(int(v) for v in rng.integers(0, 256, 3))
                d.rectangle(
                    [x0, y, int(rng.integers(x0 + 20, x1 + 1)), y + h], fill=fill, outline=ink
                )
                pts = [(int(x), int(y + h - rng.random() * h)) for x in range(x0, x1, 12)]
                d.line(pts, fill=ink, width=int(rng.integers(1, 4)))
                y += h + 6
            elif kind < 0.2:
                d.line([x0, y, x1, y], fill=ink, width=int(rng.integers(1, 3)))
                y += int(rng.integers(3, 12))
            else:
                line = ""
                while d.textlength(line, font=font) < x1 - x0 - 40:
                    line += str(rng.choice(WORDS)) + " "
                d.text((x0, y), line, fill=ink, font=font)
                y += int(font.size * 1.3)
                if rng.random() < 0.1:
                    y += int(font.size)
    return np.asarray(im)


def to_planes(rgb: np.ndarray) -> Planes:
    """(H, W, 3) uint8 RGB of even size -> BT.601 limited-range 4:2:0 planes."""
    import av

    return planes(
        av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24").reformat(
            format="yuv420p", dst_colorspace="ITU601", dst_color_range="MPEG"
        )
    )


def moving(
    rng: np.random.Generator,
    picture: np.ndarray,
    frames: int,
    width: int,
    height: int,
    scroll: bool,
) -> list[np.ndarray]:
    """A clip over a larger picture: whole-sample scrolling, or pan, zoom and rotation about the centre with smooth speed."""
    import cv2

    h, w = picture.shape[:2]
    out = []
    if scroll:
        y, x = float(rng.uniform(0, max(1, h - height))), float(rng.uniform(0, max(1, w - width)))
        vy, vx = (
            (rng.integers(-14, 15), 0)
            if rng.random() < 0.8
            else (rng.integers(-6, 7), rng.integers(-9, 10))
        )
        for _ in range(frames):
            yy, xx = int(np.clip(round(y), 0, h - height)), int(np.clip(round(x), 0, w - width))
            out.append(picture[yy : yy + height, xx : xx + width])
            y, x = y + vy, x + vx
            if rng.random() < 0.05:
                vy = -vy
        return out
    angle, zoom = float(rng.normal(0, 0.1)), float(rng.uniform(1.0, 1.3))
    wa, wz = float(rng.normal(0, 0.006)), float(rng.normal(0, 0.006))
    cx, cy = w / 2 + float(rng.normal(0, w / 12)), h / 2 + float(rng.normal(0, h / 12))
    vx, vy = rng.normal(0, 3, 2)
    for _ in range(frames):
        m = np.array(
            [
                [np.cos(angle) / zoom, -np.sin(angle) / zoom, 0],
                [np.sin(angle) / zoom, np.cos(angle) / zoom, 0],
            ]
        )
        m[:, 2] = np.array([cx, cy]) - m[:, :2] @ np.array([width / 2, height / 2])
        out.append(
            cv2.warpAffine(
                picture,
                m,
                (width, height),
                flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REFLECT,
            )
        )
        angle, zoom, cx, cy = angle + wa, float(np.clip(zoom * (1 + wz), 0.9, 2)), cx + vx, cy + vy
        vx, vy = vx + rng.normal(0, 0.3), vy + rng.normal(0, 0.3)
    return out


def write_clips(
    folder: Path,
    photos: list[Path],
    count: int,
    seed: int = 0,
    size: tuple[int, int] = (384, 256),
    frames: int = 25,
) -> None:
    """Write lossless clips of scrolling pages and moving photographs for :mod:`vqcodec.training.pairs`."""
    import av

    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(count):
        scroll = n % 2 == 0 or not photos
        if scroll:
            rgb = page(rng, 480, 900)
        else:
            with open_source(photos[rng.integers(len(photos))]) as photo:
                rgb = next(photo.container.decode(video=0)).to_ndarray(format="rgb24")
        if rgb.shape[0] < size[1] or rgb.shape[1] < size[0]:
            continue
        with av.open(str(folder / f"made-{n:03d}.mkv"), "w") as o:
            s = o.add_stream("ffv1", rate=25)
            s.width, s.height, s.pix_fmt = size[0], size[1], "yuv420p"
            for k, a in enumerate(moving(rng, rgb, frames, *size, scroll)):
                y, c = to_planes(a)
                f = av.VideoFrame(size[0], size[1], "yuv420p")
                for p, v in zip(f.planes, (y, c[0], c[1]), strict=True):
                    b = np.zeros((v.shape[0], p.line_size), np.uint8)
                    b[:, : v.shape[1]] = v
                    p.update(b.tobytes())
                f.pts = k
                for pkt in s.encode(f):
                    o.mux(pkt)
            for pkt in s.encode(None):
                o.mux(pkt)
