"""Codebooks of the rate classes and their adaptive symbol tables."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numba.extending import register_jitable

from ..compiled import njit_borrowing
from .nets.shape import CLASSES, GROUP, HYPER_BUCKETS
from .range_coder import TOTAL_BITS, build_cdf

MAX_SYMBOLS = 4096  # of a table
UNIT = 16  # codeword units in one quantisation step
MAX_LATENT = 32767  # largest absolute value of a latent
ESCAPE_BITS = 12  # bit length of an escaped number at which a reader stops
ESCAPE_MAX = 2047  # largest absolute value that a writer escapes
_ESCAPED = 1 << 20  # far above the symbols of any table
INCREMENT = 32  # added to the count of a coded symbol
HALVE_AT = 1 << 17  # total of a table at which its counts are halved
Symbols = TypeVar("Symbols", int, np.ndarray)


@register_jitable
def escape(number: Symbols) -> Symbols:
    """What stands in arrays of symbols for a number coded behind an escape; takes arrays too."""
    return _ESCAPED + number


@register_jitable
def is_escape(symbol: Symbols) -> Symbols:
    """Whether it is no symbol of a table but an :func:`escape`."""
    return symbol >= MAX_SYMBOLS


@register_jitable
def escaped_number(symbol: Symbols) -> Symbols:
    """The inverse of :func:`escape`."""
    return symbol - _ESCAPED


@dataclass
class Codebooks:
    """dims (T,), sizes (T,) symbols with the escape, words (T, K, 4) int16, counts (T, K) uint32 to
    start from.

    The first CLASSES tables are the rate classes, the rest the groups of the hyper-latent, quality
    range by quality range.
    """

    dims: np.ndarray
    sizes: np.ndarray
    words: np.ndarray
    counts: np.ndarray

    @property
    def hyper_channels(self) -> int:
        """Channels of the hyper-latent that there are tables for."""
        return (len(self.sizes) - CLASSES) // HYPER_BUCKETS * GROUP

    def hyper_alone(self) -> Codebooks:
        """The same with the hyper-latent's tables only: the others have no symbols."""
        sizes = self.sizes.copy()
        sizes[:CLASSES] = 0
        longest = int(sizes.max(initial=1))
        words, counts = self.words[:, :longest].copy(), self.counts[:, :longest].copy()
        counts[:CLASSES] = 0
        return Codebooks(self.dims, sizes, words, counts)

    @classmethod
    def none(cls) -> Codebooks:
        """No symbols at all, and no hyper-latent: of a model that isn't there."""
        tables = np.zeros(CLASSES, np.int64)
        words, counts = np.zeros((CLASSES, 1, 4), np.int16), np.zeros((CLASSES, 1), np.uint32)
        return cls(tables, tables, words, counts)

    def packed(self) -> dict[str, np.ndarray]:
        """Arrays for a weights file: words and counts one table after the other, without what lies
        beyond a table's size and dimension."""
        tables = range(len(self.dims))
        words = [self.words[t, : self.sizes[t], : self.dims[t]].ravel() for t in tables]
        counts = [self.counts[t, : self.sizes[t]] for t in tables]
        return {
            "dims": self.dims,
            "sizes": self.sizes,
            "words": np.concatenate(words),
            "counts": np.concatenate(counts),
        }

    @classmethod
    def unpacked(
        cls, dims: np.ndarray, sizes: np.ndarray, words: np.ndarray, counts: np.ndarray
    ) -> Codebooks:
        """The inverse of :meth:`packed`. Raises ValueError where the arrays don't fit together."""
        if (
            dims.shape != sizes.shape
            or dims.ndim != 1
            or not np.isin(dims, (0, 1, 2, 4)).all()
            or (sizes < 0).any()
            or (sizes > MAX_SYMBOLS).any()
        ):
            raise ValueError("codebooks of impossible sizes")
        if words.shape != (int((sizes * dims).sum()),) or counts.shape != (int(sizes.sum()),):
            raise ValueError("codebooks cut short")
        longest = int(sizes.max(initial=1))
        books = cls(
            dims,
            sizes,
            np.zeros((len(dims), longest, 4), words.dtype),
            np.zeros((len(dims), longest), counts.dtype),
        )
        words_at = counts_at = 0
        for table, (dim, size) in enumerate(zip(dims.tolist(), sizes.tolist(), strict=True)):
            books.words[table, :size, :dim] = words[words_at : words_at + size * dim].reshape(
                size, dim
            )
            books.counts[table, :size] = counts[counts_at : counts_at + size]
            words_at, counts_at = words_at + size * dim, counts_at + size
        return books


class Tables:
    """Adaptive state of the symbol tables of one frame type."""

    def __init__(self, books: Codebooks, counts: np.ndarray | None = None):
        self.books = books
        self.counts = books.counts if counts is None else counts  # (T, K), never written
        # many frames code no symbol at all: what symbols are coded by is made when one is
        self._seen: np.ndarray | None = None
        self._cdf: np.ndarray | None = None
        self._costs: np.ndarray | None = None

    @property
    def seen(self) -> np.ndarray:
        """(T, K) how often each symbol was coded."""
        if self._seen is None:
            self._seen = np.zeros_like(self.counts)
        return self._seen

    @property
    def cdf(self) -> np.ndarray:
        """(T, K + 1) uint32 cumulative frequencies."""
        if self._cdf is None:
            cdf = np.zeros((self.counts.shape[0], self.counts.shape[1] + 1), np.uint32)
            build_cdf(self.counts, self.books.sizes, cdf)
            self._cdf = cdf
        return self._cdf

    def fresh(self) -> Tables:
        """The same tables, with nothing coded yet."""
        _ = self.cdf  # which both have then
        tables = copy.copy(self)
        tables._seen = None
        return tables

    def costs(self) -> np.ndarray:
        """(T, K) float32 bits of each symbol; worked out once, for :meth:`fresh` copies too."""
        if self._costs is None:
            share = np.maximum(np.diff(self.cdf.astype(np.int64), axis=1), 1)
            self._costs = (TOTAL_BITS - np.log2(share)).astype(np.float32)
        return self._costs

    def adapted(self) -> np.ndarray:
        """Counts after the symbols coded with these tables."""
        if self._seen is None and self.counts is not self.books.counts:
            return self.counts  # adapted before: none is above HALVE_AT
        counts = self.counts.copy()
        adapt(counts, self.seen)
        return counts


@njit_borrowing
def adapt(counts: np.ndarray, seen: np.ndarray) -> None:
    """Add what was coded to the counts (T, K) of T tables, each symbol ``seen`` (T, K) worth
    INCREMENT. A table whose sum passes HALVE_AT is halved."""
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
