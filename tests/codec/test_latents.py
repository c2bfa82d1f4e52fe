from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from vqcodec.codec import latent_syntax
from vqcodec.codec.codebooks import HALVE_AT, INCREMENT, Tables, adapt, is_escape
from vqcodec.codec.latent_syntax import decode_hyper, decode_step, encode_hyper, encode_step
from vqcodec.codec.nets.shape import CLASSES, HYPER_BUCKETS
from vqcodec.codec.range_coder import Decoder, Encoder, given, new_contexts
from vqcodec.encoding.latent_search import search_hyper, search_step
from vqcodec.training.model import step_masks

H, W, M = 6, 5, 16


@pytest.fixture(scope="module")
def books(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue("tiny_codec").inter.books


def job(
    seed: int, books: Any, dim: int | None, spread: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Target, mean and classes (all of one dimension, or any)."""
    rng = np.random.default_rng(seed)
    mean = rng.integers(-400, 400, (H, W, M)).astype(np.int16)
    allowed = np.flatnonzero(
        (books.dims[:CLASSES] == dim) if dim is not None else books.dims[:CLASSES] >= 0
    )
    cls = rng.choice(allowed, (H, W, M // 4)).astype(np.uint8)
    return (mean + rng.laplace(size=mean.shape) * spread).astype(np.float32), mean, cls


def run(
    books: Any,
    target: np.ndarray,
    mean: np.ndarray,
    cls: np.ndarray,
    lam: float = 0.12,
    tables: Tables | None = None,
    steps: int = 2,
) -> tuple[np.ndarray, np.ndarray, bytes]:
    """All steps through search, coder and decoder; the decoded latent, the symbols and the
    bytes."""
    t = tables or Tables(books)
    coder = Encoder.start(1 << 16, new_contexts(0))
    y, symbols = np.zeros((H, W, M), np.int16), np.zeros((H, W, M), np.int32)
    direct, bits = np.zeros((H, W), np.uint8), np.zeros((H, W), np.float32)
    lams = np.full(direct.shape, lam, np.float32)
    sizes, words = books.sizes, books.words
    for k in range(steps):
        search_step(
            target,
            mean,
            cls,
            direct,
            k,
            steps,
            books.dims,
            sizes,
            words,
            t.costs(),
            lams,
            symbols,
            y,
            bits,
        )
        encode_step(coder, cls, direct, k, steps, books.dims, sizes, symbols, t.cdf, t.seen)
    data = coder.finished()
    d = Tables(books, t.counts)
    decoder, back = Decoder.start(data, new_contexts(0)), np.zeros((H, W, M), np.int16)
    read, classes = np.full((H, W, M), -1, np.int32), np.full((H, W, M // 4), -1, np.int8)
    for k in range(steps):
        decode_step(
            decoder,
            mean,
            cls,
            direct,
            k,
            steps,
            books.dims,
            sizes,
            words,
            d.cdf,
            d.seen,
            back,
            read,
            classes,
        )
    assert np.array_equal(back, y)
    assert decoder.left <= 0
    assert np.array_equal(d.seen, t.seen)
    dims = np.repeat(books.dims[cls], 4, axis=2)
    coded = (dims > 0) & (
        (np.arange(M) % np.maximum(dims, 1) == 0) | is_escape(symbols)
    )  # the first channel of a vector, all of an escaped one
    assert np.array_equal(classes, cls)
    assert np.array_equal(read, np.where(coded, symbols, -1))
    assert np.array_equal(d.adapted(), t.adapted())
    return y, symbols, data


def test_the_first_codeword_is_zero_and_every_table_is_sound(tiny_codec: Any) -> None:
    for nets in (tiny_codec.intra, tiny_codec.inter):
        b = nets.books
        assert len(b.dims) == CLASSES + HYPER_BUCKETS * nets.shape.hyper // 4
        assert set(b.dims.tolist()) == {0, 1, 2, 4}
        assert not b.words[:, 0].any()
        assert (b.sizes <= b.words.shape[1]).all()
        assert (b.sizes[b.dims == 0] == 0).all()
        assert (b.sizes[b.dims > 0] >= 1).all()
        for t in np.flatnonzero(b.dims):
            assert not b.words[t, :, b.dims[t] :].any()
            assert b.counts[t, b.sizes[t] :].sum() == 0
            assert b.counts[t, : b.sizes[t]].min() >= 1


@pytest.mark.parametrize("dim", [0, 1, 2, 4, None])
@pytest.mark.parametrize("spread", [2.0, 16.0, 300.0, 60000.0])
@pytest.mark.parametrize("steps", [2, 4])
def test_steps_come_back(books: Any, dim: int | None, spread: float, steps: int) -> None:
    for seed in range(5):
        target, mean, cls = job(seed, books, dim, spread)
        y, symbols, data = run(books, target, mean, cls, steps=steps)
        if dim == 0:
            assert data == b""
            assert np.array_equal(y, mean)
        if dim in (1, 2) and spread >= 300:
            assert is_escape(symbols).any(), "no escape was needed"


def test_an_escape_holds_whole_steps_up_to_its_limit(books: Any) -> None:
    _target, mean, cls = job(0, books, 1, 1.0)
    for value in (0, 1, -1, 2, 3, 4, -7, 8, 1023, 1024, -2047):
        y, _, _ = run(books, mean + np.float32(16 * value), mean, cls, lam=0.0)
        assert np.abs(y - np.clip(mean + 16.0 * value, -32767, 32767)).max() <= 8
    y, _, _ = run(books, mean + np.float32(1e9), mean, cls)
    assert np.array_equal(y.astype(int), np.minimum(mean.astype(int) + 16 * 2047, 32767))


def turns(steps: int) -> np.ndarray:
    """(4, 4, 4) number of the step that codes each group of four at each position."""
    none, out = np.zeros((4, 4), np.uint8), np.full((4, 4, 4), -1)
    for y, x, g, k in np.ndindex(4, 4, 4, steps):
        if latent_syntax.active(none, y, x, g, 4, k, steps):
            assert out[y, x, g] == -1
            out[y, x, g] = k
    return out


def test_four_steps_take_each_place_of_a_cell_and_each_quarter_in_turn() -> None:
    """Every step codes a quarter of each position and of each quarter of the channels; the second
    the positions diagonally opposite. The float nets learn with the same masks."""
    step = turns(4)
    assert sorted(step[0, 0]) == [0, 1, 2, 3] == sorted(step[:2, :2, 2].ravel())
    assert (step[:2, :2] == step[2:, 2:]).all()
    assert (step[0, 0, 0], step[1, 1, 0]) == (0, 1)
    for steps in (2, 4):
        masks = step_masks(4, 4, 16, steps)
        for k in range(steps):
            assert np.array_equal(masks[k][0, ..., ::4].numpy() > 0, turns(steps) == k)


def test_two_steps_are_a_checkerboard() -> None:
    first = turns(2) == 0
    assert first[0, 1].tolist() == [True, True, False, False]
    assert first[0, 0].tolist() == [
        False,
        False,
        True,
        True,
    ]


def test_direct_blocks_have_no_latent(books: Any) -> None:
    target, mean, cls = job(5, books, 4, 20)
    direct = np.zeros((H, W), np.uint8)
    direct[2:4, 1:3] = 1
    y, symbols, bits = (
        np.zeros((H, W, M), np.int16),
        np.zeros((H, W, M), np.int32),
        np.zeros((H, W), np.float32),
    )
    t = Tables(books)
    coder = Encoder.start(1 << 16, new_contexts(0))
    lams = np.full(direct.shape, 0.12, np.float32)
    for k in (0, 1):
        search_step(
            target, mean, cls, direct, k, 2, books.dims, books.sizes, books.words, t.costs(), lams,
            symbols, y, bits,
        )  # fmt: skip
        encode_step(coder, cls, direct, k, 2, books.dims, books.sizes, symbols, t.cdf, t.seen)
    spent = given(coder)
    assert not y[direct == 1].any()
    assert (bits[direct == 1] == 0).all()
    assert y[direct == 0].any()
    assert t.seen.sum() == (direct == 0).sum() * M // 4
    # the bits that the search expects are those that the coder spends
    assert bits.sum() == pytest.approx(spent, rel=0.01)


def test_a_huge_lambda_chooses_zero_where_it_is_cheapest(books: Any) -> None:
    target, mean, cls = job(3, books, 4, 8.0)
    costs = Tables(books).costs()
    cheapest = np.array(
        [costs[t, : max(1, books.sizes[t])].argmin() for t in range(len(books.dims))]
    )
    _, symbols, _ = run(books, target, mean, cls, lam=1e6)
    assert np.array_equal(symbols[:, :, ::4], cheapest[cls])
    y, _, _data = run(books, mean.astype(np.float32), mean, cls, lam=0.0)
    assert np.array_equal(y, mean)  # nothing is nearer to zero than zero


@pytest.mark.parametrize("dim", [1, 2, 4])
def test_without_lambda_the_nearest_word_is_chosen(books: Any, dim: int) -> None:
    target, mean, cls = job(4, books, dim, 10.0)
    y, _, _ = run(books, target, mean, cls, lam=0.0)
    r = target - mean
    for i, j, g in np.ndindex(H, W, M // 4):
        t = cls[i, j, g]
        k = books.sizes[t] - (dim < 4)
        for s in range(4 * g, 4 * g + 4, dim):
            e = ((r[i, j, s : s + dim] - books.words[t, :k, :dim]) ** 2).sum(1).min()
            if dim < 4:  # whole steps, by the escape
                e = min(
                    e, ((r[i, j, s : s + dim] - 16 * np.rint(r[i, j, s : s + dim] / 16)) ** 2).sum()
                )
            assert ((target[i, j, s : s + dim] - y[i, j, s : s + dim]) ** 2).sum() == pytest.approx(
                e, rel=1e-4, abs=0.05
            )


def test_lambda_buys_bits_with_distortion(books: Any) -> None:
    target, mean, cls = job(5, books, None, 12.0)
    results = [run(books, target, mean, cls, lam) for lam in (0.0, 0.1, 1.0, 10.0)]
    sizes = [len(d) for _, _, d in results]
    errors = [float(((target - y) ** 2).sum()) for y, _, _ in results]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > sizes[-1]
    assert errors == sorted(errors)


def test_counts_adapt_by_what_was_seen_and_are_halved_at_the_limit() -> None:
    counts = np.array([[10, 20, 0], [HALVE_AT, 5, 0]], np.uint32)
    seen = np.array([[1, 0, 2], [3, 1, 0]], np.uint32)
    adapt(counts, seen)
    assert counts[0].tolist() == [10 + INCREMENT, 20, 2 * INCREMENT]
    assert counts[1].tolist() == [(HALVE_AT + 3 * INCREMENT) >> 1, (5 + INCREMENT) >> 1, 0]
    counts = np.array([[HALVE_AT * 8 + 1, 1]], np.uint32)
    adapt(counts, np.zeros((1, 2), np.uint32))
    assert counts.sum() <= HALVE_AT
    assert counts[0, 1] == 0
    counts = np.array([[HALVE_AT - 1, 1]], np.uint32)
    adapt(counts, np.zeros((1, 2), np.uint32))
    assert counts[0].tolist() == [HALVE_AT - 1, 1]  # at the limit, not above it


def test_adaptation_saves_bits(books: Any) -> None:
    rng = np.random.default_rng(0)
    t = int(np.flatnonzero(books.dims[:CLASSES] == 4)[-1])
    word = books.words[t, books.sizes[t] - 1].astype(
        np.int16
    )  # rare in the trained table, all there is here
    mean = np.zeros((H, W, M), np.int16)
    cls = np.full((H, W, M // 4), t, np.uint8)
    target = np.tile(word, M // 4)[None, None] * np.ones((H, W, 1), np.float32) + rng.normal(
        size=(H, W, M)
    ).astype(np.float32)
    tables, sizes = Tables(books), []
    for _ in range(6):
        sizes.append(len(run(books, target, mean, cls, 0.01, tables)[2]))
        tables = Tables(books, tables.adapted())
    assert sizes[-1] < 0.5 * sizes[0]
    assert sizes == sorted(sizes, reverse=True)


def test_tables_adapt_alike_whether_nothing_was_coded_or_nobody_asked(books: Any) -> None:
    """Trained counts may be larger than adapted ones ever are: they are halved after the first
    frame, in an encoder, which looks at all tables, as in a decoder, which may need none."""
    large = replace(books, counts=books.counts * 40)
    looked, unlooked = Tables(large), Tables(large)
    assert not looked.seen.any()
    for _ in range(3):
        after = looked.adapted(), unlooked.adapted()
        assert np.array_equal(*after)
        assert (after[0].sum(1) <= HALVE_AT).all()
        looked, unlooked = (Tables(large, counts) for counts in after)
        assert not looked.seen.any()
    assert (large.counts.sum(1) > HALVE_AT).any()


def test_the_hyper_latent_comes_back(tiny_codec: Any) -> None:
    b, s = tiny_codec.inter.books, tiny_codec.inter.shape
    rng = np.random.default_rng(0)
    idle = np.zeros((3, 4), bool)
    idle[1, 2] = idle[2, 0] = True
    for bucket in range(HYPER_BUCKETS):
        base = CLASSES + bucket * s.hyper // 4
        target = rng.normal(0, 2, (3, 4, s.hyper)).astype(np.float32)
        t = Tables(b)
        z, symbols = np.empty((3, 4, s.hyper), np.int16), np.zeros((3, 4, s.hyper // 4), np.int32)
        search_hyper(target, idle, base, b.sizes, b.words, t.costs(), 0.1, symbols, z)
        coder = Encoder.start(4096, new_contexts(0))
        encode_hyper(coder, idle, base, symbols, t.cdf, t.seen)
        decoder = Decoder.start(coder.finished(), new_contexts(0))
        d, back, read = Tables(b), np.empty_like(z), np.full_like(symbols, -1)
        decode_hyper(decoder, idle, base, b.sizes, b.words, d.cdf, d.seen, back, read)
        assert np.array_equal(read, np.where(idle[:, :, None], -1, symbols))
        assert np.array_equal(back, z)
        assert np.array_equal(d.seen, t.seen)
        assert t.seen[base : base + s.hyper // 4].sum() == 10 * s.hyper // 4
        assert not z[idle].any()


def test_fitted_codebooks_spare_classes_that_are_all_zero() -> None:
    rng = np.random.default_rng(0)
    samples = [
        rng.laplace(size=(4000, 4)).astype(np.float32) * (0.001 if c < 3 else 2 ** ((c - 15) / 4))
        for c in range(CLASSES)
    ]
    few = [s[:500] if i > 20 else s for i, s in enumerate(samples)]
    with pytest.MonkeyPatch.context() as patch:
        from vqcodec.training import codebooks

        plan = codebooks.plan
        patch.setattr(codebooks, "plan", lambda c: (plan(c)[0], 8))
        patch.setattr(codebooks, "MOST", 2000)
        hyper = [rng.normal(size=(200, 4)).astype(np.float32)] * HYPER_BUCKETS
        b = codebooks.fit(codebooks.Latents(few, hyper), 0.1, lambda text: None)
    assert (b.dims[:3] == 0).all()
    assert (b.dims[8:] > 0).all()
    assert not b.words[:, 0].any()
