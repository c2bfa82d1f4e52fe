"""Muon for the matrices, AdamW for the rest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from .model import FrameModel

MATRIX_FACTOR = 2.0  # learning rate of the matrices
# of those of the linear path: they start as a good transform (transform_start), which full steps
# would destroy first
PATH_FACTOR = 0.15
RANGE_FACTOR = 3.0  # of the logarithms of the ranges
_TAPS = 9  # columns of a depthwise convolution's weights, which are no matrix
Group = dict[str, object]


class Muon(torch.optim.Muon):
    """Muon (Jordan 2024) that takes all matrices of one shape at once.

    A step of ``torch.optim.Muon`` starts many small products one after the other, and a GPU waits
    for each of them. What is computed, the options and the state are those of the base class.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step by the gradients as they are; a closure is not called."""
        for group in self.param_groups:
            shapes: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    shapes[parameter.shape].append(parameter)
            for shape, alike in shapes.items():
                updates = self._updates(alike, group["momentum"], group["eps"], group["ns_steps"])
                change = -group["lr"] * 0.2 * max(shape) ** 0.5  # match_rms_adamw
                torch._foreach_mul_(alike, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(alike, list(updates.unbind(0)), alpha=change)

    def _updates(self, alike: list[Tensor], momentum: float, eps: float, rounds: int) -> Tensor:
        """(n, rows, columns) orthogonalised gradients, by Newton and Schulz."""
        buffers = [self.state[p].setdefault("momentum_buffer", torch.zeros_like(p)) for p in alike]
        gradients = [p.grad for p in alike if p.grad is not None]
        torch._foreach_lerp_(buffers, gradients, 1 - momentum)
        steps = torch.stack(torch._foreach_lerp(gradients, buffers, momentum)).bfloat16()
        tall = steps.shape[1] > steps.shape[2]
        if tall:
            steps = steps.mT
        steps = steps / steps.flatten(1).norm(dim=1).clamp(min=eps)[:, None, None]
        for _ in range(rounds):
            gram = steps @ steps.mT
            steps = 3.4445 * steps + (-4.775 * gram + 2.0315 * gram @ gram) @ steps
        updates: Tensor = steps.mT if tall else steps
        return updates.to(alike[0].dtype)


class Optimisers:
    """Both optimisers of a model's parameters."""

    def __init__(self, model: FrameModel) -> None:
        path = {id(layer.weight) for layer in _linear_path(model)}
        matrices = {id(p) for p in _matrices(model)}
        ranges = [p for name, p in model.named_parameters() if name.endswith(".stretch")]
        others = matrices | {id(p) for p in ranges}
        self.parameters = list(model.parameters())
        # steps whose gradients were not finite
        self.skipped = torch.zeros((), dtype=torch.int64, device=self.parameters[0].device)
        self.muon = Muon(
            [
                _group([p for p in _matrices(model) if id(p) not in path], MATRIX_FACTOR),
                _group([p for p in _matrices(model) if id(p) in path], PATH_FACTOR),
            ],
            weight_decay=0.0,
            adjust_lr_fn="match_rms_adamw",
        )
        self.adam = torch.optim.AdamW(
            [
                _group([p for p in self.parameters if id(p) not in others], 1.0),
                _group(ranges, RANGE_FACTOR),
            ],
            betas=(0.9, 0.98),
            weight_decay=0.0,
            fused=self.parameters[0].is_cuda,
        )

    def step(self, rate: float) -> Tensor:
        """Take a step at a learning rate, clear the gradients, and give their norm.

        Gradients are clipped to norm one. Where one is not finite, all count as zero.
        """
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        finite = torch.isfinite(norm)
        self.skipped += ~finite
        for gradient in gradients:
            gradient.masked_fill_(~finite, 0.0)
        torch._foreach_mul_(gradients, torch.where(finite, 1 / norm, 1.0).clamp(max=1.0))
        for group in self.muon.param_groups + self.adam.param_groups:
            group["lr"] = group["factor"] * rate
        self.muon.step()
        self.adam.step()
        for parameter in self.parameters:
            parameter.grad = None
        return norm

    def state_dict(self) -> dict[str, dict[str, object]]:
        """For a checkpoint."""
        return {"muon": self.muon.state_dict(), "adam": self.adam.state_dict()}

    def load_state_dict(self, state: dict[str, dict[str, object]]) -> None:
        """Go on from a checkpoint, which may hold more."""
        self.muon.load_state_dict(state["muon"])
        self.adam.load_state_dict(state["adam"])


def _group(parameters: list[nn.Parameter], factor: float) -> Group:
    return {"params": parameters, "factor": factor}


def _matrices(model: FrameModel) -> Iterator[nn.Parameter]:
    for name, p in model.named_parameters():
        if p.dim() == 2 and name.endswith("weight") and p.shape[1] != _TAPS:
            yield p


def _linear_path(model: FrameModel) -> list[nn.Module]:
    analysis, synthesis = model.analysis, model.synthesis
    return [
        analysis.first,
        analysis.down,
        analysis.last,
        synthesis.first,
        synthesis.up,
        synthesis.last,
    ]
