"""The weights in the repository: every quality works and is worth its bits, and all backends agree
on them."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from support.paths import DATA
from support.work import tile_products

from vqcodec.codec.gop_body import checksum_update
from vqcodec.codec.gop_decoder import decode_gop
from vqcodec.codec.nets.device_choice import BACKENDS
from vqcodec.encoding.gop_encoder import encode_gop
from vqcodec.encoding.model import load_model
from vqcodec.encoding.rate_distortion import PRESETS, lagrangian, plane_weights, qualities
from vqcodec.picture import Picture
from vqcodec.training.pictures import cut, read_clip

CLIP = DATA / "tiny.mkv"
FRAMES = 5


@pytest.fixture(scope="module")
def pictures() -> list[Picture]:
    return read_clip(CLIP, limit=FRAMES)


def flower() -> list[Picture]:
    """192x128 of a natural clip. Of a smaller one the highest crfs leave no bits to save."""
    return [cut(p, 128, 192, 16, 64) for p in read_clip(DATA / "flower.mp4", limit=FRAMES)]


def test_size_and_error_follow_crf_and_every_backend_decodes_the_same(
    monkeypatch: pytest.MonkeyPatch, one_thread: None
) -> None:
    pictures = flower()
    h, w = pictures[0].y.shape
    codec = load_model(device="cpu", threads=1)
    others = []
    for name in BACKENDS:
        monkeypatch.setenv("VQCODEC_BACKEND", name)
        others.append(load_model(device="cpu", threads=1))
    sizes, errors = [], []
    for crf in (0, 7, 14, 24, 34, 44, 54, 63):
        r = encode_gop(codec, pictures, crf)
        for other in others:
            crc = 0
            for p in decode_gop(other, r.body, r.frames, w, h, batch=2):
                crc = checksum_update(crc, p)
            assert crc == r.checksum, (crf, other.backend.name)
        sizes.append(len(r.body))
        errors.append(6 * math.log(r.sse[0]) + sum(math.log(4 * s) for s in r.sse[1:]))
    assert all(a > b for a, b in pairwise(sizes)), sizes
    assert all(a < b for a, b in pairwise(errors)), errors
    assert sizes[0] > 20 * sizes[-1]


@pytest.mark.parametrize("crf", [24, 40])
def test_slower_presets_cost_less(pictures: list[Picture], one_thread: None, crf: int) -> None:
    """Bits and error of I frames together, as the encoder weighs them, fall from preset to preset.

    Of a single small picture, `fast` and `medium` differ by up to three percent to either side: so
    nine are counted together."""
    photo = read_clip(DATA / "flower.mp4", limit=1)[0]
    places = [(y, x) for y in (0, 64, 128, 192) for x in (0, 192)]
    small = [pictures[0], *(cut(photo, 64, 96, y, x) for y, x in places)]
    codec = load_model(device="cpu", threads=1)
    cost = []
    for name in ("fastest", "fast", "medium", "slow"):
        coded = [encode_gop(codec, [picture], crf, PRESETS[name]) for picture in small]
        for picture, r in zip(small, coded, strict=True):
            h, w = picture.y.shape
            assert len(list(decode_gop(codec, r.body, 1, w, h))) == 1
        bits, error = 8 * sum(len(r.body) for r in coded), np.sum([r.sse for r in coded], 0)
        worth = lagrangian(qualities(crf)[0])
        cost.append(bits + worth * float(np.dot(plane_weights(qualities(crf)[0], 0), error)))
    assert cost == sorted(cost, reverse=True)
    assert cost[2] < 0.99 * cost[0], cost


def test_nets_take_few_products(one_thread: None) -> None:
    """Of a natural clip at crf 28, I frame included: at most 3,000 a luma sample of a GOP."""
    pictures = [cut(p, 192, 320, 40, 80) for p in read_clip(DATA / "flower.mp4", limit=33)]
    codec = load_model(device="cpu", threads=1)
    rows = encode_gop(codec, pictures, 28, PRESETS["fast"]).stats
    shares = [1.0 if row["type"] == "I" else row["coded"] for row in rows]
    nets = [codec.intra if row["type"] == "I" else codec.inter for row in rows]
    products = [n * tile_products(net.shape) / 1024 for n, net in zip(shares, nets, strict=True)]
    assert np.mean(products) <= 3000, shares
    assert max(shares[1:]) > 0
