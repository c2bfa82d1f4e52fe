"""What the motion search weighs: bits of vectors, and those that a residual is expected to take.

Each 8x8 cell of squared error e a sample costs lambda * e where that is below the distortion D that
the frame's quality leaves anyway, and lambda * D * (1 + ln(e / D)) above it, what coding it down to
D would take (reverse water-filling).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..codec.contexts import MVD_CLASS, MVD_TOP, VECTOR_COMPONENT
from ..codec.motion_compensation import BI, L0, L1
from ..codec.motion_syntax import MVD_BITS, bit_length
from ..codec.weighting import HALF
from ..compiled import njit_borrowing
from .block_matching import Samples, at, legal, moved, sad, sad_mean
from .rate_distortion import Weighing
from .sample_sums import sse8, sse_mean8

NEVER = 1e18  # J of what is not possible


class Costs(NamedTuple):
    """Bits as the contexts stand at the start of a 64x64 block."""

    bits: np.ndarray  # (contexts, 2) float32, of a 0 and a 1
    vector: np.ndarray  # (2, MVD_BITS + 1) float32, of a difference of some bit length, [y, x]


class Curve(NamedTuple):
    """What an 8x8 cell costs by the sum s of its squared errors, in these: s up to an edge, above
    it level + slope * log2(s)."""

    edge: float
    level: float
    slope: float


class Matching(NamedTuple):
    """What blocks are matched with, and what is weighed."""

    luma: Samples
    first: Samples  # of both references, without weights
    second: Samples
    first_weighted: Samples  # and under the first set of weights, if there is one
    second_weighted: Samples
    set_size: int  # bytes from there to the same under the next set
    blends: np.ndarray  # (sets,) int32
    curve: Curve
    height: int
    width: int
    weighing: Weighing
    costs: Costs


class Block(NamedTuple):
    """A square of 8x8 cells."""

    row: int  # in cells
    column: int
    cells: int  # of its side
    depth: int  # in the quadtree


@njit_borrowing
def curve_of(weighing):
    """The curve of reverse water-filling."""
    edge = 64.0 * weighing.floor
    return Curve(edge, edge * (1.0 - np.log(edge)), edge * np.log(2.0))


@njit_borrowing
def log2_of(number):
    """Logarithm of an int32 above 0, within 0.0002: a polynomial of the fraction that float32
    stores, which is the same on every processor."""
    bits = np.float32(number).view(np.int32)
    whole = np.float32((bits >> 23) - 127)
    part = np.int32((bits & 0x7FFFFF) | 0x3F800000).view(np.float32) - np.float32(1)
    bend = np.float32(0.438073) - part * (np.float32(0.236693) - part * np.float32(0.080307))
    return whole + part + part * (np.float32(1) - part) * bend


@njit_borrowing
def copied(vectors, out):
    """Copy vectors (2, 2); plain loops make no array on the way."""
    for k in range(2):
        out[k, 0], out[k, 1] = vectors[k, 0], vectors[k, 1]


@njit_borrowing
def under(matching, which, chosen):
    """The reference of a list under a set of weights; set 0 has none."""
    if chosen == 0:
        return matching.first if which == 0 else matching.second
    one = matching.first_weighted if which == 0 else matching.second_weighted
    start = one.start + (chosen - 1) * matching.set_size
    return Samples(start, one.stride, one.phase, one.parts)


@njit_borrowing
def prediction(matching, direction, chosen):
    """Direction by which a block's error is told: a blend of all or nothing is one reference."""
    if direction == BI and chosen:
        blend = matching.blends[chosen - 1]
        if abs(blend - HALF) > HALF // 2:
            return L0 if blend < HALF else L1
    return direction


@njit_borrowing
def residual_bits(matching, block, vectors, direction, chosen, limit):
    """Expected cost in bits of a block under a prediction; may stop early above ``limit``."""
    curve = matching.curve
    direction = prediction(matching, direction, chosen)
    y, x, n, most = (
        block.row * 8,
        block.column * 8,
        block.cells * 8,
        limit / matching.weighing.worth,
    )
    luma, own = at(matching.luma, y, x), matching.luma.stride
    first = under(matching, 0, chosen)
    second = under(matching, 1, chosen)
    one = moved(first, y, x, vectors[0, 0], vectors[0, 1])
    two = moved(second, y, x, vectors[1, 0], vectors[1, 1])
    step, pace = first.stride, second.stride
    if not direction & L0:
        one, step = two, pace
    total = 0.0
    for j in range(0, n, 8):
        for i in range(0, n, 8):
            cell, a = luma + j * own + i, one + j * step + i
            if direction == BI:
                error = sse_mean8(cell, own, a, step, two + j * pace + i, pace)
            else:
                error = sse8(cell, own, a, step)
            total += error if error <= curve.edge else curve.level + curve.slope * log2_of(error)
        if total > most:
            break
    return total * matching.weighing.worth


@njit_borrowing
def mvd_costs(cost, out):
    """out (2, MVD_BITS + 1) float32: bits of a vector difference of bit length k per component."""
    for comp in range(2):
        acc = 0.0
        for k in range(MVD_BITS + 1):
            c = acc
            if k < MVD_BITS:
                c += cost[MVD_CLASS + VECTOR_COMPONENT * comp + k, 0]
                acc += cost[MVD_CLASS + VECTOR_COMPONENT * comp + k, 1]
            if k > 1:
                c += (
                    0.5
                    * (
                        cost[MVD_TOP + VECTOR_COMPONENT * comp + k, 0]
                        + cost[MVD_TOP + VECTOR_COMPONENT * comp + k, 1]
                    )
                    + k
                    - 2
                )
            out[comp, k] = c + (1 if k else 0)


@njit_borrowing
def mvd_bits(matching, dy, dx):
    """Bits of a vector's difference from its predictor."""
    table = matching.costs.vector
    return table[0, bit_length(abs(dy))] + table[1, bit_length(abs(dx))]


@njit_borrowing
def vector_bits(matching, vector, predicted):
    """Bits of a vector (2,)."""
    return mvd_bits(matching, vector[0] - predicted[0], vector[1] - predicted[1])


@njit_borrowing
def bits_of_both(matching, vectors, predicted):
    """Bits of two vectors (2, 2)."""
    return vector_bits(matching, vectors[0], predicted[0]) + vector_bits(
        matching, vectors[1], predicted[1]
    )


@njit_borrowing
def legal_vector(matching, block, vector):
    """Whether a block may have a vector (2,)."""
    return legal(
        block.row * 8, block.column * 8, block.cells * 8, vector[0], vector[1], matching.height,
        matching.width,
    )  # fmt: skip


@njit_borrowing
def error_of_both(matching, block, vectors, chosen, limit):
    """SAD of a block from both lists under a set of weights; may stop early at ``limit``."""
    y, x, n = block.row * 8, block.column * 8, block.cells * 8
    luma, own = at(matching.luma, y, x), matching.luma.stride
    first = under(matching, 0, chosen)
    second = under(matching, 1, chosen)
    one = moved(first, y, x, vectors[0, 0], vectors[0, 1])
    two = moved(second, y, x, vectors[1, 0], vectors[1, 1])
    direction = prediction(matching, BI, chosen)
    if direction == BI:
        return sad_mean(luma, own, one, first.stride, two, second.stride, n, limit)
    shown = one if direction == L0 else two
    return sad(luma, own, shown, first.stride if direction == L0 else second.stride, n, limit)
