"""What is wanted of a source, and what is said of it in the place of its own words."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from ..colour import Colour
from ..options import EncodeOptions, Time


@dataclass(frozen=True)
class SourceChoice:
    """Which frames of a source are given, and how they are understood.

    start, duration: select frames exactly; with ``start``, times begin at zero. rate: numbers
    frames at so many a second, whatever times the source has. colour: replaces tags of the source.
    playlists: whether a file may name others of this machine.
    """

    start: Time | None = None
    duration: Time | None = None
    rate: Fraction | None = None
    colour: Colour = field(default_factory=Colour)
    playlists: bool = False

    @classmethod
    def of(cls, options: EncodeOptions) -> SourceChoice:
        """What an encode with these options asks for."""
        return cls(options.start, options.duration, options.rate, options.colour, options.playlists)
