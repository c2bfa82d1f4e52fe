"""Codebooks and tables fitted again on what the encoder makes of them.

:mod:`vqcodec.training.codebooks` fits them on latents as the analysis gives them, of random crops.
The encoder refines latents, chooses symbols by rate and distortion, filters and drops: what it
codes is distributed otherwise. Here it encodes clips with the codebooks as they are, and its own
residuals give new ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from ..codec import weights
from ..codec.codebooks import UNIT, Codebooks, escaped_number, is_escape
from ..codec.nets.shape import CLASSES, GROUP, HYPER_BUCKETS
from ..encoding.frame_encoder import KeptFrame
from ..encoding.model import EncoderModel, load_model
from ..encoding.rate_distortion import RateParameters
from ..encoding.trial import QuantisedLatents
from ..picture import Picture
from .codebooks import Latents, fit
from .model import step_masks
from .pictures import cut
from .real_encodes import encode_frames, encode_stretches

MOST = 240_000  # groups of a class that are kept; more are thinned out evenly
CRF = (8.0, 60.0)
SINGLE = 4  # pictures for each stretch
LARGEST = 640  # samples of their width and height that are coded


class Residuals:
    """What the fit of one frame type's codebooks needs, collected.

    Residuals (n, 4) in steps of each class, hyper-latents (n, Z) of each range of quality.
    """

    def __init__(self, hyper: int, seed: int = 0) -> None:
        self.hyper = hyper
        self.classes: list[list[np.ndarray]] = [[] for _ in range(CLASSES)]
        self.held = np.zeros(CLASSES, np.int64)
        self.share = np.ones(CLASSES)
        self.z: list[list[np.ndarray]] = [[] for _ in range(HYPER_BUCKETS)]
        self.rng = np.random.default_rng(seed)

    def add(self, cls: np.ndarray, residual: np.ndarray) -> None:
        """cls (n,), residual (n, 4) in steps."""
        for number in np.unique(cls):
            rows = residual[cls == number]
            rows = rows[self.rng.random(len(rows)) < self.share[number]]
            self.classes[number].append(rows)
            self.held[number] += len(rows)
            while self.held[number] > MOST:
                rows = np.concatenate(self.classes[number])
                self.classes[number] = [rows[self.rng.random(len(rows)) < 0.5]]
                self.held[number] = len(self.classes[number][0])
                self.share[number] /= 2

    def add_hyper(self, quality: int, hyper: np.ndarray) -> None:
        """Hyper-latents (n, Z) that were coded at a quality."""
        if len(hyper):
            self.z[quality * HYPER_BUCKETS // 64].append(hyper)

    def __bool__(self) -> bool:
        """Whether anything was coded at all."""
        return any(self.z)

    def result(self) -> Latents:
        """As :func:`vqcodec.training.codebooks.collect` gives them.

        But nothing stands in for a range of quality without samples.
        """

        def joined(parts: list[np.ndarray], columns: int) -> np.ndarray:
            return np.concatenate(parts) if parts else np.zeros((0, columns), np.float32)

        return Latents(
            [joined(parts, 4) for parts in self.classes],
            [joined(parts, self.hyper) for parts in self.z],
        )


def residuals(
    latent: np.ndarray, quantised: QuantisedLatents, blocks: np.ndarray, books: Codebooks
) -> tuple[np.ndarray, np.ndarray]:
    """Classes (N,) and residuals (N, 4), in steps, of the coded groups of a latent.

    latent (H/16, W/16, M): in steps, before it was quantised; blocks (H/16, W/16): the direct ones,
    which have no latent.
    """
    height, width, channels = latent.shape
    groups = channels // 4
    turns = [
        t[0, ..., ::GROUP].numpy() > 0
        for t in step_masks(height, width, channels, len(quantised.classes))
    ]
    cls = np.select(turns, quantised.classes)
    dims, sym = books.dims[cls], quantised.symbols.reshape(height, width, groups, 4)
    slot = np.arange(4)
    # channel at which the symbol of each channel stands
    lead = slot - slot % np.maximum(dims, 1)[..., None]
    number = np.take_along_axis(sym, lead, -1)
    escaped = is_escape(number)
    word = books.words[cls[..., None], np.where(escaped, 0, number), slot - lead].astype(np.float32)
    word = np.where(escaped, escaped_number(sym) * UNIT, word) * (dims > 0)[..., None]
    mean = quantised.y.reshape(height, width, groups, 4) - word
    coded = ~blocks.astype(bool)
    residual = (latent.reshape(height, width, groups, 4) - mean / UNIT)[coded].reshape(-1, 4)
    return cls[coded].reshape(-1), residual.astype(np.float32)


class KeptResiduals:
    """Collects the latents of the frames that an encoder makes, by whether they have references."""

    def __init__(self, into: dict[bool, Residuals]) -> None:
        self.into = into

    def kept(self, frame: KeptFrame) -> None:
        """A frame is encoded."""
        trial = frame.trial
        into = self.into[frame.motion.prediction is not None]
        into.add(*residuals(trial.latents.y, trial.quantised, trial.blocks, trial.tables.books))
        into.add_hyper(trial.quality, trial.latents.z[~trial.quantised.idle])


def listen(
    codec: EncoderModel, clips: list[Path], pictures: list[Picture], encodes: int, seed: int = 0
) -> dict[str, Residuals]:
    """Encode that many random stretches of the clips, and four times as many of the pictures.

    Returns what was coded of both frame types.
    """
    rng = np.random.default_rng(seed)
    into = {
        inter: Residuals(nets.shape.hyper, seed)
        for inter, nets in ((False, codec.intra), (True, codec.inter))
    }
    collector = KeptResiduals(into)
    for _ in islice(encode_stretches(codec, clips, rng, lambda: collector, CRF), encodes):
        for k in rng.integers(len(pictures), size=SINGLE if pictures else 0):
            picture = cut(pictures[k], LARGEST, LARGEST)
            encode_frames(codec, [picture], float(rng.uniform(*CRF)), collector)
    return {"intra": into[False], "inter": into[True]}


@dataclass(frozen=True)
class Material:
    """What is encoded: stretches of clips, pictures on their own, and how many stretches."""

    clips: list[Path]
    pictures: list[Picture]
    encodes: int
    seed: int = 0


def refit(path: Path, material: Material, log: Callable[[str], object] = print) -> bytes:
    """Put codebooks into a weights file that are fitted on what :func:`listen` hears of it.

    What was hardly met keeps its own. Returns the model id.
    """
    codec = load_model(path, "cpu")
    heard = listen(codec, material.clips, material.pictures, material.encodes, material.seed)
    tensors, nets = load_file(path), {"intra": codec.intra, "inter": codec.inter}
    for kind, residual in heard.items():
        if residual:
            log(f"codebooks of the {kind} nets again, by {material.encodes} encodes")
            books = fit(residual.result(), RateParameters().vq_lambda, log, old=nets[kind].books)
            tensors |= {f"{kind}.books.{k}": v for k, v in books.packed().items()}
    return weights.save(path, tensors, {n.kind: n.shape for n in codec.all_nets})
