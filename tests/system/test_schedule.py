"""Works that need each other's results: in the right order, at the same time, and no more than
that."""

from __future__ import annotations

import gc
import random
import threading
import time
import weakref
from functools import partial

import pytest

from vqcodec.system.schedule import Schedule
from vqcodec.system.threads import set_threads, thread_count

PATIENCE = 30.0


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("seed", range(3))
def test_each_work_gets_the_results_of_those_it_needs(threads: int, seed: int) -> None:
    rng = random.Random(seed)
    needs = {n: rng.sample(range(n), min(n, rng.randint(0, 3))) for n in range(60)}
    want: dict[int, int] = {}
    for n, needed in needs.items():
        want[n] = 1 + sum(want[i] for i in needed)

    def work(pause: float, given: list[int]) -> int:
        time.sleep(pause)
        return 1 + sum(given)

    with Schedule[int](threads) as schedule:
        for n, needed in needs.items():
            schedule.add(n, needed, partial(work, rng.random() / 1000))
        found = {n: schedule.result(n) for n in rng.sample(range(60), 60)}
    assert found == want


def test_works_that_wait_keep_no_thread_from_others(one_thread: None) -> None:
    """The second work waits for the first, the third meets the first in the other thread."""
    both = threading.Barrier(2)
    with Schedule[int](2) as schedule:
        schedule.add(0, [], lambda given: both.wait(PATIENCE))
        schedule.add(1, [0], sum)
        schedule.add(2, [], lambda given: both.wait(PATIENCE))
        assert {schedule.result(0), schedule.result(2)} == {0, 1}


def test_the_first_added_begins_first() -> None:
    begun: list[int] = []
    gate = threading.Event()

    def work(n: int, given: list[int]) -> int:
        begun.append(n)
        return n

    with Schedule[int](1) as schedule:
        schedule.add(9, [], lambda given: int(gate.wait(PATIENCE)))
        for n in (3, 1, 2):
            schedule.add(n, [], partial(work, n))
        gate.set()
        assert [schedule.result(n) for n in (1, 2, 3)] == [1, 2, 3]
    assert begun == [3, 1, 2]


def test_a_work_alone_has_all_threads(one_thread: None) -> None:
    set_threads(4)
    with Schedule[int](4) as schedule:
        schedule.add(0, [], lambda given: thread_count())
        assert schedule.result(0) == 4
        both = threading.Barrier(2)

        def count(given: list[int]) -> int:
            both.wait(PATIENCE)
            return thread_count()

        for n in (1, 2):
            schedule.add(n, [0], count)
        assert min(schedule.result(1), schedule.result(2)) == 1


def test_errors_reach_all_that_need_the_result() -> None:
    def fail(given: list[int]) -> int:
        raise OSError("gone")

    with Schedule[int](2) as schedule:
        schedule.add(0, [], fail)
        schedule.add(1, [0], sum)
        schedule.add(2, [1], sum)
        schedule.add(3, [], lambda given: 3)
        for n in (2, 1, 0):
            with pytest.raises(OSError, match="gone"):
                schedule.result(n)
        assert schedule.result(3) == 3


def test_what_has_not_begun_is_dropped_at_the_end() -> None:
    begun: list[int] = []
    gate, inside = threading.Event(), threading.Event()

    def first(given: list[int]) -> int:
        inside.set()
        gate.wait(PATIENCE)
        return 0

    def later(given: list[int]) -> int:
        begun.append(1)
        return 1

    with Schedule[int](1) as schedule:
        schedule.add(0, [], first)
        schedule.add(1, [], later)
        schedule.add(2, [0], later)
        inside.wait(PATIENCE)
        threading.Timer(0.1, gate.set).start()
    assert not begun


class Large:
    pass


def test_forgotten_results_are_gone_though_what_they_needed_stays() -> None:
    """Key frames stay for the next mini-GOP, the frames that referred to them must not."""
    with Schedule[Large](2) as schedule:
        schedule.add(0, [], lambda given: Large())
        schedule.add(1, [0], lambda given: Large())
        seen = weakref.ref(schedule.result(1))
        schedule.forget([1])
        end = time.monotonic() + PATIENCE
        while seen() is not None and time.monotonic() < end:
            gc.collect()
            time.sleep(0.01)
        assert seen() is None
        assert schedule.result(0)
