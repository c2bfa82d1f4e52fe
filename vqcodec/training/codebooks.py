"""Fitting the codebooks of each rate class, and their tables, on latents of trained nets (entropy-constrained Lloyd, Chou et al. 1989)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..codec.codebooks import UNIT, Codebooks
from ..codec.nets.arithmetic import float_choice, floats
from ..codec.nets.shape import CLASS_ZERO, CLASSES, HYPER_BUCKETS
from ..compiled import njit
from .data import Crops
from .model import FrameModel, step_masks

MAX_WORDS = 512
FEW = 4000  # samples of a class
FEW_HYPER = 1000  # and of a range of quality of the hyper-latent
TABLE_WEIGHT = 1 << 15  # total of a trained table: how many adaptive increments it weighs


@torch.no_grad()
def collect(
    m: FrameModel, prior: Any, data: Crops, batches: int, seed: int = 5
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Residuals of each class (n, 4) in steps, and hyper-latents (n, Z) of each quality range, of random crops, by the exact prior.

    A quality range that no crop fell into gets the hyper-latents of the nearest one.
    """
    data.rng = np.random.default_rng(seed)
    by_class: list[list[np.ndarray]] = [[] for _ in range(CLASSES)]
    zs: list[list[np.ndarray]] = [[] for _ in range(HYPER_BUCKETS)]
    m.eval()
    for _ in range(batches):
        x, pred, q = data.batch(4)
        qi = int(round(float(q[0])))
        qt = torch.full((x.shape[0],), float(qi))
        with floats(float_choice()):
            y, z = m.analysis(x, pred, qt)
        y, z = y.float(), z.float()
        zs[qi * HYPER_BUCKETS // 64].append(z.reshape(-1, z.shape[-1]).numpy())
        pred8 = (
            None
            if pred is None
            else ((torch.round((pred + 0.5) * 1020).int() - 512) >> 2).to(torch.int8)
        )
        contexts = prior.context((z.round() * UNIT).to(torch.int16), pred8)
        yq = torch.zeros_like(y)
        height, width, channels = y.shape[1:]
        masks = step_masks(height, width, channels, m.s.steps)
        for k, mask in enumerate(masks):
            mean, cls = prior.step(k, contexts[k], (yq * UNIT).to(torch.int16), qi)
            r = y - mean.float() / UNIT
            yq = yq + (mean.float() / UNIT + r.round()) * mask
            rows = r.reshape(-1, 4).numpy()
            keep = mask.expand_as(y).reshape(-1, 4)[:, 0].numpy() > 0
            c = cls.reshape(-1).numpy()
            for k in np.unique(c):
                by_class[k].append(rows[keep & (c == k)])
    seen = [i for i, b in enumerate(zs) if b]
    near = [min((abs(j - i), j) for j in seen)[1] for i in range(HYPER_BUCKETS)]
    return [np.concatenate(b) if b else np.zeros((0, 4), np.float32) for b in by_class], [
        np.concatenate(zs[i]) for i in near
    ]


@njit
def _assign(x, words, bits, lam, out):
    total = 0.0
    for i in range(x.shape[0]):
        best = 1e30
        for k in range(words.shape[0]):
            d = lam * bits[k]
            for c in range(x.shape[1]):
                e = x[i, c] - words[k, c]
                d += e * e
                if d >= best:
                    break
            if d < best:
                best = d
                out[i] = k
        total += best
    return total


def lloyd(
    x: np.ndarray, k: int, lam: float, iterations: int = 25, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Entropy-constrained codebook of at most k words for x (n, d): words (K, d) with the zero vector first, counts (K,)."""
    rng = np.random.default_rng(seed)
    x = np.ascontiguousarray(x, np.float32)
    words = np.concatenate(
        [np.zeros((1, x.shape[1]), np.float32), np.rint(x[rng.integers(len(x), size=4 * k)])]
    )
    words = np.unique(words, axis=0)
    rng.shuffle(words)
    words = np.concatenate(
        [np.zeros((1, x.shape[1]), np.float32), words[(words != 0).any(1)][: k - 1]]
    )
    bits = np.full(len(words), np.log2(len(words)), np.float32)
    idx = np.zeros(len(x), np.int64)
    for _ in range(iterations):
        _assign(x, words, bits, lam, idx)
        n = np.bincount(idx, minlength=len(words)).astype(np.float64)
        for c in range(x.shape[1]):
            words[:, c] = np.bincount(idx, x[:, c], len(words)) / np.maximum(n, 1)
        words[0] = 0
        keep = n > max(1, 2e-5 * len(x))
        keep[0] = True
        words, n = words[keep], n[keep]
        bits = (-np.log2(np.maximum(n, 0.5) / max(n.sum(), 1))).astype(
            np.float32
        )  # the zero word alone may have no samples yet
    words = np.rint(words * UNIT) / UNIT
    _assign(x, words.astype(np.float32), bits, lam, idx)
    return words, np.bincount(idx, minlength=len(words))


def plan(c: int) -> tuple[int, int]:
    """(dimension, most words) of class c, by what its scale asks for."""
    s = 2 ** ((c - CLASS_ZERO) / 4)
    if s < 0.65:
        return 4, 256
    if s < 2.9:
        return 2, 256
    return 1, int(min(400, max(48, 12 * s)))


def fit(
    samples: list[np.ndarray],
    z: list[np.ndarray],
    lam: float,
    most: int = 60000,
    log: Any = print,
    old: Codebooks | None = None,
) -> Codebooks:
    """Codebooks and tables of all classes from collected samples; where there are few of them, those of ``old`` are taken over, if given."""
    groups = z[0].shape[1] // 4
    t = CLASSES + groups * HYPER_BUCKETS
    dims, sizes = np.zeros(t, np.int64), np.zeros(t, np.int64)
    words, counts = np.zeros((t, MAX_WORDS, 4), np.int16), np.zeros((t, MAX_WORDS), np.uint32)
    rng = np.random.default_rng(0)
    for c in range(CLASSES):
        x = samples[c]
        real = len(x)
        if old is not None and real < FEW:
            k = old.sizes[c]
            dims[c], sizes[c], words[c, :k], counts[c, :k] = (
                old.dims[c],
                k,
                old.words[c, :k],
                old.counts[c, :k],
            )
            continue
        # rare classes borrow from their neighbours, scaled to their own width
        for d in (1, -1, 2, -2, 3, -3, 4, -4):
            if len(x) < FEW and 0 <= c + d < CLASSES and len(samples[c + d]):
                x = np.concatenate([x, samples[c + d] * 2 ** (-d / 4)])
        if len(x) < FEW:
            x = np.concatenate(
                [
                    x,
                    rng.laplace(size=(FEW, 4)).astype(np.float32)
                    * 2 ** ((c - CLASS_ZERO) / 4 - 0.5),
                ]
            )
        dim, most_words = plan(c)
        if dim == 4 and (np.abs(x[: max(real, FEW)]) < 0.5).all(1).mean() > 0.998:
            continue
        if len(x) > most:
            x = x[rng.permutation(len(x))[:most]]
        w, n = lloyd(x.reshape(-1, dim), most_words, lam)
        k = len(w)
        if k == 1:
            continue
        dims[c], sizes[c] = dim, k + (dim < 4)
        words[c, :k, :dim] = np.rint(w * UNIT)
        p = n / n.sum()
        counts[c, :k] = np.maximum(1, np.rint(p * TABLE_WEIGHT))
        if dim < 4:
            counts[c, k] = 1
        log(
            f"class {c}: {real} samples, dimension {dim}, {k} words, {-(p[p > 0] * np.log2(p[p > 0])).sum() * 4 / dim:.3f} bits a group"
        )
    for i in range(groups * HYPER_BUCKETS):
        bucket, g = divmod(i, groups)
        x = z[bucket][:, g * 4 : g * 4 + 4]
        t = CLASSES + i
        if old is not None and len(x) < FEW_HYPER:
            k = old.sizes[t]
            dims[t], sizes[t], words[t, :k], counts[t, :k] = (
                old.dims[t],
                k,
                old.words[t, :k],
                old.counts[t, :k],
            )
            continue
        w, n = lloyd(x[rng.permutation(len(x))[:20000]], 128, lam)
        k = len(w)
        dims[t], sizes[t] = 4, k
        words[t, :k] = np.rint(w * UNIT)
        counts[t, :k] = np.maximum(1, np.rint(n / n.sum() * TABLE_WEIGHT))
    return Codebooks(dims, sizes, words, counts)
