"""BD-rate: the mean difference in bits at equal quality, after G. Bjontegaard, VCEG-M33, with
piecewise cubic interpolation (pchip)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

TOO_LITTLE = "the curves have too little quality in common"
MIN_OVERLAP = 0.25  # of the tested curve's range of quality


class BdRate(NamedTuple):
    """Percent of bits more (positive) or fewer (negative) than the anchor at equal quality, or None
    and the ``reason`` why it is undefined."""

    percent: float | None
    reason: str = ""


def bd_rate(
    anchor: Sequence[tuple[float, float | None]], test: Sequence[tuple[float, float | None]]
) -> BdRate:
    """BD-rate of the curve ``test`` against ``anchor``, both of (rate, quality) in any order.
    Points without quality are left out.

    Undefined where a curve has fewer than two points, where one doesn't rise, and where the curves
    have less than a quarter of the tested one's range of quality in common.
    """
    curves = [sorted((r, q) for r, q in curve if q is not None) for curve in (anchor, test)]
    for name, curve in zip(("the anchor's curve", "the curve"), curves, strict=True):
        if len(curve) < 2:
            return BdRate(None, f"{name} has fewer than two points")
        if any(b[1] <= a[1] or b[0] <= a[0] for a, b in pairwise(curve)):
            return BdRate(None, f"{name} doesn't rise everywhere")
    (ra, qa), (rt, qt) = ([list(v) for v in zip(*curve, strict=True)] for curve in curves)
    common = min(qa[-1], qt[-1]) - max(qa[0], qt[0])
    if common < MIN_OVERLAP * (qt[-1] - qt[0]):
        return BdRate(None, TOO_LITTLE)
    from bjontegaard import bd_rate as compute

    value = float(
        compute(ra, qa, rt, qt, method="pchip", require_matching_points=False, min_overlap=0)
    )
    return BdRate(value) if math.isfinite(value) else BdRate(None, "the result is no number")
