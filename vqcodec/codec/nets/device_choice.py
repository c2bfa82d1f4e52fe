"""Which device computes the exact layers, without loading what computes them."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from ...errors import UsageError

FUSED, FLOAT32 = BACKENDS = ("fused", "float32")


def forced_backend() -> str:
    """The one that VQCODEC_BACKEND names, or nothing."""
    forced = os.environ.get("VQCODEC_BACKEND", "")
    if forced not in ("", *BACKENDS):
        raise UsageError(f"VQCODEC_BACKEND={forced!r}: use {' or '.join(BACKENDS)}")
    return forced


def chosen_device(device: str = "auto") -> str:
    """The device that ``auto`` stands for."""
    if device != "auto":
        return device
    return "cuda" if forced_backend() in ("", FLOAT32) and _gpu() else "cpu"


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
