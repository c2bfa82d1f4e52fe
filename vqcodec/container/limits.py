"""What a reader refuses before memory is taken for it. What the format ends at: `packets`."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

from ..errors import LimitError, UsageError
from . import packets


@dataclass(frozen=True)
class Limits:
    """What is refused, with LimitError, before memory is taken for it. UsageError for numbers below
    1.
    """

    pixels: int = packets.MAX_PIXELS
    """Of a picture, width times height; the format ends there too."""
    side: int = packets.MAX_SIDE
    """Width or height of a picture."""
    packet: int = packets.MAX_PAYLOAD
    """Bytes of a packet's payload; the format ends there too."""
    metadata: int = packets.MAX_HEADER
    """Bytes of the stream header; the format ends there too."""
    memory: int = 2 << 30
    """Bytes that the index and decoding will take, as estimated beforehand."""
    frames: int = 1 << 24
    """Of a whole file, lost ones included."""
    concealed: int = 1 << 18
    """Lost frames that are filled in, of a whole file."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not isinstance(value, Integral) or isinstance(value, bool):
                raise UsageError(f"{value!r} is none, allowed are whole numbers", option=name)
            if value < 1:
                raise UsageError(
                    f"{value} is out of range, allowed are numbers from 1", option=name
                )

    def check_picture(self, width: int, height: int, option: str | None = None) -> None:
        """Refuse a picture that is too large.

        Args:
            width, height: Of the picture, in samples.
            option: What the error names as the option that it is about.

        Raises:
            LimitError: It has more than ``pixels`` pixels, or more than ``side`` a side.
        """
        try:
            packets.check_picture_size(width, height, self.side, self.pixels)
        except LimitError as exc:
            exc.option = option
            raise
