"""Whether a frame is coded without its references: where these show little of it.

The nets of predicted frames have learnt to mend a prediction. One that shows another scene, or
black, costs them more than none costs the nets of I frames.
"""

from __future__ import annotations

import math

import numpy as np

from ..codec.direct_map import in_blocks
from ..codec.frame_decoder import Planes
from . import portable_math
from .block_facts import squares
from .weight_estimation import cell_means

# share of the squared error that coding leaves in the mean, above which error may be worth coding:
# at low qualities most blocks lie below the mean, and nets still draw them for few bits
LEFT = 1 / 8
LEAST = 0.02  # excess of the prediction's error below which nothing is to be gained


def badness(source: Planes, prediction: Planes, floor: float) -> float:
    """How bad the prediction of luma is, against one by the mean of each cell of 8x8 samples; 0 of
    one that no frame would do better without.

    floor: squared error a sample (8-bit scale) that coding leaves anyway.
    """
    excess = _excess(source[0], prediction[0], 16 * floor)
    if excess <= LEAST:
        return 0.0
    alone = _excess(source[0], None, 16 * floor)
    return excess / alone if alone > 0 else math.inf


def tile_badness(source: Planes, prediction: Planes, floor: float) -> np.ndarray:
    """(H/32, W/32): the same of each tile; 0 where nothing is to be gained."""
    excess, alone = (
        _excess_of_cells(source[0], plane, 16 * floor) for plane in (prediction[0], None)
    )
    shape = (excess.shape[0] // 4, excess.shape[1] // 4)
    tiles, least = in_blocks(excess, shape).mean((1, 3)), in_blocks(alone, shape).mean((1, 3))
    return np.where(tiles > LEAST, tiles / np.maximum(least, LEAST), 0.0)


def _excess(source: np.ndarray, prediction: np.ndarray | None, floor: float) -> float:
    """Mean over 8x8 cells of the logarithm of squared error above the floor.

    Without prediction: that of each cell's mean.
    """
    return float(_excess_of_cells(source, prediction, floor).mean())


def _excess_of_cells(source: np.ndarray, prediction: np.ndarray | None, floor: float) -> np.ndarray:
    """(H/8, W/8): the logarithm of the squared error of each cell above the floor."""
    square = squares(source, np.zeros_like(source) if prediction is None else prediction, 8) / 64
    if prediction is None:
        square -= np.square(cell_means(source, 8).astype(np.float64))
    return portable_math.log(np.maximum(square / floor, 1))
