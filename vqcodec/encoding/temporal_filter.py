"""Encoder's temporal filter: frames that many others refer to are coded from an average along the
motion of their neighbours.

Noise is not worth bits in a frame of reference: it costs there, and cannot predict the noise of the
next one. Motion-compensated neighbours are averaged into the source with weights that fall with
their distance in time and with every difference that coding at this quality would show, after the
GOP-based temporal filter of HM and VTM (Wennersten et al., JVET-O0549; Enhorn et al. 2020). Only
the encoder's source changes.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from ..codec.frame_decoder import Planes
from ..codec.motion_compensation import L0, compensate
from ..codec.motion_field import Field
from ..compiled import njit, njit_borrowing
from ..picture import MAX_SAMPLE, plane8
from ..system.threads import in_parts
from .block_matching import FARTHEST, at, legal, moved, of_picture, of_reference, refined
from .coarse_motion import starting_vectors
from .phases import phases
from .rate_distortion import uniform_step
from .sample_sums import sad8, sse8
from .small_pictures import SmallPicture
from .weight_estimation import matched_planes

REACH = 4  # neighbours on each side
SIGMA_MAX = 40.0  # of differences in samples of 10 bits; more blurs what low qualities still show
SMALL = 12.5  # squared error of a cell that follows its motion well, 8-bit scale
BOTH_SIDES = (
    0.85,
    0.57,
    0.41,
    0.33,
)  # weight of a neighbour by its distance in frames; both sides there
ONE_SIDE = (1.13, 0.97, 0.81, 0.57)  # and one side only


@njit_borrowing
def _vectors(cur, ph, starts, out, error):
    """Best vector of every 8x8 cell, by SAD, from a few starts, (H/16, W/16, 2) among them;
    ``error`` (H/8, W/8): its mean squared difference on the 8-bit scale."""
    h, w = cur.shape
    picture, reference = of_picture(cur), of_reference(ph, 1)
    for r in range(h // 8):
        for c in range(w // 8):
            y, x = r * 8, c * 8
            best, block = FARTHEST, at(picture, y, x)
            by, bx = nb.int64(0), nb.int64(0)
            for k in range(4):
                if k == 0:
                    my, mx = nb.int64(0), nb.int64(0)
                elif k == 1:
                    my, mx = (
                        nb.int64(starts[r >> 1, c >> 1, 0]),
                        nb.int64(starts[r >> 1, c >> 1, 1]),
                    )
                elif k == 2 and c > 0:
                    my, mx = nb.int64(out[r, c - 1, 0]), nb.int64(out[r, c - 1, 1])
                elif k == 3 and r > 0:
                    my, mx = nb.int64(out[r - 1, c, 0]), nb.int64(out[r - 1, c, 1])
                else:
                    continue
                if not legal(y, x, 8, my, mx, h, w):
                    continue
                shown = moved(reference, y, x, my, mx)
                s = sad8(block, picture.stride, shown, reference.stride)
                if s < best:
                    best, by, bx = s, my, mx
            by, bx = refined(reference, picture, y, x, by, bx, best, 8, 4, 0, h, w)
            out[r, c, 0], out[r, c, 1] = by, bx
            shown = moved(reference, y, x, by, bx)
            error[r, c] = sse8(block, picture.stride, shown, reference.stride) / 64.0


@njit
def _blend(source, refs, errors, strengths, sigma, size, out):
    """One plane: source (H, W) uint16, refs (K, H, W) uint16, errors (K, H/8, W/8), strengths (K,);
    cells of ``size`` samples."""
    k, h, w = refs.shape
    gain = np.empty(k, np.float32)
    likely = np.empty((2, MAX_SAMPLE + 1), np.float32)  # by difference; where motion is followed
    for a in range(2):
        s = sigma * (0.8 if a else 1.0)
        for d in range(MAX_SAMPLE + 1):
            likely[a, d] = math.exp(-0.5 * (d / s) ** 2)
    well = np.empty(k, np.int64)
    for r in range(h // size):
        for c in range(w // size):
            least = errors[0, r, c]
            for a in range(1, k):
                least = min(least, errors[a, r, c])
            for a in range(k):
                e = errors[a, r, c]
                g = strengths[a] * (least + 1) / (e + 1)
                g *= 1.2 if e < SMALL else (0.6 if e > 2 * SMALL else 1.0)
                gain[a] = g
                well[a] = 0 if e < SMALL else 1
            for j in range(r * size, r * size + size):
                for i in range(c * size, c * size + size):
                    v = nb.int32(source[j, i])
                    total, weight = np.float32(v), np.float32(1)
                    for a in range(k):
                        x = nb.int32(refs[a, j, i])
                        g = gain[a] * likely[well[a], abs(x - v)]
                        total += g * np.float32(x)
                        weight += g
                    out[j, i] = np.uint16(total / weight + np.float32(0.5))


def _shifted(
    source: Planes,
    small: SmallPicture,
    distance: int,
    planes: Planes,
    other: SmallPicture,
    leaves: np.ndarray,
    out: Planes,
) -> np.ndarray:
    """A neighbour's planes moved to where the source has them, into ``out``, and the error of each
    cell.

    small, other: the source and the neighbour at half the size. A neighbour of another brightness,
    in a fade, gets that of the source.
    """
    height, width = source[0].shape
    field = Field.empty(height, width, distance, 0)
    field.direction[:] = L0
    starts = starting_vectors(small, other, distance)
    same = matched_planes(source, planes, starts)
    if same is not None:
        planes = same
        starts = starting_vectors(small, SmallPicture.of(planes[0]), distance)
    cells = (height // 8, width // 8)
    vectors, errors = np.zeros((*cells, 2), np.int32), np.empty(cells)
    _vectors(plane8(source[0]), phases(planes[0], 1), starts, vectors, errors)
    field.mv[:, :, 0] = vectors
    compensate(leaves, field, planes, planes, out)
    return errors


def filtered(
    source: Planes,
    neighbours: list[tuple[int, Planes]],
    quality: float,
    strength: float,
    small: list[SmallPicture] | None = None,
) -> Planes:
    """The source averaged with its ``neighbours`` (distance in frames, planes) for coding at a
    quality; all planes are padded and of 10 bits.

    small: the source and its neighbours at half the size, where these have been made.
    The source itself where nothing is to be filtered.
    """
    sigma = 3 * (
        4 + 6 * math.log2(uniform_step(quality)) - 10
    )  # of differences that coding hides, by the step's quantisation parameter
    if not neighbours or strength <= 0 or sigma <= 0:
        return source
    small = small or [SmallPicture.of(p[0]) for p in (source, *(n for _, n in neighbours))]
    cells = np.indices([n // 8 for n in source[0].shape]).reshape(2, -1)
    leaves = np.stack([*cells, np.ones_like(cells[0])], 1).astype(np.int32)
    y, u, v = (np.empty((len(neighbours), *plane.shape), plane.dtype) for plane in source)
    errors = np.stack(
        in_parts(
            lambda one: _shifted(source, small[0], *one[0], one[1], leaves, one[2]),
            zip(neighbours, small[1:], zip(y, u, v, strict=True), strict=True),
        )
    )
    table = BOTH_SIDES if len({d > 0 for d, _ in neighbours}) == 2 else ONE_SIDE
    strengths = strength * np.array([table[abs(d) - 1] for d, _ in neighbours])
    out = []
    for number, (plane, shown) in enumerate(zip(source, (y, u, v), strict=True)):
        blended = np.empty_like(plane)
        _blend(
            plane,
            shown,
            errors,
            (0.55 if number else 0.4) * strengths,
            30.0 if number else min(sigma, SIGMA_MAX),
            4 if number else 8,
            blended,
        )
        out.append(blended)
    return out[0], out[1], out[2]
