"""The exact depthwise convolution of int8 rows, compiled for the processor that runs it.

Two taps of a channel are a word of 32 bits, whose products are added at once, as in
:mod:`.product`. All nine taps of some channels are summed up in registers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ...compiled import njit, njit_borrowing
from .product import LANES, multiplied
from .ranges import TOP8

TAPS = 9
_WORDS = (TAPS + 1) // 2  # of two taps
_F = np.float32
_TOP8 = _F(TOP8)


def _typed(typing_context, rows, words, stride, bias, acc, channels):  # type: ignore[no-untyped-def]
    """acc (C,) int32: bias (C,) int32 and the products of nine rows (C,) int8, whose addresses are
    at ``rows``, with words (5, C) of taps; ``channels``, a multiple of LANES, of them. Addresses
    and strides are in bytes."""
    return types.void(*[types.intp] * 6), _emit


_sums: Any = intrinsic(_typed)


def _emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    rows, words, stride, bias, acc, channels = args
    i32 = ir.IntType(32)
    bytes_, lanes = ir.VectorType(ir.IntType(8), LANES), ir.VectorType(i32, LANES)
    low, high = (ir.Constant(lanes, [n] * LANES) for n in (0xFFFF, 16))
    given = addresses(builder, rows)
    taps = [builder.add(words, builder.mul(stride, number(k))) for k in range(_WORDS)]

    def some(channel: Any) -> None:
        four = builder.mul(channel, number(4))
        total = loaded(builder, builder.add(bias, four), lanes)
        for k in range(_WORDS):
            pair = given[2 * k : 2 * k + 2]
            values = [
                builder.sext(loaded(builder, builder.add(r, channel), bytes_, 1), lanes)
                for r in pair
            ]
            word = builder.and_(values[0], low)
            if len(values) > 1:
                word = builder.or_(word, builder.shl(values[1], high))
            total = multiplied(
                builder, total, word, loaded(builder, builder.add(taps[k], four), lanes), False
            )
        builder.store(total, pointer(builder, builder.add(acc, four), lanes)).align = 4

    each(builder, channels, some)
    return context.get_dummy_value()


def number(value: int) -> Any:
    """An address or a distance."""
    return ir.Constant(ir.IntType(64), value)


def pointer(builder: Any, address: Any, kind: Any) -> Any:
    """Emit the pointer to a value of a kind."""
    return builder.inttoptr(address, kind.as_pointer())


def loaded(builder: Any, address: Any, kind: Any, align: int = 4) -> Any:
    """Emit a value of a kind that is loaded."""
    value = builder.load(pointer(builder, address, kind))
    value.align = align
    return value


def addresses(builder: Any, rows: Any) -> list[Any]:
    """Emit the addresses of nine rows, which are at an address."""
    return [
        builder.load(pointer(builder, builder.add(rows, number(8 * t)), ir.IntType(64)))
        for t in range(TAPS)
    ]


def each(builder: Any, channels: Any, some: Callable[[Any], None]) -> None:
    """Emit a loop over channels, LANES of them at a time, whose first is given to ``some``."""
    before = builder.block
    loop, done = (builder.function.append_basic_block(name) for name in ("channels", "done"))
    builder.cbranch(builder.icmp_signed(">", channels, number(0)), loop, done)
    builder.position_at_end(loop)
    channel = builder.phi(ir.IntType(64))
    channel.add_incoming(number(0), before)
    some(channel)
    after = builder.add(channel, number(LANES))
    channel.add_incoming(after, builder.block)
    builder.cbranch(builder.icmp_signed("<", after, channels), loop, done)
    builder.position_at_end(done)


@njit_borrowing
def point_around(
    x: np.ndarray, m: int, near: np.ndarray, nothing: np.ndarray, rows: np.ndarray
) -> None:
    """rows (9,) int64 receives the addresses of the rows of x around row m; of ``nothing`` (C,),
    which is zeros, where there is none: near (M, 9) says M."""
    first, none = x.ctypes.data, nothing.ctypes.data
    for tap in range(TAPS):
        r = near[m, tap]
        rows[tap] = none if r == x.shape[0] else first + r * x.strides[0]


@njit
def depthwise(
    x: np.ndarray,
    begin: int,
    end: int,
    near: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray,
    scale: np.ndarray,
    out: np.ndarray,
) -> None:
    """Convolve each channel of the rows x (M, C) int8 with its taps w (9, C) int8, and write what
    is requantised to out, of x's shape, from row ``begin`` to ``end``. near (M, 9): rows around
    each, M for zeros."""
    channels = x.shape[1]
    words, nothing = np.zeros((_WORDS, channels), np.int32), np.zeros(channels, np.int8)
    for tap in range(TAPS):
        for c in range(channels):
            value = np.int32(w[tap, c])
            if tap & 1:
                words[tap >> 1, c] |= value << 16
            else:
                words[tap >> 1, c] = value & 0xFFFF
    rows, acc = np.empty(TAPS, np.int64), np.empty(channels, np.int32)
    _depthwise(x, begin, end, near, w, bias, scale, out, words, nothing, rows, acc)


@njit_borrowing
def _depthwise(
    x: np.ndarray,
    begin: int,
    end: int,
    near: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray,
    scale: np.ndarray,
    out: np.ndarray,
    words: np.ndarray,
    nothing: np.ndarray,
    rows: np.ndarray,
    acc: np.ndarray,
) -> None:
    """words (5, C) int32: taps; nothing (C,): zeros; rows (9,) int64, acc (C,) int32: room."""
    count, channels = x.shape
    whole = channels // LANES * LANES
    for m in range(begin, end):
        point_around(x, m, near, nothing, rows)
        _sums(
            rows.ctypes.data, words.ctypes.data, 4 * channels, bias.ctypes.data, acc.ctypes.data,
            whole,
        )  # fmt: skip
        for c in range(whole, channels):
            total = bias[c]
            for tap in range(TAPS):
                if near[m, tap] != count:
                    total += np.int32(x[near[m, tap], c]) * np.int32(w[tap, c])
            acc[c] = total
        o = out[m]
        for c in range(channels):
            v = np.float32(acc[c]) * scale[c]
            o[c] = np.int8(np.rint(min(max(v, -_TOP8), _TOP8)))
