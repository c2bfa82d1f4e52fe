"""One GOP encoded: filter, qualities, order, frames of a level side by side."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..codec.frame_decoder import Planes, pad
from ..codec.gop_body import checksum_update, write_body
from ..codec.gop_decoder import ReferencePool, crop
from ..codec.gop_structure import (
    LEVELS,
    MAX_MINI_GOP,
    MINI_GOP,
    MiniGopShape,
    Slot,
    by_level,
    mini_gop,
)
from ..metrics import squared_error
from ..picture import Picture
from ..system.threads import limited, side_by_side, thread_count
from . import horizon, temporal_filter
from .frame_encoder import FrameEncoder, Observer
from .frame_motion import forget, prepare
from .frame_task import CodedFrame, FrameStatistics, FrameTask
from .frames_apart import frames_apart
from .key_frame_source import Seen, key_source
from .lookahead import FramePlan, LookAhead
from .nets.arithmetic import INTEGERS, one_thread
from .rate_distortion import RateParameters, qualities, targets
from .small_pictures import SmallPicture
from .still_parts import settled, still_blocks

if TYPE_CHECKING:
    from .model import EncoderModel

SIDE_BY_SIDE = 4 << 20  # luma samples of the frames that are encoded at once


@dataclass
class GopResult:
    """A GOP that is encoded."""

    body: bytes
    frames: int
    checksum: int  # CRC-32 of all decoded pictures in display order
    sse: tuple[float, float, float]  # sums over Y, U, V of the squared error, 8-bit scale
    stats: list[FrameStatistics] = field(default_factory=list)  # in display order


class GopEncoder:
    """Encodes one GOP; pictures come in mini-GOPs.

    Args:
        crf: 0..63, lower is better; fractions are allowed.
        rate: trade-offs of the encoder.
        stats: whether the result has a row of statistics for each frame.
        observer: is told of each frame.

    ``tell`` is called with the number of frames encoded, whenever one more is.
    """

    def __init__(
        self,
        codec: EncoderModel,
        width: int,
        height: int,
        crf: float,
        rate: RateParameters | None = None,
        stats: bool = True,
        observer: Observer | None = None,
    ):
        self.rate = rate or RateParameters()
        self.coder = FrameEncoder(codec, width, height, self.rate, stats, observer)
        self.width, self.height = width, height
        self.quality = qualities(crf, self.rate.level_offsets)
        self.target = targets(crf, self.rate.level_offsets)
        self.lookahead = LookAhead(self.target, self.rate)
        self.pool = ReferencePool()
        self.given = 0  # pictures added
        self.keys: list[int] = []  # the last two key frames of those
        self.last: list[Picture] = []  # the last of them
        self.waiting: deque[_MiniGop] = deque()  # those not coded yet
        self.count = 0  # pictures coded
        self.shapes: list[MiniGopShape] = []  # of the mini-GOPs coded, without the I frame
        self.behind: list[Seen] = []  # the last pictures coded that are not set apart
        self.streams: list[bytes] = []  # in coding order
        self.tell: Callable[[int], object] = lambda frames: None
        self.checksum = 0
        self.sse = np.zeros(3)
        self.stats: list[FrameStatistics] = []

    def add(self, pictures: list[Picture]) -> None:
        """First one picture, the I frame; then up to 16 at a time in display order.

        Pictures that repeat the one before don't count, up to 32 in all. They are coded when those
        are there that the look-ahead wants behind them, or at the end. Raises ValueError for
        another number of pictures.
        """
        added = len(pictures)
        if not 1 <= added <= (MAX_MINI_GOP if self.given else 1):
            raise ValueError(f"{added} pictures at frame {self.given} of the GOP")
        apart = frames_apart([*self.last, *pictures]) if self.given else frozenset()
        if added - len(apart) > MINI_GOP:
            raise ValueError(f"{added - len(apart)} different pictures in a mini-GOP")
        slots = self._slots(added, apart)
        small = self.lookahead.add(pictures, slots)
        self.waiting.append(_MiniGop(list(pictures), small, apart, slots))
        self.given += added
        self.keys = [*self.keys, slots[0].frame][-2:]
        self.last = pictures[-1:]
        for _ in range(horizon.certain([len(m.pictures) for m in self.waiting])):
            self.step()

    def step(self) -> bool:
        """Encode the first mini-GOP that waits, whatever is behind it; False where none does."""
        if self.waiting:
            plans = self.lookahead.next()
            self._code(self.waiting.popleft(), plans)
            return True
        return False

    def finish(self, cut: bool = False) -> GopResult:
        """The GOP of all pictures added.

        With ``cut`` those that are not coded yet are left out, so that it is there at once; the I
        frame is always in it.
        """
        while not (cut and self.count) and self.step():
            pass
        body = write_body(self.quality, self.shapes, self.streams)
        y, u, v = self.sse.tolist()
        return GopResult(body, self.count, self.checksum, (y, u, v), self.stats)

    def _slots(self, pictures: int, apart: frozenset[int]) -> list[Slot]:
        """The next frames added in coding order, the I or key frame first."""
        if not self.given:
            return [Slot(0, 0, ())]
        older = self.keys[-2] if len(self.keys) > 1 else None
        return mini_gop(self.given - 1, pictures, older, apart)

    def _code(self, mini: _MiniGop, plans: dict[int, FramePlan]) -> None:
        """Encode a mini-GOP, or the I frame alone."""
        following = self.waiting[0].kept()[: temporal_filter.REACH] if self.waiting else []
        around = self.behind + mini.kept()
        aim = self._aim(mini.slots[0], plans)
        opening = key_source(around + following, len(around) - 1, aim, self.rate)
        streams: dict[int, bytes] = {}
        shown: dict[int, Picture] = {}
        rows: dict[int, FrameStatistics] = {}
        for slot, coded in self._coded(mini, opening, plans):
            source = mini.pictures[slot.frame - self.count]
            streams[slot.frame] = coded.data
            shown[slot.frame] = crop(coded.frame, self.width, self.height)
            self.tell(self.count + len(shown))
            sse = squared_error(shown[slot.frame], source)
            self.sse += sse
            if self.coder.stats:
                rows[slot.frame] = self._row(slot, coded, source, sse)
        self.streams += [streams[slot.frame] for slot in mini.slots]
        if self.count:
            self.shapes.append(MiniGopShape(len(mini.pictures), mini.apart))
        for frame in sorted(shown):
            self.checksum = checksum_update(self.checksum, shown[frame])
        self.stats += [rows[frame] for frame in sorted(rows)]
        self.count += len(mini.pictures)
        self.behind = around[-temporal_filter.REACH :]
        self.pool.close(self.count - 1)

    def _coded(
        self, mini: _MiniGop, opening: Planes, plans: dict[int, FramePlan]
    ) -> Iterator[tuple[Slot, CodedFrame]]:
        """Encode a mini-GOP level by level.

        As many frames of a level at once as torch has threads and memory should hold.
        """
        key = mini.slots[0].frame
        uses = Counter(reference for slot in mini.slots for reference in slot.refs)
        many = max(1, min(thread_count(), SIDE_BY_SIDE // (self.width * self.height)))
        for same in by_level(mini.slots):
            for some in (same[i : i + many] for i in range(0, len(same), many)):
                tasks = [self._task(slot, mini, opening, plans) for slot in some]
                for slot, coded in zip(some, self._side_by_side(tasks), strict=True):
                    self.pool.frames[slot.frame] = coded.frame
                    yield slot, coded
                uses.subtract(reference for slot in some for reference in slot.refs)
                for reference in {reference for slot in some for reference in slot.refs}:
                    if uses[reference] == 0 and reference != key:  # it opens the next mini-GOP
                        forget(self.pool.frames[reference])

    def _aim(self, slot: Slot, plans: dict[int, FramePlan]) -> int:
        """The quality aimed at for a frame; may lie above 63."""
        level = min(slot.level, LEVELS - 1)
        key = self.target[level] - self.rate.level_offsets[level]
        return max(0, key + plans[slot.frame].offset)

    def _task(
        self, slot: Slot, mini: _MiniGop, opening: Planes, plans: dict[int, FramePlan]
    ) -> FrameTask:
        """The frame of a slot; ``opening`` is the source of the I or key frame."""
        level, references = min(slot.level, LEVELS - 1), self.pool.refs(slot)
        plain = self._source(slot.frame, mini.pictures)
        others = [self._source(r, mini.pictures) for r in slot.refs if r >= self.count - 1]
        still = [still_blocks(plain, other) for other in others]
        source = opening if slot == mini.slots[0] else plain
        aim = self._aim(slot, plans)
        return FrameTask(
            settled(source, references[: len(still)], still),
            slot.frame,
            slot.level,
            min(63, aim),
            references,
            aim,
            plans[slot.frame].worths,
            tuple(bool(blocks.all()) for blocks in still),
            self.quality[level],
            plans[slot.frame].vectors,
        )

    def _source(self, frame: int, pictures: list[Picture]) -> Planes:
        """Padded planes of a frame of the mini-GOP, or of the key frame before it."""
        picture = self.behind[-1].picture if frame < self.count else pictures[frame - self.count]
        return pad(picture, self.width, self.height)

    def _side_by_side(self, tasks: list[FrameTask]) -> Iterator[CodedFrame]:
        """Encode frames that don't refer to each other.

        Of floats torch's thread count, which is the process', is 1 meanwhile.
        """
        if len(tasks) == 1:
            yield self.coder.encode(tasks[0])
            return
        for task in tasks:
            prepare(task.references)
        with ExitStack() as stack:
            if self.coder.codec.arithmetic != INTEGERS:
                stack.enter_context(limited(thread_count()))
                stack.enter_context(one_thread())
            yield from side_by_side(self.coder.encode, tasks)

    def _row(
        self, slot: Slot, coded: CodedFrame, source: Picture, sse: np.ndarray
    ) -> FrameStatistics:
        """Statistics of a frame."""
        psnr = [
            10 * math.log10(65025 * plane.size / error) if error else None
            for plane, error in zip(source, sse.tolist(), strict=True)
        ]
        row = FrameStatistics(
            frame=slot.frame,
            type="IPB"[min(slot.level, 2)],
            level=slot.level,
            q=self.quality[min(slot.level, LEVELS - 1)],
            bytes=len(coded.data),
            psnr=psnr,
        )
        row.update(coded.stats)
        return row


def encode_gop(
    codec: EncoderModel,
    pictures: list[Picture],
    crf: float,
    rate: RateParameters | None = None,
    stats: bool = True,
    observer: Observer | None = None,
) -> GopResult:
    """Encode pictures of one size as one GOP, see :class:`GopEncoder`."""
    height, width = pictures[0].y.shape
    encoder = GopEncoder(codec, width, height, crf, rate, stats, observer)
    encoder.add(pictures[:1])
    for i in range(1, len(pictures), MINI_GOP):
        encoder.add(pictures[i : i + MINI_GOP])
    return encoder.finish()


class _MiniGop(NamedTuple):
    """A mini-GOP that waits to be coded, or the I frame alone."""

    pictures: list[Picture]
    small: list[SmallPicture]
    apart: frozenset[int]  # numbers of those set apart, from 1
    slots: list[Slot]  # in coding order

    def kept(self) -> list[Seen]:
        """The pictures that are not set apart."""
        seen = zip(self.pictures, self.small, strict=True)
        return [Seen(*pair) for i, pair in enumerate(seen, 1) if i not in self.apart]
