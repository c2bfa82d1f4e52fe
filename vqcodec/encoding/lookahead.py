"""Look-ahead: what error in each frame, and in each of its blocks, is worth by what inherits it.

The error of a frame is seen again in every frame that is predicted from it, and in those that are
predicted from these. Where a picture stays, bits of its first frame are spent once for all of them;
what is gone in the next frame is worth its own bits only. For each frame that waits to be coded,
:mod:`vqcodec.encoding.inheritance` says how much it inherits of its references. Summed up backwards
in the order of coding, this gives what an error in each block is worth: 1, and what all frames that
inherit it show of it. The quality of a frame follows from the mean of that, in octaves, and the
weights of its blocks from their distance to the mean (mb-tree: Garrett-Glaser 2009).

The weights act on the symbols of the latent, its refinement, direct blocks and detail, not on the
step of the quantiser: the format knows nothing of them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np

from ..codec.gop_structure import LEVELS, Slot
from ..picture import Picture
from ..system.schedule import Later, OnDemand, Works
from . import portable_math
from .coarse_motion import in_frame, starting_vectors
from .inheritance import Inherited, Reference, hand_down, inherited
from .rate_distortion import RateParameters
from .small_pictures import SmallPicture

_MOST = 3.0  # octaves that a block's weight is off the mean of its frame


class FramePlan(NamedTuple):
    """What the look-ahead says of a frame."""

    offset: int  # its quality less that of key frames at its crf
    worths: np.ndarray | None  # (H/16, W/16) float32 of error in each block; None: 1
    # (H/16, W/16, 2) int32 [y, x] in quarter samples to each reference: where to search for motion
    vectors: tuple[np.ndarray, ...] = ()
    fades: bool = False  # whether a reference is of another brightness


class _Dependence(NamedTuple):
    """What one frame inherits."""

    slot: Slot
    active: np.ndarray  # (rows, columns) float32: coefficients coded in each cell
    inherited: list[Inherited]  # by reference
    older: np.ndarray | None  # vectors to the key frame before the last, if that is a reference


@dataclass
class LookAhead:
    """The mini-GOPs of a GOP that wait to be coded.

    What it finds out is work for ``works``, frame by frame: nothing is waited for.
    """

    targets: list[int]  # quality expected on each level
    rate: RateParameters
    works: Works = field(default_factory=OnDemand)

    def __post_init__(self) -> None:
        self._waiting: deque[list[Later[_Dependence]]] = deque()
        self._keys: dict[int, Later[Reference]] = {}  # the last two added

    def add(self, pictures: list[Picture], slots: list[Slot]) -> list[Later[SmallPicture]]:
        """The next mini-GOP, in order of display, and how it will be coded.

        Returns its small pictures.
        """
        first, key = min(slot.frame for slot in slots), slots[0].frame
        made = [self.works.add(partial(SmallPicture.of, p.y)) for p in pictures]
        small = {first + i: picture for i, picture in enumerate(made)}
        levels = {slot.frame: slot.level for slot in slots} | {first - 1: min(1, first - 1)}
        references = dict(self._keys)

        def reference(frame: int) -> Later[Reference]:
            """As the search wants a frame: made just before it is first asked for, since that is
            large."""
            if frame not in references:
                references[frame] = self.works.add(
                    partial(self._reference, small[frame]), [small[frame]]
                )
            return references[frame]

        dependences = []
        for slot in slots:
            given = [reference(n) for n in slot.refs]
            work = partial(self._depend, slot, small[slot.frame], given, levels)
            dependences.append(self.works.add(work, [small[slot.frame], *given]))
        self._waiting.append(dependences)
        before = {n: self._keys[n] for n in sorted(self._keys)[-1:]}
        self._keys = before | {key: reference(key)}
        return made

    def _reference(self, small: Later[SmallPicture]) -> Reference:
        return Reference.of(small.result(), self.rate.lookahead_thorough)

    def _depend(
        self,
        slot: Slot,
        small: Later[SmallPicture],
        references: list[Later[Reference]],
        levels: dict[int, int],
    ) -> _Dependence:
        picture = small.result()
        given = {n: r.result() for n, r in zip(slot.refs, references, strict=True)}
        used = [n for n in slot.refs if n in levels]
        active, shares = inherited(
            picture,
            [(n - slot.frame, given[n]) for n in used],
            self._expected(slot.level),
            [self._expected(levels[n]) for n in used],
            self.rate.lookahead_thorough,
        )
        older = None
        if len(used) < len(slot.refs):
            nearest = slot.refs[-1]
            reference, thorough = given[nearest].picture, self.rate.lookahead_thorough
            older = starting_vectors(picture, reference, nearest - slot.frame, thorough)
        return _Dependence(slot, active, shares, older)

    def _expected(self, level: int) -> float:
        """The quality that a frame of a level has in a usual video."""
        return self.targets[min(level, LEVELS - 1)]

    def next(self) -> Later[dict[int, FramePlan]]:
        """What is said of the frames of the mini-GOP that is coded next; it waits no longer.

        A GOP of one frame, such as a single picture, has the quality that I frames usually have.
        """
        waiting = list(self._waiting)
        self._waiting.popleft()
        if max(self._keys) == 0:  # the I frame alone was added
            return self.works.add(self._of_a_picture)
        needs = [one for dependences in waiting for one in dependences]
        return self.works.add(partial(self._plans, waiting), needs)

    def _of_a_picture(self) -> dict[int, FramePlan]:
        return {0: FramePlan(self.rate.level_offsets[0], None)}

    def _plans(self, waiting: list[list[Later[_Dependence]]]) -> dict[int, FramePlan]:
        """Plans of the first of some mini-GOPs, by what those behind it inherit."""
        known = [[one.result() for one in dependences] for dependences in waiting]
        worth: dict[int, np.ndarray] = {}
        for dependences in reversed(known):
            for slot, active, parts, _ in reversed(dependences):
                mine = worth.setdefault(slot.frame, np.ones_like(active))
                for n, part in zip(slot.refs, parts, strict=False):
                    into = worth.setdefault(n, np.ones_like(active))
                    hand_down(mine, part.shares, part.vectors, into)
        return {d.slot.frame: self._plan(d, worth[d.slot.frame]) for d in known[0]}

    def _plan(self, dependence: _Dependence, worth: np.ndarray) -> FramePlan:
        """What follows from what error in each cell of a frame is worth."""
        level, active = dependence.slot.level, dependence.active
        fades = any(part.fades for part in dependence.inherited)
        found = [2 * in_frame(part.vectors) for part in dependence.inherited]
        vectors = (*found, *([] if dependence.older is None else [dependence.older]))
        octaves = portable_math.log2(worth)
        mean = float((octaves * active).sum() / active.sum())
        offset = self.rate.least_offset + round(self.rate.inherited_quality * mean)
        if level >= self.rate.weighed_levels:
            return FramePlan(offset, None, vectors, fades)
        around = self.rate.lookahead_strength * np.clip(octaves - mean, -_MOST, _MOST)
        worths = portable_math.exp2(in_frame(around)).astype(np.float32)
        return FramePlan(offset, worths, vectors, fades)
