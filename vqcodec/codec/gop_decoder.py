"""The body of one GOP packet to pictures: the order in which its frames are decoded.

A GOP is closed: an I frame, then mini-GOPs of up to 32 frames. A mini-GOP is a key frame (P,
predicted from the two key frames before) and a dyadic pyramid of B frames between it and the key
frame before. Each B frame is predicted from the nearest coded frames on both sides. Frames set
apart, such as flashes and repeated frames, lie between those of the pyramid, and nothing refers to
them. Every frame is one
range-coder stream (frame_decoder.py). Adaptive state is inherited from the reference of the deeper
level, so that decoding a frame needs its ancestors only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from ..errors import DamageError
from ..picture import Picture
from ..picture_size import chroma_size
from ..system.schedule import Later, Schedule
from ..system.threads import thread_count
from .bit_statistics import FrameStatistics
from .decoder_memory import MAX_BATCH, automatic_batch, bytes_ahead
from .frame_decoder import Coded, FrameCoder, FrameJob
from .gop_body import GopBody, parse_body
from .gop_structure import Slot, ancestors, by_level

if TYPE_CHECKING:
    from .weights import Codec


def crop(coded: Coded, width: int, height: int) -> Picture:
    """The picture of a coded frame, without the samples that only fill up its blocks."""
    cw, ch = chroma_size(width, height)
    y, u, v = coded.planes
    return Picture(y[:height, :width], u[:ch, :cw], v[:ch, :cw])


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


class _MiniGopJobs(NamedTuple):
    """Frames of a mini-GOP in the order of the stream. Those that are needed have a function by
    their number that makes the job of decoding one with its references."""

    slots: list[Slot]
    jobs: dict[int, Callable[[list[Coded]], FrameJob]]


@dataclass
class _Gop:
    """A GOP to decode, or the part of it that is wanted."""

    coder: FrameCoder
    body: GopBody
    wanted: range
    needed: set[int]  # with all that those refer to

    @classmethod
    def of(
        cls,
        codec: Codec,
        body: bytes | memoryview,
        frames: int,
        size: tuple[int, int],
        wanted: range | None = None,
    ) -> _Gop:
        parsed = parse_body(body, frames)
        wanted = range(frames) if wanted is None else wanted
        return cls(FrameCoder(codec, *size), parsed, wanted, ancestors(parsed.order, wanted))

    def mini_gops(self) -> Iterator[_MiniGopJobs]:
        """In the order of the stream."""
        streams = iter(self.body.streams)
        for slots in self.body.order:
            jobs: dict[int, Callable[[list[Coded]], FrameJob]] = {}
            for slot, data in zip(slots, streams, strict=False):
                if slot.frame in self.needed:
                    quality = self.body.quality(slot.level)
                    jobs[slot.frame] = partial(FrameJob, data, slot.frame, slot.level, quality)
            yield _MiniGopJobs(slots, jobs)


def _in_batches(
    gop: _Gop, batch: int, stats: list[FrameStatistics] | None = None
) -> Iterator[Coded]:
    """The wanted frames, those of a level through the nets at once."""
    pool, shown, at_once = ReferencePool(), 0, min(batch, MAX_BATCH)
    for slots, jobs in gop.mini_gops():
        for of_level in by_level(slots):
            same = [s for s in of_level if s.frame in jobs]
            for some in (same[i : i + at_once] for i in range(0, len(same), at_once)):
                made = gop.coder.decode([jobs[s.frame](pool.refs(s)) for s in some], stats)
                pool.frames |= {s.frame: coded for s, coded in zip(some, made, strict=True)}
        last = max(s.frame for s in slots)
        yield from (pool.frames[f] for f in range(shown, last + 1) if f in gop.wanted)
        if last not in gop.needed:  # and so nothing behind it is
            return
        shown = last + 1
        pool.close(last)


def _side_by_side(gop: _Gop, threads: int) -> Iterator[Coded]:
    """The wanted frames, each decoded as soon as its references are: frames of a level, and those
    of the next mini-GOP while these are shown."""
    coder, keys, shown = gop.coder, list[int](), 0
    ahead = 1 if bytes_ahead(coder.padded_height * coder.padded_width) else 0
    todo, begun = gop.mini_gops(), deque[list[Slot]]()
    coded: dict[int, Later[Coded]] = {}
    with Schedule(threads) as schedule:
        for _ in gop.body.order:
            for slots, jobs in islice(todo, 1 + ahead - len(begun)):
                for slot in slots:
                    if slot.frame in jobs:
                        given = [coded[r] for r in slot.refs]
                        coded[slot.frame] = schedule.add(
                            partial(_decoded, coder, jobs[slot.frame], given), given
                        )
                        del given  # the frames themselves, as long as this waits
                begun.append(slots)
                keys.append(max(s.frame for s in slots))
            # all of them before the first is shown, in an order that no number of threads changes:
            # what is shown of a damaged GOP must not depend on it
            numbers = [s.frame for of_level in by_level(begun.popleft()) for s in of_level]
            made = {f: coded[f].result() for f in numbers if f in gop.needed}
            last = max(numbers)
            for frame in range(shown, last + 1):
                if frame in gop.wanted:
                    yield made.pop(frame)
            made.clear()  # what was decoded to refer to alone
            if last not in gop.needed:  # and so nothing behind it is
                return
            shown = last + 1
            for frame in {*numbers, *keys[:-2]}.difference(keys[-2:]):
                coded.pop(frame, None)


def _decoded(
    coder: FrameCoder, job: Callable[[list[Coded]], FrameJob], references: list[Later[Coded]]
) -> Coded:
    return coder.decode([job([reference.result() for reference in references])])[0]


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
    the nets at once (0: chosen by size), where one thread decodes; several take one each.

    Decode only the frames in ``wanted`` (all if None) and those they depend on. The pixel checksum
    covers the whole GOP: it says nothing about a part. Raises DamageError where the body cannot be
    right.
    """
    if batch <= 0:
        batch = automatic_batch(width, height)
    try:
        gop = _Gop.of(codec, body, frames, (width, height), wanted)
        threads = thread_count() if codec.backend.device == "cpu" else 1
        coded = _side_by_side(gop, threads) if threads > 1 else _in_batches(gop, batch)
        with closing(coded):  # type: ignore[type-var]
            for c in coded:
                yield crop(c, width, height)
    except (IndexError, OverflowError) as exc:
        raise DamageError(exc, part="GOP body") from exc


def body_stats(
    codec: Codec, body: bytes | memoryview, frames: int, width: int, height: int
) -> list[FrameStatistics]:
    """For each frame in display order: frame, type, level, q, and ``bits`` by syntax element."""
    rows: list[FrameStatistics] = []
    for _ in _in_batches(_Gop.of(codec, body, frames, (width, height)), 1, rows):
        pass
    return sorted(rows, key=lambda r: r["frame"])
