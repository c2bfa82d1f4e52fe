"""Names and shapes of the analysis net's tensors, of all that it has in a weights file."""

from __future__ import annotations

from ...codec.nets.shape import NetShape

ANCHORS = 8  # qualities for which a layer has gains and biases; between them they are interpolated
SCALE = "_scale"  # ends the names of the steps of int8 matrices, one a row
Layout = dict[str, tuple[int, ...]]


def _linear(layout: Layout, name: str, inputs: int, outputs: int, quality: bool = False) -> None:
    layout |= {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}
    if quality:
        layout |= {f"{name}.{part}": (ANCHORS, outputs) for part in ("qbias", "qgain")}


def _block(layout: Layout, name: str, channels: int, expansion: int = 2) -> None:
    wide = expansion * channels
    _linear(layout, f"{name}.w1", channels, channels)
    layout |= {f"{name}.dw.weight": (channels, 9), f"{name}.dw.bias": (channels,)}
    _linear(layout, f"{name}.w2", channels, channels)
    _linear(layout, f"{name}.w3", channels, wide)
    _linear(layout, f"{name}.w4", wide, channels)


def analysis_layout(shape: NetShape) -> Layout:
    """Shape of every tensor of :class:`vqcodec.encoding.nets.analysis.Analysis`.

    Without the ranges of activations (``peak``, ``stretch``): they matter to nets that become
    integers, and the analysis stays in floats.
    """
    layout: Layout = {}
    _linear(layout, "first", 192 if shape.inter else 96, shape.enc8, quality=True)
    for i in range(shape.enc_blocks):
        _block(layout, f"blocks8.{i}", shape.enc8)
    _linear(layout, "down", 4 * shape.enc8, shape.enc16)
    for i in range(shape.enc16_blocks):
        _block(layout, f"blocks16.{i}", shape.enc16)
    _linear(layout, "last", shape.enc16, shape.latent, quality=True)
    _block(layout, "hyper_block", shape.latent, 1)
    _linear(layout, "hyper", 16 * shape.latent, shape.hyper)
    return layout
