"""Quality of a decoded file against the frames that were encoded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np

from ..errors import DamageError
from ..media.source import VideoSource
from ..metrics import squared_error
from ..picture import Picture
from ..psnr import Psnr, psnr_yuv
from .clips import Reference
from .visible_faults import VisibleFaults

WEIGHTED = "(6Y+U+V)/8"
PLANES = (WEIGHTED, "Y", "U", "V")
MS_SSIM_STEP = 4  # every fourth frame is measured
MS_SSIM_SIDE = 160  # pictures must be larger for its five scales


@dataclass(frozen=True)
class Quality:
    """PSNR in dB at most 100; MS-SSIM of luma in dB, -10 log10(1 - s), mean of every
    fourth frame, None for small pictures; blocking and flicker as VisibleFaults has them;
    ``picture``: the frame asked for."""

    psnr_mean_of_frames: Psnr
    psnr_of_mean_error: Psnr
    ms_ssim_db: float | None
    blocking: float | None
    flicker: float | None
    picture: Picture


def ms_ssim_db(plane: np.ndarray, other: np.ndarray, top: int) -> float:
    """MS-SSIM of two planes with values from 0 to ``top`` in dB; at most 60."""
    import torch
    from pytorch_msssim import ms_ssim

    x, y = (torch.from_numpy(p.astype(np.float32))[None, None] for p in (plane, other))
    return -10 * math.log10(max(1e-6, 1 - float(ms_ssim(x, y, data_range=top))))


def compare(reference: Reference, decoded: Path, name: str, keep: int = 0) -> Quality:
    """Measure every frame of ``decoded``, which messages call ``name``; frame number ``keep`` is
    given back.

    DamageError when the number, size or depth of the frames is not that of the reference.
    """
    sums, each, similar, faults = np.zeros(3), [], [], VisibleFaults()
    kept: Picture | None = None
    large = min(reference.width, reference.height) > MS_SSIM_SIDE
    given = came = 0  # frames
    with VideoSource(reference.path) as original, VideoSource(decoded) as result:
        if (result.width, result.height, result.ten_bit) != (
            original.width,
            original.height,
            original.ten_bit,
        ):
            raise DamageError("decoded to pictures of another size or depth", file=name)
        ends: tuple[int, Picture | None] = (0, None)
        pairs = zip_longest(original, result, fillvalue=ends)
        for number, ((_, source), (_, shown)) in enumerate(pairs):
            given += source is not None
            came += shown is not None
            if source is None or shown is None:
                continue
            error = squared_error(shown, source)
            sums += error
            each.append(psnr_yuv(error, original.width, original.height, 1))
            faults.add(*(p.y / 4 if p.ten_bit else p.y for p in (source, shown)))
            if large and number % MS_SSIM_STEP == 0:
                similar.append(ms_ssim_db(source.y, shown.y, 1023 if source.ten_bit else 255))
            if number == keep:
                kept = shown
    if given != came or kept is None:
        raise DamageError(
            f"{given} frames were encoded and {came} decoded; nothing can be compared",
            file=name,
        )
    return Quality(
        Psnr(*map(float, np.mean(each, axis=0))),
        psnr_yuv(list(sums), reference.width, reference.height, given),
        float(np.mean(similar)) if similar else None,
        faults.blocking,
        faults.flicker,
        kept,
    )
