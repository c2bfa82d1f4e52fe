"""``vqcodec tokens``: what is coded of frames, for programs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.golden_files import NEWEST

import vqcodec
from vqcodec.cli import main

MODEL = NEWEST / "tiny.safetensors"
FILE = NEWEST / "short-gops.vqv"


@pytest.mark.parametrize("shallow", [True, False])
def test_lines_and_arrays_are_those_of_the_library(
    shallow: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a.npz"
    words = ["--shallow"] if shallow else []
    code = main(["tokens", *words, "--weights", str(MODEL), "--arrays", str(out), str(FILE)])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    with vqcodec.open(FILE, weights=MODEL) as video:
        found = video.tokens(shallow=True) if shallow else video.tokens()
        count = len(video)
    assert code == 0
    assert [line["frame"] for line in lines] == list(range(count))
    with np.load(out) as arrays:
        for line, frame in zip(lines, found, strict=True):
            assert (line["kind"], line["bytes"]) == (frame.kind, frame.bytes)
            assert line["bits"]["vectors"] == pytest.approx(frame.bits["vectors"])
            for name in ("vectors", "direction", "hyper", *([] if shallow else ["latent"])):
                assert np.array_equal(arrays[f"{frame.frame}/{name}"], getattr(frame, name))
        assert ("0/latent" in arrays) == (not shallow)


def test_some_frames(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--shallow", "--weights", str(MODEL), str(FILE)]
    assert main(["tokens", "--start", "2", "--frames", "3", *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["frame"] for line in lines] == [2, 3, 4]
    assert main(["tokens", "--max-level", "0", *words]) == 0
    assert {json.loads(line)["kind"] for line in capsys.readouterr().out.splitlines()} == {"I"}
    assert main(["tokens", "--start", "99", *words]) == 0
    assert capsys.readouterr().out == ""


def test_lost_frames_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = bytearray(FILE.read_bytes())
    data[len(data) // 2] ^= 255
    file = tmp_path / "a.vqv"
    file.write_bytes(data)
    assert main(["tokens", "--shallow", "--weights", str(MODEL), str(file)]) == 4
    said = capsys.readouterr()
    assert 0 < len(said.out.splitlines()) < 7
    assert "checksum" in said.err


def test_nothing_is_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a.npz"
    out.write_bytes(b"mine")
    words = ["tokens", "--shallow", "--weights", str(MODEL), "--arrays", str(out), str(FILE)]
    assert main(words) == 5
    assert out.read_bytes() == b"mine"
    assert main([*words, "-y"]) == 0
    assert out.stat().st_size > 1000
