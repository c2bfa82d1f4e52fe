"""Look-ahead: what error in each block of a frame that others refer to is worth, by how far these take the block over.

What a block shows is seen again in every frame that is predicted from it. Where its neighbours in time, moved along, are the same, bits of the key frame are spent once
for all of them; what is gone in the next frame is worth its own bits only. Encoders weigh blocks by this (mb-tree: Garrett-Glaser 2009; block importance
mapping of VTM: JVET-Y0077). Here the differences are those that the temporal filter has found (where it is off, at the very best qualities or by its
strength, all blocks are alike), and the weights act on the symbols of the latent, its refinement, direct blocks and detail, not on the step of the quantiser:
the format knows nothing of them.
"""

from __future__ import annotations

import numpy as np

from .rate_distortion import lagrangian

NOTICED = 0.12  # squared error against 1/lambda, at which a neighbour shows half of what a block is


def worths(
    errors: np.ndarray, quality: float, strength: float, height: int, width: int
) -> np.ndarray:
    """Weights of squared error, (H/16, W/16) float32 with a geometric mean of 1 over what is shown of a padded picture.

    errors (K, H/8, W/8): mean squared differences (8-bit scale) of each 8x8 cell to K neighbours in time along its motion; strength: octaves between a block that
    all of them show and one that none does, halved; height, width: of the luma that is shown.
    """
    small = NOTICED / lagrangian(quality)
    kept = (small / (small + errors)).mean(0)
    h, w = kept.shape
    octaves = 2 * strength * kept.reshape(h // 2, 2, w // 2, 2).mean((1, 3))
    shown = octaves[: -(-height // 16), : -(-width // 16)]
    weights: np.ndarray = np.exp2(octaves - shown.mean())
    return weights.astype(np.float32)
