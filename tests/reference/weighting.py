"""Section Weighted prediction: the sets of weights of a frame."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .entropy import RangeDecoder

MAX_SETS = 3
GAIN_BITS = 7
MAX_GAIN = 511
MAX_OFFSET = 2047
BLEND_BITS = 4
DIFFERENCE_BITS = 12

WEIGHT_SETS, BLEND, WEIGHT_CLASS = 301, 304, 312

Pair = tuple[int, int]  # gain, offset


class Set(NamedTuple):
    """``pairs[list][plane]``; the blend is the share of list 1 in 16ths."""

    pairs: list[list[Pair]]
    blend: int


def difference(s: RangeDecoder, context: int) -> int:
    k = 0
    while k < DIFFERENCE_BITS and s.bit(context + k):
        k += 1
    if not k:
        return 0
    magnitude = 1 << (k - 1) | s.raw(k - 1)
    return -magnitude if s.raw(1) else magnitude


def pairs(s: RangeDecoder) -> list[Pair]:
    result: list[Pair] = []
    for plane, (still, first) in enumerate(((64, 0), (512, 32), (512, 32))):
        context = WEIGHT_CLASS + first
        gain = (result[0][0] if plane else 1 << GAIN_BITS) + difference(s, context)
        gain = max(0, min(MAX_GAIN, gain))
        offset = ((128 - gain) * still + 64) >> GAIN_BITS
        offset += difference(s, context + 16)
        result.append((gain, max(-MAX_OFFSET, min(MAX_OFFSET, offset))))
    return result


def weight_sets(s: RangeDecoder, lists: int) -> list[Set]:
    result: list[Set] = []
    while len(result) < MAX_SETS and s.bit(WEIGHT_SETS + len(result)):
        lines = [pairs(s) for _ in range(lists)]
        blend = 8
        if lists == 2 and s.bit(BLEND):
            blend = s.raw(BLEND_BITS)
            blend += blend >= 8
        result.append(Set(lines, blend))
    return result


def weighted(t: np.ndarray, pair: Pair) -> np.ndarray:
    """An intermediate under a gain and an offset."""
    gain, offset = pair
    return ((t * gain + 64) >> GAIN_BITS) + (offset << 4)
