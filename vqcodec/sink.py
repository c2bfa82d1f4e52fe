"""Video files out: y4m and raw planes by hand, everything else by FFmpeg's muxers, with exact times."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import av.error
import numpy as np

from .container import StreamHeader
from .errors import OutputError, UsageError
from .picture import Picture

# picture codec by suffix where none is asked for; "" writes the planes by hand
_DEFAULT = {
    ".y4m": "",
    ".yuv": "",
    ".mkv": "libx264",
    ".mp4": "libx264",
    ".m4v": "libx264",
    ".mov": "libx264",
    ".ts": "libx264",
    ".webm": "libvpx-vp9",
}
_CODEC_DEFAULTS = {
    "libx264": {"crf": "12"},
    "libx265": {"crf": "12", "x265-params": "log-level=error"},
    "libvpx-vp9": {"crf": "12", "b": "0"},
    "libsvtav1": {"crf": "12"},
    "ffv1": {"level": "3"},
}
_EVEN_ONLY = {"libx264", "libx265", "libsvtav1", "mpeg4"}


def choose_codec(path: str | os.PathLike[str], width: int, height: int, vcodec: str | None = None) -> tuple[str, str | None]:
    """Codec name ("" for planes by hand) and a note for the user or None; UsageError when suffix, codec and size don't fit."""
    suffix = Path(path).suffix.lower()
    if suffix not in _DEFAULT:
        raise UsageError(f"{path}: unknown kind of video {suffix!r}, allowed are {', '.join(_DEFAULT)}")
    by_hand = _DEFAULT[suffix] == ""
    if by_hand:
        if vcodec not in (None, "rawvideo"):
            raise UsageError(f"{path}: {suffix} holds raw pictures, not {vcodec}")
        return "", None
    name = vcodec or _DEFAULT[suffix]
    odd = width % 2 or height % 2
    if odd and name in _EVEN_ONLY:
        if vcodec is None and suffix == ".mkv":
            return "ffv1", f"pictures of {width}x{height} don't fit {name}, which needs even sizes: ffv1 is used"
        raise UsageError(f"{path}: {name} needs even sizes, the pictures are {width}x{height}; use --vcodec ffv1 in .mkv, or .y4m")
    try:
        if av.codec.Codec(name, "w").type != "video":
            raise ValueError(name)
    except Exception as exc:
        raise UsageError(f"vcodec: {name!r} is no encoder of this FFmpeg") from exc
    return name, None


class VideoSink:
    """Writes pictures with their times to ``path`` (suffix decides the kind); :meth:`close` completes the file.

    ``header`` gives size, time base, rate, aspect ratio, rotation and colour; ``ten_bit`` the depth of the pictures.
    ``note`` holds a remark for the user or None. Raises UsageError for impossible combinations, OutputError on failure.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        header: StreamHeader,
        *,
        ten_bit: bool = False,
        vcodec: str | None = None,
        vcodec_opts: dict[str, str] | None = None,
        threads: int = 0,
    ) -> None:
        self.path = str(path)
        self.header = header
        self.ten_bit = ten_bit
        self._file: BinaryIO | None = None
        self._container: Any = None
        self.frames = 0
        self.codec, self.note = choose_codec(path, header.width, header.height, vcodec)
        try:
            if self.codec:
                self._open_container(dict(vcodec_opts or {}), threads)
            else:
                self._file = open(self.path, "wb", buffering=1 << 20)
                if self.path.lower().endswith(".y4m"):
                    self._file.write(self._y4m_header())
        except ValueError as exc:
            self.abort()
            raise UsageError(f"{self.path}: {exc}") from exc
        except (av.error.FFmpegError, OSError) as exc:
            self.abort()
            raise OutputError(f"{self.path}: cannot be opened for {self.codec or 'raw'} video: {getattr(exc, 'strerror', None) or exc}") from exc

    def _y4m_header(self) -> bytes:
        h = self.header
        rate, sar = h.rate or 1 / h.time_base, h.sar or Fraction(0)
        if h.rate is None and rate > 1000:
            rate = Fraction(25)
        aspect = f"{sar.numerator}:{sar.denominator}" if sar else "0:0"
        colour = {1: " XCOLORRANGE=LIMITED", 2: " XCOLORRANGE=FULL"}.get(h.range, "")
        chroma = "C420p10 XYSCSS=420P10" if self.ten_bit else "C420jpeg"
        return f"YUV4MPEG2 W{h.width} H{h.height} F{rate.numerator}:{rate.denominator} Ip A{aspect} {chroma}{colour}\n".encode()

    def _open_container(self, opts: dict[str, str], threads: int) -> None:
        h = self.header
        suffix = Path(self.path).suffix.lower()
        # times before the first frame are kept in units of the movie's time scale, by default milliseconds
        flags = {"movflags": "+faststart", "movie_timescale": str(h.time_base.denominator)} if suffix in (".mp4", ".m4v", ".mov") else {}
        self._container = av.open("file:" + self.path, "w", options=flags)
        rate = h.rate or min(Fraction(1000), 1 / h.time_base)
        defaults = dict(_CODEC_DEFAULTS.get(self.codec, {}))
        if self.codec == "ffv1" and min(h.width, h.height) < 64:
            defaults["slices"] = "1"  # ffv1 refuses small pictures with the number it chooses itself
        stream: Any = self._container.add_stream(self.codec, rate=rate, options=defaults | opts)
        self._stream = stream
        self._format = "yuv420p10le" if self.ten_bit else "yuv420p"
        stream.width, stream.height, stream.pix_fmt = h.width, h.height, self._format
        context = stream.codec_context
        context.time_base = stream.time_base = h.time_base
        if h.sar:
            context.sample_aspect_ratio = h.sar
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = h.primaries, h.transfer, h.matrix, h.range
        if threads:
            context.thread_count = threads
        if h.rotation:
            stream.set_display_rotation(-h.rotation % 360)
        self._container.start_encoding()

    def write(self, pts: int, picture: Picture, duration: int = 0) -> None:
        """Append a picture; ``pts`` in ticks of the header's time base, increasing; ``duration`` 0 where unknown."""
        h = self.header
        if picture.ten_bit != self.ten_bit or picture.y.shape != (h.height, h.width):
            raise ValueError(f"picture of {picture.y.shape} {picture.y.dtype} doesn't fit the output")
        try:
            if self._file is not None:
                if self.path.lower().endswith(".y4m"):
                    self._file.write(b"FRAME\n")
                for plane in picture:
                    self._file.write(np.ascontiguousarray(plane).data)
            else:
                self._container.mux(self._stream.encode(self._frame(pts, picture, duration)))
        except (av.error.FFmpegError, OSError) as exc:
            raise OutputError(f"{self.path}: frame {self.frames} cannot be written: {exc.strerror or exc}") from exc
        self.frames += 1

    def _frame(self, pts: int, picture: Picture, duration: int) -> av.VideoFrame:
        h = self.header
        frame = av.VideoFrame(h.width, h.height, self._format)
        for target, source in zip(frame.planes, picture, strict=True):
            rows = np.frombuffer(memoryview(target), source.dtype).reshape(target.height, -1)
            rows[:, : target.width] = source
        frame.pts, frame.time_base = pts, h.time_base
        if duration:
            frame.duration = duration
        frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range = h.primaries, h.transfer, h.matrix, h.range
        return frame

    def close(self) -> None:
        """Complete the file. OutputError when that fails; repeated calls do nothing."""
        try:
            if self._file is not None:
                self._file.close()
            elif self._container is not None:
                if self.frames:
                    self._container.mux(self._stream.encode(None))
                self._container.close()
        except (av.error.FFmpegError, OSError) as exc:
            raise OutputError(f"{self.path}: cannot be completed: {exc.strerror or exc}") from exc
        finally:
            self._file = self._container = None

    def abort(self) -> None:
        """Close without completing; errors are of no interest any more."""
        target: Any = self._file or self._container
        self._file = self._container = None
        if target is not None:
            try:
                target.close()
            except (av.error.FFmpegError, OSError):
                pass
