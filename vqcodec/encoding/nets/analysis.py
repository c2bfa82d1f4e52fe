"""Analysis: the encoder's own nets (float, never part of the format) from a frame to its latent and
hyper-latent."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...codec.nets.shape import NetShape
from ...codec.nets.shuffle import unshuffle
from .layers import NO_TILES, Block, Linear, Tiles, anchor_weights


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
        if self.inter:
            assert pred is not None
            x = torch.cat([(x - pred) * 8, pred], -1)
        t = self.first(x, at)
        for block in self.blocks8:
            t = block(t, m8)
        t = self.down(unshuffle(t, 2))
        for block in self.blocks16:
            t = block(t, m16)
        y = self.last(t, at)
        if m16 is not None:
            y = y * m16
        h = torch.asinh(2 * y.float()).to(y.dtype)
        return y, self.hyper(unshuffle(self.hyper_block(h, m16), 4))
