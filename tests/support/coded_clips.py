"""A short scene as a video file and as a .vqv file, and what is read back of it."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from support.clips import header, write
from support.fake_network import fake_network  # noqa: F401
from vqcodec.container.reader import ContainerReader
from vqcodec.media.source import VideoSource
from vqcodec.options import EncodeOptions
from vqcodec.picture import Picture
from vqcodec.pipeline.encode import encode


def scene(seed: int, n: int, width: int = 32, height: int = 24) -> list[Picture]:
    """A slowly panning scene of blocks."""
    rng = np.random.default_rng(seed)
    big = np.kron(rng.integers(20, 236, (16, 32)), np.ones((8, 8))).astype(np.uint8)
    result = []
    for i in range(n):
        y = np.ascontiguousarray(big[40 : 40 + height, i : i + width])
        c = np.full(((height + 1) // 2, (width + 1) // 2), 100 + seed, np.uint8)
        result.append(Picture(y, c, c.copy()))
    return result


def frames(path: Path) -> list[tuple[Fraction, Picture]]:
    with VideoSource(path) as source:
        return [(pts * source.time_base, p) for pts, p in source]


def reader(path: Path) -> ContainerReader:
    return ContainerReader.open(io.BytesIO(path.read_bytes()))


def flip(path: Path, gop: int) -> None:
    data = bytearray(path.read_bytes())
    entries = reader(path).gops
    data[entries[gop].offset + 40] ^= 1
    path.write_bytes(bytes(data))


@pytest.fixture
def scene_clip(tmp_path: Path) -> Path:
    return write(
        tmp_path / "in.mkv",
        header(32, 24),
        scene(1, 20) + scene(2, 30) + scene(3, 5),
        vcodec="ffv1",
    )


@pytest.fixture
def scene_coded(tmp_path: Path, scene_clip: Path) -> Path:
    encode(str(scene_clip), str(tmp_path / "a.vqv"), EncodeOptions(gop=20))
    return tmp_path / "a.vqv"
