"""Synthesis: the exact net from the latent and the prediction to the residual in 10-bit samples."""

from __future__ import annotations

import torch
from torch import Tensor

from .backends import Backend
from .exact_layers import ExactBlock, ExactLinear, run_blocks
from .shape import NetShape
from .shuffle import shuffle


class Synthesis:
    """Residual (N, H/8, W/8, 96) int16, added to the prediction, or to grey where there is none."""

    def __init__(self, tensors: dict[str, Tensor], shape: NetShape, backend: Backend):
        self.shape, self.backend = shape, backend
        device = backend.device
        self.s_y = tensors["synthesis.s_y"].to(device)  # (64, M): step and gain of each quality
        self.first = ExactLinear.load(tensors, "synthesis.first", device)
        self.up = ExactLinear.load(tensors, "synthesis.up", device)
        self.blocks16 = [
            ExactBlock(tensors, f"synthesis.blocks16.{i}", device)
            for i in range(shape.dec16_blocks)
        ]
        self.s_up = tensors["synthesis.s_up"].to(device)
        if shape.inter:
            self.pred = ExactLinear.load(tensors, "synthesis.pred", device)
        self.blocks8 = [
            ExactBlock(tensors, f"synthesis.blocks8.{i}", device) for i in range(shape.dec_blocks)
        ]
        self.s_last = tensors["synthesis.s_last"].to(device)
        # the last block of each resolution is read wide: its int8 copy is not used
        self.s_end16, self.s_end = torch.ones_like(self.s_up), torch.ones_like(self.s_last)
        self.last = ExactLinear.load(tensors, "synthesis.last", device)

    def __call__(self, y: Tensor, pred8: Tensor | None, q: int) -> Tensor:
        """The residual, (N, H/8, W/8, 96) int16.

        Args:
            y: (N, H/16, W/16, M) int16, the latent in sixteenths of a step.
            pred8: (N, H/8, W/8, 96) int8, the prediction; None in frames without one.
            q: quality of the latent, 0..63.
        """
        backend = self.backend
        n, h, w, m = y.shape
        trunk = backend.wide16(y.reshape(-1, m), self.s_y[q], self.first, q)
        x = backend.quant8(trunk, self.blocks16[0].s_in)
        run_blocks(backend, self.blocks16, trunk, x, (n, h, w), self.s_end16)
        t = backend.wide16(trunk, self.s_up, self.up, 0)
        trunk = shuffle(t.reshape(n, h, w, -1), 2).reshape(n * h * w * 4, -1).contiguous()
        s_in = self.blocks8[0].s_in
        if self.shape.inter:
            assert pred8 is not None
            x = backend.product_add(pred8.reshape(-1, 96), self.pred, q, trunk, s_in)
        else:
            x = backend.quant8(trunk, s_in)
        run_blocks(backend, self.blocks8, trunk, x, (n, h * 2, w * 2), self.s_end)
        out = backend.wide16(trunk, self.s_last, self.last, 0)
        return out.reshape(n, h * 2, w * 2, 96)


def pack(planes: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Planes (H, W), (H/2, W/2) twice -> (1, H/8, W/8, 96).

    The channels are the 64 luma, 16 Cb and 16 Cr samples of each 8x8 block, row-major.
    """
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
