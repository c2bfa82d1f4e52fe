from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest
from support.clips import header, picture, write
from support.paths import ROOT, files_in

from vqcodec.cli import main
from vqcodec.errors import InputError, OutputError, UsageError
from vqcodec.options import EncodeOptions
from vqcodec.pipeline.encode import encode
from vqcodec.system import files
from vqcodec.system.files import atomic_output, atomic_path, check_input, check_output

pytestmark = pytest.mark.usefixtures("fake_network")


def test_write(tmp_path: Path) -> None:
    target = tmp_path / "a.vqv"
    with atomic_output(target) as f:
        f.write(b"new")
        assert not target.exists()
    assert target.read_bytes() == b"new"
    assert files_in(tmp_path) == ["a.vqv"]


def test_old_content_stays_on_failure(tmp_path: Path) -> None:
    target = tmp_path / "a.vqv"
    target.write_bytes(b"old")
    for error in (RuntimeError, KeyboardInterrupt, SystemExit):
        with pytest.raises(error), atomic_output(target, overwrite=True) as f:
            f.write(b"half")
            raise error
    assert target.read_bytes() == b"old"
    assert files_in(tmp_path) == ["a.vqv"]
    with atomic_output(target, overwrite=True) as f:
        f.write(b"new")
    assert target.read_bytes() == b"new"


@pytest.mark.parametrize("overwrite", [False, True])
def test_the_name_comes_last(
    tmp_path: Path, overwrite: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First the content is on the disk, then the name, then the folder that holds the name: a
    machine may lose its power in between."""
    done: list[str] = []
    fsync, link, replace = os.fsync, os.link, os.replace

    def synced(fd: int) -> None:
        fsync(fd)
        done.append(
            "folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else f"content {os.fstat(fd).st_size}"
        )

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "link", lambda *args: (link(*args), done.append("name")))
    monkeypatch.setattr(os, "replace", lambda *args: (replace(*args), done.append("name")))
    with atomic_output(tmp_path / "a.vqv", overwrite) as f:
        f.write(b"new")
    assert done[-3:] == ["content 3", "name", "folder"]
    assert done.count("name") == 1


def test_mode_and_suffix(tmp_path: Path) -> None:
    target = tmp_path / "a.mkv"
    target.write_bytes(b"old")
    target.chmod(0o640)
    with atomic_path(target, overwrite=True) as temp:
        assert temp.suffix == ".mkv"
        assert temp.parent == tmp_path
        temp.write_bytes(b"new")
    assert target.read_bytes() == b"new"
    assert target.stat().st_mode & 0o777 == 0o640


def test_made_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "a.vqv"
    with pytest.raises(OutputError, match="exists"), atomic_output(target) as f:
        f.write(b"mine")
        target.write_bytes(b"theirs")
    assert target.read_bytes() == b"theirs"
    assert files_in(tmp_path) == ["a.vqv"]


def test_link_is_kept(tmp_path: Path) -> None:
    real, link = tmp_path / "real.vqv", tmp_path / "link.vqv"
    real.write_bytes(b"old")
    link.symlink_to(real)
    with atomic_output(link, overwrite=True) as f:
        f.write(b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"


def test_full_disk(tmp_path: Path) -> None:
    target = tmp_path / "a.vqv"
    with pytest.raises(OutputError, match="a.vqv.*No space") as info, atomic_output(target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert isinstance(info.value.__cause__, OSError)
    assert files_in(tmp_path) == []
    if Path("/dev/full").exists():
        with (
            Path("/dev/full").open("wb", buffering=0) as full,
            pytest.raises(OutputError),
            atomic_output(target) as f,
        ):
            f._file = full  # type: ignore[attr-defined]
            f.write(b"x")


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_a_name_that_is_none_is_not_taken_for_a_folder(name: str) -> None:
    with pytest.raises(InputError) as inp:
        check_input(name)
    with pytest.raises(OutputError) as out:
        check_output(name)
    assert str(inp.value) == str(out.value) == f"{name!r}: no name for a file"


def test_refusals(tmp_path: Path) -> None:
    source = tmp_path / "in.mkv"
    source.write_bytes(b"x")
    with pytest.raises(UsageError, match="same file"):
        check_output(source, [source], overwrite=True)
    with pytest.raises(OutputError, match="exists"):
        check_output(source)
    with pytest.raises(OutputError, match="is a directory"):
        check_output(tmp_path, overwrite=True)
    with pytest.raises(OutputError, match="no folder"):
        check_output(tmp_path / "none" / "a.vqv")
    with pytest.raises(OutputError):
        check_output("a\0b")
    assert check_output(source, [tmp_path / "other"], overwrite=True) == source


def test_hard_link_is_the_same_file(tmp_path: Path) -> None:
    source, other = tmp_path / "in.mkv", tmp_path / "out.mkv"
    source.write_bytes(b"x")
    os.link(source, other)
    with pytest.raises(UsageError):
        check_output(other, [source], overwrite=True)


@pytest.mark.skipif(
    sys.platform != "linux" and os.geteuid() == 0, reason="root may write everywhere"
)
@pytest.mark.parametrize("command", ["encode", "decode", "repair", "join"])
def test_read_only_folder(tmp_path: Path, command: str) -> None:
    """Root may write everywhere, so the program runs without that right: CAP_DAC_OVERRIDE."""
    script = (
        "import ctypes, os, sys\n"
        "if os.geteuid() == 0 and ctypes.CDLL(None).prctl(24, 1, 0, 0, 0):\n"
        "    sys.exit('not permitted')\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'vqcodec', *sys.argv[1:]])\n"
    )
    folder = tmp_path / "read only"
    folder.mkdir()
    source, old = tmp_path / "in.vqv", folder / "old.vqv"
    for path in (source, old):
        path.write_bytes(b"old")
    folder.chmod(0o555)
    try:
        result = subprocess.run(
            [sys.executable, "-c", script, command, "-y", str(source), str(old)],
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
    finally:
        folder.chmod(0o755)
    if "not permitted" in result.stderr:
        pytest.skip("rights cannot be given up here")
    assert result.returncode == 5, result.stderr
    assert result.stderr == f"vqcodec: error: {old}: the folder {folder} is not writable\n", (
        result.stderr
    )
    assert old.read_bytes() == b"old"
    assert files_in(folder) == ["old.vqv"]


def test_check_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        check_input(tmp_path / "none")
    with pytest.raises(InputError, match="directory"):
        check_input(tmp_path)
    with pytest.raises(InputError):
        check_input("a\0b")


def test_pipes_are_refused_where_a_file_is_needed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="is a pipe"):
        check_input(tmp_path / "pipe")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write(
        tmp_path / "in.mkv", header(16, 16), [picture(16, 16, i) for i in range(24)], vcodec="ffv1"
    )


@pytest.fixture
def old(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    path = folder / "my film.vqv"
    path.write_bytes(b"old")
    return path


def refused(capsys: pytest.CaptureFixture[str], args: list[str], path: Path, code: int = 5) -> str:
    """Run a command that must fail with this code and one sentence that names ``path`` and no other
    file beside it."""
    assert main(args) == code, capsys.readouterr().err
    err = capsys.readouterr().err
    assert err.startswith("vqcodec: error: "), err
    assert err.count("\n") == 1, err
    assert str(path) in err, err
    assert ".part" not in err, err
    assert ".vqcodec" not in err, err
    return err


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("operation", ["write", "flush", "fsync"])
def test_an_error_at_any_write(
    tmp_path: Path,
    clip: Path,
    old: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    operation: str,
    resume: bool,
) -> None:
    """The n-th write, flush or fsync of an encode fails, for every n."""
    encode(str(clip), str(tmp_path / "want.vqv"), EncodeOptions(gop=5))
    count = fails_at = 0

    def tick() -> None:
        nonlocal count
        count += 1
        if count == fails_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    class Failing:
        def __init__(self, file: IO[bytes]) -> None:
            self._file = file

        def __getattr__(self, name: str) -> object:
            if name == operation:
                tick()
            return getattr(self._file, name)

    init, fsync = files._Guarded.__init__, os.fsync
    monkeypatch.setattr(
        files._Guarded, "__init__", lambda self, file, path: init(self, Failing(file), path)
    )  # type: ignore[arg-type]
    if operation == "fsync":
        monkeypatch.setattr(os, "fsync", lambda fd: (tick(), fsync(fd))[1])
    arguments = [
        "encode",
        "-q",
        "-y",
        "-g",
        "5",
        str(clip),
        str(old),
        *(["--resume"] if resume else []),
    ]
    while True:
        fails_at, count = fails_at + 1, 0
        old.write_bytes(b"old")
        if (code := main(arguments)) == 0:
            break
        assert code == 5
        assert fails_at < 100
        err = capsys.readouterr().err
        assert f"{old}: cannot be written: No space left on device" in err, err
        assert ".part" not in err, err
        assert ".vqcodec" not in err, err
        left = [name for name in files_in(old.parent) if name != old.name]
        assert old.read_bytes() == b"old"
        assert len(left) <= resume
        assert not any(name.startswith(".vqcodec") for name in left)
    # what was written before is not written again with --resume
    assert (
        fails_at
        > (
            {"write": 8, "flush": 3, "fsync": 2}
            if resume
            else {"write": 13, "flush": 6, "fsync": 2}
        )[operation]
    )
    assert old.read_bytes() == (tmp_path / "want.vqv").read_bytes()
    assert files_in(old.parent) == [old.name]


@pytest.mark.skipif(os.name != "posix", reason="limits of processes")
@pytest.mark.parametrize(
    ("command", "suffix"),
    [
        ("encode", "vqv"),
        ("repair", "vqv"),
        ("join", "vqv"),
        ("decode", "y4m"),
        ("decode", "yuv"),
        ("decode", "mkv"),
        ("decode", "mp4"),
        ("decode", "ts"),
    ],
)
def test_a_disk_that_fills_up(
    tmp_path: Path,
    clip: Path,
    old: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
    suffix: str,
) -> None:
    """The system refuses to write beyond a length, whoever writes: here the limit of a process on
    the size of files."""
    import resource

    coded = tmp_path / "in.vqv"
    encode(str(clip), str(coded), EncodeOptions(gop=5))
    target = old.rename(old.with_suffix(f".{suffix}"))
    # not libx264, whose files of the same pictures may differ by some bytes
    codec = (
        ["--vcodec", {"mkv": "ffv1", "mp4": "mpeg4", "ts": "mpeg4"}[suffix]]
        if suffix in ("mkv", "mp4", "ts")
        else []
    )
    inputs = {"encode": ["-g", "5", str(clip)], "join": [str(coded), str(coded)]}.get(
        command, [str(coded)]
    )
    arguments = [command, "-q", *codec, *inputs]
    assert main([*arguments, str(tmp_path / f"want.{suffix}")]) == 0
    full = (tmp_path / f"want.{suffix}").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    capsys.readouterr()
    for limit in (0, 1, full // 3, full // 2, full - 100, full - 1):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            refused(capsys, [*arguments, str(target), "-y"], target)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert target.read_bytes() == b"old", limit
        assert files_in(old.parent) == [target.name], limit


def test_output_is_a_folder_or_its_folder_takes_no_files(
    tmp_path: Path, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(capsys, ["encode", "-y", str(clip), str(tmp_path)], tmp_path)
    refused(capsys, ["encode", str(clip), str(clip / "a.vqv")], clip / "a.vqv")
    if Path("/proc/self").is_dir():  # where not even root can make a file
        refused(capsys, ["encode", str(clip), "/proc/self/a.vqv"], Path("/proc/self/a.vqv"))


@pytest.mark.parametrize("fails", ["link", "replace"])
def test_an_error_of_the_renaming(
    tmp_path: Path, old: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    def fail(*args: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, fails, fail)
    if fails == "link":  # then it is renamed: there are file systems without links
        with atomic_output(old.parent / "new.vqv") as f:
            f.write(b"new")
        assert files_in(old.parent) == [old.name, "new.vqv"]
        return
    with (
        pytest.raises(OutputError, match="my film.vqv: cannot be written"),
        atomic_output(old, overwrite=True) as f,
    ):
        f.write(b"new")
    assert old.read_bytes() == b"old"
    assert files_in(old.parent) == [old.name]


def test_errors_name_the_output_and_not_the_temporary_file(tmp_path: Path) -> None:
    target = tmp_path / "a.mkv"
    with pytest.raises(UsageError, match=rf"{target}: has no"), atomic_path(target) as temp:
        raise UsageError("has no", file=temp)


def test_unknown_codec_options_are_refused(
    tmp_path: Path, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They were ignored silently."""
    encode(str(clip), str(tmp_path / "a.vqv"))
    target = tmp_path / "out.mkv"
    for codec, options, name in (
        ("ffv1", "levl=3", "levl"),
        ("libx264", "crf=20:prest=fast", "prest"),
        ("libx264", "movflags=x", "movflags"),
    ):
        assert f"{codec} has no option {name}" in refused(
            capsys,
            [
                "decode",
                str(tmp_path / "a.vqv"),
                str(target),
                "--vcodec",
                codec,
                "--vcodec-opts",
                options,
            ],
            target,
            2,
        )
        assert not target.exists()
    assert (
        main(
            [
                "decode",
                "-q",
                str(tmp_path / "a.vqv"),
                str(target),
                "--vcodec",
                "libx264",
                "--vcodec-opts",
                "crf=20:preset=fast:x264-params=keyint=3",
            ]
        )
        == 0
    )


def test_a_full_standard_output(tmp_path: Path, clip: Path) -> None:
    """It was an internal error."""
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    encode(str(clip), str(tmp_path / "a.vqv"))
    for args in (
        ["info", str(tmp_path / "a.vqv")],
        ["info", "--json", str(tmp_path / "a.vqv")],
        ["verify", "--fast", str(tmp_path / "a.vqv")],
        ["--help"],
        ["--version"],
    ):
        with Path("/dev/full").open("wb") as full:
            result = subprocess.run(
                [sys.executable, "-m", "vqcodec", *args],
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                cwd=ROOT,
            )
        assert (result.returncode, result.stderr) == (
            5,
            "vqcodec: error: standard output cannot be written: No space left on device\n",
        )


_KILLED = """
import os, signal, sys
from vqcodec.system.files import atomic_output
with atomic_output(sys.argv[1], overwrite=True) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    """And by that only: what another process is writing stays."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for _ in range(2):
        run = [sys.executable, "-c", _KILLED, str(tmp_path / "a.mkv")]
        assert subprocess.run(run, env=environment).returncode == -9
    assert len(list(tmp_path.iterdir())) == 1  # the second has removed that of the first
    (tmp_path / ".vqcodec-folder").mkdir()
    (tmp_path / ".vqcodec-link").symlink_to(tmp_path / "precious")
    (tmp_path / "precious").write_bytes(b"precious")
    with atomic_output(tmp_path / "b.mkv") as other:
        other.write(b"other")
        with atomic_output(tmp_path / "c.mkv") as file:
            file.write(b"whole")
        assert (
            sum(
                p.name.startswith(".vqcodec-") and p.is_file() and not p.is_symlink()
                for p in tmp_path.iterdir()
            )
            == 1
        )
    assert {p.name for p in tmp_path.iterdir()} == {
        "b.mkv",
        "c.mkv",
        ".vqcodec-folder",
        ".vqcodec-link",
        "precious",
    }
    assert (tmp_path / "b.mkv").read_bytes() == b"other"
    assert (tmp_path / "c.mkv").read_bytes() == b"whole"
