"""RGB of decoded planes: matrices, ranges and depths against the formulas of ITU-T H.273, chroma
between its samples against straight lines."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from support.clips import header, picture

from vqcodec.errors import UsageError
from vqcodec.picture import Picture
from vqcodec.reading.outputs import OUTPUTS
from vqcodec.reading.rgb import ToRgb
from vqcodec.reading.video_reader import outputs

KR_KB = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}


def flat(y: int, u: int, v: int) -> Picture:
    return Picture(*(np.full(s, n, np.uint16) for s, n in (((5, 7), y), ((3, 4), u), ((3, 4), v))))


@pytest.mark.parametrize("depth", [8, 10])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", KR_KB)
def test_matrices_and_ranges(matrix: int, full: bool, depth: int) -> None:
    kr, kb = KR_KB[matrix]
    to_rgb = ToRgb(header(7, 5, matrix=matrix, range=2 if full else 1, bit_depth=depth))
    rng = np.random.default_rng(matrix)
    top = 1023 if depth == 10 else 1020
    for y, u, v in [
        (64, 512, 512),
        (940, 512, 512),
        (top, 512, 512),
        (0, 512, 512),
        *rng.integers(0, top, (40, 3)).tolist(),
    ]:
        ey, eu, ev = (
            (y / top, (u - 512) / top, (v - 512) / top)
            if full
            else ((y - 64) / 876, (u - 512) / 896, (v - 512) / 896)
        )
        r, b = ey + 2 * (1 - kr) * ev, ey + 2 * (1 - kb) * eu
        want = np.clip([r, (ey - kr * r - kb * b) / (1 - kr - kb), b], 0, 1)
        got = to_rgb(flat(y, u, v))
        assert got.shape == (3, 5, 7)
        assert got.dtype == np.uint8
        assert (got == got[:, :1, :1]).all()
        assert np.abs(got[:, 0, 0] - 255 * want).max() < 0.52
        assert np.abs(to_rgb(flat(y, u, v), as_float=True)[:, 2, 3] - want).max() < 2e-3 / 3


def test_what_is_not_told() -> None:
    """White stays white, small pictures are BT.601 and large ones BT.709; limited range."""
    p = flat(500, 600, 400)
    assert np.array_equal(ToRgb(header(7, 5))(p), ToRgb(header(7, 5, matrix=6, range=1))(p))
    assert np.array_equal(ToRgb(header(1280, 720))(p), ToRgb(header(7, 5, matrix=1, range=1))(p))
    assert not np.array_equal(ToRgb(header(7, 5, matrix=1))(p), ToRgb(header(7, 5, matrix=6))(p))
    assert (ToRgb(header(7, 5))(flat(940, 512, 512)) == 255).all()
    assert (ToRgb(header(7, 5, range=2))(flat(1020, 512, 512)) == 255).all()
    with pytest.raises(
        UsageError, match="matrix 14 .* have no linear way to RGB: open the file with output='yuv'"
    ):
        outputs(header(matrix=14), "rgb", "cpu")
    assert outputs(header(matrix=14), "numpy-yuv", "cpu")(flat(1, 2, 3)).y.dtype == np.uint8


@pytest.mark.parametrize(
    "location, dx, dy",
    [(0, 0, 0.5), (1, 0, 0.5), (2, 0.5, 0.5), (3, 0, 0), (4, 0.5, 0), (5, 0, 1), (6, 0.5, 1)],
)
def test_chroma_lies_where_its_location_says(location: int, dx: float, dy: float) -> None:
    """Chroma that is a straight line comes out as that line, everywhere but past the first and last
    samples."""
    h, w = 21, 30
    rows, columns = 2 * np.arange((h + 1) // 2) + dy, 2 * np.arange(w // 2) + dx
    samples = (100 + 8 * rows[:, None] + 4 * columns[None]).astype(np.uint16)
    got = ToRgb(header(w, h, chroma_location=location)).whole(samples, h, w)
    want = 16 * (100 + 8 * np.arange(h)[:, None] + 4 * np.arange(w)[None])
    assert got.shape == (h, w)
    assert np.array_equal(got[2:-2, 2:-2], want[2:-2, 2:-2])


def test_sizes_and_planes() -> None:
    for w, h in ((1, 1), (1, 4), (2, 3), (9, 1)):
        p = picture(w, h, 3, ten_bit=True)
        assert ToRgb(header(w, h))(p).shape == (3, h, w)
        for output, depth in itertools.product(OUTPUTS, (8, 10)):
            made = outputs(header(w, h, bit_depth=depth), output, "cpu")
            one, room = made(p), made.empty(2)
            pairs = zip(one, room, strict=True) if isinstance(one, tuple) else [(one, room)]
            for part, place in pairs:
                assert part.shape == place.shape[1:]
                assert part.dtype == place.dtype


def test_arrays_hold_what_tensors_hold() -> None:
    p = picture(6, 4, 3, ten_bit=True)
    for depth, name in itertools.product((8, 10), ("rgb", "float", "yuv")):
        tensors, arrays = (
            outputs(header(6, 4, bit_depth=depth), output, "cpu")(p)
            for output in (name, f"numpy-{name}".removesuffix("-rgb"))
        )
        if name == "yuv":
            assert arrays.y.dtype == (np.uint8 if depth == 8 else np.uint16)
            assert str(tensors.y.dtype) == ("torch.uint8" if depth == 8 else "torch.int16")
            assert np.array_equal(arrays.y, (p if depth == 10 else p.to8()).y)
            assert all(map(np.array_equal, tensors, arrays))
            tensors.y.zero_()
            arrays.y[:] = 0
            assert p.y.any()  # they are the caller's own
        else:
            assert np.array_equal(tensors.numpy(), arrays)
            assert arrays.shape == (3, 4, 6)
