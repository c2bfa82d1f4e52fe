"""Training samples: random crops of pictures, alone or with the prediction made for them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from ..picture import Picture
from . import chunks
from .pictures import cut, full_scale, pack

BEST = 63.0  # the highest quality
ANYWHERE = 0.1  # share of the samples that are coded at any quality
NEAR = 5.0  # the others: qualities up to this far from that of their prediction
FAINTEST = 0.05  # contrast that is left at least of faint pictures
ENDS = (16 / 255 - 0.5, 235 / 255 - 0.5)  # luma of black and white
LUMA = 64  # of the packed channels


class Batch(NamedTuple):
    """Samples for the nets: packed (n, size/8, size/8, 96) in [-0.5, 0.5], qualities (n,)."""

    picture: Tensor
    prediction: Tensor | None
    quality: Tensor


def faded(batch: Batch, share: float, drawn: Tensor) -> Batch:
    """A batch without predictions, this share of whose samples have become faint pictures near
    black or white.

    Photographs seldom lie there, but films do for seconds, and nets that have hardly met the huge
    values in their latents clip them. drawn (3, n): random numbers in [0, 1).
    """
    chosen, contrast, end = drawn
    left = torch.where(chosen < share, FAINTEST**contrast, 1.0)[:, None, None, None]
    black, white = ENDS
    middle = torch.where(end < 0.5, black, white)[:, None, None, None]
    luma, chroma = batch.picture.tensor_split([LUMA], -1)
    moved = torch.cat([luma * left + middle * (1 - left), chroma * left], -1)
    return batch._replace(picture=moved.to(batch.picture.dtype))


class Batches(Protocol):
    """What gives batches without end."""

    def batch(self, samples: int) -> Batch:
        """A new batch."""


class _Planes(NamedTuple):
    """A crop, in [-0.5, 0.5]: luma (size, size), chroma (2, size/2, size/2)."""

    luma: np.ndarray
    chroma: np.ndarray


class _Sample(NamedTuple):
    """One of a batch."""

    picture: _Planes
    prediction: _Planes | None
    quality: float


class CropItem(NamedTuple):
    """A picture that crops are cut from, and the range of qualities it is to be coded at."""

    picture: Picture
    prediction: Picture | None = None
    qualities: tuple[float, float] = (0.0, BEST)


class Turn(NamedTuple):
    """How a crop is turned: columns and rows reversed, rows and columns exchanged."""

    mirrored: bool
    upside_down: bool
    transposed: bool

    @classmethod
    def random(cls, rng: np.random.Generator) -> Turn:
        """Each of the eight as often as another."""
        return cls(*(bool(v) for v in rng.random(3) < 0.5))

    def __call__(self, array: np.ndarray) -> np.ndarray:
        """An array (..., H, W), turned."""
        if self.mirrored:
            array = array[..., ::-1]
        if self.upside_down:
            array = array[..., ::-1, :]
        return np.swapaxes(array, -1, -2) if self.transposed else array


class Crops:
    """Batches of random square crops, turned, of pictures in memory.

    Args:
        size: width and height of a crop in samples, a multiple of 64.
        seed: of all that is random.
        faint: share of the samples that become faint ones, see :func:`faded`.
    """

    def __init__(self, size: int = 192, seed: int = 0, faint: float = 0.0) -> None:
        self.faint = faint
        self.items: list[CropItem] = []
        self.size, self.rng = size, np.random.default_rng(seed)
        self._read: set[Path] = set()

    def add(
        self,
        picture: Picture,
        prediction: Picture | None = None,
        qualities: tuple[float, float] = (0.0, BEST),
    ) -> None:
        """A picture and the range of qualities it is to be coded at; small ones are left out."""
        if min(picture.y.shape) >= self.size:
            self.items.append(CropItem(picture, prediction, qualities))

    def add_pairs(self, folder: Path, of: str = chunks.PAIRS) -> int:
        """Load new chunks that :mod:`vqcodec.training.pairs` wrote; gives the number of items.

        ``of``: what their names begin with.
        """
        for path in sorted(folder.glob(f"{of}*.npz*")):
            if path in self._read:
                continue
            self._read.add(path)
            for pair in chunks.load_pairs(path):
                near = (pair.quality - NEAR, pair.quality + NEAR)
                self.add(pair.picture, pair.prediction, near)
        return len(self.items)

    def batch(self, samples: int) -> Batch:
        """Crops at even places, each turned in its own way."""
        crops = [self._crop() for _ in range(samples)]
        pictures = pack(*_stacked([crop.picture for crop in crops]))
        predictions = [crop.prediction for crop in crops if crop.prediction is not None]
        batch = Batch(
            pictures,
            pack(*_stacked(predictions)) if predictions else None,
            torch.tensor([crop.quality for crop in crops]),
        )
        if not self.faint:
            return batch
        return faded(batch, self.faint, torch.from_numpy(self.rng.random((3, samples), np.float32)))

    def _crop(self) -> _Sample:
        """A crop at random."""
        item = self.items[self.rng.integers(len(self.items))]
        top, left = (
            int(self.rng.integers((v - self.size) // 2 + 1)) * 2 for v in item.picture.y.shape
        )
        turn = Turn.random(self.rng)

        def part(picture: Picture) -> _Planes:
            crop = cut(picture, self.size, self.size, top, left)
            scale = np.float32(1 / full_scale(picture))
            luma, chroma = crop.y * scale, np.stack([crop.u, crop.v]) * scale
            return _Planes(turn(luma - np.float32(0.5)), turn(chroma - np.float32(0.5)))

        prediction = None if item.prediction is None else part(item.prediction)
        return _Sample(part(item.picture), prediction, self._quality(*item.qualities))

    def _quality(self, low: float, high: float) -> float:
        """Of a sample: near the one its prediction was made for, sometimes anywhere."""
        if self.rng.random() < ANYWHERE:
            low, high = 0.0, BEST
        return float(np.clip(self.rng.uniform(low, high), 0, BEST))


def _stacked(parts: list[_Planes]) -> tuple[Tensor, Tensor]:
    luma, chroma = (np.ascontiguousarray(np.stack(planes)) for planes in zip(*parts, strict=True))
    return torch.from_numpy(luma), torch.from_numpy(chroma)
