"""Pictures to the body of one GOP packet and back: structure, qualities, and the order in which
things are coded.

A GOP is closed: an I frame, then mini-GOPs of up to 16 frames, each a key frame (P, predicted from
the two key frames before) and a dyadic pyramid of B frames between it and the one before, each
predicted from the nearest coded frames on both sides. Frames set apart, such as flashes and
repeated frames, lie between those of the pyramid, and nothing refers to them. Every frame is one
range-coder stream (frame_decoder.py). Adaptive state is inherited from the reference of the deeper
level, so that decoding a frame needs its ancestors only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..errors import DamageError
from ..picture import Picture, chroma_size
from .frame_decoder import Coded, FrameCoder, FrameJob
from .gop_body import parse_body
from .gop_structure import MAX_BATCH, Slot, ancestors, automatic_batch, by_level

if TYPE_CHECKING:
    from .weights import Codec


def crop(c: Coded, width: int, height: int) -> Picture:
    """The picture of a coded frame, without the samples that only fill up its blocks."""
    cw, ch = chroma_size(width, height)
    return Picture(c.planes[0][:height, :width], c.planes[1][:ch, :cw], c.planes[2][:ch, :cw])


class ReferencePool:
    """Coded frames that later ones may still refer to; a frame goes when its mini-GOP is done, but
    for the last two key frames."""

    def __init__(self) -> None:
        self.frames: dict[int, Coded] = {}
        self.keys: list[int] = []

    def refs(self, slot: Slot) -> list[Coded]:
        """The frames that the frame of a slot refers to."""
        return [self.frames[r] for r in slot.refs]

    def close(self, key: int) -> None:
        """Let go of a mini-GOP whose key frame has that number."""
        self.keys = [*self.keys[-1:], key]
        self.frames = {k: self.frames[k] for k in self.keys}


def _run(
    codec: Codec,
    body: bytes | memoryview,
    frames: int,
    width: int,
    height: int,
    batch: int,
    stats: list[dict[str, Any]] | None,
    wanted: range | None = None,
) -> Iterator[tuple[int, Coded]]:
    coder = FrameCoder(codec, width, height)
    parsed = parse_body(body, frames)
    data, order = parsed.streams, parsed.order
    pool, at, shown = ReferencePool(), 0, 0
    wanted = range(frames) if wanted is None else wanted
    needed = ancestors(order, wanted)
    for slots in order:
        position = {s.frame: at + i for i, s in enumerate(slots)}
        for of_level in by_level(slots):
            same = [s for s in of_level if s.frame in needed]
            for i in range(0, len(same), min(batch, MAX_BATCH)):
                jobs = same[i : i + min(batch, MAX_BATCH)]
                out = coder.decode(
                    [
                        FrameJob(
                            data[position[s.frame]],
                            s.frame,
                            s.level,
                            parsed.quality(s.level),
                            pool.refs(s),
                        )
                        for s in jobs
                    ],
                    stats,
                )
                for s, c in zip(jobs, out, strict=True):
                    pool.frames[s.frame] = c
        at += len(slots)
        last = max(s.frame for s in slots)
        for f in range(shown, last + 1):
            if f in wanted:
                yield f, pool.frames[f]
        if last not in needed:  # and so nothing behind it is
            return
        shown = last + 1
        pool.close(last)


def decode_gop(
    codec: Codec,
    body: bytes | memoryview,
    frames: int,
    width: int,
    height: int,
    batch: int = 0,
    wanted: range | None = None,
) -> Iterator[Picture]:
    """Pictures of 10 bits (uint16) in display order. ``batch``: frames of one level that go through
    the nets at once (0: chosen by size).

    Decode only the frames in ``wanted`` (all if None) and those they depend on. The pixel checksum
    covers the whole
    GOP: it says nothing about a part. Raises DamageError where the body cannot be right.
    """
    if batch <= 0:
        batch = automatic_batch(width, height)
    try:
        for _, c in _run(codec, body, frames, width, height, batch, None, wanted):
            yield crop(c, width, height)
    except (IndexError, OverflowError) as exc:
        raise DamageError(exc, part="GOP body") from exc


def body_stats(
    codec: Codec, body: bytes | memoryview, frames: int, w: int, h: int
) -> list[dict[str, Any]]:
    """For each frame in display order: frame, type, level, q, and ``bits`` by syntax element."""
    rows: list[dict[str, Any]] = []
    for _ in _run(codec, body, frames, w, h, 1, rows):
        pass
    return sorted(rows, key=lambda r: r["frame"])
