"""The trainable model of one frame type: analysis, prior and synthesis as float nets that can learn quantisation-aware.

The prior and the synthesis here are the float twins of :mod:`vqcodec.nets.prior` and :mod:`vqcodec.nets.synthesis`;
:mod:`vqcodec.training.export` turns them into integers.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..nets.analysis import Analysis
from ..nets.layers import Act, Block, Linear, anchor_weights, set_mode, shuffle, unshuffle
from ..nets.shape import CLASS_ZERO, CLASSES, GROUP, NetShape


class _LowerBound(torch.autograd.Function):
    """max(x, b) whose gradient still pulls x up when below (Balle et al. 2018)."""

    @staticmethod
    def forward(ctx, x, b):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x)
        ctx.b = b
        return x.clamp(min=b)

    @staticmethod
    def backward(ctx, g):  # type: ignore[no-untyped-def]
        (x,) = ctx.saved_tensors
        return g * ((x >= ctx.b) | (g < 0)), None


def gauss_bits(r: Tensor, s: Tensor) -> Tensor:
    """Bits of a unit-wide bin at r under a normal distribution of scale s."""
    r, k = r.abs(), 1 / math.sqrt(2)
    p = 0.5 * (torch.erfc(-(0.5 - r) / s * k) - torch.erfc((0.5 + r) / s * k))
    return -torch.log2(_LowerBound.apply(p, 1e-9))


def checkerboard(h: int, w: int, m: int, device=None) -> Tensor:
    """(1, h, w, m) mask of the first half: odd squares in the first m/2 channels, even squares in the rest."""
    odd = (torch.arange(h, device=device)[:, None] + torch.arange(w, device=device)[None]) % 2
    return torch.cat([odd[..., None].expand(h, w, m // 2), 1 - odd[..., None].expand(h, w, m // 2)], -1)[None].float()


class PriorStep(nn.Module):
    """Context -> mean of every latent channel and one log2 scale for each group of four."""

    def __init__(self, cin: int, s: NetShape):
        super().__init__()
        self.a_in = Act(cin)
        self.first = Linear(cin, s.prior, self.a_in, quality=True)
        self.block = Block(s.prior, 1)
        self.a_out = Act(s.prior)
        self.mean = Linear(s.prior, s.latent, self.a_out, std=0.01)
        self.scale = Linear(s.prior, s.latent // GROUP, self.a_out, std=0.01)

    def forward(self, h: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
        t = self.a_out(self.block(self.first(self.a_in(h), at)))
        return self.mean(t).float(), self.scale(t).float()


class Prior(nn.Module):
    def __init__(self, s: NetShape):
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
        self.step1 = PriorStep(width, s)
        self.step2 = PriorStep(width + s.latent, s)

    def context(self, z: Tensor, pred: Tensor | None) -> Tensor:
        h = shuffle(self.up(self.a_z(z)), 4)
        if self.s.inter:
            assert pred is not None
            c = self.cx_block(self.cx_first(self.a_pred(pred)))
            h = torch.cat([h, self.cx_last(self.a_cx(unshuffle(c, 2)))], -1)
        return h


class Synthesis(nn.Module):
    def __init__(self, s: NetShape):
        super().__init__()
        self.s = s
        self.log_gain = nn.Parameter(torch.zeros(Linear.ANCHORS, s.latent))
        self.a_y = Act(s.latent, 16)
        self.first = Linear(s.latent, s.dec16, self.a_y, quality=True)
        self.block16 = Block(s.dec16)
        self.a_up = Act(s.dec16, 16)
        self.up = Linear(s.dec16, 4 * s.dec8, self.a_up)
        if s.inter:
            self.a_pred = Act(96, share=0)
            self.pred = Linear(96, s.dec8, self.a_pred, quality=True)
        self.blocks8 = nn.ModuleList([Block(s.dec8) for _ in range(s.dec_blocks)])
        self.a_last = Act(s.dec8, 16)
        self.last = Linear(s.dec8, 96, self.a_last, std=0.01)

    def forward(self, y: Tensor, pred: Tensor | None, at: Tensor) -> Tensor:
        """Latent in steps, prediction (or None) -> residual, packed, in units of the full range."""
        y = y * torch.exp(at @ self.log_gain)[:, None, None]
        t = shuffle(self.up(self.a_up(self.block16(self.first(self.a_y(y), at)))), 2)
        if self.s.inter:
            assert pred is not None
            t = t + self.pred(self.a_pred(pred), at)
        for b in self.blocks8:
            t = b(t)
        return self.last(self.a_last(t)) * 0.125


class FrameModel(nn.Module):
    """Analysis, prior and synthesis of one frame type (I, or P/B given a prediction)."""

    def __init__(self, s: NetShape):
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

    def forward(self, x: Tensor, pred: Tensor | None, q: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x, pred (N, H/8, W/8, 96), q (N,) -> reconstruction like x, bits of y and of z per sample (N,)."""
        at = anchor_weights(q)
        y, z = self.analysis(x, pred, q)
        y, z = y.float(), z.float()
        noise = lambda t: t + torch.rand_like(t) - 0.5 if self.training else t.round()
        zbits = gauss_bits(noise(z), torch.exp2(self.z_scale)).sum((1, 2, 3))
        z = z + (z.round() - z).detach()
        h = self.prior.context(z, pred)
        _, hh, ww, m = y.shape
        first = checkerboard(hh, ww, m)
        bits: Tensor | float = 0.0
        yq = torch.zeros_like(y)
        for step, mask in ((self.prior.step1, first), (self.prior.step2, 1 - first)):
            mu, ls = step(h if step is self.prior.step1 else torch.cat([yq.to(h.dtype), h], -1), at)
            ls = _LowerBound.apply(ls, -CLASS_ZERO / 4).clamp(max=(CLASSES - 1 - CLASS_ZERO) / 4)
            s = torch.exp2(ls).repeat_interleave(GROUP, -1)
            r = y - mu
            bits = bits + (gauss_bits(noise(r), s) * mask).sum((1, 2, 3))
            yq = yq + (mu + r + (r.round() - r).detach()) * mask
        out = self.synthesis(yq, pred, at).float()
        assert isinstance(bits, Tensor)
        return (out if pred is None else pred.float() + out), bits, zbits
