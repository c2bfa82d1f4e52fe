"""vqcodec: a learned video codec whose decoder is bit-exact on every device."""

from __future__ import annotations

from .errors import VqvError
from .options import DecodeOptions, EncodeOptions
from .version import __version__

__all__ = ["DecodeOptions", "EncodeOptions", "VqvError", "__version__", "decode", "encode"]


def __getattr__(name: str):  # type: ignore[no-untyped-def]
    # encode and decode pull in PyAV and torch: imported when asked for
    if name == "encode":
        from .encoder import encode

        return encode
    if name == "decode":
        from .decoder import decode

        return decode
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
