"""Sizes of the nets of one frame type. Part of the model file: both sides build the nets from
it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

CLASSES = 40  # rate classes of the latent, a quarter of an octave of the Laplace/Gauss scale each
CLASS_ZERO = 15  # the class whose scale is one quantisation step
UNIT_TRUNK = 1 / 512  # value of one step of the int16 residual trunks
HYPER_BUCKETS = 4  # quality ranges of 16 with hyper-latent tables of their own
MAX_CHANNELS, MAX_BLOCKS = 4096, 64  # far more than any net of use has
GROUP = 4  # latent channels that share a class
STEPS = (2, 4)  # numbers of steps that a latent may be coded in
# of four steps the one that codes place p of a 2x2 cell in quarter c of the channels, by p ^ c:
# after a position the one diagonally opposite, then those between
TURN = (0, 2, 3, 1)


@dataclass(frozen=True)
class NetShape:
    """Channel counts and numbers of blocks. ``8``, ``16``: at 1/8 and 1/16 of the resolution.

    ``steps``: turns in which a latent is coded, each seeing those before: 2 (a checkerboard over
    halves of the channels) or 4 (quarters of the channels over cells of 2x2 positions).
    """

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
    enc16_blocks: int = 1
    dec16_blocks: int = 1
    prior_blocks: int = 1
    steps: int = 2

    def to_dict(self) -> dict[str, int | bool]:
        """The sizes by name, as they stand in a file of weights."""
        return asdict(self)

    @classmethod
    def from_dict(cls, sizes: dict[str, Any]) -> NetShape:
        """The inverse of :meth:`to_dict`.

        Raises KeyError, TypeError or ValueError for what are no sizes of nets.
        """
        shape = cls(**{f.name: sizes[f.name] for f in fields(cls)})
        if type(shape.inter) is not bool:
            raise TypeError(f"inter is {shape.inter!r}")
        for field in fields(cls):
            value = getattr(shape, field.name)
            most = MAX_BLOCKS if field.name.endswith("_blocks") else MAX_CHANNELS
            if field.name != "inter" and (type(value) is not int or not 1 <= value <= most):
                raise ValueError(f"{field.name} is {value!r}, allowed are 1 to {most}")
        if shape.steps not in STEPS or shape.latent % (GROUP * shape.steps):
            raise ValueError(f"a latent of {shape.latent} channels in {shape.steps} steps")
        return shape


INTER = NetShape(inter=True, enc16=320, latent=256, dec16=320)
INTRA = NetShape(
    inter=False, enc16=384, latent=384, hyper=48, hyper_up=96, prior=192, dec16=384, dec8=128
)

# four times the arithmetic, for the frames that are inherited longest
LARGE_INTRA = NetShape(
    inter=False, enc8=160, enc16=384, enc_blocks=4, enc16_blocks=2, latent=384, hyper=48,
    hyper_up=96,
    prior=224, prior_blocks=2, dec16=384, dec16_blocks=2, dec8=192, dec_blocks=6, steps=4,
)  # fmt: skip
LARGE_KEY = NetShape(
    inter=True, enc8=160, enc16=320, enc_blocks=4, enc16_blocks=2, latent=256, hyper_up=96,
    context=128, context_out=128, prior=224, prior_blocks=2, dec16=320, dec16_blocks=2, dec8=192,
    dec_blocks=6, steps=4,
)  # fmt: skip
