"""What a reader refuses before memory is taken for it."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

from ..errors import UsageError
from . import packets


@dataclass(frozen=True)
class Limits:
    """What is refused, with LimitError, before memory is taken for it. UsageError for numbers below
    1.
    """

    pixels: int = packets.MAX_PIXELS  # of a picture; the format ends there too
    side: int = packets.MAX_SIDE  # width or height
    packet: int = packets.MAX_PAYLOAD  # bytes of a packet's payload; the format ends there too
    metadata: int = packets.MAX_HEADER  # bytes of the stream header; the format ends there too
    memory: int = 2 << 30  # bytes that the index and decoding will take, as estimated beforehand
    frames: int = 1 << 24  # of a whole file, lost ones included
    concealed: int = 1 << 18  # lost frames that are filled in, of a whole file

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not isinstance(value, Integral) or isinstance(value, bool):
                raise UsageError(f"{value!r} is none, allowed are whole numbers", option=name)
            if value < 1:
                raise UsageError(
                    f"{value} is out of range, allowed are numbers from 1", option=name
                )
