#!/usr/bin/env python3
"""Train large nets on a GPU, from pictures and clips, against the clock.

    tools/key_pairs.py FOLDER CLIPS... --workers 12 --seconds 600
    tools/device_train.py intra OUT --photos FOLDER --clips FOLDER --seconds 300
    tools/device_train.py key OUT --pairs FOLDER --seconds 300

``intra`` and ``key`` train in floats, then under
the integers' arithmetic, and write the averaged weights (float16) with their scores. Pictures live
in the GPU's memory, crops are gathered there.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from held_out import HELD  # noqa: E402

from vqcodec.codec.nets.shape import INTER, INTRA, LARGE_INTRA, LARGE_KEY, NetShape  # noqa: E402
from vqcodec.encoding.nets.layers import Tiles  # noqa: E402
from vqcodec.encoding.rate_distortion import lagrangian  # noqa: E402
from vqcodec.training.data import Crops, Planes, pack, read_clip, read_photo  # noqa: E402
from vqcodec.training.export import calibrated  # noqa: E402
from vqcodec.training.loop import distortion  # noqa: E402
from vqcodec.training.model import FrameModel  # noqa: E402
from vqcodec.training.recipe import Recipe  # noqa: E402
from vqcodec.training.transform_start import transform_start  # noqa: E402

BORDER_WEIGHT = 0.06  # of steps at block borders that the source does not have
GREY_SHARE = 0.7  # of samples some blocks of which are shown no prediction
TILE_SHARE = 0.5  # of samples that are coded in some tiles only


# --- crops on the device ---------------------------------------------------------------------------


class DeviceCrops:
    """Random square crops of pictures (and predictions) that lie in the device's memory.

    Has :meth:`batch` as :class:`vqcodec.training.data.Crops` has, with everything on the device.
    """

    def __init__(self, size: int, device: torch.device, seed: int = 0):
        self.size, self.device = size, device
        self.generator = torch.Generator(device).manual_seed(seed)
        self.chunks: list[list[Tensor]] = []  # y, c of each picture, then of each prediction
        self.flat: list[Tensor] = []
        self.rows: list[tuple[int, int, int, int, float, float]] = []
        self.ends = [0, 0]

    def add(
        self, pic: Planes, pred: Planes | None = None, q: tuple[float, float] = (0, 63)
    ) -> None:
        h, w = (v // 8 * 8 for v in pic[0].shape)
        if min(h, w) < self.size:
            return

        def ten(p: Planes) -> list[Tensor]:
            shift = 2 if p[0].dtype == np.uint8 else 0
            y = p[0][:h, :w].astype(np.int16) << shift
            c = p[1][:, : h // 2, : w // 2].astype(np.int16) << shift
            return [torch.from_numpy(y.ravel()), torch.from_numpy(c.ravel())]

        self.chunks.append(ten(pic) + (ten(pred) if pred is not None else []))
        self.rows.append((h, w, *self.ends, *q))
        self.ends = [self.ends[0] + h * w, self.ends[1] + h * w // 2]

    def upload(self) -> None:
        """What was added since goes to the device."""
        if not self.chunks:
            return
        new = [torch.cat(list(c)).to(self.device) for c in zip(*self.chunks, strict=True)]
        self.flat = [torch.cat(p) for p in zip(self.flat, new, strict=True)] if self.flat else new
        self.chunks = []
        self.table = torch.tensor(self.rows, dtype=torch.float64, device=self.device)

    def _random(self, n: int) -> Tensor:
        return torch.rand(n, device=self.device, generator=self.generator)

    def batch(self, n: int) -> tuple[Tensor, Tensor | None, Tensor]:
        s = self.size
        item = (self._random(n) * len(self.table)).long().clamp(max=len(self.table) - 1)
        h, w, at, cat, low, high = self.table[item].unbind(1)
        top, left = (
            (self._random(n) * ((v - s) / 2 + 1)).floor().clamp(max=(v - s) / 2).long() * 2
            for v in (h, w)
        )
        flips = torch.rand(3, n, device=self.device, generator=self.generator) < 0.5
        w, at, cat, h = w.long(), at.long(), cat.long(), h.long()

        def index(size: int, r0: Tensor, c0: Tensor, width: Tensor, base: Tensor) -> Tensor:
            a = torch.arange(size, device=self.device)
            rows = torch.where(flips[0, :, None], a.flip(0), a) + r0[:, None]
            columns = torch.where(flips[1, :, None], a.flip(0), a) + c0[:, None]
            i = base[:, None, None] + rows[:, :, None] * width[:, None, None] + columns[:, None]
            return torch.where(flips[2, :, None, None], i.transpose(1, 2), i)

        iy = index(s, top, left, w, at)
        iu = index(s // 2, top // 2, left // 2, w // 2, cat)
        ic = torch.stack([iu, iu + (h * w // 4)[:, None, None]], 1)
        out = []
        for k in range(0, len(self.flat), 2):
            y, c = (
                p[i].float() / 1020 - 0.5
                for p, i in zip(self.flat[k : k + 2], (iy, ic), strict=True)
            )
            out.append(pack(y, c))
        q = low + self._random(n) * (high - low)
        q = torch.where(self._random(n) < 0.1, self._random(n) * 63, q).clamp(0, 63).float()
        return out[0], out[1] if len(out) > 1 else None, q


# --- maps ------------------------------------------------------------------------------------------


def pooled(e: Tensor, r: int) -> Tensor:
    n, h, w = e.shape
    return e.reshape(n, h // r, r, w // r, r).mean((2, 4))


def cell_error(a: Tensor) -> Tensor:
    """(N, H/8, W/8) weighted mean squared value of packed differences, 8-bit scale."""
    e = a.square() * 65025
    return 0.75 * e[..., :64].mean(-1) + 0.375 * (e[..., 64:80].mean(-1) + e[..., 80:].mean(-1))


def grey_blocks(x: Tensor, pred: Tensor) -> Tensor:
    """The prediction, grey in blocks of 16x16 that it predicts worse than a flat colour would."""
    n = x.shape[0]
    error = pooled(cell_error(x - pred), 2)
    parts = []
    for a, b in ((0, 64), (64, 80), (80, 96)):
        v = x[..., a:b].mean(-1)
        v = pooled(v, 2).repeat_interleave(2, 1).repeat_interleave(2, 2)
        parts.append(x[..., a:b] - v[..., None])
    flat = pooled(cell_error(torch.cat(parts, -1)), 2)
    bar = torch.exp(torch.randn(n, device=x.device) * 0.4 - 0.1)[:, None, None]
    off = torch.rand(n, device=x.device)[:, None, None] > GREY_SHARE
    grey = (flat * bar < error) & (error > 4) & ~off
    grey = grey.repeat_interleave(2, 1).repeat_interleave(2, 2)[..., None]
    return torch.where(grey, torch.full_like(pred, 512 / 1020 - 0.5), pred)


def tiles_of(x: Tensor, pred: Tensor | None, q: Tensor) -> Tiles:
    """Masks as an encoder would choose them: where the error of the prediction is worth bits."""
    n, h, w, _ = x.shape
    k = lagrangian(q)[:, None, None]
    if pred is not None:
        bits = k * pooled(cell_error(x - pred), 4)
        bar = 0.02 * torch.exp(torch.randn(n, device=x.device) * 0.8)[:, None, None]
        share = TILE_SHARE
    else:  # flat tiles of pictures on their own
        v = torch.cat(
            [x[..., a:b] - tile_mean(x[..., a:b]) for a, b in ((0, 64), (64, 80), (80, 96))], -1
        )
        bits = k * pooled(cell_error(v), 4)
        bar = 0.01 * torch.exp(torch.randn(n, device=x.device) * 0.8)[:, None, None]
        share = 0.2
    coded = (bits > bar) | (torch.rand(n, device=x.device)[:, None, None] > share)
    coded[:, 0, 0] |= ~coded.any(2).any(1)
    t = coded.float()
    up = lambda r: t.repeat_interleave(r, 1).repeat_interleave(r, 2)[..., None]
    m64 = t.reshape(n, h // 8, 2, w // 8, 2).amax((2, 4))[..., None]
    return up(4), up(2), m64


def tile_mean(v: Tensor) -> Tensor:
    """Mean of each 32x32 tile of one plane's packed samples, repeated."""
    m = pooled(v.mean(-1), 4)
    return m.repeat_interleave(4, 1).repeat_interleave(4, 2)[..., None]


def border_error(out: Tensor, x: Tensor) -> Tensor:
    """(N,) squared steps between blocks of 8x8 luma samples that the source has not, 8-bit scale."""
    total = torch.zeros(x.shape[0], device=x.device)
    shape = (*x.shape[:3], 8, 8)
    a, b = out[..., :64].reshape(shape), x[..., :64].reshape(shape)
    for pick in (
        lambda v: v[:, :, 1:, :, 0] - v[:, :, :-1, :, 7],
        lambda v: v[:, 1:, :, 0] - v[:, :-1, :, 7],
    ):
        da, db = pick(a), pick(b)
        smooth = 1 / (1 + (db * 255).square() / 16)
        total = total + ((da - db).square() * smooth).mean((1, 2, 3)) * 65025
    return total


# --- optimisation ----------------------------------------------------------------------------------


class Muon:
    """Muon (Jordan 2024) over all matrices of one shape at once."""

    def __init__(self, params: list[Tensor], factor: float):
        self.factor = factor
        self.groups: dict[tuple[int, ...], list[Tensor]] = {}
        for p in params:
            self.groups.setdefault(tuple(p.shape), []).append(p)
        self.momentum = {
            s: torch.zeros(len(g), *s, device=g[0].device) for s, g in self.groups.items()
        }

    @torch.no_grad()
    def step(self, lr: float) -> None:
        for shape, params in self.groups.items():
            g = torch.stack([p.grad if p.grad is not None else torch.zeros_like(p) for p in params])
            m = self.momentum[shape]
            m.lerp_(g, 0.05)
            x = g.lerp(m, 0.95).bfloat16()
            if shape[0] > shape[1]:
                x = x.mT
            x = x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
            for _ in range(5):
                a = x @ x.mT
                x = 3.4445 * x + (-4.775 * a + 2.0315 * a @ a) @ x
            if shape[0] > shape[1]:
                x = x.mT
            scale = -lr * self.factor * 0.2 * math.sqrt(max(shape))
            torch._foreach_add_(params, list(x.float().unbind(0)), alpha=scale)


def score(
    m: FrameModel, items: list[tuple[Tensor, Tensor | None, float | None]]
) -> dict[str, float]:
    """Mean log2 of lambda D + R: over all items at each of four qualities, or at each item's own."""
    was = m.training
    m.eval()
    costs: dict[str, list[float]] = {}
    with torch.no_grad(), torch.compiler.set_stance("force_eager"):
        for x, pred, own in items:
            for q in (
                (8.0, 24.0, 40.0, 56.0) if own is None else (max(0.0, own - 4), min(63.0, own + 4))
            ):
                qt = torch.tensor([q], device=x.device)
                with torch.autocast(x.device.type, torch.bfloat16):
                    out, b, z = m(x, pred, qt)
                cost = lagrangian(qt) * distortion(out, x) + (b + z) / (
                    x.shape[1] * x.shape[2] * 64
                )
                costs.setdefault(f"q{q:.0f}" if own is None else "own", []).append(float(cost))
    m.train(was)
    if "own" in costs:
        return {"score": round(float(np.mean(np.log2(costs["own"]))), 4)}
    each = {k: round(float(np.log2(np.mean(v))), 4) for k, v in costs.items()}
    return {"score": round(sum(each.values()) / len(each), 4)} | each


def whole(pic: Planes, device: torch.device, limit: int = 384) -> Tensor:
    h, w = (min(limit, v // 64 * 64) for v in pic[0].shape)
    k = 255.0 if pic[0].dtype == np.uint8 else 1020.0
    f = lambda a: torch.from_numpy(np.ascontiguousarray(a, np.float32))[None] / k - 0.5
    return pack(f(pic[0][:h, :w]), f(pic[1][:, : h // 2, : w // 2])).to(device)


class Trainer:
    def __init__(self, a: argparse.Namespace):
        self.a, self.device = a, torch.device(a.device)
        self.out = Path(a.out)
        self.out.mkdir(parents=True, exist_ok=True)
        self.begin = time.time()
        torch.set_num_threads(a.threads)
        self.seen: set[Path] = set()
        self.held: list[tuple[Tensor, Tensor | None, float | None]] = []

    def log(self, text: str) -> None:
        line = f"{time.time() - self.begin:6.1f} s {self.a.what} {text}"
        print(line, flush=True)
        with open(self.out / f"{self.a.what}.log", "a") as f:
            f.write(line + "\n")

    # -- data

    def load(self) -> None:
        a = self.a
        if a.what == "key":
            held = Path(a.pairs) / "held"
            while len(list(Path(a.pairs).glob("*.npz"))) < a.least or len(
                list(held.glob("[0-9]*.npz"))
            ) < min(10, a.least):
                time.sleep(1)
            self.crops = DeviceCrops(a.crop, self.device)
            self.look()
            for f in sorted(held.glob("[0-9]*.npz"))[:20]:
                with np.load(f) as d:
                    i = 0
                    pic, pred = (d[f"{i}_y"], d[f"{i}_c"]), (d[f"{i}_py"], d[f"{i}_pc"])
                    self.held.append(
                        (whole(pic, self.device), whole(pred, self.device), float(d[f"{i}_q"]))
                    )
            return
        photos = sorted(p for p in Path(a.photos).rglob("*") if p.suffix in (".webp", ".png"))
        clips = sorted(Path(a.clips).glob("*.mkv")) if a.clips else []
        kept = [f for f in clips if f.stem not in HELD]
        with multiprocessing.get_context("fork").Pool(a.workers) as pool:
            pictures = list(pool.map(read_photo, photos, 4))
            sparse = list(pool.imap_unordered(_sparse, kept))
        self.crops = DeviceCrops(a.crop, self.device)
        for f, p in zip(photos, pictures, strict=True):
            if sum(f.stem.encode()) % 40:
                self.crops.add(p)
            elif min(p[0].shape) >= 128 and len(self.held) < 16:
                self.held.append((whole(p, self.device), None, None))
        for p in (p for frames in sparse for p in frames):
            self.crops.add(p)
        if a.pages:
            from vqcodec.training.synthetic import page, to_planes

            rng = np.random.default_rng(1)
            for _ in range(a.pages):
                self.crops.add(to_planes(page(rng, 480, 384)))
        self.crops.upload()

    def look(self) -> None:
        """New pairs."""
        for f in sorted(Path(self.a.pairs).glob("[0-9]*.npz")):
            if f in self.seen:
                continue
            self.seen.add(f)
            with np.load(f) as d:
                for i in range(sum(k.endswith("_y") for k in d.files)):
                    q = float(d[f"{i}_q"])
                    pic, pred = (d[f"{i}_y"], d[f"{i}_c"]), (d[f"{i}_py"], d[f"{i}_pc"])
                    self.crops.add(pic, pred, (q - 6, q + 6))
            if not self.a.keep:
                f.unlink()
        self.crops.upload()

    # -- training

    def run(self) -> None:
        a = self.a
        self.load()
        self.log(f"{len(self.crops.rows)} items, {len(self.held)} held out")
        base = INTRA if a.what == "intra" else INTER
        old = FrameModel(base)
        file = (
            Path(__file__).resolve().parent.parent
            / f"weights/training/{'intra' if a.what == 'intra' else 'inter'}.safetensors"
        )
        if file.exists() and self.held:
            Recipe.load(old, file)
            self.log(f"released float nets: {score(old.to(self.device), self.held)}")
        del old
        shape = (
            NetShape(**json.loads(a.shape))
            if a.shape
            else LARGE_INTRA
            if a.what == "intra"
            else LARGE_KEY
        )
        torch.manual_seed(0)
        m = FrameModel(shape)
        if a.init:
            m.load_state_dict(torch.load(a.init, weights_only=True))
        else:
            transform_start(m, _OnCpu(self.crops))
        m.to(self.device)
        if a.fused:
            from vqcodec.training.fused import use_fused

            torch._dynamo.config.suppress_errors = True
            use_fused()
        left = a.seconds - (time.time() - self.begin)
        if a.float_share:
            m = self.stage(m, left * a.float_share, a.lr, "float")
            self.save(m, "float")
        if a.float_share or not a.init:
            self.observe(m)
        m.quantise_aware("quant")
        left = a.seconds - (time.time() - self.begin)
        m = self.stage(m, left, a.lr * 0.35, "quant")
        self.save(m, "quant")

    def keep(self, state: dict[str, Tensor], name: str) -> None:
        half = {k: v.half().cpu() if v.is_floating_point() else v.cpu() for k, v in state.items()}
        torch.save(half, self.out / f"{self.a.what}-{name}.tmp")
        (self.out / f"{self.a.what}-{name}.tmp").replace(self.out / f"{self.a.what}-{name}.pt")

    def save(self, m: FrameModel, name: str) -> None:
        self.keep(m.state_dict(), name)
        self.log(f"{name}: {score(m, self.held) if self.held else ''}")

    @torch.no_grad()
    def observe(self, m: FrameModel) -> None:
        m.eval()
        m.quantise_aware("observe")
        for i in range(40):
            x, pred, q = self.crops.batch(16)
            q = torch.linspace(0, 63, 16, device=self.device) if i % 4 == 0 else q
            with torch.autocast(self.device.type, torch.bfloat16):
                m(x, pred, q)
        m.quantise_aware("float")
        m.cpu()
        calibrated(m)
        m.to(self.device)

    def stage(self, m: FrameModel, seconds: float, lr: float, name: str) -> FrameModel:
        a = self.a
        mats = {
            n: p
            for n, p in m.named_parameters()
            if p.dim() == 2 and n.endswith("weight") and p.shape[1] != 9
        }
        path = (
            "analysis.first",
            "analysis.down",
            "analysis.last",
            "synthesis.first",
            "synthesis.up",
            "synthesis.last",
        )
        linear = {n for n in mats if n.rpartition(".")[0] in path}
        muons = [
            Muon([p for n, p in mats.items() if n not in linear], 2.0),
            Muon([p for n, p in mats.items() if n in linear], 0.15),
        ]
        ranges = [p for n, p in m.named_parameters() if n.endswith(".stretch")]
        rest = [p for n, p in m.named_parameters() if n not in mats and not n.endswith(".stretch")]
        fused = self.device.type == "cuda"
        adam = torch.optim.AdamW(
            [dict(params=rest, k=1.0), dict(params=ranges, k=3.0)],
            lr=lr,
            betas=(0.9, 0.98),
            weight_decay=0.0,
            fused=fused,
        )
        state = [v for v in m.state_dict().values() if v.is_floating_point()]
        ema = [v.clone() for v in state]
        norm = torch.zeros(8, device=self.device)
        begin, logged, step, sums = time.time(), time.time(), 0, []
        m.train()
        while (spent := time.time() - begin) < seconds:
            k = (
                lr
                * min(1.0, (step + 1) / 150)
                * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, spent / seconds))))
            )
            for g in adam.param_groups:
                g["lr"] = k * g["k"]
            x, pred, q = self.crops.batch(a.batch)
            if pred is not None:
                pred = grey_blocks(x, pred)
            tiles = tiles_of(x, pred, q)
            m8 = tiles[0]
            assert m8 is not None
            if pred is None:
                x = x * m8
            with torch.autocast(self.device.type, torch.bfloat16):
                out, bits, zbits = m(x, pred, q, tiles)
            d = distortion(out, x)
            rate = (bits + zbits) / (x.shape[1] * x.shape[2] * 64)
            each = lagrangian(q) * (d + BORDER_WEIGHT * border_error(out, x)) + rate
            with torch.no_grad():
                bucket = (q / 8).long().clamp(max=7)
                n = torch.zeros(8, device=self.device).index_add_(0, bucket, torch.ones_like(q))
                mean = torch.zeros(8, device=self.device).index_add_(
                    0, bucket, each.detach().float()
                ) / n.clamp(min=1)
                fresh = torch.where(norm == 0, mean, 0.98 * norm + 0.02 * mean)
                norm = torch.where((n > 0) & torch.isfinite(mean), fresh, norm)
                # half-way between equal weight for each picture and for each bit
                weight = (norm[bucket] * each.detach().clamp(min=1e-4)).rsqrt()
            loss = (each * weight).mean()
            loss.backward()
            grads = [p.grad for p in m.parameters() if p.grad is not None]
            total = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads)))
            torch._foreach_mul_(
                grads,
                torch.where(
                    torch.isfinite(total), (1 / total).clamp(max=1.0), torch.zeros_like(total)
                ),
            )
            adam.step()
            for o in muons:
                o.step(k)
            for p in m.parameters():
                p.grad = None
            torch._foreach_lerp_(ema, state, 1 - min(a.ema, 1 - 1 / (step + 2)))
            step += 1
            sums.append(torch.stack([each.mean(), d.mean(), rate.mean()]).detach())
            if time.time() - logged > a.log_seconds:
                logged = time.time()
                e = torch.stack(sums).mean(0).tolist()
                sums = []
                held = ""
                if a.evaluate and self.held:
                    keep = [v.clone() for v in state]
                    for v, w in zip(state, ema, strict=True):
                        v.copy_(w)
                    held = str(score(m, self.held))
                    for v, w in zip(state, keep, strict=True):
                        v.copy_(w)
                    m.train()
                self.log(
                    f"{name} step {step}, {step / (logged - begin):.1f}/s: cost {e[0]:.4f} D {e[1]:.2f} R {e[2]:.4f} norm {float(total):.2f} items {len(self.crops.rows)} {held}"
                )
                if not a.evaluate or self.device.type == "cpu":
                    names = [n for n, v in m.state_dict().items() if v.is_floating_point()]
                    self.keep(dict(zip(names, ema, strict=True)), f"{name}-ema")
                if not math.isfinite(float(total)) and not all(
                    bool(torch.isfinite(v).all()) for v in state
                ):
                    self.log("not finite: back to the averaged weights")
                    for v, w in zip(state, ema, strict=True):
                        v.copy_(torch.nan_to_num(w))
                if a.what == "key":
                    self.look()
        with torch.no_grad():
            for v, w in zip(state, ema, strict=True):
                v.copy_(w)
        return m


class _OnCpu(Crops):
    def __init__(self, crops: DeviceCrops):
        self.crops = crops

    def batch(self, n: int) -> tuple[Tensor, Tensor | None, Tensor]:
        x, p, q = self.crops.batch(n)
        return x.cpu(), None if p is None else p.cpu(), q.cpu()


def _sparse(path: Path) -> list[Planes]:
    return read_clip(path, 24)


def main() -> None:
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("what", choices=["intra", "key"])
    ap.add_argument("out")
    ap.add_argument("--photos")
    ap.add_argument("--clips")
    ap.add_argument("--pairs")
    ap.add_argument("--seconds", type=float, default=300)
    ap.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    ap.add_argument("--batch", type=int, default=64)
    ap.add_argument("--crop", type=int, default=192)
    ap.add_argument("--lr", type=float, default=1.5e-3)
    ap.add_argument("--ema", type=float, default=0.998)
    ap.add_argument("--float-share", type=float, default=0.65)
    ap.add_argument("--pages", type=int, default=0)
    ap.add_argument("--least", type=int, default=30)
    ap.add_argument("--log-seconds", type=float, default=20)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--device", default="cuda")
    ap.add_argument("--shape", default="")
    ap.add_argument("--init", default="")
    ap.add_argument("--fused", action="store_true")
    ap.add_argument("--evaluate", action="store_true")
    ap.add_argument("--keep", action="store_true")
    a = ap.parse_args()
    Trainer(a).run()


if __name__ == "__main__":
    main()
