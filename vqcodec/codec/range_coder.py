"""Range coder with adaptive binary contexts and static multi-symbol tables, in integers only.

A carry-propagating byte-wise range coder (Martin 1979, in the form of Subbotin/LZMA): a 32-bit range, renormalised
whenever it falls below 2^24. The state is a uint64 array so that compiled code can carry on where it stopped:
encoder ``[low, range, cache, pending, position]``, decoder ``[code, range, position, length]``.
Binary contexts hold two 16-bit estimates of P(bit = 0), a fast and a slow one, whose mean is used.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from ..compiled import njit

TOTAL_BITS = 15
TOTAL = 1 << TOTAL_BITS
_TOP = np.uint64(1 << 24)
_MASK32 = np.uint64(0xFFFFFFFF)
FAST, SLOW = 4, 7  # adaptation shifts of the two estimates


def new_contexts(n: int) -> np.ndarray:
    """(n, 2) uint16 contexts at one half."""
    return np.full((n, 2), 32768, np.uint16)


def encoder_state() -> np.ndarray:
    return np.array([0, 0xFFFFFFFF, 0, 0, 0, 0], np.uint64)


def decoder_state(data: np.ndarray) -> np.ndarray:
    """Start decoding of a uint8 array; bytes beyond its end read as zero."""
    st = np.array([0, 0xFFFFFFFF, 0, data.size, 0, 0], np.uint64)
    _prime(st, data)
    return st


@njit
def taken(st):
    """Bits that a decoder has taken so far, with fractions: bytes read less what is in hand, refined by what the range has left."""
    return 8 * float(st[2]) - math.log2(float(st[1]))


@njit
def _prime(st, data):
    for _ in range(4):
        b = np.uint64(data[st[2]]) if st[2] < st[3] else np.uint64(0)
        st[0] = (st[0] << np.uint64(8)) | b
        st[2] += np.uint64(1)


@njit
def _shift_low(st, out):
    # cache holds the last byte not yet safe from a carry, pending counts the 0xFF bytes behind it
    low = st[0]
    if low < np.uint64(0xFF000000) or low > _MASK32:
        carry = low >> np.uint64(32)
        if st[5] > np.uint64(0):  # the very first cache byte does not exist
            out[st[4]] = np.uint8((st[2] + carry) & np.uint64(0xFF))
            st[4] += np.uint64(1)
        while st[3] > np.uint64(0):
            out[st[4]] = np.uint8((np.uint64(0xFF) + carry) & np.uint64(0xFF))
            st[4] += np.uint64(1)
            st[3] -= np.uint64(1)
        st[2] = (low >> np.uint64(24)) & np.uint64(0xFF)
        st[5] = np.uint64(1)
    else:
        st[3] += np.uint64(1)
    st[0] = (low << np.uint64(8)) & _MASK32


@njit
def encode(st, out, start, size, bits):
    """Code the interval [start, start + size) of 2^bits."""
    r = st[1] >> np.uint64(bits)
    st[0] += r * np.uint64(start)
    st[1] = r * np.uint64(size)
    while st[1] < _TOP:
        st[1] = (st[1] << np.uint64(8)) & _MASK32
        _shift_low(st, out)


@njit
def encode_bit(st, out, ctx, k, bit):
    """Code a bit with context k and adapt it."""
    f, s = nb.int64(ctx[k, 0]), nb.int64(ctx[k, 1])
    p = (f + s) >> 1
    p = min(max(p, 48), 65536 - 48)
    bound = (st[1] >> np.uint64(16)) * np.uint64(p)
    if bit == 0:
        st[1] = bound
        ctx[k, 0] = f + ((65535 - f) >> FAST)
        ctx[k, 1] = s + ((65535 - s) >> SLOW)
    else:
        st[0] += bound
        st[1] -= bound
        ctx[k, 0] = f - (f >> FAST)
        ctx[k, 1] = s - (s >> SLOW)
    while st[1] < _TOP:
        st[1] = (st[1] << np.uint64(8)) & _MASK32
        _shift_low(st, out)


@njit
def bit_costs(ctx, out):
    """out (contexts, 2) float32: bits that a 0 and a 1 would take in each context as it stands. Returns it."""
    for k in range(ctx.shape[0]):
        p = min(max((nb.int64(ctx[k, 0]) + nb.int64(ctx[k, 1])) >> 1, 48), 65536 - 48) / 65536.0
        out[k, 0] = -np.log2(p)
        out[k, 1] = -np.log2(1 - p)
    return out


@njit
def encode_raw(st, out, value, bits):
    """Code ``bits`` equiprobable bits, most significant first."""
    for i in range(bits - 1, -1, -1):
        encode(st, out, (value >> i) & 1, 1, 1)


@njit
def finish(st, out):
    """Flush with as few bytes as identify the interval; returns the length. Trailing zero bytes are left out."""
    # the value in [low, low + range) with the most trailing zeros
    lo, hi = st[0], st[0] + st[1]
    for z in range(32, -1, -1):
        m = (np.uint64(1) << np.uint64(z)) - np.uint64(1)
        v = (lo + m) & ~m
        if v < hi:
            st[0] = v
            break
    for _ in range(5):
        _shift_low(st, out)
    n = st[4]
    while n > 0 and out[n - np.uint64(1)] == 0:
        n -= np.uint64(1)
    return n


@njit
def _refill(st, data):
    while st[1] < _TOP:
        b = np.uint64(data[st[2]]) if st[2] < st[3] else np.uint64(0)
        st[0] = ((st[0] << np.uint64(8)) | b) & _MASK32
        st[1] = (st[1] << np.uint64(8)) & _MASK32
        st[2] += np.uint64(1)


@njit
def decode_bit(st, data, ctx, k):
    f, s = nb.int64(ctx[k, 0]), nb.int64(ctx[k, 1])
    p = (f + s) >> 1
    p = min(max(p, 48), 65536 - 48)
    bound = (st[1] >> np.uint64(16)) * np.uint64(p)
    if st[0] < bound:
        st[1] = bound
        ctx[k, 0] = f + ((65535 - f) >> FAST)
        ctx[k, 1] = s + ((65535 - s) >> SLOW)
        bit = 0
    else:
        st[0] -= bound
        st[1] -= bound
        ctx[k, 0] = f - (f >> FAST)
        ctx[k, 1] = s - (s >> SLOW)
        bit = 1
    _refill(st, data)
    return bit


@njit
def decode_raw(st, data, bits):
    v = 0
    for _ in range(bits):
        r = st[1] >> np.uint64(1)
        if st[0] >= r:
            st[0] -= r
            v = v * 2 + 1
        else:
            v = v * 2
        st[1] = r
        _refill(st, data)
    return v


@njit
def decode_symbol(st, data, cdf, k):
    """Decode one of k symbols under the cumulative table cdf[0..k] of total 2^TOTAL_BITS."""
    r = st[1] >> np.uint64(TOTAL_BITS)
    v = st[0] // r
    if v >= np.uint64(TOTAL):
        v = np.uint64(TOTAL - 1)
    lo, hi = 0, k
    while hi - lo > 1:
        mid = (lo + hi) >> 1
        if np.uint64(cdf[mid]) <= v:
            lo = mid
        else:
            hi = mid
    a, b = np.uint64(cdf[lo]), np.uint64(cdf[lo + 1])
    st[0] -= r * a
    st[1] = r * (b - a)
    _refill(st, data)
    return lo


def consumed(st: np.ndarray) -> bool:
    """True when the decoder has read its data to the end (it holds at most four bytes beyond)."""
    return bool(st[3] <= st[2])


@njit
def build_cdf(counts, sizes, cdf):
    """counts (T, K) uint32 with ``sizes[t]`` symbols each -> cdf (T, K+1) uint32 of total 2^TOTAL_BITS, no symbol empty."""
    for t in range(counts.shape[0]):
        k = sizes[t]
        if k == 0:
            continue
        total = np.int64(0)
        for i in range(k):
            total += np.int64(counts[t, i])
        acc = np.int64(0)
        cdf[t, 0] = 0
        for i in range(k):
            acc += np.int64(counts[t, i])
            cdf[t, i + 1] = np.uint32(i + 1 + acc * np.int64(TOTAL - k) // max(total, np.int64(1)))
        cdf[t, k] = np.uint32(TOTAL)
