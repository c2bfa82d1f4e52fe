"""Standard streams that are closed, failing disks and too little memory: the right cause and the
right code."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
from support.clips import coded_file, header, picture, write
from support.clock import PATIENCE
from support.paths import ROOT

from vqcodec.cli import _failed
from vqcodec.codec import weights
from vqcodec.errors import InputError, OutputError, WeightsError
from vqcodec.system import stdio
from vqcodec.system.memory import ran_out

CLOSED = ["<&-", ">&-", "2>&-", "<&- >&-", ">&- 2>&-", "<&- >&- 2>&-"]


def shell(command: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command of sh in which $VQ is the program."""
    script = folder / "vq"
    script.write_text(f"#!/bin/sh\nexec '{sys.executable}' -m vqcodec \"$@\"\n")
    script.chmod(0o755)
    env = os.environ | {"PYTHONPATH": str(ROOT), "VQ": str(script)} | more
    return subprocess.run(
        ["sh", "-c", command], cwd=folder, env=env, capture_output=True, text=True, timeout=PATIENCE
    )


@pytest.fixture
def coded(tmp_path: Path) -> Path:
    return coded_file(tmp_path / "a.vqv")


@pytest.mark.parametrize("closed", CLOSED)
def test_work_is_done_without_standard_streams(closed: str, coded: Path, tmp_path: Path) -> None:
    result = shell(f'"$VQ" repair a.vqv b.vqv {closed}', tmp_path)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "b.vqv").read_bytes() == coded.read_bytes()


@pytest.mark.parametrize(
    ("command", "code"),
    [("repair a.vqv b.vqv", 0), ("info", 2), ("info no.vqv", 3)],
)
@pytest.mark.parametrize("more", ["", "PYTHONUNBUFFERED=1 "])
def test_a_standard_error_that_cannot_be_written(
    command: str, code: int, more: str, coded: Path, tmp_path: Path
) -> None:
    """The log of a service on a full disk, or a pipe that nobody reads: the work is done, and its
    exit code is what it would be."""
    full = shell(f'{more}"$VQ" {command} 2>/dev/full', tmp_path)
    assert full.returncode == code
    (tmp_path / "b.vqv").unlink(missing_ok=True)
    unread = "import os, subprocess as s, sys; r, w = os.pipe(); os.close(r);"
    unread += "sys.exit(s.run(sys.argv[1:], stderr=w).returncode)"
    result = shell(f'{more}"{sys.executable}" -c "{unread}" "$VQ" {command}', tmp_path)
    assert (result.returncode, result.stderr) == (code, "")
    assert (tmp_path / "b.vqv").exists() == (code == 0)


@pytest.mark.parametrize("command", ["info a.vqv", "verify --fast a.vqv", "info --json a.vqv"])
def test_an_answer_without_standard_output(command: str, coded: Path, tmp_path: Path) -> None:
    result = shell(f'"$VQ" {command} >&-', tmp_path)
    said = "vqcodec: error: there is no standard output: it was closed before the program began\n"
    assert (result.returncode, result.stderr) == (5, said)
    assert shell('"$VQ" verify --fast -q a.vqv >&-', tmp_path).returncode == 0


def test_an_output_never_gets_the_number_of_a_stream(tmp_path: Path) -> None:
    """Native libraries write to 1 and 2 without asking what is open there."""
    code = "import sys; sys.argv[1:] = ['-V']; import vqcodec.cli as c, os\n"
    code += "try: c.run()\nexcept SystemExit: pass\n"
    code += "open('got', 'w').write(str(os.open('got', os.O_RDONLY)))"
    result = shell(f'"{sys.executable}" -c "{code}" <&- >&- 2>&-', tmp_path)
    assert result.returncode == 0
    assert int((tmp_path / "got").read_text()) > 2


def test_a_failing_disk_is_named(coded: Path, tmp_path: Path) -> None:
    """/proc/self/mem gives EIO where it is read, as a broken disk does."""
    if not Path("/proc/self/mem").exists():
        pytest.skip("no /proc/self/mem")
    for read in (weights.read_metadata, weights.load_codec):
        with pytest.raises(WeightsError, match=r"/proc/self/mem: cannot be read: Input/output"):
            read("/proc/self/mem")
    result = shell('"$VQ" info /proc/self/mem', tmp_path)
    assert result.returncode == 3, result.stderr
    assert "/proc/self/mem: " in result.stderr
    assert "standard output" not in result.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", ["info a.vqv", "-h", "encode --help-all", "completions bash"])
def test_a_full_standard_output(command: str, unbuffered: str, coded: Path, tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    result = shell(f'"$VQ" {command} > /dev/full', tmp_path, PYTHONUNBUFFERED=unbuffered)
    said = "vqcodec: error: standard output cannot be written: No space left on device\n"
    assert (result.returncode, result.stderr) == (5, said)


class _Full(io.BytesIO):
    """A temporary file on a full disk; it fails once more where its buffer is written at the
    end."""

    name = "full"

    def write(self, data: object) -> int:
        raise OSError(28, "No space left on device")


def test_a_full_folder_of_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stdio.tempfile, "NamedTemporaryFile", lambda **_: _Full())
    stdin = types.SimpleNamespace(buffer=io.BytesIO(b"x" * 100), closed=False, isatty=lambda: False)
    monkeypatch.setattr(sys, "stdin", stdin)
    with stdio.ExitStack() as stack, pytest.raises(OutputError, match="TMPDIR"):
        stdio.source_path(stack, "-")


def test_a_full_disk_for_temporary_files_is_told_once() -> None:
    """No buffer is left that would be written once more where the file is closed."""
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    asked = {}

    class Tempfile:
        @staticmethod
        def NamedTemporaryFile(prefix: str, buffering: int) -> object:
            asked["buffering"] = buffering
            return Path("/dev/full").open("wb", buffering=buffering)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stdio, "tempfile", Tempfile)
        with (
            pytest.raises(OutputError, match="temporary file: No space left"),
            stdio.ExitStack() as stack,
        ):
            stdio._spool(stack, "-", io.BytesIO(b"x" * 100))
    assert asked == {"buffering": 0}


def test_reading_that_fails_is_not_the_temporary_file(tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, n: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with stdio.ExitStack() as stack, pytest.raises(InputError, match="^x: cannot be read: Input"):
        stdio._spool(stack, "x", Broken())


@pytest.mark.parametrize("number", [5, 28, 32])
def test_the_number_of_an_error_does_not_blame_standard_output(number: int) -> None:
    code, said = _failed(OSError(number, os.strerror(number), "somewhere/else"))
    assert code == 1
    assert said is not None
    assert "somewhere/else" in said


OUT_OF_MEMORY = [
    MemoryError(),
    MemoryError("std::bad_alloc"),
    OSError(12, "Cannot allocate memory"),
    ImportError("libtorch_cpu.so: failed to map segment from shared object"),
    OSError("libllvmlite.so: failed to map segment from shared object"),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
]
OTHERS = [
    ImportError("libgomp.so.1: cannot allocate memory in static TLS block"),
    OSError(28, "No space left on device"),
    ImportError("No module named 'torch'"),
    ValueError("failed to map segment"),
]


def test_what_means_that_memory_ran_out() -> None:
    assert all(map(ran_out, OUT_OF_MEMORY))
    assert not any(map(ran_out, OTHERS))
    for exc in OUT_OF_MEMORY:
        outer = RuntimeError("the library cannot be loaded")
        outer.__cause__ = exc
        assert ran_out(outer)
        assert _failed(exc)[0] == 6


def test_little_memory_is_told(tmp_path: Path) -> None:
    """As on a cluster that limits virtual memory, whichever library is the first to get none."""
    write(tmp_path / "in.y4m", header(64, 64), [picture(64, 64, i) for i in range(2)])
    if sys.platform != "linux":
        pytest.skip("address space is limited on Linux")
    torch = "--arithmetic float32"  # needs more
    for mib, more in ((200, ""), (350, ""), (500, ""), (700, torch), (900, torch)):
        command = f'ulimit -v {mib * 1024}; exec "$VQ" encode -q in.y4m o.vqv {more}'
        result = shell(command, tmp_path)
        assert result.returncode == 6, (mib, result)
        assert "not enough memory" in result.stderr, (mib, result)
        assert result.stderr.count("\n") == 1, result.stderr
        assert sorted(p.name for p in tmp_path.iterdir()) == ["in.y4m", "vq"]
