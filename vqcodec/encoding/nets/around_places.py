"""Positions around each other at the places of a hyper-latent, of which some lie in no coded
tile."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...codec.nets.tiles import Tiles

POSITIONS = 16  # of the latent at a place of the hyper-latent


def around_places(tiles: Tiles[Any], of_hyper: np.ndarray) -> np.ndarray:
    """(K * 16, 9) int64: around all positions of the places with a coded tile, those in coded
    tiles, by their numbers among the K * 16; K * 16 for none. of_hyper: that of the tiles, on the
    CPU."""
    frames, height, width = tiles.at16.shape
    total = len(tiles.hyper) * POSITIONS
    number = np.full((frames, height + 2, width + 2), total)
    frame, place = np.divmod(tiles.at16.at, height * width)
    y, x = np.divmod(place, width)
    number[frame, y + 1, x + 1] = of_hyper
    frame, place = np.divmod(tiles.hyper[:, None], height * width // POSITIONS)
    row, column = np.divmod(place, width // 4)
    inside = np.arange(POSITIONS)
    y, x = (row * 4 + inside // 4).ravel(), (column * 4 + inside % 4).ravel()
    frame = frame.repeat(POSITIONS)
    return np.stack([number[frame, y + dy, x + dx] for dy in range(3) for dx in range(3)], 1)
