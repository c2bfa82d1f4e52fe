"""One GOP encoded: its mini-GOPs planned, coded while others are, and put together."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..codec.bit_statistics import FrameStatistics
from ..codec.gop_body import checksum_update, write_body
from ..codec.gop_structure import (
    LEVELS,
    MINI_GOP,
    MiniGopShape,
    Slot,
    mini_gop,
)
from ..picture import Picture
from ..system.schedule import Later, OnDemand, Schedule, Works
from ..system.threads import thread_count
from . import horizon
from .frame_encoder import FrameEncoder, Observer
from .frames_apart import frames_apart
from .lookahead import LookAhead
from .mini_gop import CodedPicture, MiniGop, MiniGopCoder
from .nets.arithmetic import INTEGERS, one_thread
from .rate_distortion import RateParameters

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

    Look-ahead, temporal filter and frames are works of one schedule, in as many threads as there
    are to be: while a mini-GOP is coded the next one may begin, and :meth:`add` returns while one
    is still being coded. What is decided, and the bytes, don't depend on that.

    Args:
        crf: 0..63, lower is better; fractions are allowed.
        rate: trade-offs of the encoder.
        stats: whether the result has a row of statistics for each frame.
        observer: is told of each frame.

    ``tell`` is called with the number of frames encoded, whenever one more is. :meth:`close` stops
    what is being coded; :meth:`finish`, and what goes wrong while coding, does that too.
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
        at_once = max(1, min(thread_count(), SIDE_BY_SIDE // (width * height)))
        self.works: Works = OnDemand()
        if at_once > 1:
            self.works = Schedule(thread_count(), at_once)
        self.minis = MiniGopCoder(self.coder, crf, self.works)
        self.lookahead = LookAhead(self.minis.target, self.rate, self.works)
        self.given = 0  # pictures added
        self.keys: list[int] = []  # the last two key frames of those
        self.last: list[Picture] = []  # the last of them
        self.waiting: deque[MiniGop] = deque()  # those that are not begun
        self.coding: deque[tuple[MiniGop, list[Later[CodedPicture]]]] = deque()
        self.count = 0  # pictures coded
        self.shapes: list[MiniGopShape] = []  # of the mini-GOPs coded, without the I frame
        self.streams: list[bytes] = []  # in coding order
        self.tell: Callable[[int], object] = nothing_to_tell
        self.checksum = 0
        self.sse = np.zeros(3)
        self.stats: list[FrameStatistics] = []

    def add(self, pictures: list[Picture]) -> None:
        """First one picture, the I frame; then up to 32 at a time in display order.

        They are coded when those are there that the look-ahead wants behind them, or at the end.
        Raises ValueError for another number of pictures.
        """
        added = len(pictures)
        if not 1 <= added <= (MINI_GOP if self.given else 1):
            raise ValueError(f"{added} pictures at frame {self.given} of the GOP")
        apart = frames_apart([*self.last, *pictures]) if self.given else frozenset()
        with self._threads():
            slots = self._slots(added, apart)
            small = self.lookahead.add(pictures, slots)
            self.waiting.append(MiniGop.of(pictures, small, apart, slots))
            self.given += added
            self.keys = [*self.keys, slots[0].frame][-2:]
            self.last = pictures[-1:]
            for _ in range(horizon.ready([len(mini.pictures) for mini in self.waiting])):
                self._begin()
                self._end(self._ahead)

    def step(self) -> bool:
        """Encode the first mini-GOP that waits, whatever is behind it; False where none does."""
        if not (self.waiting or self.coding):
            return False
        with self._threads():
            while self.waiting and len(self.coding) <= self._ahead:
                self._begin()
            self._end(len(self.coding) - 1)
        return True

    def finish(self, cut: bool = False) -> GopResult:
        """The GOP of all pictures added.

        With ``cut`` those that are not begun yet are left out, so that it is there soon; the I
        frame is always in it.
        """
        with self._threads():
            self._end(0)
        while not (cut and self.count) and self.step():
            pass
        self.close()
        body = write_body(self.minis.quality, self.shapes, self.streams)
        y, u, v = self.sse.tolist()
        return GopResult(body, self.count, self.checksum, (y, u, v), self.stats)

    def close(self) -> None:
        """Stop what is being coded, and wait until it has; repeated calls do nothing."""
        self.works.close()

    @property
    def _floats(self) -> bool:
        """Whether nets multiply in floats of torch."""
        return self.coder.codec.arithmetic != INTEGERS

    @property
    def _ahead(self) -> int:
        """Mini-GOPs that are still being coded when there is no more to wait for.

        What is done on demand is done when it is waited for.
        """
        return 0 if self._floats or isinstance(self.works, OnDemand) else 1

    @contextmanager
    def _threads(self) -> Iterator[None]:
        """A context in which works are added and waited for; an error ends all of them.

        Of floats torch's thread count, which is the process', is 1 meanwhile, where frames are
        coded side by side.
        """
        alone = self._floats and not isinstance(self.works, OnDemand)
        try:
            with one_thread() if alone else nullcontext():
                yield
        except BaseException:
            self.close()
            raise

    def _slots(self, pictures: int, apart: frozenset[int]) -> list[Slot]:
        """The next frames added in coding order, the I or key frame first."""
        if not self.given:
            return [Slot(0, 0, ())]
        older = self.keys[-2] if len(self.keys) > 1 else None
        return mini_gop(self.given - 1, pictures, older, apart)

    def _begin(self) -> None:
        """Plan the first mini-GOP that waits, and let it be coded."""
        mini, plans = self.waiting.popleft(), self.lookahead.next()
        following = self.waiting[0].begin if self.waiting else []
        self.coding.append((mini, self.minis.add(mini, plans, following)))

    def _end(self, left: int) -> None:
        """Take in the mini-GOPs that are being coded, but for the last ones."""
        while len(self.coding) > left:
            self._take(*self.coding.popleft())

    def _take(self, mini: MiniGop, coded: list[Later[CodedPicture]]) -> None:
        """Take in a mini-GOP, or the I frame alone, as its frames become ready.

        A frame is let go of when those before it were shown, if no other refers to it any more.
        """
        shown: dict[int, Picture] = {}
        rows: dict[int, FrameStatistics] = {}
        following = mini.first
        coded.reverse()
        for number, slot in enumerate(mini.slots, 1):
            made = coded.pop().result()
            self.streams.append(made.frame.data)
            shown[slot.frame] = made.shown
            self.tell(self.count + number)
            self.sse += made.sse
            if self.coder.stats:
                rows[slot.frame] = self._row(slot, made)
            del made
            while following in shown:
                self.checksum = checksum_update(self.checksum, shown.pop(following))
                following += 1
        if self.count:
            self.shapes.append(MiniGopShape(len(mini.pictures), mini.apart))
        self.stats += [rows[frame] for frame in sorted(rows)]
        self.count += len(mini.pictures)

    def _row(self, slot: Slot, made: CodedPicture) -> FrameStatistics:
        """Statistics of a frame."""
        psnr = [
            10 * math.log10(65025 * plane.size / error) if error else None
            for plane, error in zip(made.shown, made.sse.tolist(), strict=True)
        ]
        row = FrameStatistics(
            frame=slot.frame,
            type="IPB"[min(slot.level, 2)],
            level=slot.level,
            q=self.minis.quality[min(slot.level, LEVELS - 1)],
            bytes=len(made.frame.data),
            psnr=psnr,
        )
        row.update(made.frame.stats)
        return row


def nothing_to_tell(frames: int) -> None:
    """What an encoder tells of its frames where nobody listens."""


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
