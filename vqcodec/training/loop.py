"""One training run: Muon for the matrices, AdamW for the rest, random quality per sample, resumable."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..codec.nets.arithmetic import float_choice, floats
from ..encoding.rate_distortion import lagrangian
from .data import Crops
from .model import FrameModel

CHROMA_WEIGHT = 3.0  # of the error of U and V against Y: the judged PSNR averages planes in dB, and chroma's is 4-6 dB higher


def distortion(out: Tensor, x: Tensor) -> Tensor:
    """(N,) weighted squared error per sample, 8-bit scale, of packed pictures."""
    e = (out.float() - x).square() * 65025
    y, u, v = (
        e[..., :64].mean((1, 2, 3)),
        e[..., 64:80].mean((1, 2, 3)),
        e[..., 80:].mean((1, 2, 3)),
    )
    return (6 * y + CHROMA_WEIGHT * (u + v)) / 8


@dataclass
class RunOptions:
    minutes: float
    lr: float = 1.2e-3
    batch: int = 8
    warmup: int = 100
    final: float = 0.02  # share of lr at the end
    ema: float = 0.998
    path_factor: float = 0.15  # learning rate of the transform matrices
    range_factor: float = 3.0  # and of the logarithms of the ranges
    log_seconds: float = 30.0
    save_seconds: float = 240.0
    recursion: bool = False  # every other step goes through chains of two frames


class Run:
    """State of a run: model, averaged weights, optimizers, clock. ``minutes`` counts time spent, over restarts."""

    def __init__(self, model: FrameModel, data: Crops, options: RunOptions, path: Path):
        self.model, self.data, self.o, self.path = model, data, options, path
        mats = [
            p
            for n, p in model.named_parameters()
            if p.dim() == 2 and n.endswith("weight") and p.shape[1] != 9
        ]
        ids = {id(p) for p in mats}
        ranges = [p for n, p in model.named_parameters() if n.endswith(".stretch")]
        ids |= {id(p) for p in ranges}
        rest = [p for p in model.parameters() if id(p) not in ids]
        # the matrices of the linear path start as a good transform (training/start.py): full steps would destroy it first
        linear = {
            id(m.weight)
            for m in (
                model.analysis.first,
                model.analysis.down,
                model.analysis.last,
                model.synthesis.first,
                model.synthesis.up,
                model.synthesis.last,
            )
        }
        groups = [
            dict(params=[p for p in mats if id(p) not in linear], factor=2.0),
            dict(params=[p for p in mats if id(p) in linear], factor=options.path_factor),
        ]
        self.muon = torch.optim.Muon(
            groups, lr=options.lr, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"
        )
        groups = [dict(params=rest), dict(params=ranges, factor=options.range_factor)]
        self.adam = torch.optim.AdamW(groups, lr=options.lr, betas=(0.9, 0.98), weight_decay=0.0)
        self.ema = {k: v.clone() for k, v in model.state_dict().items()}
        self.norm = torch.zeros(
            8
        )  # running loss by quality octave, so that every rate counts alike
        self.step, self.spent, self.skipped = 0, 0.0, 0

    def save(self) -> None:
        tmp = self.path.with_suffix(".tmp")
        torch.save(
            dict(
                model=self.model.state_dict(),
                ema=self.ema,
                muon=self.muon.state_dict(),
                adam=self.adam.state_dict(),
                norm=self.norm,
                step=self.step,
                spent=self.spent,
                shape=self.model.s.to_dict(),
            ),
            tmp,
        )
        tmp.replace(self.path)

    def resume(self) -> None:
        d = torch.load(self.path, weights_only=True)
        self.model.load_state_dict(d["model"])
        self.muon.load_state_dict(d["muon"])
        self.adam.load_state_dict(d["adam"])
        self.ema, self.norm, self.step, self.spent = d["ema"], d["norm"], d["step"], d["spent"]

    def train(
        self,
        refresh: Callable[[], object] | None = None,
        evaluate: Callable[[FrameModel], str] | None = None,
        log: Callable[[str], None] = print,
    ) -> None:
        o, m = self.o, self.model
        start, logged, saved, acc = time.time() - self.spent * 60, 0.0, time.time(), []
        m.train()
        while self.spent < o.minutes:
            k = (
                o.lr
                * min(1.0, self.step / o.warmup + 1e-3)
                * (o.final + (1 - o.final) * 0.5 * (1 + math.cos(math.pi * self.spent / o.minutes)))
            )
            for g in self.muon.param_groups + self.adam.param_groups:
                g["lr"] = g.get("factor", 1.0) * k
            if o.recursion and self.data.chains and self.step % 2:
                q, each, d, r, z, behind = self._chained(max(1, o.batch // 2))
            else:
                q, each, d, r, z = self._coded(*self.data.batch(o.batch))[:5]
                behind = torch.zeros_like(each)
            bucket = torch.clamp((q / 8).long(), max=7)
            for b, v in zip(bucket.tolist(), each.detach().tolist(), strict=True):
                if math.isfinite(v):
                    self.norm[b] = v if self.norm[b] == 0 else 0.98 * self.norm[b] + 0.02 * v
            loss = ((each + behind) / self.norm[bucket].clamp(min=1e-4)).mean()
            self.muon.zero_grad()
            self.adam.zero_grad()
            loss.backward()
            n = torch.nn.utils.clip_grad_norm_(m.parameters(), 1.0)
            if torch.isfinite(n):
                self.muon.step()
                self.adam.step()
                a = min(o.ema, 1 - 1 / (self.step + 2))
                with torch.no_grad():
                    for name, v in m.state_dict().items():
                        self.ema[name].lerp_(v, 1 - a)
            else:
                self.skipped += 1
            self.step += 1
            now = time.time()
            self.spent = (now - start) / 60
            acc.append((each.detach(), d.detach(), r.detach(), q, z.detach()))
            if now - logged > o.log_seconds:
                logged = now
                e, dd, rr, qq, zz = (torch.cat([a[i] for a in acc]) for i in range(5))
                cells = []
                for lo in range(0, 64, 16):
                    s = (qq >= lo) & (qq < lo + 16)
                    if s.any():
                        cells.append(
                            f"q{lo}: {e[s].mean():.4f} ({rr[s].mean():.4f} bpp, D {dd[s].mean():.2f})"
                        )
                log(
                    f"{self.spent:.1f} min step {self.step} {'; '.join(cells)} z {zz.mean():.4f} norm {float(n):.2f} skipped {self.skipped}"
                )
                acc = []
            if now - saved > o.save_seconds:
                saved = now
                if evaluate:
                    log(self.evaluate(evaluate))
                if refresh:
                    refresh()
                self.save()
                start = time.time() - self.spent * 60  # evaluation is not training time
        self.save()
        if evaluate:
            log(self.evaluate(evaluate))

    def _coded(self, x: Tensor, pred: Tensor | None, q: Tensor) -> tuple[Tensor, ...]:
        """q, cost lambda * D + R, distortion, bits and those of the hyper-latent a sample, each (n,), and the decoded pictures."""
        with floats(float_choice()):
            out, bits, zbits = self.model(x, pred, q)
        d, samples = distortion(out, x), x.shape[1] * x.shape[2] * 64
        r = (bits + zbits) / samples
        return q, lagrangian(q) * d + r, d, r, zbits / samples, out

    def _chained(self, n: int) -> tuple[Tensor, ...]:
        """The same of the first frames of ``n`` chains, and in place of pictures the cost of the second ones: what the first are like decides what these have to add."""
        c = self.data.chain(n)
        *first, out = self._coded(c.x, c.pred, c.q)
        # divided by what the first ones cost as a rule, not the second ones: so the trade between the two stays that of bits
        return *first, self._coded(c.x2, c.predicted(out), c.q2)[1]

    def evaluate(self, evaluate: Callable[[FrameModel], str]) -> str:
        """Run ``evaluate`` on the averaged weights."""
        keep = {k: v.clone() for k, v in self.model.state_dict().items()}
        self.model.load_state_dict(self.ema)
        self.model.eval()
        try:
            with torch.no_grad():
                return f"  held out at {self.spent:.1f} min: " + evaluate(self.model)
        finally:
            self.model.load_state_dict(keep)
            self.model.train()


def held_out(items: list, qs: tuple[int, ...] = (8, 24, 40, 56)) -> Callable[[FrameModel], str]:
    """An evaluation: mean cost lambda*D + R over (x, pred) items at a few qualities."""

    def run(m: FrameModel) -> str:
        cells, total = [], 0.0
        for q in qs:
            e, d, r = [], [], []
            for x, p in items:
                with floats(float_choice()):
                    out, b, z = m(x, p, torch.tensor([float(q)]))
                dd, rr = float(distortion(out, x)), float(b + z) / (x.shape[1] * x.shape[2] * 64)
                d.append(dd)
                r.append(rr)
                e.append(rr + float(lagrangian(q)) * dd)
            mean = sum(e) / len(e)
            total += math.log2(mean)
            cells.append(
                f"q{q} {mean:.4f} ({sum(r) / len(r):.4f} bpp, {10 * math.log10(65025 * len(d) / sum(d)):.2f} dB)"
            )
        return json.dumps(dict(score=round(total / len(qs), 4))) + " " + "; ".join(cells)

    return run
