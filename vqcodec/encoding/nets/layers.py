"""Trainable layers, channels last, that can learn under the integer arithmetic of
:mod:`vqcodec.codec.nets.exact_layers`.

Every activation that meets a matrix product passes an :class:`Act`, every matrix is a
:class:`Linear`. Both work in three modes: ``float`` (plain), ``observe`` (plain, notes the range of
each channel) and ``quant`` (fake-quantised with a straight-through gradient: int8 weights per
output channel, int8 activations per channel). Tensors are (N, H, W, C).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...codec.nets.ranges import SLOPE, TOP8, WIDE
from .layout import ANCHORS

# masks (N, H, W, 1) of what is coded, at 1/8, 1/16 and 1/64 of the resolution
Tiles = tuple[Tensor | None, Tensor | None, Tensor | None]
NO_TILES: Tiles = (None, None, None)


class _FakeQuantise(torch.autograd.Function):
    """Round x (..., C) to multiples of scale (C,) within [-top, top] steps; the gradients of
    learned step size quantisation (Esser et al. 2020)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, top: int) -> Tensor:
        steps = x.float() / scale
        rounded = steps.round().clamp_(-top, top)
        inside = steps.abs() <= top
        ctx.save_for_backward(
            inside, torch.where(inside, rounded - steps, rounded).to(torch.bfloat16)
        )
        return rounded.mul_(scale).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        inside, slope = ctx.saved_tensors  # slope: of the output by the scale
        return (
            gradient * inside,
            (gradient * slope).sum(tuple(range(gradient.dim() - 1)), dtype=torch.float32),
            None,
        )


def _ste(values: Tensor, scale: Tensor, lo: int, hi: int) -> Tensor:
    """Round values to multiples of scale within [lo, hi] steps; gradient one inside the range, zero
    outside."""
    steps = values / scale
    clipped = torch.clamp(steps, lo, hi)
    return (clipped + (torch.round(clipped) - clipped).detach()) * scale


class Act(nn.Module):
    """An activation that the integer net holds in ``bits`` bits, with one scale per channel.

    The scale begins at the ranges observed and is learned from there (learned step size, Esser et
    al. 2020): what is clipped and what is rounded away are in balance only for the loss as a whole.
    ``share``: positions of an unshuffled input that have the same scales; 0: the scale is given,
    not learned.
    """

    peak: Tensor
    stretch: Tensor

    def __init__(self, channels: int, bits: int = 8, share: int = 1):
        super().__init__()
        self.bits, self.share = bits, share
        self.top = TOP8 if bits == 8 else WIDE  # 16 bits travel as 128 * hi + lo, see exact.split
        self.mode = "float"
        self.register_buffer("peak", torch.zeros(channels))
        # log of the learned range against the peak
        if share:
            self.stretch = nn.Parameter(torch.zeros(channels // share))
        else:
            self.register_buffer("stretch", torch.zeros(channels), persistent=False)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        if self.share:  # models from before ranges were learned have none
            state_dict.setdefault(prefix + "stretch", torch.zeros_like(self.stretch))
        super()._load_from_state_dict(state_dict, prefix, *args)

    @property
    def scale(self) -> Tensor:
        """(C,) value of one integer step."""
        return (
            torch.clamp(self.peak, min=1e-4)
            * torch.exp(self.stretch.repeat(max(1, self.share)))
            / self.top
        )

    def forward(self, x: Tensor) -> Tensor:
        """x (..., C) as it is, observed, or rounded, by the mode."""
        if self.mode == "observe":
            m = x.detach().float().abs().reshape(-1, x.shape[-1])
            top = m.amax(0)
            # 16 bits have steps to spare: what is clipped costs, what is rounded away does not
            self.peak.copy_(torch.maximum(self.peak, top if self.bits == 8 else 2 * top))
        elif self.mode == "quant" and self.bits == 8:
            rounded: Tensor = _FakeQuantise.apply(x, self.scale, self.top)  # type: ignore[no-untyped-call]
            return rounded
        elif (
            self.mode == "quant"
        ):  # the roundings of 16 bits are finer than those of the training's own arithmetic
            bound = (self.scale * self.top).detach()
            return torch.maximum(torch.minimum(x, bound), -bound)
        return x


class Linear(nn.Module):
    """1x1 convolution. ``act`` is the :class:`Act` its input passed: its scales fold into the int8
    weights.

    With ``quality=True`` the output has a gain and a bias per channel that depend on the quality
    index q: ``(W x + b(q)) * g(q)``, both interpolated from :data:`ANCHORS` learned points.
    """

    ANCHORS = ANCHORS

    def __init__(
        self,
        cin: int,
        cout: int,
        act: Act | None = None,
        quality: bool = False,
        std: float | None = None,
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(cout, cin))
        nn.init.normal_(self.weight, std=std if std is not None else cin**-0.5)
        self.bias = nn.Parameter(torch.zeros(cout))
        self._act = [act]  # in a list: not a submodule twice
        self.mode = "float"
        if quality:
            self.qbias = nn.Parameter(torch.zeros(self.ANCHORS, cout))
            self.qgain = nn.Parameter(torch.zeros(self.ANCHORS, cout))
        self.quality = quality

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weights times the input's scales (cout, cin), and the int8 step of each row (cout,)."""
        act = self._act[0]
        assert act is not None
        w = self.weight.float() * act.scale
        return w, torch.clamp(w.detach().abs().amax(1), min=1e-9) / TOP8

    def forward(self, x: Tensor, at: Tensor | None = None) -> Tensor:
        """x (..., cin) -> (..., cout); ``at`` are the :func:`anchor_weights` of the quality, where
        the layer depends on it."""
        weights: Tensor = self.weight
        if self.mode == "quant" and self._act[0] is not None:
            folded, step = self.folded()
            weights = _ste(folded, step[:, None], -TOP8, TOP8) / self._act[0].scale
        out = F.linear(x, weights, self.bias)
        if self.quality:
            assert at is not None
            gain, bias = torch.exp(at @ self.qgain), at @ self.qbias
            if x.ndim == 4:
                gain, bias = gain[:, None, None], bias[:, None, None]
            out = (out + bias) * gain
        return out


def anchor_weights(quality: Tensor) -> Tensor:
    """(N,) quality index 0..63 -> (N, ANCHORS) weights of linear interpolation."""
    count = Linear.ANCHORS
    pos = quality.float() / 63 * (count - 1)
    return torch.clamp(1 - (pos[:, None] - torch.arange(count, device=quality.device)).abs(), min=0)


class Depthwise(nn.Module):
    """3x3 depthwise convolution with zero padding; weight (C, 9), row-major taps."""

    def __init__(self, channels: int, act: Act | None = None):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels, 9))
        nn.init.normal_(self.weight, std=1 / 6)
        with torch.no_grad():
            self.weight[:, 4] += 0.5
        self.bias = nn.Parameter(torch.zeros(channels))
        self._act = [act]
        self.mode = "float"

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weights times the input's scales (C, 9), and the int8 step of each channel (C,)."""
        act = self._act[0]
        assert act is not None
        w = self.weight.float() * act.scale[:, None]
        return w, torch.clamp(w.detach().abs().amax(1), min=1e-9) / TOP8

    def taps(self) -> Tensor:
        """(C, 9), under the integers' arithmetic in mode ``quant``."""
        if self.mode == "quant" and self._act[0] is not None:
            f, s = self.folded()
            return _ste(f, s[:, None], -TOP8, TOP8) / self._act[0].scale[:, None]
        return self.weight

    def forward(self, x: Tensor) -> Tensor:
        """x (N, H, W, C) -> the same shape."""
        taps = self.taps()
        channels = taps.shape[0]
        out = F.conv2d(
            x.permute(0, 3, 1, 2),
            taps.reshape(channels, 1, 3, 3).to(x.dtype),
            self.bias.to(x.dtype),
            padding=1,
            groups=channels,
        )
        return out.permute(0, 2, 3, 1)

    def rows(self, values: Tensor, near: Tensor) -> Tensor:
        """The same of rows (M, C); near (M, 9): those around each, row-major, M for none."""
        around = torch.cat([values, torch.zeros_like(values[:1])]).float()
        total = self.bias.float().repeat(len(values), 1)
        for rows, tap in zip(near.unbind(1), self.taps().float().unbind(1), strict=True):
            total.addcmul_(around[rows], tap)
        return total.to(values.dtype)


class Block(nn.Module):
    """Residual block: 1x1, leaky ReLU, depthwise 3x3, 1x1; then 1x1 to wider*C, leaky ReLU, 1x1
    back."""

    def __init__(self, channels: int, wider: int = 2):
        super().__init__()
        self.a1, self.a2, self.a3, self.a4, self.a5 = (
            Act(channels),
            Act(channels),
            Act(channels),
            Act(channels),
            Act(channels * wider),
        )
        self.w1 = Linear(channels, channels, self.a1)
        self.dw = Depthwise(channels, self.a2)
        self.w2 = Linear(channels, channels, self.a3, std=0.02)
        self.w3 = Linear(channels, channels * wider, self.a4)
        self.w4 = Linear(channels * wider, channels, self.a5, std=0.02)

    def forward(self, x: Tensor, mask: Tensor | None = None, near: Tensor | None = None) -> Tensor:
        """x (N, H, W, C); mask (N, H, W, 1): 0 where nothing is coded, where neighbours see
        zeros. Or x (M, C) and ``near`` (M, 9), as :meth:`Depthwise.rows` takes them."""
        hidden = self.a2(F.leaky_relu(self.w1(self.a1(x)), SLOPE))
        if mask is not None:
            hidden = hidden * mask
        x = x + self.w2(self.a3(self.dw(hidden) if near is None else self.dw.rows(hidden, near)))
        hidden = self.a5(F.leaky_relu(self.w3(self.a4(x)), SLOPE))
        out: Tensor = x + self.w4(hidden)
        return out


def set_mode(net: nn.Module, mode: str) -> None:
    """Switch every layer of a net to ``float``, ``observe`` or ``quant``."""
    for layer in net.modules():
        if isinstance(layer, (Act, Linear, Depthwise)):
            layer.mode = mode
