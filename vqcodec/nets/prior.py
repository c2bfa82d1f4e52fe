"""Prior: exact net from hyper-latent, prediction and the first half of the latent to a mean per channel and a rate class per group."""

from __future__ import annotations

import torch
from torch import Tensor

from .exact import Backend, ExactBlock, ExactLinear
from .layers import shuffle, unshuffle
from .shape import CLASS_ZERO, CLASSES, NetShape


class PriorStep:
    def __init__(self, d: dict[str, Tensor], name: str, device: torch.device):
        self.first = ExactLinear.load(d, name + ".first", device)
        self.block = ExactBlock(d, name + ".block", device)
        self.s_out = d[name + ".s_out"].to(device)
        self.mean, self.scale = ExactLinear.load(d, name + ".mean", device), ExactLinear.load(d, name + ".scale", device)

    def __call__(self, b: Backend, x8: Tensor, q: int, shape: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
        trunk = b.product16(x8, self.first, q)
        t = self.block(b, trunk, b.quant8(trunk, self.block.s_in), shape, self.s_out)
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
            self.cx_first, self.cx_last = ExactLinear.load(d, "prior.cx_first", dev), ExactLinear.load(d, "prior.cx_last", dev)
            self.cx_block = ExactBlock(d, "prior.cx_block", dev)
            self.s_cx = d["prior.s_cx"].to(dev)
        self.step1, self.step2 = PriorStep(d, "prior.step1", dev), PriorStep(d, "prior.step2", dev)
        self.s_y = d["prior.s_y"].to(dev)

    def context(self, z: Tensor, pred8: Tensor | None) -> tuple[Tensor, Tensor]:
        """z (N, H/64, W/64, Z) int16 sixteenths, pred8 (N, H/8, W/8, 96) int8 -> int8 contexts (N, H/16, W/16, C) of both steps.

        The contexts of the steps differ only in the scales of their channels.
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
        return outs[0], outs[1]

    def first(self, h: Tensor, q: int) -> tuple[Tensor, Tensor]:
        return self._step(self.step1, h, q)

    def second(self, h: Tensor, y: Tensor, q: int) -> tuple[Tensor, Tensor]:
        """y (N, H/16, W/16, M) int16: the first half, decoded, zero elsewhere."""
        y8 = self.b.quant8(y.reshape(-1, self.s.latent), self.s_y).reshape(y.shape)
        return self._step(self.step2, torch.cat([y8, h], -1), q)

    def _step(self, step: PriorStep, x: Tensor, q: int) -> tuple[Tensor, Tensor]:
        n, h, w, c = x.shape
        mean, cls = step(self.b, x.reshape(-1, c), q, (n, h, w))
        return mean.reshape(n, h, w, -1), cls.reshape(n, h, w, -1)
