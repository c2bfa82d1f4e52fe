"""A small recurrent net over the numbers of :mod:`vqcodec.analysis.features`.

Two LSTMs (Hochreiter and Schmidhuber 1997), one in each direction, say of each frame whether a shot
changes there and how, how much moves and what the camera does. A third one, which goes forward
alone, guesses the next frame; how wrong it was is its surprise. All is float32, in a fixed order of
sums, so that the same file gives the same answer for every number of threads.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from ..codec.weights import released
from ..compiled import njit
from ..errors import WeightsError
from .features import NAMES, PLACES, ended_full

CHANGES = ("none", "cut", "dissolve", "fade", "wipe")  # what a frame may be part of
CAMERAS = ("still", "pan", "zoom", "shaky")
HIDDEN = 48  # of an LSTM
TRAITS = 64
BLOCK = 4096  # frames that are taken at once
_FULL = 0.25  # what is left of the probability of a cut behind a full GOP
NAME = "shots.safetensors"


class Reading(NamedTuple):
    """What the net makes of the frames of a file."""

    change: np.ndarray
    """(n, 5) float32: probabilities of CHANGES, which sum to 1."""
    activity: np.ndarray
    """(n,) float32: change of luma from the frame before, as a mean of 0 to 255."""
    camera: np.ndarray
    """(n, 4) float32: probabilities of CAMERAS."""
    surprise: np.ndarray
    """(n,) float32: bits by which a frame is less expected than the file's middle one."""
    traits: np.ndarray
    """(n, 64) float32: what embeddings are the means of."""


class ShotModel:
    """The net with its weights."""

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        """weights: those that :func:`vqcodec.training.shot_net.exported` names; WeightsError where
        they are for other numbers of a frame.
        """
        self._w = {name: np.ascontiguousarray(a, np.float32) for name, a in weights.items()}
        taken = self._w["in.weight"].shape[0]
        if taken != len(NAMES):
            raise WeightsError(
                f"the shots' net takes {taken} numbers a frame, this program has {len(NAMES)}: "
                "use the weights that came with the program"
            )

    @classmethod
    def load(cls, path: Path | None = None) -> ShotModel:
        """The net of a weights file, without one that of this program; WeightsError where it cannot
        be read.
        """
        return _loaded(path or released(NAME))

    def __call__(self, rows: np.ndarray) -> Reading:
        """What the frames with these rows, (n, numbers) float32, are.

        Taken in blocks: what lies between is several times the rows.
        """
        count = len(rows)
        reading = Reading(
            np.empty((count, len(CHANGES)), np.float32),
            np.empty(count, np.float32),
            np.empty((count, len(CAMERAS)), np.float32),
            self._surprise(rows),
            np.empty((count, TRAITS), np.float32),
        )
        behind = np.empty((count, HIDDEN), np.float32)
        recurrent = _Recurrent(self._w, "backward", "in")
        for own in reversed(_blocks(count)):
            behind[own] = recurrent(rows[own][::-1])[::-1]
        recurrent = _Recurrent(self._w, "forward", "in")
        for own in _blocks(count):
            self._read(np.concatenate([recurrent(rows[own]), behind[own]], 1), reading, own)
        full = ended_full(rows)
        # a full GOP ends wherever it is: its end is no sign of a cut
        reading.change[full, 0] += (1 - _FULL) * reading.change[full, 1]
        reading.change[full, 1] *= _FULL
        return reading

    def _read(self, hidden: np.ndarray, reading: Reading, own: slice) -> None:
        """What hidden states (n, 2 HIDDEN) tell, into these frames of ``reading``."""
        w = self._w

        def head(name: str) -> np.ndarray:
            return _dense(hidden, w[f"{name}.weight"], w[f"{name}.bias"])

        reading.change[own] = _softmax(head("change"))
        reading.activity[own] = np.maximum(np.exp2(head("activity")[:, 0]) - 1, 0)
        reading.camera[own] = _softmax(head("camera"))
        reading.traits[own] = head("traits")

    def _surprise(self, rows: np.ndarray) -> np.ndarray:
        bits = np.zeros(len(rows), np.float32)
        if len(rows) < 2:
            return bits
        weights, recurrent = self._w, _Recurrent(self._w, "next", "next.in")
        told = rows.shape[1] - PLACES
        for own in _blocks(len(rows) - 1):
            following = rows[own.start + 1 : own.stop + 1]
            # where the next frame stands in its GOP is no news
            known = np.concatenate([rows[own], following[:, :PLACES]], 1)
            guess = _dense(recurrent(known), weights["guess.weight"], weights["guess.bias"])
            scale = np.clip(guess[:, told:], -5, 5)
            off = np.abs(following[:, PLACES:] - guess[:, :told]) * np.exp(-scale)
            bits[own.start + 1 : own.stop + 1] = (off + scale).sum(1) / np.float32(np.log(2))
        bits[0] = bits[1]
        return np.asarray(bits - np.median(bits), np.float32)


class _Recurrent:
    """An LSTM with the layer before it, which goes on from block to block.

    Args:
        name: of the LSTM among the weights.
        entry: of the layer.
    """

    def __init__(self, weights: Mapping[str, np.ndarray], name: str, entry: str) -> None:
        self._w, self._name, self._entry = weights, name, entry
        self._cell, self._last = np.zeros(HIDDEN, np.float32), np.zeros(HIDDEN, np.float32)

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Hidden states (n, HIDDEN) of the next rows."""
        w, name, entry = self._w, self._name, self._entry
        block = np.ascontiguousarray(rows)
        seen = np.maximum(_dense(block, w[f"{entry}.weight"], w[f"{entry}.bias"]), 0)
        gates = _dense(seen, w[f"{name}.input"], w[f"{name}.bias"])
        return _lstm(gates, w[f"{name}.hidden"], self._cell, self._last)


def _blocks(count: int) -> list[slice]:
    return [slice(at, min(count, at + BLOCK)) for at in range(0, count, BLOCK)]


@cache
def _loaded(path: Path) -> ShotModel:
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as exc:
        raise WeightsError(f"{path.name} cannot be read: {exc}") from exc
    return ShotModel(weights)


def _softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True))


@njit
def _dense(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """x (n, inputs), weight (inputs, outputs), bias (outputs,)."""
    out = np.empty((x.shape[0], bias.size), np.float32)
    for t in range(x.shape[0]):
        row = out[t]
        row[:] = bias
        for k in range(weight.shape[0]):
            value = x[t, k]
            for j in range(bias.size):
                row[j] += value * weight[k, j]
    return out


@njit
def _lstm(gates: np.ndarray, weight: np.ndarray, cell: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Hidden states (n, H) of an LSTM whose gates (n, 4 H: input, forget, cell, output) hold what
    the inputs give; weight (H, 4 H); cell and last hidden state (H,) go on from the block before.
    """
    size = weight.shape[0]
    out = np.empty((gates.shape[0], size), np.float32)
    one = np.float32(1)
    for t in range(gates.shape[0]):
        row = gates[t].copy()
        for k in range(size):
            value = last[k]
            for j in range(row.size):
                row[j] += value * weight[k, j]
        for k in range(size):
            enter = one / (one + np.exp(-row[k]))
            keep = one / (one + np.exp(-row[size + k]))
            show = one / (one + np.exp(-row[3 * size + k]))
            cell[k] = keep * cell[k] + enter * np.tanh(row[2 * size + k])
            last[k] = show * np.tanh(cell[k])
            out[t, k] = last[k]
    return out
