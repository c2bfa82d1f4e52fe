"""Analysis: the encoder's own nets (float, never part of the format) from a frame to its latent and
hyper-latent."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ...codec.nets import tiles as exact_tiles
from ...codec.nets.float32_backend import Float32Backend
from ...codec.nets.shape import NetShape
from ...codec.nets.shuffle import unshuffle
from .arithmetic import floats, one_thread
from .around_places import POSITIONS, around_places
from .layers import NO_TILES, Block, Linear, Tiles, anchor_weights


class Analysis(nn.Module):
    """Frame and prediction, packed (N, H/8, W/8, 96) in units of the full sample range, to the
    latent y (N, H/16, W/16, M) in quantisation steps and the hyper-latent z (N, H/64, W/64, Z)."""

    def __init__(self, shape: NetShape):
        super().__init__()
        self.inter = shape.inter
        self.first = Linear(192 if shape.inter else 96, shape.enc8, quality=True)
        self.blocks8 = nn.ModuleList([Block(shape.enc8) for _ in range(shape.enc_blocks)])
        self.down = Linear(4 * shape.enc8, shape.enc16)
        self.blocks16 = nn.ModuleList([Block(shape.enc16) for _ in range(shape.enc16_blocks)])
        self.last = Linear(shape.enc16, shape.latent, quality=True)
        self.hyper_block = Block(shape.latent, 1)
        self.hyper = Linear(16 * shape.latent, shape.hyper)

    def forward(
        self, x: Tensor, pred: Tensor | None, quality: Tensor, tiles: Tiles | None = None
    ) -> tuple[Tensor, Tensor]:
        """Latent y and hyper-latent z of a frame.

        Args:
            x: The frame, (N, H/8, W/8, 96).
            pred: Its prediction, of the same shape; None of an I frame.
            quality: index of each frame, (N,).
            tiles: What is coded of each resolution; all by default.
        """
        m8, m16, _ = tiles or NO_TILES
        at = anchor_weights(quality)
        trunk = self.first(self._seen(x, pred), at)
        for block in self.blocks8:
            trunk = block(trunk, m8)
        trunk = self.down(unshuffle(trunk, 2))
        for block in self.blocks16:
            trunk = block(trunk, m16)
        y = self.last(trunk, at)
        if m16 is not None:
            y = y * m16
        return y, self.hyper(unshuffle(self.hyper_block(_seen_by_hyper(y), m16), 4))

    def rows(
        self, rows: Tensor, pred: Tensor | None, quality: Tensor, tiles: exact_tiles.Tiles[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """The same of the coded tiles of one frame alone.

        rows, pred (M, 96): at 1/8; quality (1,). Returns the latent, a row for each position at
        1/16, and the hyper-latent, one for each place with a coded tile.
        """
        at = anchor_weights(quality)
        trunk = self.first(self._seen(rows, pred), at)
        for block in self.blocks8:
            trunk = block(trunk, near=tiles.at8.near)
        trunk = self.down(trunk.reshape(len(tiles.at16.at), -1))
        for block in self.blocks16:
            trunk = block(trunk, near=tiles.at16.near)
        latent = self.last(trunk, at)
        places = len(tiles.hyper)
        whole = torch.zeros(
            places * POSITIONS, latent.shape[1], dtype=latent.dtype, device=latent.device
        )
        whole[tiles.of_hyper] = _seen_by_hyper(latent)
        near = torch.from_numpy(around_places(tiles, tiles.of_hyper.cpu().numpy())).to(
            latent.device
        )
        return latent, self.hyper(self.hyper_block(whole, near=near).reshape(places, -1))

    def of_arrays(
        self,
        rows: np.ndarray,
        pred: np.ndarray | None,
        quality: float,
        tiles: exact_tiles.Tiles[np.ndarray],
        arithmetic: str,
    ) -> tuple[np.ndarray, np.ndarray]:
        """:meth:`rows` on arrays of the CPU, on the device of the net, in ``bfloat16`` or
        ``float32``."""
        device = self.down.weight.device
        there = tiles.on(Float32Backend(str(device)))
        with torch.inference_mode(), one_thread(), floats(arithmetic, device):
            at = torch.tensor([quality], dtype=torch.float32, device=device)
            seen = None if pred is None else torch.from_numpy(pred).to(device)
            found = self.rows(torch.from_numpy(rows).to(device), seen, at, there)
        rows, places = (np.nan_to_num(t.float().cpu().numpy()) for t in found)
        return rows, places

    def _seen(self, picture: Tensor, pred: Tensor | None) -> Tensor:
        if not self.inter:
            return picture
        assert pred is not None
        return torch.cat([(picture - pred) * 8, pred], -1)


def _seen_by_hyper(latent: Tensor) -> Tensor:
    return torch.asinh(2 * latent.float()).to(latent.dtype)
