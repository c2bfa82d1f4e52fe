"""Prior: the exact net that says what to expect of a latent.

From the hyper-latent, the prediction and what is decoded of the latent, to a mean for each channel
and a rate class for each group of channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic

import numpy as np

from .backend import Array, Backend
from .exact_layers import ExactBlock, ExactLinear, run_blocks
from .shape import CLASS_ZERO, CLASSES, NetShape
from .tiles import Rows, Tiles


class PriorStep(Generic[Array]):
    """The layers of one step of the latent."""

    def __init__(
        self, arrays: Mapping[str, np.ndarray], name: str, blocks: int, backend: Backend[Array]
    ):
        self.first = ExactLinear.load(arrays, name + ".first", backend)
        self.blocks = [ExactBlock(arrays, f"{name}.blocks.{i}", backend) for i in range(blocks)]
        self.s_out = backend.array(arrays[name + ".s_out"])
        self.mean = ExactLinear.load(arrays, name + ".mean", backend)
        self.scale = ExactLinear.load(arrays, name + ".scale", backend)

    def __call__(
        self, backend: Backend[Array], x8: Array, quality: int, rows: Rows[Array]
    ) -> tuple[np.ndarray, np.ndarray]:
        """x8 (M, C) int8 -> mean int16 and class uint8, row by row."""
        trunk = backend.product16(x8, self.first, quality)
        x8 = backend.quant8(trunk, self.blocks[0].s_in)
        copy8 = run_blocks(backend, self.blocks, trunk, x8, rows, self.s_out)
        mean, cls = (backend.host(backend.product16(copy8, l, 0)) for l in (self.mean, self.scale))
        last = CLASSES - 1 - CLASS_ZERO
        return mean, (cls.clip(-CLASS_ZERO, last) + CLASS_ZERO).astype(np.uint8)


class Prior(Generic[Array]):
    """mean int16 (N, H/16, W/16, M) in sixteenths of a step, class uint8 (N, H/16, W/16, M/4)."""

    def __init__(self, arrays: Mapping[str, np.ndarray], shape: NetShape, backend: Backend[Array]):
        self.shape, self.backend = shape, backend
        self.s_z = backend.array(arrays["prior.s_z"])
        self.up = ExactLinear.load(arrays, "prior.up", backend)
        if shape.inter:
            self.cx_first = ExactLinear.load(arrays, "prior.cx_first", backend)
            self.cx_last = ExactLinear.load(arrays, "prior.cx_last", backend)
            self.cx_block = ExactBlock(arrays, "prior.cx_block", backend)
            self.s_cx = backend.array(arrays["prior.s_cx"])
        self.steps = [
            PriorStep(arrays, f"prior.steps.{k}", shape.prior_blocks, backend)
            for k in range(shape.steps)
        ]
        # the first step sees nothing of the latent
        self.s_y = [backend.array(arrays[f"prior.steps.{k}.s_y"]) for k in range(1, shape.steps)]

    def context(
        self, hyper: np.ndarray, pred8: np.ndarray | None, tiles: Tiles[Array] | None = None
    ) -> list[Array]:
        """hyper (N, H/64, W/64, Z) int16 sixteenths, pred8 (N, H/8, W/8, 96) int8 -> contexts.

        One for each step, (M, C) int8: a row for each position at 1/16 in ``tiles`` (None: in all).
        They differ in the scales of channels only.
        """
        backend, shape = self.backend, self.shape
        tiles = tiles or Tiles.everywhere(hyper.shape, backend)
        places = hyper.reshape(-1, shape.hyper)[tiles.hyper]
        values = backend.quant8(backend.array(places), self.s_z)
        sixteen = len(places) * 16
        outs = [
            up.reshape(sixteen, -1)[tiles.of_hyper] for up in backend.product8_each(values, self.up)
        ]
        if shape.inter:
            assert pred8 is not None
            seen = backend.array(tiles.at8.gather(pred8))
            trunk = backend.product16(seen, self.cx_first, 0)
            values = backend.quant8(trunk, self.cx_block.s_in)
            copy8 = self.cx_block(backend, trunk, values, tiles.at8, self.s_cx)
            each = backend.product8_each(copy8.reshape(len(tiles.at16.at), -1), self.cx_last)
            outs = [backend.cat([out, more]) for out, more in zip(outs, each, strict=True)]
        return outs

    def step(
        self,
        number: int,
        context: Array,
        latent: np.ndarray,
        quality: int,
        tiles: Tiles[Array] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean and class of what a step codes (and of the rest, which nobody reads).

        context: the step's; latent (N, H/16, W/16, M) int16: the steps before, decoded, zero
        elsewhere.
        ``tiles``: as in :meth:`context`; in other tiles both are zero.
        """
        if tiles is None:
            frames, height, width, _ = latent.shape
            tiles = Tiles.everywhere((frames, height // 4, width // 4), self.backend)
        values, rows = context, tiles.at16
        if number:
            known = self.backend.array(rows.gather(latent))
            values = self.backend.cat([self.backend.quant8(known, self.s_y[number - 1]), context])
        mean, cls = self.steps[number](self.backend, values, quality, rows)
        return rows.scatter(mean), rows.scatter(cls)
