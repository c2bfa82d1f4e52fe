"""Ctrl-C, SIGTERM and kill -9 in the middle of an encode."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from support import child
from support.child import advance, wait_for
from support.clips import header, moving, picture, same, write
from support.clock import PATIENCE, Stopwatch, quickest
from support.paths import PYTHONPATH, ROOT, files_in

from vqcodec.cli import main
from vqcodec.container.reader import ContainerReader
from vqcodec.media.source import VideoSource
from vqcodec.picture import Picture
from vqcodec.pipeline.decode import decode
from vqcodec.pipeline.encode import encode
from vqcodec.pipeline.gop_coders import LocalCoder, Model, Result, code_gop
from vqcodec.system.ahead import read_ahead
from vqcodec.system.interrupt import Interrupt
from vqcodec.system.progress import ProgressEvent

AT_ONCE = 2.0  # seconds
pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write(
        tmp_path / "in.y4m",
        header(16, 16, time_base=Fraction(1, 25)),
        [picture(16, 16, i) for i in range(90)],
    )


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder / "a.vqv"


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and standard error."""
    _, err = process.communicate(timeout=PATIENCE)
    return process.returncode, err


def ends_at_once(process: subprocess.Popen[str], signum: int) -> tuple[float, int]:
    """Seconds from a signal to the end, while a picture is being coded that takes far longer, and
    the exit code."""
    watch = Stopwatch(process.pid)
    process.send_signal(signum)
    return watch.until_end(process)


def check_part(coded: Path, clip: Path, frames: int, tmp_path: Path) -> None:
    """The file is complete, and holds the first frames of the clip with their times."""
    reader = ContainerReader.open(io.BytesIO(coded.read_bytes()))
    assert reader.complete
    assert not reader.damaged
    assert reader.frames == frames
    assert decode(str(coded), str(tmp_path / "out.y4m"), overwrite=True).ok
    with VideoSource(clip) as a, VideoSource(tmp_path / "out.y4m") as b:
        got = list(b)
        assert len(got) == frames
        for (t, p), (u, q) in zip(a, got, strict=False):
            assert t * a.time_base == u * b.time_base
            assert same(p, q)


@pytest.mark.parametrize(("lines", "frames"), [(2, 33), (3, 40), (5, 73)])
def test_ctrl_c_closes_the_file(
    tmp_path: Path,
    clip: Path,
    out: Path,
    lines: int,
    frames: int,
    fake_network: Any,
) -> None:
    """Mini-GOPs of 1, 32, 7 and 1, 32, ..: the file ends with the one that is being coded."""
    with child.start(None, "encode", str(clip), str(out), "-g", "40") as process:
        advance(process, lines)
        process.send_signal(signal.SIGINT)
        wait_for(process, "ctrl-C once more")
        code, err = end(process)
    assert code == 130, err
    assert f"holds the first {frames} frames of about 90" in err, err
    assert files_in(out.parent) == ["a.vqv"]
    check_part(out, clip, frames, tmp_path)


class _FirstIsLast(LocalCoder):
    """Codes GOPs as they come, but the first, which takes until it is cut: so many of its mini-GOPs
    are coded by then."""

    parts = 0

    def __init__(self, model: Model, jobs: int, warn: Any) -> None:
        super().__init__(model, None)
        self._first: list[list[Picture]] = []

    def begin(self, key: int, crf: float) -> None:
        if key:  # what codes the first lets others begin
            super().begin(key, crf)

    def add(self, key: int, pictures: list[Picture], ends: bool) -> None:
        if key:
            super().add(key, pictures, ends)
        else:
            self._first.append(pictures)

    def cut(self, key: int) -> Result | None:
        return (
            super().cut(key)
            if key
            else code_gop(self._model.encoder(None, 30), self._first[: self.parts])
        )


@pytest.mark.usefixtures("fake_network")
@pytest.mark.parametrize(("parts", "frames"), [(1, 1), (2, 41)])
def test_gops_behind_the_one_that_is_cut_are_kept_if_it_is_whole(
    tmp_path: Path, clip: Path, out: Path, monkeypatch: pytest.MonkeyPatch, parts: int, frames: int
) -> None:
    """With several workers later GOPs can be finished before an earlier one. Statistics are those
    of the frames in the file."""
    monkeypatch.setattr("vqcodec.pipeline.encode.ProcessCoder", _FirstIsLast)
    monkeypatch.setattr(_FirstIsLast, "parts", parts)
    interrupt = Interrupt()

    def progress(event: ProgressEvent) -> None:
        interrupt.requested |= (
            event.frames > 20
        )  # the second GOP is finished, the first frame of the third is taken

    report = encode(
        clip,
        out,
        gop=20,
        jobs=2,
        stats=str(tmp_path / "stats"),
        progress=progress,
        interrupt=interrupt,
    )
    rows = [json.loads(line) for line in (tmp_path / "stats").read_text().splitlines()]
    assert report.stopped
    assert report.frames == frames
    assert [r["first"] + r["frame"] for r in rows] == list(range(frames))
    check_part(out, clip, frames, tmp_path)


def test_ctrl_c_twice_stops_at_once(clip: Path, out: Path) -> None:
    """The answer to the first comes at once too, though the pictures go on for ever."""
    out.write_bytes(b"old")

    def attempt() -> float:
        with child.start(None, "encode", "-y", str(clip), str(out)) as process:
            advance(process, 2)
            watch = Stopwatch(process.pid)
            process.send_signal(signal.SIGINT)
            wait_for(process, "ctrl-C once more")
            answer = watch.seconds()
            took, code = ends_at_once(process, signal.SIGINT)
        assert code == 130
        assert files_in(out.parent) == ["a.vqv"]
        assert out.read_bytes() == b"old"
        return max(answer, took)

    quickest(attempt, AT_ONCE)


@pytest.mark.parametrize("delay", [0.02, 0.1, 0.2, 0.3])
def test_terminated_at_the_start_leaves_nothing(clip: Path, out: Path, delay: float) -> None:
    def attempt() -> float:
        with child.start(None, "encode", str(clip), str(out)) as process:
            time.sleep(delay)
            took, code = ends_at_once(process, signal.SIGTERM)
        assert code in (143, -signal.SIGTERM)
        assert files_in(out.parent) == []
        return took

    quickest(attempt, AT_ONCE)


DROPS = """
import os, signal, sys, time
from support import fakes
from vqcodec.cli import main
from vqcodec.pipeline import encode

class Dropped:
    def __del__(self):
        os.kill(os.getpid(), int(sys.argv[1]))
        time.sleep(0.1)

fakes.install(fakes.Lasting())
loads = encode._need_torch
encode._need_torch = lambda options: (Dropped(), loads(options), time.sleep(1))
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_in_a_callback_is_not_lost(clip: Path, out: Path, signum: int, code: int) -> None:
    """Python drops what is raised there, and imports have callbacks: an encode that was told to end
    while it loaded went on to its end."""
    command = [sys.executable, "-c", DROPS, str(int(signum)), "encode", str(clip), str(out)]
    env = os.environ | {"PYTHONPATH": PYTHONPATH}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert files_in(out.parent) == []


def test_sigterm_in_the_middle_leaves_nothing(clip: Path, out: Path) -> None:
    def attempt() -> float:
        with child.start(None, "encode", str(clip), str(out), "-g", "5") as process:
            advance(process, 5)
            assert len(files_in(out.parent)) == 1
            assert not out.exists()
            took, code = ends_at_once(process, signal.SIGTERM)
        assert code == 143
        assert files_in(out.parent) == []
        return took

    quickest(attempt, AT_ONCE)


def test_ignored_ctrl_c_stays_ignored(clip: Path, out: Path) -> None:
    """As in the background of a shell script."""
    old = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = child.start(None, "encode", str(clip), str(out), "-g", "30")
    finally:
        signal.signal(signal.SIGINT, old)
    with process:
        advance(process, 2)
        process.send_signal(signal.SIGINT)
        code, err = end(process)
    assert code == 0, err
    assert "90 frames" in err, err


def test_a_source_that_stalls_is_interrupted() -> None:
    """The request is noticed while no frame comes."""

    def attempt() -> float:
        release = threading.Event()

        def stalls() -> Iterator[int]:
            yield 1
            release.wait(30)

        interrupt = Interrupt()
        items = read_ahead(stalls(), interrupt=interrupt)
        assert next(items) == 1
        interrupt.requested = True
        threading.Timer(
            0.5, release.set
        ).start()  # a reader that is inside FFmpeg can only be waited for
        watch = Stopwatch()
        assert list(items) == []
        return watch.seconds()

    quickest(attempt, AT_ONCE)


def test_interrupt_in_two_steps() -> None:
    said = []
    with Interrupt(lambda: said.append(1)) as interrupt:
        with pytest.raises(KeyboardInterrupt):  # nothing would be worth keeping
            signal.raise_signal(signal.SIGINT)
        interrupt.worth = True
        signal.raise_signal(signal.SIGINT)
        assert interrupt.requested
        assert said == [1]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_ctrl_c_with_workers(tmp_path: Path, tiny_weights: Path, out: Path) -> None:
    """The file ends within the first GOP that isn't finished; workers don't outlive the program."""
    clip = write(tmp_path / "in.mkv", header(64, 48), moving(64, 48, 480, seed=2), vcodec="ffv1")
    root = ROOT
    command = [
        "encode",
        str(clip),
        str(out),
        "--jobs",
        "2",
        "-g",
        "20",
        "--weights",
        str(tiny_weights),
        "--device",
        "cpu",
        "--progress",
        "json",
    ]
    code = "import sys; from vqcodec.cli import main; sys.exit(main())"
    with subprocess.Popen(
        [child.sys.executable, "-c", code, *command],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(root)},
        process_group=0,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            # notes may come before, as the one on kernels that are compiled; more frames than
            # the second GOP has are some of the first
            found = re.search(r'"frames": (\d+)', line)
            if found and int(found[1]) > 20:
                break
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        status, err = end(process)
    if status == 0:
        pytest.skip("the machine was too quick")
    assert status == 130, err
    assert "holds the first" in err, err
    frames = ContainerReader.open(io.BytesIO(out.read_bytes())).frames
    assert 0 < frames < 480
    assert files_in(out.parent) == ["a.vqv"]
    assert main(["verify", "-q", "--weights", str(tiny_weights), str(out)]) == 0
    with pytest.raises(ProcessLookupError):
        for _ in range(
            PATIENCE * 10
        ):  # the last helper process of multiprocessing goes a moment later
            os.killpg(process.pid, 0)
            time.sleep(0.1)
