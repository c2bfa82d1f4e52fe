"""vqcodec: a learned video codec whose decoder is bit-exact on every device."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .errors import (
    ClusterError,
    DamageError,
    InputError,
    LimitError,
    OutputError,
    RangeError,
    UsageError,
    VqvError,
    WeightsError,
)
from .options import DecodeOptions, EncodeOptions, Limits, Time
from .system.progress import ProgressEvent
from .version import __version__

if TYPE_CHECKING:
    from .analysis.shot import Embedding, Shot
    from .codec.motion import Motion
    from .codec.tokens import FrameTokens, ShallowTokens, TokenSequence, Vocabulary
    from .pipeline.decode import decode
    from .pipeline.encode import encode
    from .pipeline.estimate import Estimate, estimate
    from .pipeline.join import JoinReport, join
    from .pipeline.output import EncodeReport
    from .pipeline.writer import Writer
    from .reading.decode_report import DecodeReport
    from .reading.file_info import FileInfo
    from .reading.frames import Frame, FrameBatch, Planes, VideoMetadata
    from .reading.info import info
    from .reading.open_video import open
    from .reading.verify import VerifyReport, verify
    from .reading.video_reader import VideoReader

# what pulls in PyAV, numba or torch is imported when it is asked for
_LATER = {
    "analysis.shot": (
        "Embedding",
        "Shot",
    ),
    "codec.motion": ("Motion",),
    "codec.tokens": (
        "FrameTokens",
        "ShallowTokens",
        "TokenSequence",
        "Vocabulary",
    ),
    "pipeline.decode": ("decode",),
    "pipeline.encode": ("encode",),
    "pipeline.estimate": (
        "Estimate",
        "estimate",
    ),
    "pipeline.join": (
        "JoinReport",
        "join",
    ),
    "pipeline.output": ("EncodeReport",),
    "pipeline.writer": ("Writer",),
    "reading.file_info": ("FileInfo",),
    "reading.frames": (
        "Frame",
        "FrameBatch",
        "Planes",
        "VideoMetadata",
    ),
    "reading.info": ("info",),
    "reading.decode_report": ("DecodeReport",),
    "reading.open_video": ("open",),
    "reading.verify": (
        "VerifyReport",
        "verify",
    ),
    "reading.video_reader": ("VideoReader",),
}
_HOME = {name: module for module, names in _LATER.items() for name in names}

__all__ = [
    "ClusterError",
    "DamageError",
    "DecodeOptions",
    "DecodeReport",
    "Embedding",
    "EncodeOptions",
    "EncodeReport",
    "Estimate",
    "FileInfo",
    "Frame",
    "FrameBatch",
    "FrameTokens",
    "InputError",
    "JoinReport",
    "LimitError",
    "Limits",
    "Motion",
    "OutputError",
    "Planes",
    "ProgressEvent",
    "RangeError",
    "ShallowTokens",
    "Shot",
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
