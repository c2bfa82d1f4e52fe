"""What results depend on besides the clips: the machine, and the versions of all that runs."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

import av

from .. import __version__
from ..system.processors import processor, usable
from . import vmaf
from .records import OURS

_PACKAGES = ("av", "numpy", "torch", "pytorch-msssim", "bjontegaard")
_ELSEWHERE = ("bench", "cli", "training")  # folders that no file depends on


@cache
def machine() -> str:
    """Processor and number of its cores that this process may use."""
    cores = usable()
    return f"{processor().name}, {cores} core{'s' if cores > 1 else ''}"


def versions() -> dict[str, str]:
    """Versions of all that results depend on."""
    ffmpeg = ", ".join(
        f"{name} {'.'.join(map(str, numbers))}"
        for name, numbers in sorted(av.library_versions.items())
        if name in ("libavcodec", "libswscale")
    )
    none = "not measured: no FFmpeg with libvmaf (pip install imageio-ffmpeg)"
    packages = {name: version(name) for name in _PACKAGES}
    return {
        OURS: __version__,
        **packages,
        "FFmpeg of av": ffmpeg,
        "VMAF": vmaf.version() or none,
    }


@cache
def code_digest() -> str:
    """Digest of the codec's source: a changed encoder is measured anew."""
    folder = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        if path.relative_to(folder).parts[0] not in _ELSEWHERE:
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
