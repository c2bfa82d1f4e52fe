"""The frames that all encoders get: read once from a clip and written as y4m."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

from ..container.packets import StreamHeader
from ..errors import UsageError
from ..media.sink import open_sink
from ..media.source import VideoSource

SHORT = 48  # frames; in shorter clips key frames weigh more than in real videos


@dataclass(frozen=True)
class Reference:
    """Frames of a clip in ``path``, a y4m file of 8 or 10 bits; ``digest`` is the SHA-256 of size,
    rate and planes, ``matrix`` H.273's number."""

    name: str
    path: Path
    width: int
    height: int
    frames: int
    rate: Fraction
    ten_bit: bool
    matrix: int
    full_range: bool
    digest: str
    notes: tuple[str, ...]

    @property
    def pix_fmt(self) -> str:
        """FFmpeg's name of the pixel format."""
        return "yuv420p10le" if self.ten_bit else "yuv420p"

    @property
    def y4m_header(self) -> str:
        """First line of the file."""
        with self.path.open("rb") as f:
            return f.readline().decode()

    @property
    def samples(self) -> int:
        """Luma samples of all frames: pixels."""
        return self.width * self.height * self.frames


def make_reference(
    clip: Path, name: str, folder: Path, frames: int = 0, even: bool = True
) -> Reference:
    """Write the first ``frames`` frames (0: all) of a clip to a y4m file in ``folder``.

    UsageError for odd sizes where ``even`` ones are needed; otherwise raises what VideoSource and
    open_sink do.
    """
    with VideoSource(clip) as source:
        if even and (source.width % 2 or source.height % 2):
            raise UsageError(
                f"the anchors need even sizes, the pictures are {source.width}x{source.height}",
                file=clip,
                advice="crop them, or use `anchors=none`",
            )
        rate = source.rate or Fraction(25)
        header = StreamHeader(
            width=source.width,
            height=source.height,
            time_base=1 / rate,
            rate=rate,
            matrix=source.matrix,
            range=source.range,
        )
        path = folder / f"{hashlib.sha256(str(clip).encode()).hexdigest()[:16]}.y4m"
        sink = open_sink(path, header, ten_bit=source.ten_bit)
        digest = hashlib.sha256(f"{source.width}x{source.height} {rate} {source.ten_bit}".encode())
        times = []
        for i, (pts, picture) in enumerate(islice(source, frames or None)):
            times.append(pts)
            sink.write(i, picture)
            for plane in picture:
                digest.update(plane.tobytes())
        sink.close()
        notes = list(source.notes) + list(source.warnings)
        step = 1 / (rate * source.time_base)
        if any(abs(t - times[0] - i * step) > step for i, t in enumerate(times)):
            notes.append(
                "the times of its frames are uneven; all are taken to be at equal distances,"
                f" {float(rate):g} a second"
            )
        if len(times) < SHORT:
            notes.append(
                f"only {len(times)} frames: the first, which costs most, weighs more than in a"
                " longer video"
            )
        return Reference(
            name,
            path,
            source.width,
            source.height,
            len(times),
            rate,
            source.ten_bit,
            source.matrix,
            source.range == 2,
            digest.hexdigest(),
            tuple(dict.fromkeys(notes)),
        )


def clip_names(clips: Sequence[Path]) -> list[str]:
    """A name for each clip: that of the file without suffix, or its path where two have the
    same."""
    stems = [c.stem for c in clips]
    return [s if stems.count(s) == 1 else str(c) for s, c in zip(stems, clips, strict=True)]
