"""Which blocks are painted: those whose samples cost less than what nets or prediction leave."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..codec.direct_map import CODED_BLOCK, DIRECT_BLOCK, PAINTED_BLOCK, in_blocks
from ..codec.frame_decoder import copy_planes
from ..codec.painted_blocks import Painting, code_painted, code_painting
from ..codec.two_way import Meter
from .block_facts import extremes
from .still_parts import still_blocks

if TYPE_CHECKING:
    from ..codec.frame_decoder import Planes
    from .frame_trials import FrameTrials

NOVEL_BITS = 1.5  # about what a sample that is neither its left nor its upper neighbour costs
NOVEL_MOST = 192  # such samples of a block that is worth a try where a prediction is there
PROMISE = 3  # times what painting has to gain that it promises at least: its estimate is a low one
ROUNDS = 3  # of leaving out blocks: the fewer are painted, the less the others learn from them
CERTAIN_BITS = 6.0  # of a block of one colour that needs no comparison
DRAWN_EVEN, DRAWN_RANGE = 0.4, 48 << 2  # see drawn
NEARLY = 4.0  # samples of 10 bits by which neighbours in a picture that was drawn once may differ
WORTH_A_TRY = 20.0  # bits of a block that other samples than the source's are tried in
NEAR_WORTH = 4.0  # times what error is worth: other samples are guessed by what is painted


class Painted(NamedTuple):
    """Painted blocks of a frame, measured."""

    blocks: np.ndarray  # (H/16, W/16) uint8: kinds of all blocks
    painting: Painting
    planes: Planes  # the prediction, with the painted samples in it
    bits: np.ndarray  # (H/16, W/16) that the painted blocks take


def measure(trials: FrameTrials, blocks: np.ndarray, worths: np.ndarray | None = None) -> Painted:
    """What painting these blocks would cost, by their neighbours or by their prediction too.

    worths (H/16, W/16): bits that a unit of squared error of a sample is worth where samples may be
    others than the source's; None: they are the source's.
    """
    source, prediction = trials.task.source, trials.motion.prediction
    base, painted = trials.base_planes(), blocks == PAINTED_BLOCK
    eight_bit = trials.eight_bit[painted].all()
    results = []
    for follow in range(1 if prediction is None else 2):
        painting = Painting(follow, 2 if eight_bit else 0)
        meter = Meter(np.zeros(1), trials.motion.coder.contexts.copy())
        kinds = blocks.copy()
        code_painting(meter, kinds, painting, prediction is not None)
        planes = copy_planes(base)
        bits, spent = code_painted(meter, kinds, painting, planes, source, worths), meter.spent[0]
        if worths is not None:
            error = trials.block_error_bits(planes) * painted
            bits, spent = bits + error, spent + error.sum()
        results.append((float(spent), Painted(kinds, painting, planes, bits)))
    return min(results, key=_spent)[1]


def _spent(result: tuple[float, Painted]) -> float:
    return result[0]


def choose(
    trials: FrameTrials, blocks: np.ndarray, cost: np.ndarray, least: float
) -> Painted | None:
    """The blocks that are cheaper painted; None where that gains less than ``least`` bits.

    blocks: kinds of all blocks as they are so far; cost (H/16, W/16): bits that each takes and that
    its error is worth.
    """
    if math.isinf(least):
        return None
    free = (blocks == CODED_BLOCK) | (blocks == DIRECT_BLOCK)
    new = novel(trials.task.source[0])
    best = _best(trials, blocks, cost, _Sought(free, new, None, least))
    # once for all frames that refer to it: each would take the time of the first
    nearly = free & (cost > WORTH_A_TRY) & drawn(trials.task.source[0], NEARLY)
    if trials.task.level < 2 and nearly.any():
        worth = trials.rate.detail(trials.task.aim)[1]
        worths = np.where(
            one_colour(trials.task.source), np.inf, NEAR_WORTH * worth * trials.worths
        ).astype(np.float64)  # as where there are none: one kernel for both
        new = novel(trials.task.source[0], math.sqrt(NOVEL_BITS / worth))
        least = best[1] if best else least
        best = _best(trials, blocks, cost, _Sought(nearly, new, worths, least)) or best
    return best[0] if best else None


class _Sought(NamedTuple):
    """What may be painted, and how."""

    free: np.ndarray  # (H/16, W/16) bool: blocks that may be
    new: np.ndarray  # (H/16, W/16): samples of each that are about as dear as the first of a kind
    worths: np.ndarray | None  # see measure
    least: float  # bits to gain


def _best(
    trials: FrameTrials, blocks: np.ndarray, cost: np.ndarray, sought: _Sought
) -> tuple[Painted, float] | None:
    """The blocks that are cheaper painted, with the bits that this gains."""
    new, least = sought.new, sought.least
    candidates = sought.free & (new * NOVEL_BITS < cost)
    if trials.motion.prediction is not None:
        candidates &= new <= NOVEL_MOST
    promised = ((cost - new * NOVEL_BITS) * candidates).sum()
    if promised < PROMISE * least:
        return None
    eight_bit = trials.eight_bit
    if eight_bit[candidates].mean() > 0.5:  # of a picture of 8 bits the temporal filter left some
        candidates &= eight_bit
    kept, best = blocks == PAINTED_BLOCK, None
    for _ in range(ROUNDS + 1):
        kinds = np.where(candidates, np.uint8(PAINTED_BLOCK), blocks)
        out = measure(trials, kinds, sought.worths)
        gains = cost - out.bits
        gain = float((gains * candidates).sum() - (out.bits * kept).sum())
        if gain > least:
            best, least = (out, gain), gain
        paying = candidates & (gains > 0)
        # those will gain less yet, with fewer to learn from
        if (paying == candidates).all() or float((gains * paying).sum()) <= least:
            break
        candidates = paying
    return best


def certain(trials: FrameTrials) -> Painted | None:
    """The blocks about which there is no question; None where there are none.

    Those that the prediction shows exactly are direct, others of one colour are painted if that
    takes next to nothing.
    """
    source, prediction = trials.task.source, trials.motion.prediction
    blocks = trials.candidates.copy()
    inside = trials.all_coded == CODED_BLOCK
    even = inside & one_colour(source)
    if prediction is not None:
        same = inside & still_blocks(source, prediction.planes)
        blocks[same] = DIRECT_BLOCK
        even &= ~same
    blocks[even] = PAINTED_BLOCK
    out = None
    if even.any():
        out = measure(trials, blocks)
        dear = even & (out.bits > CERTAIN_BITS)
        if dear.any():
            blocks[dear] = trials.candidates[dear]
            out = measure(trials, blocks) if (blocks == PAINTED_BLOCK).any() else None
    if out is None and (blocks != trials.candidates).any():
        out = Painted(blocks, Painting(), trials.base_planes(), np.zeros(blocks.shape))
    return out


def one_colour(planes: Planes) -> np.ndarray:
    """(H/16, W/16) bool: blocks of one colour."""
    even = np.ones((planes[0].shape[0] // 16, planes[0].shape[1] // 16), bool)
    for plane in planes:
        least, largest = extremes(plane, even.shape)
        even &= least == largest
    return even


def novel(luma: np.ndarray, within: float = 0.0) -> np.ndarray:
    """(H/16, W/16): how many samples of each block differ from their left and upper neighbours, by
    more than ``within``."""
    new = np.zeros(luma.shape, bool)
    new[1:, 1:] = _apart(luma, 1, within)[1:] & _apart(luma, 0, within)[:, 1:]
    blocks = in_blocks(new, (luma.shape[0] // 16, luma.shape[1] // 16))
    return np.asarray(blocks.sum((1, 3)))


def _apart(luma: np.ndarray, axis: int, within: float) -> np.ndarray:
    """Whether neighbours along an axis differ by more than that."""
    return np.asarray(np.abs(np.diff(luma.astype(np.int16), axis=axis)) > within)


def drawn(luma: np.ndarray, within: float = 0.0) -> np.ndarray:
    """(H/16, W/16) bool: blocks with even areas and either hard edges or nothing else. within: by
    how much neighbours in an even area may differ."""
    shape = (luma.shape[0] // 16, luma.shape[1] // 16)
    even = np.zeros(luma.shape, bool)
    even[:, 1:] = ~_apart(luma, 1, within)
    least, largest = extremes(luma, shape)
    span = largest - least
    share = in_blocks(even, shape).mean((1, 3))
    return np.asarray((share >= DRAWN_EVEN) & ((span >= DRAWN_RANGE) | (span == 0)))


def eight_bit_blocks(planes: Planes, shape: tuple[int, int]) -> np.ndarray:
    """(H/16, W/16) bool: blocks of samples of 8 bits, as samples of 10 bits."""
    eight_bit = np.ones(shape, bool)
    for plane in planes:
        eight_bit &= extremes(plane & 3, shape)[1] == 0
    return eight_bit
