"""Weights of a frame's references, estimated along the motion.

What x264 calls weightp starts from means and deviations of whole pictures, which fit a fade of a
still picture alone. Here gain and offset are fitted to means of cells and of what they show in the
reference, along the motion (:mod:`.brightness_line`).
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from ..codec.frame_decoder import Planes
from ..codec.weighting import (
    FULL,
    GAIN,
    GAIN_BITS,
    HALF,
    OFFSET,
    ONE,
    PLANES,
    Weights,
)
from ..compiled import njit_borrowing
from . import portable_math
from .brightness_line import fit, pair
from .rate_distortion import Weighing

SAME_MEAN = 0.5  # samples of 8 bits: pictures nearer than that are equally bright
SAME_CONTRAST = 0.02  # and of equal contrast, where the ratio of their deviations is within that
CLEAR = 0.5  # squared error of cells' means, 8-bit scale, and share of it that weights may leave
PROMISE = 150.0  # bits that weights must promise before they are tried
AS_NEAR = 12.0  # squared error of the means of a 16x16 block's twelve cells, in samples of 10 bits
EVEN = 64.0  # variance of a block, in samples of 10 bits, up to which motion cannot be seen in it


@njit_borrowing
def _moments(luma8):
    """Mean and standard deviation of a plane (H, W) uint8."""
    total, squares = nb.int64(0), nb.int64(0)
    for row in luma8:
        line, square = nb.int32(0), nb.int64(0)
        for value in row:
            line += nb.int32(value)
            square += nb.int32(value) * nb.int32(value)
        total += line
        squares += square
    mean = total / luma8.size
    return mean, max(squares / luma8.size - mean * mean, 0.0) ** 0.5


def matched(luma8: np.ndarray, reference8: np.ndarray) -> np.ndarray:
    """The reference with mean and deviation of the picture, itself where they are its own."""
    mean, deviation = _moments(luma8)
    other, spread = _moments(reference8)
    ratio = (deviation + 0.5) / (spread + 0.5)
    same = abs(mean - other) < SAME_MEAN and abs(ratio - 1) < SAME_CONTRAST
    if same or spread < 1:
        return reference8
    table = np.clip((np.arange(256) - other) * ratio + mean + 0.5, 0, 255).astype(np.uint8)
    return np.asarray(table[reference8])


@njit_borrowing
def _cell_sum(plane, top, left, size):
    """Of 8x8 or 4x4 samples: where the side is known a row of them is one instruction."""
    total = nb.int32(0)
    if size == 8:
        for j in range(8):
            for i in range(8):
                total += nb.int32(plane[top + j, left + i])
    else:
        for j in range(4):
            for i in range(4):
                total += nb.int32(plane[top + j, left + i])
    return total


@njit_borrowing
def _moved_sums(plane, size, vectors, out):
    """out (rows, columns) float32: means of cells of what they show of a plane (H, W) uint16; size
    8 or 4."""
    h, w = plane.shape
    rows, columns = out.shape
    for r in range(rows):
        for c in range(columns):
            # 32 quarters of a luma sample are ``size`` samples; a vector is that of 2x2 cells
            down, right = vectors[r >> 1, c >> 1, 0], vectors[r >> 1, c >> 1, 1]
            top = min(max(r * size + ((down * size + 16) >> 5), 0), h - size)
            left = min(max(c * size + ((right * size + 16) >> 5), 0), w - size)
            out[r, c] = _cell_sum(plane, top, left, size) / (size * size)


def cell_means(plane: np.ndarray, size: int) -> np.ndarray:
    """Means of cells of size x size samples, 8 or 4, float32."""
    tall, wide = plane.shape[0] // size, plane.shape[1] // size
    return moved_means(plane, size, np.zeros((-(-tall // 2), -(-wide // 2), 2), np.int32))


def moved_means(plane: np.ndarray, size: int, vectors: np.ndarray) -> np.ndarray:
    """Means of what cells of size x size samples, 8 or 4, show in a reference, by whole samples.

    vectors (H/16, W/16, 2) int32 [y, x] in units of 1/4 luma sample.
    """
    out = np.empty((plane.shape[0] // size, plane.shape[1] // size), np.float32)
    _moved_sums(plane, size, vectors, out)
    return out


def difference_bits(errors: np.ndarray, weighing: Weighing) -> float:
    """Bits that differences of 8x8 cells (10 bits) cost, as the motion search counts them."""
    squares, floor = np.square(errors / 4), weighing.floor
    above = floor * (1 + portable_math.log(np.maximum(squares, floor) / floor))
    return 64 * weighing.worth * float(np.where(squares <= floor, squares, above).sum())


class Brightness(NamedTuple):
    """Weights of a reference's luma; errors of its cells' means (10 bits) without and with them."""

    pair: tuple[int, int]  # gain and offset
    plain: np.ndarray
    weighted: np.ndarray

    @classmethod
    def of(cls, shown: np.ndarray, wanted: np.ndarray) -> Brightness:
        """By means of cells of luma."""
        gain, offset = pair(fit(shown, wanted), shown, wanted, 0)
        return cls((gain, offset), shown - wanted, shown * (gain / ONE) + offset - wanted)

    @property
    def clear(self) -> bool:
        """Whether the picture is the reference with another brightness beyond doubt."""
        plain, weighted = (float(np.square(e / 4).mean()) for e in (self.plain, self.weighted))
        return weighted < CLEAR * plain and plain - weighted > CLEAR

    @property
    def spread(self) -> float:
        """Mean squared error with the weights, of which single cells add little."""
        return float(np.square(np.minimum(np.abs(self.weighted), 64)).mean())

    def promise(self, weighing: Weighing) -> float:
        """Bits that luma gains."""
        return difference_bits(self.plain, weighing) - difference_bits(self.weighted, weighing)


class Cells:
    """Means of cells of 8x8 luma samples, and of the chroma there, float32: each plane's are made
    when they are asked for. vectors (H/16, W/16, 2): what the cells show of a reference."""

    def __init__(self, planes: Planes, vectors: np.ndarray | None = None):
        self.planes, self._vectors = planes, vectors
        self._made: list[np.ndarray | None] = [None] * PLANES

    def __getitem__(self, plane: int) -> np.ndarray:
        made = self._made[plane]
        if made is None:
            given, size = self.planes[plane], 4 if plane else 8
            if self._vectors is None:
                made = cell_means(given, size)
            else:
                made = moved_means(given, size, self._vectors)
            self._made[plane] = made
        return made


def pairs(luma: tuple[int, int], shown: Cells, wanted: Cells) -> np.ndarray:
    """Gains and offsets of all planes, (PLANES, 2) int32, behind those of luma."""
    out = np.empty((PLANES, 2), np.int32)
    out[0] = luma
    for plane in (1, 2):
        x, y = shown[plane], wanted[plane]
        out[plane] = pair(fit(x, y, luma[GAIN] / ONE), x, y, plane)
    return out


def weighted_planes(planes: Planes, weights: np.ndarray) -> Planes:
    """A picture under gains and offsets (PLANES, 2)."""
    y, u, v = (
        np.clip((plane * np.int32(gain) + (ONE >> 1) >> GAIN_BITS) + offset, 0, 1023)
        for plane, (gain, offset) in zip(planes, weights, strict=True)
    )
    return y.astype(np.uint16), u.astype(np.uint16), v.astype(np.uint16)


def matched_planes(source: Planes, reference: Planes, vectors: np.ndarray) -> Planes | None:
    """The reference with the brightness of the source; None where that is its own."""
    shown, wanted = Cells(reference, vectors), Cells(source)
    found = Brightness.of(shown[0], wanted[0])
    return weighted_planes(reference, pairs(found.pair, shown, wanted)) if found.clear else None


def _block_errors(shown: Cells, wanted: Cells, weights: np.ndarray) -> np.ndarray:
    """(H/16, W/16): squared errors of the means of a block's cells in all planes, under gains and
    offsets (PLANES, 2)."""
    total = np.zeros(tuple(side // 2 for side in wanted[0].shape))
    for plane in range(PLANES):
        seen = shown[plane] * np.float32(weights[plane, GAIN] / ONE)
        seen += np.float32(weights[plane, OFFSET])
        squares = np.square(seen - wanted[plane])
        total += squares[::2, ::2] + squares[1::2, ::2] + squares[::2, 1::2] + squares[1::2, 1::2]
    return total


@njit_borrowing
def _find_even(luma, out):
    """Mark the blocks of 16x16 samples of a plane (H, W) uint16 in which motion cannot be seen."""
    for r in range(out.shape[0]):
        for c in range(out.shape[1]):
            total, squares = nb.int64(0), nb.int64(0)
            for y in range(16 * r, 16 * r + 16):
                for x in range(16 * c, 16 * c + 16):
                    value = nb.int64(luma[y, x])
                    total += value
                    squares += value * value
            out[r, c] = 256 * squares - total * total < EVEN * 65536


def grounded(
    wanted: Cells, shown: list[Cells], vectors: np.ndarray, sets: np.ndarray
) -> np.ndarray:
    """Vectors (2, H/16, W/16, 2), along which references are shown, but none in flat blocks where a
    reference in another light, as it lies, is as near in luma and chroma as what has moved; sets
    (2, PLANES, 2): weights along them.

    In a flat picture that gets darker there is always a place nearby that was as dark before: by
    luma alone, which the search of motion looks at, it is taken for what has moved. Its colour is
    another one.
    """
    even = np.empty(vectors.shape[1:3], np.bool_)
    _find_even(wanted.planes[0], even)
    if not even.any():
        return vectors
    out = vectors.copy()
    for number, cells in enumerate(shown):
        still = Cells(cells.planes)
        moved = np.minimum(
            _block_errors(cells, wanted, Weights.none(1).sets[0, number]),
            _block_errors(cells, wanted, sets[number]),
        )
        lit = pairs(Brightness.of(still[0], wanted[0]).pair, still, wanted)
        out[number][even & (_block_errors(still, wanted, lit) <= moved + AS_NEAR)] = 0
    return out if (out != vectors).any() else vectors


def weights(wanted: Cells, shown: list[Cells], weighing: Weighing) -> Weights:
    """The sets of weights to try for a frame whose references show these cells along the motion;
    none where they promise nothing."""
    found = [Brightness.of(cells[0], wanted[0]) for cells in shown]
    if max(b.promise(weighing) for b in found) < PROMISE:
        return Weights.none()
    out = Weights.none(1)
    for k, cells in enumerate(shown):
        out.sets[0, k] = pairs(found[k].pair, cells, wanted)
    if len(found) == 2:
        first, second = (b.spread + 1 for b in found)
        out.blends[0] = FULL if first > 8 * second else 0 if second > 8 * first else HALF
    return out


def estimate(
    source: Planes, references: list[Planes], vectors: np.ndarray, weighing: Weighing
) -> tuple[Weights, np.ndarray]:
    """The sets of weights to try for a frame, and the vectors to start from under them.

    vectors (2, H/16, W/16, 2): motion to each reference.
    """
    wanted = Cells(source)
    shown = [Cells(planes, vectors[k]) for k, planes in enumerate(references)]
    found = weights(wanted, shown, weighing)
    if not len(found.blends):
        return found, vectors
    still = grounded(wanted, shown, vectors, found.sets[0])
    if still is not vectors:
        shown = [Cells(planes, still[k]) for k, planes in enumerate(references)]
        found = weights(wanted, shown, weighing)
    return found, still
