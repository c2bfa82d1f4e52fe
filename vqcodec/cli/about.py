"""What a report of a fault needs to know: versions of the program and what it stands on, the model,
the machine, and the arithmetic that was chosen on it."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version

from ..container.packets import version_name
from ..system.processors import processor, usable
from ..system.torch_needed import torch_installed
from ..version import __version__

# instructions that decide what is fast (docs/benchmarks.md)
_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_int8", "amx_bf16")
_FLAGS_ARM = ("asimddp", "i8mm", "bf16", "sve")
_PACKAGES = ("numba", "numpy", "pillow", "safetensors", "zstandard", "click", "distributed")


def first_line() -> str:
    """The version of the program alone."""
    return f"vqcodec, version {__version__}"


def lines() -> Iterator[str]:
    """Name and value of all there is to know, what takes longest last; a part of the installation
    that is broken is told in its line."""
    yield first_line()
    for name, tell in _PARTS.items():
        try:
            value = tell()
        except Exception as exc:  # of any kind: this is what is to be found out
            value = f"not usable: {type(exc).__name__}: {' '.join(str(exc).split())}"
        yield f"{name:<11} {value}"


def _model() -> str:
    from ..codec.weights import default_path, read_model_id

    path = default_path()
    return f"{read_model_id(path).hex()}, {path}"


def _python() -> str:
    return (
        f"{platform.python_version()} ({platform.python_implementation()}), {platform.platform()}"
    )


def _packages() -> str:
    found = []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def _ffmpeg() -> str:
    import av

    known = ", ".join(f"{k} {'.'.join(map(str, v))}" for k, v in av.library_versions.items())
    release = getattr(av, "ffmpeg_version_info", "unknown")
    return f"{release} (PyAV {av.__version__}; {known})"


def _processor() -> str:
    name, features = processor()
    shown = [flag for flag in (*_FLAGS, *_FLAGS_ARM) if flag in features]
    return ", ".join([name, f"{usable()} of {os.cpu_count()} processors", *shown])


def _torch() -> str:
    if not torch_installed():
        return "not installed: decoding on the CPU does without"
    import torch

    capability = torch.backends.cpu.get_cpu_capability()
    return f"{torch.__version__}, {torch.get_num_threads()} threads, {capability}"


def _devices() -> str:
    found = ["cpu"]
    if not torch_installed():
        return found[0]
    import torch

    if torch.cuda.is_available():
        count = torch.cuda.device_count()
        found += [f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(count)]
    if torch.backends.mps.is_available():
        found.append("mps")
    return ", ".join(found)


def _arithmetic() -> str:
    from ..codec.nets.backend_choice import choose_backend
    from ..codec.nets.device_choice import chosen_device

    device = chosen_device("auto")
    exact = f"{choose_backend(device).name} (exact nets)"
    if not torch_installed():
        return f"{exact}, on {device}"
    from ..encoding.nets.arithmetic import encoder_choice

    return f"{exact}, {encoder_choice('auto', device)} (the encoder's), on {device}"


_PARTS: dict[str, Callable[[], str]] = {
    "format": lambda: f"version {version_name()}",
    "model": _model,
    "python": _python,
    "packages": _packages,
    "ffmpeg": _ffmpeg,
    "processor": _processor,
    "torch": _torch,
    "devices": _devices,
    "arithmetic": _arithmetic,
}
