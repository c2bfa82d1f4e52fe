"""Weights of a frame's references, estimated along the motion.

What x264 calls weightp starts from means and deviations of whole pictures, which fit a fade of a
still picture alone. Here gain and offset are fitted to means of cells and of what they show in the
reference, along the motion, by least squares that leave outliers out (iteratively reweighted:
Holland and Welsch 1977).
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from ..codec.frame_decoder import Coded, Planes
from ..codec.weighting import (
    FULL,
    GAIN,
    GAIN_BITS,
    HALF,
    MAX_GAIN,
    MAX_OFFSET,
    OFFSET,
    ONE,
    PLANES,
    Weights,
    fade_offset,
)
from ..compiled import njit_borrowing
from . import portable_math
from .rate_distortion import Weighing

ROUNDS = 6  # of the reweighted least squares
LEAST_SCALE = 2.0  # of errors in samples of 10 bits: smaller ones are not told from each other
FLAT = 16.0  # variance in samples of 10 bits below which a reference has no contrast to fit
SAME_MEAN = 0.5  # samples of 8 bits: pictures nearer than that are equally bright
SAME_CONTRAST = 0.02  # and of equal contrast, where the ratio of their deviations is within that
NO_OFFSET = 0.75  # samples of 10 bits that an offset may be off that of a fade, and is taken for it
CLEAR = 0.5  # squared error of cells' means, 8-bit scale, and share of it that weights may leave
PROMISE = 150.0  # bits that weights must promise before they are tried
AS_NEAR = 12.0  # squared error of the means of a 16x16 block's twelve cells, in samples of 10 bits
EVEN = 64.0  # variance of a block, in samples of 10 bits, up to which motion cannot be seen in it
CHROMA_PRIOR = 64.0  # variance of chroma at which its own gain counts as much as that of luma


class Line(NamedTuple):
    """A picture as gain * reference + offset, in samples of 10 bits."""

    gain: float
    offset: float

    def of(self, x: np.ndarray) -> np.ndarray:
        """The picture that the line expects."""
        return np.asarray(self.gain * x + self.offset)


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
def _moved_sums(plane, size, vectors, out):
    """out (rows, columns) float32: means of cells of what they show of a plane (H, W) uint16."""
    h, w = plane.shape
    rows, columns = out.shape
    for r in range(rows):
        for c in range(columns):
            # 32 quarters of a luma sample are ``size`` samples; a vector is that of 2x2 cells
            down, right = vectors[r >> 1, c >> 1, 0], vectors[r >> 1, c >> 1, 1]
            top = min(max(r * size + ((down * size + 16) >> 5), 0), h - size)
            left = min(max(c * size + ((right * size + 16) >> 5), 0), w - size)
            total = nb.int32(0)
            for j in range(size):
                row = plane[top + j, left : left + size]
                for value in row:
                    total += nb.int32(value)
            out[r, c] = total / (size * size)


def cell_means(plane: np.ndarray, size: int) -> np.ndarray:
    """Means of cells of size x size samples, float32."""
    tall, wide = plane.shape[0] // size, plane.shape[1] // size
    return moved_means(plane, size, np.zeros((-(-tall // 2), -(-wide // 2), 2), np.int32))


def moved_means(plane: np.ndarray, size: int, vectors: np.ndarray) -> np.ndarray:
    """Means of what cells of size x size samples show in a reference, by whole samples.

    vectors (H/16, W/16, 2) int32 [y, x] in units of 1/4 luma sample.
    """
    out = np.empty((plane.shape[0] // size, plane.shape[1] // size), np.float32)
    _moved_sums(plane, size, vectors, out)
    return out


def fit(shown: np.ndarray, wanted: np.ndarray, prior: Line | None = None) -> Line:
    """The line that most pairs of samples shown and wanted lie near.

    Its gain is drawn to that of ``prior``, the more the less contrast there is.
    """
    shown, wanted = shown.ravel().astype(np.float64), wanted.ravel().astype(np.float64)
    weight = np.ones_like(shown)
    line = Line(1.0, 0.0)
    for _ in range(ROUNDS):
        total = weight.sum()
        mean, target = (weight * shown).sum() / total, (weight * wanted).sum() / total
        spread = (weight * np.square(shown - mean)).sum() / total
        common = (weight * (shown - mean) * (wanted - target)).sum() / total
        if prior is not None:
            spread, common = spread + CHROMA_PRIOR, common + CHROMA_PRIOR * prior.gain
        gain = min(max(common / spread, 0.0), MAX_GAIN / ONE) if spread > FLAT else 1.0
        line = Line(gain, target - gain * mean)
        errors = np.abs(line.of(shown) - wanted)
        scale = max(LEAST_SCALE, 2 * float(np.median(errors)))
        weight = 1 / (1 + np.square(errors / scale)) ** 2
    return line


def difference_bits(errors: np.ndarray, weighing: Weighing) -> float:
    """Bits that differences of 8x8 cells (10 bits) cost, as the motion search counts them."""
    squares, floor = np.square(errors / 4), weighing.floor
    above = floor * (1 + portable_math.log(np.maximum(squares, floor) / floor))
    return 64 * weighing.worth * float(np.where(squares <= floor, squares, above).sum())


def pair(line: Line, shown: np.ndarray, wanted: np.ndarray, plane: int) -> tuple[int, int]:
    """A line as a gain and an offset to code; the offset makes up for the rounding of the gain."""
    gain = min(max(round(line.gain * ONE), 0), MAX_GAIN)
    errors = (wanted - shown * (gain / ONE)).ravel()
    near = np.abs(errors - np.median(errors))
    offset = float(errors[near <= max(LEAST_SCALE, np.median(near))].mean())
    expected = int(fade_offset(gain, plane))
    if abs(offset - expected) < NO_OFFSET:
        return gain, expected
    return gain, min(max(round(offset), -MAX_OFFSET), MAX_OFFSET)


class Brightness(NamedTuple):
    """Weights of a reference's luma; errors of its cells' means (10 bits) without and with them."""

    pair: tuple[int, int]  # gain and offset
    plain: np.ndarray
    weighted: np.ndarray

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


def brightness(source: Planes, reference: Planes, vectors: np.ndarray) -> Brightness:
    """Weights of the luma of a reference moved by ``vectors`` (H/16, W/16, 2)."""
    x, y = moved_means(reference[0], 8, vectors), cell_means(source[0], 8)
    gain, offset = pair(fit(x, y), x, y, 0)
    return Brightness((gain, offset), x - y, x * (gain / ONE) + offset - y)


def pairs(
    luma: tuple[int, int], source: Planes, reference: Planes, vectors: np.ndarray
) -> np.ndarray:
    """Gains and offsets of all planes, (PLANES, 2) int32, behind those of luma."""
    out = np.empty((PLANES, 2), np.int32)
    out[0] = luma
    for plane in (1, 2):
        x, y = moved_means(reference[plane], 4, vectors), cell_means(source[plane], 4)
        out[plane] = pair(fit(x, y, Line(luma[GAIN] / ONE, 0.0)), x, y, plane)
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
    found = brightness(source, reference, vectors)
    if not found.clear:
        return None
    return weighted_planes(reference, pairs(found.pair, source, reference, vectors))


def _cell_errors(
    source: Planes, reference: Planes, vectors: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """(H/16, W/16): squared errors of cells' means in all planes, along the motion, under gains and
    offsets (PLANES, 2)."""
    rows, columns = vectors.shape[:2]
    total = np.zeros((rows, columns))
    for plane, (shown, wanted) in enumerate(zip(reference, source, strict=True)):
        size = 4 if plane else 8
        seen = moved_means(shown, size, vectors) * (weights[plane, GAIN] / ONE)
        seen += weights[plane, OFFSET]
        errors = np.square(seen - cell_means(wanted, size))
        total += errors.reshape(rows, 2, columns, 2).sum((1, 3))
    return total


def _lit(source: Planes, reference: Planes, vectors: np.ndarray) -> np.ndarray:
    """Gains and offsets (PLANES, 2) of a reference along the motion."""
    luma = brightness(source, reference, vectors).pair
    return pairs(luma, source, reference, vectors)


def grounded(source: Planes, references: list[Planes], vectors: np.ndarray) -> np.ndarray:
    """Vectors (2, H/16, W/16, 2), but none in flat blocks where a reference in another light, as it
    lies, is as near in luma and chroma as what has moved.

    In a flat picture that gets darker there is always a place nearby that was as dark before: by
    luma alone, which the search of motion looks at, it is taken for what has moved. Its colour is
    another one.
    """
    out = vectors.copy()
    plain = Weights.none(1).sets[0, 0]
    rows, columns = vectors.shape[1:3]
    blocks = source[0].reshape(rows, 16, columns, 16).astype(np.float32)
    flat = blocks.var((1, 3)) < EVEN
    for k, planes in enumerate(references):
        found, still = vectors[k], np.zeros_like(vectors[k])
        moved = np.minimum(
            _cell_errors(source, planes, found, plain),
            _cell_errors(source, planes, found, _lit(source, planes, found)),
        )
        errors = _cell_errors(source, planes, still, _lit(source, planes, still))
        out[k][flat & (errors <= moved + AS_NEAR)] = 0
    return out


def weights(
    source: Planes, references: list[Coded], vectors: np.ndarray, weighing: Weighing
) -> Weights:
    """The sets of weights to try for a frame; none where they promise nothing.

    vectors (2, H/16, W/16, 2): motion to each reference.
    """
    found = [brightness(source, r.planes, vectors[k]) for k, r in enumerate(references)]
    if max(b.promise(weighing) for b in found) < PROMISE:
        return Weights.none()
    out = Weights.none(1)
    for k, reference in enumerate(references):
        out.sets[0, k] = pairs(found[k].pair, source, reference.planes, vectors[k])
    if len(found) == 2:
        first, second = (b.spread + 1 for b in found)
        out.blends[0] = FULL if first > 8 * second else 0 if second > 8 * first else HALF
    return out
