"""Many files: names of outputs, what is passed over, what is gone on with, failures, ctrl-C. The
networks are stand-ins, also in the worker processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support import fakes, forked
from support.clips import header, picture, write
from support.paths import PYTHONPATH, files_in

from vqcodec.batch import runners
from vqcodec.batch.log import open_log
from vqcodec.batch.plan import Job, parse_list, plan
from vqcodec.batch.run import LOG
from vqcodec.cli import main
from vqcodec.container.reader import ContainerReader
from vqcodec.errors import OutputError, UsageError
from vqcodec.system.progress import ProgressEvent


def clip(path: Path, frames: int = 3, mark: int = 0, seed: int = 0) -> Path:
    """A lossless clip of noise whose pictures begin with ``mark``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures = [picture(16, 16, seed + i) for i in range(frames)]
    for p in pictures:
        p.y[0, 0] = mark
    return write(path, header(16, 16), pictures, vcodec=None if path.suffix == ".y4m" else "ffv1")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, with stand-ins for the networks."""
    fakes.install(monkeypatch)
    monkeypatch.setattr(runners, "serve", fakes.serve)
    monkeypatch.setattr(runners, "spawn", forked.spawn)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pairs(jobs: list[Job]) -> list[tuple[str, str]]:
    return [(j.source, j.output) for j in jobs]


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"x" * len(name))


def lines(folder: str = "out") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (Path(folder) / LOG).read_text().splitlines()]


def coded() -> list[int]:
    """Pictures in the order in which workers got them."""
    return [int(line.split()[1]) for line in Path("log").read_text().splitlines()]


# -- names


def test_trees_are_mirrored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    touch(
        "in/a.mp4",
        "in/deep/er/b.MOV",
        "in/notes.txt",
        "in/.hidden.mp4",
        "in/.git/c.mp4",
        "else/d.y4m",
        "odd",
    )
    Path("else/loop").symlink_to("../in")
    Path("else/link.mkv").symlink_to("../in/a.mp4")
    Path("else/broken.mp4").symlink_to("nowhere")
    got = plan(["in", "else", "odd"])
    assert pairs(got) == [
        ("in/a.mp4", "a.vqv"),
        ("in/deep/er/b.MOV", "deep/er/b.vqv"),
        ("else/broken.mp4", "broken.vqv"),
        ("else/d.y4m", "d.vqv"),
        ("else/link.mkv", "link.vqv"),
        ("odd", "odd.vqv"),
    ]
    assert [j.size for j in got] == [8, 16, 0, 10, 8, 3]
    assert pairs(
        plan(
            [],
            ["in/deep/er/b.MOV", "./else/d.y4m", "in/deep", "../x.mp4", str(tmp_path / "in/a.mp4")],
        )
    ) == [
        ("in/deep/er/b.MOV", "in/deep/er/b.vqv"),
        ("./else/d.y4m", "else/d.vqv"),
        ("../x.mp4", "x.vqv"),
        (str(tmp_path / "in/a.mp4"), "a.vqv"),
    ]


def test_names_that_collide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    touch("x/a.mp4", "x/a.mkv", "x/b.mp4", "y/a.mp4")
    assert pairs(plan(["x"])) == [
        ("x/a.mkv", "a.mkv.vqv"),
        ("x/a.mp4", "a.mp4.vqv"),
        ("x/b.mp4", "b.vqv"),
    ]
    assert pairs(plan(["x/b.mp4", "./x/b.mp4", "x/../x/b.mp4"])) == [("x/b.mp4", "b.vqv")]  # once
    with pytest.raises(
        UsageError, match="x/a.mp4 and y/a.mp4 would both become a.mp4; .* another `out`"
    ):
        plan(["x", "y"])
    touch("x/a.mp4.mov")
    with pytest.raises(UsageError, match="would both become a.mp4.vqv"):
        plan(["x"])
    with pytest.raises(UsageError, match="standard input"):
        plan(["-"])


def test_names_of_decoded_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    touch("x/a.vqv", "x/b.mp4.vqv", "x/c.avi.vqv", "x/d.mp4", "x/e.vqv", "x/e.mkv.vqv")
    assert pairs(plan(["x"], decode=".mkv", known=[".mp4", ".mkv"])) == [
        ("x/a.vqv", "a.mkv"),
        ("x/b.mp4.vqv", "b.mp4"),
        ("x/c.avi.vqv", "c.avi.mkv"),
        ("x/e.mkv.vqv", "e.mkv.vqv.mkv"),
        ("x/e.vqv", "e.vqv.mkv"),
    ]


def test_lists() -> None:
    assert parse_list(b"a b\n\n\xff\nlast") == ["a b", "\udcff", "last"]
    assert parse_list(b"a\nb\0c\0", null=True) == ["a\nb", "c"]


# -- the log


def test_log_of_a_killed_run(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with open_log(path) as log:
        log.write("a", "begun")
        log.write("a", "done", code=0)
        log.write("b\n\udcff", "begun")
        with pytest.raises(OutputError, match="another batch"), open_log(path):
            pass
    with path.open("ab") as file:
        file.write(b'{"output": "c", "st')
    with open_log(path) as log:
        last = [log.last(name) for name in ("a", "b\n\udcff", "c")]
        assert [entry and entry["state"] for entry in last] == ["done", "begun", None]
        log.write("c", "failed")
    with open_log(path) as log:
        assert (log.last("c") or {})["state"] == "failed"
        assert len(path.read_bytes().splitlines()) == 5
    (tmp_path / "torn").write_bytes(b'{"output": "c", "st')
    for n in range(2):  # a power failure in the first line must not spoil the log for good
        with open_log(tmp_path / "torn") as log:
            assert (log.last("a") is None) == (n == 0)
            log.write("a", "begun")
    (tmp_path / "text").write_text("my notes\n")
    with pytest.raises(UsageError, match="no log of a batch"), open_log(tmp_path / "text"):
        pass
    assert (tmp_path / "text").read_text() == "my notes\n"


# -- whole runs


def test_a_tree_there_and_back(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Outputs are what encode makes; a second run does nothing; decoding gives the pictures
    back."""
    names = ["a.mkv", "sub/b.y4m", "sub/new\nline \U0001f3ac.mkv"]
    for i, name in enumerate(names):
        clip(here / "in" / name, frames=3 + i, seed=i)
    (here / "in/broken.mp4").write_bytes(b"no video")
    (here / "in/missing.mp4").symlink_to("gone")
    command = ["batch", "in", "--out", "out", "-crf", "30", "--workers", "2"]
    assert main(command) == 3
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == 6
    assert "new\\nline" in told.out
    assert "broken.mp4" in told.out
    assert "3 made, 2 failed; 12 frames" in told.err
    for name in names:
        output = (Path("out") / name).with_suffix(".vqv")
        assert main(["encode", "-q", "-crf", "30", f"in/{name}", "want.vqv", "-y"]) == 0
        assert output.read_bytes() == Path("want.vqv").read_bytes(), name
    assert files_in("out") == ["a.vqv", LOG, "sub"]
    assert len(files_in("out/sub")) == 2
    ended = {e["file"]: e for e in lines() if e["state"] != "begun"}
    assert len(ended) == 5
    assert len(lines()) == 10
    a = ended["in/a.mkv"]
    assert (a["state"], a["code"], a["frames"], a["bytes"]) == (
        "done",
        0,
        3,
        Path("out/a.vqv").stat().st_size,
    )
    assert 0 < a["bpp"] < a["bytes"] * 8 / (3 * 256)
    assert a["psnr"] > 20
    assert a["fps"] > 0
    assert ended["in/broken.mp4"]["code"] == 3
    assert "broken.mp4" in ended["in/broken.mp4"]["at_fault"]
    assert "no such file" in ended["in/missing.mp4"]["message"]

    before = coded()
    for name in ("broken.mp4", "missing.mp4"):
        Path(f"in/{name}").unlink()
    assert main(command) == 0
    assert coded() == before
    assert len(lines()) == 10
    assert "3 done before" in capsys.readouterr().err

    assert main(["batch", "out", "--decode", "--suffix", ".y4m", "--out", "back", "-q"]) == 0
    assert (here / "back/sub/b.y4m").read_bytes().split(b"\n", 1)[1] == (
        here / "in/sub/b.y4m"
    ).read_bytes().split(b"\n", 1)[1]
    assert capsys.readouterr() == ("", "")
    assert len(lines("back")) == 6


def test_what_is_there_already(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip(here / "a.y4m")
    command = ["batch", "a.y4m", "-o", "out"]
    assert main([*command, "-q"]) == 0
    first = Path("out/a.vqv").read_bytes()
    # other options, then another source, then an output that something else wrote
    assert main([*command, "-crf", "40"]) == 5
    assert (
        "made from another source or with other options; -y replaces it, -n leaves it"
        in capsys.readouterr().err
    )
    assert main([*command, "-crf", "40", "-n"]) == 0
    assert "1 left as they were" in capsys.readouterr().err
    assert Path("out/a.vqv").read_bytes() == first
    assert main([*command]) == 0
    assert main([*command, "-crf", "40", "-y"]) == 0
    assert Path("out/a.vqv").read_bytes() != first
    assert main([*command, "-crf", "40", "-threads", "1", "--workers", "2"]) == 0
    assert "1 done before" in capsys.readouterr().err
    clip(here / "a.y4m", frames=4)
    assert main([*command, "-crf", "40"]) == 5
    assert main([*command, "-crf", "40", "-y"]) == 0
    Path("out/a.vqv").write_bytes(b"mine")
    assert main([*command, "-crf", "40"]) == 5
    assert "made from something else" in capsys.readouterr().err
    assert Path("out/a.vqv").read_bytes() == b"mine"
    Path("out/a.vqv").unlink()
    assert main([*command, "-crf", "40"]) == 0
    assert Path("out/a.vqv").stat().st_size > 4
    # killed between the renaming and the line in the log
    text = Path("out", LOG).read_text().splitlines(keepends=True)
    Path("out", LOG).write_text("".join(text[:-1]))
    n = len(coded())
    assert main([*command, "-crf", "40"]) == 0
    assert len(coded()) > n


def test_what_is_done_is_not_forgotten_by_tries_that_came_to_nothing(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip(here / "a.y4m")
    command = ["batch", "a.y4m", "-o", "out", "-q"]
    assert main(command) == 0
    made = Path("out/a.vqv").read_bytes()
    line = lines()[-1]
    for state in ("begun", "failed"):  # with -y and another crf
        with open_log(Path("out", LOG)) as log:
            log.write(
                "a.vqv", state, source=line["source"], options="another", before=line["result"]
            )
        assert main(command) == 0
        assert Path("out/a.vqv").read_bytes() == made
    n = len(coded())
    for same in (["-crf", "28"], ["-g", "128"], ["-g", "300f"]):  # the defaults, said aloud
        assert main([*command, *same]) == 0
    assert len(coded()) == n


def test_n_leaves_what_came_after_a_kill(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As all other outputs: by the log it may have been made just before the kill, or by someone
    else."""
    clip(here / "a.y4m")
    command = ["batch", "a.y4m", "-o", "out"]
    assert main([*command, "-q"]) == 0
    log = Path("out", LOG)
    log.write_text(log.read_text().splitlines(keepends=True)[0])
    Path("out/a.vqv").write_bytes(b"mine")
    assert main([*command, "-n"]) == 0
    assert "1 left as they were" in capsys.readouterr().err
    assert Path("out/a.vqv").read_bytes() == b"mine"


def test_progress_goes_on_in_every_pass_of_a_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runners, "_TELL", 0.0)
    told: list[ProgressEvent] = []
    tell = runners._now_and_then(told.append)
    events = [
        ProgressEvent(1, 9, elapsed, stage=stage)
        for stage in ("probe 1", "pass 1")
        for elapsed in (1.0, 50.0)
    ]
    for event in events:
        tell(event)
    assert told == events


def test_damaged_sources_show_in_every_run(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip(here / "a.y4m")
    path = clip(here / "cut.y4m", frames=4)
    path.write_bytes(path.read_bytes()[:-100])
    assert main(["batch", "a.y4m", "cut.y4m", "-o", "out"]) == 4
    assert Path("out/cut.vqv").exists()
    assert main(["batch", "a.y4m", "cut.y4m", "-o", "out"]) == 4
    told = capsys.readouterr()
    assert "2 done before" in told.err
    assert "cut.vqv" in told.out
    assert "a.vqv" not in told.out.splitlines()[-1]
    assert (
        main(["batch", "a.y4m", "cut.y4m", "nothing.mp4", "-o", "out", "-q"]) == 3
    )  # no output outranks a damaged one


def test_a_worker_that_is_killed(here: Path) -> None:
    """Its file is gone on with in another, from the GOP that was not finished; the others are not
    touched."""
    clip(here / "in/bad.mkv", frames=25, mark=99)
    clip(here / "in/good.y4m")
    assert main(["batch", "in", "-o", "out", "-q", "--workers", "2", "-g", "9"]) == 0
    assert main(["encode", "-q", "in/bad.mkv", "want.vqv", "-g", "9"]) == 0
    assert Path("out/bad.vqv").read_bytes() == Path("want.vqv").read_bytes()
    assert Path("killed").exists()
    assert files_in("out") == ["bad.vqv", LOG, "good.vqv"]
    assert [e["state"] for e in lines()].count("begun") == 2
    assert sum(coded()) == 9 + 1 + 16 + 3  # the first GOP of the file was kept


def test_largest_first_and_none_twice(here: Path) -> None:
    for i in range(6):
        clip(here / f"in/{i}.y4m", frames=i + 2, seed=i)
    assert main(["batch", "in", "-o", "out", "-q", "--workers", "2"]) == 0
    begun = [e["output"] for e in lines() if e["state"] == "begun"]
    assert begun == [f"{i}.vqv" for i in reversed(range(6))]
    assert sum(coded()) == sum(range(2, 8))


CHILD = """
import signal, sys
from support import fakes
from vqcodec.batch import runners as batch_run
from vqcodec.cli import main
if __name__ == "__main__":
    fakes.install(fakes.Lasting())
    batch_run.serve = fakes.serve
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever started the tests
    sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    "signum", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow), signal.SIGKILL]
)
def test_stopped_and_gone_on_with(here: Path, signum: int) -> None:
    """Workers end with the program; finished files and finished GOPs are not made again."""
    clip(here / "in/slow.mkv", frames=40, mark=66)
    clip(here / "in/a.y4m")
    (here / "run.py").write_text(CHILD)
    env = os.environ | {"PYTHONPATH": PYTHONPATH}
    command = ["batch", "in", "-o", "out", "-g", "5"]
    with subprocess.Popen(
        [sys.executable, "run.py", *command],
        env=env,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as process:
        for _ in range(600):
            if Path("log").exists() and len(coded()) >= 6:
                break
            time.sleep(0.1)
        else:
            process.kill()
        begin = time.monotonic()
        os.kill(process.pid, signum)
        assert process.wait() == (-9 if signum == signal.SIGKILL else 128 + signum)
        assert time.monotonic() - begin < 4
        assert process.stderr is not None
        told = process.stderr.read()
        with pytest.raises(ProcessLookupError):
            for _ in range(100):
                os.killpg(process.pid, 0)
                time.sleep(0.1)
    assert "Traceback" not in told
    assert signum != signal.SIGINT or "stopped: the same command continues" in told
    assert Path("out/a.vqv").exists()
    assert not Path("out/slow.vqv").exists()
    Path("log").unlink()
    Path("quick").touch()
    assert main([*command, "-q"]) == 0
    assert sum(coded()) <= 40 - 5
    assert main(["encode", "-q", "in/slow.mkv", "want.vqv", "-g", "5"]) == 0
    assert Path("out/slow.vqv").read_bytes() == Path("want.vqv").read_bytes()
    assert sorted(files_in("out")) == ["a.vqv", LOG, "slow.vqv"]


def test_lists_of_names(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip(here / "in/a\nb.y4m")
    clip(here / "in/c.y4m")
    (here / "list").write_bytes(b"in/a\nb.y4m\0in/c.y4m\0")
    assert (
        main(["batch", "--list", "list", "-0", "-o", "out", "-q", "--log", "elsewhere.jsonl"]) == 0
    )
    assert files_in("out/in") == ["a\nb.vqv", "c.vqv"]
    assert Path("elsewhere.jsonl").exists()
    assert not Path("out", LOG).exists()
    env = os.environ | {"PYTHONPATH": PYTHONPATH}
    (here / "run.py").write_text(CHILD)
    done = subprocess.run(
        [sys.executable, "run.py", "batch", "--list", "-", "-o", "out2", "-q"],
        input=b"in/c.y4m\n",
        env=env,
    )
    assert done.returncode == 0
    assert files_in("out2/in") == ["c.vqv"]


def test_refusals(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    touch("a.mp4", "empty/x.txt", "file")
    cases = [
        (["a.mp4"], 2, "--out is missing"),
        (["--out", "out"], 2, "nothing to do"),
        (["a.mp4", "-0", "--out", "out"], 2, "none is given"),
        (["empty", "--out", "out"], 3, "no file was found"),
        (
            ["a.mp4", "--out", "out", "--vcodec", "ffv1"],
            2,
            "--vcodec is an option of decode, not of encode",
        ),
        (
            ["a.mp4", "--out", "out", "--decode", "-crf", "3"],
            2,
            "-crf is an option of encode, not of decode",
        ),
        (["a.mp4", "--out", "out", "--decode", "--suffix", ".avi"], 2, "no kind of video"),
        (
            ["a.mp4", "--out", "out", "--decode", "--scheduler", "tcp://x:1"],
            2,
            "works on this machine",
        ),
        (["a.mp4", "--out", "out", "--workers", "-1"], 2, "workers: -1 is out of range"),
        (["a.mp4", "--out", "file"], 5, "file: the folder cannot be made"),
        (["a.mp4", "--out", "out", "--list", "none"], 3, "none: the list cannot be read"),
        (["a.mp4", "--out", "out", "-crf", "99"], 2, "crf: 99"),
    ]
    for args, code, text in cases:
        assert main(["batch", *args]) == code, args
        assert text in capsys.readouterr().err, args
    assert not Path("out").exists()
    touch("out/b.mp4/in.the.way")
    assert main(["batch", "a.mp4", "--out", "out/b.mp4/in.the.way"]) == 5


def test_only_errors_of_files_stop_a_file(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of outputs that is a file, in the middle of the tree."""
    clip(here / "in/a/x.y4m")
    clip(here / "in/b/y.y4m")
    touch("out/a")
    assert main(["batch", "in", "-o", "out", "-q"]) == 5
    assert Path("out/b/y.vqv").exists()


def test_outputs_are_whole(here: Path) -> None:
    source = clip(here / "a.mkv", frames=20)
    assert main(["batch", str(source), "-o", "out", "-q", "-g", "9", "-ss", "2f", "-t", "11f"]) == 0
    with Path("out/a.vqv").open("rb") as file:
        reader = ContainerReader.open(file)
        assert reader.complete
        assert reader.frames == 11
        assert [g.count for g in reader.gops] == [9, 2]


def test_frames_of_opened_files_are_counted_and_others_told_from_bytes() -> None:
    from vqcodec.batch.run import _Meter

    meter, one, two = _Meter(300), object(), object()
    assert meter.event().total is None
    meter.at(one, ProgressEvent(1, 40, 1.0), 100)  # type: ignore[arg-type]
    assert meter.event().total == 120
    meter.at(two, ProgressEvent(1, 62, 1.0), 200)  # type: ignore[arg-type]
    assert meter.event().total == 102
    meter.end(one, 40, 100)  # type: ignore[arg-type]
    assert (meter.event().frames, meter.event().total) == (41, 102)
