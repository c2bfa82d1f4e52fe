"""What a reader gives: frames with their times, and what a file says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import numpy as np

from .. import values
from ..errors import RangeError

if TYPE_CHECKING:
    from torch import Tensor

Data = TypeVar("Data")  # Tensor, ndarray, or Planes of one of them
Plane = TypeVar("Plane")


class Planes(NamedTuple, Generic[Plane]):
    """Luma and the two chroma planes: (H, W), (ceil(H/2), ceil(W/2)) twice, of a batch with N
    before them.

    uint8, or values of 10 bits: tensors of int16, arrays of uint16.
    """

    y: Plane
    u: Plane
    v: Plane


@dataclass(frozen=True)
class VideoMetadata:
    """What a file says of itself. Colours have FFmpeg's names.

    Of all of it only matrix, range and chroma location are applied to pictures.
    """

    num_frames: int
    """Of the file, lost ones included as far as they are known of."""
    width: int
    """Luma samples in a row."""
    height: int
    """Rows of luma samples."""
    begin_stream_seconds: float
    """When the first frame begins."""
    end_stream_seconds: float
    """When the last frame ends."""
    average_fps: float | None
    """Frames a second; None where the video has no length."""
    time_base: Fraction
    """Seconds of a tick."""
    pixel_aspect_ratio: Fraction | None
    """Width of a sample by its height; None unknown."""
    rotation: int
    """Degrees clockwise to apply for display: 0, 90, 180 or 270."""
    bit_depth: int
    """Of the source."""
    color_primaries: str
    """As bt709; unknown where the file doesn't tell."""
    color_transfer: str
    """As smpte2084."""
    color_matrix: str
    """As bt2020nc."""
    color_range: str
    """tv (limited), pc (full) or unknown."""
    chroma_location: str
    """As left."""
    crf: int
    """That it was encoded with."""
    model_id: str
    """16 hexadecimal digits."""
    bytes: int
    """Of the file."""
    tags: dict[str, str]
    """Of the file, as title."""
    codec: str = "vqcodec"
    """Always this."""

    @property
    def duration_seconds(self) -> float:
        """From the begin of the first frame to the end of the last."""
        return self.end_stream_seconds - self.begin_stream_seconds

    @property
    def bit_rate(self) -> float | None:
        """Bits a second, all tracks included."""
        return self.bytes * 8 / self.duration_seconds if self.duration_seconds > 0 else None


@dataclass(frozen=True, eq=False)
class Frame(Generic[Data]):
    """A frame: ``data, pts_seconds, duration_seconds = frame`` works too."""

    data: Data
    """The picture: (3, H, W), or Planes."""
    pts_seconds: float
    """When it begins."""
    duration_seconds: float
    """For how long it is shown."""
    concealed: bool = False
    """Whether it was made up in the place of a lost one."""

    def __iter__(self) -> Iterator[Any]:
        return iter((self.data, self.pts_seconds, self.duration_seconds))

    def __repr__(self) -> str:
        return _repr(self)


@dataclass(frozen=True, eq=False)
class FrameBatch(Generic[Data]):
    """N frames; ``batch[i]`` and iteration give each as a Frame."""

    data: Data
    """The pictures: (N, 3, H, W), or Planes with N before their dimensions."""
    pts_seconds: Tensor | np.ndarray
    """When they begin: (N,) float64, on the CPU."""
    duration_seconds: Tensor | np.ndarray
    """For how long they are shown: (N,) float64, on the CPU."""
    concealed: Tensor | np.ndarray
    """Which were made up in the place of lost ones: (N,) bool, on the CPU."""

    def __len__(self) -> int:
        return len(self.pts_seconds)

    def __getitem__(self, key: int) -> Frame[Data]:
        key = values.index(key, "index")
        if not -len(self) <= key < len(self):
            raise RangeError(f"there is no frame {key} in a batch of {len(self)}")
        data: Any = self.data
        one: Any = type(data)(*(p[key] for p in data)) if isinstance(data, tuple) else data[key]
        return Frame(
            one,
            float(self.pts_seconds[key]),
            float(self.duration_seconds[key]),
            bool(self.concealed[key]),
        )

    def __iter__(self) -> Iterator[Frame[Data]]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return _repr(self)


def _repr(frame: Any) -> str:
    """All fields, and of the pictures their shape alone."""
    shape = (
        [tuple(p.shape) for p in frame.data]
        if isinstance(frame.data, tuple)
        else tuple(frame.data.shape)
    )
    rest = ", ".join(
        f"{f.name}={getattr(frame, f.name)}" for f in fields(frame) if f.name != "data"
    )
    return f"{type(frame).__name__}(data of shape {shape}, {rest})"
