"""Section Entropy coding: range decoder, adaptive binary contexts, symbol tables."""

from __future__ import annotations

import numpy as np

TOTAL_BITS = 15
FAST, SLOW = 4, 7
START = 32768
EDGE = 48
INCREMENT = 32
HALVE_AT = 131072

Contexts = list[tuple[int, int]]


class RangeDecoder:
    """A frame's stream, read with ``contexts``, which it changes."""

    def __init__(self, data: bytes, contexts: Contexts):
        self.data, self.at, self.contexts = data, 0, contexts
        self.range, self.code = 0xFFFFFFFF, 0
        for _ in range(4):
            self.code = self.code << 8 | self.byte()

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1] if self.at <= len(self.data) else 0

    def renormalise(self) -> None:
        while self.range < 1 << 24:
            self.code = (self.code << 8 | self.byte()) & 0xFFFFFFFF
            self.range <<= 8

    def bit(self, context: int) -> int:
        f, s = self.contexts[context]
        p = max(EDGE, min(65536 - EDGE, (f + s) >> 1))
        bound = (self.range >> 16) * p
        if self.code < bound:
            bit, self.range = 0, bound
            f, s = f + ((65535 - f) >> FAST), s + ((65535 - s) >> SLOW)
        else:
            bit = 1
            self.code -= bound
            self.range -= bound
            f, s = f - (f >> FAST), s - (s >> SLOW)
        self.contexts[context] = f, s
        self.renormalise()
        return bit

    def raw(self, n: int) -> int:
        v = 0
        for _ in range(n):
            self.range >>= 1
            bit = int(self.code >= self.range)
            if bit:
                self.code -= self.range
            v = v << 1 | bit
            self.renormalise()
        return v

    def symbol(self, cdf: list[int]) -> int:
        r = self.range >> TOTAL_BITS
        v = min(self.code // r, (1 << TOTAL_BITS) - 1)
        k = next(k for k in range(len(cdf) - 1) if cdf[k] <= v < cdf[k + 1])
        self.code = (self.code - r * cdf[k]) & 0xFFFFFFFF
        self.range = r * (cdf[k + 1] - cdf[k])
        self.renormalise()
        return k

    @property
    def consumed(self) -> bool:
        return len(self.data) <= self.at


class Tables:
    """The symbol tables of one frame: cumulative ones from the counts at its start, and how often
    each symbol was coded."""

    def __init__(self, counts: list[np.ndarray]):
        """counts[t]: starting counts of table t, as many as it has symbols."""
        self.counts = counts
        self.coded = [np.zeros_like(c) for c in counts]
        self.made: dict[int, list[int]] = {}

    def cdf(self, t: int) -> list[int]:
        if t not in self.made:
            c = [int(n) for n in self.counts[t]]
            free, total, below, cdf = (1 << TOTAL_BITS) - len(c), sum(c) or 1, 0, []
            for i, n in enumerate(c):
                cdf.append(i + below * free // total)
                below += n
            self.made[t] = [*cdf, 1 << TOTAL_BITS]
        return self.made[t]

    def read(self, stream: RangeDecoder, t: int) -> int:
        k = stream.symbol(self.cdf(t))
        self.coded[t][k] += 1
        return k

    def adapted(self) -> list[np.ndarray]:
        """The counts at the end of the frame."""
        result = []
        for c, n in zip(self.counts, self.coded, strict=True):
            c = c + INCREMENT * n
            while c.sum() > HALVE_AT:
                c = c >> 1
            result.append(c)
        return result
