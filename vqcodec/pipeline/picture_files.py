"""Decoded frames as .png files, one for each, that appear under their names when all are there."""

from __future__ import annotations

import re
import shutil
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np

from ..container.packets import StreamHeader
from ..errors import OutputError, UsageError
from ..options import DecodeOptions, Time
from ..picture import Picture
from ..system.files import check_output, output_folder

SUFFIX = ".png"
_PATTERN = re.compile(r"(?:[^%]|%%)*%(?:0?\d{1,2})?d(?:[^%]|%%)*")
_UNKNOWN = 2


def is_picture_name(path: str) -> bool:
    """Whether an output of this name is a picture, or one for each frame."""
    return Path(path).suffix.lower() == SUFFIX


def _numbered(name: str) -> bool:
    return _PATTERN.fullmatch(name) is not None


def check_pictures(path: str, options: DecodeOptions, frames: int) -> None:
    """UsageError for options that pictures have no use for, and for one name for many frames."""
    for name, value in (("vcodec", options.vcodec), ("pix_fmt", options.pix_fmt)):
        if value is not None:
            raise UsageError(
                f"it is about videos, {SUFFIX} holds RGB: leave it out", file=path, option=name
            )
    if not _numbered(Path(path).name) and options.duration != Time(frames=1) and frames != 1:
        stem = Path(path).stem
        raise UsageError(
            f"one picture for many frames: name them {stem}%04d{SUFFIX}",
            file=path,
            advice="or take one with `duration=1f`",
        )


class PictureFiles:
    """Writes frames as RGB of 8 bits, or of 16 where the source has more than 8, turned as they are
    shown; ``path`` has the number, from 1 on, in the place of ``%04d``.

    The colours are those that :func:`vqcodec.open` gives. Raises UsageError, OutputError.
    """

    def __init__(self, path: str, header: StreamHeader, overwrite: bool) -> None:

        from ..reading.rgb import ToRgb

        self._folder, self._name, self._header = output_folder(path), Path(path).name, header
        self._overwrite = overwrite
        self._rgb = ToRgb(header)
        self._deep = header.bit_depth > 8
        self._coder = self._open(header)
        self.frames = 0
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.lost: list[str] = []
        self.quality = "PNG"
        check_output(self._target(1), (), overwrite)
        try:
            self._temporary = Path(tempfile.mkdtemp(prefix=".vqcodec-", dir=self._folder))
        except OSError as exc:
            raise OutputError(f"cannot be written: {exc.strerror or exc}", file=path) from exc

    def _open(self, header: StreamHeader) -> Any:
        coder: Any = av.CodecContext.create("png", "w")
        sar = header.sar or Fraction(1)
        turned = header.rotation in (90, 270)
        coder.width, coder.height = (
            (header.height, header.width) if turned else (header.width, header.height)
        )
        coder.pix_fmt = "rgb48be" if self._deep else "rgb24"
        coder.time_base = Fraction(1, 25)  # wanted by FFmpeg, not stored
        coder.sample_aspect_ratio = 1 / sar if turned else sar
        coder.color_range = 2
        if header.primaries != _UNKNOWN:
            coder.color_primaries = header.primaries
        if header.transfer != _UNKNOWN:
            coder.color_trc = header.transfer
        return coder

    def _target(self, number: int) -> Path:
        name = self._name % number if _numbered(self._name) else self._name
        return self._folder / name

    def write(self, pts: int, picture: Picture, duration: int = 0) -> None:
        """Append a picture of 10 bits."""
        rgb: np.ndarray
        if self._deep:
            scaled = self._rgb(picture, as_float=True).transpose(1, 2, 0) * np.float32(65535)
            rgb = (scaled + np.float32(0.5)).astype(np.uint16)
        else:
            rgb = self._rgb(picture).transpose(1, 2, 0)
        rgb = np.ascontiguousarray(np.rot90(rgb, -(self._header.rotation // 90)))
        frame = av.VideoFrame.from_ndarray(rgb, "rgb48be" if self._deep else "rgb24")
        frame.pts, frame.color_range = self.frames, 2
        frame.color_primaries, frame.color_trc = self._header.primaries, self._header.transfer
        self.frames += 1
        try:
            data = b"".join(bytes(p) for p in self._coder.encode(frame))
            (self._temporary / str(self.frames)).write_bytes(data)
        except (av.error.FFmpegError, OSError) as exc:
            target = self._target(self.frames)
            raise OutputError(f"cannot be written: {exc.strerror or exc}", file=target) from exc

    def close(self, end: int | None = None) -> None:
        """Give the pictures their names; OutputError where one is taken, and then none is
        written."""
        targets = {n: self._target(n) for n in range(1, self.frames + 1)}
        for target in targets.values():
            check_output(target, (), self._overwrite)
        try:
            for number, target in targets.items():
                (self._temporary / str(number)).replace(target)
        except OSError as exc:
            raise OutputError(f"cannot be written: {exc.strerror or exc}", file=target) from exc
        self.abort()

    def abort(self) -> None:
        """Leave nothing behind but finished pictures."""
        shutil.rmtree(self._temporary, ignore_errors=True)
