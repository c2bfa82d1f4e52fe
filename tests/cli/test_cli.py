from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.clips import coded_file, header, picture, write
from support.clock import PATIENCE, Stopwatch, children_time, quickest
from support.paths import PYTHONPATH, ROOT, files_in

from vqcodec.cli import main
from vqcodec.container import packets
from vqcodec.errors import UsageError
from vqcodec.system.progress import Progress

HEAVY = "torch,numba"


def run(*args: str, timeout: float = PATIENCE) -> subprocess.CompletedProcess[str]:
    """Run the program in a process of its own that tells on stderr which heavy modules were
    loaded."""
    code = (
        "import sys; from vqcodec.cli import main; rc = main(); "
        f"print('HEAVY', [m for m in '{HEAVY}'.split(',') if m in sys.modules], file=sys.stderr); "
        "sys.exit(rc)"
    )
    root = str(ROOT)
    return subprocess.run(
        [sys.executable, "-c", code, *args],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=os.environ | {"PYTHONPATH": root},
    )


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write(tmp_path / "in.y4m", header(8, 8), [picture(8, 8, i) for i in range(3)])


@pytest.fixture
def coded(tmp_path: Path) -> Path:
    return coded_file(tmp_path / "a.vqv")


@pytest.mark.parametrize(
    "args", [["--help"], ["-h"], ["-V"], ["encode", "--help"], ["decode", "-h"], ["train", "-h"]]
)
def test_help_is_quick(args: list[str]) -> None:
    def attempt() -> float:
        begin = children_time()  # by processor time: the machine may be busy
        result = run(*args)
        assert result.returncode == 0
        assert result.stdout
        assert "HEAVY []" in result.stderr
        return children_time() - begin

    quickest(attempt, 0.5)


def test_info_and_fast_verify_need_no_network(coded: Path) -> None:
    for args in (
        ["info", str(coded)],
        ["info", "--json", str(coded)],
        ["verify", "--fast", str(coded)],
        ["repair", str(coded), str(coded.with_name("b.vqv"))],
    ):
        result = run(*args)
        assert result.returncode == 0, result.stderr
        assert "HEAVY []" in result.stderr, result.stderr


def test_refusals(tmp_path: Path, clip: Path, coded: Path) -> None:
    new = str(tmp_path / "new.vqv")
    (tmp_path / "text.vqv").write_text("hello")
    (tmp_path / "empty.vqv").write_bytes(b"")
    cases: list[tuple[list[str], int, str]] = [
        ([], 2, ""),
        (["nonsense"], 2, "nonsense"),
        (["encode"], 2, "an input is needed"),
        (["encode", str(clip), new, "extra"], 2, "too many"),
        (["encode", str(clip), new, "-crf", "99"], 2, "allowed"),
        (["encode", str(clip), new, "-crf", "x"], 2, "x"),
        (["encode", str(clip), new, "-g", "0"], 2, "allowed"),
        (["encode", str(clip), new, "-ss", "abc"], 2, "allowed"),
        (["encode", str(clip), new, "-t", "1", "-to", "2"], 2, "exclude"),
        (["encode", str(clip), new, "-ss", "5", "-to", "2"], 2, "before"),
        (["encode", str(clip), str(clip), "-y"], 2, "same file"),
        (["encode", str(tmp_path / "none.mkv"), new], 3, "no such file"),
        (["encode", str(clip), new, "--stats", new], 2, "same file"),
        (["decode", str(coded), str(tmp_path / "a.mkv"), "--vcodec", "aac"], 2, "no encoder"),
        (["encode", str(clip), str(coded)], 5, "exists"),
        (["encode", "-y", "-n", str(clip), str(coded)], 5, "exists"),
        (["encode", str(clip), str(tmp_path / "no" / "a.vqv")], 5, "no folder"),
        (["encode", "-y", str(clip), str(tmp_path)], 5, "directory"),
        (["decode", str(coded), str(tmp_path / "a.xyz")], 2, "unknown kind"),
        (["decode", str(coded), str(tmp_path / "a.y4m"), "--device", "abacus"], 2, "allowed"),
        (["decode", str(clip), str(tmp_path / "a.y4m")], 3, "not a .vqv"),
        (["info", str(tmp_path / "text.vqv")], 3, "not a .vqv"),
        (["info", str(tmp_path / "empty.vqv")], 3, "empty"),
        (["info", str(tmp_path)], 3, "directory"),
        (["verify", str(tmp_path / "none.vqv")], 3, "no such file"),
        (["train", str(tmp_path / "none.json")], 3, "no such file"),
    ]
    for args, code, text in cases:
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            got = main(args)
        assert got == code, (args, err.getvalue())
        assert text in err.getvalue(), (args, err.getvalue())
        assert "Traceback" not in err.getvalue(), (args, err.getvalue())
        if args:
            assert err.getvalue().startswith("vqcodec: error: "), err.getvalue()
            assert err.getvalue().count("\n") == 1, err.getvalue()
    assert files_in(tmp_path) == ["a.vqv", "empty.vqv", "in.y4m", "text.vqv"]


def test_refusals_load_nothing_heavy(clip: Path, coded: Path) -> None:
    result = run("encode", str(clip), str(coded))
    assert result.returncode == 5
    assert "HEAVY []" in result.stderr
    assert "Traceback" not in result.stderr
    result = run("-vv", "encode", str(clip), str(coded))
    assert result.returncode == 2


def test_damaged_file(coded: Path) -> None:
    data = bytearray(coded.read_bytes())
    data[90] ^= 1
    coded.write_bytes(bytes(data))
    assert main(["info", str(coded)]) == 4
    assert main(["verify", "--fast", str(coded)]) == 4
    coded.write_bytes(bytes(data[:60]))
    assert main(["verify", "--fast", str(coded)]) == 4


@pytest.mark.parametrize(
    "name", ["a b.vqv", "new\nline.vqv", "-dash.vqv", "\U0001f3ac.vqv", "'quote\".vqv"]
)
def test_odd_names(tmp_path: Path, coded: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    coded.rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert main(["info", "--", name]) == 0


def test_interrupts(coded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import vqcodec.reading.info

    for error, code in (
        (KeyboardInterrupt(), 130),
        (RuntimeError("x"), 1),
        (MemoryError(), 6),
        (UsageError("u"), 2),
    ):

        def fail(*args: object, error: BaseException = error) -> None:
            raise error

        monkeypatch.setattr(vqcodec.reading.info, "describe", fail)
        assert main(["info", str(coded)]) == code


def test_closed_pipe(coded: Path) -> None:
    command = f"'{sys.executable}' -m vqcodec info '{coded}' | true; echo ${{PIPESTATUS[0]}}"
    root = str(ROOT)
    result = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": root},
    )
    assert result.stdout.strip() in ("0", "141")
    assert "Traceback" not in result.stderr


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_termination_leaves_nothing(tmp_path: Path, clip: Path) -> None:
    script = (
        "import sys, time\n"
        "from support import fakes\n"
        "class Slow(fakes.GopEncoder):\n"
        "    def add(self, pictures): print('started', flush=True); time.sleep(30)\n"
        "fakes.install(fakes.Lasting())\n"
        "sys.modules['vqcodec.encoding.gop_encoder'].GopEncoder = Slow\n"
        "from vqcodec.cli import main\n"
        "sys.exit(main())\n"
    )
    out = tmp_path / "out"
    out.mkdir()
    command = [sys.executable, "-c", script, "encode", str(clip), str(out / "a.vqv")]

    def attempt(signum: int, want: int) -> float:
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": PYTHONPATH},
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "started\n"
            watch = Stopwatch(process.pid)
            process.send_signal(signum)
            took, code = watch.until_end(process)
            assert code == want
        assert files_in(out) == []
        return took

    quickest(lambda: attempt(signal.SIGTERM, 143), 2)
    quickest(lambda: attempt(signal.SIGINT, 130), 2)


def test_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("vqcodec.system.progress.time.monotonic", lambda: now[0])
    out = io.StringIO()
    plain = Progress("auto", 100, 25.0, out)
    for i in range(1, 31):
        now[0] = float(i)
        plain.update(i, bytes=i * 1000, psnr=30.0)
    assert out.getvalue().count("\n") == 3
    assert "frame 10/100" in out.getvalue()
    assert "ETA 1:30" in out.getvalue()
    assert "200.0 kbps" in out.getvalue()
    plain.close()
    out = io.StringIO()
    bar = Progress("bar", 100, None, out)
    now[0] += 1
    bar.update(5)
    assert out.getvalue().lstrip("\r").startswith("frame 5/100")
    assert "\n" not in out.getvalue()
    bar.close()
    out = io.StringIO()
    Progress("none", 1, None, out).update(1)
    assert out.getvalue() == ""
    with pytest.raises(UsageError):
        Progress("x")


def test_version_tells_what_a_report_of_a_fault_needs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import av
    import torch

    from vqcodec.cli import about
    from vqcodec.codec.weights import read_model_id

    assert main(["-V"]) == 0
    first = capsys.readouterr().out
    assert first == f"vqcodec, version {about.__version__}\n"
    assert main(["--version"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(first)
    told = dict(line.split(maxsplit=1) for line in out.splitlines()[1:])
    assert read_model_id().hex() in told["model"]
    assert told["format"] == f"version {packets.version_name()}"
    assert f"PyAV {av.__version__}" in told["ffmpeg"]
    assert "libavcodec" in told["ffmpeg"]
    assert torch.__version__ in told["torch"]
    assert "numba" in told["packages"]
    assert "cpu" in told["devices"]
    assert "processors" in told["processor"]
    assert "exact nets" in told["arithmetic"]
    assert "integers (the encoder's)" in told["arithmetic"]

    # of a broken installation it tells what is broken
    monkeypatch.setenv("VQCODEC_WEIGHTS", "/nowhere/model.safetensors")
    monkeypatch.setattr(torch, "get_num_threads", None)
    monkeypatch.setattr(torch.cuda, "is_available", None)
    assert main(["--version"]) == 0
    out = capsys.readouterr().out
    told = dict(line.split(maxsplit=1) for line in out.splitlines()[1:])
    assert "/nowhere/model.safetensors" in told["model"]
    assert "ffmpeg" in told
    for name in ("torch", "devices"):
        assert told[name].startswith("not usable: TypeError: ")

    # torch may be left out
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(["--version"]) == 0
    told = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()[1:])
    assert told["torch"].startswith("not installed")
    assert told["devices"] == "cpu"
    assert told["arithmetic"] == "fused (exact nets), on cpu"


def test_waiting_threads_sleep() -> None:
    """Spinning ones cost twice the processor time; it has to be said before torch is loaded."""
    code = (
        "import os, sys; from vqcodec import cli; cli.main = lambda: 0\ntry: cli.run()\n"
        "except SystemExit: print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    )
    plain = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    root = str(ROOT)
    for given, want in (({}, "passive"), ({"OMP_WAIT_POLICY": "active"}, "active")):
        env = plain | given | {"PYTHONPATH": root}
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
        assert done.stdout.split() == [want, "False"], done.stderr
