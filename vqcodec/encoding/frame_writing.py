"""Parts of a frame that were chosen, written in the order of the format."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..codec import detail_syntax, latent_syntax
from ..codec.codebooks import Tables
from ..codec.contexts import QDELTA
from ..codec.frame_decoder import Planes
from ..codec.frame_head import MAX_QDELTA
from ..codec.range_coder import Encoder, encode_bit

if TYPE_CHECKING:
    from .trial import Detail, QuantisedLatents


def encode_quality_difference(coder: Encoder, difference: int) -> None:
    """Zero flag, sign, then the magnitude in unary: contexts QDELTA, +1, and +2 to +7."""
    encode_bit(coder, QDELTA, 1 if difference else 0)
    if difference:
        magnitude = abs(difference)
        encode_bit(coder, QDELTA + 1, 1 if difference < 0 else 0)
        for i in range(1, min(magnitude, MAX_QDELTA - 1) + 1):  # the largest has no end mark
            encode_bit(coder, QDELTA + 2 + min(i, 5), 1 if i < magnitude else 0)


def encode_hyper(coder: Encoder, quantised: QuantisedLatents, tables: Tables) -> None:
    """Code the hyper-latent."""
    latent_syntax.encode_hyper(
        coder, quantised.idle, quantised.first_table, quantised.z_symbols, tables.cdf, tables.seen
    )


def encode_latents(
    coder: Encoder, quantised: QuantisedLatents, blocks: np.ndarray, tables: Tables
) -> None:
    """Code the latent, step by step."""
    books, steps = tables.books, len(quantised.classes)
    for k, classes in enumerate(quantised.classes):
        latent_syntax.encode_step(
            coder, classes, blocks, k, steps, books.dims, books.sizes, quantised.symbols,
            tables.cdf, tables.seen,
        )  # fmt: skip


def encode_detail(coder: Encoder, detail: Detail, blocks: np.ndarray, planes: Planes) -> None:
    """Code the detail and add it to the planes."""
    step = detail_syntax.STEP_TABLE[max(detail.step, 0)]
    detail_syntax.encode_detail(
        coder, detail.step, step, blocks, detail.modes, detail.levels, planes
    )
