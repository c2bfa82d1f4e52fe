"""Widen the latent of a trained model without changing what it computes, so that training can go on.

New latent channels take the next principal components and start outside the old function: zero where they would disturb it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..nets.shape import GROUP, NetShape
from .data import Crops
from .model import FrameModel
from .start import TRUNK, lagrangian_step, principal_components


def _spread(old: int, new: int) -> Tensor:
    """Where the old latent channels go: each checkerboard half keeps its own and gets half of the new ones behind them."""
    half = torch.arange(old // 2)
    return torch.cat([half, new // 2 + half])


def _place(dst: Tensor, src: Tensor, rows: Tensor | None = None, cols: Tensor | None = None, zero: bool = True) -> None:
    if zero:
        dst.zero_()
    r = rows if rows is not None else torch.arange(src.shape[0])
    if src.dim() == 1:
        dst[r] = src
        return
    c = cols if cols is not None else torch.arange(src.shape[1])
    dst[r[:, None], c[None]] = src


@torch.no_grad()
def grow(old: FrameModel, shape: NetShape, data: Crops) -> FrameModel:
    """A model of ``shape`` (more latent, enc16 and dec16 channels) that codes as ``old`` does."""
    m, o = FrameModel(shape), old.s
    src, dst = old.state_dict(), m.state_dict()
    ml = _spread(o.latent, shape.latent)
    fresh = torch.tensor([i for i in range(shape.latent) if i not in set(ml.tolist())])
    e_old = torch.arange(o.enc16)
    for name, v in dst.items():
        s = src[name]
        if v.shape == s.shape and "hyper_block" not in name:
            v.copy_(s)
    # the linear path: channel i of the latent rides on channel i of the wide nets; old wide channels keep their places
    wide_new = torch.arange(o.enc16, shape.enc16)
    if len(fresh) > len(wide_new) or shape.dec16 - o.dec16 < len(fresh):
        raise ValueError("enc16 and dec16 must grow at least as much as the latent")
    for side in ("analysis.block16", "synthesis.block16"):
        for k in ("w1", "w2", "w3", "w4"):
            w, s = dst[f"{side}.{k}.weight"], src[f"{side}.{k}.weight"]
            _place(w, s, zero=k in ("w2", "w4"))
            if k in ("w1", "w3"):
                w[: s.shape[0], s.shape[1] :] = 0
            _place(dst[f"{side}.{k}.bias"], src[f"{side}.{k}.bias"])
        for k in ("weight", "bias"):
            n = src[f"{side}.dw.{k}"].shape[0]
            dst[f"{side}.dw.{k}"][:n] = src[f"{side}.dw.{k}"]
    pc = principal_components(data, 384)
    # what the old transform does not span: the components after its own
    rest = pc[o.latent : o.latent + len(fresh)]
    step = lagrangian_step()
    down = dst["analysis.down.weight"]
    _place(down, src["analysis.down.weight"])
    cols = torch.cat([torch.arange(96) + i * shape.enc8 for i in range(4)])
    down[wide_new[: len(fresh)][:, None], cols[None]] = rest / (TRUNK * step)
    _place(dst["analysis.down.bias"], src["analysis.down.bias"])
    last = dst["analysis.last.weight"]
    _place(last, src["analysis.last.weight"], ml, e_old)
    last[fresh, wide_new[: len(fresh)]] = 1
    _place(dst["analysis.last.bias"], src["analysis.last.bias"], ml)
    mean_gain = src["analysis.last.qgain"].mean(1, keepdim=True)
    dst["analysis.last.qgain"].copy_(mean_gain.expand(-1, shape.latent))
    dst["analysis.last.qgain"][:, ml] = src["analysis.last.qgain"]
    dst["analysis.last.qbias"].zero_()
    dst["analysis.last.qbias"][:, ml] = src["analysis.last.qbias"]
    dst["synthesis.log_gain"].copy_(-mean_gain.expand(-1, shape.latent))
    dst["synthesis.log_gain"][:, ml] = src["synthesis.log_gain"]
    first = dst["synthesis.first.weight"]
    _place(first, src["synthesis.first.weight"], torch.arange(o.dec16), ml)
    first[torch.arange(o.dec16, o.dec16 + len(fresh)), fresh] = 1
    _place(dst["synthesis.first.bias"], src["synthesis.first.bias"])
    for n in ("qbias", "qgain"):
        dst[f"synthesis.first.{n}"].zero_()
        dst[f"synthesis.first.{n}"][:, : o.dec16] = src[f"synthesis.first.{n}"]
    up = dst["synthesis.up.weight"]
    _place(up, src["synthesis.up.weight"])
    cols = torch.cat([torch.arange(96) + i * shape.dec8 for i in range(4)])
    up[cols[:, None], torch.arange(o.dec16, o.dec16 + len(fresh))[None]] = rest.T * (TRUNK * step)
    # hyper analysis and prior: new channels unseen at first, their scale and mean start at zero
    for i in range(16):
        dst["analysis.hyper.weight"][:, i * shape.latent : (i + 1) * shape.latent] = 0
        dst["analysis.hyper.weight"][:, i * shape.latent + ml] = src["analysis.hyper.weight"][:, i * o.latent : (i + 1) * o.latent]
    hb = "analysis.hyper_block"
    for n in ("w1", "w2", "w3", "w4"):
        _place(dst[f"{hb}.{n}.weight"], src[f"{hb}.{n}.weight"], ml, ml)
        _place(dst[f"{hb}.{n}.bias"], src[f"{hb}.{n}.bias"], ml)
    for n in ("weight", "bias"):
        dst[f"{hb}.dw.{n}"][ml] = src[f"{hb}.dw.{n}"]
    groups = ml[::GROUP] // GROUP
    for st in ("step1", "step2"):
        _place(dst[f"prior.{st}.mean.weight"], src[f"prior.{st}.mean.weight"], ml)
        _place(dst[f"prior.{st}.mean.bias"], src[f"prior.{st}.mean.bias"], ml)
        _place(dst[f"prior.{st}.scale.weight"], src[f"prior.{st}.scale.weight"], groups)
        b = dst[f"prior.{st}.scale.bias"]
        b.fill_(-3.0)
        b[groups] = src[f"prior.{st}.scale.bias"]
    w, s = dst["prior.step2.first.weight"], src["prior.step2.first.weight"]
    _place(w, s, cols=torch.cat([ml, shape.latent + torch.arange(s.shape[1] - o.latent)]))
    m.load_state_dict(dst)
    return m
