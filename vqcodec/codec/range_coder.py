"""Range coder with adaptive binary contexts and static multi-symbol tables, in integers only.

A carry-propagating byte-wise range coder (Martin 1979, in the form of Subbotin/LZMA): a 32-bit
range, renormalised whenever it falls below 2^24. Binary contexts hold two 16-bit estimates of
P(bit = 0), a fast and a slow one, whose mean is used. A coder is a named tuple of arrays, which
compiled code takes as it is and changes in place.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba as nb
import numpy as np

from ..compiled import njit, njit_borrowing

TOTAL_BITS = 15
TOTAL = 1 << TOTAL_BITS
START = 32768  # both estimates of a new context: one half
EDGE = 48  # of 65536: no bit is held to be less likely than this
FAST, SLOW = 4, 7  # adaptation shifts of the two estimates
_TOP = np.uint64(1 << 24)
_MASK32 = np.uint64(0xFFFFFFFF)

# Slots of a coder's state. LOW is the lower end of the interval; a decoder has CODE in its place,
# how far its bytes lie above that end. CACHE is the last byte not yet safe from a carry, PENDING
# counts the bytes 0xFF behind it, and STARTED is 0 until there is such a byte.
LOW, RANGE, CACHE, PENDING, POSITION, STARTED = range(6)
CODE = LOW


def new_contexts(count: int) -> np.ndarray:
    """(n, 2) uint16 contexts at one half."""
    return np.full((count, 2), START, np.uint16)


class Encoder(NamedTuple):
    """A stream being written."""

    state: np.ndarray  # (6,) uint64, see LOW and its neighbours
    out: np.ndarray  # uint8: the bytes so far, up to POSITION, and room for more
    contexts: np.ndarray  # (N, 2) uint16

    @classmethod
    def start(cls, room: int, contexts: np.ndarray) -> Encoder:
        """An empty stream of at most ``room`` bytes; ``contexts`` will be adapted in place."""
        state = np.zeros(6, np.uint64)
        state[RANGE] = _MASK32
        return cls(state, np.empty(room, np.uint8), contexts)

    def branch(self) -> Encoder:
        """Another end for the same stream: it overwrites what other branches wrote behind it."""
        return Encoder(self.state.copy(), self.out, self.contexts.copy())

    def finished(self) -> bytes:
        """The stream, closed by :func:`finish`."""
        return self.out[: int(finish(self))].tobytes()


class Decoder(NamedTuple):
    """A stream being read; bytes beyond its end read as zero."""

    state: np.ndarray  # (6,) uint64: CODE, RANGE and POSITION, where the next byte is read
    data: np.ndarray  # uint8, read-only
    contexts: np.ndarray  # (N, 2) uint16

    @classmethod
    def start(cls, data: bytes | memoryview, contexts: np.ndarray) -> Decoder:
        """At the first bit of ``data``; ``contexts`` will be adapted in place."""
        state = np.zeros(6, np.uint64)
        state[RANGE] = _MASK32
        coder = cls(state, np.frombuffer(memoryview(data).toreadonly(), np.uint8), contexts)
        _prime(coder)
        return coder

    @property
    def left(self) -> int:
        """Bytes not yet read; not above zero when all were (up to four beyond the end are)."""
        return self.data.size - int(self.state[POSITION])


@njit_borrowing
def taken(coder: Decoder) -> float:
    """Bits that a decoder has taken, with fractions: the bytes read less what its range has
    left."""
    return 8 * float(coder.state[POSITION]) - math.log2(float(coder.state[RANGE]))


@njit_borrowing
def given(coder: Encoder) -> float:
    """Bits that an encoder has given out, with fractions; :func:`taken` of a decoder at that
    place."""
    state = coder.state
    final = float(state[POSITION] + state[PENDING] + state[STARTED])
    return 8 * final + 32 - math.log2(float(state[RANGE]))


@njit_borrowing
def _next_byte(coder: Decoder) -> np.uint64:
    state = coder.state
    position = state[POSITION]
    state[POSITION] += np.uint64(1)
    return np.uint64(coder.data[position]) if position < coder.data.size else np.uint64(0)


@njit_borrowing
def _prime(coder: Decoder) -> None:
    for _ in range(4):
        coder.state[CODE] = (coder.state[CODE] << np.uint64(8)) | _next_byte(coder)


@njit_borrowing
def _shift_low(coder: Encoder) -> None:
    """Move the top byte of LOW into the cache, and what no carry can reach any more to ``out``."""
    state, out = coder.state, coder.out
    low = state[LOW]
    if low < np.uint64(0xFF000000) or low > _MASK32:
        carry = low >> np.uint64(32)
        if state[STARTED] > np.uint64(0):
            out[state[POSITION]] = np.uint8((state[CACHE] + carry) & np.uint64(0xFF))
            state[POSITION] += np.uint64(1)
        while state[PENDING] > np.uint64(0):
            out[state[POSITION]] = np.uint8((np.uint64(0xFF) + carry) & np.uint64(0xFF))
            state[POSITION] += np.uint64(1)
            state[PENDING] -= np.uint64(1)
        state[CACHE] = (low >> np.uint64(24)) & np.uint64(0xFF)
        state[STARTED] = np.uint64(1)
    else:
        state[PENDING] += np.uint64(1)
    state[LOW] = (low << np.uint64(8)) & _MASK32


@njit_borrowing
def _give(coder: Encoder) -> None:
    state = coder.state
    while state[RANGE] < _TOP:
        state[RANGE] = (state[RANGE] << np.uint64(8)) & _MASK32
        _shift_low(coder)


@njit_borrowing
def _refill(coder: Decoder) -> None:
    state = coder.state
    while state[RANGE] < _TOP:
        state[CODE] = ((state[CODE] << np.uint64(8)) | _next_byte(coder)) & _MASK32
        state[RANGE] = (state[RANGE] << np.uint64(8)) & _MASK32


@njit_borrowing
def _share_of_zero(fast: int, slow: int) -> int:
    """P(bit = 0) in 65536ths."""
    return min(max((fast + slow) >> 1, EDGE), 65536 - EDGE)


@njit_borrowing
def _adapt(contexts: np.ndarray, context: int, fast: int, slow: int, bit: int) -> None:
    if bit == 0:
        contexts[context, 0] = fast + ((65535 - fast) >> FAST)
        contexts[context, 1] = slow + ((65535 - slow) >> SLOW)
    else:
        contexts[context, 0] = fast - (fast >> FAST)
        contexts[context, 1] = slow - (slow >> SLOW)


@njit_borrowing
def encode(coder: Encoder, start: int, size: int, bits: int) -> None:
    """Code the interval [start, start + size) of 2^bits."""
    state = coder.state
    unit = state[RANGE] >> np.uint64(bits)
    state[LOW] += unit * np.uint64(start)
    state[RANGE] = unit * np.uint64(size)
    _give(coder)


@njit_borrowing
def encode_bit(coder: Encoder, context: int, bit: int) -> None:
    """Code a bit with a context and adapt it."""
    state, contexts = coder.state, coder.contexts
    fast, slow = nb.int64(contexts[context, 0]), nb.int64(contexts[context, 1])
    bound = (state[RANGE] >> np.uint64(16)) * np.uint64(_share_of_zero(fast, slow))
    if bit == 0:
        state[RANGE] = bound
    else:
        state[LOW] += bound
        state[RANGE] -= bound
    _adapt(contexts, context, fast, slow, bit)
    _give(coder)


@njit_borrowing
def decode_bit(coder: Decoder, context: int) -> int:
    """The inverse of :func:`encode_bit`."""
    state, contexts = coder.state, coder.contexts
    fast, slow = nb.int64(contexts[context, 0]), nb.int64(contexts[context, 1])
    bound = (state[RANGE] >> np.uint64(16)) * np.uint64(_share_of_zero(fast, slow))
    if state[CODE] < bound:
        state[RANGE] = bound
        bit = 0
    else:
        state[CODE] -= bound
        state[RANGE] -= bound
        bit = 1
    _adapt(contexts, context, fast, slow, bit)
    _refill(coder)
    return bit


@njit_borrowing
def pass_bit(contexts: np.ndarray, context: int, bit: int) -> None:
    """Adapt a context as if a bit had been coded."""
    fast, slow = nb.int64(contexts[context, 0]), nb.int64(contexts[context, 1])
    _adapt(contexts, context, fast, slow, bit)


@njit_borrowing
def bit_cost(contexts: np.ndarray, context: int, bit: int) -> float:
    """Bits that a bit would take in a context."""
    share = _share_of_zero(nb.int64(contexts[context, 0]), nb.int64(contexts[context, 1]))
    return -math.log2((65536 - share if bit else share) / 65536.0)


@njit
def bit_costs(contexts: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Bits that a 0 and a 1 would take in each context, into ``out`` (N, 2) float32; returns it."""
    for k in range(contexts.shape[0]):
        share = _share_of_zero(nb.int64(contexts[k, 0]), nb.int64(contexts[k, 1])) / 65536.0
        out[k, 0] = -np.log2(share)
        out[k, 1] = -np.log2(1 - share)
    return out


@njit_borrowing
def encode_raw(coder: Encoder, value: int, bits: int) -> None:
    """Code ``bits`` equiprobable bits, most significant first."""
    for i in range(bits - 1, -1, -1):
        encode(coder, (value >> i) & 1, 1, 1)


@njit_borrowing
def decode_raw(coder: Decoder, bits: int) -> int:
    """The inverse of :func:`encode_raw`."""
    state = coder.state
    value = 0
    for _ in range(bits):
        half = state[RANGE] >> np.uint64(1)
        value *= 2
        if state[CODE] >= half:
            state[CODE] -= half
            value += 1
        state[RANGE] = half
        _refill(coder)
    return value


@njit_borrowing
def encode_symbol(coder: Encoder, cdf: np.ndarray, symbol: int) -> None:
    """Code a symbol under the cumulative table ``cdf`` of total 2^TOTAL_BITS."""
    encode(coder, cdf[symbol], cdf[symbol + 1] - cdf[symbol], TOTAL_BITS)


@njit_borrowing
def decode_symbol(coder: Decoder, cdf: np.ndarray, symbols: int) -> int:
    """One of ``symbols`` symbols under the cumulative table ``cdf`` of total 2^TOTAL_BITS."""
    state = coder.state
    unit = state[RANGE] >> np.uint64(TOTAL_BITS)
    place = state[CODE] // unit
    if place >= np.uint64(TOTAL):
        place = np.uint64(TOTAL - 1)
    low, high = 0, symbols
    while high - low > 1:
        middle = (low + high) >> 1
        if np.uint64(cdf[middle]) <= place:
            low = middle
        else:
            high = middle
    start, end = np.uint64(cdf[low]), np.uint64(cdf[low + 1])
    state[CODE] -= unit * start
    state[RANGE] = unit * (end - start)
    _refill(coder)
    return low


@njit_borrowing
def finish(coder: Encoder) -> int:
    """Flush with as few bytes as identify the interval; returns the length without final zeros."""
    state = coder.state
    # the value in [low, low + range) with the most trailing zeros
    low, high = state[LOW], state[LOW] + state[RANGE]
    for zeros in range(32, -1, -1):
        mask = (np.uint64(1) << np.uint64(zeros)) - np.uint64(1)
        value = (low + mask) & ~mask
        if value < high:
            state[LOW] = value
            break
    for _ in range(5):
        _shift_low(coder)
    length = state[POSITION]
    while length > 0 and coder.out[length - np.uint64(1)] == 0:
        length -= np.uint64(1)
    return int(length)


@njit_borrowing
def build_cdf(counts: np.ndarray, sizes: np.ndarray, cdf: np.ndarray) -> None:
    """Cumulative tables of total 2^TOTAL_BITS, in which no symbol is empty.

    counts (T, K) uint32, of which table t has the first ``sizes[t]``; cdf (T, K + 1) uint32.
    """
    for t in range(counts.shape[0]):
        k = sizes[t]
        if k == 0:
            continue
        total = np.int64(0)
        for i in range(k):
            total += np.int64(counts[t, i])
        before = np.int64(0)
        cdf[t, 0] = 0
        for i in range(k):
            before += np.int64(counts[t, i])
            cdf[t, i + 1] = np.uint32(
                i + 1 + before * np.int64(TOTAL - k) // max(total, np.int64(1))
            )
        cdf[t, k] = np.uint32(TOTAL)
