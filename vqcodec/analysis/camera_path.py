"""Where a camera looks in each frame, from motion vectors, or from pictures where these were seen.

Vectors lead to frames that may be far away, so that even slow motion is long enough to be measured.
For each reference of a frame the similarity (shift, zoom, turn) is sought that most cells agree
with; those of a GOP are a net of distances between frames, and the places of frames are where these
contradict each other least. Shifts are complex numbers, right real and down imaginary; so are
logarithms of zoom and turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ..compiled import njit
from .cholesky import factored, solved

if TYPE_CHECKING:
    from .features import FrameFacts
    from .registration import Similarity

_CELL = 8  # samples
_FITTED = 250  # so many cells are enough
_ROUNDS = 6  # of a fit
_GENTLE = 2  # of those the first, which leave no cell out
_OUT = 2.0  # means of what cells are off, beyond which one counts for little
_FINEST = 0.15  # samples that vectors are off at least: they are rounded to quarters
_FEW = 0.02  # share of cells that say nothing for all
_LARGEST = 0.9  # zoom and turn of a fit that means something
_LOOSE = 1e-3  # weight of the guess that nothing moves, where no vector says more
_AGAIN = 3  # rounds in which distances that contradict others lose weight
_SEEN = 1e6  # trust of what was seen
_AGREED = 0.5  # share of two pictures that must move alike
_APART = (0.5, 0.03)  # samples that they may, and more by the length of the distance


class CameraPath:
    """How the camera moves from frame to frame of a file whose GOPs are taken in order.

    Args:
        width: of the picture.
        height: of the picture.
        count: frames of the file.
    """

    def __init__(self, width: int, height: int, count: int) -> None:
        self._size, self._given = (width, height), 0
        self.moves = np.zeros((count, 2), np.complex64)
        """From the frame before: shift in widths of the picture, logarithm of zoom and turn."""
        self.trust = np.zeros(count, np.float32)
        """How well they are known: the inverse of the squared error in samples, about; 0 for not at
        all, as of the first frame of a GOP."""
        self.apart = np.zeros(count, np.float32)
        """Frames between the two pictures that a step was seen in; 0 where vectors told of it."""
        self._beside = np.zeros(count, bool)  # steps of shots that were seen, but not in them

    def see(self, shot: slice, frames: Sequence[int], moves: Sequence[Similarity]) -> None:
        """Put what was seen in pictures of a shot, from each of ``frames`` to the next, in the
        place of what vectors say of it, unless most pictures do not match.
        """
        known = [move.agreed >= _AGREED for move in moves]
        if 2 * sum(known) < len(known):
            return
        self._beside[shot] = True
        high = self._size[1] / self._size[0]
        for (start, stop), move, agreed in zip(pairwise(frames), moves, known, strict=True):
            if not agreed:
                continue
            steps, apart = slice(start + 1, stop + 1), stop - start
            shift = complex(move.shift.real, move.shift.imag * high)
            self.moves[steps] = shift / apart, move.zoom / apart
            self.trust[steps], self.apart[steps] = _SEEN, apart
            self._beside[steps] = False

    def trusted(self, steps: slice) -> np.ndarray:
        """How well steps are known that are judged together: what vectors say of a shot that was
        seen counts where none of these steps was.
        """
        trust = self.trust[steps]
        return np.where(self._beside[steps], 0, trust) if self.apart[steps].any() else trust

    def add(self, frames: Sequence[FrameFacts | None]) -> None:
        """The next GOP, in order of display. None stands for a frame that cannot be read."""
        width = float(self._size[0])
        own = slice(self._given, self._given + len(frames))
        self._given = own.stop
        ends, fits, weights = _distances(frames, *self._size)
        if not len(ends):
            return
        places, trust = _placed(len(frames), ends, fits, weights, width)
        zoom = places[:, 1]
        between = np.exp((zoom[1:] + zoom[:-1]) / 2)
        self.moves[own][1:, 0] = np.diff(places[:, 0]) / between / width
        self.moves[own][1:, 1] = np.diff(zoom)
        self.trust[own][1:] = np.minimum(trust[1:], trust[:-1])


def _distances(
    frames: Sequence[FrameFacts | None], width: int, height: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the vectors of a GOP say: (n, 2) int64 numbers of a frame and its reference, (n, 2)
    complex shift and logarithm of zoom and turn from the reference to it, (n,) weights.
    """
    most, count = 2 * len(frames), 0
    ends, fits = np.empty((most, 2), np.int64), np.empty((most, 2), np.complex128)
    weights = np.empty(most)
    tall, wide = -(-height // _CELL), -(-width // _CELL)
    for number, facts in enumerate(frames):
        if facts is not None and not facts.intra:
            f, place = facts.field, (number, len(frames), tall, wide)
            count = _note(f.direction, f.mv, f.dist, place, ends, fits, weights, count)
    return ends[:count], fits[:count], weights[:count]


@njit
def _note(
    direction: np.ndarray,
    mv: np.ndarray,
    dist: np.ndarray,
    place: tuple[int, int, int, int],
    ends: np.ndarray,
    fits: np.ndarray,
    weights: np.ndarray,
    count: int,
) -> int:
    """Add the distances from a frame to its references to those that there are; how many there are
    then. place: its number, frames of the GOP, rows and columns of cells.
    """
    number, frames, tall, wide = place
    out = np.zeros(4, np.complex128)
    for which in range(2):
        reference = number + dist[which]
        if reference == number or reference < 0 or reference >= frames:
            continue
        _read(direction, mv, tall, wide, which, out)
        share, agree, off = out[3].real, out[2].real, out[2].imag
        if share >= _FEW and abs(out[1]) < _LARGEST:
            ends[count, 0], ends[count, 1] = number, reference
            fits[count, 0], fits[count, 1] = out[0], np.log(1 + out[1])
            weights[count] = share * agree * agree / (off * off + _FINEST * _FINEST)
            count += 1
    return count


@njit
def _fitted(cells: np.ndarray, count: int, out: np.ndarray) -> None:
    """Fit a similarity to the shifts of ``count`` cells: (n, 6) float64, place right and down of
    the middle, shift right and down, what each is off (squared), weight.

    Into ``out``: shift, zoom and turn, (share of cells that agree, samples that these are off).
    """
    spread = 0.0
    for again in range(_ROUNDS):
        if again == _GENTLE:
            spread = max(_FINEST, _mean_off(cells, count))
        for k in range(count):
            far = cells[k, 4]
            if again == 0:
                cells[k, 5] = 1.0
            elif again <= _GENTLE:
                cells[k, 5] = 1 / (_FINEST + np.sqrt(far))
            else:
                part = 1 + far / (_OUT * _OUT * spread * spread)
                cells[k, 5] = 1 / (part * part)
        _line(cells, count, out)
        if again > _GENTLE:
            spread = max(_FINEST, _mean_off(cells, count))
    agree = 0
    for k in range(count):
        agree += cells[k, 4] < (_OUT * spread) ** 2
    out[2] = complex(agree / max(1, count), spread)


@njit
def _mean_off(cells: np.ndarray, count: int) -> float:
    """Samples that cells are off, each by its weight."""
    total, off = 1e-9, 0.0
    for k in range(count):
        total += cells[k, 5]
        off += cells[k, 5] * np.sqrt(cells[k, 4])
    return float(off / total)


@njit
def _line(cells: np.ndarray, count: int, out: np.ndarray) -> None:
    """The similarity of least squares by the cells' weights, and what each is off."""
    total, x, y, right, down = 1e-9, 0.0, 0.0, 0.0, 0.0
    for k in range(count):
        weight = cells[k, 5]
        total += weight
        x += weight * cells[k, 0]
        y += weight * cells[k, 1]
        right += weight * cells[k, 2]
        down += weight * cells[k, 3]
    x, y, right, down = x / total, y / total, right / total, down / total
    zoom, turn, squares = 0.0, 0.0, 256.0 * _FINEST
    for k in range(count):
        a, b = cells[k, 0] - x, cells[k, 1] - y
        c, d = cells[k, 2] - right, cells[k, 3] - down
        zoom += cells[k, 5] * (a * c + b * d)
        turn += cells[k, 5] * (a * d - b * c)
        squares += cells[k, 5] * (a * a + b * b)
    zoom, turn = zoom / squares, turn / squares
    right, down = right - zoom * x + turn * y, down - zoom * y - turn * x
    for k in range(count):
        a = cells[k, 2] - right - zoom * cells[k, 0] + turn * cells[k, 1]
        b = cells[k, 3] - down - zoom * cells[k, 1] - turn * cells[k, 0]
        cells[k, 4] = a * a + b * b
    out[0], out[1] = complex(right, down), complex(zoom, turn)


@njit
def _read(
    direction: np.ndarray, mv: np.ndarray, tall: int, wide: int, which: int, out: np.ndarray
) -> None:
    """What the vectors to one of a frame's references say: see _fitted. Into ``out[3]`` the share
    of the cells that have one.
    """
    step = int(np.ceil(np.sqrt(tall * wide / _FITTED)))
    most = (tall // step + 1) * (wide // step + 1)
    cells = np.empty((most, 6))
    count, seen, even = 0, 0, True
    for y in range(step // 2, tall, step):
        for x in range(step // 2, wide, step):
            seen += 1
            if direction[y, x] & (1 << which):
                cells[count, 0] = _CELL * (x + 0.5 - wide / 2)
                cells[count, 1] = _CELL * (y + 0.5 - tall / 2)
                cells[count, 2] = 0.25 * mv[y, x, which, 1]
                cells[count, 3] = 0.25 * mv[y, x, which, 0]
                even &= cells[count, 2] == cells[0, 2] and cells[count, 3] == cells[0, 3]
                count += 1
    out[:] = 0
    out[3] = count / max(1, seen)
    if count and even:
        out[0], out[2] = complex(cells[0, 2], cells[0, 3]), complex(1, _FINEST)
    elif count:
        _fitted(cells, count, out)


@njit
def _placed(
    frames: int, ends: np.ndarray, fits: np.ndarray, weights: np.ndarray, width: float
) -> tuple[np.ndarray, np.ndarray]:
    """Places (frames, 2), shift in samples and logarithm of zoom and turn, and (frames,) what each
    is trusted with, by the distances of a GOP.
    """
    kept = weights.copy()
    places, zooms = np.zeros(frames, np.complex128), np.zeros(frames, np.complex128)
    first = np.maximum(np.arange(frames) - 1, 0)
    for e in range(len(ends)):
        high = max(ends[e, 0], ends[e, 1])
        first[high] = min(first[high], min(ends[e, 0], ends[e, 1]))
    for _ in range(_AGAIN):
        table = np.zeros((frames, frames))
        for i in range(frames):
            table[i, i] = 2 * _LOOSE + (i == 0)
            if i:
                table[i, i - 1] = -_LOOSE
        zooms[:], places[:] = 0, 0
        for e in range(len(ends)):
            i, j = ends[e, 0], ends[e, 1]
            table[i, i] += kept[e]
            table[j, j] += kept[e]
            table[max(i, j), min(i, j)] -= kept[e]
            zooms[i] += kept[e] * fits[e, 1]
            zooms[j] -= kept[e] * fits[e, 1]
        factored(table, first)
        solved(table, first, zooms)
        for e in range(len(ends)):
            i, j = ends[e, 0], ends[e, 1]
            shift = kept[e] * np.exp(zooms[j]) * fits[e, 0]
            places[i] += shift
            places[j] -= shift
        solved(table, first, places)
        for e in range(len(ends)):
            i, j = ends[e, 0], ends[e, 1]
            grown = np.exp(zooms[j])
            off = abs(places[i] - places[j] - grown * fits[e, 0]) / abs(grown)
            off += 0.25 * width * abs(zooms[i] - zooms[j] - fits[e, 1])
            ratio = off / (_APART[0] + _APART[1] * abs(fits[e, 0]))
            kept[e] = weights[e] / (1 + ratio * ratio)
    trust = np.zeros(frames)
    for e in range(len(ends)):
        trust[ends[e, 0]] += kept[e]
        trust[ends[e, 1]] += kept[e]
    out = np.empty((frames, 2), np.complex128)
    out[:, 0], out[:, 1] = places, zooms
    return out, trust
