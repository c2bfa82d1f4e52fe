"""The adaptive loop filter: its kernel is the page's rule, and an encoder names what pays."""

from __future__ import annotations

import numpy as np
import pytest
from reference.filters import BANK as PAGE
from reference.filters import apply

from vqcodec.codec.adaptive_filter import (
    ALL_BLOCKS,
    CHOICES,
    CLASSES,
    CODED_BLOCKS,
    NOWHERE,
    activity_class,
    code_filters,
    filter_planes,
    no_filters,
    with_border,
)
from vqcodec.codec.contexts import CONTEXTS
from vqcodec.codec.direct_map import CODED_BLOCK, DIRECT_BLOCK, OUTSIDE_BLOCK, PAINTED_BLOCK
from vqcodec.codec.filter_bank import BANK
from vqcodec.codec.frame_decoder import Planes
from vqcodec.codec.range_coder import Decoder, Encoder, new_contexts
from vqcodec.encoding.filter_choice import (
    Filters,
    Unfiltered,
    choose,
    equations_of,
    exact_blocks,
)

H, W = 64, 128
WEIGHTS = (0.75, 1.5, 1.5)  # of the planes' errors
KINDS = (CODED_BLOCK, DIRECT_BLOCK, PAINTED_BLOCK, OUTSIDE_BLOCK)


def rough(seed: int) -> Planes:
    """Parts of every activity, and samples at both ends of their range."""
    rng = np.random.default_rng(seed)
    noise = np.repeat([0.2, 1.5, 4.0, 60.0], W // 4)
    y = np.linspace(200, 800, H)[:, None] + rng.normal(0, 1, (H, W)) * noise
    y[:8], y[-8:] = rng.integers(0, 2, (2, 8, W)) * 1023
    u, v = (rng.normal(512, 40, (H // 2, W // 2)) for _ in range(2))
    return tuple(np.clip(p, 0, 1023).astype(np.uint16) for p in (y, u, v))  # type: ignore[return-value]


def kinds(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.choice(KINDS, (H // 16, W // 16), p=[0.4, 0.3, 0.2, 0.1]).astype(np.uint8)


def copied(planes: Planes) -> Planes:
    y, u, v = (plane.copy() for plane in planes)
    return y, u, v


def test_the_bank_is_that_of_the_page() -> None:
    rows = {(k, n + 1): tuple(BANK[k, n].tolist()) for k in range(CLASSES + 1) for n in range(15)}
    assert rows == PAGE
    assert np.abs(BANK).max() <= 127


def test_all_classes_of_activity_are_met() -> None:
    wide = with_border(rough(0)[0])
    found = {activity_class(wide, r, c) for r in range(H // 8) for c in range(W // 8)}
    assert found == set(range(CLASSES))


@pytest.mark.parametrize("where", [NOWHERE, CODED_BLOCKS, ALL_BLOCKS])
@pytest.mark.parametrize("seed", range(3))
def test_the_kernel_is_the_plain_form(where: int, seed: int) -> None:
    before, blocks = rough(seed), kinds(seed)
    choices = np.random.default_rng(seed).integers(0, 16, CHOICES)
    fast, slow = copied(before), [plane.astype(np.int64) for plane in before]
    filter_planes(fast, blocks, where, choices)
    never = (blocks == PAINTED_BLOCK) | (blocks == OUTSIDE_BLOCK)
    apply(slow, where, choices.tolist(), blocks == DIRECT_BLOCK, never)
    for a, b, old in zip(fast, slow, before, strict=True):
        np.testing.assert_array_equal(a, b)
        size = a.shape[0] // len(blocks)
        left = never if where == ALL_BLOCKS else blocks != CODED_BLOCK
        still = left.repeat(size, 0).repeat(size, 1)
        np.testing.assert_array_equal(a[still], old[still])
        assert where or np.array_equal(a, old)
    assert not where or not np.array_equal(fast[0], before[0])


def test_filters_come_back() -> None:
    rng = np.random.default_rng(4)
    frames = [(NOWHERE, no_filters())]
    frames += [(int(rng.integers(1, 3)), rng.integers(0, 16, CHOICES)) for _ in range(40)]
    coder = Encoder.start(4096, new_contexts(CONTEXTS))
    for where, choices in frames:
        assert code_filters(coder, where, choices.copy()) == where
    decoder = Decoder.start(memoryview(coder.finished()), new_contexts(CONTEXTS))
    for where, choices in frames:
        read = np.full(CHOICES, 9)
        assert code_filters(decoder, 0, read) == where
        assert read.tolist() == choices.tolist()
    assert decoder.left <= 0


def blurred(planes: Planes, number: int) -> Planes:
    """What a filter of the bank makes of all classes and planes."""
    made = copied(planes)
    everywhere = np.full((H // 16, W // 16), CODED_BLOCK, np.uint8)
    filter_planes(made, everywhere, CODED_BLOCKS, np.full(CHOICES, number))
    return made


@pytest.mark.parametrize("number", [1, 7, 15])
def test_an_encoder_finds_the_filter_that_was_used(number: int) -> None:
    y, u, v = (np.clip(plane, 250, 750) for plane in rough(5))
    planes = y, u, v
    source = blurred(planes, number)
    blocks = np.full((H // 16, W // 16), CODED_BLOCK, np.uint8)
    blocks[:, :2] = DIRECT_BLOCK
    worths = np.ones(blocks.shape)
    found = choose(
        equations_of(Unfiltered(planes, source, blocks, worths, WEIGHTS)),
        True,
        lambda f: 2.0 * f.where,
    )
    assert found.where == ALL_BLOCKS
    shown = copied(planes)
    filter_planes(shown, blocks, *found)
    for plane, wanted in zip(shown, source, strict=True):
        np.testing.assert_array_equal(plane, wanted)


def test_filters_that_cost_more_than_they_gain_are_left_out() -> None:
    planes = rough(6)
    source, blocks = blurred(planes, 3), kinds(6)
    equations = equations_of(Unfiltered(planes, source, blocks, np.ones(blocks.shape), WEIGHTS))

    def bits(filters: Filters) -> float:
        return 1e12 * int((filters.choices > 0).sum())

    found = choose(equations, True, bits)
    assert found.where == NOWHERE
    assert not found.choices.any()


def test_gains_are_those_of_the_picture() -> None:
    """What the equations promise is what filtering makes of the error, but for rounding."""
    planes, blocks = rough(7), kinds(7)
    noise = np.random.default_rng(7)
    y, u, v = (
        np.clip(p + noise.normal(0, 3, p.shape), 0, 1023).astype(np.uint16)
        for p in blurred(planes, 2)
    )
    left, right = equations_of(
        Unfiltered(planes, (y, u, v), blocks, np.ones(blocks.shape), WEIGHTS)
    )
    one = BANK[CLASSES, 1] / 128
    promised = 2 * right[0, CLASSES] @ one - one @ left[0, CLASSES] @ one
    shown = copied(planes)
    choices = no_filters()
    choices[CLASSES] = 2
    filter_planes(shown, blocks, CODED_BLOCKS, choices)
    before, after = (float(np.square(u.astype(float) - p[1]).sum()) for p in (planes, shown))
    assert promised > 0
    assert (before - after) * WEIGHTS[1] == pytest.approx(promised, rel=0.05)


def test_direct_blocks_that_show_their_source_exactly_are_noticed() -> None:
    planes, blocks = rough(8), np.full((H // 16, W // 16), DIRECT_BLOCK, np.uint8)
    source = copied(planes)
    for plane in source:
        plane[: len(plane) - len(plane) // 4] ^= 1
    assert exact_blocks(planes, source, blocks)
    blocks[-1] = CODED_BLOCK
    assert not exact_blocks(planes, source, blocks)
