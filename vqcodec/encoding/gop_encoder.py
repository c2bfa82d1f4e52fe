"""One GOP encoded: filter, qualities, order, frames of a level side by side."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

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
from . import temporal_filter
from .frame_encoder import FrameEncoder, Observer
from .frame_motion import forget, prepare
from .frame_task import CodedFrame, FrameStatistics, FrameTask
from .frames_apart import frames_apart
from .key_frame_source import KeySource, key_source
from .rate_distortion import RateParameters, qualities, targets
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
        self.pool = ReferencePool()
        self.count = 0  # pictures coded
        self.shapes: list[MiniGopShape] = []  # of the mini-GOPs coded, without the I frame
        self.waiting: list[Picture] = []  # pictures added behind them
        self.apart: frozenset[int] = frozenset()  # numbers of those set apart, from 1
        self.behind: list[Picture] = []  # the last pictures coded that are not set apart
        self.streams: list[bytes] = []  # in coding order
        self.tell: Callable[[int], object] = lambda frames: None
        self.checksum = 0
        self.sse = np.zeros(3)
        self.stats: list[FrameStatistics] = []

    def add(self, pictures: list[Picture]) -> None:
        """First one picture, the I frame; then up to 16 at a time in display order.

        Pictures that repeat the one before don't count, up to 32 in all. They are coded when the
        next ones are there, which a key frame is filtered with, or at the end. Raises ValueError
        for another number of pictures.
        """
        added, given = len(pictures), self.count + len(self.waiting)
        if not 1 <= added <= (MAX_MINI_GOP if given else 1):
            raise ValueError(f"{added} pictures at frame {given} of the GOP")
        last = (self.waiting or self.behind)[-1:]
        apart = frames_apart([*last, *pictures]) if given else frozenset()
        if added - len(apart) > MINI_GOP:
            raise ValueError(f"{added - len(apart)} different pictures in a mini-GOP")
        if self.waiting:
            self._code(self.waiting, _kept(pictures, apart)[: temporal_filter.REACH])
        self.waiting, self.apart = list(pictures), apart

    def finish(self, cut: bool = False) -> GopResult:
        """The GOP of all pictures added.

        With ``cut`` those that are not coded yet are left out, so that it is there at once; the I
        frame is always in it.
        """
        if self.waiting and not (cut and self.count):
            self._code(self.waiting, [])
            self.waiting = []
        body = write_body(self.quality, self.shapes, self.streams)
        y, u, v = self.sse.tolist()
        return GopResult(body, self.count, self.checksum, (y, u, v), self.stats)

    def _code(self, pictures: list[Picture], following: list[Picture]) -> None:
        """Encode a mini-GOP, or the I frame alone."""
        slots = self._slots(len(pictures))
        around = self.behind + _kept(pictures, self.apart)
        opening = key_source(
            around + following,
            len(around) - 1,
            self.target[slots[0].level],
            self.rate,
        )
        if len(slots) == 1 and not following:  # nothing will refer to it
            opening = opening._replace(worths=None)
        streams: dict[int, bytes] = {}
        shown: dict[int, Picture] = {}
        rows: dict[int, FrameStatistics] = {}
        for slot, coded in self._coded(slots, pictures, opening):
            source = pictures[slot.frame - self.count]
            streams[slot.frame] = coded.data
            shown[slot.frame] = crop(coded.frame, self.width, self.height)
            self.tell(self.count + len(shown))
            sse = squared_error(shown[slot.frame], source)
            self.sse += sse
            if self.coder.stats:
                rows[slot.frame] = self._row(slot, coded, source, sse)
        self.streams += [streams[slot.frame] for slot in slots]
        if self.count:
            self.shapes.append(MiniGopShape(len(pictures), self.apart))
        for frame in sorted(shown):
            self.checksum = checksum_update(self.checksum, shown[frame])
        self.stats += [rows[frame] for frame in sorted(rows)]
        self.count += len(pictures)
        self.behind = around[-temporal_filter.REACH :]
        self.pool.close(self.count - 1)

    def _slots(self, pictures: int) -> list[Slot]:
        """The next frames in coding order, the I or key frame first."""
        if not self.count:
            return [Slot(0, 0, ())]
        older = self.pool.keys[-2] if len(self.pool.keys) > 1 else None
        return mini_gop(self.count - 1, pictures, older, self.apart)

    def _coded(
        self, slots: list[Slot], pictures: list[Picture], opening: KeySource
    ) -> Iterator[tuple[Slot, CodedFrame]]:
        """Encode a mini-GOP level by level.

        As many frames of a level at once as torch has threads and memory should hold.
        """
        key = slots[0].frame
        uses = Counter(reference for slot in slots for reference in slot.refs)
        many = max(1, min(torch.get_num_threads(), SIDE_BY_SIDE // (self.width * self.height)))
        for same in by_level(slots):
            for some in (same[i : i + many] for i in range(0, len(same), many)):
                tasks = [self._task(slot, pictures, opening, key) for slot in some]
                for slot, coded in zip(some, self._side_by_side(tasks), strict=True):
                    self.pool.frames[slot.frame] = coded.frame
                    yield slot, coded
                uses.subtract(reference for slot in some for reference in slot.refs)
                for reference in {reference for slot in some for reference in slot.refs}:
                    if uses[reference] == 0 and reference != key:  # it opens the next mini-GOP
                        forget(self.pool.frames[reference])

    def _task(self, slot: Slot, pictures: list[Picture], opening: KeySource, key: int) -> FrameTask:
        """The frame of a slot; ``opening`` is the source of the frame ``key``."""
        level, references = min(slot.level, LEVELS - 1), self.pool.refs(slot)
        plain = self._source(slot.frame, pictures)
        others = [self._source(r, pictures) for r in slot.refs if r >= self.count - 1]
        still = [still_blocks(plain, other) for other in others]
        source = opening.planes if slot.frame == key else plain
        return FrameTask(
            settled(source, references[: len(still)], still),
            slot.frame,
            slot.level,
            self.quality[level],
            references,
            self.target[level],
            opening.worths if slot.frame == key else None,
            tuple(bool(blocks.all()) for blocks in still),
        )

    def _source(self, frame: int, pictures: list[Picture]) -> Planes:
        """Padded planes of a frame of the mini-GOP, or of the key frame before it."""
        picture = self.behind[-1] if frame < self.count else pictures[frame - self.count]
        return pad(picture, self.width, self.height)

    def _side_by_side(self, tasks: list[FrameTask]) -> Iterator[CodedFrame]:
        """Encode frames that don't refer to each other.

        torch's thread count, which is the process', is 1 meanwhile.
        """
        if len(tasks) == 1:
            yield self.coder.encode(tasks[0])
            return
        threads = torch.get_num_threads()
        for task in tasks:
            prepare(task.references)
        try:
            torch.set_num_threads(1)
            with ThreadPoolExecutor(min(threads, len(tasks))) as pool:
                yield from pool.map(self.coder.encode, tasks)
        finally:
            torch.set_num_threads(threads)

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


def _kept(pictures: list[Picture], apart: frozenset[int]) -> list[Picture]:
    """Those of a mini-GOP that are not set apart."""
    return [p for i, p in enumerate(pictures, 1) if i not in apart]
