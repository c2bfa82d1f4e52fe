"""RGB of decoded planes by the file's matrix, range and chroma location, in integers and so the
same on every machine.

The matrices are those of ITU-T H.273 (8.3); chroma is interpolated linearly at the places where the
location (H.273 8.7) puts its samples.
"""

from __future__ import annotations

import numpy as np

from ..compiled import njit
from ..container.packets import StreamHeader
from ..errors import UsageError
from ..picture import Picture

# red's and blue's part in luma by H.273's number of the matrix
_LUMA = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
_UNKNOWN = (0, 2, 3)  # 0 is RGB itself, which 4:2:0 cannot be
_WHITE = 255 << 2
_SHIFT = 13  # fractional bits of the coefficients
_SIXTEENTHS = 16  # chroma is interpolated in quarters each way
_TOP = _WHITE * _SIXTEENTHS << _SHIFT
_TO8 = _SHIFT + 6  # bits that a value of 8 bits has fewer
# FFmpeg's numbers of the chroma locations that lie on a luma column, and on a row
_ON_COLUMN, _ON_ROW, _AT_BOTTOM = (0, 1, 3, 5), (3, 4), (5, 6)
# where a chroma sample lies between the two luma samples that it stands for
_ON_FIRST, _MIDWAY, _ON_SECOND = 0, 1, 2


class ToRgb:
    """Makes RGB of the pictures of a stream. UsageError for a matrix that is not one of luma and
    two colour differences.

    A matrix that isn't told is BT.709 for pictures wider than 1279 or higher than 576 samples and
    BT.601 below, as in players; a range that isn't told is limited, a location left. Transfer and
    primaries are left as they are.
    """

    def __init__(self, header: StreamHeader) -> None:
        matrix = header.matrix
        if matrix in _UNKNOWN:
            matrix = 1 if header.width >= 1280 or header.height > 576 else 6
        if matrix not in _LUMA:
            raise UsageError(
                f"pictures of matrix {matrix} (ITU-T H.273) have no linear way to RGB: "
                "open the file with output='yuv'"
            )
        kr, kb = _LUMA[matrix]
        full = header.range == 2
        one = 1 << _SHIFT
        # to values of 0 to _WHITE; pictures of 8 bits are held times four
        gain_y, gain_c = (
            (_WHITE / (1023 if header.bit_depth > 8 else 1020),) * 2
            if full
            else (_WHITE / 876, _WHITE / 896)
        )
        green = 1 - kr - kb
        # black, then the parts of luma, of v in red, of u and v in green, of u in blue
        self._parts = np.array(
            [
                0 if full else 64,
                round(gain_y * one) * _SIXTEENTHS,
                round(2 * (1 - kr) * gain_c * one),
                round(2 * kb * (1 - kb) / green * gain_c * one),
                round(2 * kr * (1 - kr) / green * gain_c * one),
                round(2 * (1 - kb) * gain_c * one),
            ],
            np.int32,
        )
        location = header.chroma_location
        self._column = _ON_FIRST if location in _ON_COLUMN else _MIDWAY
        self._row = _ON_FIRST if location in _ON_ROW else _MIDWAY
        if location in _AT_BOTTOM:
            self._row = _ON_SECOND

    def __call__(self, picture: Picture, as_float: bool = False) -> np.ndarray:
        """(3, H, W) uint8 of a 10-bit picture; or float32 from 0 to 1, which is not rounded to 8
        bits.
        """
        y, u, v = (np.ascontiguousarray(plane) for plane in picture)
        out = np.empty((3, *y.shape), np.float32 if as_float else np.uint8)
        _rgb(y, u, v, self._row, self._column, self._parts, out)
        return out

    def whole(self, chroma: np.ndarray, height: int, width: int) -> np.ndarray:
        """A chroma plane at the luma's places, (H, W) int32 in sixteenths of a sample."""
        out = np.empty((height, width), np.int32)
        _whole(np.ascontiguousarray(chroma, np.uint16), self._row, self._column, out)
        return out


@njit
def _near(i: int, place: int, size: int) -> tuple[int, int, int, int]:
    """The two samples that one of twice as many lies at or between, and their parts in quarters."""
    k, second = i // 2, i % 2
    if place == _MIDWAY:
        return k, min(k + 1, size - 1) if second else max(k - 1, 0), 3, 1
    if second == (place == _ON_FIRST):  # between two
        return k, min(k + 1, size - 1) if second else max(k - 1, 0), 2, 2
    return k, k, 4, 0


@njit
def _chroma(c: np.ndarray, i: int, row: int, column: int, tall: np.ndarray, to: np.ndarray) -> None:
    """Row i of a chroma plane at the luma's places, in sixteenths; tall: room for a row of it."""
    k, other, a, b = _near(i, row, c.shape[0])
    for j in range(c.shape[1]):
        tall[j] = a * np.int32(c[k, j]) + b * np.int32(c[other, j])
    for j in range(to.shape[0]):
        k, other, a, b = _near(j, column, c.shape[1])
        to[j] = a * tall[k] + b * tall[other]


@njit
def _whole(c: np.ndarray, row: int, column: int, out: np.ndarray) -> None:
    tall = np.empty(c.shape[1], np.int32)
    for i in range(out.shape[0]):
        _chroma(c, i, row, column, tall, out[i])


@njit
def _colours(
    y: np.ndarray,
    u: np.ndarray,
    v: np.ndarray,
    i: int,
    row: int,
    column: int,
    parts: np.ndarray,
    tall: np.ndarray,
    lines: np.ndarray,
) -> None:
    """lines (3, W) int32: red, green and blue of row i, from 0 to _TOP."""
    black, gain, red_v, green_u, green_v, blue_u = parts
    _chroma(u, i, row, column, tall, lines[0])
    _chroma(v, i, row, column, tall, lines[1])
    for j in range(y.shape[1]):
        l = (np.int32(y[i, j]) - black) * gain
        cu, cv = lines[0, j] - 512 * _SIXTEENTHS, lines[1, j] - 512 * _SIXTEENTHS
        lines[0, j] = min(max(l + red_v * cv, 0), _TOP)
        lines[1, j] = min(max(l - green_u * cu - green_v * cv, 0), _TOP)
        lines[2, j] = min(max(l + blue_u * cu, 0), _TOP)


@njit
def _rgb(
    y: np.ndarray,
    u: np.ndarray,
    v: np.ndarray,
    row: int,
    column: int,
    parts: np.ndarray,
    out: np.ndarray,
) -> None:
    """out (3, H, W): uint8, or float32 from 0 to 1."""
    tall, lines = np.empty(u.shape[1], np.int32), np.empty((3, y.shape[1]), np.int32)
    rounded = out.itemsize == 1
    for i in range(y.shape[0]):
        _colours(y, u, v, i, row, column, parts, tall, lines)
        for p in range(3):
            line, to = lines[p], out[p, i]
            if rounded:
                for j in range(line.size):
                    to[j] = (line[j] + (1 << (_TO8 - 1))) >> _TO8
            else:
                for j in range(line.size):
                    to[j] = np.float32(line[j]) / np.float32(_TOP)
