"""The trainable model of one frame type: analysis, prior and synthesis as float nets.

They can learn quantisation-aware.

The prior and the synthesis here are the float twins of :mod:`vqcodec.codec.nets.prior` and
:mod:`vqcodec.codec.nets.synthesis`; :mod:`vqcodec.training.export` turns them into integers.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from ..codec.nets.shape import CLASS_ZERO, CLASSES, GROUP, TURN, NetShape
from ..codec.nets.shuffle import shuffle, unshuffle
from ..encoding.nets.analysis import Analysis
from ..encoding.nets.layers import NO_TILES, Act, Block, Linear, Tiles, anchor_weights, set_mode
from .autograd import applied, saved


class _LowerBound(torch.autograd.Function):
    """max(x, bound) whose gradient still pulls x up when below (Balle et al. 2018)."""

    @staticmethod
    def forward(ctx: FunctionCtx, values: Tensor, bound: float) -> Tensor:
        below = values < bound
        ctx.save_for_backward(below)
        return values.clamp(min=bound)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        (below,) = saved(ctx)
        return gradient * (~below | (gradient < 0)), None


def gauss_bits(residual: Tensor, scale: Tensor) -> Tensor:
    """Bits of a unit-wide bin at ``residual`` under a normal distribution of that scale."""
    far, root = residual.abs(), 1 / math.sqrt(2)
    p = torch.erfc(-(0.5 - far) / scale * root) - torch.erfc((0.5 + far) / scale * root)
    return -torch.log2(applied(_LowerBound, 0.5 * p, 1e-9))


def step_masks(
    height: int, width: int, channels: int, steps: int, device: torch.device | None = None
) -> list[Tensor]:
    """(1, height, width, channels) masks of what each step codes.

    The integers' own rule is :func:`vqcodec.codec.latent_syntax.active`.
    """
    rows = torch.arange(height, device=device)[:, None]
    columns = torch.arange(width, device=device)[None]
    groups = channels // GROUP
    part = torch.arange(channels, device=device) // GROUP * steps // groups
    if steps == 2:
        turn = ((rows + columns + 1) % 2)[..., None] ^ part
    else:
        place = (rows % 2 * 2 + columns % 2)[..., None] ^ part
        turn = torch.tensor(TURN, device=device)[place]
    return [(turn == k)[None].float() for k in range(steps)]


class PriorStep(nn.Module):
    """Context -> mean of every latent channel and one log2 scale for each group of four."""

    def __init__(self, cin: int, shape: NetShape) -> None:
        super().__init__()
        self.a_in = Act(cin)
        self.first = Linear(cin, shape.prior, self.a_in, quality=True)
        self.blocks = nn.ModuleList([Block(shape.prior, 1) for _ in range(shape.prior_blocks)])
        self.a_out = Act(shape.prior)
        self.mean = Linear(shape.prior, shape.latent, self.a_out, std=0.01)
        self.scale = Linear(shape.prior, shape.latent // GROUP, self.a_out, std=0.01)

    def forward(
        self, context: Tensor, at: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Means (N, H, W, M) and log2 scales (N, H, W, M/4) of a context (N, H, W, C)."""
        trunk = self.first(self.a_in(context), at)
        for block in self.blocks:
            trunk = block(trunk, mask)
        trunk = self.a_out(trunk)
        return self.mean(trunk).float(), self.scale(trunk).float()


class Prior(nn.Module):
    """Hyper-latent and prediction -> contexts, and what each step sees of them."""

    def __init__(self, shape: NetShape) -> None:
        super().__init__()
        self.shape = shape
        self.a_z = Act(shape.hyper)
        self.up = Linear(shape.hyper, 16 * shape.hyper_up, self.a_z)
        width = shape.hyper_up
        if shape.inter:
            self.a_pred = Act(96, share=0)
            self.cx_first = Linear(96, shape.context, self.a_pred)
            self.cx_block = Block(shape.context, 1)
            self.a_cx = Act(4 * shape.context, share=4)
            self.cx_last = Linear(4 * shape.context, shape.context_out, self.a_cx)
            width += shape.context_out
        self.steps = nn.ModuleList(
            [PriorStep(width + (shape.latent if k else 0), shape) for k in range(shape.steps)]
        )

    def each_step(self) -> list[PriorStep]:
        """The steps, in the order of coding."""
        return cast("list[PriorStep]", list(self.steps))

    def context(self, hyper: Tensor, pred: Tensor | None, m8: Tensor | None = None) -> Tensor:
        """(N, H/16, W/16, C) of a hyper-latent (N, H/64, W/64, Z) and a packed prediction."""
        context: Tensor = shuffle(self.up(self.a_z(hyper)), 4)
        if self.shape.inter:
            assert pred is not None
            seen = self.cx_block(self.cx_first(self.a_pred(pred)), m8)
            context = torch.cat([context, self.cx_last(self.a_cx(unshuffle(seen, 2)))], -1)
        return context


class Synthesis(nn.Module):
    """Latent and prediction -> residual, or picture where there is no prediction."""

    def __init__(self, shape: NetShape) -> None:
        super().__init__()
        self.shape = shape
        self.log_gain = nn.Parameter(torch.zeros(Linear.ANCHORS, shape.latent))
        self.a_y = Act(shape.latent, 16)
        self.first = Linear(shape.latent, shape.dec16, self.a_y, quality=True)
        self.blocks16 = nn.ModuleList([Block(shape.dec16) for _ in range(shape.dec16_blocks)])
        self.a_up = Act(shape.dec16, 16)
        self.up = Linear(shape.dec16, 4 * shape.dec8, self.a_up)
        if shape.inter:
            self.a_pred = Act(96, share=0)
            self.pred = Linear(96, shape.dec8, self.a_pred, quality=True)
        self.blocks8 = nn.ModuleList([Block(shape.dec8) for _ in range(shape.dec_blocks)])
        self.a_last = Act(shape.dec8, 16)
        self.last = Linear(shape.dec8, 96, self.a_last, std=0.01)

    def forward(
        self, latent: Tensor, pred: Tensor | None, at: Tensor, tiles: Tiles = NO_TILES
    ) -> Tensor:
        """Latent in steps, prediction (or None) -> residual, packed, in units of the full range."""
        m8, m16, _ = tiles
        latent = latent * torch.exp(at @ self.log_gain)[:, None, None]
        trunk = self.first(self.a_y(latent), at)
        for block in self.blocks16:
            trunk = block(trunk, m16)
        trunk = shuffle(self.up(self.a_up(trunk)), 2)
        if self.shape.inter:
            assert pred is not None
            trunk = trunk + self.pred(self.a_pred(pred), at)
        for block in self.blocks8:
            trunk = block(trunk, m8)
        residual: Tensor = self.last(self.a_last(trunk)) * 0.125
        return residual


class FrameModel(nn.Module):
    """Analysis, prior and synthesis of one frame type (I, or P/B given a prediction)."""

    def __init__(self, shape: NetShape) -> None:
        super().__init__()
        self.shape = shape
        self.analysis, self.prior, self.synthesis = Analysis(shape), Prior(shape), Synthesis(shape)
        self.z_scale = nn.Parameter(torch.zeros(shape.hyper))
        # the step that balances rate and distortion follows lambda^-0.5
        anchors = Linear.ANCHORS
        slope = 0.5 * math.log(2) / 6 * (63 * torch.arange(anchors) / (anchors - 1) - 40)
        with torch.no_grad():
            self.analysis.last.qgain.copy_(slope[:, None].expand(anchors, shape.latent))
            self.synthesis.log_gain.copy_(-slope[:, None].expand(anchors, shape.latent))

    def quantise_aware(self, mode: str) -> None:
        """Set the mode of the nets that the decoder runs as integers."""
        set_mode(self.prior, mode)
        set_mode(self.synthesis, mode)

    def forward(
        self, picture: Tensor, pred: Tensor | None, quality: Tensor, tiles: Tiles = NO_TILES
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Picture, pred (N, H/8, W/8, 96), quality (N,) -> picture like it, bits of latent and
        hyper-latent a sample (N,).

        ``tiles``: masks of what is coded; elsewhere the nets see zeros and the prediction is shown.
        """
        at = anchor_weights(quality)
        m8, m16, m64 = tiles
        latent, hyper = self.analysis(picture, pred, quality, tiles)
        latent, hyper = latent.float(), hyper.float()
        zbits = gauss_bits(self._noisy(hyper), torch.exp2(self.z_scale))
        hyper = hyper + (hyper.round() - hyper).detach()
        if m64 is not None:
            hyper, zbits = hyper * m64, zbits * m64
        context = self.prior.context(hyper, pred, m8)
        bits = torch.zeros(latent.shape[0], device=latent.device)
        yq = torch.zeros_like(latent)
        _, height, width, channels = latent.shape
        masks = step_masks(height, width, channels, self.shape.steps, latent.device)
        for number, mask in enumerate(masks):
            if m16 is not None:
                mask = mask * m16
            seen = context if number == 0 else torch.cat([yq.to(context.dtype), context], -1)
            mean, log_scale = self.prior.steps[number](seen, at, m16)
            log_scale = applied(_LowerBound, log_scale, -CLASS_ZERO / 4)
            log_scale = log_scale.clamp(max=(CLASSES - 1 - CLASS_ZERO) / 4)
            scale = torch.exp2(log_scale).repeat_interleave(GROUP, -1)
            r = latent - mean
            bits = bits + (gauss_bits(self._noisy(r), scale) * mask).sum((1, 2, 3))
            yq = yq + (mean + r + (r.round() - r).detach()) * mask
        out: Tensor = self.synthesis(yq, pred, at, tiles).float()
        if m8 is not None:
            out = out * m8
        return (out if pred is None else pred.float() + out), bits, zbits.sum((1, 2, 3))

    def _noisy(self, values: Tensor) -> Tensor:
        """Uniform noise in the place of rounding while training (Balle et al. 2017)."""
        return values + torch.rand_like(values) - 0.5 if self.training else values.round()
