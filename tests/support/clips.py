"""Small pictures and files for the tests."""

from __future__ import annotations

import io
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from vqcodec.container.packets import GopPayload, StreamHeader
from vqcodec.container.reader import ContainerReader
from vqcodec.container.writer import ContainerWriter
from vqcodec.errors import DamageError
from vqcodec.media.sink import OutputChoice, open_sink
from vqcodec.picture import Picture


def picture(width: int, height: int, seed: int = 0, ten_bit: bool = False) -> Picture:
    """Noise; full range of values."""
    rng = np.random.default_rng(seed)
    dtype, top = (np.uint16, 1024) if ten_bit else (np.uint8, 256)
    sizes = (
        (height, width),
        ((height + 1) // 2, (width + 1) // 2),
        ((height + 1) // 2, (width + 1) // 2),
    )
    return Picture(*(rng.integers(0, top, s).astype(dtype) for s in sizes))


def faded(pictures: list[Picture], gains: list[float]) -> list[Picture]:
    """Pictures brought to black, as a film fades."""
    return [
        Picture(
            *(
                np.rint(p * g + (1 - g) * s).astype(np.uint8)
                for p, s in zip(picture, (16, 128, 128), strict=True)
            )
        )
        for picture, g in zip(pictures, gains, strict=True)
    ]


def letterboxed(
    pictures: list[Picture], above: int, below: int, left: int = 0, right: int = 0
) -> list[Picture]:
    """Pictures with black bars of so many samples of chroma, twice as many of luma."""
    out = []
    for shown in pictures:
        rows, columns = shown.u.shape
        planes = []
        for plane, black, unit in zip(shown, (16, 128, 128), (2, 1, 1), strict=True):
            inside = (
                slice(unit * above, unit * (rows - below)),
                slice(unit * left, unit * (columns - right)),
            )
            barred = np.full_like(plane, black)
            barred[inside] = plane[inside]
            planes.append(barred)
        out.append(Picture(*planes))
    return out


def header(width: int = 16, height: int = 16, **changes: Any) -> StreamHeader:
    return StreamHeader(
        **(
            {"width": width, "height": height, "time_base": Fraction(1, 1000), "rate": Fraction(25)}
            | changes
        )
    )


def undamaged(data: bytes) -> dict[int, GopPayload]:
    """The GOPs of a file that can be read, by their first frames."""
    reader, result = ContainerReader.open(io.BytesIO(data)), {}
    for i, e in enumerate(reader.gops):
        with suppress(DamageError):
            result[e.first_frame] = reader.read_gop(i)
    return result


def write(
    path: Path,
    head: StreamHeader,
    pictures: list[Picture],
    times: list[int] | None = None,
    **options: Any,
) -> Path:
    step = max(1, round(1 / ((head.rate or 25) * head.time_base)))
    sink = open_sink(path, head, ten_bit=pictures[0].ten_bit, choice=OutputChoice(**options))
    for i, p in enumerate(pictures):
        sink.write(times[i] if times else i * step, p)
    sink.close()
    return path


def same(a: Picture, b: Picture) -> bool:
    return all(x.dtype == y.dtype and np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def moving(
    width: int,
    height: int,
    n: int,
    seed: int = 0,
    speed: tuple[float, float] = (0.75, 1.5),
    ten_bit: bool = False,
) -> list[Picture]:
    """A texture of waves that moves by ``speed`` (down, right) samples a frame, with a block that
    moves the other way."""
    rng = np.random.default_rng(seed)
    waves = [(*rng.normal(0, 0.35, 2), rng.uniform(0, 6.3), rng.uniform(4, 14)) for _ in range(24)]
    top, dtype = (1023, np.uint16) if ten_bit else (255, np.uint8)

    def plane(h: int, w: int, t: int, step: int, phase: float) -> np.ndarray:
        y, x = np.mgrid[0:h, 0:w].astype(np.float64) * step
        yy, xx = y - speed[0] * t, x - speed[1] * t
        v = 120 + sum(a * np.sin(fy * yy + fx * xx + p + phase) for fy, fx, p, a in waves)
        block = (abs(y - height / 2) < height / 5) & (abs(x - width * 0.8 + 2 * t) < width / 6)
        v = np.where(block, 60 + 40 * np.sin(0.4 * y) * np.cos(0.3 * (x + 2 * t)), v)
        return np.clip(np.rint(v * (4 if ten_bit else 1)), 0, top).astype(dtype)

    ch, cw = (height + 1) // 2, (width + 1) // 2
    return [
        Picture(plane(height, width, t, 1, 0), plane(ch, cw, t, 2, 1), plane(ch, cw, t, 2, 2))
        for t in range(n)
    ]


def letters(width: int, height: int, n: int, seed: int = 0) -> list[Picture]:
    """Lines of a few coloured glyphs over black, which roll up by a sample and a half a frame and
    grow brighter, with a bar of one colour on the right that stands still.
    """
    rng = np.random.default_rng(seed)
    ink = (rng.random((4, 9, 7)) < 0.45) * rng.integers(120, 220, (4, 9, 7))
    page = np.zeros((2 * height + 6 * n, width))
    for row in range(4, page.shape[0] - 9, 13):
        for column in range(3, width - 10, 9):
            page[row : row + 9, column : column + 7] = ink[rng.integers(4)]
    page = np.repeat(page, 2, 0)  # half samples
    out = []
    for i in range(n):
        shown = page[3 * i : 3 * i + 2 * height].reshape(height, 2, width).mean(1)
        y = 16 + shown * (0.6 + 0.4 * i / n)
        y[:, -width // 4 :] = 60
        half = np.pad(y, ((0, height % 2), (0, width % 2)), mode="edge")[::2, ::2]
        planes = (y, 128 + half / 8, 128 - half / 16)
        out.append(Picture(*(np.rint(plane).astype(np.uint8) for plane in planes)))
    return out


def grainy(clip: list[Picture], seed: int) -> list[Picture]:
    """8-bit pictures with noise of up to 9 either way."""
    rng = np.random.default_rng(seed)

    def changed(plane: np.ndarray) -> np.ndarray:
        noise = rng.integers(-9, 10, plane.shape)
        return np.clip(plane.astype(int) + noise, 0, 255).astype(np.uint8)

    return [Picture(*map(changed, picture)) for picture in clip]


def coded_file(path: Path) -> Path:
    """A .vqv file of one GOP of two frames of 8x8, whose body nobody can decode."""
    with path.open("wb") as file:
        out = ContainerWriter(file, header(8, 8))
        out.gop(GopPayload((0, 40), 40, 1, (1, 2, 3), b"body"))
        out.finish()
    return path
