"""Pictures in memory become a .vqv file.

``with vqcodec.Writer("o.vqv", fps=30) as w: w.write(frames)``. The frames go through a pipe, as
y4m, to an encode in a thread: what is written has the bytes of that encode, and a writer waits
while the encode is behind.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Literal, Unpack

import numpy as np

from .. import values
from ..colour import LOCATIONS, MATRICES, PRIMARIES, RANGES, TRANSFERS, Colour, number
from ..container.packets import MAX_FRACTION
from ..errors import UsageError, VqvError
from ..media import chroma_siting
from ..media.frames import rgb_matrix
from ..options import EncodeOptions, changed
from ..parsing import parse_rate
from ..picture import Picture
from ..system.progress import ProgressCallback
from ..system.stdio import ByteStream, check_target
from ..values import EncodeChanges
from .encode import encode
from .frame_arrays import FrameKind, as_pictures
from .output import EncodeReport

if TYPE_CHECKING:
    from .frame_arrays import Frames

_NAME = "frames"  # in messages, in the place of the name of a file


class _GivenUpError(VqvError):
    """The caller gave up."""


class _Feed:
    """The reading end of the pipe; an end that is none, as the caller gave up, is an error."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.given_up = file, False

    def _checked(self, data: bytes) -> bytes:
        if not data and self.given_up:
            raise _GivenUpError("the caller gave up")
        return data

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes; all there are where it is negative."""
        return self._checked(self.file.read(size))

    def read1(self, size: int = -1) -> bytes:
        """What is there, at most ``size`` bytes; nothing at the end only."""
        return self._checked(self.file.read1(size))  # type: ignore[attr-defined]


class _EncodeBeside:
    """An encode in a thread, and the pipe that feeds it."""

    def __init__(self, run: Callable[[ByteStream], EncodeReport]) -> None:
        reading, writing = os.pipe()
        self._pipe = os.fdopen(writing, "wb", buffering=0)
        self._feed = _Feed(os.fdopen(reading, "rb"))
        self._run = run
        self.report: EncodeReport | None = None
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="vqcodec-writer", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        try:
            self.report = self._run(self._feed)
        except BaseException as exc:
            self.error = exc
        finally:
            self._feed.file.close()  # a writer that waits for room is woken

    def send(self, data: bytes | memoryview) -> None:
        """Feed the encode; one that has ended, by an error or as it wanted no more, takes
        nothing."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._pipe.write(rest) :]
        except BrokenPipeError:
            self._thread.join()

    def finish(self, give_up: bool = False) -> None:
        """Let it come to its end, or give it up, and wait until it has."""
        self._feed.given_up = give_up
        self._pipe.close()
        self._thread.join()


class Writer:
    """Writes frames of a constant rate to a .vqv file, which appears under its name when complete.

    Leaving ``with`` by an exception writes nothing. ``report`` tells of the file once it is closed.

    Args:
        path: Path of the .vqv file, or ``-`` for standard output.
        fps: Frames a second; a number, a Fraction or a text such as ``30000/1001``.
        options: How to encode; ``resume`` is not for frames from memory.
        weights: Weights of the model, if not those that come with the program.
        overwrite: Whether a file that is there is replaced.
        progress: Called with a ProgressEvent after some frames, from the thread of the encode.
        dimension_order: ``NCHW``, or ``NHWC`` for RGB with the colours last.
        pixel_aspect_ratio: Width of a pixel by its height; None or 0 where it isn't known.
        color_primaries, color_transfer, color_matrix, color_range, chroma_location: Tags of the
            file, by the names that VideoMetadata has; RGB gets its matrix, range and location by
            itself.
        changes: Fields of EncodeOptions in the place of those of ``options``, such as ``crf=30``.

    Raises:
        UsageError: An argument makes no sense.
        VqvError: Any that :func:`encode` raises, from any call: the encode runs beside.
    """

    @values.taking(
        path=values.path,
        options=values.instance(EncodeOptions),
        weights=values.path,
        overwrite=values.flag,
        progress=values.progress,
    )
    def __init__(
        self,
        path: str | os.PathLike[str],
        fps: float | Fraction | str,
        options: EncodeOptions | None = None,
        *,
        weights: str | os.PathLike[str] | None = None,
        overwrite: bool = False,
        progress: ProgressCallback | None = None,
        dimension_order: Literal["NCHW", "NHWC"] = "NCHW",
        pixel_aspect_ratio: Fraction | None = None,
        color_primaries: str | None = None,
        color_transfer: str | None = None,
        color_matrix: str | None = None,
        color_range: str | None = None,
        chroma_location: str | None = None,
        **changes: Unpack[EncodeChanges],
    ) -> None:
        self.path = os.fspath(path)
        self.frames = 0
        self._fps = _rate(fps)
        self._options = changed(options or EncodeOptions(), changes)
        if self._options.resume:
            raise UsageError(
                "frames from memory cannot be read again: leave it out", option="resume"
            )
        if dimension_order not in ("NCHW", "NHWC"):
            raise UsageError(
                f"{dimension_order!r} is unknown, allowed are NCHW, NHWC", option="dimension_order"
            )
        self._channels_last = dimension_order == "NHWC"
        self._sar = _ratio(pixel_aspect_ratio)
        self._colour = _tagged(
            self._options.colour,
            primaries=_number(PRIMARIES, color_primaries, "color_primaries"),
            transfer=_number(TRANSFERS, color_transfer, "color_transfer"),
            matrix=_number(MATRICES, color_matrix, "color_matrix"),
            range=_number(RANGES, color_range, "color_range"),
        )
        self._location = _number(LOCATIONS, chroma_location, "chroma_location")
        check_target(self.path, [], overwrite)
        self._encode = partial(
            encode, _NAME, self.path, weights=weights, overwrite=overwrite, progress=progress
        )
        self._kind: FrameKind | None = None  # of the first frame
        self._beside: _EncodeBeside | None = None
        self._closed = False

    @property
    def report(self) -> EncodeReport | None:
        """What was written, once the file is closed."""
        return self._beside.report if self._beside is not None else None

    # -- frames in

    def write(self, frames: Frames) -> None:
        """Append frames, all of one size and kind.

        Args:
            frames: RGB (N, 3, H, W) or (3, H, W): uint8, or uint16 from 0 to 65535 for a file of 10
                bits. Or planes (y, u, v) of 4:2:0, (N, H, W) or (H, W) and half as wide and high,
                rounded up: uint8, or uint16 or int16 with values of 10 bits. Tensors of any
                device, or arrays.

        Raises:
            UsageError: The frames have another shape, kind or size, or the writer is closed.
            VqvError: What ended the encode beside.
        """
        if self._closed:
            raise UsageError("the writer is closed", file=self.path)
        kind, pictures = as_pictures(frames, self._channels_last)
        if self._beside is None:
            self._beside = self._start(kind)
            self._kind = kind
            self._send(self._y4m_header(kind))
        elif kind != self._kind:
            raise UsageError(
                f"frames of {kind} behind {self._kind}: all must be of one size and kind",
                file=self.path,
            )
        for picture in pictures:
            self._put(picture)

    def _start(self, kind: FrameKind) -> _EncodeBeside:
        """The encode, begun with the first frame."""
        colour = self._colour
        if kind.rgb:
            tagged = colour.matrix is not None or colour.range is not None
            if tagged or self._location is not None:
                raise UsageError(
                    "color_matrix, color_range and chroma_location are those of planes:"
                    " RGB is converted to known ones"
                )
            colour = replace(colour, matrix=rgb_matrix(kind.height), range=1)
        options = replace(self._options, colour=colour)

        def run(feed: ByteStream) -> EncodeReport:
            return self._encode(options, stream=feed)

        return _EncodeBeside(run)

    def _y4m_header(self, kind: FrameKind) -> bytes:
        fps, sar = self._fps, self._sar
        location = chroma_siting.CENTER if kind.rgb else self._location
        tags = [f"W{kind.width} H{kind.height} F{fps.numerator}:{fps.denominator} Ip"]
        tags.append(f"A{sar.numerator}:{sar.denominator}" if sar else "A0:0")
        if kind.ten_bit:
            tags.append("C420p10 XYSCSS=420P10")
        if location:
            tags.append(chroma_siting.y4m_tag(location))
        return ("YUV4MPEG2 " + " ".join(tags) + "\n").encode()

    def _put(self, picture: Picture) -> None:
        self._send(b"FRAME\n")
        for plane in picture:
            self._send(np.ascontiguousarray(plane).data.cast("B"))
        self.frames += 1

    def _send(self, data: bytes | memoryview) -> None:
        assert self._beside is not None
        self._beside.send(data)
        if self._beside.error is not None:
            self.abort()
            raise self._beside.error

    # -- the end

    def close(self) -> EncodeReport:
        """Complete the file and report on it; repeated calls do nothing more.

        Raises:
            UsageError: No frame was written, or the writer was aborted.
            VqvError: What ended the encode beside.
        """
        if not self._closed:
            self._closed = True
            if self._beside is None:
                raise UsageError("no frame was written", file=self.path)
            self._beside.finish()
            if self._beside.error is not None:
                raise self._beside.error
        if self.report is None:
            raise UsageError("nothing was written", file=self.path)
        return self.report

    def abort(self) -> None:
        """Give up: nothing is written."""
        if self._beside is not None and not self._closed:
            self._beside.finish(give_up=True)
        self._closed = True

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()


def _rate(fps: float | Fraction | str) -> Fraction:
    """An exact rate; 29.97002997 is 30000/1001."""
    if isinstance(fps, str):
        return parse_rate(fps, "fps")
    try:
        rate = (
            Fraction(fps)
            if isinstance(fps, int | Fraction)
            else Fraction(fps).limit_denominator(1001)
        )
    except (TypeError, ValueError, OverflowError) as exc:
        raise UsageError(f"{fps!r} is no frame rate", option="fps") from exc
    if not 0 < rate <= 100_000 or max(rate.numerator, rate.denominator) > MAX_FRACTION:
        raise UsageError(
            f"{fps!r} is out of range, allowed are rates above 0 and up to 100000", option="fps"
        )
    return rate


def _ratio(sar: Fraction | None) -> Fraction | None:
    """An aspect ratio that a file can hold; None where it is 0, which says that it isn't known."""
    if sar is None or sar == 0:
        return None
    if not isinstance(sar, int | Fraction):
        raise UsageError(f"{sar!r} is none, allowed are Fractions", option="pixel_aspect_ratio")
    ratio = Fraction(sar)
    if ratio < 0 or max(ratio.numerator, ratio.denominator) > MAX_FRACTION:
        raise UsageError(
            f"{ratio} is out of range, allowed are Fractions above 0 of numbers up to"
            f" {MAX_FRACTION}",
            option="pixel_aspect_ratio",
        )
    return ratio


def _number(names: dict[str, int], text: str | None, what: str) -> int | None:
    return None if text is None else number(names, text, what)


def _tagged(colour: Colour, **tags: int | None) -> Colour:
    """With these tags in the place of its own, where they are given."""
    return replace(colour, **{name: tag for name, tag in tags.items() if tag is not None})
