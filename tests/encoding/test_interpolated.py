"""Interpolated references: as many are kept as memory allows, others are made anew."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from vqcodec.codec.frame_decoder import Coded
from vqcodec.encoding import interpolated
from vqcodec.encoding.interpolated import LEAST, Interpolated, forget

SIZE = (64, 64)


def references(count: int) -> list[Coded]:
    rng = np.random.default_rng(0)
    planes = (rng.integers(0, 1024, SIZE).astype(np.uint16) for _ in range(count))
    none: Any = SimpleNamespace()
    rest: list[Any] = [none] * 4
    return [Coded(i, 0, *rest, (y, y, y)) for i, y in enumerate(planes)]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often references were interpolated."""
    calls: list[int] = []
    phases = interpolated.phases

    def counted(plane: np.ndarray, precision: int) -> np.ndarray:
        calls.append(precision)
        return phases(plane, precision)

    monkeypatch.setattr(interpolated, "phases", counted)
    return calls


def test_small_references_are_made_once(made: list[int]) -> None:
    some, all_of = references(9), Interpolated(*SIZE, 1)
    first = [all_of.of(one) for one in some]
    assert all(all_of.of(one) is ph for one, ph in zip(some, first, strict=True))
    assert made == [1] * 9
    forget(some[0])
    assert np.array_equal(all_of.of(some[0]), first[0])
    assert len(made) == 10


def test_of_large_ones_those_that_were_asked_for_last_are_kept(
    made: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interpolated, "MOST", 3 * 224 * 224 * 16)
    some, all_of = references(5), Interpolated(*SIZE, 1)
    first = [all_of.of(some[i]) for i in (0, 1, 2, 0, 3)]
    assert [one.phases is not None for one in some] == [True, False, True, True, False]
    again = all_of.of(some[1])
    assert again is not first[1]
    assert np.array_equal(again, first[1])
    assert len(made) == 5
    monkeypatch.setattr(interpolated, "MOST", 1)
    fewest = Interpolated(*SIZE, 1)
    for one in some:
        forget(one)
        fewest.of(one)
    assert [one.phases is not None for one in some] == [False] * (5 - LEAST) + [True] * LEAST
