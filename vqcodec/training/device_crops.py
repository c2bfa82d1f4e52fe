"""Random crops of pictures that lie in a device's memory, gathered there."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..picture import Picture
from .crops import ANYWHERE, BEST, Batch, Batches, CropItem, Crops, faded
from .pictures import LEVELS10, pack

_GRID = 8  # pictures are cut to multiples of it


def batches_on(device: torch.device, crops: Crops, seed: int = 0) -> Batches:
    """Batches of the crops on a device: the CPU's own, else gathered there."""
    return crops if device.type == "cpu" else DeviceCrops(crops, device, seed)


class DeviceCrops:
    """Batches as :class:`vqcodec.training.crops.Crops` gives them, with everything on a device.

    Pictures that were added to ``crops`` since the last batch are sent to the device first. All
    of them must have a prediction, or none.
    """

    def __init__(self, crops: Crops, device: torch.device, seed: int = 0) -> None:
        self.crops, self.device = crops, device
        self._generator = torch.Generator(device).manual_seed(seed)
        self._planes: list[Tensor] = []  # luma, chroma of the pictures; then of the predictions
        self._rows: list[
            tuple[float, ...]
        ] = []  # height, width, begin in luma and chroma, qualities
        self._table = torch.zeros(0)

    def _send_new(self) -> None:
        new: list[list[Tensor]] = []
        luma_end, chroma_end = (len(p) for p in self._planes[:2]) if self._planes else (0, 0)
        for item in self.crops.items[len(self._rows) :]:
            height, width = (v // _GRID * _GRID for v in item.picture.y.shape)
            new.append(_flat_planes(item, height, width))
            self._rows.append((height, width, luma_end, chroma_end, *item.qualities))
            luma_end += height * width
            chroma_end += height * width // 2
        if new:
            sent = [torch.cat(list(c)).to(self.device) for c in zip(*new, strict=True)]
            old = self._planes or [torch.zeros(0, dtype=torch.int16, device=self.device)] * len(
                sent
            )
            self._planes = [torch.cat(pair) for pair in zip(old, sent, strict=True)]
            self._table = torch.tensor(self._rows, device=self.device, dtype=torch.float64)

    def _random(self, *shape: int) -> Tensor:
        return torch.rand(*shape, device=self.device, generator=self._generator)

    def batch(self, samples: int) -> Batch:
        """Crops at even places, each turned in its own way."""
        self._send_new()
        size = self.crops.size
        last = len(self._table) - 1
        items = (self._random(samples) * (last + 1)).long().clamp(max=last)
        height, width, luma_at, chroma_at, low, high = self._table[items].unbind(1)
        top, left = (self._place(side) for side in (height, width))
        turns = self._random(3, samples) < 0.5
        width, luma_at, chroma_at, height = (v.long() for v in (width, luma_at, chroma_at, height))
        luma = luma_at[:, None, None] + _offsets(size, top, left, width, turns)
        blue = _offsets(size // 2, top // 2, left // 2, width // 2, turns)
        blue = chroma_at[:, None, None] + blue
        chroma = torch.stack([blue, blue + (height * width // 4)[:, None, None]], 1)
        packed = [
            pack(
                *(
                    plane[where].float() / LEVELS10 - 0.5
                    for plane, where in zip(self._planes[k : k + 2], (luma, chroma), strict=True)
                )
            )
            for k in range(0, len(self._planes), 2)
        ]
        quality = low + self._random(samples) * (high - low)
        anywhere = self._random(samples) < ANYWHERE
        quality = torch.where(anywhere, self._random(samples) * BEST, quality).clamp(0, BEST)
        batch = Batch(packed[0], packed[1] if len(packed) > 1 else None, quality.float())
        if not self.crops.faint:
            return batch
        return faded(batch, self.crops.faint, self._random(3, samples))

    def _place(self, side: Tensor) -> Tensor:
        """Random even beginnings of crops in pictures of these heights or widths."""
        most = (side - self.crops.size) / 2
        return (self._random(len(side)) * (most + 1)).floor().clamp(max=most).long() * 2


def _offsets(size: int, top: Tensor, left: Tensor, width: Tensor, turns: Tensor) -> Tensor:
    """(n, size, size): where the samples of turned crops lie in planes of these widths."""
    run = torch.arange(size, device=top.device)
    mirrored, upside_down, transposed = turns
    rows = torch.where(upside_down[:, None], run.flip(0), run) + top[:, None]
    columns = torch.where(mirrored[:, None], run.flip(0), run) + left[:, None]
    at = rows[:, :, None] * width[:, None, None] + columns[:, None]
    return torch.where(transposed[:, None, None], at.transpose(1, 2), at)


def _flat_planes(item: CropItem, height: int, width: int) -> list[Tensor]:
    """Luma and chroma, 10 bits, of a picture and its prediction."""

    def flat(picture: Picture) -> list[Tensor]:
        luma = picture.y[:height, :width]
        chroma = np.stack([picture.u, picture.v])[:, : height // 2, : width // 2]
        shift = 0 if picture.ten_bit else 2
        return [torch.from_numpy(p.astype(np.int16).ravel() << shift) for p in (luma, chroma)]

    both = [item.picture] if item.prediction is None else [item.picture, item.prediction]
    return [plane for picture in both for plane in flat(picture)]
