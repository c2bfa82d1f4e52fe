"""Syntax written once for both directions: what is coded goes in, what was coded comes out.

A kernel that calls these with an :class:`Encoder` writes, with a :class:`Decoder` reads, and with a
:class:`Meter` learns what writing would cost. The value that a decoder is given is not looked at.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba.extending import overload

from ..compiled import njit_borrowing
from .range_coder import (
    Decoder,
    Encoder,
    bit_cost,
    decode_bit,
    decode_raw,
    encode_bit,
    encode_raw,
    pass_bit,
)


class Meter(NamedTuple):
    """A coder that writes nothing and counts."""

    spent: np.ndarray  # (1,) float64: bits
    contexts: np.ndarray  # (N, 2) uint16, adapted as those of a coder


Coder = Encoder | Decoder | Meter


def code_bit(coder: Coder, context: int, bit: int) -> int:
    """A bit in an adaptive context; returns it. Like all below for compiled code alone."""
    raise NotImplementedError


@njit_borrowing
def code_tree(coder: Coder, first: int, value: int, bits: int) -> int:
    """``bits`` bits of a value, most significant first, as a binary tree of adaptive contexts:
    node n, from 1 on, has the context first + n. Returns the value."""
    node = 1
    for k in range(bits - 1, -1, -1):
        node = 2 * node + code_bit(coder, first + node, (value >> k) & 1)
    return node - (1 << bits)


def code_raw(coder: Coder, value: int, bits: int) -> int:
    """``bits`` equiprobable bits, most significant first; returns their value."""
    raise NotImplementedError


def spent(coder: Coder) -> float:
    """Bits that a meter has counted; 0 of other coders."""
    raise NotImplementedError


def may_change(coder: Coder) -> bool:
    """Whether what is coded may be changed for its bits: of a meter."""
    raise NotImplementedError


@overload(code_bit)
def _code_bit(coder, context, bit):  # type: ignore[no-untyped-def]
    if coder.instance_class is Decoder:
        return lambda coder, context, bit: decode_bit(coder, context)
    if coder.instance_class is Encoder:

        def code(coder, context, bit):  # type: ignore[no-untyped-def]
            encode_bit(coder, context, bit)
            return bit
    else:

        def code(coder, context, bit):  # type: ignore[no-untyped-def]
            coder.spent[0] += bit_cost(coder.contexts, context, bit)
            pass_bit(coder.contexts, context, bit)
            return bit

    return code


@overload(code_raw)
def _code_raw(coder, value, bits):  # type: ignore[no-untyped-def]
    if coder.instance_class is Decoder:
        return lambda coder, value, bits: decode_raw(coder, bits)
    if coder.instance_class is Encoder:

        def code(coder, value, bits):  # type: ignore[no-untyped-def]
            encode_raw(coder, value, bits)
            return value
    else:

        def code(coder, value, bits):  # type: ignore[no-untyped-def]
            coder.spent[0] += bits
            return value

    return code


@overload(spent)
def _spent(coder):  # type: ignore[no-untyped-def]
    if coder.instance_class is Meter:
        return lambda coder: coder.spent[0]
    return lambda coder: 0.0


@overload(may_change)
def _may_change(coder):  # type: ignore[no-untyped-def]
    if coder.instance_class is Meter:
        return lambda coder: True
    return lambda coder: False
