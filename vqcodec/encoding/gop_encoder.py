"""One GOP encoded: filter, qualities, order, frames of a level side by side."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..codec.frame_decoder import Coded, Planes, pad
from ..codec.gop_body import checksum_update
from ..codec.gop_decoder import ReferencePool, crop
from ..codec.gop_structure import LEVELS, MINI_GOP, Slot, mini_gop
from ..fields import Writer
from ..picture import Picture, plane8
from . import lookahead, temporal_filter
from .frame_encoder import FrameEncoder
from .rate_distortion import RateParameters, key_quality

SIDE_BY_SIDE = 4 << 20  # luma samples of the frames that are encoded at once
OFFSETS: tuple[int, ...] = (
    5,
    0,
    -5,
    -9,
    -13,
    -18,
    -22,
)  # quality of each level against the key frames'
_ORDER = (
    6,
    4,
    5,
    3,
    2,
    1,
    0,
)  # the level of the highest number is the first to go up with a fraction of a quality


def targets(crf: float) -> list[int]:
    """Quality aimed at on each level at a crf of 0..63. May lie above 63, the best that the nets know: the detail does the rest.

    Key frames of a whole crf have :func:`vqcodec.encoding.rate_distortion.key_quality`. Between two of them the levels go up one after the other, so that size and error
    change in steps much finer than those of the quality.
    """
    key = key_quality(crf)
    return [
        max(0, math.floor(key + order / LEVELS) + o)
        for order, o in zip(_ORDER, OFFSETS, strict=True)
    ]


def qualities(crf: float) -> list[int]:
    """Quality index 0..63 of each level at a crf of 0..63."""
    return [min(63, t) for t in targets(crf)]


def _squared_error(a: np.ndarray, b8: np.ndarray) -> float:
    """Sum of squared differences on the 8-bit scale, of what an 8-bit output shows if b is 8-bit, else of the 10-bit samples."""
    if b8.dtype == np.uint8:
        d = plane8(a).astype(np.int32) - b8
        return float(np.dot(d.ravel(), d.ravel()))
    d = (a.astype(np.int64) - b8).ravel()
    return float(np.dot(d, d)) / 16


@dataclass
class GopResult:
    body: bytes
    frames: int
    checksum: int  # CRC-32 of all decoded pictures in display order
    sse: tuple[float, float, float]  # sums over Y, U, V of the squared error, 8-bit scale
    stats: list[dict[str, Any]] = field(default_factory=list)


class GopEncoder:
    """Encodes one GOP; pictures come in mini-GOPs. crf 0..63, lower is better. ``stats``: whether the result has a row of statistics for each frame."""

    def __init__(
        self,
        codec: Any,
        width: int,
        height: int,
        crf: float,
        rate: RateParameters | None = None,
        stats: bool = True,
    ):
        self.coder = FrameEncoder(codec, width, height, rate, stats)
        self.width, self.height = width, height
        self.q, self.target = qualities(crf), targets(crf)
        self.pool = ReferencePool()
        self.count, self.closed = 0, False  # pictures coded
        self.waiting: list[Picture] = []  # those added behind them
        self.behind: list[Picture] = []  # the last pictures coded
        self.parts: list[bytes] = []
        self.tell: Callable[[int], object] = lambda frames: None  # called as frames are coded
        self.crc, self.sse, self.stats = 0, [0.0, 0.0, 0.0], []  # type: ignore[var-annotated]

    def add(self, pictures: list[Picture]) -> None:
        """First one picture, the I frame; then 16 at a time in display order, only the last time fewer.

        They are coded when the next ones are there, which a key frame is filtered with, or at the end.
        """
        n, given = len(pictures), self.count + len(self.waiting)
        if n == 0 or self.closed or n > (MINI_GOP if given else 1):
            raise ValueError(f"{n} pictures at frame {given} of the GOP")
        self.closed = given > 0 and n < MINI_GOP
        if self.waiting:
            self._code(self.waiting, pictures[: temporal_filter.REACH])
        self.waiting = list(pictures)

    def _code(self, pictures: list[Picture], following: list[Picture]) -> None:
        """Encode a mini-GOP, or the I frame alone."""
        n = len(pictures)
        slots = (
            mini_gop(self.count - 1, n, self.pool.keys[-2] if len(self.pool.keys) > 1 else None)
            if self.count
            else [Slot(0, 0, ())]
        )
        first = self.count
        streams: dict[int, bytes] = {}
        done: dict[int, Picture] = {}
        rows: dict[int, dict[str, Any]] = {}
        uses = Counter(r for s in slots for r in s.refs)
        opening, worths = self._filtered(
            self.behind + pictures + following, len(self.behind) + n - 1, slots[0].level
        )
        if len(slots) == 1 and not following:  # nothing will refer to it
            worths = None
        source_of = lambda frame: (
            opening
            if frame == slots[0].frame
            else pad(pictures[frame - first], self.width, self.height)
        )
        for level in sorted({s.level for s in slots}):
            for s, (coded, data, stats) in self._level(
                [s for s in slots if s.level == level],
                source_of,
                worths if level < 2 else None,
                uses,
                slots[0].frame,
            ):
                self.tell(first + len(done) + 1)
                source = pictures[s.frame - first]
                self.pool.frames[s.frame] = coded
                streams[s.frame] = data
                done[s.frame] = crop(coded, self.width, self.height)
                sse = [_squared_error(a, b) for a, b in zip(done[s.frame], source, strict=True)]
                self.sse = [a + b for a, b in zip(self.sse, sse, strict=True)]
                if self.coder.stats:
                    psnr = [
                        10 * math.log10(65025 * p.size / e) if e else None
                        for p, e in zip(source, sse, strict=True)
                    ]
                    rows[s.frame] = (
                        dict(
                            frame=s.frame,
                            type="IPB"[min(s.level, 2)],
                            level=s.level,
                            q=self.q[s.level],
                            bytes=len(data),
                            psnr=psnr,
                        )
                        | stats
                    )
        self.parts += [streams[s.frame] for s in slots]
        for f in sorted(done):
            self.crc = checksum_update(self.crc, done[f])
        self.stats += [rows[f] for f in sorted(rows)]
        self.count += n
        self.behind = (self.behind + pictures)[-temporal_filter.REACH :]
        self.pool.close(self.count - 1)

    def _filtered(
        self, around: list[Picture], at: int, level: int
    ) -> tuple[Planes, np.ndarray | None]:
        """Source of an I or key frame, the one ``at`` that place of those around it, and what error in its blocks is worth."""
        source = pad(around[at], self.width, self.height)
        near = range(
            max(0, at - temporal_filter.REACH), min(len(around), at + temporal_filter.REACH + 1)
        )
        neighbours = [(i - at, pad(around[i], self.width, self.height)) for i in near if i != at]
        rate, quality = self.coder.rate, self.target[level]
        out, errors = temporal_filter.filtered(source, neighbours, quality, rate.filter_strength)
        return out, None if errors is None else lookahead.worths(
            errors, quality, rate.lookahead_strength, self.height, self.width
        )

    def _level(
        self,
        slots: list[Slot],
        source_of: Callable[[int], Planes],
        worths: np.ndarray | None,
        uses: Counter[int],
        key: int,
    ) -> Iterator[tuple[Slot, tuple[Coded, bytes, dict[str, Any]]]]:
        """Encode the frames of a level, as many at once as torch has threads and memory should hold."""
        import torch

        many = max(1, min(torch.get_num_threads(), SIDE_BY_SIDE // (self.width * self.height)))
        for i in range(0, len(slots), many):
            same = slots[i : i + many]
            yield from zip(same, self._encode(same, source_of, worths), strict=True)
            # the interpolated phases of a reference are large: drop them with their last use (the key frame opens the next mini-GOP)
            uses.subtract(r for s in same for r in s.refs)
            for r in (r for s in same for r in s.refs):
                if uses[r] == 0 and r != key:
                    self.pool.frames[r].phases = self.pool.frames[r].luma8 = None

    def _encode(
        self, slots: list[Slot], source_of: Callable[[int], Planes], worths: np.ndarray | None
    ) -> Iterator[tuple[Coded, bytes, dict[str, Any]]]:
        """Frames of one level, which don't refer to each other, side by side. torch's thread count, which is the process', is 1 meanwhile."""
        import torch

        def one(s: Slot) -> tuple[Coded, bytes, dict[str, Any]]:
            return self.coder.encode(
                source_of(s.frame),
                s.frame,
                s.level,
                self.q[s.level],
                self.pool.refs(s),
                self.target[s.level],
                worths,
            )

        if len(slots) == 1:
            yield one(slots[0])
            return
        threads = torch.get_num_threads()
        for s in slots:
            self.coder.prepare(self.pool.refs(s))
        try:
            torch.set_num_threads(1)
            with ThreadPoolExecutor(min(threads, len(slots))) as pool:
                yield from pool.map(one, slots)
        finally:
            torch.set_num_threads(threads)

    def finish(self, cut: bool = False) -> GopResult:
        """The GOP of all pictures added. With ``cut`` those that are not coded yet are left out, so that it is there at once; but for the I frame."""
        if self.waiting and not (cut and self.count):
            self._code(self.waiting, [])
            self.waiting = []
        w = Writer()
        for q in self.q:
            w.u8(q)
        for p in self.parts:
            w.varint(len(p))
        for p in self.parts:
            w.raw(p)
        y, u, v = self.sse
        return GopResult(w.getvalue(), self.count, self.crc, (y, u, v), self.stats)
