"""``encode --estimate``: what a few stretches tell of the whole."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
from support.clips import header, moving, write
from support.media import Sound, make

import vqcodec
from vqcodec.cli import main
from vqcodec.errors import UsageError
from vqcodec.pipeline import estimate
from vqcodec.pipeline.estimate import _gop_length

W, H = 64, 48


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "STRETCHES", 3)


@pytest.fixture
def options(tiny_weights: Path) -> dict[str, Any]:
    return {"weights": tiny_weights, "device": "cpu", "preset": "fastest", "threads": 1}


@pytest.mark.usefixtures("few")
def test_an_estimate_is_near_the_encode(
    tmp_path: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scenes of unequal length, of which the stretches see two cuts."""
    lengths = (40, 100, 60, 80, 80)
    pictures = [p for seed, n in enumerate(lengths) for p in moving(W, H, n, seed)]
    clip = write(tmp_path / "in.mkv", header(W, H), pictures, vcodec="ffv1")
    seen: list[int] = []
    told = vqcodec.estimate(clip, progress=lambda e: seen.append(e.frames), **options)
    report = vqcodec.encode(clip, tmp_path / "a.vqv", **options)
    assert told.frames == report.frames == 360
    assert seen == [65, 130, 195]
    assert (told.sampled_frames, told.stretches) == (195, 3)
    assert told.bytes == pytest.approx(report.bytes, rel=0.15)
    assert told.picture_bytes == pytest.approx(report.picture_bytes, rel=0.15)
    assert told.psnr == pytest.approx(report.psnr[0], abs=0.5)
    assert told.psnr_worst <= told.psnr <= told.psnr_best
    assert told.seconds > 0
    assert told.share == told.bytes / clip.stat().st_size
    monkeypatch.setattr(estimate, "STRETCHES", 1)
    part = vqcodec.estimate(clip, start=vqcodec.Time(frames=10), **options)
    assert part.frames == 350
    assert part.share is None
    assert not [p for p in tmp_path.iterdir() if p.name not in ("in.mkv", "a.vqv")]


@pytest.mark.usefixtures("few")
def test_tracks_count_by_their_time_and_attachments_once(
    tmp_path: Path, options: dict[str, Any]
) -> None:

    font = random.Random(1).randbytes(40_000)
    make(
        tmp_path / "in.mkv",
        frames=200,
        codec="ffv1",
        sounds=(Sound("pcm_s16le", 8000, "mono"),),
        attachments=(("a.ttf", "font/ttf", font),),
    )
    told = vqcodec.estimate(tmp_path / "in.mkv", **options)
    report = vqcodec.encode(tmp_path / "in.mkv", tmp_path / "a.vqv", **options)
    others = report.bytes - report.picture_bytes
    assert others > 160_000  # 128 kB of sound, the font
    assert told.bytes - told.picture_bytes == pytest.approx(others, rel=0.05)


def test_a_short_video_is_encoded_whole(
    tmp_path: Path, options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    clip = write(tmp_path / "in.mkv", header(W, H), moving(W, H, 20), vcodec="ffv1")
    report = vqcodec.encode(clip, tmp_path / "a.vqv", **options)
    base = ["encode", "--weights", str(options["weights"]), "-preset", "fastest", "-threads", "1"]
    base += ["--device", "cpu", "--estimate", "--progress", "json", str(clip)]
    for names in ([], [str(tmp_path / "new.vqv")], ["-o", str(tmp_path / "new.vqv")]):
        assert main([*base, *names]) == 0
        out, err = capsys.readouterr()
        made = json.loads(err.splitlines()[-1])["result"]
        assert made["command"] == "estimate"
        assert made["stretches"] == 1
        assert made["picture_bytes"] == report.picture_bytes
        assert made["psnr"] == report.psnr[0]
        assert abs(made["bytes"] - report.bytes) < 64
        assert out.count("\n") == 1
        assert f"PSNR {report.psnr[0]:.2f} dB" in out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.vqv", "in.mkv"]
    for more, text in ((["-b", "100k"], "met by itself"), (["--resume"], "writes nothing")):
        assert main([*base, *more]) == 2
        assert text in capsys.readouterr().err
    assert main(["encode", "--estimate", str(tmp_path / "none.mkv")]) == 3


def test_refused(tmp_path: Path, options: dict[str, Any]) -> None:

    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(UsageError, match="read once only"):
        vqcodec.estimate(tmp_path / "fifo", **options)


def test_mean_length_of_gops() -> None:
    assert _gop_length(0, 128) == 128
    assert _gop_length(1, 128) == 1
    assert _gop_length(0.01, 128) == pytest.approx(sum(0.99**i for i in range(128)))
