"""Depthwise convolutions of the encoder's own nets, forward and backward, on rows of floats: each
sum in one written order, so that it is the same on every processor."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ...codec.nets.depthwise import TAPS, addresses, each, loaded, number, point_around, pointer
from ...codec.nets.product import LANES
from ...codec.nets.ranges import SLOPE
from ...compiled import njit, njit_borrowing
from .row_products import passed

_SLOPE = np.float32(SLOPE)


def _typed(typing_context, rows, taps, stride, out, channels):  # type: ignore[no-untyped-def]
    """out (C,) float32 plus the products of nine rows (C,), whose addresses are at ``rows``, with
    taps (9, C), one after the other; ``channels``, a multiple of LANES, of them."""
    return types.void(*[types.intp] * 5), _emit


_sums: Any = intrinsic(_typed)


def _emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    rows, taps, stride, out, channels = args
    lanes = ir.VectorType(ir.FloatType(), LANES)
    given = addresses(builder, rows)
    by = [builder.add(taps, builder.mul(stride, number(t))) for t in range(TAPS)]

    def some(channel: Any) -> None:
        four = builder.mul(channel, number(4))
        total = loaded(builder, builder.add(out, four), lanes)
        for row, tap in zip(given, by, strict=True):
            x, k = (loaded(builder, builder.add(a, four), lanes) for a in (row, tap))
            total = builder.fadd(total, builder.fmul(x, k))
        builder.store(total, pointer(builder, builder.add(out, four), lanes)).align = 4

    each(builder, channels, some)
    return context.get_dummy_value()


@njit_borrowing
def _add_around(
    x: np.ndarray,
    m: int,
    near: np.ndarray,
    taps: np.ndarray,
    o: np.ndarray,
    nothing: np.ndarray,
    rows: np.ndarray,
) -> None:
    """Add what the taps take of the rows around row m, to o (C,). nothing (C,): zeros; rows (9,)
    int64: room."""
    count, channels = x.shape
    whole = channels // LANES * LANES
    point_around(x, m, near, nothing, rows)
    _sums(rows.ctypes.data, taps.ctypes.data, 4 * channels, o.ctypes.data, whole)
    for c in range(whole, channels):
        for tap in range(TAPS):
            if near[m, tap] != count:
                o[c] += x[near[m, tap], c] * taps[tap, c]


@njit
def depthwise(
    x: np.ndarray,
    begin: int,
    end: int,
    near: np.ndarray,
    taps: np.ndarray,
    bias: np.ndarray,
    out: np.ndarray,
) -> None:
    """Convolve each channel of the rows x (M, C) float32 with its taps (9, C), plus bias (C,), from
    row ``begin`` to ``end``. near (M, 9): rows around each, M for zeros."""
    nothing, rows = np.zeros(x.shape[1], np.float32), np.empty(TAPS, np.int64)
    _depthwise(x, begin, end, near, taps, bias, out, nothing, rows)


@njit_borrowing
def _depthwise(
    x: np.ndarray,
    begin: int,
    end: int,
    near: np.ndarray,
    taps: np.ndarray,
    bias: np.ndarray,
    out: np.ndarray,
    nothing: np.ndarray,
    rows: np.ndarray,
) -> None:
    for m in range(begin, end):
        o = out[m]
        for c in range(o.shape[0]):
            o[c] = bias[c]
        _add_around(x, m, near, taps, o, nothing, rows)


@njit
def back_depthwise(
    g: np.ndarray,
    begin: int,
    end: int,
    near: np.ndarray,
    taps: np.ndarray,
    seen: np.ndarray,
    out: np.ndarray,
) -> None:
    """The gradient by what was rounded to seen (M, C) int8 behind a leaky rectifier, of a
    convolution behind which it is g (M, C), with its taps (9, C) float32 from the last to the
    first; of rows as above."""
    nothing, rows = np.zeros(g.shape[1], np.float32), np.empty(TAPS, np.int64)
    _back_depthwise(g, begin, end, near, taps, seen, out, nothing, rows)


@njit_borrowing
def _back_depthwise(
    g: np.ndarray,
    begin: int,
    end: int,
    near: np.ndarray,
    taps: np.ndarray,
    seen: np.ndarray,
    out: np.ndarray,
    nothing: np.ndarray,
    rows: np.ndarray,
) -> None:
    for m in range(begin, end):
        o, s = out[m], seen[m]
        o[:] = 0
        _add_around(g, m, near, taps, o, nothing, rows)
        for c in range(o.shape[0]):
            o[c] *= passed(s[c], _SLOPE)
