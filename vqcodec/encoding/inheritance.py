"""How much of the error of its references a frame inherits, on pictures of half the size.

A frame is predicted along block motion from its references. Where source and reference differ by
less than coding will leave (theta), nothing is coded, and the frame shows the error of its
reference. Where they differ by more, what differs is coded anew, and the error of the reference
with it: a coefficient whose reference differs by an energy e inherits theta / (e + theta). Of that
it inherits 1 - e / s, with s its own energy: coding took from the reference some of what only the
reference has, its noise first of all, and nobody misses that. x264's mb-tree (Garrett-Glaser 2009)
and the temporal dependency model of libaom and SVT-AV1 compare whole costs of inter and intra
prediction for the same purpose; they do not know how fine a frame is coded.

Each cell of 8x8 samples here is a block of 16x16 of the frame, with a Hadamard transform, without
its mean: light that changes is no new content.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba as nb
import numpy as np

from ..compiled import njit, njit_borrowing
from .block_matching import PAD
from .coarse_motion import as_bright, coarse_motion, in_quarters
from .phases import phases
from .rate_distortion import lagrangian
from .small_pictures import SmallPicture

NOTICED = 0.72  # energy of a coefficient, times lambda, that coding leaves at most: 1 / (2 ln 2)
BOTH = 0.5  # share of each of two references in their mean
_FAINT = 0.02  # of theta, added to each coefficient's energy: flat cells count a little too
_SAME_GAIN = 0.02  # of the contrast: smaller changes are none
_FLAT = 64.0  # sum of squares in a cell that has no contrast


class Inherited(NamedTuple):
    """What a frame inherits from one reference."""

    shares: np.ndarray  # (rows, columns) float32 of its error in each cell
    vectors: np.ndarray  # (rows, columns, 2) int32 [y, x] in quarter samples of the small picture
    fades: bool  # whether the reference is of another brightness


def hidden(quality: float) -> float:
    """Energy of a coefficient of a small picture (8-bit scale) that coding at a quality hides."""
    return NOTICED / lagrangian(quality) / 4  # four samples of the frame are one here


class Reference(NamedTuple):
    """A reference as the search wants it."""

    picture: SmallPicture
    phases: np.ndarray

    @classmethod
    def of(cls, picture: SmallPicture, thorough: bool = True) -> Reference:
        """From its small picture. thorough: as for :func:`inherited`."""
        return cls(picture, phases(picture.luma, 1 if thorough else 4))


@njit_borrowing
def _hadamard_columns(block):
    for k in range(8):
        a0, a1, a2, a3 = block[k], block[8 + k], block[16 + k], block[24 + k]
        a4, a5, a6, a7 = block[32 + k], block[40 + k], block[48 + k], block[56 + k]
        a0, a1, a2, a3 = a0 + a1, a0 - a1, a2 + a3, a2 - a3
        a4, a5, a6, a7 = a4 + a5, a4 - a5, a6 + a7, a6 - a7
        a0, a1, a2, a3 = a0 + a2, a1 + a3, a0 - a2, a1 - a3
        a4, a5, a6, a7 = a4 + a6, a5 + a7, a4 - a6, a5 - a7
        block[k], block[8 + k], block[16 + k], block[24 + k] = a0 + a4, a1 + a5, a2 + a6, a3 + a7
        block[32 + k], block[40 + k] = a0 - a4, a1 - a5
        block[48 + k], block[56 + k] = a2 - a6, a3 - a7


@njit_borrowing
def _hadamard(block, turned):
    """Of 8x8 samples (64,) in place, with the energy of each coefficient that of a sample.

    turned (64,) float32: room for the transposed block, whose columns lie side by side.
    """
    _hadamard_columns(block)
    for j in range(8):
        for k in range(8):
            turned[8 * k + j] = block[8 * j + k]
    _hadamard_columns(turned)
    for j in range(8):
        for k in range(8):
            block[8 * j + k] = turned[8 * k + j] * np.float32(0.125)


@njit_borrowing
def _shown(ph, y, x, my, mx):
    """The phase that a vector takes of a reference, and where in it the cell at (y, x) is."""
    return ph[my & 3, mx & 3], np.uint64(y + (my >> 2) + PAD), np.uint64(x + (mx >> 2) + PAD)


@njit_borrowing
def _contrasts(cur, ph, vectors, out):
    """Ratio of the deviations of each cell and of what it shows of a reference.

    out (rows, columns) float32: receives it, 0 where either is flat.
    """
    rows, columns = out.shape
    for r in range(rows):
        for c in range(columns):
            p, top, left = _shown(ph, r * 8, c * 8, vectors[r, c, 0], vectors[r, c, 1])
            a = b = aa = bb = 0
            for j in range(8):
                for i in range(8):
                    s, t = nb.int32(cur[r * 8 + j, c * 8 + i]), nb.int32(p[top + j, left + i])
                    a += s
                    b += t
                    aa += s * s
                    bb += t * t
            own, other = aa - a * a / 64.0, bb - b * b / 64.0
            flat = own < _FLAT or other < _FLAT
            out[r, c] = 0 if flat else math.sqrt(own / other)


def _gain(cur: np.ndarray, reference: Reference, vectors: np.ndarray) -> float:
    """What the contrast of a reference is to be multiplied by: that of most cells."""
    ratios = np.empty(vectors.shape[:2], np.float32)
    _contrasts(cur, reference.phases, vectors, ratios)
    gain = float(np.median(ratios[ratios > 0])) if ratios.any() else 1.0
    return gain if abs(gain - 1) > _SAME_GAIN else 1.0


@njit_borrowing
def _less_shown(ph, r, c, vector, factor, block):
    """Subtract what a cell shows of a reference, times a factor, from a block (64,)."""
    p, top, left = _shown(ph, r * 8, c * 8, vector[0], vector[1])
    for j in range(8):
        to = block[8 * j : 8 * j + 8]
        for i in range(8):
            to[i] -= np.float32(factor) * np.float32(p[top + j, left + i])


class Room(NamedTuple):
    """What every cell of 64 samples uses anew, float32 but for the last."""

    samples: np.ndarray
    block: np.ndarray
    turned: np.ndarray
    energy: np.ndarray
    weight: np.ndarray
    kept: np.ndarray  # float64


@njit_borrowing
def _kept(room, theta, left):
    """How much of a cell is inherited of a reference, by the coefficients of their difference."""
    block, energy, weight, kept = room.block, room.energy, room.weight, room.kept
    for i in range(64):
        e, s = block[i] * block[i], energy[i]
        same = min(np.float64(1), np.divide(np.float64(theta), e + left))
        term = weight[i] * same * (1 - np.divide(e, s))
        kept[i] = term if e < s else 0.0
    total = 0.0
    for i in range(64):
        total += kept[i]
    return total


@njit
def _inherit(cur, ph, vectors, gains, many, theta, thetas, both, active, shares):
    """Shares of the errors of one or two references.

    cur (H, W) uint8; ph: a tuple of two; vectors (2, rows, columns, 2); gains (2,); many: 0 to 2
    references; theta: energy that coding hides in this frame; thetas (2,): in its references;
    active (rows, columns): receives how much of a cell is coded at all, 0..64; shares (2, rows,
    columns).
    """
    some = np.empty((5, 64), np.float32)
    room = Room(some[0], some[1], some[2], some[3], some[4], np.empty(64))
    _inherit_cells(cur, ph, vectors, gains, many, theta, thetas, both, room, active, shares)


@njit_borrowing
def _inherit_cells(cur, ph, vectors, gains, many, theta, thetas, both, room, active, shares):
    """:func:`_inherit` with room to work."""
    rows, columns = active.shape
    samples, block, energy, weight = room.samples, room.block, room.energy, room.weight
    for r in range(rows):
        for c in range(columns):
            for j in range(8):
                for i in range(8):
                    samples[8 * j + i] = cur[r * 8 + j, c * 8 + i]
            for i in range(64):
                block[i] = samples[i]
            _hadamard(block, room.turned)
            own = thetas[0]
            for i in range(64):
                s = block[i] * block[i] + np.float32(_FAINT) * own
                energy[i] = s
                weight[i] = np.divide(s, s + own)
            total = np.float32(0)
            for i in range(64):
                total += weight[i]
            total -= weight[0]
            weight[0] = 0
            active[r, c] = total
            best, chosen = 0.0, 0
            for k in range(3 if many == 2 else many):
                for i in range(64):
                    block[i] = samples[i]
                part = 0.5 if k == 2 else 1.0
                for n in range(2):
                    if k in (n, 2):
                        _less_shown(ph[n], r, c, vectors[n, r, c], gains[n] * part, block)
                _hadamard(block, room.turned)
                left = np.float64(thetas[0] if k == 0 else thetas[1])
                if k == 2:
                    left = (thetas[0] + thetas[1]) / 2
                kept = _kept(room, theta, left)
                if kept > best:
                    best, chosen = kept, k
            share = best / total
            shares[0, r, c] = share if chosen == 0 else (share * both if chosen == 2 else 0)
            shares[1, r, c] = share if chosen == 1 else (share * both if chosen == 2 else 0)


def inherited(
    picture: SmallPicture,
    references: list[tuple[int, Reference]],
    quality: float,
    qualities: list[float],
    thorough: bool = True,
) -> tuple[np.ndarray, list[Inherited]]:
    """What a frame inherits from its references.

    references: none, one or two, each with its distance in frames. quality: that the frame is
    expected to be coded at; qualities: the references'; thorough: whether motion is searched for in
    parts of samples too. Also (rows, columns) float32 how many of the 63 coefficients of each cell
    are coded at all.
    """
    luma8 = picture.luma8
    rows, columns, many = picture.rows, picture.columns, len(references)
    vectors = np.zeros((2, rows, columns, 2), np.int32)
    gains, fades = np.ones(2), []
    for number, (distance, reference) in enumerate(references):
        bright = as_bright(picture, reference.picture)
        fades.append(bright is not reference.picture)
        found = coarse_motion(picture, bright, distance, thorough)
        if thorough:
            ph = phases(bright.luma, 1) if fades[number] else reference.phases
            vectors[number] = in_quarters(picture, ph, found)
        else:
            vectors[number] = 4 * found
        gains[number] = _gain(luma8, reference, vectors[number])
    active = np.empty((rows, columns), np.float32)
    shares = np.empty((2, rows, columns), np.float32)
    around = qualities or [quality]
    thetas = np.array([hidden(q) for q in (around[0], around[-1])], np.float32)
    empty = np.empty((4, 4, 0, 0), np.uint8)
    shown = [reference.phases for _, reference in references] or [empty]
    _inherit(
        luma8, (shown[0], shown[-1]), vectors, gains, many, np.float32(hidden(quality)), thetas,
        np.float32(BOTH), active, shares,
    )  # fmt: skip
    return active, [Inherited(shares[k], vectors[k], fades[k]) for k in range(many)]


@njit_borrowing
def hand_down(worth, shares, vectors, into):
    """Add what each cell is worth, times its share, to the cells of the reference that it shows.

    worth, shares (rows, columns) float32; vectors (rows, columns, 2) int32 in quarter samples;
    into (rows, columns) float32. What lies outside of the reference repeats its border.
    """
    rows, columns = worth.shape
    for r in range(rows):
        for c in range(columns):
            amount = worth[r, c] * shares[r, c]
            y, x = r * 32 + vectors[r, c, 0], c * 32 + vectors[r, c, 1]
            top, left = y >> 5, x >> 5
            down, right = np.float32((y & 31) / 32), np.float32((x & 31) / 32)
            for j in range(2):
                for i in range(2):
                    part = (down if j else 1 - down) * (right if i else 1 - right)
                    row = min(max(top + j, 0), rows - 1)
                    column = min(max(left + i, 0), columns - 1)
                    into[row, column] += amount * part
