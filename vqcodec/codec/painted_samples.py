"""Samples of painted blocks: each is what stood behind the same neighbours before, or a number.

Letters and drawn pictures repeat themselves. A plane is walked row by row; dictionaries say which
sample followed on the same neighbours (and on the same prediction) the last time. Their guesses
are tried one after the other, each with a bit in an adaptive context; what none of them hits is
coded as a difference. A block that has one colour in a plane is coded at once.

This is prediction by partial matching (Cleary and Witten 1984) with one guess for each context,
which does for text what soft pattern matching (Howard 1997), palettes and copies within the
picture do, without a search.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..compiled import njit, njit_borrowing
from ..picture import MAX_SAMPLE
from .contexts import (
    ACTIVITIES,
    FLAT_STATES,
    GUESS_STATES,
    PAINTED_COLOUR,
    PAINTED_FLAT,
    PAINTED_GUESS,
    PAINTED_LENGTH,
    PAINTED_SIGN,
    PAINTED_TOP,
)
from .direct_map import DIRECT_BLOCK, PAINTED_BLOCK
from .range_coder import bit_cost
from .two_way import Coder, code_bit, code_raw, may_change, spent

if TYPE_CHECKING:
    from .frame_decoder import Planes

# Guesses in the order in which they are tried; the first five come from dictionaries. Those with
# the prediction are there only where samples follow it.
AROUND, ERROR, FAR, NEAR, ALONE, PREDICTED, LEFT, ABOVE, GUESSES = range(9)
DICTIONARIES = 5
SLOT_BITS = 18  # of a dictionary
TRUST = 3  # the most that a guess earns by being right

LONGEST = 11  # bits of a difference
LENGTHS = LONGEST + 1  # contexts of PAINTED_LENGTH and PAINTED_TOP for each activity
NEARER = 4  # differences nearer to zero that are tried in the place of one
COLOURS = 2  # contexts of PAINTED_COLOUR for each of luma and chroma

REACH = 2  # blocks beside and above a painted one whose samples are learned of

# samples outside the picture: black
START = np.array([64, 512, 512], np.int64)
ROWS, COLUMNS = 2, 3  # of them above and beside a plane at work
_TURN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio


@njit_borrowing
def _mix(key: np.uint64, value: int) -> np.uint64:
    return (key + np.uint64(value)) * _TURN


@njit_borrowing
def _neighbour_keys(p: np.ndarray, i: int, j: int) -> tuple[np.uint64, np.uint64]:
    """Keys of the sample at (i, j) of a plane at work: of its eleven neighbours, and of four."""
    near = _mix(np.uint64(0), p[i, j - 1])
    near = _mix(near, p[i - 1, j])
    near = _mix(near, p[i - 1, j - 1])
    near = _mix(near, p[i - 1, j + 1])
    far = _mix(near, p[i, j - 2])
    far = _mix(far, p[i, j - 3])
    far = _mix(far, p[i - 1, j - 2])
    far = _mix(far, p[i - 1, j + 2])
    far = _mix(far, p[i - 2, j - 1])
    far = _mix(far, p[i - 2, j])
    far = _mix(far, p[i - 2, j + 1])
    return far, near


@njit_borrowing
def _chroma_keys(
    far: np.uint64, near: np.uint64, luma: np.ndarray, i: int, j: int
) -> tuple[np.uint64, np.uint64]:
    """The same of a chroma sample: with the luma that it lies in, and that around it."""
    y, x = 2 * i - ROWS, 2 * j - COLUMNS
    for k in range(4):
        near = _mix(near, luma[y + (k >> 1), x + (k & 1)])
    for k in range(16):
        far = _mix(far, luma[min(y - 1 + (k >> 2), luma.shape[0] - 1), x - 1 + (k & 3)])
    return far, near


@njit_borrowing
def _prediction_keys(p: np.ndarray, q: np.ndarray, i: int, j: int) -> tuple[np.uint64, np.uint64]:
    """Keys by the prediction q, a plane at work: of nine samples of it, and of its error beside."""
    around = _mix(_mix(np.uint64(0), p[i, j - 1]), p[i - 1, j])
    for y in range(i - 1, i + 2):
        for x in range(j - 1, j + 2):
            around = _mix(around, q[min(y, q.shape[0] - 1), x])
    error = _mix(np.uint64(0), q[i, j])
    error = _mix(error, p[i, j - 1] - q[i, j - 1] + 1024)
    error = _mix(error, p[i - 1, j] - q[i - 1, j] + 1024)
    return around, error


@njit_borrowing
def _companion(k: int, luma: np.ndarray, cb: np.ndarray, i: int, j: int) -> int:
    """What a chroma sample of a picture of few colours hangs on: Cb on luma, Cr on Cb."""
    if k == 2:
        return int(cb[i, j])
    y, x = 2 * i - ROWS, 2 * j - COLUMNS
    return int(luma[y, x] + luma[y + 1, x] + luma[y, x + 1] + luma[y + 1, x + 1])


@njit_borrowing
def _keys(
    k: int,
    p: np.ndarray,
    q: np.ndarray,
    luma: np.ndarray,
    cb: np.ndarray,
    follow: int,
    i: int,
    j: int,
    slots: np.ndarray,
) -> None:
    """Slots of the sample at (i, j) of plane k in the dictionaries; -1 in those not asked."""
    slots[:] = -1
    far, near = _neighbour_keys(p, i, j)
    if k:
        far, near = _chroma_keys(far, near, luma, i, j)
    shift = np.uint64(64 - SLOT_BITS)
    slots[FAR], slots[NEAR] = np.int64(far >> shift), np.int64(near >> shift)
    if follow:
        around, error = _prediction_keys(p, q, i, j)
        slots[AROUND], slots[ERROR] = np.int64(around >> shift), np.int64(error >> shift)
    if follow or k:
        alone = _mix(np.uint64(0), q[i, j] if follow else 0)
        if k:
            alone = _mix(alone, _companion(k, luma, cb, i, j))
        slots[ALONE] = np.int64(alone >> shift)


@njit_borrowing
def _learn(values: np.ndarray, trust: np.ndarray, slots: np.ndarray, value: int) -> None:
    """What stood behind these keys."""
    for d in range(DICTIONARIES):
        slot = slots[d]
        if slot < 0:
            continue
        if trust[d, slot] >= 0 and values[d, slot] == value:
            trust[d, slot] = min(trust[d, slot] + 1, TRUST)
        elif trust[d, slot] > 0:
            trust[d, slot] = 1 if trust[d, slot] == TRUST else trust[d, slot] - 1
        else:
            values[d, slot], trust[d, slot] = value, 0


@njit_borrowing
def _code_number(coder: Coder, kind: int, number: int) -> int:
    """A signed number: bit length, the bit below its top, raw bits, sign; kind: of its contexts."""
    a, length = abs(number), 0
    first = PAINTED_LENGTH + LENGTHS * kind
    while length < LONGEST and code_bit(coder, first + length, 1 if (a >> length) > 0 else 0):
        length += 1
    if length == 0:
        return 0
    out = 1
    if length > 1:
        out = 2 + code_bit(coder, PAINTED_TOP + LENGTHS * kind + length, (a >> (length - 2)) & 1)
    if length > 2:
        rest = length - 2
        out = (out << rest) + code_raw(coder, a & ((1 << rest) - 1), rest)
    return -out if code_bit(coder, PAINTED_SIGN + kind, 1 if number < 0 else 0) else out


@njit_borrowing
def _activity(p: np.ndarray, i: int, j: int) -> int:
    corner, above = p[i - 1, j - 1], p[i - 1, j]
    around = abs(p[i, j - 1] - corner) + abs(above - corner) + abs(above - p[i - 1, j + 1])
    return int(around > 32) + int(around > 128) + int(around > 512)


@njit_borrowing
def _median(p: np.ndarray, i: int, j: int) -> int:
    """The predictor of LOCO-I (Weinberger et al. 2000)."""
    left, above, corner = p[i, j - 1], p[i - 1, j], p[i - 1, j - 1]
    return int(min(max(left + above - corner, min(left, above)), max(left, above)))


@njit_borrowing
def _guess(
    values: np.ndarray,
    trust: np.ndarray,
    slots: np.ndarray,
    p: np.ndarray,
    q: np.ndarray,
    follow: int,
    i: int,
    j: int,
    guesses: np.ndarray,
) -> None:
    """What the sample at (i, j) might be; -1 where there is no guess."""
    for d in range(DICTIONARIES):
        known = slots[d] >= 0 and trust[d, slots[d]] >= 0
        guesses[d] = values[d, slots[d]] if known else -1
    guesses[PREDICTED] = q[i, j] if follow else -1
    guesses[LEFT], guesses[ABOVE] = p[i, j - 1], p[i - 1, j]


@njit_borrowing
def _number_bits(contexts: np.ndarray, kind: int, number: int) -> float:
    """What :func:`_code_number` writes, in bits."""
    a, length, bits = abs(number), 0, 0.0
    first = PAINTED_LENGTH + LENGTHS * kind
    while length < LONGEST and a >> length:
        bits += bit_cost(contexts, first + length, 1)
        length += 1
    if length < LONGEST:
        bits += bit_cost(contexts, first + length, 0)
    if length > 1:
        bits += bit_cost(contexts, PAINTED_TOP + LENGTHS * kind + length, (a >> (length - 2)) & 1)
    return bits + max(length - 2, 0) + min(length, 1)


@njit_borrowing
def _guess_state(
    guesses: np.ndarray, trust: np.ndarray, slots: np.ndarray, g: int, tried: int, even: int
) -> int:
    """The state of a guess; -1 where there is none, or where it was tried before."""
    guess, agreeing = guesses[g], 0
    if guess < 0:
        return -1
    for other in range(g):
        if guesses[other] == guess:
            return -1
    for other in range(g + 1, GUESSES):
        if guesses[other] == guess:
            agreeing += 1
    level = trust[g, slots[g]] if g < DICTIONARIES else min(tried, 3)
    return int((level * 3 + min(agreeing, 2)) * 2 + even)


@njit_borrowing
def _settled(
    contexts: np.ndarray,
    first: int,
    kind: int,
    even: int,
    guesses: np.ndarray,
    trust: np.ndarray,
    slots: np.ndarray,
    start: int,
    shift: int,
    value: int,
    worth: float,
) -> int:
    """The sample to code in the place of ``value``: the guess, or the difference nearer to zero,
    that costs least with the bits that its error is worth.

    first: the contexts of guesses; kind: those of differences from ``start``.
    """
    best, cost, missed, tried = value, np.inf, 0.0, 0
    for g in range(GUESSES):
        state = _guess_state(guesses, trust, slots, g, tried, even)
        if state < 0:
            continue
        context = first + GUESS_STATES * g + state
        error = float(int(guesses[g]) - value)
        total = missed + bit_cost(contexts, context, 0) + worth * error * error
        # else a difference could not tell it, and when it is written the guess may be another
        told = int(guesses[g]) & ((1 << shift) - 1) == 0
        if told and total < cost:
            best, cost = int(guesses[g]), total
        missed += bit_cost(contexts, context, 1)
        tried += 1
    number = (value >> shift) - start
    for _ in range(NEARER):
        shown = min(max((start + number) << shift, 0), MAX_SAMPLE)
        error = float(shown - value)
        total = missed + _number_bits(contexts, kind, number) + worth * error * error
        if total < cost:
            best, cost = shown, total
        number -= 1 if number > 0 else -1
    return best


@njit_borrowing
def _code_sample(
    coder: Coder,
    chroma: int,
    p: np.ndarray,
    i: int,
    j: int,
    guesses: np.ndarray,
    trust: np.ndarray,
    slots: np.ndarray,
    anchor: int,
    shift: int,
    value: int,
    worth: float,
) -> int:
    """One sample, by the first guess that is right or by its difference from ``anchor``."""
    even = p[i, j - 1] == p[i - 1, j] and p[i - 1, j - 1] == p[i - 1, j + 1] == p[i - 1, j]
    first, start = PAINTED_GUESS + GUESS_STATES * GUESSES * chroma, anchor >> shift
    if may_change(coder) and worth < np.inf:
        kind = ACTIVITIES * chroma + _activity(p, i, j)
        value = _settled(
            coder.contexts, first, kind, even, guesses, trust, slots, start, shift, value, worth
        )
    tried = 0
    for g in range(GUESSES):
        state = _guess_state(guesses, trust, slots, g, tried, even)
        if state < 0:
            continue
        guess = guesses[g]
        if not code_bit(coder, first + GUESS_STATES * g + state, 0 if guess == value else 1):
            return int(guess)
        tried += 1
    kind = ACTIVITIES * chroma + _activity(p, i, j)
    number = _code_number(coder, kind, (value >> shift) - start)
    return min(max((start + number) << shift, 0), MAX_SAMPLE)


@njit_borrowing
def _code_flat(
    coder: Coder, chroma: int, left: int, above: int, last: int, around: int, colour: int
) -> int:
    """Whether a block has one colour that is known, and which; -1: no. ``colour``: what to code."""
    known = colour >= 0 and (colour == left or colour == above or colour == last)  # noqa: SIM109
    if not code_bit(coder, PAINTED_FLAT + FLAT_STATES * chroma + around, 1 if known else 0):
        return -1
    first = PAINTED_COLOUR + COLOURS * chroma
    if left != last and not code_bit(coder, first, 0 if colour == left else 1):
        return left
    if above != last and above != left:
        if not code_bit(coder, first + 1, 0 if colour == above else 1):
            return above
    return last


@njit_borrowing
def _one_colour(plane: np.ndarray, y: int, x: int, size: int) -> int:
    """The colour of a block that has one, else -1."""
    colour = int(np.int64(plane[y, x]))  # of uint16 an int would have no sign
    for i in range(y, y + size):
        for j in range(x, x + size):
            if plane[i, j] != colour:
                return -1
    return colour


@njit
def _at_work(plane: np.ndarray, k: int) -> np.ndarray:
    """A plane with what lies outside of it, ROWS above and COLUMNS on both sides."""
    h, w = plane.shape
    p = np.empty((h + ROWS, w + 2 * COLUMNS), np.int16)
    p[:ROWS] = START[k]
    for i in range(h):
        row, to = plane[i], p[i + ROWS]
        to[:COLUMNS] = START[k]
        for j in range(w):
            to[COLUMNS + j] = row[j]
        to[COLUMNS + w :] = START[k]
    return p


@njit_borrowing
def _put_back(p: np.ndarray, kinds: np.ndarray, plane: np.ndarray) -> None:
    """The samples of the painted blocks, from a plane at work."""
    size = plane.shape[0] // kinds.shape[0]
    for r in range(kinds.shape[0]):
        for c in range(kinds.shape[1]):
            if kinds[r, c] == PAINTED_BLOCK:
                for i in range(r * size, (r + 1) * size):
                    for j in range(c * size, (c + 1) * size):
                        plane[i, j] = p[i + ROWS, j + COLUMNS]


@njit
def _neighbours(kinds: np.ndarray) -> np.ndarray:
    """(H/16, W/16) bool: direct blocks near a painted one, of which the dictionaries learn."""
    rows, columns = kinds.shape
    near = np.zeros(kinds.shape, np.bool_)
    for r in range(rows):
        for c in range(columns):
            if kinds[r, c] != PAINTED_BLOCK:
                continue
            for i in range(max(r - REACH, 0), r + 1):
                for j in range(max(c - REACH, 0), min(c + REACH + 1, columns)):
                    near[i, j] |= kinds[i, j] == DIRECT_BLOCK
    return near


@njit_borrowing
def _code_plane(
    coder: Coder,
    k: int,
    kinds: np.ndarray,
    near: np.ndarray,
    follow: int,
    shift: int,
    p: np.ndarray,
    q: np.ndarray,
    target: np.ndarray,
    luma: np.ndarray,
    cb: np.ndarray,
    even: np.ndarray,
    flat: np.ndarray,
    worths: np.ndarray,
    bits: np.ndarray,
    values: np.ndarray,
    trust: np.ndarray,
    slots: np.ndarray,
    guesses: np.ndarray,
) -> None:
    """The painted blocks of plane k, into p, a plane at work like its prediction q; flat (H/16,
    W/16) uint8 says which have one colour. values, trust (5, slots): dictionaries, in which nothing
    is known; slots (5,), guesses (9,) int64: room."""
    chroma, size, last = min(k, 1), 8 if k else 16, START[k]
    for y in range(target.shape[0]):
        r, i = y // size, y + ROWS
        for c in range(kinds.shape[1]):
            x = c * size
            if kinds[r, c] == PAINTED_BLOCK:
                before = spent(coder)
                if y == r * size:
                    around = (flat[r, c - 1] if c > 0 else 0) + (flat[r - 1, c] if r > 0 else 0)
                    if even[r, c]:
                        around = 3
                    left, above = p[i, x + COLUMNS - 1], p[i - 1, x + COLUMNS]
                    colour = _one_colour(target, y, x, size)
                    colour = _code_flat(coder, chroma, left, above, last, around, colour)
                    if colour >= 0:
                        flat[r, c], last = 1, colour
                        p[i : i + size, x + COLUMNS : x + COLUMNS + size] = colour
                if not flat[r, c]:
                    for j in range(x + COLUMNS, x + COLUMNS + size):
                        _keys(k, p, q, luma, cb, follow, i, j, slots)
                        _guess(values, trust, slots, p, q, follow, i, j, guesses)
                        anchor = int(q[i, j]) if follow else _median(p, i, j)
                        value = int(np.int64(target[y, j - COLUMNS]))
                        p[i, j] = _code_sample(
                            coder, chroma, p, i, j, guesses, trust, slots, anchor, shift, value,
                            worths[r, c],
                        )  # fmt: skip
                        _learn(values, trust, slots, p[i, j])
                bits[r, c] += spent(coder) - before
            elif near[r, c]:
                for j in range(x + COLUMNS, x + COLUMNS + size):
                    _keys(k, p, q, luma, cb, 0, i, j, slots)
                    slots[ALONE] = -1
                    _learn(values, trust, slots, p[i, j])


@njit
def code_samples(
    coder: Coder,
    kinds: np.ndarray,
    follow: int,
    shift: int,
    planes: Planes,
    targets: Planes,
    worths: np.ndarray,
    bits: np.ndarray,
) -> None:
    """Code the samples of painted blocks, or read them with a decoder, into ``planes``.

    kinds (H/16, W/16): map of vqcodec/codec/direct_map.py; follow: whether samples follow their
    prediction; shift: bits below which differences say nothing; planes: Y, U, V uint16, the
    prediction at first; targets: what to code, planes like these (a decoder looks at none of it);
    worths (H/16, W/16): bits that a squared error is worth to a meter, which may change samples
    for it; bits (H/16, W/16): a meter adds what it counts for each block.
    """
    luma = cb = np.empty((0, 0), np.int16)
    even, near = np.zeros(kinds.shape, np.uint8), _neighbours(kinds)
    values = np.empty((DICTIONARIES, 1 << SLOT_BITS), np.uint16)
    trust = np.empty((DICTIONARIES, 1 << SLOT_BITS), np.int8)
    slots, guesses = np.empty(DICTIONARIES, np.int64), np.empty(GUESSES, np.int64)
    for k in range(3):
        q = _at_work(planes[k], k)
        p = q.copy() if follow else q  # then nothing asks for q
        flat = np.zeros(kinds.shape, np.uint8)
        trust[:] = -1
        _code_plane(
            coder, k, kinds, near, follow, shift, p, q, targets[k], luma, cb, even, flat, worths,
            bits, values, trust, slots, guesses,
        )  # fmt: skip
        if k == 0:
            luma, even = p, flat
        else:
            cb = p
        _put_back(p, kinds, planes[k])
