"""Frames in memory, as arrays or tensors, become pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import av
import numpy as np

from ..errors import UsageError
from ..media.frames import converted_rgb
from ..picture import Picture
from ..picture_size import chroma_size

if TYPE_CHECKING:
    from torch import Tensor

    from ..reading.frames import Planes

    Plane = Tensor | np.ndarray[Any, Any]
    Frames: TypeAlias = Plane | Planes[Tensor] | Planes[np.ndarray] | Sequence[Plane]

_TOP10 = 1023


class FrameKind(NamedTuple):
    """What all frames of a file have in common."""

    width: int
    height: int
    ten_bit: bool
    rgb: bool

    def __str__(self) -> str:
        bits = "more than 8" if self.ten_bit else "8"
        return f"{self.width}x{self.height} {'RGB' if self.rgb else 'planes'} of {bits} bits"


def as_pictures(frames: Frames, channels_last: bool) -> tuple[FrameKind, Iterator[Picture]]:
    """The kind of frames, and one picture for each.

    RGB (N, 3, H, W) or (3, H, W), with ``channels_last`` (N, H, W, 3) or (H, W, 3), is converted
    to 4:2:0. A tuple or list (y, u, v) holds planes of 4:2:0, (N, H, W) or (H, W). Raises
    UsageError for other shapes, types and values.
    """
    if not isinstance(frames, tuple | list):
        return _from_rgb(_array(frames), channels_last)  # type: ignore[arg-type]
    if len(frames) != 3:
        raise UsageError(f"three are needed (y, u, v), not {len(frames)}", option="frames")
    return _from_planes([_array(plane) for plane in frames])


def _array(frames: Plane) -> np.ndarray[Any, Any]:
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


def _from_planes(planes: list[np.ndarray[Any, Any]]) -> tuple[FrameKind, Iterator[Picture]]:
    if planes[0].ndim == 2:
        planes = [plane[None] for plane in planes]
    y, u, v = planes
    count, height, width = y.shape if y.ndim == 3 else (0, 0, 0)
    chroma_width, chroma_height = chroma_size(width, height)
    chroma = (count, chroma_height, chroma_width)
    if y.ndim != 3 or u.shape != chroma or v.shape != chroma or not y.size:
        shapes = ", ".join(str(plane.shape) for plane in planes)
        raise UsageError(
            f"{shapes} are none of 4:2:0: (N, H, W) and twice half of it", option="frames"
        )
    types = {plane.dtype for plane in planes}
    if len(types) != 1 or y.dtype not in (np.uint8, np.uint16, np.int16):
        names = ", ".join(sorted(str(name) for name in types))
        raise UsageError(
            f"uint8, or uint16 or int16 of 10 bits are needed, not {names}", option="frames"
        )
    ten_bit = y.dtype != np.uint8
    if ten_bit and any(int(p.max()) > _TOP10 or int(p.min()) < 0 for p in planes):
        raise UsageError(f"values of 10 bits go from 0 to {_TOP10}", option="frames")
    pictures = (Picture(y[i], u[i], v[i]) for i in range(count))
    return FrameKind(width, height, ten_bit, rgb=False), pictures


def _from_rgb(
    frames: np.ndarray[Any, Any], channels_last: bool
) -> tuple[FrameKind, Iterator[Picture]]:
    batch = frames[None] if frames.ndim == 3 else frames
    if batch.ndim == 4 and not channels_last:
        batch = batch.transpose(0, 2, 3, 1)
    if batch.ndim != 4 or batch.shape[3] != 3 or not batch.size:
        order = "(N, H, W, 3)" if channels_last else "(N, 3, H, W)"
        raise UsageError(f"{order} is needed for RGB, not {frames.shape}", option="frames")
    if batch.dtype not in (np.uint8, np.uint16):
        raise UsageError(f"uint8 or uint16 is needed for RGB, not {batch.dtype}", option="frames")
    _, height, width, _ = batch.shape
    kind = FrameKind(width, height, batch.dtype == np.uint16, rgb=True)
    return kind, (_converted(picture, kind.ten_bit) for picture in batch)


def _converted(picture: np.ndarray[Any, Any], ten_bit: bool) -> Picture:
    """RGB (H, W, 3) as 4:2:0."""
    contiguous = np.ascontiguousarray(picture)
    frame = av.VideoFrame.from_ndarray(contiguous, "rgb48le" if ten_bit else "rgb24")
    return converted_rgb(frame, ten_bit)
