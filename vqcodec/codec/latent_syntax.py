"""Entropy-constrained vector quantiser whose codebook is chosen by the rate class of each group of
four latent channels.

A class has a codebook of dimension 4 (one symbol a group), 2 (two symbols), 1 (four) or 0 (never
coded: all zero). Codewords are int16 sixteenths of a step; codeword 0 is the exact zero. Every
codebook but those of dimension 4 ends with an escape symbol, after which the values follow as raw
integers in whole steps. Symbols are coded under integer tables, one a class, whose counts adapt to
what was coded before (Chou, Lookabaugh and Gray 1989 for the quantiser).

The hyper-latent is coded the same way with one 4-D codebook for each group of its channels and each
of four ranges of quality.
"""

from __future__ import annotations

import numpy as np

from ..compiled import njit_borrowing
from .codebooks import ESCAPE_BITS, MAX_LATENT, UNIT, escape, escaped_number, is_escape
from .nets.shape import TURN
from .range_coder import Decoder, Encoder, decode_raw, decode_symbol, encode_raw, encode_symbol


@njit_borrowing
def raw_bits(n: int) -> int:
    """Bits that an escaped value takes: Elias gamma of its absolute value, and its sign."""
    a, k = abs(n), 0
    while a:
        a >>= 1
        k += 1
    return 2 * k + 1


@njit_borrowing
def _encode_value(coder: Encoder, n: int) -> None:
    # Elias gamma in raw bits: bit length in unary, the bits below the first, the sign
    a, k = abs(n), 0
    while (a >> k) > 0:
        k += 1
    for _ in range(k):
        encode_raw(coder, 1, 1)
    encode_raw(coder, 0, 1)
    if k > 1:
        encode_raw(coder, a & ((1 << (k - 1)) - 1), k - 1)
    if k:
        encode_raw(coder, 1 if n < 0 else 0, 1)


@njit_borrowing
def _decode_value(coder: Decoder) -> int:
    k = 0
    while k < ESCAPE_BITS and decode_raw(coder, 1):
        k += 1
    if k == 0:
        return 0
    a = 1
    if k > 1:
        a = (1 << (k - 1)) | decode_raw(coder, k - 1)
    return -a if decode_raw(coder, 1) else a


_TURN = np.array(TURN)


@njit_borrowing
def active(direct: np.ndarray, y: int, x: int, g: int, groups: int, step: int, steps: int) -> bool:
    """Whether group g of ``groups`` at (y, x) is coded in this one of 2 or 4 steps.

    direct: map (H, W), whose blocks have no latent.
    """
    if direct[y, x]:
        return False
    if steps == 2:  # a checkerboard, the other way round in the second half of the channels
        return ((y + x + 1) & 1) ^ (g * 2 // groups) == step
    return bool(_TURN[((y & 1) * 2 + (x & 1)) ^ (g * 4 // groups)] == step)


@njit_borrowing
def encode_step(
    coder: Encoder,
    cls: np.ndarray,
    direct: np.ndarray,
    step: int,
    steps: int,
    dims: np.ndarray,
    sizes: np.ndarray,
    symbols: np.ndarray,
    cdf: np.ndarray,
    seen: np.ndarray,
) -> None:
    """Code the symbols that :func:`search_step` chose."""
    hh, ww, groups = cls.shape
    for i in range(hh):
        for j in range(ww):
            if direct[i, j]:
                continue
            for g in range(groups):
                t = cls[i, j, g]
                dim = dims[t]
                if dim == 0 or not active(direct, i, j, g, groups, step, steps):
                    continue
                for s in range(0, 4, dim):
                    k = symbols[i, j, g * 4 + s]
                    esc = is_escape(k)
                    if esc:
                        k = sizes[t] - 1
                    encode_symbol(coder, cdf[t], k)
                    seen[t, k] += 1
                    if esc:
                        for c in range(dim):
                            _encode_value(coder, escaped_number(symbols[i, j, g * 4 + s + c]))


@njit_borrowing
def decode_step(
    coder: Decoder,
    mean: np.ndarray,
    cls: np.ndarray,
    direct: np.ndarray,
    step: int,
    steps: int,
    dims: np.ndarray,
    sizes: np.ndarray,
    words: np.ndarray,
    cdf: np.ndarray,
    seen: np.ndarray,
    y: np.ndarray,
    symbols: np.ndarray,
    classes: np.ndarray,
) -> None:
    """Decode one step into y (H, W, M) int16; arguments as in :func:`search_step`.

    symbols (H, W, M) int32 and classes (H, W, M/4) int8 receive the symbols and classes of what
    this step codes, unless they are empty.
    """
    hh, ww, groups = cls.shape
    keep = symbols.size > 0
    for i in range(hh):
        for j in range(ww):
            if direct[i, j]:
                continue
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
                    k = decode_symbol(coder, cdf[t], sizes[t])
                    seen[t, k] += 1
                    esc = dim < 4 and k == sizes[t] - 1
                    if keep:
                        symbols[i, j, b + s] = k
                    for c in range(dim):
                        ch = b + s + c
                        if esc:
                            n = _decode_value(coder)
                            v = mean[i, j, ch] + UNIT * n
                            if keep:
                                symbols[i, j, ch] = escape(n)
                        else:
                            v = mean[i, j, ch] + words[t, k, c]
                        y[i, j, ch] = min(max(v, -MAX_LATENT), MAX_LATENT)


@njit_borrowing
def encode_hyper(
    coder: Encoder,
    idle: np.ndarray,
    base: int,
    symbols: np.ndarray,
    cdf: np.ndarray,
    seen: np.ndarray,
) -> None:
    """Write the symbols (H, W, groups) of a hyper-latent where it is not ``idle`` (H, W), and count
    them in ``seen``; ``base`` is the first table of the frame's range of quality."""
    for i in range(symbols.shape[0]):
        for j in range(symbols.shape[1]):
            if idle[i, j]:
                continue
            for g in range(symbols.shape[2]):
                k = symbols[i, j, g]
                encode_symbol(coder, cdf[base + g], k)
                seen[base + g, k] += 1


@njit_borrowing
def decode_hyper(
    coder: Decoder,
    idle: np.ndarray,
    base: int,
    sizes: np.ndarray,
    words: np.ndarray,
    cdf: np.ndarray,
    seen: np.ndarray,
    z: np.ndarray,
    symbols: np.ndarray,
) -> None:
    """The inverse of :func:`encode_hyper`, into z; symbols (H, W, Z/4) int32 receives the symbols,
    unless it is empty."""
    keep = symbols.size > 0
    for i in range(z.shape[0]):
        for j in range(z.shape[1]):
            if idle[i, j]:
                z[i, j] = 0
                continue
            for g in range(z.shape[2] // 4):
                k = decode_symbol(coder, cdf[base + g], sizes[base + g])
                seen[base + g, k] += 1
                if keep:
                    symbols[i, j, g] = k
                for c in range(4):
                    z[i, j, g * 4 + c] = words[base + g, k, c]


def no_symbols(blocks: np.ndarray, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Symbols (H/16, W/16, M) int32 and classes (H/16, W/16, M/4) int8 of a latent, all -1."""
    return (
        np.full((*blocks.shape, channels), -1, np.int32),
        np.full((*blocks.shape, channels // 4), -1, np.int8),
    )
