"""Progress on stderr: one line that is rewritten on a terminal, else a line in ten seconds, or JSON lines (docs/progress.schema.json), or nothing."""

from __future__ import annotations

import json
import sys
import time
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


class Progress:
    """Reports frames done of ``total`` (None where unknown); ``rate`` in frames per second of video gives kbps."""

    def __init__(self, mode: str = "auto", total: int | None = None, rate: float | None = None, stream: TextIO | None = None) -> None:
        if mode not in MODES:
            raise UsageError(f"progress: {mode!r} is unknown, allowed are {', '.join(MODES)}")
        self._out = stream if stream is not None else sys.stderr
        self._tty = mode == "bar" or (mode == "auto" and self._out.isatty())
        self.mode = mode
        self.total, self.rate = total, rate
        self._begin = self._shown = time.monotonic()
        self._width = 0

    def update(self, frames: int, bytes: int | None = None, psnr: float | None = None) -> None:
        """``frames`` done so far, ``bytes`` written for them, PSNR in dB of them; prints when it is time to."""
        now = time.monotonic()
        interval = _BAR_INTERVAL if self._tty else _LINE_INTERVAL if self.mode == "auto" else 1.0
        if self.mode == "none" or now - self._shown < interval:
            return
        self._shown = now
        self._print(frames, bytes, psnr, now - self._begin)

    def _print(self, frames: int, nbytes: int | None, psnr: float | None, elapsed: float) -> None:
        fps = frames / elapsed if elapsed > 0 else 0.0
        eta = (self.total - frames) / fps if self.total and fps and self.total >= frames else None
        kbps = nbytes * 8 * self.rate / frames / 1000 if nbytes and frames and self.rate else None
        predicted = nbytes * self.total / frames if nbytes and frames and self.total else None
        if self.mode == "json":
            numbers = {"frames": frames, "total": self.total, "fps": fps, "bytes": nbytes, "kbps": kbps, "psnr": psnr, "elapsed": elapsed, "eta": eta, "predicted_bytes": predicted}
            values: dict[str, Any] = {"done": False} | numbers
            self._write(json.dumps({k: round(v, 3) if isinstance(v, float) else v for k, v in values.items()}, allow_nan=False) + "\n")
            return
        parts = [f"frame {frames}/{self.total}" if self.total else f"frame {frames}", f"{fps:.2f} fps"]
        if kbps is not None:
            parts.append(f"{kbps:.1f} kbps")
        if psnr is not None:
            parts.append(f"PSNR {psnr:.2f} dB")
        parts.append(clock(elapsed))
        if eta is not None:
            parts.append(f"ETA {clock(eta)}")
        if predicted is not None:
            parts.append(f"about {size(predicted)}")
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
