"""Pictures of a file by number: GOPs opened as they are needed, what is lost concealed or
refused.
"""

from __future__ import annotations

import math
import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from ..codec.decoder_memory import automatic_batch, decoder_memory
from ..codec.gop_structure import MINI_GOP
from ..codec.tokens import FrameTokens, frame_tokens
from ..codec.weights import StrPath, default_path
from ..container.reader import ContainerReader
from ..errors import DamageError, DamageLog
from ..options import DecodeOptions
from ..picture import Picture
from ..picture_size import padded_size
from .checks import check_memory, check_model
from .gop_cache import FrameCache, GopAccess
from .lost_frames import Gap
from .timeline import Timeline

if TYPE_CHECKING:
    from ..codec.weights import Codec

_OPEN_GOPS = 8  # whose coded bytes are kept
_FEW = 1 << 26  # bytes of decoded frames where a few are looked at: key frames that several need


@lru_cache(maxsize=4)
def _codec(path: str, changed: int, device: str, process: int | None) -> Codec:
    """A model, loaded once for all files that are open; on a GPU in each process that was
    forked.
    """
    from ..codec.weights import load_codec

    return load_codec(path, device)


class RandomAccess:
    """Decodes the frames asked for and no others than their ancestors. DamageError for those that
    cannot be, unless ``damage`` is given: then they are concealed.

    ``cache_bytes`` of decoded frames are kept at most, less where the limit of memory leaves less
    beside the decoder.
    """

    def __init__(
        self,
        reader: ContainerReader,
        timeline: Timeline,
        options: DecodeOptions,
        cache_bytes: int,
        weights: str | None,
        damage: DamageLog | None,
    ) -> None:
        self._reader, self._timeline, self._damage = reader, timeline, damage
        self._gops: OrderedDict[int, GopAccess] = OrderedDict()
        header = reader.header
        check_memory(reader, options)
        self._batch = options.batch or automatic_batch(header.width, header.height)
        self.cache = FrameCache(
            max(
                0,
                min(
                    cache_bytes,
                    options.limits.memory
                    - decoder_memory(header.width, header.height, options.batch, options.threads),
                ),
            )
        )
        file = os.path.realpath(weights or default_path())
        process = None if options.device == "cpu" else os.getpid()
        self.codec = _codec(file, Path(file).stat().st_mtime_ns, options.device, process)
        check_model(reader, self.codec.model_id)
        frame_bytes = math.prod(padded_size(header.width, header.height)) * 3 + (1 << 19)
        self._holds_mini_gop = self._batch > 1 and self.cache.limit >= (MINI_GOP + 2) * frame_bytes

    @classmethod
    def to_few(
        cls,
        reader: ContainerReader,
        timeline: Timeline,
        weights: StrPath | None,
        damage: DamageLog,
    ) -> RandomAccess:
        """To single frames of a file, on the CPU; what cannot be decoded is concealed.

        Raises LimitError where that would need more memory than allowed.
        """
        options = DecodeOptions(device="cpu", limits=reader.limits)
        place = None if weights is None else str(weights)
        return cls(reader, timeline, options, _FEW, place, damage)

    def tokens(self, numbers: Iterable[int], max_level: int | None = None) -> Iterator[FrameTokens]:
        """Tokens of frames in ascending order; frames of lost GOPs are left out."""
        base = self._reader.header.time_base
        for gop, group in groupby(numbers, self._timeline.gop_of):
            if gop in self._timeline.lost:
                continue
            first = self._reader.gops[gop].first_frame
            try:
                access = self._access(gop)
                wanted = [
                    number - first
                    for number in group
                    if max_level is None or access.slots[number - first].level <= max_level
                ]
                for f, run in access.parsed(wanted):
                    yield frame_tokens(run, first, float(self._timeline[gop].pts[f] * base))
            except DamageError as exc:
                self._timeline.lose(gop, exc, self._damage)

    def _access(self, number: int) -> GopAccess:
        access = self._gops.get(number)
        if access is None:
            header = self._reader.header
            access = self._gops[number] = GopAccess(
                self.codec,
                number,
                self._reader.read_gop(number),
                header.width,
                header.height,
                self._batch,
                self.cache,
            )
            if len(self._gops) > _OPEN_GOPS:
                self._gops.popitem(last=False)
        self._gops.move_to_end(number)
        return access

    def pictures(
        self, numbers: Iterable[int], ahead: bool = False
    ) -> Iterator[tuple[int, Picture, bool]]:
        """Frames in ascending order, and whether they are concealed; with ``ahead`` the mini-GOP of
        the first one is decoded at once, if the cache can hold it.
        """
        header = self._reader.header
        for gop, group in groupby(sorted(set(numbers)), self._timeline.gop_of):
            first = self._reader.gops[gop].first_frame
            wanted = [number - first for number in group]
            given = 0
            if gop not in self._timeline.lost:
                try:
                    access = self._access(gop)
                    if ahead and self._holds_mini_gop:
                        access.decode_ahead(wanted[0])
                    for frame, picture in access.pictures(wanted):
                        if access.wrong:
                            self._differs(gop, access)
                        given += 1
                        yield first + frame, picture, False
                except DamageError as exc:
                    self._timeline.lose(gop, exc, self._damage)
            if given < len(wanted):
                gap = self._gap(gop)
                yield from (
                    (first + f, gap.picture(first + f, header.width, header.height), True)
                    for f in wanted[given:]
                )

    def _differs(self, number: int, access: GopAccess) -> None:
        entry = self._reader.gops[number]
        error = DamageError(
            "decoded pixels differ from the encoder's",
            part=f"GOP {number}",
            byte=entry.offset,
            frames=entry.frames,
        )
        if self._damage is None:
            raise error
        access.wrong = False  # told once
        self._damage.note(error)

    def _gap(self, number: int) -> Gap:
        """The lost GOPs around this one, between the pictures that are there."""
        gops, lost = self._reader.gops, self._timeline.lost
        while True:
            first, end = number, number + 1
            while first > 0 and first - 1 in lost:
                first -= 1
            while end < len(gops) and end in lost:
                end += 1
            sides: list[Picture | None] = []
            for gop, frame in ((first - 1, gops[first - 1].count - 1), (end, 0)):
                if not 0 <= gop < len(gops):
                    sides.append(None)
                    continue
                try:
                    sides += [picture for _, picture in self._access(gop).pictures([frame])]
                except DamageError as exc:
                    self._timeline.lose(gop, exc, self._damage)
            if len(sides) == 2:
                return Gap(
                    gops[first].first_frame,
                    gops[end].first_frame if end < len(gops) else self._reader.frames,
                    sides[0],
                    sides[1],
                )
