"""Sums over the samples of small blocks: absolute and squared differences of 8-bit samples.

Written as LLVM vector operations, of which it makes the processor's means (pavgb) and products of
pairs (pmaddwd). Its own sums of absolute differences (psadbw) are named where the processor has
them: LLVM finds them in plain loops only where nothing is mixed in. All functions take addresses
and strides in bytes; a block is eight rows of 8, 16 or 32 samples.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.registry import cpu_target
from numba.extending import intrinsic

ROWS = 8
_I8, _I16, _I32 = (ir.IntType(n) for n in (8, 16, 32))
_AT_ONCE = 16  # samples of a vector: those of narrower rows are put together
_FEATURES = cpu_target.target_context.codegen()._tm_features.split(",")
_PSADBW = platform.machine().lower() in ("x86_64", "amd64")  # each of them has it


def _called(builder: Any, name: str, kind: Any, *arguments: Any) -> Any:
    """The result of one of LLVM's own functions."""
    function = builder.module.globals.get(name) or ir.Function(
        builder.module, ir.FunctionType(kind, [a.type for a in arguments]), name
    )
    return builder.call(function, arguments)


def _vectors(builder: Any, address: Any, stride: Any, width: int) -> list[Any]:
    """The samples of a block in vectors of ``_AT_ONCE``."""
    rows = []
    for row in range(ROWS):
        at = builder.add(address, builder.mul(stride, ir.Constant(stride.type, row)))
        loaded = builder.load(builder.inttoptr(at, ir.VectorType(_I8, width).as_pointer()))
        loaded.align = 1
        rows.append(loaded)
    if width >= _AT_ONCE:
        return rows
    order = ir.Constant(ir.VectorType(_I32, _AT_ONCE), list(range(_AT_ONCE)))
    return [builder.shuffle_vector(rows[k], rows[k + 1], order) for k in range(0, ROWS, 2)]


def _wide(builder: Any, vector: Any, of: Any) -> Any:
    return builder.zext(vector, ir.VectorType(of, vector.type.count))


def _mean(builder: Any, first: Any, second: Any) -> Any:
    """Rounded up, as the decoder's mean of two predictions."""
    count = first.type.count
    one = ir.Constant(ir.VectorType(_I16, count), [1] * count)
    total = builder.add(builder.add(_wide(builder, first, _I16), _wide(builder, second, _I16)), one)
    return builder.trunc(builder.lshr(total, one), first.type)


def _absolute(builder: Any, first: Any, second: Any) -> Any:
    count = first.type.count
    if _PSADBW:
        name = "llvm.x86.avx2.psad.bw" if count > _AT_ONCE else "llvm.x86.sse2.psad.bw"
        return _called(builder, name, ir.VectorType(ir.IntType(64), count // 8), first, second)
    difference = builder.sub(_wide(builder, first, _I32), _wide(builder, second, _I32))
    name = f"llvm.abs.v{count}i32"
    return _called(builder, name, difference.type, difference, ir.Constant(ir.IntType(1), 0))


def _square(builder: Any, first: Any, second: Any) -> Any:
    difference = builder.sub(_wide(builder, first, _I16), _wide(builder, second, _I16))
    wide = builder.sext(difference, ir.VectorType(_I32, difference.type.count))
    return builder.mul(wide, wide)


def _sum(term: Callable[[Any, Any, Any], Any], width: int, shown: int) -> Any:
    """An intrinsic: int32 sum of ``term`` over a block and what one or two references show."""

    def emitted(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        blocks = [_vectors(builder, args[k], args[k + 1], width) for k in range(0, len(args), 2)]
        prediction = blocks[1]
        if shown == 2:
            prediction = [_mean(builder, *pair) for pair in zip(blocks[1], blocks[2], strict=True)]
        terms = [term(builder, *pair) for pair in zip(blocks[0], prediction, strict=True)]
        while len(terms) > 1:
            terms = [builder.add(terms[k], terms[k + 1]) for k in range(0, len(terms), 2)]
        kind = terms[0].type
        name = f"llvm.vector.reduce.add.v{kind.count}i{kind.element.width}"
        total = _called(builder, name, kind.element, terms[0])
        return total if kind.element == _I32 else builder.trunc(total, _I32)

    if shown == 1:

        @intrinsic
        def summed(typing_context, block, stride, shown, step):  # type: ignore[no-untyped-def]
            return types.int32(*[types.intp] * 4), emitted
    else:

        @intrinsic
        def summed(typing_context, block, stride, one, step, two, pace):  # type: ignore[no-untyped-def]
            return types.int32(*[types.intp] * 6), emitted

    return summed


# of a block and what one reference, or the mean of two, shows of it
sad8, sad16, sad32 = (_sum(_absolute, width, 1) for width in (8, 16, 32))
sad_mean8, sad_mean16 = (_sum(_absolute, width, 2) for width in (8, 16))
WIDEST = 32 if not _PSADBW or "+avx2" in _FEATURES else 16  # of those that may be called
sse8, sse_mean8 = (_sum(_square, 8, shown) for shown in (1, 2))
