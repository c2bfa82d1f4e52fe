"""Work is counted, not timed: products of the nets, tiles that are analysed, blocks of motion. A
change that makes the encoder slower shows here on any machine, however busy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from support.paths import DATA

from vqcodec.codec.nets import product
from vqcodec.encoding.gop_encoder import encode_gop
from vqcodec.encoding.nets import integer_analysis, row_products, synthesis_gradient
from vqcodec.encoding.rate_distortion import PRESETS
from vqcodec.picture import Picture
from vqcodec.training.pictures import cut, read_clip

TAPS = 9  # of a depthwise convolution


@dataclass
class Work:
    """What encoding a GOP took, of each luma sample, tile of 32x32 and frame."""

    products: float = 0.0  # a sample, trials and refinement counted in
    analysed: float = 0.0  # times that a tile goes through an analysis net
    leaves: float = 0.0  # blocks of motion of a frame that has references, of 64x64


def products_of(x: np.ndarray, *rest: Any) -> int:
    """Products that a kernel makes of rows x (M, K): weights are (blocks, words, lanes) int32."""
    for array in rest:
        if isinstance(array, np.ndarray) and array.ndim == 3 and array.dtype == np.int32:
            return x.size * array.shape[0] * array.shape[2]
    return x.size * TAPS


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch, one_thread: None) -> Any:
    """Encodes pictures as one GOP at crf 28, and counts."""
    done = Work()
    shared, rows = product.shared, integer_analysis.IntegerAnalysis.rows

    def counted_product(kernel: Any, x: np.ndarray, *rest: Any) -> None:
        done.products += products_of(x, *rest)
        shared(kernel, x, *rest)

    def counted_rows(self: Any, x: Any, pred: Any, q: float, tiles: Any) -> Any:
        done.analysed += len(tiles.at16.at) / 4
        return rows(self, x, pred, q, tiles)

    for module in (product, row_products, integer_analysis, synthesis_gradient):
        monkeypatch.setattr(module, "shared", counted_product)
    monkeypatch.setattr(integer_analysis.IntegerAnalysis, "rows", counted_rows)

    def encode(codec: Any, pictures: list[Picture], preset: str) -> Work:
        rows = encode_gop(codec, pictures, 28, PRESETS[preset]).stats
        height, width = pictures[0].y.shape
        samples = height * width * len(pictures)
        leaves = [row["leaves"] for row in rows if "leaves" in row]
        return Work(
            done.products / samples,
            done.analysed * 1024 / samples,
            float(np.mean(leaves)) / (height * width / 4096),
        )

    return encode


def flower(frames: int, width: int, height: int) -> list[Picture]:
    """Part of a natural clip."""
    return [cut(p, height, width, 40, 80) for p in read_clip(DATA / "flower.mp4", limit=frames)]


@pytest.mark.parametrize(
    "preset, most",
    [
        ("fastest", Work(27, 0.12, 2.5)),  # 24.3, 0.11 and 2.25 were seen
        ("medium", Work(580, 0.63, 3.2)),  # 529.6, 0.57 and 2.97
    ],
)
def test_the_tiny_model_does_no_more_work_than_it_did(
    work: Any, tiny_codec: Any, preset: str, most: Work
) -> None:
    did = work(tiny_codec, flower(9, 128, 128), preset)
    assert did.products <= most.products, did
    assert did.analysed <= most.analysed, did
    assert did.leaves <= most.leaves, did
