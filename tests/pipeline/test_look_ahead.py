"""GOPs longer than the look-ahead: the same bytes whoever codes them, and targets that are met."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from support.clips import header, moving, write

from vqcodec.options import EncodeOptions
from vqcodec.pipeline.encode import encode

W, H = 48, 32
FRAMES = 96  # a GOP whose probe is cut, and one that ends before
OPTIONS = EncodeOptions(gop=81, preset="fastest", device="cpu", threads=1)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pictures = moving(W, H, FRAMES, seed=4, speed=(0.5, 1.0))
    path = tmp_path_factory.mktemp("clip") / "in.y4m"
    return write(path, header(W, H, time_base=Fraction(1, 25)), pictures)


def test_processes_make_the_same_file(clip: Path, tiny_weights: Path, tmp_path: Path) -> None:
    names = [tmp_path / "one.vqv", tmp_path / "two.vqv"]
    for name, jobs in zip(names, (1, 2), strict=True):
        encode(clip, name, replace(OPTIONS, crf=40, jobs=jobs), weights=tiny_weights)
    assert names[0].read_bytes() == names[1].read_bytes()


@pytest.mark.early
def test_a_target_is_met_by_probes_that_are_cut(
    clip: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    at_crf = replace(OPTIONS, crf=40)
    plain = encode(clip, tmp_path / "plain.vqv", at_crf, weights=tiny_weights)
    files = []
    for jobs in (1, 2):
        name = tmp_path / f"{jobs}.vqv"
        wanted = replace(OPTIONS, jobs=jobs, bitrate=round(plain.picture_kbps * 1000))
        report = encode(clip, name, wanted, weights=tiny_weights)
        assert report.missed is None
        assert report.frames == FRAMES
        files.append(name.read_bytes())
    assert files[0] == files[1]
