"""Parts of a frame that were chosen, written in the order of the format."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..codec import (
    adaptive_filter,
    bars,
    deblocking,
    detail_syntax,
    direct_map,
    intra_tiles,
    latent_syntax,
    painted_blocks,
)
from ..codec.codebooks import Tables
from ..codec.contexts import QDELTA
from ..codec.frame_decoder import Planes
from ..codec.frame_head import MAX_QDELTA, told_bars
from ..codec.painted_blocks import Painting
from ..codec.range_coder import Encoder, encode_bit
from .frame_motion import bits_given

if TYPE_CHECKING:
    from .frame_motion import FrameMotion
    from .frame_task import FrameTask
    from .trial import Detail, Layout, QuantisedLatents, Smoothed


def encode_head(
    coder: Encoder,
    task: FrameTask,
    motion: FrameMotion,
    quality: int,
    layout: Layout,
    quantised: QuantisedLatents,
    smoothed: Smoothed,
    tables: Tables,
) -> list[float]:
    """Code what follows on the motion in the head of a frame that is no copy; returns the bits
    given out before the weights and behind each element."""
    blocks, predicted, intra = layout.blocks, motion.prediction is not None, motion.intra
    marks = [*motion.marks, bits_given(coder)]
    encode_quality_difference(coder, quality - task.base)
    deblocking.code_strength(coder, smoothed.strength)
    adaptive_filter.code_filters(coder, smoothed.filters.where, smoothed.filters.choices.copy())
    told = told_bars(task.level, task.references)
    if told is not None:
        bars.code_bars(coder, task.bars.copy(), told)
    marks.append(bits_given(coder))
    if predicted:
        intra_tiles.code_tiles(coder, blocks, motion.field.merged)
    marks.append(bits_given(coder))
    if predicted:
        direct_map.code_map(coder, blocks, motion.field.merged)
    marks.append(bits_given(coder))
    painted_blocks.code_painting(coder, blocks, layout.painting or Painting(), predicted)
    marks.append(bits_given(coder))
    encode_hyper(coder, quantised, tables)
    if intra is not None:
        encode_hyper(coder, intra.quantised, intra.tables)
    marks.append(bits_given(coder))
    return marks


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
