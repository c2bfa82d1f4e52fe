"""Progress of encoding and decoding: events for a callable, and the callable that shows them on
stderr.

On a terminal it is one line that is drawn by tqdm, else a line in ten seconds, or JSON lines
(docs/progress.schema.json), or nothing. The clock goes on while no frame ends.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TextIO

from ..errors import UsageError

MODES = ("auto", "bar", "json", "none")
# seconds from one line to the next at least where there is news, and at most where there is none
_INTERVAL = {"bar": 0.2, "json": 1.0, "auto": 10.0, "none": 0.0}
_HEARTBEAT = {"bar": 0.5, "json": 5.0, "auto": 10.0, "none": 0.0}
_TICK = 0.25
_EARLY = 0.1  # share of the frames before which nothing is said of the rest
_BAR_COLUMNS = 12
_NARROW = 80  # columns of a terminal that doesn't tell
_GAP = "  "
_JSON = (
    "stage",
    "frames",
    "total",
    "fps",
    "bytes",
    "kbps",
    "psnr",
    "elapsed",
    "eta",
    "predicted_bytes",
)


def clock(seconds: float) -> str:
    """1:02:03 or 2:03."""
    s = int(seconds)
    return (
        f"{s // 3600}:{s // 60 % 60:02d}:{s % 60:02d}" if s >= 3600 else f"{s // 60}:{s % 60:02d}"
    )


def exact_clock(seconds: float) -> str:
    """``1:02:03.45``: a time or a length to the hundredth."""
    minutes, rest = divmod(round(abs(seconds) * 100), 6000)
    sign = "-" if seconds < 0 else ""
    return f"{sign}{minutes // 60}:{minutes % 60:02}:{rest // 100:02}.{rest % 100:02}"


def counted(count: int, thing: str) -> str:
    """``1 GOP``, ``2 GOPs``."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def size(count: float) -> str:
    """Bytes with a decimal prefix."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.2f} {unit}"
        count /= 1000
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
    stage: str | None = (
        # which time the frames are gone through, where a target takes several: "probe 1", "pass 1"
        None
    )

    @property
    def fps(self) -> float:
        """Frames done a second."""
        return self.frames / self.elapsed if self.elapsed > 0 else 0.0

    @property
    def eta(self) -> float | None:
        """Seconds to go at this speed; None before a tenth of the frames is done."""
        if not self.total or not self.fps or not _EARLY * self.total <= self.frames <= self.total:
            return None
        return (self.total - self.frames) / self.fps

    @property
    def kbps(self) -> float | None:
        """Kilobits per second of video so far."""
        return (
            self.bytes * 8 * self.rate / self.frames / 1000
            if self.bytes and self.frames and self.rate
            else None
        )

    @property
    def predicted_bytes(self) -> float | None:
        """Size of the whole, if it goes on as it went."""
        return (
            self.bytes * self.total / self.frames
            if self.bytes and self.frames and self.total
            else None
        )


ProgressCallback = Callable[[ProgressEvent], object]


class Meter:
    """Where a pipeline reports to: makes events of counts and gives them to ``callback``."""

    def __init__(
        self, callback: ProgressCallback, total: int | None = None, rate: float | None = None
    ) -> None:
        self._callback = callback
        self.total, self.rate = total, rate
        self._begin = time.monotonic()
        self.stage: str | None = None

    def begin(self, stage: str) -> None:
        """Say that the frames are gone through anew, and what for."""
        self.stage, self._begin = stage, time.monotonic()

    def update(self, frames: int, bytes: int | None = None, psnr: float | None = None) -> None:
        """``frames`` done so far, ``bytes`` written for them, PSNR in dB of them."""
        self._callback(
            ProgressEvent(
                frames,
                self.total,
                time.monotonic() - self._begin,
                bytes,
                psnr,
                self.rate,
                self.stage,
            )
        )


def as_meter(progress: ProgressCallback | Meter | None) -> Meter | None:
    """What a pipeline reports to for the callable, if any, that its caller gave."""
    return progress if progress is None or isinstance(progress, Meter) else Meter(progress)


def fitted(parts: Sequence[str], columns: int) -> str:
    """As many of the parts on a line as there are columns for; the first is always there."""
    kept = list(parts)
    while len(kept) > 1 and len(_GAP.join(kept)) > columns:
        kept.pop()
    return _GAP.join(kept)[:columns]


def words(event: ProgressEvent) -> list[str]:
    """What is said of an event, the most important first."""
    found = [event.stage] if event.stage else []
    found += [
        f"frame {event.frames}/{event.total}" if event.total else f"frame {event.frames}",
        clock(event.elapsed),
    ]
    if event.eta is not None:
        found.append(f"ETA {clock(event.eta)}")
    found.append(f"{event.fps:.2f} fps")
    if event.kbps is not None:
        found.append(f"{event.kbps:.1f} kbps")
    if event.psnr is not None:
        found.append(f"PSNR {event.psnr:.2f} dB")
    if event.predicted_bytes is not None:
        found.append(f"about {size(event.predicted_bytes)}")
    return found


def as_json(event: ProgressEvent) -> str:
    """A line of ``--progress json``."""
    values = {name: getattr(event, name) for name in _JSON}
    short = {k: round(v, 3) if isinstance(v, float) else v for k, v in values.items()}
    return json.dumps({"done": False} | short, allow_nan=False)


class _Line:
    """The last line of a terminal, drawn again and again, and gone without a trace at the end."""

    def __init__(self, out: TextIO) -> None:
        from tqdm import tqdm

        class Bar(tqdm):  # type: ignore[misc, type-arg, unused-ignore]  # with stubs and without
            monitor_interval = 0  # drawn by a thread of ours

        Bar.set_lock(threading.RLock())  # its own is one between processes
        self._out = out
        self._bar = Bar(file=out, leave=False, bar_format="{desc}", ncols=_NARROW)

    def draw(self, event: ProgressEvent) -> None:
        columns = self._columns() - 1
        text = fitted(words(event), columns)
        bar = event.total and columns - len(text) >= _BAR_COLUMNS
        self._bar.ncols = columns  # some versions of tqdm would take the last one too
        self._bar.bar_format = "{desc}" + _GAP + "|{bar}|" if bar else "{desc}"
        self._bar.total, self._bar.n = event.total, min(event.frames, event.total or event.frames)
        self._bar.set_description_str(text)

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._out.fileno()).columns or _NARROW
        except (OSError, ValueError):
            return _NARROW

    def erase(self) -> None:
        self._bar.close()


class Progress(Meter):
    """Shows frames done of ``total`` (None where unknown); ``rate`` in frames per second of video
    gives kbps. A thread moves the clock while there is no news, until :meth:`close`."""

    def __init__(
        self,
        mode: str = "auto",
        total: int | None = None,
        rate: float | None = None,
        stream: TextIO | None = None,
    ) -> None:
        if mode not in MODES:
            raise UsageError(
                f"{mode!r} is unknown, allowed are {', '.join(MODES)}", option="progress"
            )
        super().__init__(self.show, total, rate)
        self._out = stream if stream is not None else sys.stderr
        self.mode = "bar" if mode == "auto" and self._out.isatty() else mode
        self._line: _Line | None = None
        self._lock = threading.RLock()
        self._event: ProgressEvent | None = None
        self._told = self._shown = time.monotonic()  # when news came, and when it was last shown
        self._closed = threading.Event()
        if self.mode != "none":
            threading.Thread(target=self._tick, name="progress", daemon=True).start()

    def begin(self, stage: str) -> None:
        """Begin a stage; what is shown of the one before counts no more."""
        with self._lock:
            super().begin(stage)
            self._event = None
            self._told = time.monotonic()

    def show(self, event: ProgressEvent) -> None:
        """Take news, and print it when it is time to."""
        with self._lock:
            self._event, self._told = event, time.monotonic()
            self._show(_INTERVAL[self.mode])

    def _tick(self) -> None:
        while not self._closed.wait(_TICK):
            with self._lock:
                self._show(_HEARTBEAT[self.mode])

    def _show(self, interval: float) -> None:
        now = time.monotonic()
        if self.mode == "none" or self._closed.is_set() or now - self._shown < interval:
            return
        self._shown = now
        last = self._event or ProgressEvent(0, self.total, 0.0, stage=self.stage)
        event = replace(last, elapsed=last.elapsed + now - self._told)
        try:
            if self.mode == "bar":
                self._line = self._line or _Line(self._out)
                self._line.draw(event)
            else:
                text = as_json(event) if self.mode == "json" else _GAP.join(words(event))
                self._out.write(text + "\n")
            self._out.flush()
        except (OSError, ValueError):
            self.mode = "none"  # nobody reads it any more; the work goes on

    def hide(self) -> None:
        """Make room for a sentence on a terminal; what is shown next stands below it."""
        with self._lock:
            line, self._line = self._line, None
            if line is not None and self.mode != "none":
                with suppress(OSError, ValueError):
                    line.erase()

    def close(self) -> None:
        """Show nothing more, and clear the line on a terminal."""
        self._closed.set()
        self.hide()
