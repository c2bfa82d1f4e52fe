"""What training makes small, and what it does to samples first."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from conftest import crops

from vqcodec.training.crops import Batch
from vqcodec.training.objective import (
    GREY,
    Objective,
    border_error,
    coded_tiles,
    cost_of,
    distortion,
    grey_blocks,
)
from vqcodec.training.pictures import pack

pytestmark = pytest.mark.usefixtures("one_thread")


def flat(value: float = 0.0, samples: int = 1, size: int = 128) -> torch.Tensor:
    luma = torch.full((samples, size, size), value)
    return pack(luma, torch.full((samples, 2, size // 2, size // 2), value))


def test_distortion_weighs_planes_and_is_of_eight_bits() -> None:
    source = flat()
    out = source.clone()
    out[..., :64] += 2 / 255
    assert float(distortion(out, source)) == pytest.approx(4 * 6 / 8, rel=1e-4)
    out = source.clone()
    out[..., 64:] += 2 / 255
    assert float(distortion(out, source)) == pytest.approx(4 * 6 / 8, rel=1e-4)


def test_border_errors_are_of_steps_between_blocks_that_the_source_lacks() -> None:
    source, stepped = flat(), flat()
    stepped[:, :, ::2, :64] += 10 / 255  # every second column of blocks is brighter
    assert float(border_error(stepped, source)) == pytest.approx(100, rel=1e-4)
    assert float(border_error(stepped, stepped)) == 0
    assert float(border_error(source + 10 / 255, source)) == 0  # brighter as a whole
    # where the source has a step of its own, one more hides
    assert float(border_error(source, stepped)) < 100 / 7


def test_blocks_that_are_predicted_worse_than_by_a_colour_may_be_grey() -> None:
    torch.manual_seed(0)
    picture, prediction = flat(0.1, 64), flat(0.1, 64)
    prediction[:, :4] = -0.4  # the upper blocks are badly predicted
    shown = grey_blocks(picture, prediction, 1.0)
    assert torch.equal(shown[:, 4:], prediction[:, 4:])
    assert torch.equal(shown[:, :4], torch.full_like(shown[:, :4], GREY))
    some = (grey_blocks(picture, prediction, 0.5)[:, 0, 0, 0] == GREY).float().mean()
    assert 0.2 < float(some) < 0.8
    assert torch.equal(grey_blocks(picture, prediction, 0.0), prediction)


@pytest.mark.parametrize("predicted", [True, False])
def test_tiles_that_are_worth_no_bits_are_not_coded(predicted: bool) -> None:
    torch.manual_seed(0)
    picture = flat(0.1, 32)
    picture[:, :4, :4] += 0.3 * torch.randn(32, 4, 4, 96)
    prediction = flat(0.1, 32) if predicted else None
    quality = torch.full((32,), 40.0)
    m8, m16, m64 = coded_tiles(picture, prediction, quality, 1.0)
    assert m8 is not None
    assert m16 is not None
    assert m64 is not None
    assert (m8.shape, m16.shape, m64.shape) == ((32, 16, 16, 1), (32, 8, 8, 1), (32, 2, 2, 1))
    want = torch.zeros(32, 16, 16, 1)
    want[:, :4, :4] = 1
    assert torch.equal(m8, want)
    assert m64[:, 0, 0].all()
    assert not m64[:, 1].any()
    all_of_them = coded_tiles(picture, prediction, quality, 0.0)[0]
    assert all_of_them is not None
    assert all_of_them.all()


def test_a_sample_is_coded_in_one_tile_at_least() -> None:
    tiles = coded_tiles(flat(0.1, 8), flat(0.1, 8), torch.zeros(8), 1.0)[0]
    assert tiles is not None
    assert torch.equal(tiles.sum((1, 2, 3)), torch.full((8,), 16.0))


@pytest.mark.parametrize("kind", ["intra", "inter"])
def test_options_of_the_objective_change_what_is_learned(
    tiny_models: dict[str, Any], kind: str
) -> None:
    model = copy.deepcopy(tiny_models[kind]).eval()
    batch = crops(kind).batch(4)
    with torch.no_grad():
        plain, border = (cost_of(model, batch, Objective(border=v)) for v in (0.0, 0.5))
    assert torch.equal(border.rate, plain.rate)
    assert (border.total > plain.total).all()
    # one tile of sixteen is coded, and a prediction far off is not shown
    prediction = flat(-0.4, 4) if kind == "inter" else None
    empty = Batch(flat(0.4, 4), prediction, torch.zeros(4))
    with torch.no_grad():
        whole = cost_of(model, empty)
        tiles = (
            cost_of(model, Batch(flat(0.4, 4), flat(0.4, 4), torch.zeros(4)), Objective(tiles=1.0))
            if prediction is not None
            else cost_of(model, empty, Objective(tiles=1.0))
        )
        grey = cost_of(model, empty, Objective(grey=1.0))
    assert float(tiles.rate.sum()) < 0.5 * float(whole.rate.sum())
    assert torch.equal(grey.picture, whole.picture) == (kind == "intra")
