"""Sizes of the nets of one frame type. Part of the model file: both sides build the nets from it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

CLASSES = 40  # rate classes of the latent, a quarter of an octave of the Laplace/Gauss scale each
CLASS_ZERO = 15  # the class whose scale is one quantisation step
UNIT_TRUNK = 1 / 512  # value of one step of the int16 residual trunks
HYPER_BUCKETS = 4  # quality ranges of 16 with hyper-latent tables of their own
MAX_CHANNELS, MAX_BLOCKS = 4096, 64  # far more than any net of use has
GROUP = 4  # latent channels that share a class


@dataclass(frozen=True)
class NetShape:
    """Channel counts. ``8``, ``16``: width at 1/8 and 1/16 of the resolution."""

    inter: bool
    enc8: int = 128
    enc16: int = 160
    enc_blocks: int = 3
    latent: int = 96
    hyper: int = 32
    hyper_up: int = 64  # channels of the up-sampled hyper-latent
    context: int = 64  # width of the net that looks at the prediction (inter)
    context_out: int = 96
    prior: int = 160
    dec16: int = 160
    dec8: int = 112
    dec_blocks: int = 3

    def to_dict(self) -> dict:
        return asdict(self)

    @classmethod
    def from_dict(cls, d: dict) -> NetShape:
        """Raises KeyError, TypeError or ValueError for what are no sizes of nets."""
        shape = cls(**{f.name: d[f.name] for f in fields(cls)})
        if type(shape.inter) is not bool:
            raise TypeError(f"inter is {shape.inter!r}")
        for f in fields(cls):
            value = getattr(shape, f.name)
            most = MAX_BLOCKS if f.name.endswith("_blocks") else MAX_CHANNELS
            if f.name != "inter" and (type(value) is not int or not 1 <= value <= most):
                raise ValueError(f"{f.name} is {value!r}, allowed are 1 to {most}")
        return shape


INTER = NetShape(inter=True, enc16=320, latent=256, dec16=320)
INTRA = NetShape(inter=False, enc16=384, latent=384, hyper=48, hyper_up=96, prior=192, dec16=384, dec8=128)
