"""Pictures in memory become a .vqv file: ``with vqcodec.Writer("o.vqv", fps=30) as w: w.write(frames)``.

They go through a pipe, as y4m, to an encode in a thread: what is written has the bytes of that encode,
and a writer waits while the encode is behind.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Unpack

import av
import numpy as np

from ..colour import LOCATIONS, MATRICES, PRIMARIES, RANGES, TRANSFERS, Colour, number
from ..container.packets import MAX_FRACTION
from ..errors import UsageError, VqvError
from ..media import chroma_siting
from ..media.source import converted_rgb, rgb_matrix
from ..options import EncodeOptions, changed, parse_rate
from ..picture import Picture, chroma_size
from ..system.progress import ProgressCallback
from ..system.stdio import check_target
from ..values import EncodeChanges
from .encode import encode
from .output import EncodeReport

if TYPE_CHECKING:
    from torch import Tensor

    from ..reading.tensors import Planes

    Plane = Tensor | np.ndarray
    Frames = Plane | Planes | Sequence[Plane]

_NAME = "frames"  # in messages, in the place of the name of a file
_TOP10 = 1023


class _Given(VqvError):
    """The caller gave up."""


class _Feed:
    """The reading end of the pipe; an end that is none, as the caller gave up, is an error."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.given_up = file, False

    def _checked(self, data: bytes) -> bytes:
        if not data and self.given_up:
            raise _Given("the caller gave up")
        return data

    def read(self, n: int = -1) -> bytes:
        return self._checked(self._file.read(n))

    def read1(self, n: int = -1) -> bytes:
        return self._checked(self._file.read1(n))  # type: ignore[attr-defined]


class Writer:
    """Writes frames of a constant rate to a .vqv file, which appears under its name when complete.

    fps: frames a second; a number, a Fraction or a text such as ``30000/1001``.
    options, changes: EncodeOptions, and fields of it such as ``crf=30`` in their place.
    color_primaries, color_transfer, color_matrix, color_range, chroma_location: tags of the file, by
    the names that VideoMetadata has; RGB gets its matrix, range and location by itself.
    dimension_order: ``NCHW``, or ``NHWC`` for RGB with the colours last.
    progress is called from the thread of the encode.

    Leaving ``with`` by an exception writes nothing. ``report`` tells of the file once it is closed.
    Raises what :func:`encode` does, from any call: the encode runs beside.
    """

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
        self.report: EncodeReport | None = None
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
        self._last = dimension_order == "NHWC"
        self._sar = _ratio(pixel_aspect_ratio)
        named = (
            (PRIMARIES, color_primaries, "color_primaries"),
            (TRANSFERS, color_transfer, "color_transfer"),
            (MATRICES, color_matrix, "color_matrix"),
            (RANGES, color_range, "color_range"),
        )
        tags = [None if text is None else number(names, text, what) for names, text, what in named]
        self._colour = replace(
            self._options.colour,
            **{
                name: tag
                for name, tag in zip(
                    ("primaries", "transfer", "matrix", "range"), tags, strict=True
                )
                if tag is not None
            },
        )
        self._location: int | None = None
        if chroma_location is not None:
            self._location = number(LOCATIONS, chroma_location, "chroma_location")
        check_target(self.path, [], overwrite)
        self._arguments: dict[str, Any] = {
            "weights": weights,
            "overwrite": overwrite,
            "progress": progress,
        }
        self._kind: tuple[int, int, bool, bool] | None = None  # width, height, 10 bits, RGB
        self._thread: threading.Thread | None = None
        self._pipe: BinaryIO | None = None
        self._feed: _Feed | None = None
        self._error: BaseException | None = None
        self._closed = False

    # -- frames in

    def write(self, frames: Frames) -> None:
        """Append frames, all of one size and kind.

        RGB (N, 3, H, W) or (3, H, W): uint8, or uint16 from 0 to 65535 for a file of 10 bits. Or
        planes (y, u, v) of 4:2:0, (N, H, W) or (H, W) and half as wide and high, rounded up: uint8, or
        uint16 or int16 with values of 10 bits. Tensors of any device, or arrays.
        """
        if self._closed:
            raise UsageError("the writer is closed", file=self.path)
        if isinstance(frames, tuple | list):
            if len(frames) != 3:
                raise UsageError(f"three are needed (y, u, v), not {len(frames)}", option="frames")
            self._write_planes([_array(plane) for plane in frames])
        else:
            self._write_rgb(_array(frames))  # type: ignore[arg-type]

    def _write_planes(self, planes: list[np.ndarray]) -> None:
        if planes[0].ndim == 2:
            planes = [plane[None] for plane in planes]
        y, u, v = planes
        n, height, width = y.shape if y.ndim == 3 else (0, 0, 0)
        cw, ch = chroma_size(width, height)
        if y.ndim != 3 or u.shape != (n, ch, cw) or v.shape != u.shape or not y.size:
            shapes = ", ".join(str(plane.shape) for plane in planes)
            raise UsageError(
                f"{shapes} are none of 4:2:0: (N, H, W) and twice half of it", option="frames"
            )
        kinds = {plane.dtype for plane in planes}
        if len(kinds) != 1 or y.dtype not in (np.uint8, np.uint16, np.int16):
            names = ", ".join(sorted(str(k) for k in kinds))
            raise UsageError(
                f"uint8, or uint16 or int16 of 10 bits are needed, not {names}", option="frames"
            )
        ten_bit = y.dtype != np.uint8
        if ten_bit and any(int(p.max()) > _TOP10 or int(p.min()) < 0 for p in planes):
            raise UsageError(f"values of 10 bits go from 0 to {_TOP10}", option="frames")
        self._begin(width, height, ten_bit, rgb=False)
        for i in range(n):
            self._put(Picture(y[i], u[i], v[i]))

    def _write_rgb(self, frames: np.ndarray) -> None:
        batch = frames[None] if frames.ndim == 3 else frames
        if batch.ndim == 4 and not self._last:
            batch = batch.transpose(0, 2, 3, 1)
        if batch.ndim != 4 or batch.shape[3] != 3 or not batch.size:
            order = "(N, H, W, 3)" if self._last else "(N, 3, H, W)"
            raise UsageError(f"{order} is needed for RGB, not {frames.shape}", option="frames")
        if batch.dtype not in (np.uint8, np.uint16):
            raise UsageError(
                f"uint8 or uint16 is needed for RGB, not {batch.dtype}", option="frames"
            )
        n, height, width, _ = batch.shape
        ten_bit = batch.dtype == np.uint16
        self._begin(width, height, ten_bit, rgb=True)
        for picture in batch:
            frame = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(picture), "rgb48le" if ten_bit else "rgb24"
            )
            self._put(converted_rgb(frame, ten_bit))

    # -- the encode beside

    def _begin(self, width: int, height: int, ten_bit: bool, rgb: bool) -> None:
        """Start the encode with the first frame; UsageError for one of another size or kind later."""
        kind = width, height, ten_bit, rgb
        if self._kind is None:
            colour, location = self._colour, self._location
            if rgb:
                if location is not None or colour.matrix is not None or colour.range is not None:
                    raise UsageError(
                        "color_matrix, color_range and chroma_location are those of planes: RGB is converted to known ones"
                    )
                colour = replace(colour, matrix=rgb_matrix(height), range=1)
                location = chroma_siting.CENTER
            self._start(width, height, ten_bit, colour, location)
            self._kind = kind
        elif kind != self._kind:
            raise UsageError(
                f"frames of {_said(kind)} behind {_said(self._kind)}: all must be of one size "
                "and kind",
                file=self.path,
            )

    def _start(
        self, width: int, height: int, ten_bit: bool, colour: Colour, location: int | None
    ) -> None:
        reading, writing = os.pipe()
        self._pipe = os.fdopen(writing, "wb", buffering=0)
        self._feed = _Feed(os.fdopen(reading, "rb"))
        options = replace(self._options, colour=colour)

        def run() -> None:
            assert self._feed is not None
            try:
                self.report = encode(
                    _NAME, self.path, options, stream=self._feed, **self._arguments
                )
            except BaseException as exc:
                self._error = exc
            finally:
                self._feed._file.close()  # a writer that waits for room is woken

        self._thread = threading.Thread(target=run, name="vqcodec-writer", daemon=True)
        self._thread.start()
        sar = self._sar
        tags = [f"W{width} H{height} F{self._fps.numerator}:{self._fps.denominator} Ip"]
        tags.append(f"A{sar.numerator}:{sar.denominator}" if sar else "A0:0")
        if ten_bit:
            tags.append("C420p10 XYSCSS=420P10")
        if location:
            tags.append(chroma_siting.y4m_tag(location))
        self._send(("YUV4MPEG2 " + " ".join(tags) + "\n").encode())

    def _put(self, picture: Picture) -> None:
        self._send(b"FRAME\n")
        for plane in picture:
            self._send(np.ascontiguousarray(plane).data.cast("B"))
        self.frames += 1

    def _send(self, data: bytes | memoryview) -> None:
        assert self._pipe is not None and self._thread is not None
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._pipe.write(rest) :]
        except (
            BrokenPipeError
        ):  # the encode has ended: by an error, or it wanted no more (duration)
            self._thread.join()
            if self._error is not None:
                self.abort()
                raise self._error from None

    # -- the end

    def close(self) -> EncodeReport:
        """Complete the file and tell of it; repeated calls do nothing more."""
        if not self._closed:
            if self._thread is None:
                self._closed = True
                raise UsageError("no frame was written", file=self.path)
            self._finish()
            if self._error is not None:
                raise self._error
        if self.report is None:
            raise UsageError("nothing was written", file=self.path)
        return self.report

    def abort(self) -> None:
        """Give up: nothing is written."""
        if self._feed is not None and not self._closed:
            self._feed.given_up = True
            self._finish()
        self._closed = True

    def _finish(self) -> None:
        assert self._pipe is not None and self._thread is not None
        self._closed = True
        self._pipe.close()
        self._thread.join()

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
            f"{ratio} is out of range, allowed are Fractions above 0 of numbers up to "
            f"{MAX_FRACTION}",
            option="pixel_aspect_ratio",
        )
    return ratio


def _array(frames: Plane) -> np.ndarray:
    """In the machine's byte order; UsageError where numpy cannot hold what is given."""
    try:
        # torch is not imported for arrays
        whole = frames.detach().cpu().numpy() if hasattr(frames, "detach") else frames
        array = np.asarray(whole)
    except (TypeError, ValueError, NotImplementedError) as exc:  # bfloat16, sparse, meta, ragged
        said = str(exc).splitlines()[0]
        raise UsageError(
            f"numpy makes no array of what was given ({said})", option="frames"
        ) from exc
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _said(kind: tuple[int, int, bool, bool]) -> str:
    width, height, ten_bit, rgb = kind
    bits = "more than 8" if ten_bit else "8"
    return f"{width}x{height} {'RGB' if rgb else 'planes'} of {bits} bits"
