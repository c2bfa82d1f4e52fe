"""A name from outside that cannot be looked up is the name of nothing, for all that ask."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vqcodec.batch.plan import Job, plan
from vqcodec.system.files import local
from vqcodec.system.lookup import is_fifo, is_folder, is_regular, look_up, same_file

NOTHING = ["", "nul\0inside", "x" * 5000, "a" * 300, "file.txt/below", "gone/at/all", "loop"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.txt").write_bytes(b"12345")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner/a.mp4").write_bytes(b"1")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "fifo")
    return tmp_path


@pytest.mark.parametrize("name", NOTHING, ids=ascii)
def test_names_of_nothing(folder: Path, name: str) -> None:
    assert look_up(name) is None
    assert not (is_folder(name))
    assert not (is_regular(name))
    assert not (is_fifo(name))
    assert not same_file(name, name)
    assert not same_file(name, "file.txt")
    assert local(name) == name


@pytest.mark.parametrize("name", NOTHING, ids=ascii)
def test_a_batch_takes_names_of_nothing_for_files_that_are_not_there(
    folder: Path, name: str
) -> None:
    """An empty name would otherwise be the current folder, with all its videos."""
    assert [(job.source, job.size) for job in plan([name])] == [(name, 0)]
    assert [(job.source, job.size) for job in plan([], [name])] == [(name, 0)]


def test_what_is_there(folder: Path) -> None:
    (folder / "hard").hardlink_to(folder / "file.txt")
    odd = os.fsdecode(b"\xff\xfe.y4m")  # no UTF-8
    (folder / odd).write_bytes(b"123")
    assert (found := look_up(odd)) is not None
    assert found.st_size == 3
    assert is_regular("file.txt")
    assert is_regular(odd)
    assert is_folder("inner")
    assert is_fifo("fifo")
    assert same_file("file.txt", "hard")
    assert not same_file("file.txt", odd)
    assert local("file:file.txt") == "file.txt"
    assert local("file:") == "file:"


def test_a_batch_of_the_current_folder(folder: Path) -> None:
    (folder / "-.mp4").write_bytes(b"12")
    here = [Job("-.mp4", "-.vqv", 2), Job("inner/a.mp4", "inner/a.vqv", 1)]
    assert plan(["."]) == here
    assert plan([], ["./"]) == here
    assert plan(["./inner"]) == [Job("inner/a.mp4", "a.vqv", 1)]
