"""The exact product of int8 activations and weights, compiled for the processor that runs it, with
what follows it done in its store.

The inner loop is written once as LLVM vector operations. Words of 32 bits hold neighbouring
activations of a row: a pair of 16 bits each, or where the processor adds four products of bytes at
once (VNNI) four of 8 bits, the activations with 128 added. A pair of products is added before it
meets the 32-bit accumulator, and fits; four bytes' are added in 32 bits by the instruction's
definition. So nothing saturates, and every result is exact.

A tile of rows is multiplied with all columns, and requantised while its accumulators are in the
first-level cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from ...compiled import njit, njit_borrowing
from ...system.threads import in_parts, thread_count
from .ranges import SLOPE, TOP8, TOP16, WIDE

_FEATURES = set(cpu_target.target_context.codegen()._tm_features.split(","))
_WIDE = {"+avx512f", "+avx512bw", "+avx512vl"} <= _FEATURES
# the processor adds the products of a word, of four bytes or of a pair, at once
QUADS = (_WIDE and "+avx512vnni" in _FEATURES) or "+avxvnni" in _FEATURES
LANES = 16 if _WIDE else 8  # words of a vector
ROWS, VECTORS = (
    (8, 3) if _WIDE else (6, 2)
)  # of accumulators in registers, of which there are 32 or 16
_ALONE = 256  # rows that are not worth another thread
_F = np.float32
_TOP8, _TOP16, _WIDE_TOP, _SLOPE = (_F(v) for v in (TOP8, TOP16, WIDE, SLOPE))


def _tile(quads: bool, vectors: int) -> Any:
    """An intrinsic: acc (ROWS, vectors * LANES) int32 = rows of words (ROWS, words) * blocks of
    columns (vectors, words, LANES); addresses and strides in bytes."""

    @intrinsic
    def tile(typing_context, rows, row_stride, blocks, block_stride, words, acc, acc_stride):  # type: ignore[no-untyped-def]
        return types.void(*[types.intp] * 7), lambda context, builder, signature, args: _emit(
            context, builder, args, quads, vectors
        )

    return tile


def multiplied(builder: Any, total: Any, first: Any, second: Any, quads: bool) -> Any:
    """Emit total + first * second, words of LANES, whose two or, with ``quads``, four products are
    added."""
    i16, i32 = ir.IntType(16), ir.IntType(32)
    lanes, halves, wide = (
        ir.VectorType(i32, LANES),
        ir.VectorType(i16, 2 * LANES),
        ir.VectorType(i32, 2 * LANES),
    )
    if QUADS:
        name = f"llvm.x86.avx512.{'vpdpbusd' if quads else 'vpdpwssd'}.{32 * LANES}"
        function = builder.module.globals.get(name) or ir.Function(
            builder.module, ir.FunctionType(lanes, [lanes] * 3), name
        )
        return builder.call(function, [total, first, second])
    products = builder.mul(
        builder.sext(builder.bitcast(first, halves), wide),
        builder.sext(builder.bitcast(second, halves), wide),
    )
    sides = (ir.Constant(lanes, list(range(k, 2 * LANES, 2))) for k in (0, 1))
    even, odd = (
        builder.shuffle_vector(products, ir.Constant(wide, ir.Undefined), side) for side in sides
    )
    return builder.add(total, builder.add(even, odd))


def _emit(context: Any, builder: Any, args: Any, quads: bool, vectors: int) -> Any:
    values, values_stride, weights, weights_stride, words, acc, acc_stride = args
    i32, i64 = ir.IntType(32), ir.IntType(64)
    lanes = ir.VectorType(i32, LANES)
    zeros = ir.Constant(lanes, [0] * LANES)

    def number(value: int) -> Any:
        return ir.Constant(i64, value)

    def nothing(kind: Any) -> Any:
        return ir.Constant(kind, ir.Undefined)

    def loaded(pointer: Any, at: Any) -> Any:
        value = builder.load(builder.gep(pointer, [at]))
        value.align = 4
        return value

    def pointers(start: Any, stride: Any, count: int, kind: Any) -> list[Any]:
        places = (builder.add(start, builder.mul(stride, number(at))) for at in range(count))
        return [builder.inttoptr(place, kind.as_pointer()) for place in places]

    rows = pointers(values, values_stride, ROWS, i32)
    blocks = pointers(weights, weights_stride, vectors, lanes)
    loop, done, before = (
        builder.function.append_basic_block("words"),
        builder.function.append_basic_block("done"),
        builder.block,
    )
    builder.branch(loop)
    builder.position_at_end(loop)
    at = builder.phi(i64)
    at.add_incoming(number(0), before)
    sums = [[builder.phi(lanes) for _ in range(vectors)] for _ in range(ROWS)]
    columns = [loaded(block, at) for block in blocks]
    new = []
    for row in range(ROWS):
        word = builder.insert_element(nothing(lanes), loaded(rows[row], at), ir.Constant(i32, 0))
        word = builder.shuffle_vector(word, nothing(lanes), zeros)
        new.append(
            [
                multiplied(builder, s, word, c, quads)
                for s, c in zip(sums[row], columns, strict=True)
            ]
        )
    after = builder.add(at, number(1))
    at.add_incoming(after, builder.block)
    for olds, news in zip(sums, new, strict=True):
        for old, value in zip(olds, news, strict=True):
            old.add_incoming(zeros, before)
            old.add_incoming(value, builder.block)
    builder.cbranch(builder.icmp_signed("<", after, words), loop, done)
    builder.position_at_end(done)
    for row in range(ROWS):
        for v in range(vectors):
            to = builder.add(
                builder.add(acc, builder.mul(acc_stride, number(row))), number(4 * LANES * v)
            )
            builder.store(new[row][v], builder.inttoptr(to, lanes.as_pointer())).align = 4
    return context.get_dummy_value()


_pairs1, _pairs2, _pairs3 = (_tile(False, vectors) for vectors in (1, 2, 3))
_quads1, _quads2, _quads3 = (_tile(True, vectors) for vectors in (1, 2, 3))


@dataclass
class Packed:
    """Weights (K, N) as the kernels read them: (blocks of LANES columns, words of K, LANES) int32,
    made when a kernel first asks for them."""

    weights: np.ndarray

    @cached_property
    def words(self) -> np.ndarray:
        """For activations of 8 bits: in bytes where QUADS."""
        return _packed(self.weights, np.int8) if QUADS else self.pairs

    @cached_property
    def pairs(self) -> np.ndarray:
        """For activations of 16 bits."""
        return _packed(self.weights, np.int16)

    @cached_property
    def less(self) -> np.ndarray:
        """(N,) int32: what 128 more in each activation adds."""
        total = self.weights.sum(0, dtype=np.int32) if QUADS else np.zeros(self.weights.shape[1])
        return (128 * total).astype(np.int32)


def _packed(weights: np.ndarray, of: Any) -> np.ndarray:
    group = 4 // np.dtype(of).itemsize
    inner, columns = weights.shape
    full = np.zeros((max(1, -(-inner // group)) * group, -(-columns // LANES) * LANES), of)
    full[:inner, :columns] = weights
    return np.ascontiguousarray(
        full.reshape(-1, group, full.shape[1] // LANES, LANES).transpose(2, 0, 3, 1)
    ).view(np.int32)[..., 0]


@njit_borrowing
def _widths(left: int) -> int:
    """Blocks of columns that the next tile takes, of those that are left: a tile of one is slow."""
    if left >= VECTORS and left != VECTORS + 1:
        return VECTORS
    return min(left, 2)


@njit_borrowing
def _multiply8(
    x: np.ndarray, i: int, n: int, w: np.ndarray, buffer: np.ndarray, acc: np.ndarray
) -> None:
    """acc (ROWS, columns) = rows i to i + n of x, int8."""
    for r in range(n):
        a, o = x[i + r], buffer[r]
        if QUADS:
            for c in range(a.shape[0]):
                o[c] = a[c] ^ np.int8(-128)
        else:
            for c in range(a.shape[0]):
                o[c] = a[c]
    if not QUADS:
        multiply16(buffer, w, acc)
        return
    words, stride, width = w.shape[1], w.shape[1] * LANES * 4, acc.shape[1] * 4
    rows, to, at = buffer.ctypes.data, acc.ctypes.data, 0
    while at < w.shape[0]:
        count, block = _widths(w.shape[0] - at), w.ctypes.data + at * stride
        if count == 3:
            _quads3(rows, words * 4, block, stride, words, to, width)
        elif count == 2:
            _quads2(rows, words * 4, block, stride, words, to, width)
        else:
            _quads1(rows, words * 4, block, stride, words, to, width)
        at += count
        to += count * LANES * 4


@njit_borrowing
def multiply16(buffer: np.ndarray, w: np.ndarray, acc: np.ndarray) -> None:
    """acc (ROWS, columns) = buffer (ROWS, words * 2) int16."""
    words, stride, width = w.shape[1], w.shape[1] * LANES * 4, acc.shape[1] * 4
    rows, to, at = buffer.ctypes.data, acc.ctypes.data, 0
    while at < w.shape[0]:
        count, block = _widths(w.shape[0] - at), w.ctypes.data + at * stride
        if count == 3:
            _pairs3(rows, words * 4, block, stride, words, to, width)
        elif count == 2:
            _pairs2(rows, words * 4, block, stride, words, to, width)
        else:
            _pairs1(rows, words * 4, block, stride, words, to, width)
        at += count
        to += count * LANES * 4


@njit
def _buffers(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if QUADS:
        return np.zeros((ROWS, w.shape[1] * 4), np.int8), np.empty(
            (ROWS, w.shape[0] * LANES), np.int32
        )
    return buffers16(w)


@njit
def buffers16(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Room for ROWS rows of int16, and for what :func:`multiply16` makes of them."""
    return np.zeros((ROWS, w.shape[1] * 2), np.int16), np.empty(
        (ROWS, w.shape[0] * LANES), np.int32
    )


def shared(kernel: Any, values: np.ndarray, *rest: object) -> None:
    """Run a kernel on values, their rows shared by as many threads as there are to be."""
    count, threads = len(values), thread_count()
    if threads == 1 or count < _ALONE:
        kernel(values, 0, count, *rest)
        return
    step = -(-count // (threads * ROWS)) * ROWS

    def rows(begin: int) -> None:
        kernel(values, begin, min(count, begin + step), *rest)

    in_parts(rows, range(0, count, step))


# --- products of rows begin to end of x (M, K); bias (.., N) as ExactLinear has it, less what 128
# more adds ------------------------------


@njit
def product8(
    x: np.ndarray,
    begin: int,
    end: int,
    w: np.ndarray,
    bias: np.ndarray,
    scale: np.ndarray,
    leaky: bool,
    out: np.ndarray,
) -> None:
    """out (.., M, N) int8, one for each row of bias and scale."""
    buffer, acc = _buffers(w)
    for i in range(begin, end, ROWS):
        n = min(ROWS, end - i)
        _multiply8(x, i, n, w, buffer, acc)
        for k in range(out.shape[0]):
            b, s = bias[k], scale[k]
            for r in range(n):
                a, o = acc[r], out[k, i + r]
                if leaky:
                    for c in range(o.shape[0]):
                        v = _F(np.int32(a[c] + b[c])) * s[c]
                        v = v if v >= _F(0) else v * _SLOPE
                        o[c] = np.int8(np.rint(min(max(v, -_TOP8), _TOP8)))
                else:
                    for c in range(o.shape[0]):
                        v = _F(np.int32(a[c] + b[c])) * s[c]
                        o[c] = np.int8(np.rint(min(max(v, -_TOP8), _TOP8)))


@njit
def product16(
    x: np.ndarray,
    begin: int,
    end: int,
    w: np.ndarray,
    bias: np.ndarray,
    scale: np.ndarray,
    out: np.ndarray,
) -> None:
    """out (M, N) int16."""
    buffer, acc = _buffers(w)
    for i in range(begin, end, ROWS):
        n = min(ROWS, end - i)
        _multiply8(x, i, n, w, buffer, acc)
        for r in range(n):
            a, o = acc[r], out[i + r]
            for c in range(o.shape[0]):
                v = _F(np.int32(a[c] + bias[c])) * scale[c]
                o[c] = np.int16(np.rint(min(max(v, -_TOP16), _TOP16)))


@njit
def product_add(
    x: np.ndarray,
    begin: int,
    end: int,
    w: np.ndarray,
    bias: np.ndarray,
    scale: np.ndarray,
    trunk: np.ndarray,
    scale8: np.ndarray,
    out: np.ndarray,
) -> None:
    """trunk (M, N) int16 plus the requantised product, and at once the int8 copy (M, N) that the
    next layer reads."""
    buffer, acc = _buffers(w)
    for i in range(begin, end, ROWS):
        n = min(ROWS, end - i)
        _multiply8(x, i, n, w, buffer, acc)
        for r in range(n):
            a, t, o = acc[r], trunk[i + r], out[i + r]
            # twice over a row: LLVM looks at too few places that might overlap for one loop
            for c in range(t.shape[0]):
                v = _F(np.int32(a[c] + bias[c])) * scale[c]
                v = _F(t[c]) + np.rint(min(max(v, -_TOP16), _TOP16))
                t[c] = np.int16(min(max(v, -_TOP16), _TOP16))
            for c in range(o.shape[0]):
                o[c] = np.int8(np.rint(min(max(_F(t[c]) * scale8[c], -_TOP8), _TOP8)))


@njit
def wide16(
    x: np.ndarray,
    begin: int,
    end: int,
    given: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray,
    scale: np.ndarray,
    out: np.ndarray,
) -> None:
    """out (M, N) int16 of activations of 15 bits, which are x (M, K) int16 times ``given``."""
    buffer, acc = buffers16(w)
    for i in range(begin, end, ROWS):
        n = min(ROWS, end - i)
        for r in range(n):
            a, u = x[i + r], buffer[r]
            for c in range(a.shape[0]):
                u[c] = np.int16(np.rint(min(max(_F(a[c]) * given[c], -_WIDE_TOP), _WIDE_TOP)))
        multiply16(buffer, w, acc)
        for r in range(n):
            b, o = acc[r], out[i + r]
            for c in range(o.shape[0]):
                v = _F(np.int32(b[c] + bias[c])) * scale[c]
                o[c] = np.int16(np.rint(min(max(v, -_TOP16), _TOP16)))
