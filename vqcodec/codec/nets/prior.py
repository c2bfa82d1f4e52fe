"""Prior: exact net from hyper-latent, prediction and the first half of the latent to a mean per channel and a rate class per group."""

from __future__ import annotations

import torch
from torch import Tensor

from .backends import Backend
from .exact_layers import ExactBlock, ExactLinear, run_blocks
from .shape import CLASS_ZERO, CLASSES, NetShape
from .shuffle import shuffle, unshuffle


class PriorStep:
    def __init__(self, d: dict[str, Tensor], name: str, blocks: int, device: torch.device):
        self.first = ExactLinear.load(d, name + ".first", device)
        self.blocks = [ExactBlock(d, f"{name}.blocks.{i}", device) for i in range(blocks)]
        self.s_out = d[name + ".s_out"].to(device)
        self.mean, self.scale = (
            ExactLinear.load(d, name + ".mean", device),
            ExactLinear.load(d, name + ".scale", device),
        )

    def __call__(
        self, b: Backend, x8: Tensor, q: int, shape: tuple[int, int, int]
    ) -> tuple[Tensor, Tensor]:
        trunk = b.product16(x8, self.first, q)
        x8 = b.quant8(trunk, self.blocks[0].s_in)
        t = run_blocks(b, self.blocks, trunk, x8, shape, self.s_out)
        mean = b.product16(t, self.mean, 0)
        cls = b.product16(t, self.scale, 0)
        return mean, (cls.clamp(-CLASS_ZERO, CLASSES - 1 - CLASS_ZERO) + CLASS_ZERO).to(torch.uint8)


class Prior:
    """mean int16 (N, H/16, W/16, M) in sixteenths of a step, class uint8 (N, H/16, W/16, M/4)."""

    def __init__(self, d: dict[str, Tensor], s: NetShape, b: Backend):
        self.s, self.b = s, b
        dev = b.device
        self.s_z = d["prior.s_z"].to(dev)
        self.up = ExactLinear.load(d, "prior.up", dev)
        if s.inter:
            self.cx_first, self.cx_last = (
                ExactLinear.load(d, "prior.cx_first", dev),
                ExactLinear.load(d, "prior.cx_last", dev),
            )
            self.cx_block = ExactBlock(d, "prior.cx_block", dev)
            self.s_cx = d["prior.s_cx"].to(dev)
        self.steps = [PriorStep(d, f"prior.steps.{k}", s.prior_blocks, dev) for k in range(s.steps)]
        # the first step sees nothing of the latent
        self.s_y = [d[f"prior.steps.{k}.s_y"].to(dev) for k in range(1, s.steps)]

    def context(self, z: Tensor, pred8: Tensor | None) -> list[Tensor]:
        """z (N, H/64, W/64, Z) int16 sixteenths, pred8 (N, H/8, W/8, 96) int8 -> contexts.

        One for each step, (N, H/16, W/16, C) int8; they differ only in the scales of their channels.
        """
        b, s = self.b, self.s
        n, h, w, _ = z.shape
        x = b.quant8(z.reshape(-1, s.hyper), self.s_z)
        outs = [shuffle(up.reshape(n, h, w, -1), 4) for up in b.product8_each(x, self.up)]
        if s.inter:
            assert pred8 is not None
            h8, w8 = pred8.shape[1:3]
            trunk = b.product16(pred8.reshape(-1, 96), self.cx_first, 0)
            t = self.cx_block(b, trunk, b.quant8(trunk, self.cx_block.s_in), (n, h8, w8), self.s_cx)
            t = unshuffle(t.reshape(n, h8, w8, -1), 2)
            for k, c in enumerate(b.product8_each(t.reshape(-1, t.shape[-1]), self.cx_last)):
                outs[k] = torch.cat([outs[k], c.reshape(n, h8 // 2, w8 // 2, -1)], -1)
        return outs

    def step(self, k: int, h: Tensor, y: Tensor, q: int) -> tuple[Tensor, Tensor]:
        """Mean and class of what step k codes (and of the rest, which nobody reads).

        h: its context; y (N, H/16, W/16, M) int16: the steps before, decoded, zero elsewhere.
        """
        x = h
        if k:
            y8 = self.b.quant8(y.reshape(-1, self.s.latent), self.s_y[k - 1]).reshape(y.shape)
            x = torch.cat([y8, h], -1)
        n, height, width, c = x.shape
        mean, cls = self.steps[k](self.b, x.reshape(-1, c), q, (n, height, width))
        return mean.reshape(n, height, width, -1), cls.reshape(n, height, width, -1)
