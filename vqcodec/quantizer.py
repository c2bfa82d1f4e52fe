"""Entropy-constrained vector quantiser whose codebook is chosen by the rate class of each group of four latent channels.

A class has a codebook of dimension 4 (one symbol a group), 2 (two symbols), 1 (four) or 0 (never coded: all zero). Codewords are
int16 sixteenths of a step; codeword 0 is the exact zero. Every codebook but those of dimension 4 ends with an escape symbol,
after which the values follow as raw integers in whole steps. Symbols are coded under integer tables, one a class, whose counts
adapt to what was coded before (Chou, Lookabaugh and Gray 1989 for the quantiser).

The hyper-latent is coded the same way with one 4-D codebook for each group of its channels and each of four ranges of quality.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np

from .compiled import njit
from .entropy import TOTAL, TOTAL_BITS, build_cdf, decode_raw, decode_symbol, encode, encode_raw
from .nets.shape import TURN

MAX_SYMBOLS = 4096  # of a table
UNIT = 16  # codeword units in one quantisation step
INCREMENT = 32  # added to the count of a coded symbol
HALVE_AT = 1 << 17  # total of a table at which its counts are halved


@dataclass
class Codebooks:
    """dims (T,), sizes (T,) symbols with the escape, words (T, K, 4) int16, counts (T, K) uint32 to start from.

    The first CLASSES tables are the rate classes, the rest the groups of the hyper-latent, quality range by quality range.
    """

    dims: np.ndarray
    sizes: np.ndarray
    words: np.ndarray
    counts: np.ndarray

    def packed(self) -> dict[str, np.ndarray]:
        """Arrays for a weights file: words and counts one table after the other, without what lies beyond a table's size and dimension."""
        tables = range(len(self.dims))
        words = [self.words[t, : self.sizes[t], : self.dims[t]].ravel() for t in tables]
        counts = [self.counts[t, : self.sizes[t]] for t in tables]
        return {"dims": self.dims, "sizes": self.sizes, "words": np.concatenate(words), "counts": np.concatenate(counts)}

    @classmethod
    def unpacked(cls, dims: np.ndarray, sizes: np.ndarray, words: np.ndarray, counts: np.ndarray) -> Codebooks:
        """The inverse of :meth:`packed`. Raises ValueError where the arrays don't fit together."""
        if dims.shape != sizes.shape or dims.ndim != 1 or not np.isin(dims, (0, 1, 2, 4)).all() or (sizes < 0).any() or (sizes > MAX_SYMBOLS).any():
            raise ValueError("codebooks of impossible sizes")
        if words.shape != (int((sizes * dims).sum()),) or counts.shape != (int(sizes.sum()),):
            raise ValueError("codebooks cut short")
        longest = int(sizes.max(initial=1))
        b = cls(dims, sizes, np.zeros((len(dims), longest, 4), words.dtype), np.zeros((len(dims), longest), counts.dtype))
        w = c = 0
        for t, (dim, size) in enumerate(zip(dims.tolist(), sizes.tolist(), strict=True)):
            b.words[t, :size, :dim] = words[w : w + size * dim].reshape(size, dim)
            b.counts[t, :size] = counts[c : c + size]
            w, c = w + size * dim, c + size
        return b


class Tables:
    """Adaptive state of the symbol tables of one frame type."""

    def __init__(self, books: Codebooks, counts: np.ndarray | None = None):
        self.books = books
        self.counts = (books.counts if counts is None else counts).copy()
        self.seen = np.zeros_like(self.counts)
        self.cdf = np.zeros((self.counts.shape[0], self.counts.shape[1] + 1), np.uint32)
        build_cdf(self.counts, books.sizes, self.cdf)
        self._costs: np.ndarray | None = None

    def fresh(self) -> Tables:
        """The same tables, with nothing coded yet."""
        t = copy.copy(self)
        t.seen = np.zeros_like(self.seen)
        return t

    def costs(self) -> np.ndarray:
        """(T, K) float32 bits of each symbol; worked out once, for :meth:`fresh` copies too."""
        if self._costs is None:
            self._costs = (TOTAL_BITS - np.log2(np.maximum(np.diff(self.cdf.astype(np.int64), axis=1), 1))).astype(np.float32)
        return self._costs

    def adapted(self) -> np.ndarray:
        """Counts after the symbols coded with these tables."""
        counts = self.counts.copy()
        adapt(counts, self.seen)
        return counts


@njit
def adapt(counts, seen):
    for t in range(counts.shape[0]):
        total = np.int64(0)
        for k in range(counts.shape[1]):
            counts[t, k] += seen[t, k] * INCREMENT
            total += counts[t, k]
        while total > HALVE_AT:
            total = np.int64(0)
            for k in range(counts.shape[1]):
                counts[t, k] = counts[t, k] >> 1
                total += counts[t, k]


@njit
def _raw_bits(n):
    a, k = abs(n), 0
    while a:
        a >>= 1
        k += 1
    return 2 * k + 1


@njit
def _encode_value(st, out, n):
    # Elias gamma in raw bits: bit length in unary, the bits below the first, the sign
    a, k = abs(n), 0
    while (a >> k) > 0:
        k += 1
    for _ in range(k):
        encode_raw(st, out, 1, 1)
    encode_raw(st, out, 0, 1)
    if k > 1:
        encode_raw(st, out, a & ((1 << (k - 1)) - 1), k - 1)
    if k:
        encode_raw(st, out, 1 if n < 0 else 0, 1)


@njit
def _decode_value(st, data):
    k = 0
    while k < 12 and decode_raw(st, data, 1):
        k += 1
    if k == 0:
        return 0
    a = 1
    if k > 1:
        a = (1 << (k - 1)) | decode_raw(st, data, k - 1)
    return -a if decode_raw(st, data, 1) else a


_TURN = np.array(TURN)


@njit
def active(direct, y, x, g, groups, step, steps):
    """Whether group g of ``groups`` at (y, x) is coded in this one of 2 or 4 steps.

    direct: map (H, W), whose blocks have no latent.
    """
    if direct[y, x]:
        return False
    if steps == 2:  # a checkerboard, the other way round in the second half of the channels
        return ((y + x + 1) & 1) ^ (g * 2 // groups) == step
    return _TURN[((y & 1) * 2 + (x & 1)) ^ (g * 4 // groups)] == step


@njit
def search_step(target, mean, cls, direct, step, steps, dims, sizes, words, cost, lams, symbols, y, bits):
    """Choose the symbols of one step by |r - c|^2 + lams * bits.

    target (H, W, M) float32 sixteenths; mean (H, W, M) int16; cls (H, W, M/4) uint8; direct (H, W) uint8; lams (H, W) float32; symbols (H, W, M) int32 receives the symbol (or,
    after an escape, 2^20 + value) of each coded vector at its first channel; y (H, W, M) int16 the decoded latent; bits (H, W) float32 grows by what each position costs.
    """
    hh, ww, m = target.shape
    groups = m // 4
    n_words = words.shape[1]
    d2 = np.empty(n_words, np.float32)
    wt = np.ascontiguousarray(words.astype(np.float32).transpose(0, 2, 1))  # (T, 4, K)
    for i in range(hh):
        for j in range(ww):
            lam = lams[i, j]
            for g in range(groups):
                if not active(direct, i, j, g, groups, step, steps):
                    continue
                t = cls[i, j, g]
                dim = dims[t]
                b = g * 4
                if dim == 0:
                    for c in range(4):
                        y[i, j, b + c] = mean[i, j, b + c]
                    continue
                k_n = sizes[t] - (1 if dim < 4 else 0)
                for s in range(0, 4, dim):
                    # distortion in squared steps
                    for k in range(k_n):
                        d2[k] = cost[t, k] * np.float32(lam * 256)
                    for c in range(dim):
                        r = np.float32(target[i, j, b + s + c] - mean[i, j, b + s + c])
                        col = wt[t, c]
                        for k in range(k_n):
                            e = r - col[k]
                            d2[k] += e * e
                    best, bk = d2[0], 0
                    for k in range(1, k_n):
                        if d2[k] < best:
                            best, bk = d2[k], k
                    esc = False
                    if dim < 4:
                        je = cost[t, k_n] * lam * 256.0
                        for c in range(dim):
                            r = target[i, j, b + s + c] - mean[i, j, b + s + c]
                            n = min(max(int(np.rint(r / 16)), -2047), 2047)
                            je += (r - 16 * n) ** 2 + lam * 256.0 * _raw_bits(n)
                        esc = je < best
                    bits[i, j] += cost[t, k_n] if esc else cost[t, bk]
                    for c in range(dim):
                        ch = b + s + c
                        if esc:
                            n = min(max(int(np.rint((target[i, j, ch] - mean[i, j, ch]) / 16)), -2047), 2047)
                            bits[i, j] += _raw_bits(n)
                            symbols[i, j, ch] = (1 << 20) + n
                            v = mean[i, j, ch] + 16 * n
                        else:
                            symbols[i, j, ch] = bk
                            v = mean[i, j, ch] + words[t, bk, c]
                        y[i, j, ch] = min(max(v, -32767), 32767)


@njit
def encode_step(st, out, cls, direct, step, steps, dims, sizes, symbols, cdf, seen):
    """Code the symbols that :func:`search_step` chose."""
    hh, ww, groups = cls.shape
    for i in range(hh):
        for j in range(ww):
            for g in range(groups):
                t = cls[i, j, g]
                dim = dims[t]
                if dim == 0 or not active(direct, i, j, g, groups, step, steps):
                    continue
                for s in range(0, 4, dim):
                    k = symbols[i, j, g * 4 + s]
                    esc = k > (1 << 19)
                    if esc:
                        k = sizes[t] - 1
                    encode(st, out, cdf[t, k], cdf[t, k + 1] - cdf[t, k], TOTAL_BITS)
                    seen[t, k] += 1
                    if esc:
                        for c in range(dim):
                            _encode_value(st, out, symbols[i, j, g * 4 + s + c] - (1 << 20))


@njit
def decode_step(st, data, mean, cls, direct, step, steps, dims, sizes, words, cdf, seen, y, symbols, classes):
    """Decode one step into y (H, W, M) int16; arguments as in :func:`search_step`.

    symbols (H, W, M) int32 and classes (H, W, M/4) int8 receive the symbols and classes of what this step codes, unless they are empty.
    """
    hh, ww, groups = cls.shape
    keep = symbols.size > 0
    for i in range(hh):
        for j in range(ww):
            for g in range(groups):
                if not active(direct, i, j, g, groups, step, steps):
                    continue
                t = cls[i, j, g]
                dim = dims[t]
                b = g * 4
                if keep:
                    classes[i, j, g] = t
                if dim == 0:
                    for c in range(4):
                        y[i, j, b + c] = mean[i, j, b + c]
                    continue
                for s in range(0, 4, dim):
                    k = decode_symbol(st, data, cdf[t], sizes[t])
                    seen[t, k] += 1
                    esc = dim < 4 and k == sizes[t] - 1
                    if keep:
                        symbols[i, j, b + s] = k
                    for c in range(dim):
                        ch = b + s + c
                        if esc:
                            n = _decode_value(st, data)
                            v = mean[i, j, ch] + 16 * n
                            if keep:
                                symbols[i, j, ch] = (1 << 20) + n
                        else:
                            v = mean[i, j, ch] + words[t, k, c]
                        y[i, j, ch] = min(max(v, -32767), 32767)


@njit
def search_hyper(target, idle, base, sizes, words, cost, lam, symbols, z):
    """target (H, W, Z) float32 steps -> symbols (H, W, Z/4) int32 and z (H, W, Z) int16 sixteenths; tables from ``base`` on.

    idle (H, W) bool: positions without a coded latent; they have no hyper-latent, z is 0.
    """
    hh, ww, ch = target.shape
    for i in range(hh):
        for j in range(ww):
            if idle[i, j]:
                z[i, j] = 0
                continue
            for g in range(ch // 4):
                t = base + g
                best, bk = 1e30, 0
                for k in range(sizes[t]):
                    d = lam * cost[t, k]
                    for c in range(4):
                        e = target[i, j, g * 4 + c] - words[t, k, c] / 16.0
                        d += e * e
                    if d < best:
                        best, bk = d, k
                symbols[i, j, g] = bk
                for c in range(4):
                    z[i, j, g * 4 + c] = words[t, bk, c]


@njit
def encode_hyper(st, out, idle, base, symbols, cdf, seen):
    for i in range(symbols.shape[0]):
        for j in range(symbols.shape[1]):
            if idle[i, j]:
                continue
            for g in range(symbols.shape[2]):
                k = symbols[i, j, g]
                encode(st, out, cdf[base + g, k], cdf[base + g, k + 1] - cdf[base + g, k], TOTAL_BITS)
                seen[base + g, k] += 1


@njit
def decode_hyper(st, data, idle, base, sizes, words, cdf, seen, z, symbols):
    """The inverse of :func:`encode_hyper`, into z; symbols (H, W, Z/4) int32 receives the symbols, unless it is empty."""
    keep = symbols.size > 0
    for i in range(z.shape[0]):
        for j in range(z.shape[1]):
            if idle[i, j]:
                z[i, j] = 0
                continue
            for g in range(z.shape[2] // 4):
                k = decode_symbol(st, data, cdf[base + g], sizes[base + g])
                seen[base + g, k] += 1
                if keep:
                    symbols[i, j, g] = k
                for c in range(4):
                    z[i, j, g * 4 + c] = words[base + g, k, c]


assert TOTAL == 1 << TOTAL_BITS
