"""Codewords of latents and hyper-latents, chosen by rate and distortion."""

from __future__ import annotations

import numpy as np

from ..codec.codebooks import ESCAPE_MAX, MAX_LATENT, UNIT, escape
from ..codec.latent_syntax import active, raw_bits
from ..compiled import njit, njit_borrowing


@njit
def search_step(
    target, mean, cls, direct, step, steps, dims, sizes, words, cost, lams, symbols, y, bits
):
    """Choose the symbols of one step by |r - c|^2 + lams * bits.

    target (H, W, M) float32 sixteenths; mean (H, W, M) int16; cls (H, W, M/4) uint8; direct (H, W)
    uint8; lams (H, W) float32; symbols (H, W, M) int32 receives the symbol (or, after an escape,
    2^20 + value) of each coded vector at its first channel; y (H, W, M) int16 the decoded latent;
    bits (H, W) float32 grows by what each position costs.
    """
    d2 = np.empty(words.shape[1], np.float32)
    wt = np.ascontiguousarray(words.astype(np.float32).transpose(0, 2, 1))  # (T, 4, K)
    _search_step(
        target, mean, cls, direct, step, steps, dims, sizes, words, cost, lams, wt, d2, symbols, y,
        bits,
    )  # fmt: skip


@njit_borrowing
def _search_step(
    target, mean, cls, direct, step, steps, dims, sizes, words, cost, lams, wt, d2, symbols, y,
    bits,
):  # fmt: skip
    """:func:`search_step` with the codewords (T, 4, K) float32 turned, and room (K,) for their
    costs."""
    hh, ww, m = target.shape
    groups = m // 4
    for i in range(hh):
        for j in range(ww):
            if direct[i, j]:
                continue
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
                            n = min(max(int(np.rint(r / UNIT)), -ESCAPE_MAX), ESCAPE_MAX)
                            je += (r - UNIT * n) ** 2 + lam * 256.0 * raw_bits(n)
                        esc = je < best
                    bits[i, j] += cost[t, k_n] if esc else cost[t, bk]
                    for c in range(dim):
                        ch = b + s + c
                        if esc:
                            n = min(
                                max(
                                    int(np.rint((target[i, j, ch] - mean[i, j, ch]) / UNIT)),
                                    -ESCAPE_MAX,
                                ),
                                ESCAPE_MAX,
                            )
                            bits[i, j] += raw_bits(n)
                            symbols[i, j, ch] = escape(n)
                            v = mean[i, j, ch] + UNIT * n
                        else:
                            symbols[i, j, ch] = bk
                            v = mean[i, j, ch] + words[t, bk, c]
                        y[i, j, ch] = min(max(v, -MAX_LATENT), MAX_LATENT)


@njit_borrowing
def search_hyper(target, idle, base, sizes, words, cost, lam, symbols, z):
    """target (H, W, Z) float32 steps -> symbols (H, W, Z/4) int32 and z (H, W, Z) int16 sixteenths;
    tables from ``base`` on.

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
                        e = target[i, j, g * 4 + c] - words[t, k, c] / UNIT
                        d += e * e
                    if d < best:
                        best, bk = d, k
                symbols[i, j, g] = bk
                for c in range(4):
                    z[i, j, g * 4 + c] = words[t, bk, c]
