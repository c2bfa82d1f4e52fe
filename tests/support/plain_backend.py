"""Exact layers in a third way: integers of 64 bits and numpy, as docs/format.md writes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vqcodec.codec.nets.float32_backend import Stepwise
from vqcodec.codec.nets.ranges import SLOPE, TOP8, TOP16, WIDE
from vqcodec.codec.nets.tiles import Rows


class PlainBackend(Stepwise):
    name = "plain"
    device = "cpu"

    def array(self, a: np.ndarray) -> np.ndarray:
        return a

    def host(self, a: np.ndarray) -> np.ndarray:
        return a

    def cat(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        return np.concatenate(parts, -1)

    def mm(self, x: np.ndarray, w: np.ndarray) -> np.ndarray:
        return (x.astype(np.int64) @ w.astype(np.int64)).astype(np.int32)

    def requant8(
        self, acc: np.ndarray, bias: np.ndarray, scale: np.ndarray, leaky: bool
    ) -> np.ndarray:
        v = _scaled(acc, bias, scale)
        return _rounded(np.where(v >= 0, v, v * np.float32(SLOPE)) if leaky else v, TOP8, np.int8)

    def requant16(self, acc: np.ndarray, bias: np.ndarray, scale: np.ndarray) -> np.ndarray:
        return _rounded(_scaled(acc, bias, scale), TOP16, np.int16)

    def add(
        self,
        acc: np.ndarray,
        bias: np.ndarray,
        scale: np.ndarray,
        trunk: np.ndarray,
        scale8: np.ndarray,
    ) -> np.ndarray:
        total = trunk.astype(np.int64) + self.requant16(acc, bias, scale)
        trunk[:] = np.clip(total, -TOP16, TOP16)
        return self.quant8(trunk, scale8)

    def quant8(self, t: np.ndarray, scale: np.ndarray) -> np.ndarray:
        return _rounded(t.astype(np.float32) * scale, TOP8, np.int8)

    def split(self, t: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        v = _rounded(t.astype(np.float32) * scale, WIDE, np.int32)
        hi = (v + 64) >> 7
        return hi.astype(np.int8), (v - (hi << 7)).astype(np.int8)

    def depthwise(
        self, x: np.ndarray, rows: Rows[Any], w: np.ndarray, bias: np.ndarray, scale: np.ndarray
    ) -> np.ndarray:
        _, height, width = rows.shape
        around = np.pad(rows.scatter(x).astype(np.int32), ((0, 0), (1, 1), (1, 1), (0, 0)))
        acc = sum(
            around[:, k // 3 : k // 3 + height, k % 3 : k % 3 + width] * w[k].astype(np.int32)
            for k in range(9)
        )
        return self.requant8(rows.gather(acc), bias, scale, False)


def _scaled(acc: np.ndarray, bias: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return (acc + bias).astype(np.int32).astype(np.float32) * scale


def _rounded(v: np.ndarray, top: int, dtype: type) -> np.ndarray:
    return np.rint(np.clip(v, -top, top)).astype(dtype)
