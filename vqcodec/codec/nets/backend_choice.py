"""Which backend computes the exact layers here: the fastest of those that compute exactly.

Where a processor has no instructions for it, torch._int_mm is a plain loop: so all are timed.
"""

from __future__ import annotations

import os
from functools import partial

import torch

from ...errors import UsageError, VqvError
from .arithmetic import best_times
from .backends import Backend, Float32Backend, FusedBackend, Int8Backend
from .exact_layers import ExactLinear
from .self_test import self_test

_times: dict[str, float] = {}  # of the CPU's backends, once they are known


def _by_speed(backends: list[Backend]) -> list[Backend]:
    """The fastest first, at layers of each kind, of the size that a small picture's nets have."""
    m, n = 480, 112
    x, trunk, ones = (
        torch.ones((m, n), dtype=torch.int8),
        torch.zeros((m, n), dtype=torch.int16),
        torch.ones(n),
    )
    layer = ExactLinear(
        torch.ones((n, n), dtype=torch.int8),
        torch.zeros((1, n), dtype=torch.int32),
        torch.full((1, n), 0.5),
    )

    def layers(b: Backend) -> None:
        b.product_add(b.product8(x, layer, True), layer, 0, trunk, ones)
        b.wide16(trunk, ones, layer, 0)

    if any(b.name not in _times for b in backends):
        with torch.inference_mode():
            _times.update(best_times({b.name: partial(layers, b) for b in backends}))
    return sorted(backends, key=lambda b: _times[b.name])


BACKENDS = (FusedBackend.name, Int8Backend.name, Float32Backend.name)


def _forced() -> str:
    forced = os.environ.get("VQCODEC_BACKEND", "")
    if forced not in ("", *BACKENDS):
        raise UsageError(
            f"VQCODEC_BACKEND={forced!r}: use {', '.join(BACKENDS[:-1])} or {BACKENDS[-1]}"
        )
    return forced


def chosen_device(device: str = "auto") -> str:
    """The device that ``auto`` stands for."""
    return (
        device
        if device != "auto"
        else "cuda"
        if torch.cuda.is_available() and _forced() in ("", Float32Backend.name)
        else "cpu"
    )


def choose_backend(device: str = "auto") -> Backend:
    """The backend for ``auto``, ``cpu``, ``cuda[:n]`` or ``mps``; it has passed its self-test.

    VQCODEC_BACKEND=fused|int8|float32 forces one.
    """
    forced, device = _forced(), chosen_device(device)
    if forced and forced != Float32Backend.name and device != "cpu":
        raise UsageError(f"VQCODEC_BACKEND={forced} runs on the CPU only, not on device {device}")
    options: list[Backend] = (
        [Float32Backend(device)]
        if device != "cpu"
        else [FusedBackend(), Int8Backend(), Float32Backend()]
    )
    options = [b for b in options if forced in ("", b.name)]
    if len(options) > 1:
        options = _by_speed(options)
    for b in options:
        try:
            if self_test(b):
                return b
        except (
            RuntimeError,
            AssertionError,
            NotImplementedError,
        ) as exc:  # what torch raises for a device that isn't there
            raise UsageError(
                f"{device} can't be used: {str(exc).splitlines()[0]}", option="device"
            ) from exc
    raise VqvError(
        f"no exact arithmetic on device {device}: "
        f"{' and '.join(b.name for b in options)} failed the self-test",
        advice="use another `device`, and report it",
    )
