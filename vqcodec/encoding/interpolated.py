"""References as the search wants them, made once for all frames that refer to them."""

from __future__ import annotations

import weakref
from threading import Lock

import numpy as np

from ..codec.frame_decoder import Coded
from .block_matching import PAD
from .phases import phases

MOST = 192 << 20  # bytes of those that are kept
LEAST = 2  # that a frame needs, however large they are
_EACH = 4  # phases along each side


class Interpolated:
    """Interpolated references, of which several frames that are coded at once ask for some.

    They take sixteen times the luma: of large pictures those stay that were asked for last.
    Others are made at need.

    Args:
        height, width: of the padded luma.
        precision: of vectors, see :func:`.phases`.
    """

    def __init__(self, height: int, width: int, precision: int) -> None:
        self._precision = precision
        each = (height + 2 * PAD) * (width + 2 * PAD) * (_EACH // precision) ** 2
        self._most = max(LEAST, MOST // each)
        self._kept: list[weakref.ref[Coded]] = []  # the one that was asked for last at the end
        self._lock = Lock()

    def of(self, reference: Coded) -> np.ndarray:
        """The phases of a reference's luma."""
        with reference.making:
            made = reference.phases
            if made is None:
                made = reference.phases = phases(reference.planes[0], self._precision)
        with self._lock:
            there = [
                old for one in self._kept if (old := one()) is not None and old.phases is not None
            ]
            kept = [*(old for old in there if old is not reference), reference]
            for old in kept[: -self._most]:
                forget(old)
            self._kept = [weakref.ref(one) for one in kept[-self._most :]]
        return made


def forget(reference: Coded) -> None:
    """Drop the phases of a reference."""
    reference.phases = None
