"""Sums over samples, named by the processor's instructions, against numpy's."""

from __future__ import annotations

import re
from typing import Any

import numba as nb
import numpy as np
import pytest

from vqcodec.encoding import sample_sums
from vqcodec.encoding.motion_costs import log2_of
from vqcodec.encoding.sample_sums import (
    WIDEST,
    sad8,
    sad16,
    sad32,
    sad_mean8,
    sad_mean16,
    sse8,
    sse_mean8,
)


@nb.njit
def _all(one: int, two: int, three: int, step: int) -> tuple[int, int, int, int, int, int, int]:
    return (
        sad8(one, step, two, step),
        sad16(one, step, two, step),
        sad32(one, step, two, step) if WIDEST == 32 else sad16(one, step, two, step),
        sad_mean8(one, step, two, step, three, step),
        sad_mean16(one, step, two, step, three, step),
        sse8(one, step, two, step),
        sse_mean8(one, step, two, step, three, step),
    )


@pytest.mark.parametrize("extreme", [False, True])
def test_sums_are_those_of_numpy(extreme: bool) -> None:
    rng = np.random.default_rng(1)
    for at in range(5):  # addresses that are not aligned
        planes = rng.integers(0, 256, (3, 24, 40)).astype(np.uint8)
        if extreme:
            planes[0], planes[1:] = 255, 0
        got = _all(*(int(p.ctypes.data) + 40 * at + at for p in planes), 40)
        one, two, three = (p[at : at + 8, at : at + 32].astype(int) for p in planes)
        mean = (two + three + 1) >> 1
        wanted = [
            kind(one[:, :width] - other[:, :width]).sum()
            for kind, other, width in (
                (np.abs, two, 8), (np.abs, two, 16), (np.abs, two, WIDEST),
                (np.abs, mean, 8), (np.abs, mean, 16), (np.square, two, 8), (np.square, mean, 8),
            )
        ]  # fmt: skip
        assert list(got) == wanted


def test_other_processors_get_the_same_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written without naming an instruction, for processors other than x86."""
    monkeypatch.setattr(sample_sums, "_PSADBW", False)
    plain: Any = sample_sums._sum(sample_sums._absolute, 16, 1)
    kernel = nb.njit(lambda one, two: plain(one, 40, two, 40))  # compiled here, with the patch
    one, two = np.random.default_rng(2).integers(0, 256, (2, 8, 40)).astype(np.uint8)
    wanted = np.abs(one[:, :16].astype(int) - two[:, :16]).sum()
    assert kernel(int(one.ctypes.data), int(two.ctypes.data)) == wanted


@pytest.mark.skipif(not sample_sums._PSADBW, reason="an instruction of x86")
def test_the_processor_sums_absolute_differences_itself() -> None:
    text = "".join(_all.inspect_asm().values()) or _assembly()
    assert len(re.findall("psadbw", text)) >= 4
    assert re.search("pavgb", text)


def _assembly() -> str:
    _all(*(int(np.zeros((8, 40), np.uint8).ctypes.data) for _ in range(3)), 40)
    return "".join(_all.inspect_asm().values())


def test_logarithms_of_errors_are_near() -> None:
    numbers = np.unique(np.geomspace(1, 64 * 255**2, 2000).astype(np.int32))
    near = np.array([log2_of(n) for n in numbers])
    assert np.abs(near - np.log2(numbers)).max() < 2e-4
