"""Training on a device: what replaces the CPU's own ways computes the same."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from conftest import crops
from support.clips import moving

from vqcodec.encoding.nets import layers
from vqcodec.training import model as model_module
from vqcodec.training.crops import Crops
from vqcodec.training.device_crops import DeviceCrops, batches_on
from vqcodec.training.fused import eager, fused_layers
from vqcodec.training.model import FrameModel
from vqcodec.training.optimisers import Muon, Optimisers
from vqcodec.training.pictures import unpack

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")


def test_crops_gathered_on_a_device_are_parts_of_the_pictures() -> None:
    """Each is found in its picture, as it lies or turned, and the prediction comes from there
    too."""
    pairs = [moving(96, 64, 2, seed) for seed in range(2)]
    data = Crops(64, 1)
    device = DeviceCrops(data, CPU, seed=3)
    for picture, prediction in pairs[:1]:
        data.add(picture, prediction, (10, 20))
    device.batch(2)
    data.add(*pairs[1], (30, 40))  # is sent with the next batch
    batch = device.batch(24)
    assert batch.prediction is not None
    found = set()
    planes = [unpack((t + 0.5) * 255) for t in (batch.picture, batch.prediction)]
    for n in range(24):
        luma, predicted = (p[0][n].round().numpy().astype(np.uint8) for p in planes)
        blue = planes[0][1][n, 0].round().numpy().astype(np.uint8)
        found.add(place(pairs, luma, predicted, blue))
    assert None not in found
    assert {number for number, _, _ in found} == {0, 1}
    assert len({turn for _, _, turn in found}) > 4
    assert len({left for _, left, _ in found}) > 4
    assert float(batch.quality.min()) >= 0


def test_some_crops_become_faint_ones_near_black_or_white() -> None:
    """On a device as on the CPU; an intra net that never met them clipped what is huge in their
    latents, and took twice the bits for dark pictures."""
    data = Crops(64, 1, faint=0.5)
    for seed in range(2):
        data.add(moving(96, 64, 1, seed)[0])
    for batches in (data, DeviceCrops(data, CPU, seed=3)):
        luma = batches.batch(64).picture[..., :64]
        spread, middle = luma.std((1, 2, 3)), luma.mean((1, 2, 3))
        usual = float(spread.max())
        faint = spread < 0.5 * usual
        assert 8 < int(faint.sum()) < 56
        assert float(middle[faint].min()) < -0.4
        assert float(middle[faint].max()) > 0.35
    plain = Crops(64, 1)
    plain.items = data.items
    assert float(plain.batch(64).picture[..., :64].std((1, 2, 3)).min()) > 0.5 * usual


def place(pairs: Any, luma: Any, predicted: Any, blue: Any) -> tuple[int, int, int] | None:
    """Which picture, column and turn a crop of the whole height has."""
    for number, (picture, prediction) in enumerate(pairs):
        for left in range(0, 34, 2):
            for turn in range(8):
                columns, half = slice(left, left + 64), slice(left // 2, left // 2 + 32)
                parts = (picture.y[:, columns], prediction.y[:, columns], picture.u[:, half])
                wanted = (luma, predicted, blue)
                if all(
                    np.array_equal(turned(a, turn), b) for a, b in zip(parts, wanted, strict=True)
                ):
                    return number, left, turn
    return None


def turned(plane: Any, turn: int) -> Any:
    plane = plane[::-1] if turn & 1 else plane
    plane = plane[:, ::-1] if turn & 2 else plane
    return plane.T if turn & 4 else plane


def test_the_cpu_keeps_its_own_crops() -> None:
    data = Crops(64, 1)
    assert batches_on(CPU, data) is data


def test_muon_of_many_matrices_at_once_is_that_of_torch() -> None:
    torch.manual_seed(0)
    start = [torch.randn(16, 24), torch.randn(16, 24), torch.randn(40, 8), torch.randn(5, 5)]
    both = []
    for kind in (torch.optim.Muon, Muon):
        parameters = [torch.nn.Parameter(t.clone()) for t in start]
        options = {"lr": 0.02, "weight_decay": 0.01, "adjust_lr_fn": "match_rms_adamw"}
        optimiser: Any = kind(parameters, **options)
        generator = torch.Generator().manual_seed(1)
        for _ in range(3):
            for p in parameters:
                p.grad = torch.randn(p.shape, generator=generator)
            optimiser.step()
        both.append((parameters, optimiser.state_dict()))
    for theirs, ours, first in zip(both[0][0], both[1][0], start, strict=True):
        moved = float((theirs - first).detach().norm())
        assert float((theirs - ours).detach().norm()) < 0.06 * moved  # the products are of bfloat16
    states = [{n: s["momentum_buffer"] for n, s in state["state"].items()} for _, state in both]
    for number, buffer in states[0].items():
        assert torch.allclose(buffer, states[1][number], atol=1e-5)


def test_gradients_that_are_not_finite_move_nothing(tiny_models: dict[str, Any]) -> None:
    model = copy.deepcopy(tiny_models["intra"])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimisers = Optimisers(model)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, float("nan"))
    optimisers.step(1e-3)
    assert int(optimisers.skipped) == 1
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def gradients(model: FrameModel, batch: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    model.zero_grad()
    out, bits, hyper = model(*batch)
    ((out - batch.picture).square().sum() * 100 + bits.sum() + hyper.sum()).backward()
    return out, {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.filterwarnings("ignore:`torch.jit.script_method`:DeprecationWarning")  # torch's own
@pytest.mark.parametrize("kind", ["intra", "inter"])
def test_fused_layers_learn_what_the_others_do(tiny_models: dict[str, Any], kind: str) -> None:
    """Their own gradients are those of torch; nothing is compiled here, and all is put back."""
    parts = layers._FakeQuantise, layers.Depthwise.forward, model_module.gauss_bits
    model = copy.deepcopy(tiny_models[kind]).eval()
    model.quantise_aware("quant")
    batch = crops(kind).batch(3)
    plain_out, plain = gradients(model, batch)
    with fused_layers(), eager():
        assert layers.Depthwise.forward is not parts[1]
        out, fused = gradients(model, batch)
    assert (layers._FakeQuantise, layers.Depthwise.forward, model_module.gauss_bits) == parts
    assert torch.allclose(out, plain_out, atol=1e-4)
    assert plain.keys() == fused.keys()
    for name, gradient in plain.items():
        assert float((gradient - fused[name]).norm()) <= 1e-3 * float(gradient.norm()) + 1e-6, name
