"""Products of float rows with int8 weights, in exact integers: for the encoder's own nets.

A row of activations or of gradients is rounded to integers of up to 15 bits, by a step of its own,
multiplied with int8 weights by the decoder's kernel, and scaled back. No sum of floats has an order
that a library or a processor chooses: what comes out is the same everywhere. What is rounded away
is below a ten thousandth of the largest value of a row.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ...codec.nets.product import ROWS, Packed, buffers16, multiply16, shared
from ...codec.nets.ranges import SLOPE, TOP8
from ...compiled import njit, njit_borrowing

_MOST = 32767.0  # largest integer of a row
_F = np.float32
_SLOPE = _F(SLOPE)
_LEAST = _F(1e-30)  # nothing
_SUMS = 2**31 - 1  # what an accumulator holds


class RowWeights:
    """int8 weights (K, N), to be multiplied with rows (M, K) of floats."""

    def __init__(self, weights: np.ndarray) -> None:
        self.weights = weights

    @cached_property
    def packed(self) -> np.ndarray:
        """As the kernels read them."""
        return Packed(self.weights).pairs

    @cached_property
    def top(self) -> np.float32:
        """The largest integer that activations may be rounded to."""
        worst = int(np.abs(self.weights, dtype=np.int16).sum(0, dtype=np.int64).max(initial=1))
        return _F(min(_MOST, _SUMS // max(1, worst)))

    def times(
        self, rows: np.ndarray, scale: np.ndarray, bias: np.ndarray, leaky: bool = False
    ) -> np.ndarray:
        """(M, N) float32: rows (M, K) float32 @ weights * scale (N,) + bias (N,), and the leaky
        rectifier of the exact nets."""
        out = np.empty((len(rows), self.weights.shape[1]), np.float32)
        shared(_product, rows, self.packed, self.top, scale, bias, leaky, False, out)
        return out

    def added(self, rows: np.ndarray, scale: np.ndarray, bias: np.ndarray, to: np.ndarray) -> None:
        """The same, without a rectifier, added to an array."""
        shared(_product, rows, self.packed, self.top, scale, bias, False, True, to)

    def back(
        self, gradient: np.ndarray, scale: np.ndarray, seen: np.ndarray, leaky: bool
    ) -> np.ndarray:
        """(M, N) float32: the gradient by what was rounded to ``seen`` (M, N) int8, before its
        rectifier if there was one; that behind the weights, which are transposed, is gradient
        (M, K)."""
        out = np.empty(seen.shape, np.float32)
        slope = _SLOPE if leaky else _F(1)
        shared(_gradient, gradient, self.packed, self.top, scale, seen, slope, False, out)
        return out

    def back_added(
        self, gradient: np.ndarray, scale: np.ndarray, seen: np.ndarray, to: np.ndarray
    ) -> None:
        """The same, without a rectifier, added to an array."""
        shared(_gradient, gradient, self.packed, self.top, scale, seen, _F(1), True, to)


@njit_borrowing
def _rounded(x: np.ndarray, top: np.float32, into: np.ndarray) -> np.float32:
    """A row as integers of at most ``top``; returns what one of them stands for."""
    bits = x.view(np.uint32)
    largest = np.uint32(0)  # of floats without sign, which are in the order of the floats
    for c in range(x.shape[0]):
        largest = max(largest, np.uint32(bits[c] & np.uint32(0x7FFFFFFF)))
    most = np.uint32(largest).view(np.float32)
    if most < _LEAST:
        into[: x.shape[0]] = 0
        return _F(0)
    by = top / most
    for c in range(x.shape[0]):
        into[c] = np.int16(np.rint(min(max(x[c] * by, -top), top)))
    step: np.float32 = most / top
    return step


@njit_borrowing
def _multiply(
    x: np.ndarray,
    i: int,
    n: int,
    w: np.ndarray,
    top: np.float32,
    buffer: np.ndarray,
    steps: np.ndarray,
    acc: np.ndarray,
) -> None:
    """acc (ROWS, columns) = rows i to i + n of x, rounded by the steps that ``steps`` receives."""
    for r in range(n):
        steps[r] = _rounded(x[i + r], top, buffer[r])
    multiply16(buffer, w, acc)


@njit
def _product(
    x: np.ndarray,
    begin: int,
    end: int,
    w: np.ndarray,
    top: np.float32,
    scale: np.ndarray,
    bias: np.ndarray,
    leaky: bool,
    add: bool,
    out: np.ndarray,
) -> None:
    room = buffers16(w)
    _product_in(
        x, begin, end, w, top, scale, bias, leaky, add, out, *room, np.empty(ROWS, np.float32)
    )


@njit_borrowing
def _product_in(
    x: np.ndarray,
    begin: int,
    end: int,
    w: np.ndarray,
    top: np.float32,
    scale: np.ndarray,
    bias: np.ndarray,
    leaky: bool,
    add: bool,
    out: np.ndarray,
    buffer: np.ndarray,
    acc: np.ndarray,
    steps: np.ndarray,
) -> None:
    for i in range(begin, end, ROWS):
        n = min(ROWS, end - i)
        _multiply(x, i, n, w, top, buffer, steps, acc)
        for r in range(n):
            a, o, step = acc[r], out[i + r], steps[r]
            if add:
                for c in range(o.shape[0]):
                    o[c] += _F(a[c]) * step * scale[c] + bias[c]
            elif leaky:
                for c in range(o.shape[0]):
                    v = _F(a[c]) * step * scale[c] + bias[c]
                    o[c] = v if v >= _F(0) else v * _SLOPE
            else:
                for c in range(o.shape[0]):
                    o[c] = _F(a[c]) * step * scale[c] + bias[c]


@njit
def _gradient(
    g: np.ndarray,
    begin: int,
    end: int,
    w: np.ndarray,
    top: np.float32,
    scale: np.ndarray,
    seen: np.ndarray,
    slope: np.float32,
    add: bool,
    out: np.ndarray,
) -> None:
    room = buffers16(w)
    _gradient_in(
        g, begin, end, w, top, scale, seen, slope, add, out, *room, np.empty(ROWS, np.float32)
    )


@njit_borrowing
def _gradient_in(
    g: np.ndarray,
    begin: int,
    end: int,
    w: np.ndarray,
    top: np.float32,
    scale: np.ndarray,
    seen: np.ndarray,
    slope: np.float32,
    add: bool,
    out: np.ndarray,
    buffer: np.ndarray,
    acc: np.ndarray,
    steps: np.ndarray,
) -> None:
    for i in range(begin, end, ROWS):
        n = min(ROWS, end - i)
        _multiply(g, i, n, w, top, buffer, steps, acc)
        for r in range(n):
            a, s, o, step = acc[r], seen[i + r], out[i + r], steps[r]
            for c in range(o.shape[0]):
                v = _F(a[c]) * step * scale[c] * passed(s[c], slope)
                o[c] = o[c] + v if add else v


@njit_borrowing
def passed(seen: int, slope: np.float32) -> np.float32:
    """What of a gradient passes a rounding to 8 bits: nothing where that clips, ``slope`` of it
    where the rectifier was negative, as it was for most of all zeros."""
    if abs(seen) >= TOP8:
        return _F(0)
    if seen == 0:
        return slope + (_F(1) - slope) * slope
    return slope if seen < 0 else _F(1)
