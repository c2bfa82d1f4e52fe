from __future__ import annotations

import numpy as np
import torch

from vqcodec.analysis.features import NAMES
from vqcodec.analysis.model import ShotModel
from vqcodec.training.shot_net import ShotNet, exported, imported


def test_kernels_give_what_torch_gives() -> None:
    torch.manual_seed(5)
    net = ShotNet().eval()
    rows = torch.randn(1, 40, len(NAMES))
    read = ShotModel(exported(net))(rows[0].numpy())
    with torch.no_grad():
        hidden = net.hidden(rows)
        change, camera = net.change(hidden).softmax(2), net.camera(hidden).softmax(2)
        traits = net.traits(hidden)
    assert np.allclose(change[0].numpy(), read.change, atol=1e-5)
    assert np.allclose(camera[0].numpy(), read.camera, atol=1e-5)
    assert np.allclose(traits[0].numpy(), read.traits, atol=1e-5)


def test_a_net_goes_on_from_the_weights_of_a_file() -> None:
    weights = exported(ShotNet().eval())
    net = ShotNet().eval()
    net.load_state_dict(imported(weights))
    again = exported(net)
    assert again.keys() == weights.keys()
    assert all(np.array_equal(again[name], weights[name]) for name in weights)


def test_surprise_looks_back_alone() -> None:
    torch.manual_seed(6)
    model = ShotModel(exported(ShotNet().eval()))
    rows = np.random.default_rng(1).normal(size=(50, len(NAMES))).astype(np.float32)
    other = rows.copy()
    other[30:] += 3
    before, after = model(rows).surprise[:29], model(other).surprise[:29]
    # but for the median of the file, which is taken off
    assert np.allclose(before - before[0], after - after[0], atol=1e-3)


def test_one_frame_and_none() -> None:
    model = ShotModel(exported(ShotNet().eval()))
    for frames in (0, 1):
        read = model(np.zeros((frames, len(NAMES)), np.float32))
        assert len(read.change) == len(read.surprise) == frames
