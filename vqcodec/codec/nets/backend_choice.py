"""Which backend computes the exact layers here: compiled on the CPU, torch on other devices."""

from __future__ import annotations

from typing import Any

from ...errors import UsageError, VqvError
from ...system.torch_needed import need_torch
from .backend import Backend
from .device_choice import FLOAT32, FUSED, chosen_device, forced_backend
from .fused_backend import FusedBackend
from .self_test import self_test


def choose_backend(device: str = "auto") -> Backend[Any]:
    """The backend for ``auto``, ``cpu``, ``cuda[:n]`` or ``mps``; it has passed its self-test.

    VQCODEC_BACKEND=fused|float32 forces one.
    """
    forced, device = forced_backend(), chosen_device(device)
    if forced == FUSED and device != "cpu":
        raise UsageError(f"VQCODEC_BACKEND={forced} runs on the CPU only, not on device {device}")
    names = [FUSED, FLOAT32] if device == "cpu" else [FLOAT32]
    names = [name for name in names if forced in ("", name)]
    for name in names:
        backend = FusedBackend() if name == FUSED else _on_torch(device)
        if backend is not None and _exact(backend):
            return backend
    raise VqvError(
        f"no exact arithmetic on device {device}: {' and '.join(names)} failed the self-test",
        advice="use another `device`, and report it",
    )


def _on_torch(device: str) -> Backend[Any]:
    need_torch(f"device {device}" if device != "cpu" else f"VQCODEC_BACKEND={FLOAT32}")
    from .float32_backend import Float32Backend

    return Float32Backend(device)


def _exact(backend: Backend[Any]) -> bool:
    try:
        return self_test(backend)
    except (
        RuntimeError,
        AssertionError,
        NotImplementedError,
    ) as exc:  # what torch raises for a device that isn't there
        raise UsageError(
            f"{backend.device} can't be used: {str(exc).splitlines()[0]}", option="device"
        ) from exc
