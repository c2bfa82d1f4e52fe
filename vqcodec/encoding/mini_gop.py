"""A mini-GOP as works: its plan, the filtered source of its key frame, and its frames, each of
which can be coded as soon as its references are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import NamedTuple

import numpy as np

from ..codec.frame_decoder import Coded, Planes, pad
from ..codec.gop_decoder import crop
from ..codec.gop_structure import LEVELS, Slot
from ..picture import Picture
from ..system.schedule import Later, Works
from . import bar_choice, temporal_filter
from .block_facts import total_squares
from .frame_encoder import FrameEncoder
from .frame_task import CodedFrame, FrameTask
from .interpolated import forget
from .key_frame_source import Seen, key_source
from .lookahead import FramePlan
from .rate_distortion import qualities, targets
from .small_pictures import SmallPicture
from .still_parts import as_references_show, same_blocks


class CodedPicture(NamedTuple):
    """A frame of the GOP that is coded."""

    frame: CodedFrame
    shown: Picture  # as a decoder will show it
    sse: np.ndarray  # of Y, U, V, 8-bit scale


class SeenLater(NamedTuple):
    """A picture, and at half the size as soon as that is made."""

    picture: Picture
    small: Later[SmallPicture]

    def result(self) -> Seen:
        """Both."""
        return Seen(self.picture, self.small.result())


class MiniGop(NamedTuple):
    """A mini-GOP, or the I frame alone."""

    pictures: list[Picture]
    # of those that are not set apart, what the filters of key frames look at: the first and the
    # last. Small pictures between them are let go of when the look-ahead has seen them
    begin: list[SeenLater]
    end: list[SeenLater]
    apart: frozenset[int]  # numbers of those set apart, from 1
    slots: list[Slot]  # in coding order

    @classmethod
    def of(
        cls,
        pictures: list[Picture],
        small: list[Later[SmallPicture]],
        apart: frozenset[int],
        slots: list[Slot],
    ) -> MiniGop:
        """From its pictures, also at half the size."""
        seen = [SeenLater(*pair) for pair in zip(pictures, small, strict=True)]
        kept = [one for i, one in enumerate(seen, 1) if i not in apart]
        reach = temporal_filter.REACH
        return cls(list(pictures), kept[:reach], kept[-reach - 1 :], apart, slots)

    @property
    def first(self) -> int:
        """The number of its first frame in display order."""
        return min(slot.frame for slot in self.slots)


class MiniGopCoder:
    """Adds the works of mini-GOPs, one after the other. The frames of one need those of the
    mini-GOP before only as references: they can be coded side by side, its key frame first.

    Args:
        coder: codes the frames.
        crf: of the GOP.
        works: what does the works.
    """

    def __init__(self, coder: FrameEncoder, crf: float, works: Works) -> None:
        self.coder, self.rate, self.works = coder, coder.rate, works
        self.quality = qualities(crf, self.rate.level_offsets)
        self.target = targets(crf, self.rate.level_offsets)
        self._behind: list[SeenLater] = []  # the last pictures that are not set apart
        self._keys: dict[int, Later[CodedPicture]] = {}  # the last two key frames
        self._lock = Lock()
        self._uses: Counter[int] = Counter()  # frames to be coded that refer to a frame

    def add(
        self, mini: MiniGop, plans: Later[dict[int, FramePlan]], following: list[SeenLater]
    ) -> list[Later[CodedPicture]]:
        """The next mini-GOP, by its plan; its frames in coding order.

        following: the first pictures behind it, as far as they are known.
        """
        around = [*self._behind, *mini.end]
        near = [*around, *following]
        key, coded = mini.slots[0], dict(self._keys)
        opening = self.works.add(
            partial(self._opening, near, len(around) - 1, key, plans),
            [plans, *(one.small for one in near)],
            urgent=True,
        )
        before = self._behind[-1].picture if self._behind else mini.pictures[0]
        with self._lock:
            self._uses.update(reference for slot in mini.slots for reference in slot.refs)
            kept = [*self._keys, key.frame][-2:]
            self._keys = {n: self._keys[n] for n in kept[:-1]}
            for slot in mini.slots:
                references = [coded[n] for n in slot.refs]
                source = opening if slot is key else None
                task = partial(self._task, slot, mini, before, source, plans)
                coded[slot.frame] = self.works.add(
                    partial(self._code, slot, task, mini, references),
                    [plans, *references, *([opening] if slot is key else [])],
                    urgent=slot is key,
                )
            self._keys[key.frame] = coded[key.frame]
        self._behind = around[-temporal_filter.REACH :]
        return [coded[slot.frame] for slot in mini.slots]

    def _opening(
        self,
        near: list[SeenLater],
        at: int,
        key: Slot,
        plans: Later[dict[int, FramePlan]],
    ) -> Planes:
        """The source of the I or key frame, which is the picture at that place."""
        seen = [one.result() for one in near]
        return key_source(seen, at, self._aim(key, plans.result()), self.rate)

    def _aim(self, slot: Slot, plans: dict[int, FramePlan]) -> int:
        """The quality aimed at for a frame; may lie above 63."""
        level = min(slot.level, LEVELS - 1)
        key = self.target[level] - self.rate.level_offsets[level]
        return max(0, key + plans[slot.frame].offset)

    def _task(
        self,
        slot: Slot,
        mini: MiniGop,
        before: Picture,
        opening: Later[Planes] | None,
        plans: Later[dict[int, FramePlan]],
        references: list[Coded],
    ) -> FrameTask:
        """The frame of a slot; before: the picture of the key frame before the mini-GOP."""

        first = mini.first

        def source(frame: int) -> Picture:
            return before if frame < first else mini.pictures[frame - first]

        plan, aim = plans.result()[slot.frame], self._aim(slot, plans.result())
        picture, shape = source(slot.frame), self.coder.all_coded.shape
        others = (source(n) for n in slot.refs if n >= first - 1)
        still = [same_blocks(picture, other, shape) for other in others]
        height, width = self.coder.height, self.coder.width
        plain = pad(picture, width, height)
        wanted = opening.result() if opening else plain
        return FrameTask(
            as_references_show(wanted, references[: len(still)], still),
            slot.frame,
            slot.level,
            min(63, aim),
            references,
            aim,
            plan.worths,
            tuple(bool(blocks.all()) for blocks in still),
            self.quality[min(slot.level, LEVELS - 1)],
            plan.vectors,
            plan.fades,
            bar_choice.choose(plain, references, slot.level, height, width),
        )

    def _code(
        self,
        slot: Slot,
        task: Callable[[list[Coded]], FrameTask],
        mini: MiniGop,
        needs: list[Later[CodedPicture]],
    ) -> CodedPicture:
        """Code a frame; its references let go of what only the search of others needs."""
        references = [one.result().frame.frame for one in needs]
        coded = self.coder.encode(task(references))
        with self._lock:
            self._uses.subtract(slot.refs)
            for number, reference in zip(slot.refs, references, strict=True):
                if not self._uses[number] and number not in self._keys:
                    forget(reference)
        shown = crop(coded.frame, self.coder.width, self.coder.height)
        sse = total_squares(shown, mini.pictures[slot.frame - mini.first])
        return CodedPicture(coded, shown, sse)
