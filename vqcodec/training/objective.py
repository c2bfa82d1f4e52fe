"""What training makes small: lambda * D + R, and what is done to samples so that nets meet coding.

Encoders code some tiles only and show no prediction where it helps nobody; nets that are to do
well there see it in training.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..encoding.nets.layers import NO_TILES, Tiles
from ..encoding.rate_distortion import lagrangian
from .crops import Batch
from .model import FrameModel

# of the error of U and V against Y: the judged PSNR averages planes in dB, and chroma's is 4-6 dB
# higher
CHROMA_WEIGHT = 3.0
PEAK2 = 65025  # squared error of the full range in 8-bit samples
LUMA, CB, CR = slice(0, 64), slice(64, 80), slice(80, 96)  # channels of packed pictures
GREY = 512 / 1020 - 0.5  # what stands in the place of a prediction that is not shown
_VISIBLE = 4.0  # squared error of a cell below which no encoder takes a prediction away
_STEP2 = 16.0  # squared steps of the source at which a step between blocks counts half


@dataclass(frozen=True)
class Objective:
    """What a stage's loss is made of.

    Args:
        border: weight of the steps between blocks that the source does not have
            (:func:`border_error`), against the squared error.
        tiles: share of the samples that are coded in some tiles only (:func:`coded_tiles`).
        grey: share of the samples some blocks of which are shown no prediction
            (:func:`grey_blocks`).
        halfway: weigh samples half-way between equal weight for each picture and for each bit;
            else every range of quality counts alike.
    """

    border: float = 0.0
    tiles: float = 0.0
    grey: float = 0.0
    halfway: bool = False


@dataclass(frozen=True)
class Cost:
    """Of coded samples, each (n,): ``total`` = lambda * distortion + rate, in bits a sample.

    ``picture`` (n, S/8, S/8, 96): as decoded.
    """

    quality: Tensor
    total: Tensor
    distortion: Tensor
    rate: Tensor
    hyper_rate: Tensor
    picture: Tensor

    def figures(self) -> Tensor:
        """(5, n) without gradients: quality, total, distortion, rate, rate of the hyper-latent."""
        rows = (self.quality, self.total, self.distortion, self.rate, self.hyper_rate)
        return torch.stack([row.detach() for row in rows])


def cost_of(model: FrameModel, batch: Batch, objective: Objective | None = None) -> Cost:
    """Code samples as the objective says, all of them whole without one."""
    objective = objective or Objective()
    picture, prediction, quality = batch
    if objective.grey and prediction is not None:
        prediction = grey_blocks(picture, prediction, objective.grey)
    tiles = (
        coded_tiles(picture, prediction, quality, objective.tiles) if objective.tiles else NO_TILES
    )
    if prediction is None and tiles[0] is not None:  # nothing is shown elsewhere
        picture = picture * tiles[0]
    out, bits, hyper_bits = model(picture, prediction, quality, tiles)
    samples = picture.shape[1] * picture.shape[2] * 64
    error, rate = distortion(out, picture), (bits + hyper_bits) / samples
    seen = error + objective.border * border_error(out, picture) if objective.border else error
    total = lagrangian(quality) * seen + rate
    return Cost(quality, total, error, rate, hyper_bits / samples, out)


def distortion(out: Tensor, source: Tensor) -> Tensor:
    """(N,) weighted squared error per sample, 8-bit scale, of packed pictures."""
    error = (out.float() - source).square() * PEAK2
    y, u, v = (error[..., plane].mean((1, 2, 3)) for plane in (LUMA, CB, CR))
    return (6 * y + CHROMA_WEIGHT * (u + v)) / 8


def border_error(out: Tensor, source: Tensor) -> Tensor:
    """(N,) squared steps between blocks of 8x8 luma samples that the source has not, 8-bit scale.

    Packed pictures (N, H/8, W/8, 96). Where the source itself has a step, one more hides.
    """
    shape = (*source.shape[:3], 8, 8)
    decoded, original = out[..., LUMA].reshape(shape), source[..., LUMA].reshape(shape)
    total = torch.zeros(source.shape[0], device=source.device)
    for steps in (_steps_across, _steps_down):
        made, real = steps(decoded), steps(original)
        smooth = 1 / (1 + real.square() * PEAK2 / _STEP2)
        total = total + ((made - real).square() * smooth).mean((1, 2, 3)) * PEAK2
    return total


def _steps_across(blocks: Tensor) -> Tensor:
    return blocks[:, :, 1:, :, 0] - blocks[:, :, :-1, :, 7]


def _steps_down(blocks: Tensor) -> Tensor:
    return blocks[:, 1:, :, 0] - blocks[:, :-1, :, 7]


def pooled(cells: Tensor, size: int) -> Tensor:
    """(N, H, W) -> (N, H/size, W/size): means of squares."""
    n, height, width = cells.shape
    return cells.reshape(n, height // size, size, width // size, size).mean((2, 4))


def repeated(cells: Tensor, size: int) -> Tensor:
    """(N, H, W) -> (N, H * size, W * size, 1)."""
    return cells.repeat_interleave(size, 1).repeat_interleave(size, 2)[..., None]


def cell_error(difference: Tensor) -> Tensor:
    """(N, H/8, W/8) weighted mean squared value of packed differences, 8-bit scale."""
    square = difference.square() * PEAK2
    luma, cb, cr = (square[..., plane].mean(-1) for plane in (LUMA, CB, CR))
    return 0.75 * luma + 0.375 * (cb + cr)


def _less_mean(packed: Tensor, size: int) -> Tensor:
    """Packed samples less the mean of their plane in squares of ``size`` cells."""
    planes = (packed[..., plane] for plane in (LUMA, CB, CR))
    return torch.cat([p - repeated(pooled(p.mean(-1), size), size) for p in planes], -1)


def _for_each(samples: Tensor, spread: float, centre: float = 0.0) -> Tensor:
    """(N, 1, 1) log-normal factors: encoders are not equally strict."""
    normal = torch.randn(len(samples), device=samples.device)
    return torch.exp(normal * spread + centre)[:, None, None]


def _chosen(samples: Tensor, share: float) -> Tensor:
    """(N, 1, 1) bool: true for a random share of the samples."""
    return torch.rand(len(samples), device=samples.device)[:, None, None] < share


def grey_blocks(picture: Tensor, prediction: Tensor, share: float) -> Tensor:
    """The prediction, grey in blocks of 16x16 that it predicts worse than a flat colour would.

    In a ``share`` of the samples.
    """
    error = pooled(cell_error(picture - prediction), 2)
    flat = pooled(cell_error(_less_mean(picture, 2)), 2)
    grey = (flat * _for_each(picture, 0.4, -0.1) < error) & (error > _VISIBLE)
    grey = grey & _chosen(picture, share)
    return torch.where(repeated(grey, 2), torch.full_like(prediction, GREY), prediction)


def coded_tiles(picture: Tensor, prediction: Tensor | None, quality: Tensor, share: float) -> Tiles:
    """Masks of tiles of 32x32 as an encoder would choose them, in a ``share`` of the samples.

    Coded is where the error of the prediction is worth bits, in pictures without one what is not
    flat. One tile at least is coded; in the others of the samples all are.
    """
    if prediction is not None:
        left, bar = picture - prediction, 0.02 * _for_each(picture, 0.8)
    else:
        left, bar = _less_mean(picture, 4), 0.01 * _for_each(picture, 0.8)
    bits = lagrangian(quality)[:, None, None] * pooled(cell_error(left), 4)
    coded = (bits > bar) | ~_chosen(picture, share)
    coded[:, 0, 0] |= ~coded.any(2).any(1)
    tiles = coded.float()
    n, height, width = tiles.shape
    of_hyper = tiles.reshape(n, height // 2, 2, width // 2, 2).amax((2, 4))[..., None]
    return repeated(tiles, 4), repeated(tiles, 2), of_hyper
