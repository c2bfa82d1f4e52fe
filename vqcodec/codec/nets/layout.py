"""Names, types and shapes of the exact nets' tensors in a weights file.

See docs/format.md, Weights file. Compiled kernels use the tensors without looking.
"""

from __future__ import annotations

from .shape import NetShape

Layout = dict[str, tuple[str, tuple[int, ...]]]


def _layer(d: Layout, name: str, a: int, b: int, rows: int) -> None:
    d |= {
        f"{name}.w": ("int8", (a, b)),
        f"{name}.bias": ("int32", (rows, b)),
        f"{name}.scale": ("float32", (rows, b)),
    }


def _block(d: Layout, name: str, a: int, e: int) -> None:
    d |= {f"{name}.s_in": ("float32", (a,)), f"{name}.s_mid": ("float32", (a,))}
    for k, (i, o) in {"w1": (a, a), "w2": (a, a), "w3": (a, e * a), "w4": (e * a, a)}.items():
        _layer(d, f"{name}.{k}", i, o, 1)
    d |= {
        f"{name}.dw.w": ("int8", (9, a)),
        f"{name}.dw.bias": ("int32", (a,)),
        f"{name}.dw.scale": ("float32", (a,)),
    }


def exact_layout(s: NetShape) -> Layout:
    """Type and shape of every tensor of the prior and the synthesis of one frame type."""
    d: Layout = {"prior.s_z": ("float32", (s.hyper,))}
    _layer(d, "prior.up", s.hyper, 16 * s.hyper_up, s.steps)
    width = s.hyper_up
    if s.inter:
        _layer(d, "prior.cx_first", 96, s.context, 1)
        _block(d, "prior.cx_block", s.context, 1)
        d["prior.s_cx"] = ("float32", (s.context,))
        _layer(d, "prior.cx_last", 4 * s.context, s.context_out, s.steps)
        width += s.context_out
    for k in range(s.steps):
        step = f"prior.steps.{k}"
        if k:
            d[f"{step}.s_y"] = ("float32", (s.latent,))
        _layer(d, f"{step}.first", width + (s.latent if k else 0), s.prior, 64)
        for i in range(s.prior_blocks):
            _block(d, f"{step}.blocks.{i}", s.prior, 1)
        d[f"{step}.s_out"] = ("float32", (s.prior,))
        _layer(d, f"{step}.mean", s.prior, s.latent, 1)
        _layer(d, f"{step}.scale", s.prior, s.latent // 4, 1)
    d["synthesis.s_y"] = ("float32", (64, s.latent))
    _layer(d, "synthesis.first", s.latent, s.dec16, 64)
    for i in range(s.dec16_blocks):
        _block(d, f"synthesis.blocks16.{i}", s.dec16, 2)
    d["synthesis.s_up"] = ("float32", (s.dec16,))
    _layer(d, "synthesis.up", s.dec16, 4 * s.dec8, 1)
    if s.inter:
        _layer(d, "synthesis.pred", 96, s.dec8, 64)
    for i in range(s.dec_blocks):
        _block(d, f"synthesis.blocks8.{i}", s.dec8, 2)
    d["synthesis.s_last"] = ("float32", (s.dec8,))
    _layer(d, "synthesis.last", s.dec8, 96, 1)
    return d
