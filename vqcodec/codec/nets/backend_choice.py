"""Which backend computes the exact layers here: compiled on the CPU, torch on other devices."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any

from ...errors import UsageError, VqvError
from ...system.torch_needed import need_torch
from .backend import Backend
from .fused_backend import FusedBackend
from .self_test import self_test

FUSED, FLOAT32 = BACKENDS = ("fused", "float32")


def _forced() -> str:
    forced = os.environ.get("VQCODEC_BACKEND", "")
    if forced not in ("", *BACKENDS):
        raise UsageError(f"VQCODEC_BACKEND={forced!r}: use {' or '.join(BACKENDS)}")
    return forced


def chosen_device(device: str = "auto") -> str:
    """The device that ``auto`` stands for."""
    if device != "auto":
        return device
    return "cuda" if _forced() in ("", FLOAT32) and _gpu() else "cpu"


def _gpu() -> bool:
    """Whether torch can use a GPU; it is loaded only where a driver is there."""
    if not _driver():
        return False
    try:
        import torch
    except ImportError:  # without it a GPU is of no use
        return False
    return torch.cuda.is_available()


def _driver() -> bool:
    """Whether there is a driver of NVIDIA, or of AMD, which torch calls cuda too."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return Path("/dev/kfd").exists()
    return True


def choose_backend(device: str = "auto") -> Backend[Any]:
    """The backend for ``auto``, ``cpu``, ``cuda[:n]`` or ``mps``; it has passed its self-test.

    VQCODEC_BACKEND=fused|float32 forces one.
    """
    forced, device = _forced(), chosen_device(device)
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
