"""Outputs of planes that are written by hand: .y4m and .yuv."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

from ..container.description import clip_chapters
from ..errors import OutputError
from ..picture import Picture
from .chosen_tracks import chosen
from .output import Extras, Output
from .output_description import left_out, several, tags_named, turn
from .tags import file_tags
from .y4m import FRAME, first_line, write_planes

_UNEVEN = Fraction(1, 2)  # of the distance of frames, beyond which times are uneven


class RawOutput:
    """Writes pictures as plain planes, of which all are shown equally long.

    Raises OutputError; a BrokenPipeError where the reader of a pipe has seen enough.
    """

    lost: tuple[str, ...] = ()

    def __init__(self, output: Output, file: BinaryIO, warnings: list[str]) -> None:
        self.output, self._file = output, file
        self._warnings = warnings
        self._first: int | None = None
        self._uneven = False
        self.frames = 0
        self.notes = list(output.notes)
        self.quality = "raw pictures"

    @classmethod
    def open(cls, output: Output, extras: Extras | None, file: BinaryIO | None) -> RawOutput:
        """Begin the output, in ``file`` where one is given."""
        description = None if extras is None else extras.stored.description
        warnings = [*output.warnings, *([] if extras is None else _not_held(output, extras))]
        try:
            # closed by close() or abort()
            opened = file or Path(output.path).open("wb", buffering=1 << 20)  # noqa: SIM115
            if output.suffix == ".y4m":
                order = 0 if description is None else description.field_order
                opened.write(first_line(output.header, output.pixel_format, order))
        except BrokenPipeError:
            raise
        except OSError as exc:
            raise output.failed(exc, "cannot be opened for raw video") from exc
        return cls(output, opened, warnings)

    @property
    def warnings(self) -> list[str]:
        """What the kind of the output cannot hold; all of it after :meth:`close`."""
        uneven = (
            f"{self.output.suffix} holds no times, and those of this video are not at equal "
            "distances"
        )
        return self._warnings + [uneven] * self._uneven

    def write(self, pts: int, picture: Picture, duration: int = 0) -> None:
        """Append a picture; ``pts`` in ticks of the header's time base, increasing."""
        self.output.check(picture)
        header = self.output.header
        self._first = pts if self._first is None else self._first
        if header.rate is not None:
            at = (pts - self._first) * header.time_base * header.rate
            self._uneven |= abs(at - self.frames) > _UNEVEN
        with self.output.told(f"frame {self.frames} cannot be written"):
            if self.output.suffix == ".y4m":
                self._file.write(FRAME)
            write_planes(self._file, picture, self.output.pixel_format, header)
        self.frames += 1

    def close(self, end: int | None = None) -> None:
        """Complete the file; repeated calls do nothing."""
        with self.output.told("cannot be completed"):
            self._file.close()

    def abort(self) -> None:
        """Close without completing; errors are of no interest any more."""
        with suppress(OSError, OutputError):
            self._file.close()


def _not_held(output: Output, extras: Extras) -> list[str]:
    """A warning of all that a file of nothing but planes goes without."""
    description = extras.stored.description
    chapters = clip_chapters(description.chapters, extras.start, extras.stop)
    losses = [
        several(len(chosen(extras.stored.tracks.values(), extras.choice)), "track"),
        turn(description, output.header.rotation),
        several(len(chapters), "chapter"),
        tags_named(sorted(file_tags(description.tags))),
    ]
    if description.mastering or description.light:
        losses.append("the HDR data (mastering display, content light level)")
    return left_out(output.suffix, losses)
