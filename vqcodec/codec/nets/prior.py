"""Prior: the exact net that says what to expect of a latent.

From the hyper-latent, the prediction and what is decoded of the latent, to a mean for each channel
and a rate class for each group of channels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .backends import Backend
from .exact_layers import ExactBlock, ExactLinear, run_blocks
from .shape import CLASS_ZERO, CLASSES, NetShape
from .shuffle import shuffle, unshuffle


class PriorStep:
    """The layers of one step of the latent."""

    def __init__(self, tensors: dict[str, Tensor], name: str, blocks: int, device: torch.device):
        self.first = ExactLinear.load(tensors, name + ".first", device)
        self.blocks = [ExactBlock(tensors, f"{name}.blocks.{i}", device) for i in range(blocks)]
        self.s_out = tensors[name + ".s_out"].to(device)
        self.mean = ExactLinear.load(tensors, name + ".mean", device)
        self.scale = ExactLinear.load(tensors, name + ".scale", device)

    def __call__(
        self, backend: Backend, x8: Tensor, q: int, shape: tuple[int, int, int]
    ) -> tuple[Tensor, Tensor]:
        """x8 (N*H*W, C) int8, ``shape`` (N, H, W) -> mean int16 and class uint8, row by row."""
        trunk = backend.product16(x8, self.first, q)
        x8 = backend.quant8(trunk, self.blocks[0].s_in)
        t = run_blocks(backend, self.blocks, trunk, x8, shape, self.s_out)
        mean = backend.product16(t, self.mean, 0)
        cls = backend.product16(t, self.scale, 0)
        return mean, (cls.clamp(-CLASS_ZERO, CLASSES - 1 - CLASS_ZERO) + CLASS_ZERO).to(torch.uint8)


class Prior:
    """mean int16 (N, H/16, W/16, M) in sixteenths of a step, class uint8 (N, H/16, W/16, M/4)."""

    def __init__(self, tensors: dict[str, Tensor], shape: NetShape, backend: Backend):
        self.shape, self.backend = shape, backend
        device = backend.device
        self.s_z = tensors["prior.s_z"].to(device)
        self.up = ExactLinear.load(tensors, "prior.up", device)
        if shape.inter:
            self.cx_first = ExactLinear.load(tensors, "prior.cx_first", device)
            self.cx_last = ExactLinear.load(tensors, "prior.cx_last", device)
            self.cx_block = ExactBlock(tensors, "prior.cx_block", device)
            self.s_cx = tensors["prior.s_cx"].to(device)
        self.steps = [
            PriorStep(tensors, f"prior.steps.{k}", shape.prior_blocks, device)
            for k in range(shape.steps)
        ]
        # the first step sees nothing of the latent
        self.s_y = [tensors[f"prior.steps.{k}.s_y"].to(device) for k in range(1, shape.steps)]

    def context(self, z: Tensor, pred8: Tensor | None) -> list[Tensor]:
        """z (N, H/64, W/64, Z) int16 sixteenths, pred8 (N, H/8, W/8, 96) int8 -> contexts.

        One for each step, (N, H/16, W/16, C) int8; they differ in the scales of channels only.
        """
        backend, shape = self.backend, self.shape
        n, h, w, _ = z.shape
        x = backend.quant8(z.reshape(-1, shape.hyper), self.s_z)
        outs = [shuffle(up.reshape(n, h, w, -1), 4) for up in backend.product8_each(x, self.up)]
        if shape.inter:
            assert pred8 is not None
            h8, w8 = pred8.shape[1:3]
            trunk = backend.product16(pred8.reshape(-1, 96), self.cx_first, 0)
            t = self.cx_block(
                backend, trunk, backend.quant8(trunk, self.cx_block.s_in), (n, h8, w8), self.s_cx
            )
            t = unshuffle(t.reshape(n, h8, w8, -1), 2)
            for k, c in enumerate(backend.product8_each(t.reshape(-1, t.shape[-1]), self.cx_last)):
                outs[k] = torch.cat([outs[k], c.reshape(n, h8 // 2, w8 // 2, -1)], -1)
        return outs

    def step(self, k: int, h: Tensor, y: Tensor, q: int) -> tuple[Tensor, Tensor]:
        """Mean and class of what step k codes (and of the rest, which nobody reads).

        h: its context; y (N, H/16, W/16, M) int16: the steps before, decoded, zero elsewhere.
        """
        x = h
        if k:
            y8 = self.backend.quant8(y.reshape(-1, self.shape.latent), self.s_y[k - 1])
            x = torch.cat([y8.reshape(y.shape), h], -1)
        n, height, width, c = x.shape
        mean, cls = self.steps[k](self.backend, x.reshape(-1, c), q, (n, height, width))
        return mean.reshape(n, height, width, -1), cls.reshape(n, height, width, -1)
