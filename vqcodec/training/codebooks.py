"""Fitting the codebooks of each rate class, and their tables, on latents of trained nets.

Entropy-constrained Lloyd (Chou et al. 1989).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..codec.codebooks import UNIT, Codebooks
from ..codec.nets.prior import Prior
from ..codec.nets.shape import CLASS_ZERO, CLASSES, GROUP, HYPER_BUCKETS
from ..compiled import njit
from ..encoding.nets.arithmetic import float_choice, floats
from .crops import Batch, Crops
from .model import FrameModel, step_masks

MAX_WORDS = 512
FEW = 4000  # samples of a class
FEW_HYPER = 1000  # and of a range of quality of the hyper-latent
MOST = 60_000  # samples of a class that codewords are fitted to
MOST_HYPER, HYPER_WORDS = 20_000, 128  # of the hyper-latent
TABLE_WEIGHT = 1 << 15  # total of a trained table: how many adaptive increments it weighs
EMPTY = 0.998  # share of zeros from which a class is not coded


class Latents(NamedTuple):
    """What codebooks are fitted to.

    ``classes``: residuals (n, 4), in steps, of each rate class. ``hyper``: hyper-latents (n, Z) of
    each range of quality.
    """

    classes: list[np.ndarray]
    hyper: list[np.ndarray]


class Codewords(NamedTuple):
    """A codebook and how often each word was met: words (K, dimension) in steps, counts (K,)."""

    words: np.ndarray
    counts: np.ndarray


# --- collecting --------------------------------------------------------------------------


@torch.no_grad()
def collect(
    model: FrameModel, prior: Prior[Any], data: Crops, batches: int, seed: int = 5
) -> Latents:
    """Latents of random crops, by the exact prior.

    A quality range that no crop fell into gets the hyper-latents of the nearest one.
    """
    data.rng = np.random.default_rng(seed)
    classes: list[list[np.ndarray]] = [[] for _ in range(CLASSES)]
    hyper: list[list[np.ndarray]] = [[] for _ in range(HYPER_BUCKETS)]
    model.eval()
    for _ in range(batches):
        batch = data.batch(4)
        quality = round(float(batch.quality[0]))
        with floats(float_choice()):
            latent, coded = model.analysis(
                batch.picture, batch.prediction, torch.full((4,), float(quality))
            )
        hyper[quality * HYPER_BUCKETS // 64].append(
            coded.float().reshape(-1, coded.shape[-1]).numpy()
        )
        _collect_classes(
            prior, _Coded(batch, latent.float(), coded.float(), quality, model.shape.steps), classes
        )
    seen = [i for i, parts in enumerate(hyper) if parts]
    nearest = [min((abs(j - i), j) for j in seen)[1] for i in range(HYPER_BUCKETS)]
    return Latents(
        [np.concatenate(p) if p else np.zeros((0, GROUP), np.float32) for p in classes],
        [np.concatenate(hyper[i]) for i in nearest],
    )


class _Coded(NamedTuple):
    batch: Batch
    y: Tensor
    z: Tensor
    quality: int
    steps: int


def _collect_classes(prior: Prior[Any], coded: _Coded, into: list[list[np.ndarray]]) -> None:
    """Code a latent step by step; its residuals, by class, are added."""
    prediction = coded.batch.prediction
    prediction8 = None
    if prediction is not None:
        tens = torch.round((prediction + 0.5) * 1020).int()
        prediction8 = ((tens - 512) >> 2).to(torch.int8)
    z = (coded.z.round() * UNIT).to(torch.int16)
    contexts = prior.context(z.numpy(), None if prediction8 is None else prediction8.numpy())
    decoded = torch.zeros_like(coded.y)
    _, height, width, channels = coded.y.shape
    for k, mask in enumerate(step_masks(height, width, channels, coded.steps)):
        known = (decoded * UNIT).to(torch.int16)
        found, numbers = prior.step(k, contexts[k], known.numpy(), coded.quality)
        mean = torch.from_numpy(found).float() / UNIT
        residual = coded.y - mean
        decoded = decoded + (mean + residual.round()) * mask
        rows = residual.reshape(-1, GROUP).numpy()
        active = mask.expand_as(coded.y).reshape(-1, GROUP)[:, 0].numpy() > 0
        flat = numbers.reshape(-1)
        for number in np.unique(flat):
            into[number].append(rows[active & (flat == number)])


# --- fitting -----------------------------------------------------------------------------


@njit
def _assign(
    x: np.ndarray, words: np.ndarray, bits: np.ndarray, lam: float, out: np.ndarray
) -> float:
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
    samples: np.ndarray, most: int, lam: float, iterations: int = 25, seed: int = 0
) -> Codewords:
    """Entropy-constrained codebook of at most ``most`` words for samples (n, d).

    The zero vector is the first word.
    """
    rng = np.random.default_rng(seed)
    samples = np.ascontiguousarray(samples, np.float32)
    dimension = samples.shape[1]
    zero = np.zeros((1, dimension), np.float32)
    words = np.concatenate([zero, np.rint(samples[rng.integers(len(samples), size=4 * most)])])
    words = np.unique(words, axis=0)
    rng.shuffle(words)
    words = np.concatenate([zero, words[(words != 0).any(1)][: most - 1]])
    bits = np.full(len(words), np.log2(len(words)), np.float32)
    chosen = np.zeros(len(samples), np.int64)
    for _ in range(iterations):
        _assign(samples, words, bits, lam, chosen)
        counts = np.bincount(chosen, minlength=len(words)).astype(np.float64)
        for c in range(dimension):
            sums = np.bincount(chosen, samples[:, c], len(words))
            words[:, c] = sums / np.maximum(counts, 1)
        words[0] = 0
        keep = counts > max(1, 2e-5 * len(samples))
        keep[0] = True
        words, counts = words[keep], counts[keep]
        # the zero word alone may have no samples yet
        shares = np.maximum(counts, 0.5) / max(counts.sum(), 1)
        bits = (-np.log2(shares)).astype(np.float32)
    words = np.rint(words * UNIT) / UNIT
    _assign(samples, words.astype(np.float32), bits, lam, chosen)
    return Codewords(words, np.bincount(chosen, minlength=len(words)))


def plan(number: int) -> tuple[int, int]:
    """(dimension, most words) of a class, by what its scale asks for."""
    scale = 2 ** ((number - CLASS_ZERO) / 4)
    if scale < 0.65:
        return 4, 256
    if scale < 2.9:
        return 2, 256
    return 1, int(min(400, max(48, 12 * scale)))


@dataclass
class _Tables:
    """Codebooks in the making: those of the classes, then those of the hyper-latent."""

    dims: np.ndarray
    sizes: np.ndarray
    words: np.ndarray
    counts: np.ndarray

    @classmethod
    def empty(cls, tables: int) -> _Tables:
        return cls(
            np.zeros(tables, np.int64),
            np.zeros(tables, np.int64),
            np.zeros((tables, MAX_WORDS, GROUP), np.int16),
            np.zeros((tables, MAX_WORDS), np.uint32),
        )

    def keep(self, table: int, old: Codebooks) -> None:
        """Take one over from codebooks of before."""
        size = old.sizes[table]
        self.dims[table], self.sizes[table] = old.dims[table], size
        self.words[table, :size] = old.words[table, :size]
        self.counts[table, :size] = old.counts[table, :size]

    def put(self, table: int, made: Codewords, escape: bool) -> None:
        """Set one; the last symbol of those with an escape is the escape."""
        size, dimension = made.words.shape
        self.dims[table], self.sizes[table] = dimension, size + escape
        self.words[table, :size, :dimension] = np.rint(made.words * UNIT)
        shares = made.counts / made.counts.sum()
        self.counts[table, :size] = np.maximum(1, np.rint(shares * TABLE_WEIGHT))
        if escape:
            self.counts[table, size] = 1


def fit(
    latents: Latents,
    lam: float,
    log: Callable[[str], object] = print,
    old: Codebooks | None = None,
) -> Codebooks:
    """Codebooks and tables of all classes; where samples are few, those of ``old``, if given."""
    groups = latents.hyper[0].shape[1] // GROUP
    tables = _Tables.empty(CLASSES + groups * HYPER_BUCKETS)
    rng = np.random.default_rng(0)
    for number, samples in enumerate(latents.classes):
        if old is not None and len(samples) < FEW:
            tables.keep(number, old)
            continue
        dimension, _ = plan(number)
        made = _fit_class(latents.classes, number, lam, rng)
        if made is not None:
            tables.put(number, made, escape=dimension < GROUP)
            log(_class_line(number, len(samples), made))
    for bucket, samples in enumerate(latents.hyper):
        for group in range(groups):
            table = CLASSES + bucket * groups + group
            if old is not None and len(samples) < FEW_HYPER:
                tables.keep(table, old)
                continue
            x = samples[:, group * GROUP : (group + 1) * GROUP]
            some = x[rng.permutation(len(x))[:MOST_HYPER]]
            tables.put(table, lloyd(some, HYPER_WORDS, lam), escape=False)
    return Codebooks(tables.dims, tables.sizes, tables.words, tables.counts)


def _fit_class(
    classes: list[np.ndarray], number: int, lam: float, rng: np.random.Generator
) -> Codewords | None:
    """Codewords of a class, None where nearly everything is zero."""
    samples, real = classes[number], len(classes[number])
    # rare classes borrow from their neighbours, scaled to their own width
    for d in (1, -1, 2, -2, 3, -3, 4, -4):
        if len(samples) < FEW and 0 <= number + d < CLASSES and len(classes[number + d]):
            samples = np.concatenate([samples, classes[number + d] * 2 ** (-d / 4)])
    if len(samples) < FEW:
        made = rng.laplace(size=(FEW, GROUP)).astype(np.float32)
        samples = np.concatenate([samples, made * 2 ** ((number - CLASS_ZERO) / 4 - 0.5)])
    dimension, most_words = plan(number)
    if dimension == GROUP:
        zeros = (np.abs(samples[: max(real, FEW)]) < 0.5).all(1)
        if zeros.mean() > EMPTY:
            return None
    if len(samples) > MOST:
        samples = samples[rng.permutation(len(samples))[:MOST]]
    fitted = lloyd(samples.reshape(-1, dimension), most_words, lam)
    return None if len(fitted.words) == 1 else fitted


def _class_line(number: int, samples: int, made: Codewords) -> str:
    size, dimension = made.words.shape
    p = made.counts[made.counts > 0] / made.counts.sum()
    bits = -(p * np.log2(p)).sum() * GROUP / dimension
    return (
        f"class {number}: {samples} samples, dimension {dimension}, {size} words, "
        f"{bits:.3f} bits a group"
    )
