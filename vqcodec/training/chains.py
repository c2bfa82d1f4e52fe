"""Training samples of two frames each, the second predicted from the first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..picture import Picture
from . import chunks
from .chunks import FrameChain
from .crops import BEST, NEAR, Batch, Turn
from .pictures import cut, full_scale, pack, unpack

CELL = 8  # samples of a cell that has its own motion


@dataclass
class ChainBatch:
    """Crops of frames that others were predicted from, and of those others; packed as a Batch is.

    ``decoded``: the first frames as they were when the second ones were predicted from them.
    ``share`` (n, S/8, S/8): how much of a cell of that prediction came from them (0, 1/2, 1).
    ``motion`` (n, 2, S/8, S/8): from where, [down, right] in samples.
    """

    first: Batch
    decoded: Tensor
    second: Batch
    share: Tensor
    motion: Tensor

    def predicted(self, out: Tensor) -> Tensor:
        """The prediction of the second frames had the first ones been decoded as ``out``.

        The difference moves along (bilinear, where the codec has longer filters). ``decoded`` has
        detail and direct blocks, ``out`` comes from the synthesis alone.
        """
        prediction = self.second.prediction
        assert prediction is not None
        luma, chroma = unpack(out.float() - self.decoded)
        moved = pack(self._moved(luma[:, None], CELL)[:, 0], self._moved(chroma, CELL // 2))
        return (prediction + moved).clamp(-0.5, 0.5)

    def _moved(self, difference: Tensor, cell: int) -> Tensor:
        def up(of_cells: Tensor) -> Tensor:
            return of_cells.repeat_interleave(cell, -1).repeat_interleave(cell, -2)

        height, width = difference.shape[2:]
        motion = up(self.motion) * (cell / CELL)
        rows = torch.arange(height, device=motion.device)[:, None] + motion[:, 0]
        columns = torch.arange(width, device=motion.device)[None] + motion[:, 1]
        grid = torch.stack([columns * (2 / (width - 1)) - 1, rows * (2 / (height - 1)) - 1], -1)
        moved = F.grid_sample(difference, grid, "bilinear", "zeros", align_corners=True)
        return moved * up(self.share)[:, None]


class Chains:
    """Batches of random crops of chains, turned."""

    def __init__(self, size: int = 192, seed: int = 0) -> None:
        self.items: list[FrameChain] = []
        self.size, self.rng = size, np.random.default_rng(seed)
        self._read: set[Path] = set()

    def add_folder(self, folder: Path) -> int:
        """Load new chunks that :mod:`vqcodec.training.pairs` wrote; gives the number of chains."""
        for path in sorted(folder.glob(f"{chunks.CHAINS}*.npz*")):
            if path not in self._read:
                self._read.add(path)
                self.items += [
                    chain
                    for chain in chunks.load_chains(path)
                    if min(chain.first.picture.y.shape) >= self.size
                ]
        return len(self.items)

    def batch(self, samples: int, device: torch.device | str = "cpu") -> ChainBatch:
        """Cut at whole cells of motion, at the qualities they were coded at and up to 5 beside."""
        crops = [self._crop() for _ in range(samples)]

        def column(name: str) -> Tensor:
            arrays = np.stack([crop[name] for crop in crops])
            return torch.from_numpy(np.ascontiguousarray(arrays)).to(device)

        def packed(name: str) -> Tensor:
            return pack(column(name + " luma"), column(name + " chroma"))

        return ChainBatch(
            Batch(packed("first"), packed("first prediction"), column("first quality")),
            packed("decoded"),
            Batch(packed("second"), packed("second prediction"), column("second quality")),
            column("share"),
            column("motion"),
        )

    def _crop(self) -> dict[str, np.ndarray]:
        chain = self.items[self.rng.integers(len(self.items))]
        cells = self.size // CELL
        top, left = (
            int(self.rng.integers(v // CELL - cells + 1)) for v in chain.first.picture.y.shape
        )
        turn, off = Turn.random(self.rng), self.rng.uniform(-NEAR, NEAR)
        pictures = {
            "first": chain.first.picture,
            "first prediction": chain.first.prediction,
            "decoded": chain.decoded,
            "second": chain.second.picture,
            "second prediction": chain.second.prediction,
        }
        crop: dict[str, np.ndarray] = {}
        for name, picture in pictures.items():
            part = cut(picture, self.size, self.size, top * CELL, left * CELL)
            crop[name + " luma"] = turn(_scaled(part.y, picture))
            crop[name + " chroma"] = turn(_scaled(np.stack([part.u, part.v]), picture))
        for name, pair in (("first", chain.first), ("second", chain.second)):
            crop[name + " quality"] = np.array(np.clip(pair.quality + off, 0, BEST), np.float32)
        at = (..., slice(top, top + cells), slice(left, left + cells))
        crop["share"] = turn(chain.share[at].astype(np.float32))
        crop["motion"] = _turned_motion(chain.motion[at], turn)
        return crop


def _scaled(plane: np.ndarray, picture: Picture) -> np.ndarray:
    scaled: np.ndarray = plane * np.float32(1 / full_scale(picture)) - np.float32(0.5)
    return scaled


def _turned_motion(motion: np.ndarray, turn: Turn) -> np.ndarray:
    """(2, H, W) in quarters -> in samples, turned with the picture that it is of."""
    signs = np.where((turn.upside_down, turn.mirrored), -0.25, 0.25).astype(np.float32)
    turned = turn(motion.astype(np.float32) * signs[:, None, None])
    return turned[::-1] if turn.transposed else turned
