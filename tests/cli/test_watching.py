"""Outputs that are looked at: Matroska through a pipe, players, pictures in files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from support.clips import header, moving, same, write
from support.clock import PATIENCE
from support.media import Sound, make
from support.paths import ROOT
from support.shells import codes, needs_ffmpeg, pictures, prepare, shell

import vqcodec
from vqcodec.cli import main
from vqcodec.errors import OutputError, UsageError


@pytest.fixture
def rich(tmp_path: Path) -> Path:
    """A file with pictures, two tracks of sound and subtitles."""
    sounds = (Sound("aac", 48000, "stereo"), Sound("flac", 44100, "mono"))
    make(tmp_path / "in.mkv", frames=30, codec="ffv1", sounds=sounds, subtitles=(("subrip", {}),))
    return tmp_path / "in.mkv"


def packets(path: Path) -> dict[int, list[bytes]]:
    """Of all tracks but the pictures."""
    with av.open(str(path)) as c:
        found: dict[int, list[bytes]] = {}
        for p in c.demux():
            if p.size and p.stream.type != "video":
                found.setdefault(p.stream_index, []).append(bytes(p))
        return found


@pytest.mark.usefixtures("fake_network")
def test_matroska_through_a_pipe_has_all_tracks(rich: Path, tmp_path: Path) -> None:
    """Standard output held no tracks at all, and nothing played a .vqv file with its sound."""
    prepare(tmp_path, "encode -q in.mkv a.vqv", "decode -q a.vqv y.y4m")
    run = shell("vqcodec decode -q a.vqv -f matroska - | cat > out.mkv", tmp_path)
    assert codes(run) == [0, 0], run.stderr
    assert packets(tmp_path / "out.mkv") == packets(rich) != {}
    with av.open(str(tmp_path / "out.mkv")) as c:
        assert c.format.name.startswith("matroska")
        assert c.streams.video[0].codec_context.name == "rawvideo"
        assert [f.time for f in c.decode(video=0)] == [i / 25 for i in range(30)]
    got, want = pictures(tmp_path / "out.mkv"), pictures(tmp_path / "y.y4m")
    assert all(same(a, b) for a, b in zip(got, want, strict=True))


@pytest.mark.parametrize(("ten_bit", "sar"), [(True, None), (False, Fraction(4, 3))])
@pytest.mark.usefixtures("fake_network")
def test_what_raw_pictures_in_matroska_cannot_hold_is_ffv1(
    ten_bit: bool, sar: Fraction | None, tmp_path: Path
) -> None:
    head = header(64, 48, sar=sar, bit_depth=10 if ten_bit else 8)
    codec = "ffv1" if ten_bit else "libx264"  # which tells the stream its aspect ratio too
    write(tmp_path / "in.mkv", head, moving(64, 48, 5, ten_bit=ten_bit), vcodec=codec)
    run = shell(
        "vqcodec encode -q in.mkv - | vqcodec decode -q - -f matroska - > out.mkv", tmp_path
    )
    assert codes(run) == [0, 0], run.stderr
    with av.open(str(tmp_path / "out.mkv")) as c:
        stream = c.streams.video[0]
        assert stream.codec_context.name == "ffv1"
        assert next(c.decode(stream)).format.name == ("yuv420p10le" if ten_bit else "yuv420p")
    if sar and shutil.which("ffprobe"):  # it lies in the pictures, where PyAV doesn't look
        probe = "ffprobe -v error -show_entries frame=sample_aspect_ratio -of csv=p=0 out.mkv"
        shown = subprocess.run(probe.split(), cwd=tmp_path, capture_output=True, text=True).stdout
        assert set(shown.split()) == {"4:3"}
    got = pictures(tmp_path / "out.mkv")
    prepare(tmp_path, "encode -q in.mkv a.vqv", "decode -q a.vqv y.y4m")
    want = pictures(tmp_path / "y.y4m")
    assert all(same(a, b) for a, b in zip(got, want, strict=True))


@pytest.mark.usefixtures("fake_network")
def test_kinds_by_name(rich: Path, tmp_path: Path) -> None:
    prepare(tmp_path, "encode -q in.mkv a.vqv", "decode -q a.vqv -f mp4 b.bin")
    run = shell(
        "vqcodec decode -q a.vqv -f mpegts - > p.ts;"
        "vqcodec decode -q a.vqv -f yuv4mpegpipe - > y.y4m;"
        "vqcodec decode -q a.vqv -f matroska - | head -c 100 > /dev/null",
        tmp_path,
    )
    assert codes(run)[0] == 141, run.stderr  # a closed pipe, as for y4m
    for name, kind in (("p.ts", "mpegts"), ("b.bin", "mov"), ("y.y4m", "yuv4mpegpipe")):
        with av.open(str(tmp_path / name)) as c:
            assert kind in c.format.name
            assert sum(1 for _ in c.decode(video=0)) == 30
    run = shell("vqcodec decode -q a.vqv -f mp4 - | cat", tmp_path)
    assert codes(run) == [2, 0]
    assert "use -f matroska" in run.stderr
    run = shell("vqcodec decode -q a.vqv -f avi - | cat", tmp_path)
    assert codes(run) == [2, 0]
    assert "allowed are matroska" in run.stderr


@pytest.mark.usefixtures("fake_network")
def test_a_pipe_closed_at_any_place(
    rich: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among the packets of sound it was said to be an output that cannot be written."""
    from vqcodec.system.stdio import Stdout

    vqcodec.encode(rich, tmp_path / "a.vqv")
    left = 0

    def write(self: Stdout, data: bytes) -> int:
        nonlocal left
        left -= 1
        if left < 0:
            raise BrokenPipeError(32, "Broken pipe")
        return len(data)

    monkeypatch.setattr(Stdout, "write", write)
    for passed in range(9):
        left = passed
        with pytest.raises(BrokenPipeError):
            vqcodec.decode(tmp_path / "a.vqv", "-", format="matroska")


@pytest.mark.usefixtures("fake_network")
def test_a_full_disk_behind_matroska(rich: Path, tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    prepare(tmp_path, "encode -q in.mkv a.vqv")
    run = shell("vqcodec decode -q a.vqv -f matroska - > /dev/full", tmp_path)
    assert codes(run) == [5]
    assert "No space left" in run.stderr


# -- players


def player(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def coded(rich: Path, tiny_weights: Path) -> Path:
    out = rich.with_name("a.vqv")
    part = vqcodec.Time(frames=12)
    model = {"weights": tiny_weights, "device": "cpu", "threads": 1}
    vqcodec.encode(rich, out, duration=part, preset="fast", **model)
    return out


def test_play(
    coded: Path,
    tmp_path: Path,
    tiny_weights: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def play(*args: str, at: Path) -> int:
        monkeypatch.setenv("PATH", f"{at}{os.pathsep}/bin")
        return main(["play", *args])

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VQCODEC_WEIGHTS", str(tiny_weights))
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    # /bin may hold a real ffplay; a path without any player
    for tool in ("cat", "echo", "head"):
        (bin_ / tool).symlink_to(f"/bin/{tool}")
    env_free = find_without_players(tmp_path, coded, tiny_weights)
    assert env_free.returncode == 2
    assert "install mpv or FFmpeg's ffplay" in env_free.stderr
    player(bin_, "mpv", 'echo "$@" > args; cat > seen.mkv')
    assert play("a.vqv", "-ss", "0.2", at=bin_) == 0
    assert (tmp_path / "args").read_text() == "--force-window=immediate --title=a.vqv -\n"
    with av.open(str(tmp_path / "seen.mkv")) as c:
        assert [s.type for s in c.streams].count("audio") == 2
        assert sum(1 for _ in c.decode(video=0)) == 7
    assert play("a.vqv", "-an", "-t", "3f", at=bin_) == 0
    with av.open(str(tmp_path / "seen.mkv")) as c:
        assert not c.streams.audio
        assert sum(1 for _ in c.decode(video=0)) == 3
    # a window that is closed early is no error, a player that fails is
    player(bin_, "mpv", "head -c 50 > /dev/null")
    assert play("a.vqv", at=bin_) == 0
    player(bin_, "mpv", "cat > /dev/null; exit 3")
    assert play("a.vqv", at=bin_) == 5
    assert "ended with code 3" in capsys.readouterr().err
    assert play("none.vqv", at=bin_) == 3
    assert play("a.vqv", "--player", "nothing", at=tmp_path / "none") == 2


def find_without_players(cwd: Path, coded: Path, weights: Path) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PATH": str(cwd), "PYTHONPATH": str(ROOT), "VQCODEC_WEIGHTS": str(weights)}
    command = [sys.executable, "-m", "vqcodec", "play", str(coded)]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=PATIENCE)


# -- pictures


def read_png(path: Path) -> tuple[np.ndarray, Any]:
    with av.open(str(path)) as c:
        frame = next(c.decode(video=0))
        return frame.to_ndarray(), frame


def test_pictures_are_what_open_gives(coded: Path, tmp_path: Path, tiny_weights: Path) -> None:
    base = ["decode", "-q", "--weights", str(tiny_weights), "-threads", "1", str(coded)]
    pattern = str(tmp_path / "f%03d.png")
    assert main([*base, pattern, "-ss", "4f", "-frames:v", "3"]) == 0
    assert sorted(p.name for p in tmp_path.glob("*.png")) == ["f001.png", "f002.png", "f003.png"]
    with vqcodec.open(coded, weights=tiny_weights) as video:
        for i in range(3):
            got, frame = read_png(tmp_path / f"f{i + 1:03d}.png")
            assert frame.format.name == "rgb24"
            assert np.array_equal(got, video[4 + i].permute(1, 2, 0).numpy())
    assert main([*base, pattern, "-frames:v", "4"]) == 5  # one is there: none is written
    assert not (tmp_path / "f004.png").exists()
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".vqcodec")]
    assert main([*base, pattern, "-frames:v", "4", "-y"]) == 0
    assert (tmp_path / "f004.png").exists()
    one = tmp_path / "100%.png"
    assert main([*base, str(one)]) == 2  # which of the frames?
    assert main([*base, str(one), "-frames:v", "1"]) == 0
    assert one.exists()
    assert main([*base, str(one), "-frames:v", "1", "-y", "--vcodec", "png"]) == 2
    assert main([*base, str(one), "-frames:v", "1", "-t", "2"]) == 2


def test_ten_bits_rotation_and_aspect_ratio(tmp_path: Path, tiny_weights: Path) -> None:
    head = header(64, 48, sar=Fraction(4, 3), rotation=90, bit_depth=10)
    write(tmp_path / "in.mkv", head, moving(64, 48, 2, ten_bit=True), vcodec="libx264")
    out = tmp_path / "a.vqv"
    vqcodec.encode(tmp_path / "in.mkv", out, weights=tiny_weights, device="cpu", preset="fast")
    vqcodec.decode(out, tmp_path / "%d.png", weights=tiny_weights, device="cpu")
    got, frame = read_png(tmp_path / "1.png")
    assert frame.format.name == "rgb48be"
    assert (frame.width, frame.height) == (48, 64)
    with vqcodec.open(out, output="float", weights=tiny_weights) as video:
        assert video.metadata.rotation == 90
        want = torch.rot90(video[0].permute(1, 2, 0), -1)
    assert np.abs(got.astype(np.float64) / 65535 - want.numpy()).max() < 1e-4
    with av.open(str(tmp_path / "1.png")) as c:
        assert c.streams.video[0].sample_aspect_ratio == Fraction(3, 4)


def test_pictures_that_cannot_be_written(
    coded: Path, tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing half-made is left."""
    with pytest.raises(OutputError, match="no folder"):
        vqcodec.decode(coded, tmp_path / "no" / "%d.png", weights=tiny_weights)
    with pytest.raises(UsageError, match="pix_fmt"):
        vqcodec.decode(coded, tmp_path / "%d.png", weights=tiny_weights, pix_fmt="rgb24")

    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="1.png: cannot be written: No space left"):
        vqcodec.decode(coded, tmp_path / "%d.png", weights=tiny_weights)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.vqv", "in.mkv"]


# -- in again


@needs_ffmpeg
@pytest.mark.usefixtures("fake_network")
def test_filters_of_ffmpeg_without_losing_sound(rich: Path, tmp_path: Path) -> None:
    """The way that README and docs/cli.md name: ffv1 in nut, through a pipe."""
    run = shell(
        "ffmpeg -v error -i in.mkv -map 0 -dn -sn -vf scale=48:-2 -c:v ffv1 -c:a copy -f nut - | "
        "vqcodec encode -q - out.vqv; vqcodec decode -q out.vqv out.mkv --vcodec ffv1",
        tmp_path,
    )
    assert codes(run) == [0], run.stderr
    with av.open(str(tmp_path / "out.mkv")) as c:
        assert c.streams.video[0].width == 48
        assert len(c.streams.audio) == 2
    got, want = packets(tmp_path / "out.mkv"), packets(rich)
    sounds = [list(p) for p in want.values()][:2]
    assert [list(p) for p in got.values()] == sounds
