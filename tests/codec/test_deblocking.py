"""The deblocking filter: the same as the page's, and nothing changes that was exact."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from reference.deblocking import smooth
from reference.motion import Cell, Grid

from vqcodec.codec import deblocking
from vqcodec.codec.contexts import CONTEXTS
from vqcodec.codec.deblocking import STRENGTHS, borders, code_strength, deblock
from vqcodec.codec.direct_map import CODED_BLOCK, DIRECT_BLOCK, OUTSIDE_BLOCK, PAINTED_BLOCK
from vqcodec.codec.frame_decoder import Planes
from vqcodec.codec.motion_field import Field
from vqcodec.codec.range_coder import Decoder, Encoder, new_contexts
from vqcodec.encoding import deblocking_choice

H, W = 128, 192
SHOWN = (118, 171)  # neither ends with a cell
KINDS = (CODED_BLOCK, DIRECT_BLOCK, PAINTED_BLOCK)


def blocky(seed: int) -> Planes:
    """Slopes, noise of various strengths and steps at the borders of cells."""
    rng = np.random.default_rng(seed)

    def plane(height: int, width: int, cell: int) -> np.ndarray:
        y, x = np.mgrid[:height, :width]
        rows, columns = height // cell, width // cell
        steps = rng.normal(0, 1, (rows, columns)) * rng.choice([3, 12, 40, 300], (rows, columns))
        noise = rng.normal(0, 1, (height, width)) * np.kron(
            rng.choice([0.0, 0.6, 4.0], (rows, columns)), np.ones((cell, cell))
        )
        picture = 500 + y * rng.normal() + x * rng.normal() + noise
        picture += np.kron(steps, np.ones((cell, cell)))
        return np.asarray(np.clip(np.rint(picture), 0, 1023), np.uint16)

    return plane(H, W, 8), plane(H // 2, W // 2, 4), plane(H // 2, W // 2, 4)


def copied(planes: Planes) -> Planes:
    y, u, v = (p.copy() for p in planes)
    return y, u, v


def moved(seed: int, spread: int) -> Field:
    """A motion grid of leaves of 16x16 whose vectors differ by up to ``spread`` quarter samples."""
    rng = np.random.default_rng(seed)
    field = Field.empty(H, W, -1, 1)
    rows, columns = H // 16, W // 16

    def leaves(values: np.ndarray) -> np.ndarray:
        return values.repeat(2, 0).repeat(2, 1)

    field.direction[:] = leaves(rng.integers(1, 4, (rows, columns))) if spread else 1
    field.mv[:] = leaves(rng.integers(0, spread + 1, (rows, columns, 2, 2)))
    field.chosen[:] = leaves((rng.random((rows, columns)) < 0.1) * (spread > 0))
    return field


def still() -> Field:
    """A motion grid without motion."""
    field = Field.empty(H, W, -1, 1)
    field.direction[:] = 1
    return field


def mixed(seed: int) -> np.ndarray:
    """Kinds of blocks (H/16, W/16): all of them."""
    kinds = np.random.default_rng(seed).choice(KINDS, (H // 16, W // 16), p=[0.4, 0.5, 0.1])
    kinds[-(-SHOWN[0] // 16) :] = OUTSIDE_BLOCK
    kinds[:, -(-SHOWN[1] // 16) :] = OUTSIDE_BLOCK
    return np.asarray(kinds, np.uint8)


def as_grid(field: Field) -> Grid:
    """The same motion as the reference decoder holds it."""
    grid = Grid(*field.direction.shape)
    for y, row in enumerate(grid.cells):
        for x in range(len(row)):
            first, second = ((int(v), int(h)) for v, h in field.mv[y, x])
            row[x] = Cell(
                int(field.direction[y, x]), (first, second), chosen=int(field.chosen[y, x])
            )
    return grid


@pytest.mark.parametrize("strength", range(STRENGTHS))
def test_the_kernel_is_the_plain_form(strength: int) -> None:
    """tests/reference/deblocking.py works sample by sample, in Python."""
    planes, blocks, field = blocky(strength), mixed(strength), moved(strength, 6)
    fast = copied(planes)
    deblock(fast, borders(blocks, field, *SHOWN), strength)
    slow = [p.astype(np.int64) for p in planes]
    never = (blocks == PAINTED_BLOCK) | (blocks == OUTSIDE_BLOCK)
    smooth(slow, strength, as_grid(field), blocks == DIRECT_BLOCK, never, SHOWN)
    for a, b, before in zip(fast, slow, planes, strict=True):
        assert np.array_equal(a, b)
        assert (strength > 0) == (not np.array_equal(a, before))


def test_both_luma_filters_and_neither_are_met() -> None:
    """What the plain form is compared on has flat borders, other smooth ones, and rough ones."""
    planes = blocky(5)
    everywhere = borders(np.zeros((H // 16, W // 16), np.uint8), still(), H, W)
    after = copied(planes)
    deblock(after, everywhere, 5)
    changed = after[0][4:-4:8] != planes[0][4:-4:8]  # away from borders between rows
    at = [changed[:, 8 + k : -8 : 8] for k in (-3, -2, -1)]
    third, second, first = (share.mean() for share in at)
    assert 0.05 < third < second < first < 0.95


@pytest.mark.parametrize("field", [still(), moved(1, 40)], ids=["still", "moving"])
def test_painted_blocks_are_never_touched(field: Field) -> None:
    planes, blocks = blocky(1), mixed(1)
    after = copied(planes)
    deblock(after, borders(blocks, field, *SHOWN), STRENGTHS - 1)
    for plane, before, size in zip(after, planes, (16, 8, 8), strict=True):
        exact = np.kron(blocks == PAINTED_BLOCK, np.ones((size, size), bool))
        assert exact.any()
        assert np.array_equal(plane[exact], before[exact])


@pytest.mark.parametrize("field", [still(), moved(2, 0)])
def test_copies_are_never_touched(field: Field) -> None:
    """A still part that is shown without residual stays what it is, frame after frame."""
    planes, blocks = blocky(2), np.full((H // 16, W // 16), DIRECT_BLOCK, np.uint8)
    smoothed = borders(blocks, field, H, W)
    assert not smoothed.any()
    blocks[:, 6:] = CODED_BLOCK
    after = copied(planes)
    deblock(after, borders(blocks, field, H, W), STRENGTHS - 1)
    for plane, before, edge in zip(after, planes, (96, 48, 48), strict=True):
        assert np.array_equal(plane[:, : edge - 3], before[:, : edge - 3])
        assert not np.array_equal(plane[:, edge:], before[:, edge:])


def one_sample(field: Field) -> None:
    field.mv[:, 12:, 0, 1] = deblocking.APART


def less(field: Field) -> None:
    field.mv[:, 12:, 0] = deblocking.APART - 1


def unused(field: Field) -> None:
    field.mv[:, 12:, 1] = 50


def other_list(field: Field) -> None:
    field.direction[:, 12:] = 2


def weighted(field: Field) -> None:
    field.chosen[:, 12:] = 1


@pytest.mark.parametrize(
    ("change", "stepping"),
    [(one_sample, True), (less, False), (unused, False), (other_list, True), (weighted, True)],
)
def test_direct_blocks_have_a_border_where_their_motion_changes(
    change: Callable[[Field], None], stepping: bool
) -> None:
    field = still()
    change(field)
    smoothed = borders(np.full((H // 16, W // 16), DIRECT_BLOCK, np.uint8), field, H, W)
    want = np.zeros_like(smoothed)
    want[deblocking.LEFT, :, 12] = stepping
    assert np.array_equal(smoothed, want)


def test_nothing_outside_of_the_picture_reaches_into_it() -> None:
    blocks, field = np.zeros((H // 16, W // 16), np.uint8), still()
    for height, width in ((8, 8), (9, 17), (1, 1), SHOWN):
        smoothed = borders(blocks, field, height, width)
        rows, columns = -(-height // 8), -(-width // 8)
        assert not smoothed[:, rows:].any()
        assert not smoothed[:, :, columns:].any()
        assert smoothed[deblocking.LEFT, :rows, 1:columns].all()
        assert smoothed[deblocking.ABOVE, 1:rows, :columns].all()


def test_borders_are_filtered_in_any_order() -> None:
    """So that rows of cells may be shared out among threads."""
    planes, smoothed = blocky(3), borders(mixed(3), moved(3, 9), *SHOWN)
    want = copied(planes)
    deblock(want, smoothed, 6)
    got, rng = copied(planes), np.random.default_rng(3)
    for direction in (deblocking.LEFT, deblocking.ABOVE):
        places = np.argwhere(smoothed[direction])
        for r, c in rng.permutation(places):
            alone = np.zeros_like(smoothed)
            alone[direction, r, c] = True
            deblock(got, alone, 6)
    assert all(np.array_equal(a, b) for a, b in zip(got, want, strict=True))


def test_steps_of_smooth_parts_shrink_and_edges_stay() -> None:
    x = np.arange(W)
    for step, shrinks in ((8, True), (400, False)):
        luma = np.broadcast_to(300 + x + step * (x >= 96), (H, W)).astype(np.uint16)
        planes = luma.copy(), luma[::2, ::2].copy(), luma[::2, ::2].copy()
        smoothed = np.zeros((2, H // 8, W // 8), bool)
        smoothed[deblocking.LEFT, :, 12] = True
        deblock(planes, smoothed, 4)
        step_left = int(planes[0][7, 96]) - int(planes[0][7, 95])
        assert step_left < step if shrinks else np.array_equal(planes[0], luma)


def test_strengths_come_back() -> None:
    coder = Encoder.start(999, new_contexts(CONTEXTS))
    strengths = [0, 7, 3, 3, 3, 5, 1, 2, 4, 6, *[2] * 200]
    for strength in strengths:
        assert code_strength(coder, strength) == strength
    data = coder.finished()
    assert len(data) < 24  # what does not change costs next to nothing
    decoder = Decoder.start(data, new_contexts(CONTEXTS))
    assert [code_strength(decoder, 0) for _ in strengths] == strengths
    assert decoder.left <= 0


@pytest.mark.parametrize("blur", [0.0, 1.0])
def test_the_encoder_takes_what_is_nearer_to_the_source(blur: float) -> None:
    planes, smoothed = blocky(4), borders(mixed(4), moved(4, 9), *SHOWN)
    source = copied(planes)
    deblock(source, smoothed, 5)
    source = tuple(  # type: ignore[assignment]
        np.rint(s * blur + p * (1 - blur)) for s, p in zip(source, planes, strict=True)
    )

    def error(shown: Planes) -> float:
        return float(sum(np.square(a - b).sum() for a, b in zip(shown, source, strict=True)))

    for guess in (None, 0, 2, 6):
        strength, shown = deblocking_choice.choose(planes, smoothed, error, guess)
        assert strength == (5 if blur else 0), guess
        assert error(shown) == 0


def test_frames_without_nets_are_smoothed_most_without_a_look_at_less() -> None:
    planes, smoothed = blocky(4), borders(mixed(4), moved(4, 9), *SHOWN)
    strongest = deblocking_choice.expected(coded=False)

    def never(_: Planes) -> float:
        raise AssertionError

    strength, shown = deblocking_choice.choose(planes, smoothed, never, strongest)
    wanted = copied(planes)
    deblock(wanted, smoothed, strongest)
    assert strength == strongest == STRENGTHS - 1
    assert all((a == b).all() for a, b in zip(shown, wanted, strict=True))
