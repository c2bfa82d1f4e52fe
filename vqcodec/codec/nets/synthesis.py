"""Synthesis: the exact net from the latent and the prediction to the residual in 10-bit samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic

import numpy as np

from .backend import Array, Backend
from .exact_layers import ExactBlock, ExactLinear, run_blocks
from .shape import NetShape
from .tiles import Tiles


class Synthesis(Generic[Array]):
    """Residual (N, H/8, W/8, 96) int16, added to the prediction, or to grey where there is none."""

    def __init__(self, arrays: Mapping[str, np.ndarray], shape: NetShape, backend: Backend[Array]):
        self.shape, self.backend = shape, backend
        self.s_y = backend.array(arrays["synthesis.s_y"])  # (64, M): step and gain of each quality
        self.first = ExactLinear.load(arrays, "synthesis.first", backend)
        self.up = ExactLinear.load(arrays, "synthesis.up", backend)
        self.blocks16 = [
            ExactBlock(arrays, f"synthesis.blocks16.{i}", backend)
            for i in range(shape.dec16_blocks)
        ]
        self.s_up = backend.array(arrays["synthesis.s_up"])
        if shape.inter:
            self.pred = ExactLinear.load(arrays, "synthesis.pred", backend)
        self.blocks8 = [
            ExactBlock(arrays, f"synthesis.blocks8.{i}", backend) for i in range(shape.dec_blocks)
        ]
        self.s_last = backend.array(arrays["synthesis.s_last"])
        # the last block of each resolution is read wide: its int8 copy is not used
        self.s_end16, self.s_end = (
            backend.array(np.ones(channels, np.float32)) for channels in (shape.dec16, shape.dec8)
        )
        self.last = ExactLinear.load(arrays, "synthesis.last", backend)

    def __call__(
        self,
        latent: np.ndarray,
        pred8: np.ndarray | None,
        quality: int,
        tiles: Tiles[Array] | None = None,
    ) -> np.ndarray:
        """The residual, (N, H/8, W/8, 96) int16.

        Args:
            latent: (N, H/16, W/16, M) int16, in sixteenths of a step.
            pred8: (N, H/8, W/8, 96) int8, the prediction; None in frames without one.
            quality: of the latent, 0..63.
            tiles: those that are coded, None: all. In others the residual is zero.
        """
        backend = self.backend
        if tiles is None:
            frames, height, width, _ = latent.shape
            tiles = Tiles.everywhere((frames, height // 4, width // 4), backend)
        seen = None if pred8 is None else backend.array(tiles.at8.gather(pred8))
        rows = self.layers(backend.array(tiles.at16.gather(latent)), seen, quality, tiles)
        return tiles.at8.scatter(backend.host(rows))

    def layers(
        self, latent: Array, pred8: Array | None, quality: int, tiles: Tiles[Array]
    ) -> Array:
        """The same on arrays of the backend, rows of the tiles."""
        backend = self.backend
        trunk = backend.wide16(latent, self.s_y[quality], self.first, quality)
        copy8 = backend.quant8(trunk, self.blocks16[0].s_in)
        run_blocks(backend, self.blocks16, trunk, copy8, tiles.at16, self.s_end16)
        trunk = backend.wide16(trunk, self.s_up, self.up, 0).reshape(len(tiles.at8.at), -1)
        s_in = self.blocks8[0].s_in
        if self.shape.inter:
            assert pred8 is not None
            copy8 = backend.product_add(pred8, self.pred, quality, trunk, s_in)
        else:
            copy8 = backend.quant8(trunk, s_in)
        run_blocks(backend, self.blocks8, trunk, copy8, tiles.at8, self.s_end)
        return backend.wide16(trunk, self.s_last, self.last, 0)
