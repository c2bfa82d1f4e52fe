"""States of nets: read from the files that hold them, and made small."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import BinaryIO

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from ..errors import InputError
from .model import FrameModel

AVERAGE = "ema"  # the averaged weights in a checkpoint
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
            model.load_state_dict(read_state(file))
    except RuntimeError as exc:
        raise InputError(f"no model of these sizes: {exc}", file=path) from exc
    except InputError as exc:
        raise InputError(exc, file=path) from exc


def learned_ranges(model: FrameModel) -> bool:
    """Whether it has been trained under the integers' arithmetic: its ranges are its own."""
    state = model.state_dict()
    return any(bool(v.any()) for name, v in state.items() if name.endswith(_STRETCH))


def halved(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """In float16, on the CPU: half the bytes, and no worse as a beginning."""
    return {name: value.detach().half().cpu() for name, value in state.items()}
