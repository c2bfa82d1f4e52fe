"""States of nets: read from the files that hold them, and made small."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import BinaryIO

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from ..errors import InputError
from .model import FrameModel

AVERAGE = "ema"  # the averaged weights in a checkpoint
_BLOCK = re.compile(r"blocks\d*\.\d+\.")  # of a list of residual blocks
_ENDS = (".w2.weight", ".w4.weight")  # what a block adds goes through these
_EXACT = ("prior.", "synthesis.")  # what a decoder runs in integers
_PEAK = ".peak"  # the ranges that were observed
_STRETCH = ".stretch"  # logarithms of learned ranges, see Act


def read_state(file: BinaryIO) -> dict[str, Tensor]:
    """Weights by name, float32: of safetensors, torch.save, or the average of a checkpoint.

    Raises InputError for another file.
    """
    try:
        if file.read(2) == b"PK":  # a ZIP archive, as torch.save writes
            file.seek(0)
            found = torch.load(file, map_location="cpu", weights_only=True)
        else:
            file.seek(0)
            found = load(file.read())
    except (SafetensorError, RuntimeError, pickle.UnpicklingError) as exc:
        raise InputError(f"no state of nets: {exc}") from exc
    state = found.get(AVERAGE, found)
    return {name: value.float() for name, value in state.items()}


def load_state(model: FrameModel, path: Path) -> None:
    """Set a model's weights. Raises InputError for another file or other sizes."""
    try:
        with path.open("rb") as file:
            set_state(model, read_state(file))
    except InputError as exc:
        raise InputError(exc, file=path) from exc


def set_state(model: FrameModel, state: dict[str, Tensor]) -> None:
    """Set a model's weights; blocks that the state lacks add nothing at first.

    Raises InputError for other sizes.
    """
    try:
        model.load_state_dict(grown(state, model))
    except RuntimeError as exc:
        raise InputError(f"no model of these sizes: {exc}") from exc


def grown(state: dict[str, Tensor], model: FrameModel) -> dict[str, Tensor]:
    """A state with the residual blocks that it lacks, which add nothing at first.

    A net with more blocks begins as the one without them.
    """
    own = model.state_dict()
    added = {name: own[name] for name in own if _BLOCK.search(name) and name not in state}
    ends = {name: value * 0 for name, value in added.items() if name.endswith(_ENDS)}
    return state | added | ends


def learned_ranges(model: FrameModel) -> bool:
    """Whether it has been trained under the integers' arithmetic: its ranges are its own.

    Not where blocks were added since, whose ranges nobody has observed yet.
    """
    state = model.state_dict()
    learned = any(bool(v.any()) for name, v in state.items() if name.endswith(_STRETCH))
    exact = (v for name, v in state.items() if name.startswith(_EXACT) and name.endswith(_PEAK))
    return learned and all(bool(v.any()) for v in exact)


def halved(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """In float16, on the CPU: half the bytes, and no worse as a beginning."""
    return {name: value.detach().half().cpu() for name, value in state.items()}
