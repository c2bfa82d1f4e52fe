"""The net of :mod:`vqcodec.analysis.model` in torch, how it learns, and its weights as arrays."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..analysis.features import NAMES, PLACES, mirrored
from ..analysis.model import CAMERAS, CHANGES, HIDDEN, TRAITS

_WINDOW = 192  # frames of a training sample
_BATCH = 12
_RATE = 4e-3
_DROPPED = 0.08  # share of the numbers that a sample goes without
_NOISE = 0.03
_TEMPERATURE = 0.1  # of the contrast
_WEIGHTS = (1.0, 6.0, 3.0, 2.0, 4.0)  # of CHANGES: pictures refuse what is wrongly believed
_LOSSES = {"camera": 0.3, "activity": 0.2, "guess": 0.02, "contrast": 0.15}
_LEAST = 6  # frames of a stretch that is compared
_CUT = CHANGES.index("cut")
# those of the weights file by their names in torch
_LSTMS = {"forward": ("both", "_l0"), "backward": ("both", "_l0_reverse"), "next": ("next", "_l0")}
_GOP_START, _CUT_SHORT = NAMES.index("gop start"), NAMES.index("GOP before cut short")


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
        self.traits = nn.Linear(2 * HIDDEN, TRAITS)
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
    weights = {name: values.detach().numpy() for name, values in net.state_dict().items()}
    out: dict[str, np.ndarray] = {}
    for name in ("change", "camera", "activity", "traits", "guess"):
        out[f"{name}.weight"], out[f"{name}.bias"] = (
            weights[f"{name}.weight"].T,
            weights[f"{name}.bias"],
        )
    for name, own in (("in", "into"), ("next.in", "next_into")):
        out[f"{name}.weight"], out[f"{name}.bias"] = (
            weights[f"{own}.weight"].T,
            weights[f"{own}.bias"],
        )
    for name, (own, end) in _LSTMS.items():
        out[f"{name}.input"] = weights[f"{own}.weight_ih{end}"].T
        out[f"{name}.hidden"] = weights[f"{own}.weight_hh{end}"].T
        out[f"{name}.bias"] = weights[f"{own}.bias_ih{end}"] + weights[f"{own}.bias_hh{end}"]
    return {name: np.ascontiguousarray(a, np.float32) for name, a in out.items()}


class _Stretch(NamedTuple):
    """Frames ``start`` to ``stop`` - 1 of a sample, all of one shot."""

    sample: int
    start: int
    stop: int
    shown: int  # a number for each shot of each story


def imported(weights: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """The state of a net with weights that were exported."""
    state: dict[str, np.ndarray] = {}
    for name in ("change", "camera", "activity", "traits", "guess"):
        state[f"{name}.weight"], state[f"{name}.bias"] = (
            weights[f"{name}.weight"].T,
            weights[f"{name}.bias"],
        )
    for name, own in (("in", "into"), ("next.in", "next_into")):
        state[f"{own}.weight"] = weights[f"{name}.weight"].T
        state[f"{own}.bias"] = weights[f"{name}.bias"]
    for name, (own, end) in _LSTMS.items():
        state[f"{own}.weight_ih{end}"] = weights[f"{name}.input"].T
        state[f"{own}.weight_hh{end}"] = weights[f"{name}.hidden"].T
        state[f"{own}.bias_ih{end}"] = weights[f"{name}.bias"]
        state[f"{own}.bias_hh{end}"] = 0 * weights[f"{name}.bias"]
    return {name: torch.from_numpy(a.astype(np.float32)) for name, a in state.items()}


@dataclass
class _Batch:
    rows: Tensor
    labels: Tensor
    cameras: Tensor
    change: Tensor
    stretches: list[_Stretch]


class _Block(NamedTuple):
    """Frames from one cut that begins a GOP to the next. GOPs know nothing of each other, so that
    blocks of many films make new films, as they would be coded.
    """

    film: Labelled
    start: int
    stop: int


def _blocks(films: list[Labelled]) -> list[_Block]:
    """The blocks of films. Of those that are longer than a sample also what is left from each of
    their GOPs on that begins within a shot.
    """
    blocks: list[_Block] = []
    for film in films:
        alone = film.labels <= _CUT
        alone[1:] &= film.labels[:-1] <= _CUT
        gops = (film.rows[:, _GOP_START] > 0) & alone
        begins = gops & (film.labels == _CUT)
        begins[0] = True
        starts = [*np.flatnonzero(begins).tolist(), len(film.labels)]
        for start, stop in pairwise(starts):
            blocks.append(_Block(film, start, stop))
            if stop - start > _WINDOW:
                inner = start + 1 + np.flatnonzero(gops[start + 1 : stop])
                blocks += [_Block(film, at, stop) for at in inner.tolist()]
    return blocks


def _batch(blocks: list[_Block], shares: np.ndarray, rng: np.random.Generator) -> _Batch:
    """Films of many blocks. Every second one has those of the one before, as another encode shows
    them where there is one, and as another viewer sees them.
    """
    size = (_BATCH, _WINDOW)
    rows = np.zeros((*size, len(NAMES)), np.float32)
    labels, cameras = np.full(size, -1), np.full(size, -1)
    change = np.full(size, np.nan, np.float32)
    stretches: list[_Stretch] = []
    chosen: list[_Block] = []
    for sample in range(_BATCH):
        chosen = (
            [_twin(c, blocks, rng) for c in chosen] if sample % 2 else _drawn(blocks, shares, rng)
        )
        at = 0
        for film, start, stop in chosen:
            stop = min(stop, start + _WINDOW - at)
            part, into = slice(start, stop), slice(at, at + stop - start)
            rows[sample, into] = film.rows[part]
            labels[sample, into], cameras[sample, into] = film.labels[part], film.cameras[part]
            change[sample, into] = film.change[part]
            change[sample, at] = np.nan
            labels[sample, at] = _CUT if at else film.labels[start] * (film.labels[start] > _CUT)
            rows[sample, at, _CUT_SHORT] = rng.uniform(0.1, 1) if at else 0  # 0 is a full GOP's
            stretches += _stretches(film, part, sample, at)
            at = into.stop
            if at >= _WINDOW:
                break
        rows[sample, :at] = _varied(
            mirrored(rows[sample, :at]) if rng.random() < 0.5 else rows[sample, :at], rng
        )
    return _Batch(
        torch.from_numpy(rows),
        torch.from_numpy(labels),
        torch.from_numpy(cameras),
        torch.from_numpy(change),
        stretches,
    )


def _drawn(blocks: list[_Block], shares: np.ndarray, rng: np.random.Generator) -> list[_Block]:
    """Blocks enough for a sample."""
    chosen: list[_Block] = []
    while sum(b.stop - b.start for b in chosen) < _WINDOW:
        chosen.append(blocks[rng.choice(len(blocks), p=shares)])
    return chosen


def _shares(blocks: list[_Block]) -> np.ndarray:
    """(blocks,): how often each is drawn, so that all films are alike often."""
    films = Counter(id(block.film) for block in blocks)
    return np.array([1 / films[id(block.film)] for block in blocks]) / len(films)


def _twin(block: _Block, blocks: list[_Block], rng: np.random.Generator) -> _Block:
    """The same frames in another encode, or in the same where there is no other."""
    same = [b for b in blocks if (b.film.story, b.start, b.stop) == (block.film.story, *block[1:])]
    return same[rng.integers(len(same))]


def _stretches(film: Labelled, part: slice, sample: int, at: int) -> list[_Stretch]:
    """Frames of single shots, long enough to be compared."""
    plain, shots = film.labels[part] <= _CUT, film.shots[part]
    found = []
    for shot in np.unique(shots).tolist():
        own = np.flatnonzero(plain & (shots == shot))
        if len(own) >= _LEAST:
            shown = film.story * 1000 + shot
            found.append(_Stretch(sample, at + int(own[0]), at + int(own[-1]) + 1, shown))
    return found


def _varied(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Other encoders' habits: some numbers missing, others a little off."""
    out = rows * rng.normal(1, 0.05, rows.shape[1]) + rng.normal(0, _NOISE, rows.shape)
    out[:, PLACES:] += rng.normal(0, 0.05, rows.shape[1] - PLACES)
    dropped = np.less(rng.random(rows.shape[1]), _DROPPED)
    dropped[:PLACES] = False
    out[:, dropped] = 0
    return out.astype(np.float32)


def _contrast(traits: Tensor, stretches: list[_Stretch]) -> Tensor:
    """How well a stretch finds those that show the same among all (InfoNCE, van den Oord et al.
    2018).
    """
    if len(stretches) < 2:
        return traits.sum() * 0
    means = torch.stack([traits[s.sample, s.start : s.stop].mean(0) for s in stretches])
    means = functional.normalize(means, dim=1)
    shown = torch.tensor([s.shown for s in stretches])
    same: Tensor = torch.eq(shown[:, None], shown[None])
    own = torch.eye(len(shown), dtype=torch.bool)
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
    told = functional.cross_entropy(
        flat["camera"][known], batch.cameras.flatten()[known], reduction="sum"
    )
    camera = told / known.sum().clamp(min=1)  # of some samples none is known
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
    net: ShotNet, films: list[Labelled], minutes: float, seed: int, log: Callable[[str], object]
) -> ShotNet:
    """The net, trained on these films for so many minutes, its learning rate falling to zero."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    blocks = _blocks(films)
    shares = _shares(blocks)
    net.train()
    optimiser = torch.optim.AdamW(net.parameters(), lr=_RATE, weight_decay=0.01)
    begin, step, told = time.monotonic(), 0, 0.0
    while (spent := (time.monotonic() - begin) / (60 * minutes)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = _RATE * min(1, (step + 1) / 50) * 0.5 * (1 + math.cos(math.pi * spent))
        losses = _loss(net, _batch(blocks, shares, rng))
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
