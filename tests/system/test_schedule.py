"""Works that need each other's results: in the right order, at the same time, and no more than
that."""

from __future__ import annotations

import gc
import random
import threading
import time
import weakref
from concurrent.futures import CancelledError
from functools import partial

import pytest

from vqcodec.system.schedule import Later, OnDemand, Schedule, Works
from vqcodec.system.threads import set_threads, thread_count

PATIENCE = 30.0


def opened(threads: int) -> Works:
    return Schedule(threads) if threads else OnDemand()


@pytest.mark.parametrize("threads", [0, 1, 2, 5])
@pytest.mark.parametrize("seed", range(3))
def test_each_work_gets_the_results_of_those_it_needs(threads: int, seed: int) -> None:
    rng = random.Random(seed)
    needs = {n: rng.sample(range(n), min(n, rng.randint(0, 3))) for n in range(60)}
    want: dict[int, int] = {}
    for n, needed in needs.items():
        want[n] = 1 + sum(want[i] for i in needed)

    def work(pause: float, given: list[Later[int]]) -> int:
        time.sleep(pause)
        return 1 + sum(one.result() for one in given)

    works, found = opened(threads), dict[int, Later[int]]()
    for n, needed in needs.items():
        given = [found[i] for i in needed]
        found[n] = works.add(partial(work, rng.random() / 1000, given), given, rng.random() < 0.3)
    assert {n: found[n].result() for n in rng.sample(range(60), 60)} == want
    works.close()


def test_works_that_wait_keep_no_thread_from_others(one_thread: None) -> None:
    """The second work waits for the first, the third meets the first in the other thread."""
    both = threading.Barrier(2)
    with Schedule(2) as schedule:
        first = schedule.add(lambda: both.wait(PATIENCE))
        schedule.add(first.result, [first])
        third = schedule.add(lambda: both.wait(PATIENCE))
        assert {first.result(), third.result()} == {0, 1}


@pytest.mark.parametrize("urgent", [False, True])
def test_the_first_added_begins_first_but_for_urgent_ones(urgent: bool) -> None:
    begun: list[int] = []
    gate = threading.Event()

    def work(n: int) -> int:
        begun.append(n)
        return n

    with Schedule(1) as schedule:
        schedule.add(lambda: gate.wait(PATIENCE))
        found = [schedule.add(partial(work, n), urgent=urgent and n == 2) for n in (3, 1, 2)]
        gate.set()
        assert [one.result() for one in found] == [3, 1, 2]
    assert begun == ([2, 3, 1] if urgent else [3, 1, 2])


def test_a_work_alone_has_all_threads(one_thread: None) -> None:
    set_threads(4)
    with Schedule(4) as schedule:
        first = schedule.add(thread_count)
        assert first.result() == 4
        both = threading.Barrier(2)

        def count() -> int:
            both.wait(PATIENCE)
            return thread_count()

        found = [schedule.add(count, [first]) for _ in range(2)]
        assert min(one.result() for one in found) == 1


def test_threads_are_shared_by_the_works_that_may_run_at_once(one_thread: None) -> None:
    """Six threads for three works: an urgent one has half of them, others two."""
    set_threads(6)
    with Schedule(6, 3) as schedule:
        all_of_them = threading.Barrier(3)

        def count() -> int:
            all_of_them.wait(PATIENCE)
            return thread_count()

        found = [schedule.add(count, urgent=n == 1) for n in range(3)]
        shares = [one.result() for one in found]
    assert shares[1:] == [3, 2]
    assert shares[0] in (2, 6)


def test_errors_reach_all_that_need_the_result() -> None:
    def fail() -> int:
        raise OSError("gone")

    for threads in (0, 2):
        works = opened(threads)
        first = works.add(fail)
        second = works.add(first.result, [first])
        third = works.add(second.result, [second])
        other = works.add(lambda: 3)
        for one in (third, second, first, third):
            with pytest.raises(OSError, match="gone"):
                one.result()
        assert other.result() == 3
        works.close()


def test_what_has_not_begun_is_dropped_at_the_end() -> None:
    begun: list[int] = []
    gate, inside = threading.Event(), threading.Event()

    def first() -> int:
        inside.set()
        gate.wait(PATIENCE)
        return 0

    def later() -> None:
        begun.append(1)

    with Schedule(1) as schedule:
        one = schedule.add(first)
        schedule.add(later)
        schedule.add(later, [one])
        inside.wait(PATIENCE)
        threading.Timer(0.1, gate.set).start()
    assert not begun


def test_on_demand_nothing_is_done_that_nobody_asks_for() -> None:
    begun: list[str] = []
    works = OnDemand()
    unwanted = works.add(lambda: begun.append("unwanted"))
    wanted = works.add(lambda: begun.append("wanted"), [unwanted])
    assert not begun
    for _ in range(2):
        wanted.result()
    assert begun == ["wanted"]


class Large:
    pass


@pytest.mark.parametrize("threads", [0, 2])
def test_forgotten_results_are_gone_though_what_they_needed_stays(threads: int) -> None:
    """Key frames stay for the next mini-GOP, the frames that referred to them must not; nor does
    what was done keep what it needed."""
    works = opened(threads)
    made = works.add(Large)

    def second(given: Later[Large]) -> Large:
        assert given.result()
        return Large()

    later = works.add(partial(second, made), [made])
    seen = weakref.ref(later.result()), weakref.ref(made.result())
    for forgotten, kept in ((0, 1), (1, None)):
        if forgotten:
            del made
        else:
            later = works.add(partial(second, made), [made])
            later.result()
        end = time.monotonic() + PATIENCE
        while seen[forgotten]() is not None and time.monotonic() < end:
            gc.collect()
            time.sleep(0.01)
        assert seen[forgotten]() is None
        assert kept is None or seen[kept]() is not None
    assert later.result()
    works.close()


def test_who_asks_for_a_work_that_was_dropped_is_told() -> None:
    """An encoder that was closed by an error was waited for, for ever, when it was asked again."""
    begun, go_on = threading.Event(), threading.Event()
    schedule = Schedule(2)

    def first() -> int:
        begun.set()
        return 1 if go_on.wait(20) else 0

    done = schedule.add(first)
    behind = schedule.add(lambda: 2, [done])
    furthest = schedule.add(lambda: 3, [behind])
    assert begun.wait(20)
    closing = threading.Thread(target=schedule.close)
    closing.start()
    for dropped in (behind, furthest):
        with pytest.raises(CancelledError):
            dropped.result()
    go_on.set()
    closing.join(20)
    assert done.result() == 1
    with pytest.raises(RuntimeError, match="closed"):
        schedule.add(lambda: 4, [behind])
