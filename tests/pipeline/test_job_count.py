"""How many processes code GOPs where nobody says: by processors, memory and length."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vqcodec.cli import main
from vqcodec.options import EncodeOptions
from vqcodec.pipeline import encode as encode_module
from vqcodec.pipeline import estimate, job_count
from vqcodec.pipeline.gop_coders import LocalCoder, Model
from vqcodec.pipeline.job_count import chosen, job_memory

HD = (1920, 1080)


def machine(patch: pytest.MonkeyPatch, processors: int, memory: int | None) -> None:
    """A machine with so many processors and bytes free."""
    patch.setattr(job_count, "default_threads", lambda: processors)
    patch.setattr(job_count, "usable", lambda: processors)
    patch.setattr(job_count, "free_memory", lambda: memory)


@pytest.mark.parametrize(
    ("processors", "gib", "size", "frames", "want"),
    [
        (1, 64, HD, 5000, (1, 0)),
        (2, 64, HD, 5000, (1, 0)),  # two threads are nearly as fast, in half the memory
        (3, 64, HD, 5000, (1, 0)),
        (4, 64, HD, 5000, (4, 1)),
        (4, 64, HD, 128, (1, 0)),  # a single GOP
        (4, 64, HD, 129, (1, 0)),  # a second of one frame
        (4, 64, HD, 220, (2, 2)),
        (4, 64, HD, 447, (4, 1)),  # with three processes one would code 191 frames
        (8, 64, HD, 300, (2, 4)),
        (8, 64, HD, 384, (3, 2)),
        (16, 64, HD, 831, (7, 2)),
        (16, 64, HD, 5000, (16, 1)),
        (16, 8, HD, 5000, (3, 5)),
        (16, 1, HD, 5000, (1, 0)),
        (16, 8, (640, 360), 5000, (11, 1)),
        (4, 64, HD, None, (2, 2)),  # of unknown length
        (999, 9999, (64, 64), 99999, (256, 3)),
        (4, None, HD, 5000, (1, 0)),
    ],
)
def test_jobs_and_threads_follow_processors_memory_and_length(
    monkeypatch: pytest.MonkeyPatch,
    processors: int,
    gib: int | None,
    size: tuple[int, int],
    frames: int | None,
    want: tuple[int, int],
) -> None:
    memory = None if gib is None else gib << 30
    machine(monkeypatch, processors, memory)
    options = chosen(EncodeOptions(device="cpu"), size, frames, 128)
    assert (options.jobs, options.threads) == want
    if memory is not None and options.jobs > 1:
        assert options.jobs * job_memory(*size, 128) <= memory * 3 // 4
    assert options.jobs * max(1, options.threads) <= processors


def test_no_more_processes_than_processors_whatever_openmp_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """OMP_NUM_THREADS may be of a larger machine, or leave processors to others."""
    machine(monkeypatch, 4, 1 << 40)
    for told, want in ((64, (4, 1)), (2, (1, 0))):
        monkeypatch.setattr(job_count, "default_threads", lambda told=told: told)
        options = chosen(EncodeOptions(device="cpu"), HD, 5000, 128)
        assert (options.jobs, options.threads) == want


def test_pictures_of_ten_bits_take_twice_the_room(monkeypatch: pytest.MonkeyPatch) -> None:
    more = job_memory(*HD, 128, ten_bit=True) - job_memory(*HD, 128)
    assert more == 128 * 1920 * 1088 * 3 // 2
    machine(monkeypatch, 16, 22 << 30)
    jobs = [chosen(EncodeOptions(device="cpu"), HD, 5000, 128, ten).jobs for ten in (False, True)]
    assert jobs == [8, 7]


def test_floats_and_other_devices_stay_in_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sum of floats may hang on the number of threads, and a device is there once."""
    machine(monkeypatch, 16, 1 << 40)
    floats = EncodeOptions(device="cpu", arithmetic="float32")
    assert chosen(floats, HD, 5000, 128) == floats
    cuda = EncodeOptions(device="cuda:0")
    assert chosen(cuda, HD, 5000, 128) == cuda


@pytest.mark.parametrize(
    ("words", "want"),
    [
        ([], 8),  # about 64 frames are expected, in GOPs of 9; cuts are not known yet
        (["--jobs", "3"], 3),
        (["--jobs", "1"], None),
        (["-threads", "1"], None),
    ],
)
def test_the_command_line_spreads_work_unless_it_is_told_how(
    tmp_path: Path,
    gop_clip: Path,
    gop_want: bytes,
    tiny_weights: Path,
    monkeypatch: pytest.MonkeyPatch,
    one_thread: None,
    words: list[str],
    want: int | None,
) -> None:
    """And the bytes are those of one process."""
    machine(monkeypatch, 16, 1 << 40)
    asked: list[int] = []

    def in_processes(model: Model, jobs: int, warn: Any) -> LocalCoder:
        asked.append(jobs)
        return LocalCoder(model, model.load())

    monkeypatch.setattr(encode_module, "ProcessCoder", in_processes)
    options = "-g 9 -crf 30 -preset faster --device cpu -q -y --weights".split()
    out = tmp_path / "a.vqv"
    assert main(["encode", str(gop_clip), str(out), *options, str(tiny_weights), *words]) == 0
    assert out.read_bytes() == gop_want
    assert asked == ([] if want is None else [want])


def test_an_estimate_reckons_with_the_same(gop_clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its stretches are coded with the threads of one of them."""
    machine(monkeypatch, 16, 1 << 40)
    options = EncodeOptions(gop=9, device="cpu")
    samples = estimate._Samples.of(str(gop_clip), options, spread=True)
    assert (samples.options.jobs, samples.options.threads) == (8, 2)
    assert {(part.jobs, part.threads) for part in samples} == {(1, 2)}
    assert estimate._Samples.of(str(gop_clip), options, spread=False).options == options
