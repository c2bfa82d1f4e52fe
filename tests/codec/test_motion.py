from __future__ import annotations

import numpy as np
import pytest
from support.clips import moving
from support.interpolation import naive, noise

from vqcodec.codec.contexts import BI_FLAG, CONTEXTS, MERGE, MVD_CLASS, MVD_TOP, QDELTA, SPLIT
from vqcodec.codec.frame_decoder import pad
from vqcodec.codec.motion_compensation import BI, L0, L1, chroma_block, compensate, luma_block
from vqcodec.codec.motion_field import (
    CTU,
    MV_LIMIT,
    Field,
    candidates,
    predictor,
    scale_mv,
    temporal,
)
from vqcodec.codec.motion_syntax import decode_motion, encode_leaf, split_context
from vqcodec.codec.range_coder import Decoder, Encoder, encode_bit, new_contexts
from vqcodec.codec.weighting import MAX_SETS, Weights, decode_weights
from vqcodec.encoding.block_matching import legal
from vqcodec.encoding.coarse_motion import starting_vectors
from vqcodec.encoding.motion_search import Grids, References, search
from vqcodec.encoding.phases import phases
from vqcodec.encoding.rate_distortion import RateParameters, Weighing
from vqcodec.encoding.small_pictures import SmallPicture


def block(plane: np.ndarray, y: int, x: int, my: int, mx: int, n: int, bits: int) -> np.ndarray:
    src, mid, out = (
        np.empty((72, 72), np.int32),
        np.empty((72, 72), np.int32),
        np.empty((64, 64), np.int32),
    )
    (luma_block if bits == 2 else chroma_block)(plane, y, x, my, mx, n, src, mid, out)
    return out[:n, :n]


@pytest.mark.parametrize(("bits", "n"), [(2, 8), (3, 4)])
def test_interpolation_is_that_of_hevc_at_every_phase(bits: int, n: int) -> None:
    plane = noise(24, 32)
    one = 1 << bits
    for fy in range(one):
        for fx in range(one):
            for y, x, wy, wx in ((8, 8, 0, 0), (0, 24, -1, 1), (16, 0, 1, -3)):
                my, mx = wy * one + fy, wx * one + fx
                assert np.array_equal(
                    block(plane, y, x, my, mx, n, bits), naive(plane, y, x, my, mx, n, bits)
                ), (fy, fx, y, x)


@pytest.mark.parametrize("bits", [2, 3])
def test_blocks_far_outside_see_the_border(bits: int) -> None:
    plane, one = noise(16, 16), 1 << bits
    for y, x, my, mx in (
        (0, 0, -9 * one + 1, -9 * one + 3),
        (8, 8, 7 * one + 2, 6 * one + 1),
        (8, 0, MV_LIMIT, -MV_LIMIT),
        (0, 8, -MV_LIMIT, MV_LIMIT),
        (0, 0, -3 * one, 5),
    ):
        assert np.array_equal(
            block(plane, y, x, my, mx, 8, bits), naive(plane, y, x, my, mx, 8, bits)
        )


def test_prediction_is_rounded_once_and_clipped() -> None:
    h = w = 64
    a, b = (
        tuple(noise(*s, seed) for s in ((h, w), (h // 2, w // 2), (h // 2, w // 2)))
        for seed in (1, 2)
    )
    f = Field.empty(64, 64, -1, 1)
    rng = np.random.default_rng(0)
    f.mv[:] = rng.integers(-40, 40, (8, 8, 2, 2))
    leaves = np.array([(r, c, 1) for r in range(8) for c in range(8)], np.int32)
    for direction in (L0, L1, BI):
        f.direction[:] = direction
        out = tuple(np.full(p.shape, 7777, np.uint16) for p in a)
        compensate(leaves, f, a, b, out)
        for r, c in ((0, 0), (3, 5), (7, 7)):
            for p, (k, n, bits) in enumerate(((8, 8, 2), (4, 4, 3), (4, 4, 3))):
                v0 = naive(a[p], r * k, c * k, *(int(v) for v in f.mv[r, c, 0]), n, bits)
                v1 = naive(b[p], r * k, c * k, *(int(v) for v in f.mv[r, c, 1]), n, bits)
                want = (
                    (v0 + 8) >> 4
                    if direction == L0
                    else (v1 + 8) >> 4
                    if direction == L1
                    else (v0 + v1 + 16) >> 5
                )
                assert np.array_equal(
                    out[p][r * k : r * k + n, c * k : c * k + n], np.clip(want, 0, 1023)
                )
        assert max(int(p.max()) for p in out) <= 1023


def test_the_search_sees_what_the_decoder_will_show() -> None:
    plane = noise(64, 64)
    ph = phases(plane, 1)
    for fy in range(4):
        for fx in range(4):
            for y, x in ((0, 0), (24, 40), (56, 56)):
                exact = np.clip(naive(plane, y, x, fy, fx, 8, 2) + 32 >> 6, 0, 255)
                assert (
                    np.abs(ph[fy, fx, y + 80 : y + 88, x + 80 : x + 88].astype(int) - exact).max()
                    <= 1
                )


@pytest.mark.parametrize(
    ("v", "num", "den", "want"),
    [
        (10, 8, 16, 5),
        (3, 1, 2, 2),
        (-3, 1, 2, -2),
        (5, -1, 2, -3),
        (7, 2, -4, -4),
        (1, 1, 3, 0),
        (8000, 16, 1, MV_LIMIT),
        (-8000, 16, 1, -MV_LIMIT),
        (0, 5, -7, 0),
    ],
)
def test_vectors_scale_to_the_nearest_with_halves_away_from_zero(
    v: int, num: int, den: int, want: int
) -> None:
    assert scale_mv(v, num, den) == want


def test_the_temporal_candidate_continues_the_motion_of_the_reference() -> None:
    col, f = Field.empty(64, 64, -4, 4), Field.empty(64, 64, -2, 6)
    out = np.zeros((2, 2), np.int64)
    assert not temporal(col, 3, 3, f.dist, out)
    col.direction[3, 3], col.mv[3, 3] = BI, [[8, -12], [99, 99]]
    assert temporal(col, 3, 3, f.dist, out)
    assert out.tolist() == [[4, -6], [-12, 18]]
    col.direction[3, 3], col.mv[3, 3] = L1, [[99, 99], [8, -12]]
    assert temporal(col, 3, 3, f.dist, out)
    assert out.tolist() == [[-4, 6], [12, -18]]
    one = Field.empty(64, 64, -3, 0)
    assert temporal(col, 3, 3, one.dist, out)
    assert out.tolist() == [[-6, 9], [0, 0]]


def test_candidates_are_ordered_and_differ() -> None:
    f, col = Field.empty(128, 128, -2, 2), Field.empty(128, 128, 0, 0)
    cdir, cmv, cset = (np.zeros(s, np.int64) for s in (5, (5, 2, 2), 5))
    assert candidates(f, col, 0, 0, 8, cdir, cmv, cset) == 1
    assert cdir[0] == BI
    assert not cmv[0].any()
    for n, (r, c) in enumerate(
        ((9, 7), (7, 9), (7, 10), (10, 7), (7, 7))
    ):  # of the block of 2 cells at (8, 8)
        f.direction[r, c], f.mv[r, c] = L0, [[n, 0], [0, 0]]
    assert candidates(f, col, 8, 8, 2, cdir, cmv, cset) == 5
    assert cmv[:, 0, 0].tolist() == [0, 1, 2, 3, 4]
    assert (cdir == L0).all()
    f.mv[7, 9], f.mv[7, 10], f.mv[10, 7] = f.mv[9, 7], f.mv[9, 7], f.mv[9, 7]
    assert candidates(f, col, 8, 8, 2, cdir, cmv, cset) == 3
    assert cmv[:2, 0, 0].tolist() == [0, 4]
    assert cdir[2] == BI
    f.mv[7, 9, 1] = 55  # the unused list doesn't make a candidate different
    assert candidates(f, col, 8, 8, 2, cdir, cmv, cset) == 3
    f.mv[7, 9, 1], f.chosen[7, 9] = 0, 2  # other weights do
    assert candidates(f, col, 8, 8, 2, cdir, cmv, cset) == 4
    assert cset.tolist()[:2] == [0, 2]
    weighted = Field.empty(128, 128, -2, 2, Weights.none(2))  # blocks that none is near to: set 1
    assert candidates(weighted, col, 0, 0, 8, cdir, cmv, cset) == 1
    assert cset[0] == 1
    p = np.zeros((2, 2), np.int64)
    f.mv[8, 7], f.direction[8, 7] = [[10, 0], [0, 0]], L0
    f.mv[7, 8], f.direction[7, 8] = [[30, 5], [0, 0]], L0
    f.mv[7, 10] = [[20, 9], [0, 0]]
    predictor(f, col, 8, 8, 2, p)
    assert p[0].tolist() == [20, 5]


def test_context_ranges_do_not_overlap() -> None:
    starts = [SPLIT, MERGE, BI_FLAG, MVD_CLASS, MVD_TOP, QDELTA, CONTEXTS]
    assert starts == sorted(starts)
    assert SPLIT + 9 <= MERGE
    assert MERGE + 12 <= BI_FLAG - 4
    assert MVD_CLASS + 32 <= MVD_TOP
    assert MVD_TOP + 32 <= QDELTA
    assert QDELTA + 8 <= CONTEXTS


def same(a: Field, b: Field) -> bool:
    """Whether two grids are equal."""
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def motion(
    pictures: list,
    refs: list[tuple[int, int]],
    height: int,
    width: int,
    trade: Weighing | None = None,
    col: Field | None = None,
    weights: Weights | None = None,
) -> tuple[Field, np.ndarray, bytes, Field, np.ndarray]:
    """Code the motion of picture 0 of ``pictures`` from those at the given (index, distance); grids
    of both sides and the bytes."""
    planes = [pad(p, width, height) for p in pictures]
    h, w = planes[0][0].shape
    cur = (planes[0][0] >> 2).astype(np.uint8)
    ref = [planes[i] for i, _ in refs]
    d = [k for _, k in refs] + [0]
    f, g = (Field.empty(h, w, d[0], d[1], weights) for _ in range(2))
    col = col or Field.empty(h, w, 0, 0)
    small, starts = SmallPicture.of(planes[0][0]), np.zeros((2, h // 16, w // 16, 2), np.int32)
    for k, r in enumerate(ref):
        starts[k] = starting_vectors(small, SmallPicture.of(r[0]), d[k])
    coder = Encoder.start(h * w * 4 + 4096, new_contexts(CONTEXTS))
    leaves, back = np.zeros((h * w // 64, 3), np.int32), np.zeros((h * w // 64, 3), np.int32)
    n = search(
        coder,
        Grids(f, col),
        cur,
        References(phases(ref[0][0], 1), phases(ref[-1][0], 1)),
        starts,
        trade or RateParameters().motion(30),
        leaves,
    )
    data = coder.finished()
    decoder = Decoder.start(data, new_contexts(CONTEXTS))
    assert decode_motion(decoder, g, col, back, np.zeros(1)) == n
    assert decoder.left <= 0
    assert np.array_equal(coder.contexts, decoder.contexts)
    assert np.array_equal(leaves, back)
    assert same(f, g)
    assert (leaves[:n, 2].astype(int) ** 2).sum() == h * w // 64
    assert f.direction.min() >= 1
    pred = tuple(np.empty(p.shape, np.uint16) for p in planes[0])
    compensate(leaves[:n], g, ref[0], ref[-1], pred)
    return f, leaves[:n], data, g, pred[0]


@pytest.mark.parametrize(("height", "width"), [(64, 64), (128, 192)])
@pytest.mark.parametrize("two", [False, True])
def test_the_decoder_finds_the_motion_of_the_search(height: int, width: int, two: bool) -> None:
    for seed, noisy in ((1, 0), (2, 60)):
        clip = moving(width, height, 3, seed, speed=(1.25, -2.5))
        if noisy:  # motion without sense: every kind of block and large differences of vectors
            rng = np.random.default_rng(seed)
            clip = [
                p._replace(
                    y=np.clip(p.y + rng.normal(0, noisy, p.y.shape), 0, 255).astype(np.uint8)
                )
                for p in clip
            ]
            clip[0].y[:, : width // 3] = clip[1].y[
                :, : width // 3
            ]  # what only the one or only the other reference holds
            clip[2].y[:, -width // 3 :] = clip[1].y[:, -width // 3 :]
        pictures = [clip[1], clip[0], clip[2]]
        refs = [(1, -1), (2, 1)] if two else [(1, -1)]
        f, leaves, data, _, pred = motion(
            pictures, refs, height, width, Weighing(0.5, 5.0, 1e4) if noisy else None
        )
        if noisy:
            assert len(leaves) > height * width // 64 // 8
            assert not two or {1, 2, 3} <= set(np.unique(f.direction))
        else:
            still = np.abs(clip[0].y.astype(int) - clip[1].y).mean()
            assert np.abs(pred[:height, :width] / 4 - clip[1].y).mean() < 0.35 * still
            middle = f.mv[2 : height // 8 - 2, 2 : width // 16, 0]
            assert np.median(middle[..., 0]) == -5
            assert np.median(middle[..., 1]) == 10
            # and the next picture, predicted from the same references, is helped by the grid of
            # this one
            again = motion(pictures, refs, height, width, col=f)
            assert len(again[2]) <= len(data) + 2


@pytest.mark.parametrize("two", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_any_motion_comes_back(seed: int, two: bool) -> None:
    """Trees, merges, directions and vectors by chance, up to the limits of the format."""
    rng = np.random.default_rng(seed)
    col = Field.empty(128, 192, -8, 8)
    col.direction[:], col.mv[:] = (
        rng.integers(0, 4, col.direction.shape),
        rng.integers(-MV_LIMIT, MV_LIMIT + 1, col.mv.shape),
    )
    weights = Weights.none(seed)
    f, g = (Field.empty(128, 192, -3, 5 if two else 0, weights) for _ in range(2))
    coder = Encoder.start(1 << 18, new_contexts(CONTEXTS))
    blocks = []

    def tree(y: int, x: int, depth: int) -> None:
        n = CTU >> depth
        if depth < 3:
            split = int(rng.random() < 0.7)
            encode_bit(coder, split_context(f, y, x, depth), split)
            if split:
                for k in range(4):
                    tree(y + (n >> 1) * (k >> 1), x + (n >> 1) * (k & 1), depth + 1)
                return
        mv = (
            rng.integers(-MV_LIMIT, MV_LIMIT + 1, (2, 2))
            if rng.random() < 0.5
            else rng.integers(-20, 21, (2, 2))
        )
        direction = int(rng.integers(1, 4)) if two else L0
        if not two:
            mv[1] = 0
        m = candidates(f, col, y, x, n, *(np.zeros(s, np.int64) for s in (5, (5, 2, 2), 5)))
        encode_leaf(
            coder,
            f,
            col,
            y,
            x,
            n,
            depth,
            direction,
            mv,
            int(rng.integers(m)) if rng.random() < 0.5 else -1,
            int(rng.integers(seed + 1)),
        )
        blocks.append((y, x, n))

    for y in range(0, 16, CTU):
        for x in range(0, 24, CTU):
            tree(y, x, 0)
    decoder = Decoder.start(coder.finished(), new_contexts(CONTEXTS))
    leaves = np.zeros((384, 3), np.int32)
    n = decode_motion(decoder, g, col, leaves, np.zeros(1))
    assert leaves[:n].tolist() == [list(b) for b in blocks]
    assert decoder.left <= 0
    assert np.array_equal(coder.contexts, decoder.contexts)
    assert same(f, g)
    assert len(np.unique(f.direction)) == (3 if two else 1)
    assert len(np.unique(f.chosen)) == seed + 1


def test_a_still_picture_costs_next_to_nothing() -> None:
    clip = moving(192, 128, 1)
    for refs in ([(1, -1)], [(1, -1), (1, 1)]):
        f, leaves, data, _, pred = motion([clip[0], clip[0]], refs, 128, 192)
        assert len(data) * 8 <= 40
        assert len(leaves) == 6
        assert not f.mv.any()
        assert f.merged.all()
        assert np.array_equal(pred, clip[0].y.astype(np.uint16) * 4)


def test_no_vector_leaves_the_range_of_the_format() -> None:
    assert legal(0, 0, 8, MV_LIMIT, -240, 16384, 16384)
    assert not legal(0, 0, 8, MV_LIMIT + 1, 0, 16384, 16384)
    assert not legal(9000, 9000, 8, 0, -MV_LIMIT - 1, 16384, 16384)


def test_any_bytes_give_a_whole_grid() -> None:
    for seed in range(100):
        rng = np.random.default_rng(seed)
        data = rng.bytes(200)
        coder = Decoder.start(data, new_contexts(CONTEXTS))
        weights = decode_weights(coder, 2)
        f, col = Field.empty(128, 128, -3, 5, weights), Field.empty(128, 128, -1, 0)
        col.direction[:], col.mv[:] = 1, rng.integers(-MV_LIMIT, MV_LIMIT + 1, col.mv.shape)
        leaves = np.zeros((256, 3), np.int32)
        n = decode_motion(coder, f, col, leaves, np.zeros(1))
        assert f.direction.min() >= 1
        assert f.chosen.max() <= weights.blends.size <= MAX_SETS
        assert np.abs(f.mv.astype(int)).max() <= MV_LIMIT
        assert (leaves[:n, 2] ** 2).sum() == 256
        planes = (noise(128, 128), noise(64, 64), noise(64, 64))
        compensate(
            leaves[:n],
            f,
            planes,
            planes,
            tuple(np.empty(p.shape, np.uint16) for p in planes),
        )


TRADE = {"motion_sad": 0.01, "motion_worth": 50.0, "motion_floor": 1.0}  # bits hardly count


@pytest.mark.parametrize(
    "less",
    [
        {"motion_depth": 1},
        {"motion_precision": 4, "motion_both": 0},
        {"motion_enough": 1e9},
        {"motion_split": 1e9},
    ],
    ids=str,
)
def test_what_the_search_leaves_out_is_not_there(less: dict) -> None:
    """On motion without sense, where every kind of block and fraction is found otherwise."""
    rng = np.random.default_rng(3)
    clip = [
        p._replace(y=np.clip(p.y + rng.normal(0, 50, p.y.shape), 0, 255).astype(np.uint8))
        for p in moving(192, 128, 2, 1, speed=(1.25, -2.5))
    ]
    usual, small = (
        motion(clip[::-1], [(1, -1)], 128, 192, RateParameters(**{**TRADE, **kind}).motion(30))
        for kind in ({}, less)
    )
    smallest = usual[1][:, 2].min()
    assert smallest == 1
    assert (usual[0].mv[..., 0, :] & 3).any()
    field, leaves = small[:2]
    if "motion_depth" in less:
        assert leaves[:, 2].min() == 4
    elif "motion_precision" in less:
        assert not (field.mv[..., 0, :] & 3).any()
    elif "motion_enough" in less:
        assert field.merged.all()
    else:
        assert leaves[:, 2].min() == 8
