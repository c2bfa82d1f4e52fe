"""Pictures to the body of one GOP packet and back: structure, qualities, and the order in which things are coded.

A GOP is closed: an I frame, then mini-GOPs of up to 16 frames, each a key frame (P, predicted from the key frame before) and a
dyadic pyramid of B frames between the two, each predicted from the nearest coded frames on both sides. Every frame is one
range-coder stream: quality, motion, hyper-latent, two halves of the latent. Adaptive state is inherited from the reference of the
deeper level, so that decoding a frame needs its ancestors only.
"""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .bits import Reader, Writer
from .errors import DamageError
from .frame import Coded, FrameCoder, pad
from .picture import Picture, chroma_size, plane8

MINI_GOP = 16
LEVELS = 7  # I, key, and the five possible levels of a pyramid of 32
OFFSETS: tuple[int, ...] = (5, 0, -5, -9, -13, -18, -22)  # quality of each level against the key frames'


@dataclass(frozen=True)
class Slot:
    """One frame of a GOP in decoding order: frame number, level (0 I, 1 key, 2.. B), frame numbers of its references."""

    frame: int
    level: int
    refs: tuple[int, ...]


def mini_gop(last: int, n: int) -> list[Slot]:
    """Decoding order of the ``n`` frames that follow frame ``last`` (the key frame before them)."""
    end = last + n
    out = [Slot(end, 1, (last,))]

    def between(lo: int, hi: int, level: int) -> None:
        if hi - lo > 1:
            mid = (lo + hi) // 2
            out.append(Slot(mid, level, (lo, hi)))
            between(lo, mid, level + 1)
            between(mid, hi, level + 1)

    between(last, end, 2)
    return out


def gop_order(frames: int) -> list[list[Slot]]:
    """The mini-GOPs of a GOP of ``frames`` frames; the first is the I frame alone."""
    out, last = [[Slot(0, 0, ())]], 0
    while last < frames - 1:
        n = min(MINI_GOP, frames - 1 - last)
        out.append(mini_gop(last, n))
        last += n
    return out


def targets(crf: float) -> list[int]:
    """Quality aimed at on each level at a crf of 0..63. May lie above 63, the best that the nets know: the detail does the rest."""
    key = round(70 - 1.12 * crf + 1.5 * max(0.0, 14 - crf))
    return [max(0, key + o) for o in OFFSETS]


def qualities(crf: float) -> list[int]:
    """Quality index 0..63 of each level at a crf of 0..63."""
    return [min(63, t) for t in targets(crf)]


def checksum_update(crc: int, pic10: Picture) -> int:
    """CRC-32 continued over the little-endian 16-bit samples of a decoded picture, Y, U, V."""
    for p in pic10:
        crc = zlib.crc32(np.ascontiguousarray(p, dtype="<u2").data, crc)
    return crc


def crop(c: Coded, width: int, height: int) -> Picture:
    cw, ch = chroma_size(width, height)
    return Picture(c.planes[0][:height, :width], c.planes[1][:ch, :cw], c.planes[2][:ch, :cw])


def _squared_error(a: np.ndarray, b8: np.ndarray) -> float:
    """Sum of squared differences on the 8-bit scale, of what an 8-bit output shows if b is 8-bit, else of the 10-bit samples."""
    if b8.dtype == np.uint8:
        d = plane8(a).astype(np.int32) - b8
        return float(np.dot(d.ravel(), d.ravel()))
    d = (a.astype(np.int64) - b8).ravel()
    return float(np.dot(d, d)) / 16


class _Pool:
    """Coded frames that later ones may still refer to; a frame goes when its mini-GOP is done, but for the key frame."""

    def __init__(self) -> None:
        self.frames: dict[int, Coded] = {}

    def refs(self, slot: Slot) -> list[Coded]:
        return [self.frames[r] for r in slot.refs]

    def close(self, key: int) -> None:
        self.frames = {key: self.frames[key]}


@dataclass
class GopResult:
    body: bytes
    frames: int
    checksum: int  # CRC-32 of all decoded pictures in display order
    sse: tuple[float, float, float]  # sums over Y, U, V of the squared error, 8-bit scale
    stats: list[dict[str, Any]] = field(default_factory=list)


class GopEncoder:
    """Encodes one GOP; pictures come in mini-GOPs. crf 0..63, lower is better."""

    def __init__(self, codec: Any, width: int, height: int, crf: float):
        self.coder = FrameCoder(codec, width, height)
        self.width, self.height = width, height
        self.q, self.target = qualities(crf), targets(crf)
        self.pool, self.count, self.closed = _Pool(), 0, False
        self.parts: list[bytes] = []
        self.crc, self.sse, self.stats = 0, [0.0, 0.0, 0.0], []  # type: ignore[var-annotated]

    def add(self, pictures: list[Picture]) -> None:
        """First one picture, the I frame; then 16 at a time in display order, only the last time fewer."""
        n = len(pictures)
        if n == 0 or self.closed or n > (1 if self.count == 0 else MINI_GOP):
            raise ValueError(f"{n} pictures at frame {self.count} of the GOP")
        self.closed = self.count > 0 and n < MINI_GOP
        slots = [Slot(0, 0, ())] if self.count == 0 else mini_gop(self.count - 1, n)
        first = self.count
        done: dict[int, Picture] = {}
        rows: dict[int, dict[str, Any]] = {}
        uses = Counter(r for s in slots for r in s.refs)
        for s in slots:
            source = pictures[s.frame - first]
            coded, data, stats = self.coder.encode(pad(source, self.width, self.height), s.frame, s.level, self.q[s.level], self.pool.refs(s), self.target[s.level])
            self.pool.frames[s.frame] = coded
            self.parts.append(data)
            # the interpolated phases of a reference are large: drop them with their last use (the key frame opens the next mini-GOP)
            for r in s.refs:
                uses[r] -= 1
                if uses[r] == 0 and r != slots[0].frame:
                    self.pool.frames[r].phases = self.pool.frames[r].luma8 = None
            done[s.frame] = crop(coded, self.width, self.height)
            sse = [_squared_error(a, b) for a, b in zip(done[s.frame], source, strict=True)]
            self.sse = [a + b for a, b in zip(self.sse, sse, strict=True)]
            psnr = [10 * math.log10(65025 * p.size / e) if e else None for p, e in zip(source, sse, strict=True)]
            rows[s.frame] = dict(frame=s.frame, type="IPB"[min(s.level, 2)], level=s.level, q=self.q[s.level], bytes=len(data), psnr=psnr) | stats
        for f in sorted(done):
            self.crc = checksum_update(self.crc, done[f])
            self.stats.append(rows[f])
        self.count += n
        self.pool.close(self.count - 1)

    def finish(self) -> GopResult:
        w = Writer()
        for q in self.q:
            w.u8(q)
        for p in self.parts:
            w.varint(len(p))
        for p in self.parts:
            w.raw(p)
        y, u, v = self.sse
        return GopResult(w.getvalue(), self.count, self.crc, (y, u, v), self.stats)


def _frame_data(body: bytes | memoryview, frames: int) -> tuple[list[int], list[memoryview]]:
    """Level qualities and the streams of a GOP body, in decoding order."""
    r = Reader(body, "GOP body")
    q = [r.u8() for _ in range(LEVELS)]
    if max(q) > 63:
        raise r.error(f"quality {max(q)} above 63")
    sizes = [r.varint() for _ in range(frames)]
    data = [r.take(n) for n in sizes]
    r.done()
    return q, data


def _run(codec: Any, body: bytes | memoryview, frames: int, width: int, height: int, batch: int, stats: list[dict] | None) -> Iterator[tuple[int, Coded]]:
    coder = FrameCoder(codec, width, height)
    q, data = _frame_data(body, frames)
    pool, at, shown = _Pool(), 0, 0
    for slots in gop_order(frames):
        # frames of one level refer to higher levels only: they can go through the nets together
        position = {s.frame: at + i for i, s in enumerate(slots)}
        for level in sorted({s.level for s in slots}):
            same = [s for s in slots if s.level == level]
            for i in range(0, len(same), batch):
                jobs = same[i : i + batch]
                out = coder.decode([(data[position[s.frame]], s.frame, s.level, q[s.level], pool.refs(s)) for s in jobs], stats)
                for s, c in zip(jobs, out, strict=True):
                    pool.frames[s.frame] = c
        at += len(slots)
        last = max(s.frame for s in slots)
        for f in range(shown, last + 1):
            yield f, pool.frames[f]
        shown = last + 1
        pool.close(last)


def decode_gop(codec: Any, body: bytes | memoryview, frames: int, width: int, height: int, batch: int = 0) -> Iterator[Picture]:
    """Pictures of 10 bits (uint16) in display order. ``batch``: frames of one level that go through the nets at once (0: chosen by size).

    Raises DamageError where the body cannot be right.
    """
    if batch <= 0:
        batch = max(1, min(8, 500_000 // max(1, width * height)))
    try:
        for _, c in _run(codec, body, frames, width, height, batch, None):
            yield crop(c, width, height)
    except (IndexError, OverflowError) as exc:
        raise DamageError(f"GOP body: {exc}") from exc


def body_stats(codec: Any, body: bytes | memoryview, frames: int, w: int, h: int) -> list[dict]:
    """For each frame in display order: frame, type, level, q, and ``bits`` by syntax element."""
    rows: list[dict] = []
    for _ in _run(codec, body, frames, w, h, 1, rows):
        pass
    return sorted(rows, key=lambda r: r["frame"])


__all__ = ["GopEncoder", "GopResult", "Slot", "body_stats", "checksum_update", "decode_gop", "gop_order"]
