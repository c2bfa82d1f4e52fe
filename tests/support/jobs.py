"""A film whose GOPs are coded in several processes, and acts that are played to it."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from support.clips import header, moving, write
from support.fake_network import fake_network  # noqa: F401
from vqcodec.container.reader import ContainerReader
from vqcodec.options import EncodeOptions
from vqcodec.picture import Picture
from vqcodec.pipeline.encode import encode
from vqcodec.system.progress import Progress

W, H, FRAMES = 32, 24, 62


OPTIONS = EncodeOptions(gop=9, crf=30, preset="faster", device="cpu", threads=1)


COUNTS = [9, 9, 9, 3, 9, 8, 9, 6]


def film() -> list[Picture]:
    def bright(p: Picture) -> Picture:
        return Picture(255 - p.y // 3, p.u, p.v)

    a, b, c = (moving(W, H, n, seed) for seed, n in enumerate((30, 17, 15)))
    return [*a, *map(bright, b), *[Picture(p.y // 3, p.u, p.v) for p in c]]


@pytest.fixture(scope="module")
def gop_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Times of 30000/1001 frames a second in milliseconds: steps of 33 and 34, the first frame is
    not at zero."""
    times = [round(i * 1001 / 30) + 67 for i in range(FRAMES)]
    return write(
        tmp_path_factory.mktemp("clip") / "in.mkv",
        header(W, H, rate=Fraction(30000, 1001)),
        film(),
        times,
        vcodec="ffv1",
    )


@pytest.fixture(scope="module")
def gop_want(gop_clip: Path, tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("want") / "a.vqv"
    import torch

    n = torch.get_num_threads()
    encode(str(gop_clip), str(path), OPTIONS, weights=str(tiny_weights))
    torch.set_num_threads(n)
    assert [e.count for e in reader(path).gops] == COUNTS
    return path.read_bytes()


def reader(path: Path) -> ContainerReader:
    return ContainerReader.open(io.BytesIO(path.read_bytes()))


class Act(Progress):
    """Calls a function once some frames are coded, and keeps what it was told."""

    def __init__(self, act: Any = None, at: int = 1) -> None:
        super().__init__("none")
        self._act, self._at = act, at
        self.seen: list[int] = []

    def update(self, frames: int, bytes: int | None = None, psnr: float | None = None) -> None:
        self.seen.append(frames)
        if self._act is not None and frames >= self._at:
            act, self._act = self._act, None
            act()
