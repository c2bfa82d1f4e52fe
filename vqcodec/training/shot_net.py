"""The net of :mod:`vqcodec.analysis.model` in torch, how it learns, and its weights as arrays."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..analysis.features import NAMES, PLACES, mirrored
from ..analysis.model import CAMERAS, CHANGES, EMBEDDING, HIDDEN

_WINDOW = 192  # frames of a training sample
_BATCH = 12
_RATE = 4e-3
_DROPPED = 0.08  # share of the numbers that a sample goes without
_NOISE = 0.03
_TEMPERATURE = 0.1  # of the contrast
_WEIGHTS = (1.0, 4.0, 1.0, 1.0, 1.3)  # of CHANGES: a cut has one frame
_LOSSES = {"camera": 0.3, "activity": 0.2, "guess": 0.02, "contrast": 0.15}
_LEAST = 6  # frames of a stretch that is compared


@dataclass
class Labelled:
    """The frames of a film, and what is true of them."""

    rows: np.ndarray  # (n, numbers)
    labels: np.ndarray  # (n,) index in CHANGES
    cameras: np.ndarray  # (n,) index in CAMERAS, -1 unknown
    change: np.ndarray  # (n,) of luma, NaN unknown
    shots: np.ndarray  # (n,) number of the shot
    story: int  # films of one story show the same frames


class ShotNet(nn.Module):
    """See :class:`vqcodec.analysis.model.ShotModel`; names are those of its weights."""

    def __init__(self) -> None:
        super().__init__()
        numbers, told = len(NAMES), len(NAMES) - PLACES
        self.into = nn.Linear(numbers, HIDDEN)
        self.both = nn.LSTM(HIDDEN, HIDDEN, batch_first=True, bidirectional=True)
        self.change = nn.Linear(2 * HIDDEN, len(CHANGES))
        self.camera = nn.Linear(2 * HIDDEN, len(CAMERAS))
        self.activity = nn.Linear(2 * HIDDEN, 1)
        self.traits = nn.Linear(2 * HIDDEN, EMBEDDING)
        self.next_into = nn.Linear(numbers + PLACES, HIDDEN)
        self.next = nn.LSTM(HIDDEN, HIDDEN, batch_first=True)
        self.guess = nn.Linear(HIDDEN, 2 * told)
        self.dropout = nn.Dropout(0.15)

    def hidden(self, rows: Tensor) -> Tensor:
        """(batch, frames, 2 HIDDEN)."""
        return self.dropout(self.both(functional.relu(self.into(rows)))[0])  # type: ignore[no-any-return]

    def guessed(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Values of all frames but the first, and logarithms of their spreads."""
        known = torch.cat([rows[:, :-1], rows[:, 1:, :PLACES]], 2)
        value, spread = self.guess(self.next(functional.relu(self.next_into(known)))[0]).chunk(2, 2)
        return value, spread.clamp(-5, 5)


def exported(net: ShotNet) -> dict[str, np.ndarray]:
    """The weights as :class:`vqcodec.analysis.model.ShotModel` takes them, float32."""
    w = {name: a.detach().numpy() for name, a in net.state_dict().items()}
    out: dict[str, np.ndarray] = {}
    for name in ("change", "camera", "activity", "traits", "guess"):
        out[f"{name}.weight"], out[f"{name}.bias"] = w[f"{name}.weight"].T, w[f"{name}.bias"]
    for name, own in (("in", "into"), ("next.in", "next_into")):
        out[f"{name}.weight"], out[f"{name}.bias"] = w[f"{own}.weight"].T, w[f"{own}.bias"]
    for name, own, end in (
        ("forward", "both", "_l0"),
        ("backward", "both", "_l0_reverse"),
        ("next", "next", "_l0"),
    ):
        out[f"{name}.input"] = w[f"{own}.weight_ih{end}"].T
        out[f"{name}.hidden"] = w[f"{own}.weight_hh{end}"].T
        out[f"{name}.bias"] = w[f"{own}.bias_ih{end}"] + w[f"{own}.bias_hh{end}"]
    return {name: np.ascontiguousarray(a, np.float32) for name, a in out.items()}


@dataclass
class _Batch:
    rows: Tensor
    labels: Tensor
    cameras: Tensor
    change: Tensor
    stretches: list[tuple[int, int, int, int]]  # sample, start, stop, story and shot as a number


def _batch(films: list[Labelled], rng: np.random.Generator) -> _Batch:
    """Windows of films, each seen in its own way; every second one shows what the one before shows,
    where the film was encoded twice.
    """
    size = (_BATCH, _WINDOW)
    rows = np.zeros((*size, len(NAMES)), np.float32)
    labels, cameras = np.full(size, -1), np.full(size, -1)
    change = np.full(size, np.nan, np.float32)
    stretches: list[tuple[int, int, int, int]] = []
    film, first = films[0], 0
    for k in range(_BATCH):
        others = [f for f in films if f.story == film.story] if k % 2 else films
        film = others[rng.integers(len(others))]
        if not k % 2:
            first = int(rng.integers(max(1, len(film.rows) - _WINDOW // 2)))
        part = slice(first, first + _WINDOW)
        seen = film.rows[part]
        n = len(seen)
        rows[k, :n] = _varied(mirrored(seen) if rng.random() < 0.5 else seen, rng)
        labels[k, :n], cameras[k, :n] = film.labels[part], film.cameras[part]
        change[k, :n] = film.change[part]
        plain, shots = film.labels[part] <= 1, film.shots[part]
        for shot in np.unique(shots).tolist():
            own = np.flatnonzero(plain & (shots == shot))
            if len(own) >= _LEAST:
                name = film.story * 1000 + shot
                stretches.append((k, int(own[0]), int(own[-1]) + 1, name))
    return _Batch(
        torch.from_numpy(rows),
        torch.from_numpy(labels),
        torch.from_numpy(cameras),
        torch.from_numpy(change),
        stretches,
    )


def _varied(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Other encoders' habits: some numbers missing, others a little off."""
    out = rows * rng.normal(1, 0.05, rows.shape[1]) + rng.normal(0, _NOISE, rows.shape)
    out[:, PLACES:] += rng.normal(0, 0.05, rows.shape[1] - PLACES)
    dropped = np.less(rng.random(rows.shape[1]), _DROPPED)
    dropped[:PLACES] = False
    out[:, dropped] = 0
    return out.astype(np.float32)


def _contrast(traits: Tensor, stretches: list[tuple[int, int, int, int]]) -> Tensor:
    """How well a stretch finds the others of the same name among all (InfoNCE, van den Oord et al.
    2018).
    """
    if len(stretches) < 2:
        return traits.sum() * 0
    means = torch.stack([traits[k, a:b].mean(0) for k, a, b, _ in stretches])
    means = functional.normalize(means, dim=1)
    names = torch.tensor([name for *_, name in stretches])
    same: Tensor = torch.eq(names[:, None], names[None])
    own = torch.eye(len(names), dtype=torch.bool)
    likeness = (means @ means.T / _TEMPERATURE).masked_fill(own, -1e4)
    same = same & ~own
    some = same.any(1)
    if not some.any():
        return traits.sum() * 0
    logs = functional.log_softmax(likeness, 1)
    return -(logs * same).sum(1)[some].div(same.sum(1)[some]).mean()


def _loss(net: ShotNet, batch: _Batch) -> dict[str, Tensor]:
    hidden = net.hidden(batch.rows)
    flat = {
        name: getattr(net, name)(hidden).flatten(0, 1) for name in ("change", "camera", "activity")
    }
    change = functional.cross_entropy(
        flat["change"],
        batch.labels.flatten(),
        weight=torch.tensor(_WEIGHTS),
        ignore_index=-1,
        label_smoothing=0.02,
    )
    known = batch.cameras.flatten() >= 0
    camera = functional.cross_entropy(flat["camera"][known], batch.cameras.flatten()[known])
    target = torch.log2(1 + batch.change.flatten())
    there = ~target.isnan()
    activity = functional.smooth_l1_loss(flat["activity"][there, 0], target[there])
    value, spread = net.guessed(batch.rows)
    off = (batch.rows[:, 1:, PLACES:] - value).abs() * torch.exp(-spread) + spread
    guess = off[batch.labels[:, 1:] >= 0].sum(1).mean()
    contrast = _contrast(net.traits(hidden), batch.stretches)
    return {
        "change": change,
        "camera": camera,
        "activity": activity,
        "guess": guess,
        "contrast": contrast,
    }


def train_shots(
    films: list[Labelled], minutes: float, seed: int, log: Callable[[str], object]
) -> ShotNet:
    """A net trained on these films for so many minutes, its learning rate falling to zero."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = ShotNet()
    optimiser = torch.optim.AdamW(net.parameters(), lr=_RATE, weight_decay=0.01)
    begin, step, told = time.monotonic(), 0, 0.0
    while (spent := (time.monotonic() - begin) / (60 * minutes)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = _RATE * min(1, (step + 1) / 50) * 0.5 * (1 + math.cos(math.pi * spent))
        losses = _loss(net, _batch(films, rng))
        total = sum((_LOSSES.get(name, 1.0) * x for name, x in losses.items()), torch.zeros(()))
        optimiser.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        if spent >= told:
            words = ", ".join(f"{name} {x.item():.3f}" for name, x in losses.items())
            log(f"shots: {100 * spent:.0f} %, step {step}: {words}")
            told += 0.1
        step += 1
    return net.eval()
