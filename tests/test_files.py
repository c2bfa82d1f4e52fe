from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from vqcodec.errors import InputError, OutputError, UsageError
from vqcodec.files import atomic_output, atomic_path, check_input, check_output


def test_write(tmp_path: Path) -> None:
    target = tmp_path / "a.vqv"
    with atomic_output(target) as f:
        f.write(b"new")
        assert not target.exists()
    assert target.read_bytes() == b"new" and os.listdir(tmp_path) == ["a.vqv"]


def test_old_content_stays_on_failure(tmp_path: Path) -> None:
    target = tmp_path / "a.vqv"
    target.write_bytes(b"old")
    for error in (RuntimeError, KeyboardInterrupt, SystemExit):
        with pytest.raises(error), atomic_output(target, overwrite=True) as f:
            f.write(b"half")
            raise error
    assert target.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.vqv"]
    with atomic_output(target, overwrite=True) as f:
        f.write(b"new")
    assert target.read_bytes() == b"new"


def test_mode_and_suffix(tmp_path: Path) -> None:
    target = tmp_path / "a.mkv"
    target.write_bytes(b"old")
    target.chmod(0o640)
    with atomic_path(target, overwrite=True) as temp:
        assert temp.suffix == ".mkv" and temp.parent == tmp_path
        temp.write_bytes(b"new")
    assert target.read_bytes() == b"new" and target.stat().st_mode & 0o777 == 0o640


def test_made_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "a.vqv"
    with pytest.raises(OutputError, match="exists"), atomic_output(target) as f:
        f.write(b"mine")
        target.write_bytes(b"theirs")
    assert target.read_bytes() == b"theirs" and os.listdir(tmp_path) == ["a.vqv"]


def test_link_is_kept(tmp_path: Path) -> None:
    real, link = tmp_path / "real.vqv", tmp_path / "link.vqv"
    real.write_bytes(b"old")
    link.symlink_to(real)
    with atomic_output(link, overwrite=True) as f:
        f.write(b"new")
    assert link.is_symlink() and real.read_bytes() == b"new"


def test_full_disk(tmp_path: Path) -> None:
    target = tmp_path / "a.vqv"
    with pytest.raises(OutputError, match="a.vqv.*No space") as info, atomic_output(target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert isinstance(info.value.__cause__, OSError) and os.listdir(tmp_path) == []
    if os.path.exists("/dev/full"):
        with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OutputError), atomic_output(target) as f:
            f._file = full  # type: ignore[attr-defined]
            f.write(b"x")


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


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="not writable"):
        check_output(tmp_path / "a.vqv")


def test_check_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        check_input(tmp_path / "none")
    with pytest.raises(InputError, match="directory"):
        check_input(tmp_path)
    with pytest.raises(InputError):
        check_input("a\0b")
