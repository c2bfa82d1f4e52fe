"""GOPs coded in several processes, and parts joined: the bytes are those of one process."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import child
from support.clips import header, moving, write
from support.clock import PATIENCE
from support.jobs import COUNTS, FRAMES, OPTIONS, Act, reader
from support.media import make_named
from support.paths import ROOT, files_in

from vqcodec.cli import main
from vqcodec.container.packets import StreamHeader
from vqcodec.container.reader import ContainerReader
from vqcodec.container.stored_tracks import StoredTracks
from vqcodec.errors import DamageError, LimitError, OutputError, UsageError, WeightsError
from vqcodec.options import EncodeOptions, Time
from vqcodec.picture import Picture
from vqcodec.pipeline import join as join_module
from vqcodec.pipeline import journal, journal_name, process_pool
from vqcodec.pipeline.encode import EncodeReport, encode
from vqcodec.pipeline.join import join

CUTS = (30, 47)  # scenes of 30, 17 and 15 frames: GOPs of 9, 9, 9, 3 | 9, 8 | 9, 6


def children() -> list[Any]:
    return [p for p in multiprocessing.active_children() if p.name == "vqcodec-worker"]


@pytest.mark.parametrize("jobs", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_the_same_bytes_for_any_number_of_workers(
    tmp_path: Path,
    gop_clip: Path,
    gop_want: bytes,
    tiny_weights: Path,
    jobs: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And no more GOPs are read ahead than there are workers."""
    held = []
    add = process_pool.ProcessCoder.add

    def counting(
        self: process_pool.ProcessCoder, key: int, pictures: list[Picture], ends: bool
    ) -> None:
        add(self, key, pictures, ends)
        held.append(sum(len(part) for task in self._tasks.values() for part in task.parts))

    monkeypatch.setattr(process_pool.ProcessCoder, "add", counting)
    progress = Act()
    stats = tmp_path / "stats"
    report = encode(
        str(gop_clip),
        str(tmp_path / "a.vqv"),
        replace(OPTIONS, jobs=jobs, stats=str(stats)),
        weights=str(tiny_weights),
        progress=progress,
    )
    assert (tmp_path / "a.vqv").read_bytes() == gop_want
    assert report.frames == FRAMES
    assert not report.warnings
    assert not children()
    assert progress.seen == sorted(progress.seen)
    assert progress.seen[-1] == FRAMES
    assert len(set(progress.seen)) > 4
    rows = [line.split('"gop": ')[1].split(",")[0] for line in stats.read_text().splitlines()]
    assert rows == [
        str(i) for i, n in enumerate(COUNTS) for _ in range(n)
    ]  # in order, though not coded in order
    assert 9 < max(held) <= jobs * 9


def test_a_killed_worker_loses_nothing(
    tmp_path: Path, gop_clip: Path, gop_want: bytes, tiny_weights: Path
) -> None:
    def kill() -> None:
        assert len(children()) == 2
        os.kill(children()[0].pid, signal.SIGKILL)

    report = encode(
        str(gop_clip),
        str(tmp_path / "a.vqv"),
        replace(OPTIONS, jobs=2),
        weights=str(tiny_weights),
        progress=Act(kill),
    )
    assert (tmp_path / "a.vqv").read_bytes() == gop_want
    assert not children()
    assert len(report.warnings) == 1
    assert "worker process was lost (killed by signal 9)" in report.warnings[0]


@pytest.mark.slow
def test_killed_with_workers_and_gone_on_with(
    tmp_path: Path, gop_clip: Path, gop_want: bytes, tiny_weights: Path
) -> None:
    """Kill -9 once so many frames are coded: workers end too, at most one GOP for each is coded
    again, by another number of them."""
    out = tmp_path / "a.vqv"
    options = [
        "-g",
        "9",
        "-crf",
        "30",
        "-preset",
        "faster",
        "--device",
        "cpu",
        "--weights",
        str(tiny_weights),
        "-q",
        "--jobs",
        "2",
    ]
    code = (
        "import sys\n"
        "from vqcodec.system import progress\n"
        "progress.Progress.update = lambda self, frames, *rest: (print(frames, flush=True), "
        "sys.stdin.readline())\n"
        "from vqcodec.cli import main\n"
        "if __name__ == '__main__': sys.exit(main())\n"
    )
    for moment in (1, 20, 40):
        command = [sys.executable, "-c", code, "encode", str(gop_clip), str(out), *options]
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=env,
            process_group=0,
        ) as process:
            assert process.stdout is not None
            while (seen := int(process.stdout.readline())) < moment:
                child.go_on(process)
            process.kill()
        assert not out.exists()
        with pytest.raises(ProcessLookupError):
            for _ in range(PATIENCE * 10):
                os.killpg(process.pid, 0)
                time.sleep(0.1)
        report = encode(
            str(gop_clip), str(out), replace(OPTIONS, resume=True), weights=str(tiny_weights)
        )
        assert out.read_bytes() == gop_want
        assert files_in(tmp_path) == ["a.vqv"]
        assert seen - 2 * 9 <= report.resumed
        out.unlink()


def test_gops_finished_out_of_order(tmp_path: Path, gop_clip: Path, fake_network: Any) -> None:
    """A journal holds GOPs in the order in which they were finished; those behind a missing one are
    used too."""
    out, options = tmp_path / "a.vqv", EncodeOptions(gop=9, resume=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "_discard", lambda path: None)
        encode(str(gop_clip), str(out), options)
    gop_want = out.read_bytes()
    (path,) = journal_name.journals(out).values()
    entries = [e.offset for e in reader(path).gops] + [path.stat().st_size]
    data = path.read_bytes()
    order = [6, 2, 0, 3, 5]
    path.write_bytes(
        data[: entries[0]] + b"".join(data[entries[i] : entries[i + 1]] for i in order)
    )
    report = encode(str(gop_clip), str(out), options, overwrite=True)
    assert out.read_bytes() == gop_want
    assert report.resumed == sum(COUNTS[i] for i in order)


def test_errors_of_workers_are_those_of_the_program(
    tmp_path: Path, gop_clip: Path, tiny_weights: Path
) -> None:
    """Weights that are damaged where only their loading notices it."""
    data = bytearray(tiny_weights.read_bytes())
    data[-1] ^= 1
    (tmp_path / "bad.safetensors").write_bytes(data)
    with pytest.raises(WeightsError, match="damaged"):
        encode(
            str(gop_clip),
            str(tmp_path / "a.vqv"),
            replace(OPTIONS, jobs=2, duration=Time(frames=5)),
            weights=str(tmp_path / "bad.safetensors"),
        )
    assert files_in(tmp_path) == ["bad.safetensors"]
    assert not children()


class Broken:
    """Stands for a worker process."""

    starts = 0

    def __init__(self, model: Any) -> None:
        self.calls = 0

    def code(self, task: Any) -> Any:
        Broken.starts += 1
        raise EOFError

    def stop(self, final: bool = False) -> str:
        return "killed by signal 9"


def test_a_gop_that_kills_its_workers_is_given_up(
    tmp_path: Path, gop_clip: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_pool, "_Worker", Broken)
    with pytest.raises(
        LimitError,
        match=(
            "GOP of frame 0 were lost 3 times, the last one killed by signal 9: not enough memory"
        ),
    ):
        encode(
            str(gop_clip),
            str(tmp_path / "a.vqv"),
            replace(OPTIONS, jobs=1 + 1, duration=Time(frames=5)),
            weights=str(tiny_weights),
        )
    assert Broken.starts == 3
    assert files_in(tmp_path) == []


# Joining. The stand-ins for the networks do: bodies are not looked into.


def parts(gop_clip: Path, folder: Path, cuts: list[int], options: EncodeOptions) -> list[str]:
    paths = []
    for a, b in zip([0, *cuts], [*cuts, FRAMES], strict=True):
        path = folder / f"part{a}.vqv"
        encode(
            str(gop_clip),
            str(path),
            replace(
                options,
                start=Time(frames=a) if a else None,
                duration=Time(frames=b - a) if b < FRAMES else None,
            ),
        )
        paths.append(str(path))
    return paths


@pytest.mark.parametrize("cuts", [[30], [47], [30, 47], [9, 18, 27, 30, 39, 47, 56]])
def test_joined_parts_are_the_whole(
    tmp_path: Path,
    gop_clip: Path,
    fake_network: Any,
    cuts: list[int],
) -> None:
    options = EncodeOptions(gop=9)
    encode(str(gop_clip), str(tmp_path / "want.vqv"), options)
    report = join(parts(gop_clip, tmp_path, cuts, options), str(tmp_path / "a.vqv"))
    gop_want = (tmp_path / "want.vqv").read_bytes()
    assert (tmp_path / "a.vqv").read_bytes() == gop_want
    assert (report.parts, report.frames, report.gops, report.bytes) == (
        len(cuts) + 1,
        FRAMES,
        8,
        len(gop_want),
    )


def test_joined_seconds_are_the_whole(tmp_path: Path, gop_clip: Path, fake_network: Any) -> None:
    """By the command line, with times in seconds: frame 30 is at 1.001 s of the clip."""
    a, b, out, gop_want = (str(tmp_path / f"{name}.vqv") for name in ("a", "b", "out", "want"))
    for args in ([gop_want], [a, "-to", "1"], [b, "-ss", "1"]):
        assert main(["encode", "-q", str(gop_clip), *args, "-g", "9"]) == 0
    assert main(["join", "-q", a, b, out]) == 0
    assert Path(out).read_bytes() == Path(gop_want).read_bytes()


def test_a_join_of_anything_is_sound(tmp_path: Path, gop_clip: Path, fake_network: Any) -> None:
    """A part twice, and cuts within GOPs: no encode makes these bytes, but times go on and all is
    sound."""
    options = EncodeOptions(gop=9)
    names = parts(gop_clip, tmp_path, [13, 31], options)
    out = tmp_path / "a.vqv"
    join([names[1], names[0], names[1], names[2]], str(out))
    r = reader(out)
    pts = [t for i in range(len(r.gops)) for t in r.read_gop(i).pts]
    assert r.complete
    assert not r.damaged
    assert len(pts) == FRAMES + 18
    assert set(np.diff(pts)) == {33, 34}
    assert main(["verify", "-q", str(out)]) == 0


def test_joins_that_are_refused(
    tmp_path: Path,
    gop_clip: Path,
    fake_network: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = EncodeOptions(gop=9)
    a, b = parts(gop_clip, tmp_path, [30], options)
    encode(str(gop_clip), str(tmp_path / "crf.vqv"), replace(options, crf=20))
    encode(str(gop_clip), str(tmp_path / "other.vqv"), options, weights="other")
    small = write(
        tmp_path / "small.mkv",
        header(16, 16, rate=Fraction(30000, 1001)),
        moving(16, 16, 3),
        vcodec="ffv1",
    )
    encode(str(small), str(tmp_path / "small.vqv"), options)
    cut, flipped = bytearray(Path(b).read_bytes())[:-30], bytearray(Path(b).read_bytes())
    flipped[200] ^= 1
    (tmp_path / "cut.vqv").write_bytes(cut)
    (tmp_path / "flipped.vqv").write_bytes(flipped)
    out = tmp_path / "out.vqv"
    cases: list[tuple[list[str], type[Exception], str]] = [
        ([a, "crf.vqv"], UsageError, "crf.vqv: cannot be joined to .*part0.vqv: another crf"),
        ([a, "small.vqv"], UsageError, "another width, height"),
        ([a, "cut.vqv"], DamageError, "cut.vqv: .* a damaged part is not joined"),
        ([a, "flipped.vqv"], DamageError, "flipped.vqv: .* a damaged part is not joined"),
        ([], UsageError, "nothing to join"),
    ]
    for names, error, text in cases:
        with pytest.raises(error, match=text):
            join([str(tmp_path / n) for n in names], str(out))
        assert not out.exists()
    out.write_bytes(b"old")
    with pytest.raises(OutputError, match="exists"):
        join([a, b], str(out))
    with pytest.raises(UsageError, match="same file"):
        join([a, b], b, overwrite=True)
    assert main(["join", a, str(tmp_path / "new.vqv")]) == 0
    assert main(["join", a]) == 2
    assert main(["join", a, "-", b]) == 2
    assert main(["join", a, str(tmp_path / "none.vqv"), str(tmp_path / "x.vqv")]) == 3
    assert out.read_bytes() == b"old"


def test_another_model_is_not_joined() -> None:
    a = header(8, 8)
    assert isinstance(a, StreamHeader)
    assert join_module._differences(a, replace(a, model_id=b"12345678", content_id=9)) == [
        "model_id"
    ]


@pytest.mark.slow
def test_parts_of_workers_joined(
    tmp_path: Path, gop_clip: Path, gop_want: bytes, tiny_weights: Path
) -> None:
    names = []
    for i, (start, length) in enumerate(((None, Time(frames=30)), (Time(frames=30), None))):
        names.append(str(tmp_path / f"{i}.vqv"))
        encode(
            str(gop_clip),
            names[-1],
            replace(OPTIONS, jobs=2, start=start, duration=length),
            weights=str(tiny_weights),
        )
    join(names, str(tmp_path / "a.vqv"))
    assert (tmp_path / "a.vqv").read_bytes() == gop_want


def test_jobs_are_checked() -> None:
    for n in (-1, 257):
        with pytest.raises(UsageError, match="allowed are 0"):
            EncodeOptions(jobs=n)
    assert EncodeReport().resumed == 0


@pytest.mark.usefixtures("fake_network")
def test_join_carries_tracks_along(tmp_path: Path) -> None:
    """Sound, subtitles and chapters of the parts are those of the whole, at their times; a chapter
    that was cut is one again."""
    source = make_named(tmp_path, "all.mkv")
    encode(str(source), str(tmp_path / "whole.vqv"), EncodeOptions(gop=5))
    a, b = (
        EncodeOptions(gop=5, duration=Time(frames=15)),
        EncodeOptions(gop=5, start=Time(frames=15)),
    )
    for name, options in (("a", a), ("b", b)):
        encode(str(source), str(tmp_path / f"{name}.vqv"), options)
    join([str(tmp_path / "a.vqv"), str(tmp_path / "b.vqv")], str(tmp_path / "joined.vqv"))
    with (tmp_path / "joined.vqv").open("rb") as f, (tmp_path / "whole.vqv").open("rb") as g:
        got, gop_want = ContainerReader.open(f), ContainerReader.open(g)
        assert got.complete
        assert not got.damaged
        assert [got.read_gop(i) for i in range(len(got.gops))] == [
            gop_want.read_gop(i) for i in range(len(gop_want.gops))
        ]
        one, two = StoredTracks(got), StoredTracks(gop_want)
        assert len(two.tracks) > 1
        assert {n: (t.kind, t.codec, t.tags) for n, t in one.tracks.items()} == {
            n: (t.kind, t.codec, t.tags) for n, t in two.tracks.items()
        }
        assert one.description.tags == two.description.tags
        assert len(two.description.chapters) > 1
        assert one.description.chapters == two.description.chapters
        sound = [n for n, t in two.tracks.items() if t.kind == "audio"]
        for number in sound:
            p, q = ([x for x in s.packets() if x.track == number] for s in (one, two))
            assert q
            assert [x.data for x in p] == [x.data for x in q]
            assert all(abs((x.time or 0) - (y.time or 0)) <= 1 for x, y in zip(p, q, strict=True))
