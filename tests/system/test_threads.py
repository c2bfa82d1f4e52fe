"""Works side by side in as many threads as there are to be, and an iterator that runs ahead."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
import torch
from support.paths import ROOT

from vqcodec.system.ahead import read_ahead
from vqcodec.system.threads import in_parts, set_threads, side_by_side, thread_count

PATIENCE = 30.0


@pytest.mark.parametrize(("threads", "works", "each"), [(1, 5, 1), (2, 5, 1), (6, 2, 3), (6, 1, 6)])
def test_works_share_the_threads_evenly(
    threads: int, works: int, each: int, one_thread: None
) -> None:
    set_threads(threads)
    seen: list[int] = []

    def work(i: int) -> tuple[int, int, list[int]]:
        seen.append(i)
        return i, thread_count(), in_parts(abs, [-i, i])

    assert side_by_side(work, range(works)) == [(i, each, [i, i]) for i in range(works)]
    assert sorted(seen) == list(range(works))
    assert thread_count() == threads


def test_works_run_at_the_same_time_and_the_first_error_is_raised(one_thread: None) -> None:
    set_threads(2)
    both = threading.Barrier(2)
    side_by_side(lambda _: both.wait(PATIENCE), range(2))  # alone the first would wait for ever

    def fail(i: int) -> None:
        raise ValueError(str(i))

    with pytest.raises(ValueError, match="0"):
        side_by_side(fail, range(2))
    assert thread_count() == 2


def test_the_number_of_threads_is_told_without_torch() -> None:
    code = """
import os, sys
from vqcodec.system.threads import set_threads, thread_count
found = [thread_count()]
set_threads(7)
found.append(thread_count())
set_threads(0)
print(*found, thread_count(), "torch" in sys.modules)
"""
    for told, want in (("3", "3 7 3 False"), ("0", None), ("many", None)):
        env = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": told}
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        first, second, third, loaded = done.stdout.split()
        assert (first, second, loaded) == (third, "7", "False")
        assert int(first) >= 1
        assert want is None or done.stdout.strip() == want


def test_torchs_number_counts_where_it_is_loaded(one_thread: None) -> None:
    set_threads(2)
    torch.set_num_threads(3)
    assert thread_count() == 3


def counting(made: list[int], closed: threading.Event) -> Iterator[int]:
    try:
        for i in range(100):
            made.append(i)
            yield i
    finally:
        closed.set()


def test_an_iterator_runs_ahead_by_some_steps() -> None:
    made: list[int] = []
    closed = threading.Event()
    items = read_ahead(counting(made, closed), 3)
    assert next(items) == 0
    end = time.monotonic() + PATIENCE
    while len(made) < 5 and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.05)
    assert made == [0, 1, 2, 3, 4]  # one was taken, three wait, one more stands before the queue
    assert list(items) == list(range(1, 100))
    assert closed.is_set()


def test_who_stops_early_closes_the_iterator() -> None:
    made: list[int] = []
    closed = threading.Event()
    items = read_ahead(counting(made, closed), 2)
    next(items)
    items.close()
    assert closed.is_set()
    assert len(made) < 10
    assert not [thread for thread in threading.enumerate() if thread.name == "read-ahead"]


def test_a_generator_is_closed_by_the_thread_that_runs_it() -> None:
    names = []

    def items() -> Iterator[int]:
        try:
            yield from range(100)
        finally:
            names.append(threading.current_thread().name)

    ahead = read_ahead(items(), 1)
    next(ahead)
    ahead.close()
    assert names == ["read-ahead"]


def test_an_error_that_finds_no_room_keeps_nobody_who_stops() -> None:
    thrown = threading.Event()

    def failing() -> Iterator[int]:
        yield from range(2)
        thrown.set()
        raise OSError("gone")

    items = read_ahead(failing(), 1)
    assert next(items) == 0
    assert thrown.wait(PATIENCE)
    items.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "read-ahead"]


def test_an_error_comes_behind_the_items_before_it() -> None:
    def failing() -> Iterator[int]:
        yield from range(3)
        raise OSError("gone")

    items, seen = read_ahead(failing(), 8), []
    with pytest.raises(OSError, match="gone"):
        for item in items:
            seen.append(item)
    assert seen == [0, 1, 2]
