"""The package as a library: names, options by keyword, callbacks."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from support.clips import header, moving, write
from support.paths import ROOT

import vqcodec
from vqcodec import DecodeOptions, EncodeOptions, ProgressEvent, UsageError

W, H = 48, 32


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(
        tmp_path_factory.mktemp("source") / "in.mkv", header(W, H), moving(W, H, 40), vcodec="ffv1"
    )


def test_import_is_light() -> None:
    code = "import sys, vqcodec; vqcodec.EncodeOptions(crf=30); dir(vqcodec); print(*sys.modules)"
    loaded = set(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
        ).stdout.split()
    )
    assert "vqcodec.options" in loaded
    assert not loaded & {
        "torch",
        "numba",
        "numpy",
        "av",
        "PIL",
        "click",
    }


def test_every_public_name_is_there() -> None:
    assert {name for name in vqcodec.__all__ if getattr(vqcodec, name) is None} == set()
    assert vqcodec.__all__ == sorted(vqcodec.__all__, key=str)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        vqcodec.nothing  # noqa: B018


def test_the_package_is_marked_as_typed() -> None:
    assert (ROOT / "vqcodec" / "py.typed").is_file()
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"][
        "targets"
    ]["wheel"]
    assert wheel["packages"] == ["vqcodec"]
    assert "exclude" not in wheel


@pytest.mark.usefixtures("fake_network")
def test_options_by_keyword_and_progress(source: Path, tmp_path: Path) -> None:
    events: list[ProgressEvent] = []
    report = vqcodec.encode(
        source, tmp_path / "a.vqv", EncodeOptions(crf=30, gop=8), crf=35, progress=events.append
    )
    assert report.frames == 40
    assert report.gops == 5
    assert [e.frames for e in events] == sorted(e.frames for e in events)
    assert events[-1].frames == 40
    last = events[-1]
    assert last.total == 40
    assert last.bytes
    assert last.psnr
    assert last.elapsed > 0
    assert last.fps > 0
    assert last.eta == 0
    assert last.kbps == pytest.approx(last.bytes * 8 * 25 / 40 / 1000)
    assert last.predicted_bytes == last.bytes
    seen: list[int] = []
    done = vqcodec.decode(
        tmp_path / "a.vqv",
        tmp_path / "b.mkv",
        vcodec="ffv1",
        duration=vqcodec.Time(frames=12),
        progress=lambda e: seen.append(e.frames),
    )
    assert done.frames == 12
    assert seen == list(range(1, 13))
    from vqcodec.reading.info import describe

    assert describe(str(tmp_path / "a.vqv")).crf == 35


@pytest.mark.usefixtures("fake_network")
def test_unknown_options_are_named(source: Path, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match="'quality' is no option of EncodeOptions, allowed are crf, "
    ):
        vqcodec.encode(source, tmp_path / "a.vqv", quality=3)
    with pytest.raises(UsageError, match="crf: 99 is out of range"):
        vqcodec.encode(source, tmp_path / "a.vqv", crf=99)
    with pytest.raises(UsageError, match="'crf' is no option of DecodeOptions"):
        vqcodec.decode(tmp_path / "a.vqv", tmp_path / "b.mkv", DecodeOptions(), crf=3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("fake_network")
def test_a_callback_that_raises_ends_the_work(source: Path, tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def stop(event: ProgressEvent) -> None:
        raise Enough

    with pytest.raises(Enough):
        vqcodec.encode(source, tmp_path / "a.vqv", progress=stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("fake_network")
def test_info_verify_and_join_take_any_path(source: Path, tmp_path: Path) -> None:
    """They were there for the command line alone."""
    a, b = tmp_path / "a.vqv", tmp_path / "b.vqv"
    vqcodec.encode(source, a, gop=8, duration=vqcodec.Time(frames=16))
    vqcodec.encode(source, b, gop=8, start=vqcodec.Time(frames=16))
    joined = vqcodec.join([a, b], tmp_path / "c.vqv")
    assert (joined.parts, joined.frames, joined.gops) == (2, 40, 5)
    checked = vqcodec.verify(tmp_path / "c.vqv", fast=True)
    assert checked.ok
    assert checked.frames == 40
    assert not checked.pixels_checked
    told = vqcodec.info(str(tmp_path / "c.vqv"))
    assert told.frames == 40
    assert told.bytes == joined.bytes
    broken = bytearray(a.read_bytes())
    broken[len(broken) // 2] ^= 255
    a.write_bytes(broken)
    assert not vqcodec.verify(a, fast=True).ok
