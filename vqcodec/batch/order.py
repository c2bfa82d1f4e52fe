"""A file of a batch: what is to be made, and what came of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DamageError, LimitError, TargetError, VqvError, backquoted
from ..options import DecodeOptions, EncodeOptions
from ..system.progress import ProgressEvent

if TYPE_CHECKING:
    from ..pipeline.cluster import Cluster


@dataclass(frozen=True, eq=False)
class Order:
    """A file to be made."""

    source: str
    target: str
    options: EncodeOptions | DecodeOptions
    weights: str | None = None
    overwrite: bool = False


@dataclass
class Outcome:
    """What came of an order. ``code`` is the exit code that the command for one file would have;
    figures are None where they are not known."""

    code: int = 0
    message: str = ""  # options in it stand in backquotes
    frames: int = 0
    bytes: int | None = None
    bpp: float | None = None  # of the pictures alone
    psnr: float | None = None  # dB, weighted 6:1:1; None also where nothing was lost
    fps: float = 0.0
    seconds: float = 0.0
    warnings: list[str] = field(default_factory=list)
    at_fault: str | None = None  # the file that the message is about, where that is known

    @property
    def written(self) -> bool:
        """Whether there is an output."""
        return self.code in (0, 4, 8) and bool(self.frames)


def _inside(exc: VqvError) -> str:
    """An error in one line, without the name of the file."""
    file, exc.place = exc.place.file, replace(exc.place, file=None)
    try:
        return " ".join(exc.told(backquoted).split())
    finally:
        exc.place = replace(exc.place, file=file)


def _failure(exc: BaseException) -> Outcome:
    """As the command line tells errors."""
    if isinstance(exc, VqvError):
        return Outcome(exc.exit_code, _inside(exc), at_fault=exc.place.file)
    if (
        isinstance(exc, MemoryError)
        or "OutOfMemory" in type(exc).__name__
        or "can't allocate memory" in str(exc)
    ):
        return Outcome(
            LimitError.exit_code, "not enough memory; fewer `workers` or `threads` take less"
        )
    return Outcome(1, f"internal error: {type(exc).__name__}: {' '.join(str(exc).split())}")


def perform(
    order: Order, tell: Callable[[ProgressEvent], object], cluster: Cluster | None = None
) -> Outcome:
    """Make a file; errors are outcomes, but not what ``tell`` raises beyond Exception."""
    begin = time.monotonic()
    try:
        if isinstance(order.options, EncodeOptions):
            return _encoded(order, order.options, tell, cluster)
        return _decoded(order, order.options, tell)
    except Exception as exc:
        outcome = _failure(exc)
        outcome.seconds = time.monotonic() - begin
        return outcome


def _encoded(
    order: Order,
    options: EncodeOptions,
    tell: Callable[[ProgressEvent], object],
    cluster: Cluster | None,
) -> Outcome:
    from ..pipeline.encode import encode

    report = encode(
        order.source,
        order.target,
        options,
        weights=order.weights,
        overwrite=order.overwrite,
        progress=tell,
        cluster=cluster,
    )
    code, message = 0, ""
    if report.missed:
        code, message = TargetError.exit_code, report.missed
    if report.lost:
        code, message = DamageError.exit_code, report.lost[0]
    if report.corrupt:
        code = DamageError.exit_code
        message = f"{report.corrupt} frames or packets of the source are damaged or missing"
    return Outcome(
        code,
        message,
        frames=report.frames,
        bytes=report.bytes,
        bpp=report.picture_bpp,
        psnr=report.psnr.yuv if math.isfinite(report.psnr.yuv) else None,
        fps=report.fps,
        seconds=report.seconds,
        warnings=[*report.warnings, *report.lost],
    )


def _decoded(
    order: Order, options: DecodeOptions, tell: Callable[[ProgressEvent], object]
) -> Outcome:
    from ..pipeline.decode import decode

    report = decode(
        order.source,
        order.target,
        options,
        weights=order.weights,
        overwrite=order.overwrite,
        progress=tell,
    )
    code, message = 0, ""
    if report.lost:
        code, message = DamageError.exit_code, report.lost[0]
    if not report.ok:
        code, message = DamageError.exit_code, f"{report.concealed} frames were concealed"
    return Outcome(
        code,
        message,
        frames=report.frames,
        bytes=Path(order.target).stat().st_size,
        fps=report.fps,
        seconds=report.seconds,
        warnings=[*report.damage, *report.warnings, *report.lost],
    )
