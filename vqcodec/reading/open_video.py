"""``vqcodec.open``: a .vqv file as a sequence of frames."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal, cast, overload

import numpy as np

from .. import values
from ..container.byte_source import Source
from ..errors import UsageError
from ..options import DecodeOptions, Limits
from ..system.torch_needed import need_torch
from .frames import Planes
from .open_file import Manner
from .outputs import OUTPUTS, Output, of_numpy
from .video_reader import VideoReader

if TYPE_CHECKING:
    from torch import Tensor

CACHE_BYTES = 256 << 20


def _device(value: Any, name: str) -> str:
    """A name, or a torch.device, which writes as one."""
    return str(value)


@overload
def open(
    source: Source,
    device: str = ...,
    *,
    output: Literal["rgb", "float"] = ...,
    on_damage: Literal["raise", "conceal"] = ...,
    cache_bytes: int = ...,
    batch: int = ...,
    weights: str | os.PathLike[str] | None = ...,
    limits: Limits | None = ...,
) -> VideoReader[Tensor]: ...
@overload
def open(
    source: Source,
    device: str = ...,
    *,
    output: Literal["yuv"],
    on_damage: Literal["raise", "conceal"] = ...,
    cache_bytes: int = ...,
    batch: int = ...,
    weights: str | os.PathLike[str] | None = ...,
    limits: Limits | None = ...,
) -> VideoReader[Planes[Tensor]]: ...
@overload
def open(
    source: Source,
    device: str = ...,
    *,
    output: Literal["numpy", "numpy-float"],
    on_damage: Literal["raise", "conceal"] = ...,
    cache_bytes: int = ...,
    batch: int = ...,
    weights: str | os.PathLike[str] | None = ...,
    limits: Limits | None = ...,
) -> VideoReader[np.ndarray]: ...
@overload
def open(
    source: Source,
    device: str = ...,
    *,
    output: Literal["numpy-yuv"],
    on_damage: Literal["raise", "conceal"] = ...,
    cache_bytes: int = ...,
    batch: int = ...,
    weights: str | os.PathLike[str] | None = ...,
    limits: Limits | None = ...,
) -> VideoReader[Planes[np.ndarray]]: ...
@values.taking(
    device=_device,
    output=values.text,
    on_damage=values.text,
    cache_bytes=values.whole,
    batch=values.whole,
    weights=values.path,
    limits=values.instance(Limits),
)
def open(
    source: Source,
    device: str = "cpu",
    *,
    output: Output = "rgb",
    on_damage: Literal["raise", "conceal"] = "raise",
    cache_bytes: int = CACHE_BYTES,
    batch: int = 0,
    weights: str | os.PathLike[str] | None = None,
    limits: Limits | None = None,
) -> VideoReader[Any]:
    """Open a .vqv file for reading frames and tokens.

    Nothing but header, index and the last GOP is read until they are asked for.

    Args:
        source: A path, the bytes of a file, or a file object that gives bytes and can seek; that
            stays open, and nobody else may use it meanwhile.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``, where the nets run and the
            tensors are.
        output: Tensors: ``rgb`` (3, H, W) uint8; ``float`` the same as float32 from 0 to 1, not
            rounded to 8 bits; ``yuv`` the planes as :class:`Planes`. The same as arrays of numpy,
            for which torch is not loaded: ``numpy``, ``numpy-float`` and ``numpy-yuv``.
        on_damage: ``raise`` DamageError, at once where the file is not whole and else when a
            damaged frame is asked for; or ``conceal`` as ``decode`` does: what is lost is blended
            from the pictures around it and marked, and ``damage`` tells of it. For that the whole
            file is read once, without decoding it.
        cache_bytes: Of decoded frames that are kept, at most; less where ``limits.memory`` leaves
            less beside the decoder.
        batch: Pictures that go through the nets at once, 0 for automatic.
        weights: A file, if not the weights that come with the program.
        limits: What is refused.

    Raises:
        UsageError: An argument makes no sense, or torch is needed and not installed.
        InputError: No .vqv file, or it cannot be read.
        DamageError: The header is lost, or the file is not whole where that is to be raised.
        LimitError: Something is larger than ``limits`` allow.
        WeightsError: The weights are missing, damaged, or of another model.
    """
    for option, value, allowed in (
        ("output", output, OUTPUTS),
        ("on_damage", on_damage, ("raise", "conceal")),
    ):
        if value not in allowed:
            raise UsageError(
                f"{value!r} is unknown, allowed are {', '.join(allowed)}", option=option
            )
    if cache_bytes < 0:
        raise UsageError(
            f"{cache_bytes} is out of range, allowed are numbers from 0", option="cache_bytes"
        )
    if not of_numpy(output):
        need_torch(f"output={output!r}")
    options = DecodeOptions(device=device, batch=batch, limits=limits or Limits())
    file = cast(str | None, weights)  # by its form
    manner = Manner(options, output, on_damage == "conceal", cache_bytes, file)
    return VideoReader.open(source, manner)
