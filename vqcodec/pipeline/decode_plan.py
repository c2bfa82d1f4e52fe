"""What a decode is to do, known and checked before anything is opened."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ..options import DecodeOptions
from ..system.endpoints import Destination, Source


@dataclass(frozen=True)
class DecodePlan:
    """A .vqv file, an output and how the one becomes the other. Made by :meth:`of`."""

    source: Source
    destination: Destination
    options: DecodeOptions
    weights: str | None  # path; None: those that come with the program

    @classmethod
    def of(
        cls,
        src: str | os.PathLike[str],
        dst: str | os.PathLike[str],
        options: DecodeOptions,
        *,
        weights: str | os.PathLike[str] | None = None,
        overwrite: bool = False,
    ) -> DecodePlan:
        """Refuse what can be refused without a look into the file; UsageError, InputError,
        OutputError."""
        source = Source.of(src)
        destination = Destination.of(dst, source.files, overwrite)
        return cls(source, destination, options, None if weights is None else os.fspath(weights))

    @property
    def as_pictures(self) -> bool:
        """Whether each frame becomes a file of its own."""
        from .picture_files import is_picture_name

        return self.options.format is None and is_picture_name(self.destination.name)
