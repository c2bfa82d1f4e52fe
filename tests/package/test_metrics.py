"""Squared error is summed up once, for the encoder, the benchmark and the demo."""

from __future__ import annotations

import numpy as np
import pytest
from support.clips import picture

from vqcodec.metrics import squared_error
from vqcodec.picture import Picture


def flat(value: int, dtype: type, side: int = 256) -> Picture:
    return Picture(*(np.full((side >> i, side >> i), value, dtype) for i in (0, 1, 1)))


@pytest.mark.parametrize(
    ("shown", "source"),
    [
        (flat(0, np.uint16), flat(255, np.uint8)),
        (flat(0, np.uint8), flat(255, np.uint8)),
        (flat(0, np.uint16), flat(1020, np.uint16)),
    ],
)
def test_the_error_of_a_large_picture_is_no_remainder(shown: Picture, source: Picture) -> None:
    """The encoder summed up in 32 bits, which a picture of 2 megapixels can fill."""
    assert squared_error(shown, source).tolist() == [
        255**2 * n for n in (1 << 16, 1 << 14, 1 << 14)
    ]


def test_pictures_of_ten_bits_are_compared_as_they_are_shown() -> None:
    rng = np.random.default_rng(5)
    planes = [rng.integers(0, 1024, (16 >> i, 24 >> i)).astype(np.uint16) for i in (0, 1, 1)]
    shown, source = Picture(*planes), picture(24, 16, seed=3)
    assert source.y.dtype == np.uint8
    want = [
        float(((a.astype(int) - b.astype(int)) ** 2).sum())
        for a, b in zip(shown.to8(), source, strict=True)
    ]
    assert squared_error(shown, source).tolist() == want
    assert squared_error(shown.to8(), source).tolist() == want
