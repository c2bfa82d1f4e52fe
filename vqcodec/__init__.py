"""vqcodec: a learned video codec whose decoder is bit-exact on every device."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .errors import ClusterError, DamageError, InputError, LimitError, OutputError, RangeError, UsageError, VqvError, WeightsError
from .options import DecodeOptions, EncodeOptions, Limits, Time
from .progress import ProgressEvent
from .version import __version__

if TYPE_CHECKING:
    from .decoder import DecodeReport as DecodeReport
    from .decoder import VerifyReport as VerifyReport
    from .decoder import decode as decode
    from .decoder import verify as verify
    from .encoder import EncodeReport as EncodeReport
    from .encoder import encode as encode
    from .frames import Frame as Frame
    from .frames import FrameBatch as FrameBatch
    from .frames import VideoMetadata as VideoMetadata
    from .inspection import info as info
    from .joining import JoinReport as JoinReport
    from .joining import join as join
    from .reader import VideoReader as VideoReader
    from .reader import open as open
    from .sampling import Estimate as Estimate
    from .sampling import estimate as estimate
    from .tensors import Planes as Planes
    from .tokens import FrameTokens as FrameTokens
    from .tokens import TokenSequence as TokenSequence
    from .tokens import Vocabulary as Vocabulary
    from .writer import Writer as Writer

# what pulls in PyAV, numba or torch is imported when it is asked for
_LATER = {
    "decoder": ("DecodeReport", "VerifyReport", "decode", "verify"),
    "encoder": ("EncodeReport", "encode"),
    "sampling": ("Estimate", "estimate"),
    "tensors": ("Planes",),
    "inspection": ("info",),
    "joining": ("JoinReport", "join"),
    "frames": ("Frame", "FrameBatch", "VideoMetadata"),
    "reader": ("VideoReader", "open"),
    "tokens": ("FrameTokens", "TokenSequence", "Vocabulary"),
    "writer": ("Writer",),
}
_HOME = {name: module for module, names in _LATER.items() for name in names}

__all__ = [
    "ClusterError",
    "DamageError",
    "DecodeOptions",
    "DecodeReport",
    "EncodeOptions",
    "EncodeReport",
    "Estimate",
    "Frame",
    "FrameBatch",
    "FrameTokens",
    "InputError",
    "JoinReport",
    "LimitError",
    "Limits",
    "OutputError",
    "Planes",
    "ProgressEvent",
    "RangeError",
    "Time",
    "TokenSequence",
    "UsageError",
    "VerifyReport",
    "VideoMetadata",
    "VideoReader",
    "Vocabulary",
    "VqvError",
    "WeightsError",
    "Writer",
    "__version__",
    "decode",
    "encode",
    "estimate",
    "info",
    "join",
    "open",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
