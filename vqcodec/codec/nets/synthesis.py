"""Synthesis: exact decoder net from the latent (and the prediction) to the residual, in 10-bit sample units."""

from __future__ import annotations

import torch
from torch import Tensor

from .backends import Backend
from .exact_layers import ExactBlock, ExactLinear, run_blocks
from .shape import NetShape
from .shuffle import shuffle


class Synthesis:
    def __init__(self, d: dict[str, Tensor], s: NetShape, b: Backend):
        self.s, self.b = s, b
        dev = b.device
        self.s_y = d["synthesis.s_y"].to(dev)  # (64, M): step and gain of each quality
        self.first, self.up = (
            ExactLinear.load(d, "synthesis.first", dev),
            ExactLinear.load(d, "synthesis.up", dev),
        )
        self.blocks16 = [
            ExactBlock(d, f"synthesis.blocks16.{i}", dev) for i in range(s.dec16_blocks)
        ]
        self.s_up = d["synthesis.s_up"].to(dev)
        if s.inter:
            self.pred = ExactLinear.load(d, "synthesis.pred", dev)
        self.blocks8 = [ExactBlock(d, f"synthesis.blocks8.{i}", dev) for i in range(s.dec_blocks)]
        self.s_last = d["synthesis.s_last"].to(dev)
        # the last block of each resolution is read wide: its int8 copy is not used
        self.s_end16, self.s_end = torch.ones_like(self.s_up), torch.ones_like(self.s_last)
        self.last = ExactLinear.load(d, "synthesis.last", dev)

    def __call__(self, y: Tensor, pred8: Tensor | None, q: int) -> Tensor:
        """y (N, H/16, W/16, M) int16 sixteenths, pred8 (N, H/8, W/8, 96) int8 or None -> residual (N, H/8, W/8, 96) int16."""
        b = self.b
        n, h, w, m = y.shape
        trunk = b.wide16(y.reshape(-1, m), self.s_y[q], self.first, q)
        x = b.quant8(trunk, self.blocks16[0].s_in)
        run_blocks(b, self.blocks16, trunk, x, (n, h, w), self.s_end16)
        t = b.wide16(trunk, self.s_up, self.up, 0)
        trunk = shuffle(t.reshape(n, h, w, -1), 2).reshape(n * h * w * 4, -1).contiguous()
        s_in = self.blocks8[0].s_in
        if self.s.inter:
            assert pred8 is not None
            x = b.product_add(pred8.reshape(-1, 96), self.pred, q, trunk, s_in)
        else:
            x = b.quant8(trunk, s_in)
        run_blocks(b, self.blocks8, trunk, x, (n, h * 2, w * 2), self.s_end)
        out = b.wide16(trunk, self.s_last, self.last, 0)
        return out.reshape(n, h * 2, w * 2, 96)


def pack(planes: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Planes (H, W), (H/2, W/2) twice -> (1, H/8, W/8, 96): 64 luma, 16 Cb, 16 Cr samples of each 8x8 block, row-major."""
    out = []
    for p, r in zip(planes, (8, 4, 4), strict=True):
        h, w = p.shape
        out.append(
            p.reshape(h // r, r, w // r, r).permute(0, 2, 1, 3).reshape(h // r, w // r, r * r)
        )
    return torch.cat(out, -1)[None]


def unpack(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The inverse of :func:`pack` for N = 1."""
    _, h, w, _ = x.shape
    out = []
    for a, b, r in ((0, 64, 8), (64, 80, 4), (80, 96, 4)):
        out.append(
            x[0, :, :, a:b]
            .reshape(h, w, r, r)
            .permute(0, 2, 1, 3)
            .reshape(h * r, w * r)
            .contiguous()
        )
    return out[0], out[1], out[2]
