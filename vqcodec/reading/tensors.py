"""Decoded pictures as tensors of torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..container.packets import StreamHeader
from ..picture import Picture
from .frames import Planes
from .outputs import Output, ToArrays


class ToTensors:
    """Makes what :class:`ToArrays` makes as tensors on a device; planes of 10 bits are int16, which
    torch can count with."""

    def __init__(self, header: StreamHeader, output: Output, device: str) -> None:
        self._arrays, self._device = ToArrays(header, output), device

    def __call__(self, picture: Picture) -> Any:
        """The output of a 10-bit picture, on the device."""
        return self._there(self._arrays(picture))

    def empty(self, count: int) -> Any:
        """Tensors for n pictures on the device, their values not set, with n before their
        dimensions."""
        return self._there(self._arrays.empty(count))

    def column(self, values: Sequence[float] | Sequence[bool], dtype: type) -> Any:
        """A tensor of one value for each picture, on the CPU."""
        return torch.from_numpy(self._arrays.column(values, dtype))

    def _there(self, made: np.ndarray | Planes[np.ndarray]) -> Any:
        if isinstance(made, tuple):
            return Planes(*(self._tensor(plane) for plane in made))
        return self._tensor(made)

    def _tensor(self, array: np.ndarray) -> Tensor:
        signed = array.view(np.int16) if array.dtype == np.uint16 else array
        return torch.from_numpy(signed).to(self._device)
