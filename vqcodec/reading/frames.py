"""What a reader gives: frames with their times, and what a file says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .. import values
from ..errors import RangeError

if TYPE_CHECKING:
    from torch import Tensor

Data = TypeVar("Data")  # Tensor or Planes


@dataclass(frozen=True)
class VideoMetadata:
    """What a file says of itself. Colours have FFmpeg's names; of all of it only matrix, range and
    chroma location are applied."""

    num_frames: int
    width: int
    height: int
    begin_stream_seconds: float
    end_stream_seconds: float
    average_fps: float | None
    time_base: Fraction
    pixel_aspect_ratio: Fraction | None  # of a sample; None unknown
    rotation: int  # degrees clockwise to apply for display: 0, 90, 180 or 270
    bit_depth: int  # of the source
    color_primaries: str  # bt709; unknown where the file doesn't tell
    color_transfer: str  # smpte2084
    color_matrix: str  # bt2020nc
    color_range: str  # tv (limited), pc (full) or unknown
    chroma_location: str  # left
    crf: int
    model_id: str  # 16 hexadecimal digits
    bytes: int
    tags: dict[str, str]
    codec: str = "vqcodec"

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
    """A frame: ``data, pts_seconds, duration_seconds = frame`` works too. ``concealed``: made up in
    the place of a lost one.
    """

    data: Data
    pts_seconds: float
    duration_seconds: float
    concealed: bool = False

    def __iter__(self) -> Iterator[Any]:
        return iter((self.data, self.pts_seconds, self.duration_seconds))

    def __repr__(self) -> str:
        return _repr(self)


@dataclass(frozen=True, eq=False)
class FrameBatch(Generic[Data]):
    """N frames: ``data`` (N, 3, H, W), or planes with N before their dimensions; times (N,) float64
    and ``concealed`` (N,) bool on the CPU.
    """

    data: Data
    pts_seconds: Tensor
    duration_seconds: Tensor
    concealed: Tensor

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
