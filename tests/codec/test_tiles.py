"""Coded tiles: nets run where something is coded, and see zeros beside that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from support.clips import moving
from support.plain_backend import PlainBackend

from vqcodec.codec.direct_map import DIRECT_BLOCK, coded_tiles
from vqcodec.codec.gop_decoder import decode_gop
from vqcodec.codec.nets.float32_backend import Float32Backend
from vqcodec.codec.nets.fused_backend import FusedBackend
from vqcodec.codec.nets.prior import Prior
from vqcodec.codec.nets.synthesis import Synthesis
from vqcodec.codec.nets.tiles import Tiles
from vqcodec.encoding import direct_choice
from vqcodec.encoding.gop_encoder import encode_gop
from vqcodec.encoding.nets.analysis import Analysis
from vqcodec.picture import Picture
from vqcodec.training.export import exact_arrays

BACKENDS = [FusedBackend(), Float32Backend(), PlainBackend()]
H, W = 128, 192  # of the pictures that the nets are given here
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray | None]


def latents(shape: Any, seed: int, frames: int = 2) -> Arrays:
    """Hyper-latent, latent and prediction of some frames."""
    rng = np.random.default_rng(seed)
    z = rng.integers(-300, 301, (frames, H // 64, W // 64, shape.hyper)).astype(np.int16)
    y = rng.integers(-2000, 2001, (frames, H // 16, W // 16, shape.latent)).astype(np.int16)
    seen = rng.integers(-128, 128, (frames, H // 8, W // 8, 96)).astype(np.int8)
    return z, y, seen if shape.inter else None


def outputs(model: Any, backend: Any, arrays: Arrays, coded: np.ndarray) -> list[np.ndarray]:
    """Means and classes of each step (N, H/16, W/16, ..), and the residual (N, H/8, W/8, 96)."""
    layers = exact_arrays(model)
    prior, synthesis = Prior(layers, model.shape, backend), Synthesis(layers, model.shape, backend)
    z, y, seen = arrays
    tiles = Tiles.of(coded, backend)
    out: list[np.ndarray] = []
    for k, context in enumerate(prior.context(z, seen, tiles)):
        out += prior.step(k, context, y, 30, tiles)
    return [*out, synthesis(y, seen, 30, tiles)]


def inside(array: np.ndarray, coded: np.ndarray) -> np.ndarray:
    """What lies in the coded tiles (N, H/32, W/32) of an array (N, H/16 or H/8, .., C)."""
    size = array.shape[1] // coded.shape[1]
    return np.asarray(array[coded.repeat(size, 1).repeat(size, 2)])


@pytest.mark.parametrize("kind", ["intra", "inter"])
@pytest.mark.parametrize("backend", BACKENDS, ids=lambda b: b.name)
def test_the_border_of_coded_tiles_is_like_that_of_a_picture(
    tiny_models: dict[str, Any], kind: str, backend: Any
) -> None:
    model = tiny_models[kind]
    coded = np.zeros((2, H // 32, W // 32), bool)
    coded[:, 2:, 2:4] = True
    whole = latents(model.shape, 4)
    part = tuple(
        a if a is None else a[:, a.shape[1] // 2 :, a.shape[2] // 3 : a.shape[2] // 3 * 2]
        for a in whole
    )
    everywhere = np.ones((2, 2, 2), bool)
    for a, b in zip(
        outputs(model, backend, whole, coded),
        outputs(model, backend, part, everywhere),  # type: ignore[arg-type]
        strict=True,
    ):
        assert np.array_equal(inside(a, coded), inside(b, everywhere))


class Masked(PlainBackend):
    """Zeros beside coded tiles by masks over whole pictures: what gathered rows have to equal."""

    def __init__(self, coded: np.ndarray):
        self.coded = coded

    def depthwise(self, x: Any, rows: Any, w: Any, bias: Any, scale: Any) -> Any:
        size = rows.shape[1] // self.coded.shape[1]
        mask = self.coded.repeat(size, 1).repeat(size, 2)[..., None]
        return super().depthwise(x * rows.gather(mask.astype(np.int8)), rows, w, bias, scale)


@pytest.mark.parametrize("kind", ["intra", "inter"])
@pytest.mark.parametrize("backend", BACKENDS, ids=lambda b: b.name)
def test_gathered_rows_are_masked_pictures(
    tiny_models: dict[str, Any], kind: str, backend: Any
) -> None:
    """Bit for bit, of maps from one tile to all."""
    model = tiny_models[kind]
    arrays = latents(model.shape, 6)
    rng = np.random.default_rng(7)
    everywhere = np.ones((2, H // 32, W // 32), bool)
    for share in (0.05, 0.3, 0.9, 1.1):
        coded = rng.random(everywhere.shape) < share
        coded[1, 2, 3] = True
        whole = outputs(model, Masked(coded), arrays, everywhere)
        for a, b in zip(outputs(model, backend, arrays, coded), whole, strict=True):
            assert np.array_equal(inside(a, coded), inside(b, coded))
            assert not inside(a, ~coded).any()


@pytest.mark.parametrize("kind", ["intra", "inter"])
def test_the_analysis_of_rows_is_that_of_masked_pictures(
    tiny_models: dict[str, Any], kind: str
) -> None:
    model = tiny_models[kind]
    rng = np.random.default_rng(5)
    coded = rng.random((1, H // 32, W // 32)) < 0.4
    coded[:, :2, :2] = False
    masks = [
        torch.from_numpy(m[..., None].astype(np.float32))
        for m in (
            coded.repeat(4, 1).repeat(4, 2),
            coded.repeat(2, 1).repeat(2, 2),
            coded.reshape(1, H // 64, 2, W // 64, 2).any((2, 4)),
        )
    ]
    tiles = Tiles.of(coded, Float32Backend())
    picture, seen = (rng.random((1, H // 8, W // 8, 96)).astype(np.float32) for _ in range(2))
    at = torch.tensor([30.0])
    with torch.inference_mode():
        y, z = model.analysis(
            torch.from_numpy(picture),
            torch.from_numpy(seen),
            at,
            (masks[0], masks[1], masks[2]),
        )
        rows, places = model.analysis.rows(
            *(torch.from_numpy(tiles.at8.gather(a)) for a in (picture, seen)), at, tiles
        )
    assert 0 < coded.sum() < coded.size
    assert not masks[2].all()
    assert np.allclose(tiles.at16.scatter(rows.numpy()), y.numpy(), atol=1e-4)
    assert np.allclose(places.numpy(), z.reshape(-1, z.shape[-1]).numpy()[tiles.hyper], atol=1e-4)
    assert float(y.std()) > 0.01
    assert float(z.std()) > 0.01


def still_but_for_a_corner(frames: int) -> list[Picture]:
    """A picture in which one tile moves in a way that no motion shows."""
    picture = moving(128, 128, 1, seed=3)[0]
    rng = np.random.default_rng(2)
    out = []
    for _ in range(frames):
        y = picture.y.copy()
        y[32:64, 64:96] = rng.integers(0, 256, (4, 4)).repeat(8, 0).repeat(8, 1)
        out.append(Picture(y, picture.u, picture.v))
    return out


def test_nets_run_in_no_more_than_the_candidates(
    tiny_codec: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a picture that stands still but for one tile, that tile alone."""
    seen: list[float] = []
    of = Tiles.of

    def spy(coded: np.ndarray, backend: Any) -> Tiles[Any]:
        seen.append(float(coded.sum()))
        return of(coded, backend)

    clip = still_but_for_a_corner(4)
    monkeypatch.setattr(Tiles, "of", spy)
    result = encode_gop(tiny_codec, clip, 30)
    predicted = [row for row in result.stats if row["type"] != "I"]
    assert len(predicted) == 3
    assert all(row["coded"] <= 1 / 16 for row in predicted)
    assert seen
    assert set(seen[-3:]) <= {1.0}


def test_a_frame_without_coded_tiles_costs_no_net(
    tiny_codec: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    grain = np.random.default_rng(4).integers(0, 2, (2, 64, 96)).astype(np.uint8)
    grey = np.full((32, 48), 128, np.uint8)
    lumas = [np.full((64, 96), 100, np.uint8), grain[0] + 100, grain[1] + 100]
    clip = [Picture(y, grey, grey) for y in lumas]
    ran: list[bool] = []  # of each net whether it is one of frames with a prediction

    def watched(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, *given: Any) -> Any:
            ran.append(self.inter if isinstance(self, Analysis) else self.shape.inter)
            return real(self, *given)

        return call

    monkeypatch.setattr(Prior, "context", watched(Prior.context))
    monkeypatch.setattr(Synthesis, "layers", watched(Synthesis.layers))
    monkeypatch.setattr(Analysis, "rows", watched(Analysis.rows))
    result = encode_gop(tiny_codec, clip, 40)
    assert [row["coded"] for row in result.stats if row["type"] != "I"] == [0.0, 0.0]
    assert ran
    assert not any(ran)
    ran.clear()
    assert len(list(decode_gop(tiny_codec, result.body, 3, 96, 64))) == 3
    assert ran == [False, False]  # prior and synthesis of the first frame


def test_candidates_are_tiles_whose_error_is_worth_their_bits() -> None:
    error = np.zeros((4, 6))
    error[0, 0], error[1, 1], error[3, 4] = 30.0, 30.0, 50.0
    kinds = np.zeros((4, 6), np.uint8)
    kinds[3, 5] = DIRECT_BLOCK
    found = direct_choice.candidates(error, kinds, 55.0)
    assert coded_tiles(found).tolist() == [[1, 0, 0], [0, 0, 0]]
    assert np.array_equal(direct_choice.candidates(error, kinds, 0.0), kinds)
