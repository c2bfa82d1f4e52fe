"""A stand-in for the net of shots: what it says follows from single numbers of a row."""

from __future__ import annotations

import numpy as np

from vqcodec.analysis.features import NAMES
from vqcodec.analysis.model import TRAITS, Reading


def reading(rows: np.ndarray) -> Reading:
    """A cut where a GOP begins, surprise by bits, traits by the whole row."""
    frames = len(rows)
    change = np.zeros((frames, 5), np.float32)
    change[:, 1] = 0.9 * rows[:, NAMES.index("gop start")]
    change[:, 0] = 1 - change[:, 1]
    camera = np.zeros((frames, 4), np.float32)
    camera[:, 1] = 1
    bits = rows[:, NAMES.index("bits")]
    traits = np.zeros((frames, TRAITS), np.float32)
    traits[:, : min(TRAITS, rows.shape[1])] = rows[:, :TRAITS]
    return Reading(
        change, np.full(frames, 2.5, np.float32), camera, bits - bits.min(initial=0), traits
    )
