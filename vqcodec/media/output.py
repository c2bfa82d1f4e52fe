"""What a video output is: its kind, codec and pixel format, and what is said when it fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction

import av.error

from ..container.description import Description
from ..container.packets import StreamHeader
from ..container.stored_tracks import StoredTracks
from ..errors import OutputError, RefusedError
from ..options import TrackChoice
from ..picture import Picture
from ..system.stdio import PIPE
from .muxer_trial import FAILED, cannot_write
from .output_formats import (
    MP4_KINDS,
    RAW_IN_MATROSKA,
    choose_codec,
    choose_format,
    kind_of,
    muxer_of,
)
from .ticks import encoder_base


@dataclass(frozen=True)
class OutputChoice:
    """What a caller wants of an output; what is left out follows from its name and the pictures."""

    vcodec: str | None = None  # FFmpeg's name of an encoder
    vcodec_opts: dict[str, str] = field(default_factory=dict)  # options of that encoder
    pix_fmt: str | None = None  # "source": that of the source
    format: str | None = None  # FFmpeg's name of a kind of file, in the place of the suffix
    threads: int = 0  # of the encoder; 0 leaves it the choice


@dataclass(frozen=True)
class Extras:
    """What goes into an output besides pictures.

    ``stored`` tracks as far as ``choice`` wants them, from ``start`` to ``stop`` seconds on the
    clock of the file, beginning with those stored with frame ``first_frame``.
    """

    stored: StoredTracks
    choice: TrackChoice = field(default_factory=TrackChoice)
    start: Fraction = Fraction(0)
    stop: Fraction | None = None
    first_frame: int = 0


@dataclass(frozen=True)
class Output:
    """A video output that is to be written, with all that was decided of it."""

    path: str
    suffix: str  # of its kind
    muxer: str | None  # FFmpeg's name of the muxer, None where its name tells
    codec: str  # "" for planes by hand
    pixel_format: str
    header: StreamHeader  # of the pictures
    ten_bit: bool  # whether the pictures have 10 bits
    base: Fraction  # seconds a tick of the encoder's clock
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @classmethod
    def decided(
        cls,
        path: str,
        header: StreamHeader,
        ten_bit: bool,
        choice: OutputChoice,
        description: Description,
    ) -> Output:
        """The output for a name and what is wanted of it; UsageError for what is impossible."""
        suffix = kind_of(path, choice.format)
        codec, note = choose_codec(path, header.width, header.height, choice.vcodec, choice.format)
        pixel_format = choose_format(codec, choice.pix_fmt, description, ten_bit)
        warnings: tuple[str, ...] = ()
        if ten_bit and choice.pix_fmt is None and pixel_format == "yuv420p":
            warnings = (f"{codec} takes no pictures of 10 bits: they are converted to 8",)
        base = encoder_base(header.time_base, codec)
        plain = pixel_format in RAW_IN_MATROSKA and header.sar in (None, 1)
        if path == PIPE and suffix == ".mkv" and choice.vcodec is None and plain:
            codec = "rawvideo"
        muxer = muxer_of(suffix) if choice.format or path == PIPE else None
        notes = (note,) if note else ()
        return cls(path, suffix, muxer, codec, pixel_format, header, ten_bit, base, notes, warnings)

    @property
    def is_mp4(self) -> bool:
        """Whether it is of mp4's family, whose muxer is one."""
        return self.suffix in MP4_KINDS

    def check(self, picture: Picture) -> None:
        """ValueError for a picture that doesn't fit the output, which is the caller's fault."""
        h = self.header
        if picture.ten_bit != self.ten_bit or picture.y.shape != (h.height, h.width):
            size = f"{picture.y.shape} {picture.y.dtype}"
            raise ValueError(f"picture of {size} doesn't fit the output")

    @contextmanager
    def told(self, what: str) -> Iterator[None]:
        """Failures of FFmpeg or the disk become the error that the output ``what``.

        A BrokenPipeError stays one: the reader of a pipe has seen enough.
        """
        try:
            yield
        except BrokenPipeError:
            raise
        except FAILED as exc:
            raise self.failed(exc, what) from exc

    def failed(self, exc: BaseException, what: str) -> OutputError:
        """The error for what FFmpeg or the disk raised while the output ``what``."""
        why = getattr(exc, "strerror", None) or exc
        if isinstance(exc, av.error.PatchWelcomeError) and self.is_mp4:
            why = f"a pause between its frames is beyond what {self.suffix} holds: write .mkv"
        kind = RefusedError if self.codec and not cannot_write(exc, self.path) else OutputError
        return kind(f"{what}: {why}", file=self.path)
