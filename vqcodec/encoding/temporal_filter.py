"""Encoder's temporal filter: frames that many others refer to are coded from an average along the
motion of their neighbours.

Noise is not worth bits in a frame of reference: it costs there, and cannot predict the noise of the
next one. Motion-compensated neighbours are
averaged into the source with weights that fall with their distance in time and with every
difference that coding at this quality would
show, after the GOP-based temporal filter of HM and VTM (Wennersten et al., JVET-O0549; Enhorn et
al. 2020). Only the encoder's source changes.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numba as nb
import numpy as np
import torch

from ..codec.frame_decoder import Planes
from ..codec.motion_compensation import L0, compensate
from ..codec.motion_field import Field
from ..compiled import njit
from ..picture import plane8
from .block_matching import (
    coarse_vectors,
    legal,
    moved,
    optical_flow,
    phases,
    refined,
    sad,
)
from .rate_distortion import uniform_step
from .weight_estimation import matched, matched_planes

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


@njit
def _vectors(cur, ph, flow, coarse, out, error):
    """Best vector of every 8x8 cell, by SAD, from a few starts; ``error`` (H/8, W/8): its mean
    squared difference on the 8-bit scale."""
    h, w = cur.shape
    for r in range(h // 8):
        for c in range(w // 8):
            y, x = r * 8, c * 8
            best = nb.int32(1 << 29)
            by, bx = 0, 0
            for k in range(6):
                if k == 0:
                    my, mx = 0, 0
                elif k == 1:
                    my, mx = flow[r, c, 0], flow[r, c, 1]
                elif k < 4:
                    my, mx = coarse[k - 2, r, c, 0], coarse[k - 2, r, c, 1]
                elif k == 4 and c > 0:
                    my, mx = nb.int32(out[r, c - 1, 0]), nb.int32(out[r, c - 1, 1])
                elif k == 5 and r > 0:
                    my, mx = nb.int32(out[r - 1, c, 0]), nb.int32(out[r - 1, c, 1])
                else:
                    continue
                if not legal(y, x, 8, my, mx, h, w):
                    continue
                s = sad(ph, cur, y, x, my, mx, 8, best)
                if s < best:
                    best, by, bx = s, my, mx
            by, bx = refined(ph, cur, y, x, by, bx, best, 4, 0)
            out[r, c, 0], out[r, c, 1] = by, bx
            p, top, left = moved(ph, y, x, by, bx)
            e = 0
            for j in range(8):
                for i in range(8):
                    d = nb.int32(p[top + j, left + i]) - nb.int32(cur[y + j, x + i])
                    e += d * d
            error[r, c] = e / 64.0


@njit
def _blend(source, refs, errors, strengths, sigma, size, out):
    """One plane: source (H, W) uint16, refs (K, H, W) uint16, errors (K, H/8, W/8), strengths (K,);
    cells of ``size`` samples."""
    k, h, w = refs.shape
    gain = np.empty(k)
    inv = np.empty(k)
    for r in range(h // size):
        for c in range(w // size):
            least = errors[0, r, c]
            for a in range(1, k):
                least = min(least, errors[a, r, c])
            for a in range(k):
                e = errors[a, r, c]
                g = strengths[a] * (least + 1) / (e + 1)
                g *= 1.2 if e < SMALL else (0.6 if e > 2 * SMALL else 1.0)
                s = sigma * (1.0 if e < SMALL else 0.8)
                gain[a] = g
                inv[a] = -1.0 / (2 * s * s)
            for j in range(r * size, r * size + size):
                for i in range(c * size, c * size + size):
                    v = float(source[j, i])
                    total, weight = v, 1.0
                    for a in range(k):
                        x = float(refs[a, j, i])
                        d = x - v
                        g = gain[a] * math.exp(d * d * inv[a])
                        total += g * x
                        weight += g
                    out[j, i] = np.uint16(total / weight + 0.5)


def _shifted(
    source: Planes, luma8: np.ndarray, distance: int, planes: Planes, leaves: np.ndarray
) -> tuple[Planes, np.ndarray]:
    """A neighbour's planes moved to where the source has them, and the error of each cell.

    luma8: the source's luma of 8 bits. A neighbour of another brightness, in a fade, gets that of
    the
    source.
    """
    h, w = luma8.shape
    near8, f = plane8(planes[0]), Field.empty(h, w, distance, 0)
    f.direction[:] = L0
    flow = optical_flow(luma8, matched(luma8, near8))
    same = matched_planes(source, planes, flow)
    if same is not None:
        planes = same
        near8 = plane8(planes[0])
        flow = optical_flow(luma8, near8)
    vectors, errors = np.zeros((h // 8, w // 8, 2), np.int32), np.empty((h // 8, w // 8))
    _vectors(
        luma8,
        phases(planes[0]),
        flow,
        coarse_vectors(luma8, near8, distance),
        vectors,
        errors,
    )
    f.mv[:, :, 0] = vectors
    out = (np.empty_like(planes[0]), np.empty_like(planes[1]), np.empty_like(planes[2]))
    compensate(leaves, f, planes, planes, out)
    return out, errors


def filtered(
    source: Planes, neighbours: list[tuple[int, Planes]], quality: float, strength: float
) -> Planes:
    """The source averaged with its ``neighbours`` (distance in frames, planes) for coding at a
    quality; all planes are padded and of 10 bits.

    The source itself where nothing is to be filtered.
    """
    sigma = 3 * (
        4 + 6 * math.log2(uniform_step(quality)) - 10
    )  # of differences that coding hides, by the step's quantisation parameter
    if not neighbours or strength <= 0 or sigma <= 0:
        return source
    luma8 = plane8(source[0])
    cells = np.indices((luma8.shape[0] // 8, luma8.shape[1] // 8)).reshape(2, -1)
    leaves = np.stack([*cells, np.ones_like(cells[0])], 1).astype(np.int32)
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        moved = list(pool.map(lambda n: _shifted(source, luma8, n[0], n[1], leaves), neighbours))
    errors = np.stack([e for _, e in moved])
    table = BOTH_SIDES if len({d > 0 for d, _ in neighbours}) == 2 else ONE_SIDE
    strengths = strength * np.array([table[abs(d) - 1] for d, _ in neighbours])
    out = []
    for k, plane in enumerate(source):
        blended = np.empty_like(plane)
        _blend(
            plane,
            np.stack([p[k] for p, _ in moved]),
            errors,
            (0.55 if k else 0.4) * strengths,
            30.0 if k else min(sigma, SIGMA_MAX),
            4 if k else 8,
            blended,
        )
        out.append(blended)
    return out[0], out[1], out[2]
