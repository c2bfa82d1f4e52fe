"""One training run: random quality per sample, averaged weights, against the clock, resumable."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from ..encoding.nets.arithmetic import float_choice, floats
from .chains import Chains
from .crops import Batches
from .fused import eager, fused_layers
from .model import FrameModel
from .objective import Cost, Objective, cost_of
from .optimisers import Optimisers

OCTAVES = 8  # ranges of quality that are weighed against each other
_FORGET = 0.02  # of what a range of quality costs as a rule, with each step


@dataclass(frozen=True)
class RunOptions:
    """How a run trains, and how long."""

    minutes: float
    rate: float = 1.2e-3  # learning rate
    batch: int = 8
    warmup: int = 100  # steps
    final: float = 0.02  # share of the rate at the end
    average: float = 0.998  # share that averaged weights keep with each step
    log_seconds: float = 30.0
    save_seconds: float = 240.0
    recursion: bool = False  # every other step goes through chains of two frames
    objective: Objective = field(default_factory=Objective)
    fused: bool = False  # see vqcodec.training.fused


@dataclass(frozen=True)
class Hooks:
    """What is called while a run goes on."""

    log: Callable[[str], object] = print
    refresh: Callable[[], object] | None = None  # new data, before each checkpoint
    evaluate: Callable[[FrameModel], str] | None = None  # the averaged weights
    saved: Callable[[Path], object] | None = None  # a checkpoint was written


class Run:
    """State of a run: model, averaged weights, optimisers, clock.

    It trains where the model is. ``spent``: minutes, over restarts.
    """

    def __init__(
        self,
        model: FrameModel,
        data: Batches,
        options: RunOptions,
        path: Path,
        chains: Chains | None = None,
    ) -> None:
        self.model, self.data, self.options, self.path = model, data, options, path
        self.chains = chains
        self.device = next(model.parameters()).device
        self.optimisers = Optimisers(model)
        self.average = _copy(model.state_dict())
        # running cost by range of quality, so that every rate counts alike
        self.norm = torch.zeros(OCTAVES, device=self.device)
        self.step, self.spent = 0, 0.0

    def restart_average(self) -> None:
        """The averaged weights begin as the model is now."""
        self.average = _copy(self.model.state_dict())

    # -- checkpoints

    def save(self) -> None:
        """Write a checkpoint; the one before it stays until then."""
        partial = self.path.with_suffix(".tmp")
        state = {
            "model": self.model.state_dict(),
            "ema": self.average,
            **self.optimisers.state_dict(),
            "norm": self.norm,
            "step": self.step,
            "spent": self.spent,
            "shape": self.model.shape.to_dict(),
        }
        torch.save(state, partial)
        partial.replace(self.path)

    def resume(self) -> None:
        """Go on from the checkpoint."""
        state = torch.load(self.path, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimisers.load_state_dict(state)
        self.average, self.norm = state["ema"], state["norm"]
        self.step, self.spent = state["step"], state["spent"]

    # -- training

    def train(self, hooks: Hooks | None = None) -> None:
        """Train until the minutes are spent; a checkpoint stands at the end."""
        hooks = hooks or Hooks()
        with fused_layers() if self.options.fused else nullcontext():
            self._train(hooks)
        self.save()
        if hooks.saved:
            hooks.saved(self.path)
        if hooks.evaluate:
            hooks.log(self.evaluate(hooks.evaluate))

    def _train(self, hooks: Hooks) -> None:
        begin = time.time() - self.spent * 60
        logged, saved = 0.0, time.time()
        figures: list[Tensor] = []
        self.model.train()
        while self.spent < self.options.minutes:
            cost, behind = self._sample()
            norm = self._learn(cost, behind)
            now = time.time()
            self.spent = (now - begin) / 60
            figures.append(cost.figures())
            if now - logged > self.options.log_seconds:
                logged, words = now, _table(torch.cat(figures, 1))
                figures = []
                hooks.log(
                    f"{self.spent:.1f} min step {self.step} {words} norm {float(norm):.2f} "
                    f"skipped {int(self.optimisers.skipped)}"
                )
            if now - saved > self.options.save_seconds:
                self._pause(hooks)
                saved = time.time()
                begin = saved - self.spent * 60  # evaluation is not training time

    def _pause(self, hooks: Hooks) -> None:
        if hooks.evaluate:
            hooks.log(self.evaluate(hooks.evaluate))
        if hooks.refresh:
            hooks.refresh()
        self.save()
        if hooks.saved:
            hooks.saved(self.path)

    def _rate(self) -> float:
        """Learning rate: up in a line, down as a cosine."""
        o = self.options
        falling = 0.5 * (1 + math.cos(math.pi * self.spent / o.minutes))
        return o.rate * min(1.0, self.step / o.warmup + 1e-3) * (o.final + (1 - o.final) * falling)

    def _sample(self) -> tuple[Cost, Tensor | None]:
        """The costs of a batch, and of what is predicted from it in chains of frames.

        What the first frames of chains are like decides what the second ones have to add.
        """
        options = self.options
        with floats(float_choice(device=self.device), self.device):
            if not (options.recursion and self.chains and self.chains.items and self.step % 2):
                return cost_of(self.model, self.data.batch(options.batch), options.objective), None
            chains = self.chains.batch(max(1, options.batch // 2), self.device)
            cost = cost_of(self.model, chains.first, options.objective)
            second = chains.second._replace(prediction=chains.predicted(cost.picture))
            return cost, cost_of(self.model, second, options.objective).total

    def _learn(self, cost: Cost, behind: Tensor | None) -> Tensor:
        """One step of the optimisers; gives the norm of the gradients."""
        weight = self._weights(cost)
        # what is behind is divided by what the first frames cost as a rule, not the second ones:
        # so the trade between the two stays that of bits
        total = cost.total if behind is None else cost.total + behind
        torch.autograd.backward((total * weight).mean())
        norm = self.optimisers.step(self._rate())
        keep = min(self.options.average, 1 - 1 / (self.step + 2))
        with torch.no_grad():
            state = self.model.state_dict()
            averages = [self.average[name] for name in state]
            torch._foreach_lerp_(averages, list(state.values()), 1 - keep)
        self.step += 1
        return norm

    @torch.no_grad()
    def _weights(self, cost: Cost) -> Tensor:
        """(n,) of the samples, after a look at what their ranges of quality cost."""
        octave = (cost.quality / 64 * OCTAVES).long().clamp(max=OCTAVES - 1)
        total = cost.total.detach().float()
        known = torch.isfinite(total)
        zeros = torch.zeros(OCTAVES, device=self.device)
        count = zeros.index_add(0, octave, known.float())
        mean = zeros.index_add(0, octave, total.where(known, 0.0)) / count.clamp(min=1)
        moved = torch.where(self.norm == 0, mean, self.norm.lerp(mean, _FORGET))
        self.norm = torch.where(count > 0, moved, self.norm)
        rule = self.norm[octave].clamp(min=1e-4)
        if not self.options.objective.halfway:
            return 1 / rule
        return (rule * total.clamp(min=1e-4)).rsqrt()

    # -- evaluation

    def evaluate(self, evaluate: Callable[[FrameModel], str]) -> str:
        """Run ``evaluate`` on the averaged weights."""
        with self._averaged(), torch.no_grad(), eager() if self.options.fused else nullcontext():
            return f"  held out at {self.spent:.1f} min: " + evaluate(self.model)

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        kept = _copy(self.model.state_dict())
        self.model.load_state_dict(self.average)
        self.model.eval()
        try:
            yield
        finally:
            self.model.load_state_dict(kept)
            self.model.train()


def _copy(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in state.items()}


def _table(figures: Tensor) -> str:
    """Cost, rate and distortion by range of quality; bits of the hyper-latent."""
    quality, total, distortion, rate, hyper = figures
    cells = []
    for low in range(0, 64, 16):
        here = (quality >= low) & (quality < low + 16)
        if here.any():
            cost, bits, error = (float(row[here].mean()) for row in (total, rate, distortion))
            cells.append(f"q{low}: {cost:.4f} ({bits:.4f} bpp, D {error:.2f})")
    return f"{'; '.join(cells)} z {float(hyper.mean()):.4f}"
