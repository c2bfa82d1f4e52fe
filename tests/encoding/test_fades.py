"""Fades: pictures that become darker or brighter are predicted by weights, and averaged by them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.clips import faded, moving

from vqcodec.codec.frame_decoder import Planes, pad
from vqcodec.codec.gop_decoder import body_stats, decode_gop
from vqcodec.codec.weighting import ONE
from vqcodec.encoding import brightness_line, intra_choice, intra_tile_choice, weight_estimation
from vqcodec.encoding.frame_encoder import FrameEncoder
from vqcodec.encoding.gop_encoder import encode_gop
from vqcodec.encoding.rate_distortion import RateParameters, key_quality
from vqcodec.encoding.temporal_filter import filtered
from vqcodec.encoding.weight_estimation import Cells

FADED = np.array([(115, 6), (128, 0), (128, 0)], np.int32)  # gains and offsets, a bit darker


def grounded(source: Planes, reference: Planes, vectors: np.ndarray) -> np.ndarray:
    cells = [Cells(reference, vectors[0])]
    return weight_estimation.grounded(Cells(source), cells, vectors, FADED[None])


def test_a_line_is_found_among_outliers() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(100, 900, 2000)
    y = 0.6 * x + 25 + rng.normal(0, 2, x.size)
    y[::5] = rng.uniform(0, 1023, y[::5].size)  # what moved, or came into view
    line = brightness_line.fit(x, y)
    assert line.gain == pytest.approx(0.6, abs=0.01)
    assert line.offset == pytest.approx(25, abs=4)
    assert brightness_line.pair(line, x, y, 0) == (
        round(line.gain * ONE),
        pytest.approx(25, abs=6),
    )


@pytest.mark.parametrize("count", [1, 2, 3, 900, 901])
def test_the_median_is_that_of_sorted_values(count: int) -> None:
    """Of values at random, in order, in steps, and all the same."""
    rng = np.random.default_rng(count)
    spread = rng.normal(0, 3, count)
    for values in (spread, np.sort(spread), -np.sort(spread), np.round(spread), np.zeros(count)):
        found = brightness_line._median(values, np.empty(count))
        assert found == np.median(values)


def test_a_fade_is_predicted_by_weights(tiny_codec: Any) -> None:
    """A moving picture that fades: its frames have weights, which save bits, and decode."""
    width, height, n = 96, 64, 9
    still = moving(width, height, n, seed=2, speed=(0.5, 1.0))
    clip = faded(still, [1 - 0.09 * i for i in range(n)])
    result = encode_gop(tiny_codec, clip, 20)
    rows = body_stats(tiny_codec, result.body, n, width, height)
    assert sum(r.get("weighted", 0) > 0.5 for r in rows[1:]) >= n // 2
    shown = list(decode_gop(tiny_codec, result.body, n, width, height))
    assert len(shown) == n
    with pytest.MonkeyPatch.context() as without:
        without.setattr(weight_estimation, "PROMISE", np.inf)
        plain = encode_gop(tiny_codec, clip, 20)
    assert len(result.body) < 0.9 * len(plain.body) or sum(result.sse) < 0.9 * sum(plain.sse)
    assert len(result.body) <= len(plain.body)


def test_a_flat_picture_that_gets_darker_has_not_moved() -> None:
    """Its luma is found a few rows farther down; its chroma tells that it is not that place."""
    rows, columns = np.mgrid[:128, :128]
    luma = (400 + rows).astype(np.uint16)
    chroma = (400 + columns[:64, :64]).astype(np.uint16)
    reference = (luma, (600 - rows[:64, :64]).astype(np.uint16), chroma)
    source = (luma - np.uint16(8), *reference[1:])
    found = np.full((1, 8, 8, 2), (-32, 0), np.int32)  # 8 rows up, as dark as the source
    assert not grounded(source, reference, found).any()


def test_flat_blocks_that_move_while_they_fade_have_moved() -> None:
    """Their chroma lies where the vectors say, and not where it lay."""
    rows, columns = np.mgrid[:128, :128]
    luma = (400 + rows / 2).astype(np.uint16)
    u = (500 + 40 * np.sin(columns[:64, :64] / 3)).astype(np.uint16)
    v = (500 + 40 * np.cos(columns[:64, :64] / 3)).astype(np.uint16)
    by = 8  # luma samples that the source shows farther right
    moved = (luma, np.roll(u, by // 2, 1), np.roll(v, by // 2, 1))
    source = weight_estimation.weighted_planes(moved, FADED)
    vectors = np.full((1, 8, 8, 2), (0, -4 * by), np.int32)
    kept = grounded(source, (luma, u, v), vectors)
    assert kept[0, :, 1:].any(2).all()
    wrong = np.full((1, 8, 8, 2), (0, 4 * by), np.int32)
    at_rest = weight_estimation.weighted_planes((luma, u, v), FADED)
    assert not grounded(at_rest, (luma, u, v), wrong).any()


def test_a_line_begins_anywhere() -> None:
    """Plain least squares may find no change where cells and outliers balance."""
    rng = np.random.default_rng(1)
    x = rng.uniform(300, 700, 3000).astype(np.float32)
    y = 0.9 * (x - 500) + 500
    y[::6] = 1.513 * (x[::6] - 500) + 500
    assert brightness_line.fit(x, y).gain == pytest.approx(0.9, abs=0.02)


def test_what_moves_while_it_fades_has_moved() -> None:
    picture = pad(moving(192, 128, 1, seed=4)[0], 192, 128)
    by = 8  # luma samples that the source shows farther down
    down = [np.roll(plane, by >> (k > 0), 0) for k, plane in enumerate(picture)]
    y, u, v = weight_estimation.weighted_planes((down[0], down[1], down[2]), FADED)
    vectors = np.full((1, 8, 12, 2), (-4 * by, 0), np.int32)
    kept = grounded((y, u, v), picture, vectors)
    assert kept[0, 1:, :, 0].astype(bool).mean() > 0.9


def test_a_steady_picture_has_no_weights(tiny_codec: Any) -> None:
    width, height, n = 96, 64, 5
    clip = moving(width, height, n, seed=2, speed=(0.5, 1.0))
    result = encode_gop(tiny_codec, clip, 20)
    rows = body_stats(tiny_codec, result.body, n, width, height)
    assert not any(r.get("weighted", 0) for r in rows)
    assert all(r["bits"]["weights"] < 4 for r in rows)


def test_a_frame_between_fading_ones_is_not_averaged_with_their_brightness() -> None:
    """The filter gives neighbours the brightness of the source; black stays black."""
    width, height = 128, 64
    clip = faded([moving(width, height, 1)[0]] * 5, [1.0, 0.75, 0.5, 0.25, 0.0])
    planes = [pad(p, width, height) for p in clip]
    neighbours = [(d, planes[2 + d]) for d in (-2, -1, 1)]
    out = filtered(planes[2], neighbours, 40, 1.5)
    assert np.abs(out[0].astype(int) - planes[2][0]).mean() < 3
    black = filtered(planes[4], [(d, planes[4 + d]) for d in (-4, -3, -2, -1)], 40, 1.5)
    for a, b in zip(black, planes[4], strict=True):
        assert np.array_equal(a, b)


def test_another_scene_is_coded_without_prediction(tiny_codec: Any) -> None:
    """A key frame that its references show nothing of becomes an I frame in its place."""
    width, height = 96, 64
    clip = faded(moving(width, height, 5, seed=3), [0.0, 0.25, 0.5, 0.75, 1.0])
    source, black = (pad(clip[i], width, height) for i in (4, 0))
    assert intra_choice.badness(source, black, 4.0) > RateParameters().intra_tried
    assert intra_choice.badness(source, source, 4.0) == 0
    seen = []
    for seed in range(4):
        new = [moving(width, height, 1, seed=s)[0] for s in (seed, 40 + seed)]
        result = encode_gop(tiny_codec, [new[0], new[0], new[1]], 20)
        seen += [r["type"] for r in body_stats(tiny_codec, result.body, 3, width, height)][1:]
        assert len(list(decode_gop(tiny_codec, result.body, 3, width, height))) == 3
    assert "I" in seen


def test_another_scene_is_told_at_low_qualities_too() -> None:
    """What coding leaves there in the mean is more than most blocks differ by: all of them lay
    below it once, so that no prediction was bad at a crf of 40 and above."""
    width, height = 96, 64
    source, other = (pad(moving(width, height, 1, seed=s)[0], width, height) for s in (3, 8))
    for crf in (20, 34, 46, 52):
        floor = RateParameters().motion(key_quality(crf)).floor
        left = intra_choice.LEFT * floor
        assert intra_choice.badness(source, other, left) > RateParameters().intra_doubted
        assert intra_choice.badness(source, source, left) == 0


def test_frames_whose_references_are_far_are_tried_alone_by_less(
    tiny_codec: Any, monkeypatch: pytest.MonkeyPatch, one_thread: None
) -> None:
    """Where a prediction is bad above a share of what coding leaves, but not above all of it: in
    key and first B frames, not in deeper ones; with what is certain nothing is tried."""
    clip = moving(96, 64, 9, seed=3)
    floors: list[float] = [0.0]
    alone: list[int] = []
    without = FrameEncoder._without

    def badness(source: Any, shown: Any, floor: float) -> float:
        floors.append(floor)
        return 0.9 if floor == intra_choice.LEFT * floors[-2] else 0.2

    def spy(self: FrameEncoder, task: Any) -> Any:
        alone.append(task.level)
        return without(self, task)

    monkeypatch.setattr(intra_choice, "badness", badness)
    monkeypatch.setattr(FrameEncoder, "_without", spy)
    stats = encode_gop(tiny_codec, clip, 30).stats
    levels = [row["level"] for row in stats]
    assert {0, 1, 2, 3} <= set(levels)
    assert sorted(alone) == sorted(level for level in levels if level < 3)
    alone.clear()
    encode_gop(tiny_codec, clip, 30, replace(RateParameters(), intra_levels=0))
    assert alone == [0]
    alone.clear()
    encode_gop(tiny_codec, clip, 30, replace(RateParameters(), intra_certain=0.1))
    assert sorted(alone) == sorted(levels)


def test_what_intra_tiles_promise_is_not_believed(
    tiny_codec: Any, monkeypatch: pytest.MonkeyPatch, one_thread: None
) -> None:
    """Where they promise more than coding without prediction does, both ways are coded."""
    clip = [moving(96, 64, 1, seed=s)[0] for s in (3, 8)]
    tried: list[float] = []
    kept: list[float] = []

    def spied(name: str, costs: list[float]) -> None:
        original = getattr(FrameEncoder, name)

        def spy(self: Any, given: Any) -> Any:
            found = original(self, given)
            costs.append(found[1].cost)
            return found

        monkeypatch.setattr(FrameEncoder, name, spy)

    spied("_best", tried)
    spied("_cheapest", kept)
    for promised, ways in ((math.inf, 1), (-1.0, 2)):
        tried.clear()
        kept.clear()
        monkeypatch.setattr(intra_tile_choice, "mixed_cost", lambda *_, bits=promised: bits)
        encode_gop(tiny_codec, clip, 20)
        assert len(tried) == 1 + ways
        assert kept[1] == min(tried[1:])
