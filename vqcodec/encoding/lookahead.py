"""Look-ahead: what error in each block is worth in a frame that others refer to.

What a block shows is seen again in every frame that is predicted from it. If its neighbours in
time, moved along, are the same, bits of the key frame are spent once for all of them. What is gone
in the next frame is worth its own bits only. Encoders weigh blocks by this (mb-tree:
Garrett-Glaser 2009; block importance mapping of VTM: JVET-Y0077).

The differences are those that the temporal filter found. Where it is off, all blocks are alike: at
the very best qualities, or by its strength. The weights act on the symbols of the latent, its
refinement, direct blocks and detail, not on the step of the quantiser: the format knows nothing of
them.
"""

from __future__ import annotations

import numpy as np

from .rate_distortion import lagrangian

# squared error against 1/lambda at which a neighbour shows half of what a block is; measured in
# docs/design/encoder.md, Look-ahead by blocks
NOTICED = 0.12


def worths(
    errors: np.ndarray, quality: float, strength: float, height: int, width: int
) -> np.ndarray:
    """Weights of squared error in the blocks of a padded picture, (H/16, W/16) float32.

    Their geometric mean is 1 over what is shown of it.

    Args:
        errors: (K, H/8, W/8) mean squared differences (8-bit scale) of each 8x8 cell to K
            neighbours in time along its motion.
        quality: that the frame is coded at.
        strength: half the octaves between a block that all neighbours show and one that none does.
        height, width: of the luma that is shown.
    """
    small = NOTICED / lagrangian(quality)
    kept = (small / (small + errors)).mean(0)
    h, w = kept.shape
    octaves = 2 * strength * kept.reshape(h // 2, 2, w // 2, 2).mean((1, 3))
    shown = octaves[: -(-height // 16), : -(-width // 16)]
    weights: np.ndarray = np.exp2(octaves - shown.mean())
    return weights.astype(np.float32)
