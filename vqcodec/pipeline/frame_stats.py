"""Figures of each frame as lines of JSON, for ``--stats``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from ..codec.bit_statistics import FrameStatistics


class FrameStats:
    """Writes lines of JSON in the order of display. GOPs may come in any order: those that come
    early wait."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._waiting: dict[int, tuple[Sequence[int], list[FrameStatistics]]] = {}
        self._frame = self._gop = 0  # of the GOP that is written next

    def add(self, first: int, pts: Sequence[int], rows: list[FrameStatistics]) -> None:
        """Take the rows of the GOP that begins with frame ``first``, whose frames have these
        times."""
        self._waiting[first] = pts, rows
        while self._frame in self._waiting:
            first = self._frame
            pts, rows = self._waiting.pop(first)
            for number, row in enumerate(rows):
                place: dict[str, object] = {
                    "gop": self._gop,
                    "pts": pts[number] if number < len(pts) else None,
                    "first": first,
                }
                self._file.write((json.dumps({**place, **row}) + "\n").encode())
            self._frame += len(rows)  # behind a GOP that was cut short nothing follows
            self._gop += 1
