"""Random access to the frames of a GOP: what is decoded stays in a cache of bounded size, so that
nearby frames need little more.

Frames refer to their ancestors only (:mod:`vqcodec.codec.gop_structure`), so a frame of a GOP of
128 costs at most four key frames and five B frames.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from ..codec.decoder_memory import MAX_BATCH
from ..codec.frame_decoder import Coded, Decoding, FrameCoder, FrameJob
from ..codec.gop_body import checksum_update, parse_body
from ..codec.gop_decoder import crop
from ..codec.gop_structure import ancestors, by_level
from ..container.packets import GopPayload
from ..errors import DamageError
from ..picture import Picture

if TYPE_CHECKING:
    from ..codec.weights import Codec

Key = tuple[int, int]  # GOP and frame in it


class FrameCache:
    """Decoded frames, least recently used ones given up for those that come when they take more
    than ``limit`` bytes together.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.bytes = limit, 0
        self._frames: OrderedDict[Key, Coded] = OrderedDict()

    def get(self, key: Key) -> Coded | None:
        """The frame, if it is there; it is the last to be given up then."""
        found = self._frames.get(key)
        if found is not None:
            self._frames.move_to_end(key)
        return found

    def put(self, key: Key, frame: Coded) -> None:
        """Keep a frame that is not there."""
        self._frames[key] = frame
        self.bytes += coded_bytes(frame)
        while self.bytes > self.limit:
            self.bytes -= coded_bytes(self._frames.popitem(last=False)[1])


def coded_bytes(frame: Coded) -> int:
    """Memory that a decoded frame takes."""
    arrays = (*frame.planes, *frame.field, frame.contexts, frame.counts)
    return sum(a.nbytes for a in arrays if a is not None)


class GopAccess:
    """The frames of the GOP ``number`` of a file, by their numbers in it. Raises DamageError where
    the body cannot be right.
    """

    def __init__(
        self,
        codec: Codec,
        number: int,
        gop: GopPayload,
        width: int,
        height: int,
        batch: int,
        cache: FrameCache,
    ) -> None:
        self._coder, self._number, self._gop, self._batch, self._cache = (
            FrameCoder(codec, width, height),
            number,
            gop,
            min(batch, MAX_BATCH),
            cache,
        )
        self._size = width, height
        self._body = parse_body(gop.body, len(gop.pts))
        self._order = self._body.order
        # first frames of the mini-GOPs
        self._firsts = [min(s.frame for s in slots) for slots in self._order]
        self.slots = {s.frame: s for slots in self._order for s in slots}
        self._data = {
            s.frame: d
            for s, d in zip(
                (s for slots in self._order for s in slots), self._body.streams, strict=True
            )
        }
        self._checked, self._crc = 0, 0
        self.wrong = False

    def mini_gop(self, frame: int) -> range:
        """The frames that are coded together with this one."""
        i = bisect_right(self._firsts, frame) - 1
        return range(self._firsts[i], self._firsts[i] + len(self._order[i]))

    def pictures(self, wanted: Iterable[int]) -> Iterator[tuple[int, Picture]]:
        """Frames with their numbers, in ascending order, 10 bits; no others than their ancestors
        are decoded.

        Once all frames of the GOP were given, each behind the one before it, their checksum is
        looked at: ``wrong`` tells where it is not the encoder's.
        """
        try:
            yield from self._pictures(sorted(set(wanted)))
        except (IndexError, OverflowError) as exc:
            raise DamageError(exc, part="GOP body") from exc

    def parsed(self, wanted: Iterable[int]) -> Iterator[tuple[int, Decoding]]:
        """What the streams of frames hold, with the symbols of their latents, in ascending order.

        The synthesis runs for those frames only that others of them refer to, directly or not.
        """
        try:
            yield from self._parsed(sorted(set(wanted)))
        except (IndexError, OverflowError) as exc:
            raise DamageError(exc, part="GOP body") from exc

    def _pictures(self, wanted: list[int]) -> Iterator[tuple[int, Picture]]:
        held: dict[int, Coded] = {}
        for _, group in groupby(wanted, self.mini_gop):
            frames = list(group)
            held, _ = self._decode(set(frames), set(), held)
            for frame in frames:
                picture = crop(held[frame], *self._size)
                self._check(frame, picture)
                yield frame, picture
            held = {
                f: c for f, c in held.items() if c.level < 2
            }  # all that later mini-GOPs refer to

    def _parsed(self, wanted: list[int]) -> Iterator[tuple[int, Decoding]]:
        held: dict[int, Coded] = {}
        referred = ancestors(self._order, {r for f in wanted for r in self.slots[f].refs})
        for _, group in groupby(wanted, self.mini_gop):
            frames = list(group)
            refs = {r for f in frames for r in self.slots[f].refs}
            held, runs = self._decode(refs | referred.intersection(frames), set(frames), held)
            yield from ((f, runs[f]) for f in frames)
            held = {f: c for f, c in held.items() if c.level < 2}

    def _decode(
        self, shown: set[int], parsed: set[int], held: dict[int, Coded]
    ) -> tuple[dict[int, Coded], dict[int, Decoding]]:
        """The frames ``shown`` and their ancestors as far as they had to be decoded, and what was
        read for those to be ``parsed``; ``held`` are there already.
        """
        held, need, look = dict(held), set[int](), list(shown)
        while look:
            frame = look.pop()
            if frame in held or frame in need:
                continue
            if (found := self._cache.get((self._number, frame))) is not None:
                held[frame] = found
            else:
                need.add(frame)
                look.extend(self.slots[frame].refs)
        runs: dict[int, Decoding] = {}
        for slots in self._order:
            for of_level in by_level(slots):
                for pixels in (True, False):
                    same = [
                        slot
                        for slot in of_level
                        if slot.frame in need | parsed and (slot.frame in need) == pixels
                    ]
                    for i in range(0, len(same), self._batch):
                        some = same[i : i + self._batch]
                        jobs = [
                            FrameJob(
                                self._data[slot.frame],
                                slot.frame,
                                slot.level,
                                self._body.quality(slot.level),
                                [held[r] for r in slot.refs],
                            )
                            for slot in some
                        ]
                        for run in self._coder.parse(jobs, symbols=bool(parsed), pixels=pixels):
                            if pixels:
                                held[run.number] = coded = self._coder.finish(run)
                                self._cache.put((self._number, run.number), coded)
                            if run.number in parsed:
                                runs[run.number] = run
        return held, runs

    def _check(self, frame: int, picture: Picture) -> None:
        if frame != self._checked:
            return
        self._checked += 1
        self._crc = checksum_update(self._crc, picture)
        self.wrong = self._checked == len(self._gop.pts) and self._crc != self._gop.checksum

    def decode_ahead(self, frame: int) -> None:
        """Decode the mini-GOP of a frame that isn't in the cache, as many frames side by side as
        can be.
        """
        if self._cache.get((self._number, frame)) is None:
            for _ in self.pictures(self.mini_gop(frame)):
                pass
