"""Weighted prediction: gains and offsets of the references of a frame that is brighter or darker.

A frame has up to MAX_SETS sets of weights. A set has a gain and an offset for each list and plane,
which the interpolated reference is multiplied with and moved by (the explicit weighting of ITU-T
H.265, 8.5.3.3.4.3), and a blend, the share of list 1 where both lists are used. Each leaf of the
quadtree uses one of the sets, or none. What is coded are the differences from a fade to black.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..compiled import njit_borrowing
from .contexts import BLEND, DIFFERENCE, WEIGHT_CLASS, WEIGHT_SETS
from .range_coder import Decoder, Encoder, decode_bit, decode_raw, encode_bit, encode_raw

MAX_SETS = 3
GAIN_BITS = 7
ONE = 1 << GAIN_BITS  # the gain of a reference that stays as it is
MAX_GAIN = 4 * ONE - 1
MAX_OFFSET = 2047  # samples of 10 bits
BLEND_BITS = 4
FULL = 1 << BLEND_BITS  # the blend that shows list 1 alone
HALF = FULL >> 1  # the blend of prediction without weights
WEIGHT_BITS = 12  # bit length of the largest difference that is coded
GAIN, OFFSET = 0, 1
BLACK, GREY = 64, 512  # what a fade to black leaves alone: black luma, grey chroma, of 10 bits
PLANES = 3


class Weights(NamedTuple):
    """The sets of a frame. Leaves count them from 1; 0 is prediction without weights."""

    sets: np.ndarray  # (N, 2, PLANES, 2) int32 [set][list][plane][GAIN, OFFSET]
    blends: np.ndarray  # (N,) int32, in 16ths of list 1

    @classmethod
    def none(cls, count: int = 0) -> Weights:
        """``count`` sets that change nothing."""
        sets = np.zeros((count, 2, PLANES, 2), np.int32)
        sets[..., GAIN] = ONE
        return cls(sets, np.full(count, HALF, np.int32))


UNWEIGHTED = Weights.none()


@njit_borrowing
def fade_offset(gain: int, plane: int) -> int:
    """The offset of a fade to black with this gain."""
    still = BLACK if plane == 0 else GREY
    return ((ONE - gain) * still + (ONE >> 1)) >> GAIN_BITS


@njit_borrowing
def expected(pairs: np.ndarray, plane: int, kind: int) -> int:
    """Expected gain or offset of a plane; pairs (PLANES, 2) holds what comes before it."""
    if kind == OFFSET:
        return fade_offset(pairs[plane, GAIN], plane)
    return ONE if plane == 0 else pairs[0, GAIN]


@njit_borrowing
def _context(plane: int, kind: int) -> int:
    return WEIGHT_CLASS + DIFFERENCE * (2 * min(plane, 1) + kind)


@njit_borrowing
def _encode_difference(coder: Encoder, context: int, difference: int) -> None:
    magnitude = abs(difference)
    length = 0
    while magnitude >> length:
        encode_bit(coder, context + length, 1)
        length += 1
    if length < WEIGHT_BITS:
        encode_bit(coder, context + length, 0)
    if length > 1:
        encode_raw(coder, magnitude & ((1 << (length - 1)) - 1), length - 1)
    if length:
        encode_raw(coder, 1 if difference < 0 else 0, 1)


@njit_borrowing
def _decode_difference(coder: Decoder, context: int) -> int:
    length = 0
    while length < WEIGHT_BITS and decode_bit(coder, context + length):
        length += 1
    if length == 0:
        return 0
    magnitude = 1 << (length - 1)
    if length > 1:
        magnitude += decode_raw(coder, length - 1)
    return -magnitude if decode_raw(coder, 1) else magnitude


@njit_borrowing
def encode_weights(coder: Encoder, weights: Weights, lists: int) -> None:
    """Code the sets of a frame of one or two lists; none costs one flag."""
    count = weights.sets.shape[0]
    for number in range(count):
        encode_bit(coder, WEIGHT_SETS + number, 1)
        for which in range(lists):
            pairs = weights.sets[number, which]
            for plane in range(PLANES):
                for kind in range(2):
                    _encode_difference(
                        coder,
                        _context(plane, kind),
                        pairs[plane, kind] - expected(pairs, plane, kind),
                    )
        if lists == 2:
            blend = weights.blends[number]
            encode_bit(coder, BLEND, 0 if blend == HALF else 1)
            if blend != HALF:
                encode_raw(coder, blend if blend < HALF else blend - 1, BLEND_BITS)
    if count < MAX_SETS:
        encode_bit(coder, WEIGHT_SETS + count, 0)


@njit_borrowing
def _decode_sets(coder: Decoder, weights: Weights, lists: int) -> int:
    """The inverse of :func:`encode_weights`, into ``weights`` of MAX_SETS sets; how many are. The
    bit that says that there is one is read."""
    count = 0
    while count == 0 or (count < MAX_SETS and decode_bit(coder, WEIGHT_SETS + count)):
        for which in range(lists):
            pairs = weights.sets[count, which]
            for plane in range(PLANES):
                for kind in range(2):
                    value = expected(pairs, plane, kind)
                    value += _decode_difference(coder, _context(plane, kind))
                    if kind == GAIN:
                        pairs[plane, kind] = min(max(value, 0), MAX_GAIN)
                    else:
                        pairs[plane, kind] = min(max(value, -MAX_OFFSET), MAX_OFFSET)
        if lists == 2 and decode_bit(coder, BLEND):
            blend = decode_raw(coder, BLEND_BITS)
            weights.blends[count] = blend if blend < HALF else blend + 1
        count += 1
    return count


def decode_weights(coder: Decoder, lists: int) -> Weights:
    """The sets of a frame of one or two lists."""
    if not decode_bit(coder, WEIGHT_SETS):
        return UNWEIGHTED
    most = Weights.none(MAX_SETS)
    count = int(_decode_sets(coder, most, lists))
    return Weights(most.sets[:count], most.blends[:count])
