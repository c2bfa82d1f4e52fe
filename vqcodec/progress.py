"""Progress of encoding and decoding: events for a callable, and the callable that shows them on stderr.

On a terminal it is one line that is rewritten, else a line in ten seconds, or JSON lines (docs/progress.schema.json), or nothing.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TextIO

from .errors import UsageError

MODES = ("auto", "bar", "json", "none")
_BAR_INTERVAL, _LINE_INTERVAL = 0.2, 10.0


def clock(seconds: float) -> str:
    """1:02:03 or 2:03."""
    s = int(seconds)
    return f"{s // 3600}:{s // 60 % 60:02d}:{s % 60:02d}" if s >= 3600 else f"{s // 60}:{s % 60:02d}"


def size(n: float) -> str:
    """Bytes with a decimal prefix."""
    for unit in ("B", "kB", "MB", "GB"):
        if n < 1000 or unit == "GB":
            return f"{n:.0f} {unit}" if unit == "B" else f"{n:.2f} {unit}"
        n /= 1000
    return ""


@dataclass(frozen=True)
class ProgressEvent:
    """How far an encode, a decode or a check is."""

    frames: int  # done so far
    total: int | None  # frames of the whole, None where unknown
    elapsed: float  # seconds since the work began
    bytes: int | None = None  # written for the frames done; None where nothing is encoded
    psnr: float | None = None  # of the frames done, weighted 6:1:1, in dB
    rate: float | None = None  # frames a second of the video, None where unknown
    stage: str | None = None  # which time the frames are gone through, where a target takes several: "probe 1", "pass 1"

    @property
    def fps(self) -> float:
        """Frames done a second."""
        return self.frames / self.elapsed if self.elapsed > 0 else 0.0

    @property
    def eta(self) -> float | None:
        """Seconds to go at this speed."""
        return (self.total - self.frames) / self.fps if self.total and self.fps and self.total >= self.frames else None

    @property
    def kbps(self) -> float | None:
        """Kilobits per second of video so far."""
        return self.bytes * 8 * self.rate / self.frames / 1000 if self.bytes and self.frames and self.rate else None

    @property
    def predicted_bytes(self) -> float | None:
        """Size of the whole, if it goes on as it went."""
        return self.bytes * self.total / self.frames if self.bytes and self.frames and self.total else None


ProgressCallback = Callable[[ProgressEvent], object]


class Meter:
    """Where a pipeline reports to: makes events of counts and gives them to ``callback``."""

    def __init__(self, callback: ProgressCallback, total: int | None = None, rate: float | None = None) -> None:
        self._callback = callback
        self.total, self.rate = total, rate
        self._begin = time.monotonic()
        self.stage: str | None = None

    def begin(self, stage: str) -> None:
        """Say that the frames are gone through anew, and what for."""
        self.stage, self._begin = stage, time.monotonic()

    def update(self, frames: int, bytes: int | None = None, psnr: float | None = None) -> None:
        """``frames`` done so far, ``bytes`` written for them, PSNR in dB of them."""
        self._callback(ProgressEvent(frames, self.total, time.monotonic() - self._begin, bytes, psnr, self.rate, self.stage))


def as_meter(progress: ProgressCallback | Meter | None) -> Meter | None:
    """What a pipeline reports to for the callable, if any, that its caller gave."""
    return progress if progress is None or isinstance(progress, Meter) else Meter(progress)


class Progress(Meter):
    """Shows frames done of ``total`` (None where unknown); ``rate`` in frames per second of video gives kbps."""

    def __init__(self, mode: str = "auto", total: int | None = None, rate: float | None = None, stream: TextIO | None = None) -> None:
        if mode not in MODES:
            raise UsageError(f"progress: {mode!r} is unknown, allowed are {', '.join(MODES)}")
        super().__init__(self.show, total, rate)
        self._out = stream if stream is not None else sys.stderr
        self._tty = mode == "bar" or (mode == "auto" and self._out.isatty())
        self.mode = mode
        self._shown = 0.0  # elapsed when something was last shown
        self._width = 0

    def begin(self, stage: str) -> None:
        super().begin(stage)
        self._shown = 0.0

    def show(self, event: ProgressEvent) -> None:
        """Print when it is time to."""
        interval = _BAR_INTERVAL if self._tty else _LINE_INTERVAL if self.mode == "auto" else 1.0
        if self.mode == "none" or event.elapsed - self._shown < interval:
            return
        self._shown = event.elapsed
        self._print(event)

    def _print(self, e: ProgressEvent) -> None:
        if self.mode == "json":
            names = ("stage", "frames", "total", "fps", "bytes", "kbps", "psnr", "elapsed", "eta", "predicted_bytes")
            values: dict[str, Any] = {"done": False} | {name: getattr(e, name) for name in names}
            self._write(json.dumps({k: round(v, 3) if isinstance(v, float) else v for k, v in values.items()}, allow_nan=False) + "\n")
            return
        parts = [*([e.stage] if e.stage else []), f"frame {e.frames}/{e.total}" if e.total else f"frame {e.frames}", f"{e.fps:.2f} fps"]
        if e.kbps is not None:
            parts.append(f"{e.kbps:.1f} kbps")
        if e.psnr is not None:
            parts.append(f"PSNR {e.psnr:.2f} dB")
        parts.append(clock(e.elapsed))
        if e.eta is not None:
            parts.append(f"ETA {clock(e.eta)}")
        if e.predicted_bytes is not None:
            parts.append(f"about {size(e.predicted_bytes)}")
        line = "  ".join(parts)
        if self._tty:
            self._write("\r" + line.ljust(self._width))
            self._width = len(line)
        else:
            self._write(line + "\n")

    def _write(self, text: str) -> None:
        try:
            self._out.write(text)
            self._out.flush()
        except (OSError, ValueError):
            self.mode = "none"  # nobody reads it any more; the work goes on

    def close(self) -> None:
        """Clear the line on a terminal."""
        if self._tty and self._width and self.mode != "none":
            self._write("\r" + " " * self._width + "\r")
            self._width = 0
