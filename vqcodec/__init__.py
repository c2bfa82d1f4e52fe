"""vqcodec: a learned video codec whose decoder is bit-exact on every device."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .errors import DamageError, InputError, LimitError, OutputError, UsageError, VqvError, WeightsError
from .options import DecodeOptions, EncodeOptions, Limits, Time
from .progress import ProgressEvent
from .version import __version__

if TYPE_CHECKING:
    from .decoder import DecodeReport as DecodeReport
    from .decoder import decode as decode
    from .encoder import EncodeReport as EncodeReport
    from .encoder import encode as encode

# what pulls in PyAV, numba or torch is imported when it is asked for
_LATER = {"encode": "encoder", "EncodeReport": "encoder", "decode": "decoder", "DecodeReport": "decoder"}

__all__ = [
    "DamageError",
    "DecodeOptions",
    "DecodeReport",
    "EncodeOptions",
    "EncodeReport",
    "InputError",
    "LimitError",
    "Limits",
    "OutputError",
    "ProgressEvent",
    "Time",
    "UsageError",
    "VqvError",
    "WeightsError",
    "__version__",
    "decode",
    "encode",
]


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(importlib.import_module(f".{_LATER[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
