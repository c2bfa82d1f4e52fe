"""What the camera does in some frames: by how it moves from each to the next, and by what the net
says of them.
"""

from __future__ import annotations

import numpy as np

from ..compiled import njit

_DOUBTED = 10.0  # trust of a step that counts for half
_LEAST = 3.0  # steps that must be known in all; with fewer the net alone is asked
# what moves a camera, in widths of the picture a frame: its mean shift, zooming, and by how much
# single steps differ from the mean (tools/shot_cameras.py --trained)
_PAN, _ZOOM, _SHAKE = 0.00078, 0.00012, 0.0015
_REACH = 0.29  # mean distance from the middle, of the width, at which zooming moves
_BELIEF = 0.3  # what the net's logarithms count beside those of the moves
_SEEN_BELIEF = 0.1  # beside those that were seen in pictures
# pictures are some frames apart, and a hand that shakes comes back in between: its steps differ by
# less than in proportion
_COMING_BACK = 2 / 3
_SMALLEST = 1e-3  # of what logarithms are taken of


@njit
def camera_scores(
    moves: np.ndarray, trust: np.ndarray, apart: np.ndarray, net: np.ndarray
) -> np.ndarray:
    """(4,) how much speaks for each of CAMERAS, as logarithms, in steps ``moves`` (n, 2) that are
    known by ``trust`` (n,) and ``apart`` (n,): see CameraPath. net: (4,) probabilities of CAMERAS.
    """
    known, seen, shift, zoom = 0.0, 0.0, 0j, 0.0
    for k in range(len(moves)):
        weight = trust[k] / (trust[k] + _DOUBTED)
        known += weight
        seen += apart[k]
        shift += weight * moves[k, 0]
        zoom += weight * moves[k, 1].real
    belief = _SEEN_BELIEF if seen else _BELIEF
    scores: np.ndarray = belief * np.log(np.maximum(net, _SMALLEST))
    if known < _LEAST:
        return scores
    shift, zoom = shift / known, zoom / known
    uneven = 0.0
    for k in range(len(moves)):
        off = (moves[k, 0] - shift) * max(1.0, apart[k]) ** _COMING_BACK
        square = off.real * off.real + off.imag * off.imag
        uneven += trust[k] / (trust[k] + _DOUBTED) * square
    done = (abs(shift) / _PAN, _REACH * abs(zoom) / _ZOOM, np.sqrt(uneven / known) / _SHAKE)
    for k in range(3):
        scores[k + 1] += np.log(max(done[k], _SMALLEST))
    return scores
