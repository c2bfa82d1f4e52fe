"""Progress that people and programs see: it fits, it moves, it leaves nothing behind."""

from __future__ import annotations

import io
import json
import multiprocessing
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from support.clips import header, moving, write
from support.clock import PATIENCE

from vqcodec.pipeline import gop_coders, process_pool
from vqcodec.pipeline.encode import encode
from vqcodec.system import kernels as kernels_module
from vqcodec.system import progress
from vqcodec.system.progress import Progress, ProgressEvent, fitted, words

LONG = ProgressEvent(12345, 86400, 5025.0, 123456789, 38.123, 25.0, "pass 2")
SHOW = """
import sys, time
from vqcodec.system.progress import Progress, ProgressEvent
shown = Progress("auto")
for i in range(8):
    shown.show(ProgressEvent(12345 + i, 86400, 5025.0 + i, 123456789, 38.123, 25.0, "pass 2"))
    time.sleep(0.3)
shown.hide()
print("vqcodec: note: a sentence", file=sys.stderr)
time.sleep(1)
shown.close()
print("the end", file=sys.stderr)
"""


def test_the_line_fits_its_terminal_and_leaves_no_trail() -> None:
    pexpect = pytest.importorskip("pexpect")
    children = {
        columns: pexpect.spawn(
            sys.executable, ["-c", SHOW], PATIENCE, dimensions=(24, columns), encoding="utf-8"
        )
        for columns in (200, 80, 40, 26)  # side by side, as each takes seconds of waiting
    }
    for columns, child in children.items():
        child.expect(pexpect.EOF)
        *lines, rest = child.before.split("\r\n")
        drawn = [text for line in lines for text in line.split("\r")]
        assert sum("frame 123" in text for text in drawn) > 4, columns
        assert all(len(text) < columns for text in drawn if "vqcodec:" not in text), columns
        # sentences stand alone on their lines, where the display was before
        sentences = [line.rpartition("\r")[2] for line in lines]
        assert sentences == ["vqcodec: note: a sentence", "the end"], columns
        assert not rest, columns
        assert all(line.split("\r")[-2].isspace() for line in lines), columns


def test_what_fits_is_the_first() -> None:
    parts = words(LONG)
    assert len("  ".join(parts)) > 80
    assert fitted(parts, 79).startswith("pass 2  frame 12345/86400  1:23:45  ETA ")
    assert fitted(parts, 500).endswith("about 864.05 MB")
    assert fitted(parts, 3) == "pas"


def test_the_clock_goes_on_while_no_frame_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_HEARTBEAT", progress._HEARTBEAT | {"json": 0.15, "auto": 0.15})
    monkeypatch.setattr(progress, "_TICK", 0.05)
    for mode in ("json", "auto"):
        out = io.StringIO()
        shown = Progress(mode, 100, None, out)
        end = time.monotonic() + PATIENCE
        while out.getvalue().count("\n") < 3 and time.monotonic() < end:
            time.sleep(0.05)
        shown.close()
        lines = out.getvalue().splitlines()
        assert len(lines) >= 3
        if mode == "json":
            told = [json.loads(line) for line in lines]
            clock = [t["elapsed"] for t in told]
            assert clock == sorted(set(clock))
            assert {t["frames"] for t in told} == {0}


def test_a_heartbeat_comes_more_often_than_the_schema_promises() -> None:
    assert progress._HEARTBEAT["json"] + progress._TICK < 10
    assert progress._HEARTBEAT["bar"] + progress._TICK < 1


def test_nothing_comes_after_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_HEARTBEAT", progress._HEARTBEAT | {"json": 0.0})
    monkeypatch.setattr(progress, "_TICK", 0.05)
    out = io.StringIO()
    shown = Progress("json", 100, None, out)
    shown.close()
    before = out.getvalue()
    shown.update(1)
    time.sleep(2.5 * progress._TICK)
    assert out.getvalue() == before


def test_nothing_is_said_of_the_rest_before_a_tenth() -> None:
    assert ProgressEvent(9, 100, 9.0).eta is None
    assert ProgressEvent(10, 100, 10.0).eta == 90
    assert ProgressEvent(1, None, 9.0).eta is None
    assert ProgressEvent(101, 100, 9.0).eta is None


def test_frames_of_a_mini_gop_count_one_by_one(tmp_path: Path, tiny_weights: Path) -> None:
    clip = write(tmp_path / "in.y4m", header(64, 48), moving(64, 48, 20, seed=2))
    seen: list[int] = []

    def told(event: ProgressEvent) -> None:
        seen.append(event.frames)

    options: dict[str, Any] = dict(weights=tiny_weights, threads=1, device="cpu")
    encode(clip, tmp_path / "a.vqv", progress=told, **options)
    assert seen == sorted(seen)
    assert set(range(1, 21)) <= set(seen)


def test_workers_tell_each_frame(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels_module, "tell", kernels_module.tell)
    model = gop_coders.Model(str(tiny_weights), "cpu", 1, 64, 48)
    ours, theirs = multiprocessing.Pipe()
    threading.Thread(target=process_pool._work, args=(theirs, model), daemon=True).start()
    pictures = moving(64, 48, 17, seed=3)
    heard: list[Any] = []
    for part, ends in ((pictures[:1], False), (pictures[1:], True)):
        ours.send((30.0, part, ends))
        while isinstance(answer := ours.recv(), gop_coders.News):
            heard += [] if answer.compiling else [answer.frames]
    kernels_module.tell()
    assert isinstance(ours.recv(), gop_coders.News)
    ours.close()
    assert answer.frames == 17
    assert heard == list(range(1, 18))
