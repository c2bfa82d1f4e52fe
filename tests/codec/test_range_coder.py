from __future__ import annotations

import numpy as np
import pytest
from support.symbol_tables import tables

from vqcodec.codec import range_coder
from vqcodec.codec.range_coder import (
    CACHE,
    LOW,
    PENDING,
    RANGE,
    STARTED,
    TOTAL,
    TOTAL_BITS,
    Decoder,
    Encoder,
    decode_bit,
    decode_raw,
    decode_symbol,
    encode,
    encode_bit,
    encode_raw,
    encode_symbol,
    new_contexts,
)

CDF, SIZES = tables([1 << 30, 1, 1], [1], [1] * 400, [0, 0, 5, 0], [1, 1 << 30])


def coded(ops: list[tuple[int, int, int]]) -> bytes:
    """ops: (0, context, bit), (1, bits, value), (2, table, symbol)."""
    coder = Encoder.start(len(ops) * 8 + 64, new_contexts(4))
    coder.out[:] = 0xAA
    for kind, a, b in ops:
        if kind == 0:
            encode_bit(coder, a, b)
        elif kind == 1:
            encode_raw(coder, b, a)
        else:
            encode_symbol(coder, CDF[a], b)
    return coder.finished()


def decoded(data: bytes, ops: list[tuple[int, int, int]]) -> tuple[list[int], Decoder]:
    coder = Decoder.start(data, new_contexts(4))
    got = []
    for kind, a, _ in ops:
        got.append(
            decode_bit(coder, a)
            if kind == 0
            else decode_raw(coder, a)
            if kind == 1
            else decode_symbol(coder, CDF[a], SIZES[a])
        )
    return got, coder


def mix(seed: int, n: int) -> list[tuple[int, int, int]]:
    rng = np.random.default_rng(seed)
    skew = rng.random(4) ** 4
    ops = []
    for _ in range(n):
        kind = int(rng.integers(3))
        if kind == 0:
            k = int(rng.integers(4))
            ops.append((0, k, int(rng.random() < skew[k])))
        elif kind == 1:
            bits = int(rng.integers(1, 16))
            ops.append((1, bits, int(rng.integers(1 << bits))))
        else:
            t = int(rng.integers(len(SIZES)))
            ops.append((2, t, int(rng.integers(SIZES[t]))))
    return ops


@pytest.mark.parametrize("n", [0, 1, 2, 7, 100, 3000])
def test_any_mix_comes_back(n: int) -> None:
    for seed in range(30 if n < 1000 else 3):
        ops = mix(seed, n)
        data = coded(ops)
        got, coder = decoded(data, ops)
        assert got == [b for _, _, b in ops]
        assert coder.left <= 0
        assert not data or data[-1] != 0


@pytest.mark.parametrize("tail", [0, 1, 2, 5, 40])
def test_carries_run_through_any_number_of_bytes(tail: int) -> None:
    # the last interval of a table of nearly all mass elsewhere drives low to the top of its range:
    # long runs of 0xFF and carries
    for seed in range(60):
        rng = np.random.default_rng(seed)
        ops = (
            [(1, 1, 1)] * int(rng.integers(40))
            + [(2, 0, 2)] * int(rng.integers(60))
            + [(0, 0, 1)] * int(rng.integers(200))
            + [(2, 4, int(rng.integers(2))) for _ in range(tail)]
        )
        got, coder = decoded(coded(ops), ops)
        assert got == [b for _, _, b in ops]
        assert coder.left <= 0


def test_a_carry_turns_a_run_of_ff_bytes_into_zeros() -> None:
    def code(last: int) -> bytes:
        coder = Encoder.start(99, new_contexts(0))
        state = coder.state
        state[LOW], state[RANGE], state[CACHE], state[PENDING], state[STARTED] = (
            0xFF000000,
            0x1FFFFFF,
            0x12,
            7,
            1,
        )  # a byte 0x12 and seven of 0xFF wait
        encode(coder, np.uint32(last), np.uint32(1), TOTAL_BITS)
        return coder.finished()

    assert code(0)[:8] == b"\x12" + b"\xff" * 7
    assert code(TOTAL - 1)[:9] == b"\x13" + bytes(8)


@pytest.mark.parametrize("bit", [0, 1])
def test_probabilities_stay_within_their_limits(bit: int) -> None:
    ops = [(0, 0, bit)] * 5000 + [(0, 0, 1 - bit)] * 3 + [(0, 0, bit)] * 50
    data = coded(ops)
    got, _ = decoded(data, ops)
    assert got == [b for _, _, b in ops]
    assert len(data) < 30


def test_what_is_cut_reads_as_zero() -> None:
    ops = mix(1, 300)
    data = coded(ops)
    for n in range(0, len(data), 7):
        got, coder = decoded(data[:n], ops)
        assert got == decoded(data[:n] + bytes(5000), ops)[0]
        assert len(got) == len(ops)
        assert coder.left <= 0
        k = next(
            i
            for i, (g, op) in enumerate(zip([*got, -1], [*ops, (0, 0, 0)], strict=True))
            if g != op[2]
        )
        if n > 40:  # all before the cut is right
            assert k > 0


def test_random_bytes_never_crash() -> None:
    for seed in range(200):
        rng = np.random.default_rng(seed)
        data = (b"\xff" * 60) if seed == 0 else rng.integers(0, 256, 60).astype(np.uint8).tobytes()
        ops = mix(seed, 100)
        got, coder = decoded(data, ops)
        assert all(
            0 <= g < (2 if kind == 0 else 1 << a if kind == 1 else SIZES[a])
            for g, (kind, a, _) in zip(got, ops, strict=True)
        )
        assert int(coder.state[RANGE]) >= 1 << 24


def test_bytes_left_over_are_noticed() -> None:
    for seed in range(20):
        ops = mix(seed, 50)
        data = coded(ops)
        assert decoded(data + bytes(5), ops)[1].left > 0


def test_cost_is_within_a_fifth_of_a_percent_of_the_entropy() -> None:
    rng = np.random.default_rng(0)
    p = 0.97 ** np.arange(120)
    p /= p.sum()
    p[0] += 1.5
    p /= p.sum()
    source = rng.choice(120, size=200_000, p=p)
    cdf, _ = tables((np.bincount(source, minlength=120) * 20).tolist())
    coder = Encoder.start(400_000, new_contexts(0))
    for s in source:
        encode_symbol(coder, cdf[0], s)
    n = np.bincount(source, minlength=120)
    ideal = -(n[n > 0] * np.log2(n[n > 0] / n.sum())).sum()
    assert ideal < len(coder.finished()) * 8 < 1.002 * ideal


def test_adaptive_bits_approach_the_entropy() -> None:
    rng = np.random.default_rng(1)
    for p, over in ((0.5, 1.03), (0.1, 1.06), (0.01, 1.35)):
        bits = (rng.random(40_000) < p).astype(int)
        size = len(coded([(0, 0, int(b)) for b in bits])) * 8
        assert size < over * 40_000 * -(p * np.log2(p) + (1 - p) * np.log2(1 - p))


@pytest.mark.parametrize(
    "counts",
    [[1], [0, 0, 0], [7, 1], [1 << 31, 0, 1], list(range(512)), [0] * 511 + [9], [1 << 20] * 500],
)
def test_tables_cover_everything_and_no_symbol_is_empty(counts: list[int]) -> None:
    cdf, _ = tables(counts)
    steps = np.diff(cdf[0].astype(np.int64))
    assert cdf[0, 0] == 0
    assert cdf[0, len(counts)] == TOTAL
    assert steps[: len(counts)].min() >= 1
    if sum(counts):
        # each symbol gets one, and its part of what is left
        share = 1 + np.array(counts) * (TOTAL - len(counts)) / sum(counts)
        assert len(counts) == 1 or np.abs(steps[: len(counts)] - share)[:-1].max() <= 1


def test_empty_tables_are_left_alone() -> None:
    cdf, _ = tables([3, 4], [])
    assert not cdf[1].any()


def test_nothing_takes_no_bytes() -> None:
    assert coded([]) == b""
    assert decoded(b"", [(1, 8, 0)])[0] == [0]
    assert range_coder.TOTAL == 1 << range_coder.TOTAL_BITS
