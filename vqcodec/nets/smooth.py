"""The exact nets in floats (bfloat16 products), so that gradients pass: for encoders that search for better latents."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor

from .layers import SLOPE
from .synthesis import Synthesis


class SmoothBackend:
    """The operations of :mod:`vqcodec.nets.exact` on floats: same scales and nearly the same limits, nothing rounded to integers."""

    name = "smooth"

    def __init__(self, device: torch.device):
        self.device = device
        self._weights: dict[int, Tensor] = {}

    def mm(self, x: Tensor, w: Tensor) -> Tensor:
        if id(w) not in self._weights:  # the layers live as long as the nets
            self._weights[id(w)] = w.to(torch.bfloat16)
        return (x.to(torch.bfloat16) @ self._weights[id(w)]).float()

    def requant8(self, acc: Tensor, bias: Tensor, scale: Tensor, leaky: bool) -> Tensor:
        v = (acc + bias) * scale
        return (F.leaky_relu(v, SLOPE) if leaky else v).clamp(-127, 127)

    def requant16(self, acc: Tensor, bias: Tensor, scale: Tensor) -> Tensor:
        return ((acc + bias) * scale).clamp(-32767, 32767)

    def add(self, acc: Tensor, bias: Tensor, scale: Tensor, trunk: Tensor, scale8: Tensor) -> Tensor:
        trunk += (acc + bias) * scale
        return (trunk * scale8).clamp(-127, 127)

    def quant8(self, t: Tensor, scale: Tensor) -> Tensor:
        return (t.float() * scale).clamp(-127, 127)

    def split(self, t: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        v = (t * scale).clamp(-16000, 16000)
        return v / 128, torch.zeros_like(v[:1])

    def depthwise(self, x: Tensor, w: Tensor, bias: Tensor, scale: Tensor) -> Tensor:
        c = x.shape[-1]
        k = w.float().T.reshape(c, 1, 3, 3)
        y = F.conv2d(x.permute(0, 3, 1, 2), k, bias.float(), padding=1, groups=c)
        return (y.permute(0, 2, 3, 1) * scale).clamp(-127, 127)


def smooth_synthesis(net: Synthesis) -> Synthesis:
    """A synthesis over the same layers whose output (10-bit samples) is differentiable by the latent."""
    twin = copy.copy(net)
    twin.b = SmoothBackend(net.b.device)  # type: ignore[assignment]
    return twin
