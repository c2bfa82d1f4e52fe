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

    def __init__(self, s: NetShape):
        super().__init__()
        self.inter = s.inter
        self.first = Linear(192 if s.inter else 96, s.enc8, quality=True)
        self.blocks8 = nn.ModuleList([Block(s.enc8) for _ in range(s.enc_blocks)])
        self.down = Linear(4 * s.enc8, s.enc16)
        self.blocks16 = nn.ModuleList([Block(s.enc16) for _ in range(s.enc16_blocks)])
        self.last = Linear(s.enc16, s.latent, quality=True)
        self.hyper_block = Block(s.latent, 1)
        self.hyper = Linear(16 * s.latent, s.hyper)

    def forward(
        self, x: Tensor, pred: Tensor | None, q: Tensor, tiles: Tiles | None = None
    ) -> tuple[Tensor, Tensor]:
        """Latent y and hyper-latent z of a frame.

        Args:
            x: The frame, (N, H/8, W/8, 96).
            pred: Its prediction, of the same shape; None of an I frame.
            q: Quality index of each frame, (N,).
            tiles: What is coded of each resolution; all by default.
        """
        m8, m16, _ = tiles or NO_TILES
        at = anchor_weights(q)
        t = self.first(self._seen(x, pred), at)
        for block in self.blocks8:
            t = block(t, m8)
        t = self.down(unshuffle(t, 2))
        for block in self.blocks16:
            t = block(t, m16)
        y = self.last(t, at)
        if m16 is not None:
            y = y * m16
        return y, self.hyper(unshuffle(self.hyper_block(_seen_by_hyper(y), m16), 4))

    def rows(
        self, x: Tensor, pred: Tensor | None, q: Tensor, tiles: exact_tiles.Tiles[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """The same of the coded tiles of one frame alone.

        x, pred (M, 96): rows at 1/8; q (1,). Returns y, a row for each position at 1/16, and z, one
        for each place with a coded tile.
        """
        at = anchor_weights(q)
        t = self.first(self._seen(x, pred), at)
        for block in self.blocks8:
            t = block(t, near=tiles.at8.near)
        t = self.down(t.reshape(len(tiles.at16.at), -1))
        for block in self.blocks16:
            t = block(t, near=tiles.at16.near)
        y = self.last(t, at)
        places = len(tiles.hyper)
        whole = torch.zeros(places * POSITIONS, y.shape[1], dtype=y.dtype, device=y.device)
        whole[tiles.of_hyper] = _seen_by_hyper(y)
        near = torch.from_numpy(around_places(tiles, tiles.of_hyper.cpu().numpy())).to(y.device)
        return y, self.hyper(self.hyper_block(whole, near=near).reshape(places, -1))

    def of_arrays(
        self,
        x: np.ndarray,
        pred: np.ndarray | None,
        q: float,
        tiles: exact_tiles.Tiles[np.ndarray],
        arithmetic: str,
    ) -> tuple[np.ndarray, np.ndarray]:
        """:meth:`rows` on arrays of the CPU, on the device of the net, in ``bfloat16`` or
        ``float32``."""
        device = self.down.weight.device
        there = tiles.on(Float32Backend(str(device)))
        with torch.inference_mode(), one_thread(), floats(arithmetic, device):
            at = torch.tensor([q], dtype=torch.float32, device=device)
            seen = None if pred is None else torch.from_numpy(pred).to(device)
            found = self.rows(torch.from_numpy(x).to(device), seen, at, there)
        rows, places = (np.nan_to_num(t.float().cpu().numpy()) for t in found)
        return rows, places

    def _seen(self, x: Tensor, pred: Tensor | None) -> Tensor:
        if not self.inter:
            return x
        assert pred is not None
        return torch.cat([(x - pred) * 8, pred], -1)


def _seen_by_hyper(y: Tensor) -> Tensor:
    return torch.asinh(2 * y.float()).to(y.dtype)
