"""Names, types and shapes of the exact nets' tensors in a weights file.

See docs/format.md, Weights file. Compiled kernels use the tensors without looking.
"""

from __future__ import annotations

from .shape import NetShape

Layout = dict[str, tuple[str, tuple[int, ...]]]


def _layer(layout: Layout, name: str, inputs: int, outputs: int, rows: int) -> None:
    """rows: of bias and scale, 1 or one for each quality."""
    layout |= {
        f"{name}.w": ("int8", (inputs, outputs)),
        f"{name}.bias": ("int32", (rows, outputs)),
        f"{name}.scale": ("float32", (rows, outputs)),
    }


def _block(layout: Layout, name: str, channels: int, expansion: int) -> None:
    """expansion: times the channels that the second half of the block is as wide inside."""
    layout |= {f"{name}.{scale}": ("float32", (channels,)) for scale in ("s_in", "s_mid")}
    wide = expansion * channels
    _layer(layout, f"{name}.w1", channels, channels, 1)
    _layer(layout, f"{name}.w2", channels, channels, 1)
    _layer(layout, f"{name}.w3", channels, wide, 1)
    _layer(layout, f"{name}.w4", wide, channels, 1)
    layout |= {
        f"{name}.dw.w": ("int8", (9, channels)),
        f"{name}.dw.bias": ("int32", (channels,)),
        f"{name}.dw.scale": ("float32", (channels,)),
    }


def exact_layout(shape: NetShape) -> Layout:
    """Type and shape of every tensor of the prior and the synthesis of one frame type."""
    layout: Layout = {"prior.s_z": ("float32", (shape.hyper,))}
    _layer(layout, "prior.up", shape.hyper, 16 * shape.hyper_up, shape.steps)
    width = shape.hyper_up
    if shape.inter:
        _layer(layout, "prior.cx_first", 96, shape.context, 1)
        _block(layout, "prior.cx_block", shape.context, 1)
        layout["prior.s_cx"] = ("float32", (shape.context,))
        _layer(layout, "prior.cx_last", 4 * shape.context, shape.context_out, shape.steps)
        width += shape.context_out
    for number in range(shape.steps):
        step = f"prior.steps.{number}"
        if number:
            layout[f"{step}.s_y"] = ("float32", (shape.latent,))
        _layer(layout, f"{step}.first", width + (shape.latent if number else 0), shape.prior, 64)
        for i in range(shape.prior_blocks):
            _block(layout, f"{step}.blocks.{i}", shape.prior, 1)
        layout[f"{step}.s_out"] = ("float32", (shape.prior,))
        _layer(layout, f"{step}.mean", shape.prior, shape.latent, 1)
        _layer(layout, f"{step}.scale", shape.prior, shape.latent // 4, 1)
    layout["synthesis.s_y"] = ("float32", (64, shape.latent))
    _layer(layout, "synthesis.first", shape.latent, shape.dec16, 64)
    for i in range(shape.dec16_blocks):
        _block(layout, f"synthesis.blocks16.{i}", shape.dec16, 2)
    layout["synthesis.s_up"] = ("float32", (shape.dec16,))
    _layer(layout, "synthesis.up", shape.dec16, 4 * shape.dec8, 1)
    if shape.inter:
        _layer(layout, "synthesis.pred", 96, shape.dec8, 64)
    for i in range(shape.dec_blocks):
        _block(layout, f"synthesis.blocks8.{i}", shape.dec8, 2)
    layout["synthesis.s_last"] = ("float32", (shape.dec8,))
    _layer(layout, "synthesis.last", shape.dec8, 96, 1)
    return layout
