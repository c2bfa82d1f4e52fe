"""Which blocks go past the nets."""

from __future__ import annotations

import numpy as np

from ..codec.direct_map import blocks
from ..compiled import njit

_FLAG_BITS = np.array(
    [[0.1, 4.0], [1.0, 1.0], [4.0, 0.1]]
)  # about what a flag 0, 1 costs behind 0, 1, 2 direct neighbours


@njit
def _decide(gain, bits, out):
    # twice over the map: a flag counts what it costs behind its neighbours and what it costs those
    # that follow
    h, w = gain.shape
    for _ in range(2):
        for r in range(h):
            for c in range(w):
                cost = np.zeros(2)
                for k in range(2):
                    left = out[r, c - 1] if c > 0 else 0
                    above = out[r - 1, c] if r > 0 else 0
                    cost[k] += bits[left + above, k]
                    if c + 1 < w:
                        cost[k] += bits[k + (out[r - 1, c + 1] if r > 0 else 0), out[r, c + 1]]
                    if r + 1 < h:
                        cost[k] += bits[k + (out[r + 1, c - 1] if c > 0 else 0), out[r + 1, c]]
                out[r, c] = 1 if gain[r, c] > cost[1] - cost[0] else 0


def choose(
    net_cost: np.ndarray, latent_bits: np.ndarray, pred_cost: np.ndarray, least: float
) -> np.ndarray | None:
    """The map that promises to cost least, or None where none is worth a try.

    net_cost, pred_cost: (H/8, W/8) bits that error and detail of each cell are worth behind the
    synthesis and on the plain prediction;
    latent_bits: (H/16, W/16); least: bits that the map has to gain.
    """
    gain = blocks(net_cost) + latent_bits - blocks(pred_cost)
    out = (gain > 0).astype(np.uint8)
    _decide(gain, _FLAG_BITS, out)
    return out if (gain * out).sum() > least else None
