"""Analysis: the encoder's own nets (float, never part of the format) from a frame to its latent and
hyper-latent."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ...codec.nets import tiles as exact_tiles
from ...codec.nets.shape import NetShape
from ...codec.nets.shuffle import unshuffle
from .layers import NO_TILES, Block, Linear, Tiles, anchor_weights

_HYPER = 16  # positions of the latent at a place of the hyper-latent


class Analysis(nn.Module):
    """Frame and prediction, packed (N, H/8, W/8, 96) in units of the full sample range, to the
    latent
    y (N, H/16, W/16, M) in quantisation steps and the hyper-latent z (N, H/64, W/64, Z)."""

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
        whole = torch.zeros(places * _HYPER, y.shape[1], dtype=y.dtype, device=y.device)
        whole[tiles.of_hyper] = _seen_by_hyper(y)
        near = torch.from_numpy(_around_places(tiles)).to(y.device)
        return y, self.hyper(self.hyper_block(whole, near=near).reshape(places, -1))

    def _seen(self, x: Tensor, pred: Tensor | None) -> Tensor:
        if not self.inter:
            return x
        assert pred is not None
        return torch.cat([(x - pred) * 8, pred], -1)


def _seen_by_hyper(y: Tensor) -> Tensor:
    return torch.asinh(2 * y.float()).to(y.dtype)


def _around_places(tiles: exact_tiles.Tiles[Tensor]) -> np.ndarray:
    """(K * 16, 9) int64: around all positions of the places with a coded tile, those in coded
    tiles, by their numbers among the K * 16; K * 16 for none."""
    frames, height, width = tiles.at16.shape
    total = len(tiles.hyper) * _HYPER
    number = np.full((frames, height + 2, width + 2), total)
    frame, place = np.divmod(tiles.at16.at, height * width)
    y, x = np.divmod(place, width)
    number[frame, y + 1, x + 1] = tiles.of_hyper.cpu().numpy()
    frame, place = np.divmod(tiles.hyper[:, None], height * width // _HYPER)
    row, column = np.divmod(place, width // 4)
    inside = np.arange(_HYPER)
    y, x = (row * 4 + inside // 4).ravel(), (column * 4 + inside % 4).ravel()
    frame = frame.repeat(_HYPER)
    return np.stack([number[frame, y + dy, x + dx] for dy in range(3) for dx in range(3)], 1)
