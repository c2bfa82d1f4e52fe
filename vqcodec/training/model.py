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
    def forward(ctx: FunctionCtx, x: Tensor, bound: float) -> Tensor:
        below = x < bound
        ctx.save_for_backward(below)
        return x.clamp(min=bound)

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

    def __init__(self, cin: int, s: NetShape) -> None:
        super().__init__()
        self.a_in = Act(cin)
        self.first = Linear(cin, s.prior, self.a_in, quality=True)
        self.blocks = nn.ModuleList([Block(s.prior, 1) for _ in range(s.prior_blocks)])
        self.a_out = Act(s.prior)
        self.mean = Linear(s.prior, s.latent, self.a_out, std=0.01)
        self.scale = Linear(s.prior, s.latent // GROUP, self.a_out, std=0.01)

    def forward(self, h: Tensor, at: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Means (N, H, W, M) and log2 scales (N, H, W, M/4) of a context (N, H, W, C)."""
        t = self.first(self.a_in(h), at)
        for block in self.blocks:
            t = block(t, mask)
        t = self.a_out(t)
        return self.mean(t).float(), self.scale(t).float()


class Prior(nn.Module):
    """Hyper-latent and prediction -> contexts, and what each step sees of them."""

    def __init__(self, s: NetShape) -> None:
        super().__init__()
        self.s = s
        self.a_z = Act(s.hyper)
        self.up = Linear(s.hyper, 16 * s.hyper_up, self.a_z)
        width = s.hyper_up
        if s.inter:
            self.a_pred = Act(96, share=0)
            self.cx_first = Linear(96, s.context, self.a_pred)
            self.cx_block = Block(s.context, 1)
            self.a_cx = Act(4 * s.context, share=4)
            self.cx_last = Linear(4 * s.context, s.context_out, self.a_cx)
            width += s.context_out
        self.steps = nn.ModuleList(
            [PriorStep(width + (s.latent if k else 0), s) for k in range(s.steps)]
        )

    def each_step(self) -> list[PriorStep]:
        """The steps, in the order of coding."""
        return cast("list[PriorStep]", list(self.steps))

    def context(self, z: Tensor, pred: Tensor | None, m8: Tensor | None = None) -> Tensor:
        """(N, H/16, W/16, C) of a hyper-latent (N, H/64, W/64, Z) and a packed prediction."""
        h: Tensor = shuffle(self.up(self.a_z(z)), 4)
        if self.s.inter:
            assert pred is not None
            c = self.cx_block(self.cx_first(self.a_pred(pred)), m8)
            h = torch.cat([h, self.cx_last(self.a_cx(unshuffle(c, 2)))], -1)
        return h


class Synthesis(nn.Module):
    """Latent and prediction -> residual, or picture where there is no prediction."""

    def __init__(self, s: NetShape) -> None:
        super().__init__()
        self.s = s
        self.log_gain = nn.Parameter(torch.zeros(Linear.ANCHORS, s.latent))
        self.a_y = Act(s.latent, 16)
        self.first = Linear(s.latent, s.dec16, self.a_y, quality=True)
        self.blocks16 = nn.ModuleList([Block(s.dec16) for _ in range(s.dec16_blocks)])
        self.a_up = Act(s.dec16, 16)
        self.up = Linear(s.dec16, 4 * s.dec8, self.a_up)
        if s.inter:
            self.a_pred = Act(96, share=0)
            self.pred = Linear(96, s.dec8, self.a_pred, quality=True)
        self.blocks8 = nn.ModuleList([Block(s.dec8) for _ in range(s.dec_blocks)])
        self.a_last = Act(s.dec8, 16)
        self.last = Linear(s.dec8, 96, self.a_last, std=0.01)

    def forward(
        self, y: Tensor, pred: Tensor | None, at: Tensor, tiles: Tiles = NO_TILES
    ) -> Tensor:
        """Latent in steps, prediction (or None) -> residual, packed, in units of the full range."""
        m8, m16, _ = tiles
        y = y * torch.exp(at @ self.log_gain)[:, None, None]
        t = self.first(self.a_y(y), at)
        for b in self.blocks16:
            t = b(t, m16)
        t = shuffle(self.up(self.a_up(t)), 2)
        if self.s.inter:
            assert pred is not None
            t = t + self.pred(self.a_pred(pred), at)
        for b in self.blocks8:
            t = b(t, m8)
        residual: Tensor = self.last(self.a_last(t)) * 0.125
        return residual


class FrameModel(nn.Module):
    """Analysis, prior and synthesis of one frame type (I, or P/B given a prediction)."""

    def __init__(self, s: NetShape) -> None:
        super().__init__()
        self.s = s
        self.analysis, self.prior, self.synthesis = Analysis(s), Prior(s), Synthesis(s)
        self.z_scale = nn.Parameter(torch.zeros(s.hyper))
        # the step that balances rate and distortion follows lambda^-0.5
        k = Linear.ANCHORS
        slope = 0.5 * math.log(2) / 6 * (63 * torch.arange(k) / (k - 1) - 40)
        with torch.no_grad():
            self.analysis.last.qgain.copy_(slope[:, None].expand(k, s.latent))
            self.synthesis.log_gain.copy_(-slope[:, None].expand(k, s.latent))

    def quantise_aware(self, mode: str) -> None:
        """Set the mode of the nets that the decoder runs as integers."""
        set_mode(self.prior, mode)
        set_mode(self.synthesis, mode)

    def forward(
        self, x: Tensor, pred: Tensor | None, q: Tensor, tiles: Tiles = NO_TILES
    ) -> tuple[Tensor, Tensor, Tensor]:
        """x, pred (N, H/8, W/8, 96), q (N,) -> picture like x, bits of y and of z a sample (N,).

        ``tiles``: masks of what is coded; elsewhere the nets see zeros and the prediction is shown.
        """
        at = anchor_weights(q)
        m8, m16, m64 = tiles
        y, z = self.analysis(x, pred, q, tiles)
        y, z = y.float(), z.float()
        zbits = gauss_bits(self._noisy(z), torch.exp2(self.z_scale))
        z = z + (z.round() - z).detach()
        if m64 is not None:
            z, zbits = z * m64, zbits * m64
        h = self.prior.context(z, pred, m8)
        bits = torch.zeros(y.shape[0], device=y.device)
        yq = torch.zeros_like(y)
        _, height, width, channels = y.shape
        masks = step_masks(height, width, channels, self.s.steps, y.device)
        for k, mask in enumerate(masks):
            if m16 is not None:
                mask = mask * m16
            seen = h if k == 0 else torch.cat([yq.to(h.dtype), h], -1)
            mean, log_scale = self.prior.steps[k](seen, at, m16)
            log_scale = applied(_LowerBound, log_scale, -CLASS_ZERO / 4)
            log_scale = log_scale.clamp(max=(CLASSES - 1 - CLASS_ZERO) / 4)
            scale = torch.exp2(log_scale).repeat_interleave(GROUP, -1)
            r = y - mean
            bits = bits + (gauss_bits(self._noisy(r), scale) * mask).sum((1, 2, 3))
            yq = yq + (mean + r + (r.round() - r).detach()) * mask
        out: Tensor = self.synthesis(yq, pred, at, tiles).float()
        if m8 is not None:
            out = out * m8
        return (out if pred is None else pred.float() + out), bits, zbits.sum((1, 2, 3))

    def _noisy(self, t: Tensor) -> Tensor:
        """Uniform noise in the place of rounding while training (Balle et al. 2017)."""
        return t + torch.rand_like(t) - 0.5 if self.training else t.round()
