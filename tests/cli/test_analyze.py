"""``vqcodec analyze``: its answers in all forms, on damaged, odd and foreign files."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from support import shot_model
from support.golden_files import NEWEST

import vqcodec
from vqcodec.analysis.look import look
from vqcodec.analysis.model import ShotModel
from vqcodec.cli import main
from vqcodec.container.packets import StreamHeader
from vqcodec.container.reader import ContainerReader
from vqcodec.container.writer import ContainerWriter

MODEL = str(NEWEST / "tiny.safetensors")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def net(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ShotModel, "load", classmethod(lambda cls, path=None: shot_model.reading))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*args: object) -> tuple[int, str, str]:
        code = main(["analyze", "--weights", MODEL, *map(str, args)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def made(
    path: Path,
    source: str = "short-gops",
    times: int = 1,
    steps: Callable[[int], int] | None = None,
    **changes: Any,
) -> Path:
    """A golden file so many times over, with other times of its frames and another header.

    steps: the ticks that a frame is shown for, by its number.
    """
    with (NEWEST / f"{source}.vqv").open("rb") as file, path.open("wb") as out:
        reader = ContainerReader.open(file)
        header: StreamHeader = replace(reader.header, **changes)
        writer = ContainerWriter(out, header)
        tick = 0
        for i in list(range(len(reader.gops))) * times:
            gop = reader.read_gop(i)
            step = steps or (lambda number: 40)
            lengths = [step(writer.frames + k) for k in range(len(gop.pts))]
            pts = tuple(tick + sum(lengths[:k]) for k in range(len(gop.pts)))
            writer.gop(replace(gop, pts=pts, duration=lengths[-1]))
            tick += sum(lengths)
        writer.finish()
    return path


def shots(out: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(out)["shots"]
    return found


def test_shots_as_json(tmp_path: Path, run: Run) -> None:
    file = made(tmp_path / "a.vqv", time_base=Fraction(1, 1000), rate=Fraction(25))
    code, out, _ = run("--shots", "--json", file)
    assert code == 0
    assert len(out.splitlines()) == 1
    found = shots(out)
    assert [(s["start"], s["end"], s["transition"]) for s in found] == [
        (0, 3, "start"),
        (3, 6, "cut"),
        (6, 7, "cut"),
    ]
    assert [s["start_seconds"] for s in found] == [0, 0.12, 0.24]
    assert all(0 <= s["confidence"] <= 1 and s["camera"] == "pan" for s in found)
    assert run("--json", file)[1] == out


def test_the_table(tmp_path: Path, run: Run) -> None:
    file = made(tmp_path / "a.vqv", time_base=Fraction(1, 1000), rate=Fraction(25))
    code, out, _ = run(file)
    assert code == 0
    assert "3 shots in 7 frames, 0:00:00.28" in out
    assert re.search(r"2 +0:00:00.12 +0:00:00.24 +3-5 +cut +0.90 +2.5 +pan", out)
    code, out, _ = run("--activity", "--anomaly", file)
    assert "unusual at" in out
    assert "activity" in out
    assert "begins by" not in out


def test_threshold_and_shortest_shot(tmp_path: Path, run: Run) -> None:
    file = made(tmp_path / "a.vqv", time_base=Fraction(1, 1000), rate=Fraction(25))
    assert len(shots(run("--json", "--threshold", "0.95", file)[1])) == 1
    assert [s["start"] for s in shots(run("--json", "--min-shot", "0.12s", file)[1])] == [0, 3]
    assert [s["start"] for s in shots(run("--json", "--min-shot", "2f", file)[1])] == [0, 3]
    for bad in ("--threshold=1.5", "--threshold=-1", "--threshold=nan", "--min-shot=soon"):
        code, _, err = run(bad, file)
        assert code == 2, err
        assert len(err.splitlines()) == 1, err
    slow = made(
        tmp_path / "b.vqv", time_base=Fraction(1, 1000), steps=lambda n: 400 if n == 6 else 40
    )
    found = shots(run("--json", "--min-shot", "0.2s", slow)[1])
    assert [s["start"] for s in found] == [0, 6]  # by times: the last frame alone is long enough


def test_variable_frame_times(tmp_path: Path, run: Run) -> None:
    """Lists go by when frames are shown, not by their numbers."""
    file = made(
        tmp_path / "a.vqv",
        time_base=Fraction(1, 1000),
        rate=Fraction(25),
        steps=lambda n: 1000 if n == 1 else 40,
    )
    found = shots(run("--json", file)[1])
    assert [(s["start_seconds"], s["end_seconds"]) for s in found] == [
        (0, 1.08),
        (1.08, 1.2),
        (1.2, 1.24),
    ]
    _, out, _ = run("--edl", file)
    assert "00:00:01:02 00:00:01:05" in out  # 1.08 and 1.2 s at 25
    _, out, _ = run("--chapters", file)
    assert "START=1080\nEND=1200\ntitle=Shot 2" in out


def test_edl_round_trip(tmp_path: Path, run: Run) -> None:
    otio = pytest.importorskip("opentimelineio")
    pytest.importorskip("otio_cmx3600_adapter")
    rate = Fraction(30000, 1001)
    file = made(
        tmp_path / "long film.vqv",
        times=300,
        time_base=1 / rate,
        rate=rate,
        steps=lambda n: 1,
    )
    code, out, _ = run("--edl", "--start-timecode", "00:58:59;20", file)
    assert code == 0
    assert "FCM: DROP FRAME" in out
    found = shots(run("--json", file)[1])
    (tmp_path / "a.edl").write_text(out)
    timeline = otio.adapters.read_from_file(str(tmp_path / "a.edl"), rate=30000 / 1001)
    clips = list(timeline.find_clips())
    assert len(clips) == len(found)
    start = otio.opentime.from_timecode("00:58:59;20", 30000 / 1001).value
    for clip, shot in zip(clips, found, strict=True):
        own = clip.source_range
        assert own.start_time.value - start == shot["start"]
        assert own.duration.value == shot["end"] - shot["start"]
    assert "00:59:00;02" in out
    assert "00:59:00;00" not in out


def test_opens_in_opentimelineio(tmp_path: Path, run: Run) -> None:
    otio = pytest.importorskip("opentimelineio")
    file = damaged(tmp_path, time_base=Fraction(1, 1000), rate=Fraction(25))
    code, out, _ = run("--otio", "--start-timecode", "01:00:00:00", file)
    assert code == 4
    (tmp_path / "a.otio").write_text(out)
    timeline = otio.adapters.read_from_file(str(tmp_path / "a.otio"))
    (track,) = timeline.video_tracks()
    kinds = [type(child).__name__ for child in track]
    assert kinds == ["Clip", "Gap", "Clip"]
    assert timeline.global_start_time.to_timecode() == "01:00:00:00"
    assert [child.source_range.duration.value for child in track] == [3, 3, 1]
    clip = track[2]
    assert clip.source_range.start_time.value == 90006
    assert clip.metadata["vqcodec"]["start"] == 6
    assert clip.media_reference.target_url == str(file)


def damaged(tmp_path: Path, **changes: Any) -> Path:
    """Three GOPs, the second of which has a changed byte."""
    file = made(tmp_path / "bad.vqv", **changes)
    data = bytearray(file.read_bytes())
    with file.open("rb") as stream:
        data[ContainerReader.open(stream).gops[1].offset + 60] ^= 1
    file.write_bytes(data)
    return file


def test_lost_frames_are_a_gap(tmp_path: Path, run: Run) -> None:
    file = damaged(tmp_path, time_base=Fraction(1, 1000), rate=Fraction(25))
    code, out, err = run("--json", file)
    answer = json.loads(out)
    assert code == 4
    assert not answer["ok"]
    assert "warning" in err
    assert [(s["start"], s["end"], s["transition"]) for s in answer["shots"]] == [
        (0, 3, "start"),
        (6, 7, "start"),
    ]
    assert answer["gaps"] == [{"start": 3, "end": 6, "start_seconds": 0.12, "end_seconds": 0.24}]
    code, out, _ = run(file)
    assert code == 4
    assert "lost: frames 3 to 5" in out
    assert run("--stats", tmp_path / "s.csv", file)[0] == 4
    rows = list(csv.DictReader(io.StringIO((tmp_path / "s.csv").read_text())))
    assert [r["kind"] for r in rows] == ["I", "B", "P", "-", "-", "-", "I"]


def test_a_gop_whose_streams_are_damaged_is_a_gap(tmp_path: Path, run: Run) -> None:
    """Its checksum holds, its heads cannot be."""
    with (NEWEST / "short-gops.vqv").open("rb") as file:
        reader = ContainerReader.open(file)
        gops = [reader.read_gop(i) for i in range(3)]
        body = bytearray(gops[1].body)
        body[:7] = bytes([63] * 7)  # qualities at the top, and a difference that goes beyond
        streams = len(body) // 2
        body[streams:] = b"\xff" * (len(body) - streams)
        gops[1] = replace(gops[1], body=memoryview(bytes(body)))
        with (tmp_path / "a.vqv").open("wb") as out:
            writer = ContainerWriter(out, reader.header)
            for gop in gops:
                writer.gop(gop)
            writer.finish()
    code, out, _ = run("--json", tmp_path / "a.vqv")
    answer = json.loads(out)
    if code == 4:
        assert answer["gaps"][0]["start"] == 3
    else:  # any bytes may be heads
        assert code == 0
        assert not answer["gaps"]


def test_empty_and_of_one_frame(tmp_path: Path, run: Run) -> None:
    empty = made(tmp_path / "empty.vqv", times=0)
    code, out, _ = run("--json", empty)
    assert code == 0
    assert shots(out) == []
    assert json.loads(out)["frames"] == 0
    assert "0 shots in 0 frames" in run(empty)[1]
    for form in ("--edl", "--otio", "--chapters"):
        code, _, err = run(form, empty)
        assert code == 2
        assert "no frame" in err
    assert run("--like", empty, empty)[0] == 0
    assert run("--csv", "--activity", empty)[:2] == (0, "")
    with (NEWEST / "short-gops.vqv").open("rb") as file:
        reader = ContainerReader.open(file)
        with (tmp_path / "one.vqv").open("wb") as target:
            writer = ContainerWriter(target, reader.header)
            writer.gop(reader.read_gop(2))
            writer.finish()
    (only,) = shots(run("--json", tmp_path / "one.vqv")[1])
    assert (only["start"], only["end"], only["transition"]) == (0, 1, "start")
    assert run("--like", tmp_path / "one.vqv", tmp_path / "one.vqv")[0] == 0


def test_of_another_model(tmp_path: Path, run: Run) -> None:
    file = made(tmp_path / "a.vqv", model_id=b"another!")
    code, out, err = run("--json", file)
    assert code == 0
    assert "another model" in err
    assert not json.loads(out)["known_model"]
    assert len(shots(out)) == 3
    assert run("--sheet", tmp_path / "a.png", file)[0] != 0  # pictures need the model


def test_a_damaged_file_without_a_frame_is_no_wrong_usage(tmp_path: Path, run: Run) -> None:
    data = (NEWEST / "scene-cut.vqv").read_bytes()
    (tmp_path / "cut.vqv").write_bytes(data[: len(data) // 2])
    for form in ("--edl", "--otio", "--chapters", "--json"):
        assert run(form, tmp_path / "cut.vqv")[0] == 4


def test_what_is_no_vqv(tmp_path: Path, run: Run) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes((NEWEST.parents[1] / "data" / "flower.mp4").read_bytes())
    code, _, err = run(clip)
    assert code == 3
    assert "--encode" in err
    assert len(err.splitlines()) == 1
    assert run(tmp_path / "nothing.vqv")[0] == 3
    good = made(tmp_path / "good.vqv")
    code, out, err = run("--json", clip, good)
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 3
    assert [line["ok"] for line in lines] == [False, True]


def test_csv_and_stats(tmp_path: Path, run: Run) -> None:
    file = made(tmp_path / "a.vqv", time_base=Fraction(1, 1000), rate=Fraction(25))
    rows = list(csv.DictReader(io.StringIO(run("--csv", file)[1])))
    assert [r["start"] for r in rows] == ["0", "3", "6"]
    assert rows[0]["file"] == str(file)
    two = run("--csv", file, file)[1].splitlines()
    assert len(two) == 7  # of several files it is one table, with its names once
    assert two[1:4] == two[4:]
    target = tmp_path / "stats.csv"
    assert run("--stats", target, file)[0] == 0
    frames = list(csv.DictReader(io.StringIO(target.read_text())))
    with vqcodec.open(file, output="numpy", weights=MODEL) as video:
        tokens = video.tokens(shallow=True)
    assert [int(r["bytes"]) for r in frames] == [t.bytes for t in tokens]
    assert [r["kind"] for r in frames] == [t.kind for t in tokens]
    code, _, err = run("--stats", target, file)
    assert code == 5
    assert "-y" in err
    assert run("-y", "--stats", target, file)[0] == 0


def test_embeddings_and_likeness(tmp_path: Path, run: Run) -> None:
    a = made(tmp_path / "a.vqv", times=2)
    b = made(tmp_path / "b.vqv", "motion")
    assert run("--embed", tmp_path / "e.npy", a, b)[0] == 0
    vectors = np.load(tmp_path / "e.npy")
    assert vectors.shape == (6, 64)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(6))
    code, out, _ = run("--like", made(tmp_path / "c.vqv"), "--json", b, a)
    ranked = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [r["file"] for r in ranked] == [str(a), str(b)]
    assert ranked[0]["similarity"] > 0.99 > ranked[1]["similarity"]
    assert str(b) in run("--like", a, b)[1]


def test_embeddings_of_another_model_say_how_it_moves_alone(tmp_path: Path, run: Run) -> None:
    file = made(tmp_path / "a.vqv", model_id=b"another!")
    code, _, err = run("--embed", tmp_path / "e.npy", file)
    assert code == 0
    assert "nothing of what is shown" in err
    vectors = np.load(tmp_path / "e.npy")
    assert not vectors[:, :40].any()
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(3))
    assert "nothing of what is shown" not in run(file)[2]


def test_embeddings_of_a_damaged_file_are_of_what_is_there(tmp_path: Path, run: Run) -> None:
    file = damaged(tmp_path)
    assert run("--embed", tmp_path / "e.npy", file)[0] == 4
    whole = made(tmp_path / "a.vqv")
    assert run("--embed", tmp_path / "w.npy", whole)[0] == 0
    assert np.array_equal(
        np.load(tmp_path / "e.npy")[:, :40], np.load(tmp_path / "w.npy")[[0, 2], :40]
    )


def test_a_clip_is_found_by_what_it_shows(tmp_path: Path, tiny_weights: Path) -> None:
    """All clips move alike; each is found by another encode of it, in another size."""
    found: list[list[np.ndarray]] = [[], []]
    for seed in range(4):
        rng = np.random.default_rng(seed)
        scene = rng.integers(16, 235, (4, 6, 3), np.uint8)
        for way, (scale, crf) in enumerate(((12, 20), (16, 34))):
            picture = scene.repeat(scale, 0).repeat(scale, 1)
            frames = np.stack([np.roll(picture, 2 * t, 1) for t in range(6)]).transpose(0, 3, 1, 2)
            path = tmp_path / f"{seed}-{way}.vqv"
            options = vqcodec.EncodeOptions(crf=crf, preset="fastest", device="cpu")
            with vqcodec.Writer(path, 25, options, weights=tiny_weights) as writer:
                writer.write(frames)
            with vqcodec.open(path, output="numpy", weights=tiny_weights) as video:
                found[way].append(video.embedding().vector)
    alike = np.stack(found[0]) @ np.stack(found[1]).T
    assert alike.argmax(1).tolist() == alike.argmax(0).tolist() == [0, 1, 2, 3]
    assert alike.diagonal().min() > 0.8


def test_a_stretch_is_known_by_its_own_picture(tmp_path: Path) -> None:
    """Not by that of the GOP before or behind it; the parts of a stretch count by their length."""
    file = made(tmp_path / "a.vqv")
    with vqcodec.open(file, output="numpy", weights=MODEL) as video:
        parts = [video.embedding(a, b) for a, b in ((0, 3), (3, 6), (6, 7))]
        for part, start in zip(parts, video.gop_starts, strict=True):
            shown = look(video._access.pictures([start]).__next__()[1])
            assert part.vector[:40] / np.linalg.norm(part.vector[:40]) == pytest.approx(shown)
        most = video.embedding(0, 4)
        assert most.similarity(parts[0]) > most.similarity(parts[1])
        assert not video.embedding(2, 2).vector.any()


def test_options_that_do_not_go_together(tmp_path: Path, run: Run) -> None:
    a = made(tmp_path / "a.vqv", time_base=Fraction(1, 1000), rate=Fraction(25))
    for args in (
        ("--edl", "--json", a),
        ("--edl", a, a),
        ("--sheet", "s.png", a, a),
        ("--csv", "--shots", "--activity", a),
        ("--edl", "--activity", a),
        ("--json", "--start-timecode", "01:00:00:00", a),
        ("--edl", "--start-timecode", "noon", a),
        ("--edl", "--drop-frame", a),
        ("--like", a, "--edl", a),
        ("--stats", "-", a),
        ("--stats", tmp_path / "s", "--sheet", tmp_path / "s", a),
        ("--stats", tmp_path / "s", "--embed", f"{tmp_path}/./s", a),
    ):
        code, _, err = run(*args)
        assert code == 2, (args, err)
        assert len(err.splitlines()) == 1, (args, err)


def test_a_sheet_has_a_picture_of_each_shot(tmp_path: Path, run: Run) -> None:
    from PIL import Image

    file = made(tmp_path / "a.vqv")
    target = tmp_path / "sheet.png"
    assert run("--sheet", target, file)[0] == 0
    sheet = np.asarray(Image.open(target))
    with vqcodec.open(file, output="numpy", weights=MODEL) as video:
        tall = round(320 * video.metadata.height / video.metadata.width)
        whole = Image.fromarray(video[1].transpose(1, 2, 0))
    middle = whole.resize((320, tall), Image.Resampling.LANCZOS)
    assert np.array_equal(sheet[8 : 8 + tall, 8:328], middle)


def test_the_library(tmp_path: Path) -> None:
    file = made(tmp_path / "a.vqv", time_base=Fraction(1, 1000), rate=Fraction(25))
    with vqcodec.open(file, output="numpy", weights=MODEL) as video:
        found = video.shots()
        assert all(isinstance(s, vqcodec.Shot) for s in found)
        assert [(s.start, s.end) for s in found] == [(0, 3), (3, 6), (6, 7)]
        assert len(video.shots(min_seconds=0.2)) == 1
        one, other = video.embedding(0, 3), video.embedding(0, 3)
        assert one.similarity(other) == pytest.approx(1)
        with pytest.raises(vqcodec.UsageError):
            video.shots(threshold=2)
    bad = damaged(tmp_path)
    with vqcodec.open(bad, output="numpy", weights=MODEL, on_damage="conceal") as video:
        assert [(s.start, s.end) for s in video.shots()] == [(0, 3), (6, 7)]


def test_encode_on_the_way_finds_a_cut_of_a_film(
    tmp_path: Path, run: Run, tiny_weights: Path
) -> None:
    """From a film of two scenes to its shots; the file that was made on the way is gone."""
    film = tmp_path / "film.mkv"
    rng = np.random.default_rng(2)
    scenes = [rng.integers(16, 235, (6, 8), np.uint8).repeat(8, 0).repeat(8, 1) for _ in range(2)]
    with av.open(str(film), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(20):
            luma = np.roll(scenes[number >= 11], number, 1)
            planes = np.concatenate([luma, np.full((24, 64), 128, np.uint8)])
            out.mux(stream.encode(av.VideoFrame.from_ndarray(planes, "yuv420p")))
        out.mux(stream.encode(None))
    code, answer, said = run("--encode", "--json", film, "--weights", tiny_weights)
    assert code == 0, said
    assert [(s["start"], s["end"]) for s in shots(answer)] == [(0, 11), (11, 20)]
    assert list(tmp_path.iterdir()) == [film]
    assert run("--json", film)[0] != 0  # without it a film is refused


def test_the_answer_is_the_same_for_all_threads(tmp_path: Path) -> None:
    """Whether libraries may use more threads, or several analyses run side by side."""
    file = made(tmp_path / "a.vqv", times=8)
    command = [sys.executable, "-m", "vqcodec", "analyze", "--weights", MODEL]
    command += ["--json", "--shots", "--activity", "--anomaly", str(file)]
    names = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    answers = {
        subprocess.run(
            command, env=os.environ | dict.fromkeys(names, str(n)), check=True, capture_output=True
        ).stdout
        for n in (1, 2, 5)
    }
    assert len(answers) == 1
    assert b"surprise" in answers.pop()
    with (
        vqcodec.open(file, output="numpy", weights=MODEL) as video,
        ThreadPoolExecutor(5) as pool,
    ):
        found = list(pool.map(lambda _: video.shots(), range(10)))
    assert all(one == found[0] for one in found)
